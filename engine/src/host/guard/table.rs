//! A table of peers: fixed size, allocated once, at most eight places to look at.

use std::net::{IpAddr, SocketAddr};

use crate::host::siphash::HashKey;

/// Peers that a table holds; a power of two. Under the fuzzer so few that it fills them.
pub(super) const PLACES: usize = if cfg!(fuzzing) { 64 } else { 16_384 };
/// Places of one set: a peer stands in one of them or not at all.
const WAYS: usize = 8;
const SETS: usize = PLACES / WAYS;

/// A peer, known by a keyed hash of what names it.
///
/// No peer can choose to share the 64 bits of another. That a new one does by chance, in
/// its set, happens once in 2^50: a year at a million of them a second has 2^45.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// Of an IPv4 address, or of the /64 of an IPv6 address: what one customer has.
    #[inline]
    pub(super) fn of_network(key: HashKey, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(key.hash_words([address.to_bits().into()])),
            IpAddr::V6(address) => Self(key.hash_words([(address.to_bits() >> 64) as u64, 0])),
        }
    }

    /// Of an address and port, and a port of ours; that may be 0 where it does not matter.
    #[inline]
    pub(super) fn of_peer(key: HashKey, peer: SocketAddr, own_port: u16) -> Self {
        let ports = u64::from(peer.port()) << 16 | u64::from(own_port);
        match peer.ip() {
            IpAddr::V4(address) => Self(key.hash_words([u64::from(address.to_bits()) << 32 | ports])),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                Self(key.hash_words([(bits >> 64) as u64, bits as u64, ports]))
            }
        }
    }
}

/// What is known of each peer. An empty place holds the default value, which says the same
/// of a peer as its absence. Where a set is full, the peer with the least value makes room.
#[derive(Debug)]
pub(super) struct Table<V> {
    sets: Box<[Set<V>]>,
}

/// With values of 8 bytes, two cache lines.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set<V> {
    fingerprints: [u64; WAYS],
    values: [V; WAYS],
}

impl<V: Copy + Default + Ord> Table<V> {
    pub(super) fn new() -> Self {
        Self { sets: vec![Set::default(); SETS].into_boxed_slice() }
    }

    /// The value of a peer, if it stands in the table.
    #[inline]
    pub(super) fn find(&mut self, peer: Fingerprint) -> Option<&mut V> {
        let set = self.set(peer);
        let way = set.way(peer)?;
        Some(&mut set.values[way])
    }

    /// The value of a peer; a new one has the default value, in the place of another if need be.
    #[inline]
    pub(super) fn entry(&mut self, peer: Fingerprint) -> &mut V {
        let set = self.set(peer);
        let way = set.way(peer).unwrap_or_else(|| set.make_room(peer));
        &mut set.values[way]
    }

    #[inline]
    fn set(&mut self, peer: Fingerprint) -> &mut Set<V> {
        &mut self.sets[peer.0 as usize % SETS]
    }
}

impl<V: Copy + Default + Ord> Set<V> {
    #[inline]
    fn way(&self, peer: Fingerprint) -> Option<usize> {
        self.fingerprints.iter().position(|&fingerprint| fingerprint == peer.0)
    }

    fn make_room(&mut self, peer: Fingerprint) -> usize {
        let lesser = |a: usize, b: usize| if self.values[b] < self.values[a] { b } else { a };
        let way = (0..WAYS).fold(0, lesser);
        self.fingerprints[way] = peer.0;
        self.values[way] = V::default();
        way
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const KEY: HashKey = HashKey([1, 2]);

    /// Peers of one set, in order of their number.
    fn peer(number: usize) -> Fingerprint {
        Fingerprint((1 + number * SETS) as u64)
    }

    #[test]
    fn the_least_makes_room_and_is_forgotten() {
        let mut table = Table::<u64>::new();
        (0..WAYS).for_each(|number| *table.entry(peer(number)) = 100 - number as u64);
        assert_eq!(*table.entry(peer(WAYS)), 0, "it does not inherit");
        assert_eq!(table.find(peer(WAYS - 1)), None, "it had 93, the least");
        assert_eq!(table.find(peer(WAYS - 2)), Some(&mut 94));
        *table.entry(peer(WAYS)) = 1000;
        *table.entry(peer(WAYS - 1)) = 1000;
        assert_eq!(table.find(peer(WAYS - 2)), None);
        assert_eq!((0..WAYS - 2).filter(|&number| table.find(peer(number)).is_some()).count(), WAYS - 2);
    }

    #[test]
    fn finding_makes_no_entry() {
        let mut table = Table::<u64>::new();
        assert_eq!(table.find(peer(1)), None);
        assert_eq!(table.find(peer(1)), None);
        assert_eq!(*table.entry(peer(1)), 0);
        assert_eq!(table.find(peer(1)), Some(&mut 0));
    }

    #[test]
    fn a_million_peers_stay_in_the_memory_of_the_start() {
        let mut table = Table::<u64>::new();
        (0..1_000_000).for_each(|n| *table.entry(Fingerprint(KEY.hash_words([n]))) = n);
        assert_eq!(size_of_val(&*table.sets), 16 * PLACES);
        let kept = (0..1_000_000).filter(|&n| table.find(Fingerprint(KEY.hash_words([n]))).is_some()).count();
        assert!(kept > PLACES * 9 / 10 && kept <= PLACES, "{kept}");
    }

    #[test]
    fn fingerprints_tell_apart_what_names_a_peer() {
        let v6 = |text: &str| text.parse::<Ipv6Addr>().expect("address");
        let network = |text: &str| Fingerprint::of_network(KEY, v6(text).into());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        let v4 = Fingerprint::of_network(KEY, [10, 77, 0, 1].into());
        assert_ne!(v4, Fingerprint::of_network(KEY, [10, 77, 0, 2].into()));
        assert_ne!(v4, network("0:0:a4d:1::"), "the same bits in the other family");
        let base: SocketAddr = (v6("2001:db8::1"), 1).into();
        let peers = [
            (base, 2),
            (base, 3),
            ((v6("2001:db8::1"), 2).into(), 2),
            ((v6("2001:db8::2"), 1).into(), 2),
            ((v6("2001:db9::1"), 1).into(), 2),
            (([10, 77, 0, 1], 1).into(), 2),
            (([10, 77, 0, 1], 2).into(), 1),
            (([10, 77, 0, 2], 1).into(), 2),
        ];
        let prints = peers.map(|(peer, own_port)| Fingerprint::of_peer(KEY, peer, own_port));
        for (place, print) in prints.iter().enumerate() {
            assert_eq!(prints.iter().position(|other| other == print), Some(place));
        }
    }
}
