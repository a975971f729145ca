//! Cookies: what a source can only send back if it received it, and for which we keep nothing.

use std::net::{IpAddr, SocketAddr};

use crate::host::siphash::HashKey;
use crate::time::Time;

/// How long a secret is used. A cookie is good for one to two of these.
const EPOCH_NANOS: u64 = 60 * 1_000_000_000;
/// Sets the secrets of cookies apart from other uses of the key.
const LABEL: u64 = u64::from_le_bytes(*b"cookie\0\0");

/// A token that shows that its bearer receives what is sent to an address and port: a service
/// gives it to a source and wants it back. It is good for a minute at least and two at most,
/// for that source and that address and port of ours. Who does not know the host's key
/// guesses it once in 2^63 tries.
///
/// It has no equality: the comparison should not tell by its time how much of a guess is right.
#[derive(Clone, Copy, Debug)]
pub struct Cookie(pub [u8; 8]);

/// Makes and checks cookies: SipHash-2-4 under a secret of the minute, derived from the key.
/// Hosts with the same key and clock take each other's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies(HashKey);

impl Cookies {
    pub(super) fn new(key: HashKey) -> Self {
        Self(key)
    }

    /// The cookie of `source`, for the datagrams that it sends to `own`.
    pub(super) fn cookie(&self, now: Time, source: SocketAddr, own: SocketAddr) -> Cookie {
        Cookie(self.of_epoch(epoch(now), source, own).to_le_bytes())
    }

    /// Whether these bytes are its cookie of this epoch or the last.
    pub(super) fn is_valid(&self, now: Time, source: SocketAddr, own: SocketAddr, bytes: &[u8]) -> bool {
        let Ok(bytes) = <[u8; 8]>::try_from(bytes) else { return false };
        let (given, epoch) = (u64::from_le_bytes(bytes), epoch(now));
        // One comparison of a whole word each, and always both, take the same time for any guess.
        let is_of = |epoch| self.of_epoch(epoch, source, own) == given;
        is_of(epoch) | is_of(epoch.wrapping_sub(1))
    }

    fn of_epoch(&self, epoch: u64, source: SocketAddr, own: SocketAddr) -> u64 {
        let secret = HashKey([0, 1].map(|word| self.0.hash_words([LABEL, epoch, word, 0])));
        let [source_high, source_low] = words(source.ip());
        let [own_high, own_low] = words(own.ip());
        let ports = u64::from(source.port()) << 16 | u64::from(own.port());
        secret.hash_words([source_high, source_low, own_high, own_low, ports])
    }
}

fn epoch(now: Time) -> u64 {
    now.as_nanos() / EPOCH_NANOS
}

/// An address as 128 bits; an IPv4 address is mapped (RFC 4291, section 2.5.5.2).
fn words(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const COOKIES: Cookies = Cookies(HashKey([1, 2]));

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("address and port")
    }

    fn seconds(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_cookie_is_good_for_this_epoch_and_the_next() {
        let (source, own) = (at("10.77.0.2:4660"), at("10.77.0.1:7"));
        for (made, good, bad) in [(0, 119, 120), (59, 119, 120), (60, 179, 180), (119, 179, 180)] {
            let Cookie(bytes) = COOKIES.cookie(seconds(made), source, own);
            assert!(COOKIES.is_valid(seconds(made), source, own, &bytes));
            assert!(COOKIES.is_valid(seconds(good), source, own, &bytes));
            assert!(!COOKIES.is_valid(seconds(bad), source, own, &bytes));
        }
        let Cookie(later) = COOKIES.cookie(seconds(60), source, own);
        assert!(!COOKIES.is_valid(seconds(59), source, own, &later), "not yet made");
    }

    #[test]
    fn a_cookie_is_for_its_source_and_our_address_and_ports() {
        for (source, own) in [("10.77.0.2:4660", "10.77.0.1:7"), ("[2001:db8::2]:4660", "[2001:db8::1]:7")] {
            let (source, own) = (at(source), at(own));
            let Cookie(bytes) = COOKIES.cookie(Time::ZERO, source, own);
            let others = ["10.77.0.3:4660", "10.77.0.2:4661", "[2001:db8::3]:4660", "[2001:db9::2]:4660"];
            for other in others.map(at) {
                assert!(!COOKIES.is_valid(Time::ZERO, other, own, &bytes));
            }
            for other in ["10.77.0.2:7", "10.77.0.1:8", "[2001:db8::1]:8", "[2001:db8::3]:7"].map(at) {
                assert!(!COOKIES.is_valid(Time::ZERO, source, other, &bytes));
            }
            assert!(!COOKIES.is_valid(Time::ZERO, own, source, &bytes));
            let other_key = Cookies::new(HashKey([1, 3]));
            assert!(!other_key.is_valid(Time::ZERO, source, own, &bytes));
        }
    }

    #[test]
    fn every_bit_and_the_length_count() {
        let (source, own) = (at("10.77.0.2:4660"), at("10.77.0.1:7"));
        let Cookie(bytes) = COOKIES.cookie(Time::ZERO, source, own);
        for bit in 0..64 {
            let wrong = u64::from_le_bytes(bytes) ^ 1 << bit;
            assert!(!COOKIES.is_valid(Time::ZERO, source, own, &wrong.to_le_bytes()));
        }
        assert!(!COOKIES.is_valid(Time::ZERO, source, own, &bytes[..7]));
        assert!(!COOKIES.is_valid(Time::ZERO, source, own, &[&bytes[..], &[0]].concat()));
        assert!(!COOKIES.is_valid(Time::ZERO, source, own, &[]));
    }
}
