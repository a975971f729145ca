//! The walk over IPv6 extension headers (RFC 8200, section 4), with a bound on its work.
//!
//! A chain of headers may be as long as the packet, and each may hold a long list of options:
//! whoever walks it all does a sender's bidding (RFC 9098, RFC 7045). Ours is a host's walk:
//! nothing real comes near the bounds.

use super::protocol::Protocol;

/// The most extension headers before the upper layer.
pub const MAX_HEADERS: usize = 8;
/// The most bytes of extension headers before the upper layer.
pub const MAX_BYTES: usize = 512;
/// Length of a fragment header, and the unit of the lengths of the others, in bytes.
pub const FRAGMENT_HEADER_LEN: usize = 8;

/// The option of one byte that has no length (RFC 8200, section 4.2).
const PAD1: u8 = 0;
/// What to do with an unknown option: where these bits are zero, skip it.
const OPTION_ACTION: u8 = 0xc0;
/// The offset, in bytes, in the field that it shares with the flag "more fragments".
const FRAGMENT_OFFSET: u16 = 0xfff8;
/// More fragments follow.
const MORE_FRAGMENTS: u16 = 0x0001;
/// The source routes of old, which let a sender bounce packets between hosts (RFC 5095).
const SOURCE_ROUTE: u8 = 0;

/// Why a packet is not to be looked at further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header or an option ends behind the packet, or hop-by-hop options are not first.
    #[error("an IPv6 extension header is cut short or out of place")]
    Malformed,
    /// More headers than [`MAX_HEADERS`], or bytes of them than [`MAX_BYTES`].
    #[error("more IPv6 extension headers than a packet needs")]
    TooMany,
    /// A routing header of type 0, or one that wants to be routed on.
    #[error("an IPv6 routing header that wants to be routed on")]
    RoutingHeader,
    /// An option that we don't know and that says not to skip it then.
    #[error("an IPv6 option that may not be skipped")]
    Option,
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The upper layer, or whatever else we don't walk through: of a fragment, what the
    /// whole packet carries behind the fragment header.
    pub protocol: Protocol,
    /// Where in the payload the byte lies that names `protocol`; `None` if it is the next
    /// header of the IPv6 header itself.
    pub protocol_at: Option<usize>,
    /// Bytes of extension headers before it, a fragment header included.
    pub offset: usize,
    /// The fragment header that ended the walk.
    pub fragment: Option<Fragment>,
}

/// What stands in the header of a fragment that is not the whole packet, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where in the payload the fragment header starts: what is before it stands in every
    /// fragment and is kept once (RFC 8200, section 4.5).
    pub header_offset: usize,
    /// Where in the payload the byte lies that names the fragment header and is to name
    /// `next_header` in the reassembled packet; `None` if it is in the IPv6 header itself.
    pub previous_next_header_at: Option<usize>,
    /// What the reassembled packet carries there.
    pub next_header: Protocol,
    /// Where its data belong, in bytes from the first fragment's: a multiple of 8.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// The same in all fragments of a packet between two hosts.
    pub identification: u32,
}

/// Walks the extension headers at the front of an IPv6 packet's payload; `first` is the next
/// header of the IPv6 header. A fragment that is the whole packet (RFC 6946) is walked
/// through, any other ends the walk. A header that we don't know ends it too, and
/// [`Protocol::NO_NEXT_HEADER`].
///
/// # Errors
/// A [`Refusal`], where it is met first.
#[inline]
pub fn walk(first: Protocol, payload: &[u8]) -> Result<Walked, Refusal> {
    if is_extension(first) {
        return walk_headers(first, payload);
    }
    Ok(Walked { protocol: first, protocol_at: None, offset: 0, fragment: None })
}

fn is_extension(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::HOP_BY_HOP | Protocol::ROUTING | Protocol::FRAGMENT | Protocol::DESTINATION_OPTIONS
    )
}

#[cold]
fn walk_headers(first: Protocol, payload: &[u8]) -> Result<Walked, Refusal> {
    let mut walked = Walked { protocol: first, protocol_at: None, offset: 0, fragment: None };
    let mut count = 0;
    while is_extension(walked.protocol) && walked.fragment.is_none() {
        if count == MAX_HEADERS {
            return Err(Refusal::TooMany);
        }
        count += 1;
        let header = Header::parse(walked.protocol, payload, walked.offset)?;
        match walked.protocol {
            Protocol::HOP_BY_HOP if walked.offset > 0 => return Err(Refusal::Malformed),
            Protocol::ROUTING => header.check_route()?,
            Protocol::FRAGMENT => walked.fragment = header.fragment(&walked),
            _ => header.check_options()?,
        }
        walked.protocol = header.next_header();
        walked.protocol_at = Some(walked.offset);
        walked.offset += header.bytes.len();
    }
    Ok(walked)
}

/// An extension header: its length is checked.
struct Header<'a> {
    start: &'a [u8; FRAGMENT_HEADER_LEN],
    bytes: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(protocol: Protocol, payload: &'a [u8], offset: usize) -> Result<Self, Refusal> {
        let rest = payload.get(offset..).ok_or(Refusal::Malformed)?;
        let start: &[u8; FRAGMENT_HEADER_LEN] = rest.first_chunk().ok_or(Refusal::Malformed)?;
        // The byte is reserved in a fragment header.
        let more = if protocol == Protocol::FRAGMENT { 0 } else { usize::from(start[1]) };
        let bytes = rest.get(..(more + 1) * 8).ok_or(Refusal::Malformed)?;
        if offset + bytes.len() > MAX_BYTES {
            return Err(Refusal::TooMany);
        }
        Ok(Self { start, bytes })
    }

    fn next_header(&self) -> Protocol {
        Protocol(self.start[0])
    }

    fn check_route(&self) -> Result<(), Refusal> {
        let [_, _, kind, segments_left, ..] = *self.start;
        if kind == SOURCE_ROUTE || segments_left != 0 { Err(Refusal::RoutingHeader) } else { Ok(()) }
    }

    fn check_options(&self) -> Result<(), Refusal> {
        let mut options = self.bytes.get(2..).ok_or(Refusal::Malformed)?;
        while let Some((&kind, rest)) = options.split_first() {
            if kind == PAD1 {
                options = rest;
                continue;
            }
            let (&len, rest) = rest.split_first().ok_or(Refusal::Malformed)?;
            options = rest.get(usize::from(len)..).ok_or(Refusal::Malformed)?;
            if kind & OPTION_ACTION != 0 {
                return Err(Refusal::Option);
            }
        }
        Ok(())
    }

    /// The fragment that `walked` has come to; `None` if it is the whole packet.
    fn fragment(&self, walked: &Walked) -> Option<Fragment> {
        let [next_header, _, high, low, identification @ ..] = *self.start;
        let offset = u16::from_be_bytes([high, low]);
        if offset & (FRAGMENT_OFFSET | MORE_FRAGMENTS) == 0 {
            return None;
        }
        Some(Fragment {
            header_offset: walked.offset,
            previous_next_header_at: walked.protocol_at,
            next_header: Protocol(next_header),
            offset: offset & FRAGMENT_OFFSET,
            more: offset & MORE_FRAGMENTS != 0,
            identification: u32::from_be_bytes(identification),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use smoltcp::wire::{Ipv6FragmentHeader, Ipv6FragmentRepr, Ipv6OptionsIterator};

    use super::*;

    const PADDING: [u8; 6] = [1, 4, 0, 0, 0, 0];

    /// An options header of eight bytes: a PadN, or what is given.
    fn options(next: Protocol, options: [u8; 6]) -> Vec<u8> {
        [&[next.0, 0][..], &options].concat()
    }

    fn walked(protocol: Protocol, protocol_at: Option<usize>, offset: usize) -> Result<Walked, Refusal> {
        Ok(Walked { protocol, protocol_at, offset, fragment: None })
    }

    #[test]
    fn a_packet_without_extensions_is_there_at_once() {
        for protocol in [Protocol::UDP, Protocol::ICMPV6, Protocol::NO_NEXT_HEADER, Protocol(51)] {
            assert_eq!(walk(protocol, &[]), walked(protocol, None, 0));
        }
    }

    #[test]
    fn a_chain_in_the_order_of_the_rfc_is_walked() {
        let mut chain = options(Protocol::DESTINATION_OPTIONS, [5, 2, 0, 0, 0, 0]);
        chain.extend(options(Protocol::ROUTING, PADDING));
        chain.extend([Protocol::FRAGMENT.0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        chain.extend([Protocol::UDP.0, 0, 0, 0, 1, 2, 3, 4]);
        chain.extend([0x12, 0x34]);
        assert_eq!(walk(Protocol::HOP_BY_HOP, &chain), walked(Protocol::UDP, Some(32), 40));
        for len in 0..40 {
            assert_eq!(walk(Protocol::HOP_BY_HOP, &chain[..len]), Err(Refusal::Malformed), "{len} bytes");
        }
    }

    #[test]
    fn hop_by_hop_options_come_first_or_not_at_all() {
        let chain = [options(Protocol::HOP_BY_HOP, PADDING), options(Protocol::UDP, PADDING)].concat();
        assert_eq!(walk(Protocol::DESTINATION_OPTIONS, &chain), Err(Refusal::Malformed));
        assert_eq!(walk(Protocol::HOP_BY_HOP, &chain), Err(Refusal::Malformed));
        assert_eq!(walk(Protocol::HOP_BY_HOP, &chain[8..]), walked(Protocol::UDP, Some(0), 8));
    }

    #[test]
    fn a_fragment_ends_the_walk_and_says_where() {
        let mut chain = options(Protocol::FRAGMENT, PADDING);
        chain.extend([Protocol::UDP.0, 0xff, 0x05, 0xa9, 0xde, 0xad, 0xbe, 0xef, 1, 2]);
        let mut fragment = Fragment {
            header_offset: 8,
            previous_next_header_at: Some(0),
            next_header: Protocol::UDP,
            offset: 1448,
            more: true,
            identification: 0xdead_beef,
        };
        let expected = |fragment| Walked {
            protocol: Protocol::UDP,
            protocol_at: Some(8),
            offset: 16,
            fragment: Some(fragment),
        };
        assert_eq!(walk(Protocol::DESTINATION_OPTIONS, &chain), Ok(expected(fragment)));
        chain[10..12].copy_from_slice(&[0, 7]);
        fragment.offset = 0;
        assert_eq!(walk(Protocol::DESTINATION_OPTIONS, &chain), Ok(expected(fragment)), "the first");
        chain[10..12].copy_from_slice(&[0, 8]);
        (fragment.offset, fragment.more) = (8, false);
        assert_eq!(walk(Protocol::DESTINATION_OPTIONS, &chain), Ok(expected(fragment)), "the last");
        chain[10..12].copy_from_slice(&[0, 6]);
        assert_eq!(
            walk(Protocol::DESTINATION_OPTIONS, &chain),
            walked(Protocol::UDP, Some(8), 16),
            "the only"
        );
        let first = walk(Protocol::FRAGMENT, &[17, 0, 0, 1, 0, 0, 0, 9]).expect("valid").fragment;
        assert_eq!(first.map(|first| (first.header_offset, first.previous_next_header_at)), Some((0, None)));
    }

    #[test]
    fn a_fragment_of_a_fragment_ends_at_the_first() {
        let chain = [44, 0, 0, 1, 0, 0, 0, 9, 17, 0, 0, 0, 0, 0, 0, 0];
        let walked = walk(Protocol::FRAGMENT, &chain).expect("valid");
        assert_eq!((walked.protocol, walked.offset), (Protocol::FRAGMENT, 8));
    }

    #[test]
    fn source_routes_are_refused() {
        for (kind, segments_left, refused) in
            [(0, 0, true), (0, 1, true), (4, 0, false), (4, 1, true), (2, 1, true), (253, 0, false)]
        {
            let chain = [17, 0, kind, segments_left, 0, 0, 0, 0];
            let result = walk(Protocol::ROUTING, &chain);
            assert_eq!(
                result.err(),
                refused.then_some(Refusal::RoutingHeader),
                "type {kind}, {segments_left} left"
            );
        }
    }

    #[test]
    fn options_that_say_so_are_refused() {
        let walk_one = |bytes| walk(Protocol::DESTINATION_OPTIONS, &options(Protocol::UDP, bytes)).err();
        assert_eq!(walk_one([0; 6]), None, "Pad1");
        assert_eq!(walk_one([0x1e, 4, 9, 9, 9, 9]), None, "unknown, may be skipped");
        for kind in [0x5e, 0x9e, 0xde, 0xc2] {
            assert_eq!(walk_one([kind, 4, 0, 0, 0, 0]), Some(Refusal::Option), "{kind:02x}");
            assert_eq!(walk_one([1, 1, 0, kind, 1, 0]), Some(Refusal::Option), "{kind:02x} behind a PadN");
        }
        assert_eq!(walk_one([1, 5, 0, 0, 0, 0]), Some(Refusal::Malformed), "longer than the header");
        assert_eq!(walk_one([1, 3, 0, 0, 0, 1]), Some(Refusal::Malformed), "no length");
    }

    #[test]
    fn the_walk_is_bounded() {
        let chain = |len| {
            let mut chain = options(Protocol::DESTINATION_OPTIONS, PADDING).repeat(len);
            chain[(len - 1) * 8] = Protocol::UDP.0;
            walk(Protocol::DESTINATION_OPTIONS, &chain)
        };
        assert_eq!(chain(8), walked(Protocol::UDP, Some(56), 64));
        assert_eq!(chain(9), Err(Refusal::TooMany));
        let long = |eights: u8| {
            let mut header = vec![0; usize::from(eights) * 8];
            header[..2].copy_from_slice(&[Protocol::UDP.0, eights - 1]);
            walk(Protocol::HOP_BY_HOP, &header)
        };
        assert_eq!(long(64), walked(Protocol::UDP, Some(0), 512));
        assert_eq!(long(65), Err(Refusal::TooMany));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(first in prop_oneof![Just(0_u8), Just(43), Just(44), Just(60), any::<u8>()], bytes in vec(any::<u8>(), 0..600)) {
            if let Ok(walked) = walk(Protocol(first), &bytes) {
                prop_assert!(walked.offset <= bytes.len() && walked.offset <= MAX_BYTES);
                prop_assert!(walked.protocol_at.is_none_or(|at| bytes[at] == walked.protocol.0));
                prop_assert!(walked.fragment.is_some() || !is_extension(walked.protocol));
            }
        }

        #[test]
        fn no_chain_panics(
            kinds in vec(prop_oneof![Just(0_u8), Just(43), Just(44), Just(60), Just(17)], 0..12),
            mut bytes in vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..100),
        ) {
            for (header, kind) in bytes.chunks_exact_mut(8).zip(&kinds) {
                (header[0], header[1]) = (*kind, header[1] & 1);
            }
            if let Ok(walked) = walk(Protocol::DESTINATION_OPTIONS, &bytes) {
                prop_assert!((8..=bytes.len()).contains(&walked.offset) && walked.offset % 8 == 0);
                prop_assert!(walked.protocol_at.is_some_and(|at| bytes[at] == walked.protocol.0));
                prop_assert!(walked.fragment.is_some() || !is_extension(walked.protocol));
            }
        }

        #[test]
        fn fragments_read_as_smoltcp_reads_them(header: [u8; 8]) {
            let theirs = Ipv6FragmentHeader::new_checked(&header[2..]).expect("long enough");
            let theirs = Ipv6FragmentRepr::parse(&theirs).expect("valid");
            prop_assume!(theirs.frag_offset != 0 || theirs.more_frags);
            let ours = walk(Protocol::FRAGMENT, &header).expect("valid").fragment.expect("a fragment");
            prop_assert_eq!(ours.offset, theirs.frag_offset * 8);
            prop_assert_eq!((ours.more, ours.identification), (theirs.more_frags, theirs.ident));
        }

        #[test]
        fn options_end_where_smoltcp_says(bytes: [u8; 6]) {
            let well_formed = Ipv6OptionsIterator::new(&bytes).all(|option| option.is_ok());
            let ours = walk(Protocol::DESTINATION_OPTIONS, &options(Protocol::UDP, bytes));
            if ours.is_ok() {
                prop_assert!(well_formed);
            } else if ours == Err(Refusal::Malformed) {
                prop_assert!(!well_formed);
            }
        }
    }
}
