//! How many players an address has, counted in a table that was made at the start and never grows.

use std::net::IpAddr;

use gannet::host::HashKey;

/// Low bits of a place that are a count; those above are the address's, by a keyed hash.
const COUNT_BITS: u32 = 24;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// The addresses that players send from. Two that the hash takes for one share their seats, which is one in
/// 2^40 for a pair, and nobody can look for such.
#[derive(Debug)]
pub(crate) struct Tenants {
    /// Open addressing, a step at a time. Zero is free. A power of two, a third more than there are players.
    places: Box<[u64]>,
    key: HashKey,
    /// Players of an address at most; without a bound nothing is counted.
    most: Option<u32>,
}

/// What counts as one address: an IPv4 address, or an IPv6 /64, which is one customer's.
fn site(address: IpAddr) -> [u64; 2] {
    match address.to_canonical() {
        IpAddr::V4(address) => [4, address.to_bits().into()],
        IpAddr::V6(address) => [6, (address.to_bits() >> 64) as u64],
    }
}

impl Tenants {
    /// For so many players in all, and `most` of an address; zero is no bound.
    pub(crate) fn new(key: HashKey, players: usize, most: u32) -> Self {
        let most = Some(most).filter(|most| *most != 0);
        let places = most.map_or(0, |_| (players + players / 3 + 1).next_power_of_two());
        Self { places: vec![0; places].into(), key, most }
    }

    /// The most players of an address; zero is no bound.
    pub(crate) fn most(&self) -> u32 {
        self.most.unwrap_or(0)
    }

    /// Whether one more player may come from there, who came `from` somewhere else before, if from anywhere.
    pub(crate) fn has_room(&self, address: IpAddr, from: Option<IpAddr>) -> bool {
        let stays = from.is_some_and(|from| site(from) == site(address));
        stays || self.most.is_none_or(|most| self.count(address) < u64::from(most))
    }

    /// How many players send from there.
    fn count(&self, address: IpAddr) -> u64 {
        self.places[self.find(self.fingerprint(address))] & COUNT
    }

    /// A player sends from there.
    pub(crate) fn enter(&mut self, address: IpAddr) {
        if self.most.is_some() {
            let fingerprint = self.fingerprint(address);
            let place = self.find(fingerprint);
            self.places[place] = fingerprint | ((self.places[place] & COUNT) + 1);
        }
    }

    /// One of them does so no more.
    pub(crate) fn leave(&mut self, address: IpAddr) {
        if self.most.is_none() {
            return;
        }
        let place = self.find(self.fingerprint(address));
        match self.places[place] & COUNT {
            0 => {}
            1 => self.free(place),
            _ => self.places[place] -= 1,
        }
    }

    fn fingerprint(&self, address: IpAddr) -> u64 {
        self.key.hash_words(site(address)) & !COUNT
    }

    /// The place of an address, or the free one where it would stand: there always is one.
    fn find(&self, fingerprint: u64) -> usize {
        let mut place = self.home(fingerprint);
        while self.places[place] != 0 && self.places[place] & !COUNT != fingerprint {
            place = self.behind(place);
        }
        place
    }

    /// Empties a place, and has those behind it that would not be found any more move up.
    fn free(&mut self, place: usize) {
        let (mut hole, mut at) = (place, self.behind(place));
        while self.places[at] != 0 {
            let steps = |from: usize| at.wrapping_sub(from) & (self.places.len() - 1);
            if steps(self.home(self.places[at])) >= steps(hole) {
                self.places[hole] = self.places[at];
                hole = at;
            }
            at = self.behind(at);
        }
        self.places[hole] = 0;
    }

    fn home(&self, entry: u64) -> usize {
        (entry >> COUNT_BITS) as usize & (self.places.len() - 1)
    }

    fn behind(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a4d_0000 + number).into()
    }

    proptest! {
        /// As a map counts them, with a table that is as full as it can be.
        #[test]
        fn counts_are_those_of_a_map(
            players in 1_usize..40,
            seed in any::<u64>(),
            steps in proptest::collection::vec((0_u32..60, any::<bool>()), 0..400),
        ) {
            let mut tenants = Tenants::new(HashKey([seed, 1]), players, 3);
            let mut map = HashMap::<u32, u64>::new();
            let size = tenants.places.len();
            for (number, comes) in steps {
                let there = map.values().sum::<u64>() as usize;
                let count = map.entry(number).or_default();
                if comes && there < players {
                    *count += 1;
                    tenants.enter(address(number));
                } else if !comes && *count > 0 {
                    *count -= 1;
                    tenants.leave(address(number));
                }
            }
            for number in 0..60 {
                let count = map.get(&number).copied().unwrap_or(0);
                prop_assert_eq!(tenants.count(address(number)), count);
                prop_assert_eq!(tenants.has_room(address(number), None), count < 3);
                prop_assert!(tenants.has_room(address(number), Some(address(number))));
            }
            prop_assert_eq!(tenants.places.len(), size);
        }
    }

    #[test]
    fn without_a_bound_nothing_is_kept() {
        let mut tenants = Tenants::new(HashKey([1, 2]), 10, 0);
        (0..100).for_each(|_| tenants.enter(address(1)));
        assert!(tenants.has_room(address(1), None) && tenants.places.is_empty());
        tenants.leave(address(1));
    }

    #[test]
    fn a_customer_of_ipv6_is_one_address() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut tenants = Tenants::new(HashKey([1, 2]), 10, 1);
        tenants.enter(parse("2001:db8::1"));
        assert!(!tenants.has_room(parse("2001:db8::ffff:2"), None));
        assert!(tenants.has_room(parse("2001:db8:0:1::1"), None));
        tenants.enter(parse("192.0.2.7"));
        assert!(!tenants.has_room(parse("::ffff:192.0.2.7"), None));
    }
}
