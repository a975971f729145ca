//! VLAN tags (IEEE 802.1Q clause 9).

use std::fmt;

use serde::Serialize;

use super::ethernet::EtherType;

/// Length in bytes of a tag: the EtherType that announces it, and its control information.
pub const TAG_LEN: usize = 4;

/// A VLAN identifier, 1 to 4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct VlanId(u16);

impl VlanId {
    /// The identifier `id`; `None` for 0 (a frame with a priority and no VLAN), 4095
    /// (reserved) and what is longer than 12 bits.
    pub const fn new(id: u16) -> Option<Self> {
        if matches!(id, 1..=4094) { Some(Self(id)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What follows the EtherType of an 802.1Q tag: control information and the next EtherType.
#[derive(Clone, Copy, Debug)]
pub struct Tag<'a>(&'a [u8; TAG_LEN]);

impl<'a> Tag<'a> {
    /// Splits the bytes behind a [`EtherType::VLAN`]; `None` if they are too few.
    #[inline]
    pub fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, rest) = bytes.split_first_chunk()?;
        Some((Self(tag), rest))
    }

    /// The VLAN identifier as it stands, 0 and 4095 included.
    #[inline]
    pub fn id(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]]) & 0x0fff
    }

    /// What follows the tag.
    #[inline]
    pub fn ether_type(self) -> EtherType {
        EtherType(u16::from_be_bytes([self.0[2], self.0[3]]))
    }
}

/// Writes what follows an [`EtherType::VLAN`]: priority 0, the VLAN and the next EtherType.
pub fn write(into: &mut [u8; TAG_LEN], vlan: VlanId, ether_type: EtherType) {
    into[..2].copy_from_slice(&vlan.number().to_be_bytes());
    into[2..].copy_from_slice(&ether_type.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_splits_off() {
        let bytes = [0x60 | 0x01, 0x2c, 0x08, 0x00, 0x45];
        let (tag, rest) = Tag::split(&bytes).expect("long enough");
        assert_eq!(tag.id(), 300);
        assert_eq!(tag.ether_type(), EtherType::IPV4);
        assert_eq!(rest, [0x45]);
        assert!(Tag::split(&bytes[..3]).is_none());
    }

    #[test]
    fn reserved_identifiers_are_none() {
        assert_eq!([0, 4095, 5000].map(VlanId::new), [None; 3]);
        assert_eq!(VlanId::new(4094).map(VlanId::number), Some(4094));
    }
}
