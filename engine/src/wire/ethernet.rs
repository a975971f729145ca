//! Ethernet II framing (IEEE 802.3 clause 3; DIX 2.0).

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Length of the header in bytes: two addresses and the EtherType.
pub const HEADER_LEN: usize = 14;
/// The shortest frame that a wire carries, in bytes, without the frame check sequence.
pub const MIN_FRAME_LEN: usize = 60;

mod field {
    use std::ops::Range;

    pub(super) const DESTINATION: Range<usize> = 0..6;
    pub(super) const SOURCE: Range<usize> = 6..12;
}

/// A 48-bit MAC address, in the order of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// All ones: every station.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names one station: the group bit is clear and it isn't all zeros.
    #[inline]
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }

    /// Whether it names several stations.
    #[inline]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether it names every station.
    #[inline]
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A text that is no MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a MAC address: write six pairs of hex digits, as in 02:00:00:00:00:01")]
pub struct MacAddressError(String);

impl FromStr for MacAddress {
    type Err = MacAddressError;

    fn from_str(text: &str) -> Result<Self, MacAddressError> {
        let error = || MacAddressError(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(error)?;
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+')).ok_or_else(error)?;
        }
        if parts.next().is_some() { Err(error()) } else { Ok(Self(bytes)) }
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a frame carries (IEEE's EtherType registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4 (RFC 894).
    pub const IPV4: Self = Self(0x0800);
    /// ARP (RFC 826).
    pub const ARP: Self = Self(0x0806);
    /// An 802.1Q tag follows.
    pub const VLAN: Self = Self(0x8100);
    /// An 802.1ad service tag follows.
    pub const SERVICE_VLAN: Self = Self(0x88a8);
    /// IPv6 (RFC 2464).
    pub const IPV6: Self = Self(0x86dd);
}

/// An Ethernet header in place.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a>(pub &'a [u8; HEADER_LEN]);

impl<'a> Header<'a> {
    /// Splits a frame into its header and what follows; `None` if it is shorter than a header.
    #[inline]
    pub fn split(frame: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = frame.split_first_chunk()?;
        Some((Self(header), rest))
    }

    /// The station that it is for.
    #[inline]
    pub fn destination(self) -> MacAddress {
        let [a, b, c, d, e, f, ..] = *self.0;
        MacAddress([a, b, c, d, e, f])
    }

    /// The station that sent it.
    #[inline]
    pub fn source(self) -> MacAddress {
        let [_, _, _, _, _, _, a, b, c, d, e, f, ..] = *self.0;
        MacAddress([a, b, c, d, e, f])
    }

    /// What follows; lengths of 802.3 frames (up to 1,500) come out as they are.
    #[inline]
    pub fn ether_type(self) -> EtherType {
        EtherType(u16::from_be_bytes([self.0[12], self.0[13]]))
    }
}

/// Writes a header.
#[inline]
pub fn write(
    into: &mut [u8; HEADER_LEN],
    destination: MacAddress,
    source: MacAddress,
    ether_type: EtherType,
) {
    into[field::DESTINATION].copy_from_slice(&destination.0);
    into[field::SOURCE].copy_from_slice(&source.0);
    into[12..14].copy_from_slice(&ether_type.0.to_be_bytes());
}

/// Turns a received header round: back to its sender, from `own`.
#[inline]
pub fn write_reply(header: &mut [u8; HEADER_LEN], own: MacAddress) {
    header.copy_within(field::SOURCE, 0);
    header[field::SOURCE].copy_from_slice(&own.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: [u8; 16] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x06, 0xaa, 0xbb];

    #[test]
    fn a_header_splits_off() {
        let (header, rest) = Header::split(&FRAME).expect("long enough");
        assert_eq!(header.destination(), MacAddress([2, 0, 0, 0, 0, 1]));
        assert_eq!(header.source(), MacAddress([2, 0, 0, 0, 0, 2]));
        assert_eq!(header.ether_type(), EtherType::ARP);
        assert_eq!(rest, [0xaa, 0xbb]);
        assert!(Header::split(&FRAME[..13]).is_none());
    }

    #[test]
    fn a_reply_goes_back() {
        let mut header = *FRAME.first_chunk().expect("long enough");
        write_reply(&mut header, MacAddress([2, 0, 0, 0, 0, 1]));
        let mut expected = [0; HEADER_LEN];
        write(&mut expected, MacAddress([2, 0, 0, 0, 0, 2]), MacAddress([2, 0, 0, 0, 0, 1]), EtherType::ARP);
        assert_eq!(header, expected);
    }

    #[test]
    fn addresses_read_and_print() {
        let mac: MacAddress = "02:00:00:0a:0b:FF".parse().expect("valid");
        assert_eq!(mac.to_string(), "02:00:00:0a:0b:ff");
        for bad in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:00:00",
            "2:0:0:0:0:0",
            "02:00:00:00:00:0g",
            "+2:00:00:00:00:00",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn groups_are_not_unicast() {
        assert!(MacAddress([2, 0, 0, 0, 0, 1]).is_unicast());
        assert!(!MacAddress([0x33, 0x33, 0, 0, 0, 1]).is_unicast());
        assert!(!MacAddress::BROADCAST.is_unicast());
        assert!(!MacAddress::default().is_unicast() && !MacAddress::default().is_group());
        assert!(MacAddress::BROADCAST.is_group() && !MacAddress([2, 0, 0, 0, 0, 1]).is_group());
    }
}
