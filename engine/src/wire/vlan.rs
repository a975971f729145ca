//! VLAN tags (IEEE 802.1Q clause 9), one or two of them.

use std::fmt;

use serde::{Serialize, Serializer};

use super::ethernet::{self, EtherType};

/// Length in bytes of a tag: the EtherType that announces it, and its control information.
pub const TAG_LEN: usize = 4;
/// Length in bytes of the MAC addresses that stand before the first tag.
const ADDRESSES_LEN: usize = ethernet::HEADER_LEN - 2;

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

/// The VLAN that a link is in: none, one, or one inside a provider's (802.1ad).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vlans(
    /// The identifiers from the outer to the inner; 0 where there is none.
    [u16; 2],
);

impl Vlans {
    /// Frames without a tag.
    pub const NONE: Self = Self([0; 2]);

    /// Frames with one 802.1Q tag.
    pub const fn one(vlan: VlanId) -> Self {
        Self([vlan.0, 0])
    }

    /// Frames with an 802.1ad service tag and an 802.1Q tag inside it.
    pub const fn two(outer: VlanId, inner: VlanId) -> Self {
        Self([outer.0, inner.0])
    }

    /// The identifiers, the outer one first.
    pub fn iter(self) -> impl Iterator<Item = VlanId> {
        self.0.into_iter().filter_map(VlanId::new)
    }

    /// Length in bytes of the tags: 0, 4 or 8.
    #[inline]
    pub const fn len_bytes(self) -> usize {
        match self.0 {
            [0, _] => 0,
            [_, 0] => TAG_LEN,
            _ => 2 * TAG_LEN,
        }
    }

    /// Both identifiers in one number, another for other tags.
    #[inline]
    pub const fn to_bits(self) -> u32 {
        (self.0[0] as u32) << 16 | self.0[1] as u32
    }

    /// Writes the tags into a frame, behind its MAC addresses, with priority 0, and behind
    /// them what the frame carries. Of two tags the outer is announced as a service tag. What
    /// the frame has no room for is left out.
    pub fn write(self, frame: &mut [u8], ether_type: EtherType) {
        let mut at = ADDRESSES_LEN;
        let mut announced =
            if self.len_bytes() > TAG_LEN { EtherType::SERVICE_VLAN } else { EtherType::VLAN };
        for vlan in self.iter() {
            write_word(frame, at, announced.0);
            write_word(frame, at + 2, vlan.number());
            announced = EtherType::VLAN;
            at += TAG_LEN;
        }
        write_word(frame, at, ether_type.0);
    }
}

fn write_word(frame: &mut [u8], at: usize, word: u16) {
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.copy_from_slice(&word.to_be_bytes());
    }
}

/// As `none`, `300` or `100.300`.
impl fmt::Display for Vlans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [0, _] => f.write_str("none"),
            [one, 0] => one.fmt(f),
            [outer, inner] => write!(f, "{outer}.{inner}"),
        }
    }
}

impl Serialize for Vlans {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A frame's tags, read, and what is behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untagged<'a> {
    /// The VLANs that the tags name: fewer than tags, where a tag has a priority only.
    pub vlans: Vlans,
    /// What the frame carries.
    pub ether_type: EtherType,
    /// The bytes behind the last tag.
    pub payload: &'a [u8],
    /// Length in bytes of the tags that are really there: 0, 4 or 8.
    pub tags_len: usize,
}

/// Why a frame's tags are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The frame ends in a tag.
    #[error("the frame ends in its VLAN tags")]
    CutShort,
    /// A third tag, the reserved identifier 4095, or a service tag that is not the outer one
    /// of two.
    #[error("the frame's VLAN tags are none that a host is in")]
    NotUsable,
}

/// Reads up to two tags at the front of what follows a frame's first EtherType. A tag with
/// identifier 0 has a priority and no VLAN.
///
/// An outer tag may be announced as an 802.1Q or as a service tag, as switches do both; the
/// answer does not tell which.
///
/// # Errors
/// A [`SplitError`].
#[inline]
pub fn split(ether_type: EtherType, bytes: &[u8]) -> Result<Untagged<'_>, SplitError> {
    match ether_type {
        EtherType::VLAN | EtherType::SERVICE_VLAN => split_tags(ether_type, bytes),
        _ => Ok(Untagged { vlans: Vlans::NONE, ether_type, payload: bytes, tags_len: 0 }),
    }
}

fn split_tags(announced: EtherType, bytes: &[u8]) -> Result<Untagged<'_>, SplitError> {
    let (outer, outer_type, rest) = split_tag(bytes)?;
    let has_service_tag = announced == EtherType::SERVICE_VLAN;
    if outer_type != EtherType::VLAN {
        let is_usable = !has_service_tag && outer_type != EtherType::SERVICE_VLAN;
        let vlans = outer.map_or(Vlans::NONE, Vlans::one);
        let untagged = Untagged { vlans, ether_type: outer_type, payload: rest, tags_len: TAG_LEN };
        return is_usable.then_some(untagged).ok_or(SplitError::NotUsable);
    }
    let (inner, ether_type, payload) = split_tag(rest)?;
    let vlans = match (outer, inner) {
        (Some(outer), Some(inner)) => Vlans::two(outer, inner),
        // A service tag's VLAN is another than the 802.1Q VLAN of this number.
        (Some(_), None) if has_service_tag => return Err(SplitError::NotUsable),
        (outer, inner) => outer.or(inner).map_or(Vlans::NONE, Vlans::one),
    };
    if matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) {
        return Err(SplitError::NotUsable);
    }
    Ok(Untagged { vlans, ether_type, payload, tags_len: 2 * TAG_LEN })
}

/// The VLAN of the tag at the front, `None` for a mere priority, and what follows.
fn split_tag(bytes: &[u8]) -> Result<(Option<VlanId>, EtherType, &[u8]), SplitError> {
    let (&[a, b, c, d], rest) = bytes.split_first_chunk::<TAG_LEN>().ok_or(SplitError::CutShort)?;
    let id = u16::from_be_bytes([a, b]) & 0x0fff;
    let vlan = VlanId::new(id);
    if vlan.is_none() && id != 0 {
        return Err(SplitError::NotUsable);
    }
    Ok((vlan, EtherType(u16::from_be_bytes([c, d])), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const C: [u8; 2] = [0x81, 0x00];
    const S: [u8; 2] = [0x88, 0xa8];
    const IP: [u8; 2] = [0x08, 0x00];

    fn id(number: u16) -> VlanId {
        VlanId::new(number).expect("an identifier")
    }

    /// Reads the tags of what follows the MAC addresses, laid out in words.
    fn read(words: &[[u8; 2]]) -> Result<(Vlans, EtherType, usize), SplitError> {
        let bytes = words.concat();
        let (announced, rest) = bytes.split_first_chunk().expect("an EtherType");
        let untagged = split(EtherType(u16::from_be_bytes(*announced)), rest)?;
        assert_eq!(untagged.payload, &rest[untagged.tags_len..]);
        Ok((untagged.vlans, untagged.ether_type, untagged.tags_len))
    }

    #[test]
    fn tags_are_read() {
        let one = Vlans::one(id(300));
        let two = Vlans::two(id(100), id(300));
        for (words, vlans, tags_len) in [
            (&[IP, [9, 9]][..], Vlans::NONE, 0),
            (&[C, [0x61, 0x2c], IP], one, 4),
            (&[S, [0, 100], C, [0x01, 0x2c], IP, [9, 9]], two, 8),
            (&[C, [0, 100], C, [0x01, 0x2c], IP], two, 8),
            (&[C, [0xe0, 0], IP], Vlans::NONE, 4),
            (&[C, [0, 0], C, [0x01, 0x2c], IP], one, 8),
            (&[S, [0, 0], C, [0x01, 0x2c], IP], one, 8),
            (&[C, [0x01, 0x2c], C, [0x20, 0], IP], one, 8),
            (&[S, [0, 0], C, [0, 0], IP], Vlans::NONE, 8),
        ] {
            assert_eq!(read(words), Ok((vlans, EtherType::IPV4, tags_len)), "{words:02x?}");
        }
    }

    #[test]
    fn tags_that_no_host_is_in_are_errors() {
        for words in [
            &[C, [0x0f, 0xff], IP][..],
            &[C, [0, 1], C, [0xff, 0xff], IP],
            &[S, [0, 1], IP],
            &[S, [0, 0], IP],
            &[S, [0, 1], C, [0, 0], IP],
            &[C, [0, 1], S, [0, 2], IP],
            &[S, [0, 1], S, [0, 2], IP],
            &[S, [0, 1], C, [0, 2], C, [0, 3], IP],
            &[C, [0, 1], C, [0, 2], S, [0, 3], IP],
        ] {
            assert_eq!(read(words), Err(SplitError::NotUsable), "{words:02x?}");
        }
        for words in [&[C][..], &[S, [0, 1]], &[C, [0, 1], C, [0, 2]]] {
            assert_eq!(read(words), Err(SplitError::CutShort), "{words:02x?}");
        }
        assert_eq!(split(EtherType::VLAN, &[0, 1, 8]), Err(SplitError::CutShort));
    }

    #[test]
    fn vlans_print_and_are_counted() {
        let two = Vlans::two(id(100), id(300));
        let all = [Vlans::default(), Vlans::one(id(300)), two];
        assert_eq!(all.map(|vlans| vlans.to_string()), ["none", "300", "100.300"]);
        assert_eq!(all.map(Vlans::len_bytes), [0, 4, 8]);
        assert_eq!(all.map(|vlans| vlans.iter().count()), [0, 1, 2]);
        assert_eq!(serde_json::to_string(&two).expect("a text"), "\"100.300\"");
    }

    #[test]
    fn tags_are_written_behind_the_addresses() {
        let write = |vlans: Vlans| {
            let mut frame = [0xee; 24];
            vlans.write(&mut frame, EtherType::IPV6);
            assert!(frame[..12].iter().chain(&frame[14 + vlans.len_bytes()..]).all(|&byte| byte == 0xee));
            frame[12..14 + vlans.len_bytes()].to_vec()
        };
        assert_eq!(write(Vlans::NONE), [0x86, 0xdd]);
        assert_eq!(write(Vlans::one(id(300))), [0x81, 0, 0x01, 0x2c, 0x86, 0xdd]);
        let two = [0x88, 0xa8, 0, 100, 0x81, 0, 0x01, 0x2c, 0x86, 0xdd];
        assert_eq!(write(Vlans::two(id(100), id(300))), two);
        Vlans::one(id(1)).write(&mut [0; 13], EtherType::IPV4);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            kind in prop_oneof![Just(0x8100), Just(0x88a8), any::<u16>()],
            mut bytes in proptest::collection::vec(any::<u8>(), 0..16), tagged: bool,
        ) {
            if tagged && let Some(announced) = bytes.get_mut(2..4) {
                announced.copy_from_slice(&C);
            }
            if let Ok(untagged) = split(EtherType(kind), &bytes) {
                prop_assert_eq!(&bytes[untagged.tags_len..], untagged.payload);
                prop_assert!(untagged.vlans.len_bytes() <= untagged.tags_len);
            }
        }

        #[test]
        fn written_tags_read_back(outer in 0_u16..4095, inner in 0_u16..4095, ether_type: u16) {
            prop_assume!(!matches!(EtherType(ether_type), EtherType::VLAN | EtherType::SERVICE_VLAN));
            let vlans = match (VlanId::new(outer), VlanId::new(inner)) {
                (Some(outer), Some(inner)) => Vlans::two(outer, inner),
                (outer, inner) => outer.or(inner).map_or(Vlans::NONE, Vlans::one),
            };
            let mut frame = [0; 22];
            vlans.write(&mut frame, EtherType(ether_type));
            let announced = EtherType(u16::from_be_bytes([frame[12], frame[13]]));
            let untagged = split(announced, &frame[14..]).expect("well formed");
            prop_assert_eq!((untagged.vlans, untagged.ether_type), (vlans, EtherType(ether_type)));
            prop_assert_eq!(untagged.tags_len, vlans.len_bytes());
        }
    }

    #[test]
    fn reserved_identifiers_are_none() {
        assert_eq!([0, 4095, 5000].map(VlanId::new), [None; 3]);
        assert_eq!(VlanId::new(4094).map(VlanId::number), Some(4094));
    }
}
