//! Where bots live: each has an address and a port of its own, or several of them, and its number follows from
//! those.

use std::net::{IpAddr, SocketAddr};

/// Where ports begin, where they have room: the dynamic ones (RFC 6335, section 6).
const DYNAMIC: u32 = 49_152;
/// The lowest port of a bot, above the well-known ones.
const LOWEST: u32 = 1024;
const PORTS: u32 = 1 << 16;

/// The ends of all bots: addresses take turns, then ports. The second homes of all are on the ports behind the
/// first ones, and each is on the next address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    own: Vec<IpAddr>,
    pub(crate) first_port: u16,
    pub(crate) last_port: u16,
    count: u32,
    /// Homes of each.
    homes: u32,
    /// Ports that the first homes take.
    ports: u32,
}

/// Why there can't be so many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressesError {
    #[error("--to {0} can't be reached from any --ip: pass one of its family, as in --ip {1}")]
    NoSource(SocketAddr, &'static str),
    #[error("--to {0}: port 0 is nobody's")]
    PortZero(SocketAddr),
    #[error(
        "--bots {bots} needs {ports} source ports from {first} on, and there are not so many: pass more \
         addresses with --ip, or fewer bots"
    )]
    TooMany { bots: u32, ports: u32, first: u32 },
}

impl Addresses {
    /// Those of `count` bots with so many homes each, that play on `to`, on our addresses of its family, and on
    /// ports from `first_port` on if that is said.
    pub(crate) fn new(
        to: SocketAddr,
        own: &[IpAddr],
        (count, homes): (u32, u32),
        first_port: Option<u16>,
    ) -> Result<Self, AddressesError> {
        if to.port() == 0 {
            return Err(AddressesError::PortZero(to));
        }
        let own: Vec<_> = own.iter().copied().filter(|own| own.is_ipv4() == to.is_ipv4()).collect();
        if own.is_empty() {
            let example = if to.is_ipv4() { "10.77.0.2/24" } else { "fd00:77::2/64" };
            return Err(AddressesError::NoSource(to, example));
        }
        let ports = count.div_ceil(own.len() as u32);
        let all = ports * homes;
        let first = first_port.map_or_else(|| default_first(all), u32::from);
        if all > PORTS - first {
            return Err(AddressesError::TooMany { bots: count, ports: all, first });
        }
        Ok(Self { own, first_port: first as u16, last_port: (first + all - 1) as u16, count, homes, ports })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Where the bot of that number may live.
    pub(crate) fn homes_of(&self, number: u32) -> Box<[SocketAddr]> {
        (0..self.homes).map(|home| self.of(number, home)).collect()
    }

    fn of(&self, number: u32, home: u32) -> SocketAddr {
        let addresses = self.own.len() as u32;
        let port = u32::from(self.first_port) + self.ports * home + number / addresses;
        SocketAddr::new(self.own[((number + home) % addresses) as usize], port as u16)
    }

    /// Who lives there, and which of its homes that is.
    #[inline]
    pub(crate) fn resident(&self, at: SocketAddr) -> Option<(u32, usize)> {
        let addresses = self.own.len() as u32;
        let address = self.own.iter().position(|own| *own == at.ip())? as u32;
        let port = u32::from(at.port().checked_sub(self.first_port)?);
        // A division less where there is one home.
        let (home, row) = if port < self.ports { (0, port) } else { (port / self.ports, port % self.ports) };
        let number = row * addresses + (address + addresses - home % addresses) % addresses;
        (number < self.count && home < self.homes).then_some((number, home as usize))
    }
}

fn default_first(ports: u32) -> u32 {
    if ports <= PORTS - DYNAMIC { DYNAMIC } else { PORTS.saturating_sub(ports).max(LOWEST) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn addresses(own: &[&str], count: u32) -> Result<Addresses, AddressesError> {
        let own: Vec<_> = own.iter().map(|text| text.parse().expect("an address")).collect();
        Addresses::new("10.77.0.1:8080".parse().expect("valid"), &own, (count, 1), None)
    }

    #[test]
    fn each_bot_lives_elsewhere_and_is_found_there() {
        for (own, count, ports) in [(1, 1000, 1000), (3, 1000, 334), (1, 60_000, 60_000), (1, 1, 1)] {
            let own = &["10.77.0.2", "10.77.0.3", "10.77.0.4"][..own];
            let made = addresses(own, count).expect("room");
            let places: HashSet<_> = (0..count).map(|number| made.of(number, 0)).collect();
            assert_eq!(places.len(), count as usize);
            assert!((0..count).all(|number| made.resident(made.of(number, 0)) == Some((number, 0))));
            assert_eq!(u32::from(made.last_port - made.first_port) + 1, ports);
            assert!(made.first_port >= 1024);
        }
        let made = addresses(&["10.77.0.2"], 2).expect("room");
        for stranger in ["10.77.0.2:49154", "10.77.0.2:49151", "10.77.0.3:49152"] {
            assert_eq!(made.resident(stranger.parse().expect("valid")), None);
        }
    }

    #[test]
    fn all_homes_of_all_bots_are_elsewhere() {
        let own = ["10.77.0.2", "10.77.0.3", "10.77.0.4"].map(|text| text.parse().expect("an address"));
        for (own, count) in [(&own[..1], 7), (&own[..2], 7), (&own, 7), (&own, 9)] {
            let to = "10.77.0.1:8080".parse().expect("valid");
            let made = Addresses::new(to, own, (count, 4), Some(5000)).expect("room");
            let mut places = HashSet::new();
            for number in 0..count {
                for (home, place) in made.homes_of(number).into_iter().enumerate() {
                    assert_eq!(made.resident(place), Some((number, home)));
                    assert!(
                        places.insert(place) && (made.first_port..=made.last_port).contains(&place.port())
                    );
                }
            }
            assert_eq!(places.len(), 4 * count as usize);
            let [first, second] = [0, 1].map(|home| made.homes_of(0)[home].ip());
            assert_eq!(first == second, own.len() == 1, "the next one is on another address");
        }
    }

    #[test]
    fn impossible_ones_are_refused_with_a_way_out() {
        let error = |own: &str, to: &str, count| {
            let own = own.parse().expect("an address");
            let error = Addresses::new(to.parse().expect("valid"), &[own], (count, 1), None);
            error.expect_err("impossible").to_string()
        };
        assert!(error("10.77.0.2", "10.77.0.1:1", 64_513).contains("more addresses with --ip"));
        assert!(error("10.77.0.2", "[fd00::1]:1", 1).contains("--ip fd00:77::2/64"));
        assert!(error("10.77.0.2", "10.77.0.1:0", 1).contains("port 0"));
    }
}
