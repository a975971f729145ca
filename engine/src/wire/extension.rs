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
/// The most options in a header, and the most bytes of padding in a row (RFC 8504, section 5.3).
pub const MAX_OPTIONS: usize = 8;
/// More than seven bytes fill nothing up.
pub const MAX_PADDING: usize = 7;
/// Length of a fragment header, and the unit of the lengths of the others, in bytes.
pub const FRAGMENT_HEADER_LEN: usize = 8;

/// The option of one byte that has no length (RFC 8200, section 4.2).
const PAD1: u8 = 0;
/// Padding of two bytes and more.
const PADN: u8 = 1;
/// The bits that say what to do with an unknown option: skip it, drop the packet, or drop it
/// and tell the sender so, which the two other values say.
const OPTION_ACTION: u8 = 0xc0;
const SKIP: u8 = 0x00;
const DROP: u8 = 0x40;
/// The offset, in bytes, in the field that it shares with the flag "more fragments".
const FRAGMENT_OFFSET: u16 = 0xfff8;
/// More fragments follow.
const MORE_FRAGMENTS: u16 = 0x0001;
/// The source routes of old, which let a sender bounce packets between hosts (RFC 5095).
const SOURCE_ROUTE: u8 = 0;

/// Why a packet is not to be looked at further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header or an option ends behind the packet, or a fragment header is there twice.
    #[error("an IPv6 extension header is cut short or out of place")]
    Malformed,
    /// More headers than [`MAX_HEADERS`], bytes of them than [`MAX_BYTES`], or options in one
    /// than [`MAX_OPTIONS`].
    #[error("more IPv6 extension headers than a packet needs")]
    TooMany,
    /// More than [`MAX_PADDING`] bytes of padding in a row, or padding that is not zero.
    #[error("padding in an IPv6 extension header that fills nothing up")]
    Padding,
    /// Hop-by-hop options that do not come first: a header unknown there (RFC 8200, section 4).
    #[error("IPv6 hop-by-hop options that do not come first")]
    HopByHop {
        /// Where in the payload the byte stands that names them.
        at: usize,
    },
    /// A routing header of type 0, or one that wants to be routed on.
    #[error("an IPv6 routing header that wants to be routed on")]
    RoutingHeader {
        /// Where in the payload its type stands.
        at: usize,
    },
    /// An option that we don't know and that says to tell the sender so.
    #[error("an IPv6 option that may not be skipped")]
    Option {
        /// Where in the payload its kind stands.
        at: usize,
    },
    /// An option that we don't know and that says to drop the packet without a word.
    #[error("an IPv6 option that says to drop the packet")]
    SilentOption,
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
        return walk_headers(first, payload, |header, walked| header.check(walked));
    }
    Ok(Walked { protocol: first, protocol_at: None, offset: 0, fragment: None })
}

/// As [`walk`], whatever the headers demand: for who wants to know what a packet carries that
/// was refused.
///
/// # Errors
/// [`Refusal::Malformed`] or [`Refusal::TooMany`].
pub fn skim(first: Protocol, payload: &[u8]) -> Result<Walked, Refusal> {
    walk_headers(first, payload, |_, _| Ok(()))
}

fn is_extension(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::HOP_BY_HOP | Protocol::ROUTING | Protocol::FRAGMENT | Protocol::DESTINATION_OPTIONS
    )
}

#[cold]
fn walk_headers(
    first: Protocol,
    payload: &[u8],
    check: impl Fn(&Header<'_>, &Walked) -> Result<(), Refusal>,
) -> Result<Walked, Refusal> {
    let mut walked = Walked { protocol: first, protocol_at: None, offset: 0, fragment: None };
    let (mut count, mut fragment_headers) = (0, 0);
    while is_extension(walked.protocol) && walked.fragment.is_none() {
        if count == MAX_HEADERS {
            return Err(Refusal::TooMany);
        }
        count += 1;
        let header = Header::parse(walked.protocol, payload, walked.offset)?;
        check(&header, &walked)?;
        if walked.protocol == Protocol::FRAGMENT {
            walked.fragment = header.fragment(&walked);
            fragment_headers += 1;
        }
        if fragment_headers > 1 {
            return Err(Refusal::Malformed);
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

    /// Checks what it says, being where `walked` has come to.
    fn check(&self, walked: &Walked) -> Result<(), Refusal> {
        match (walked.protocol, walked.protocol_at) {
            (Protocol::HOP_BY_HOP, Some(at)) => Err(Refusal::HopByHop { at }),
            (Protocol::ROUTING, _) => self.check_route(walked.offset),
            (Protocol::FRAGMENT, _) => Ok(()),
            _ => self.check_options(walked.offset),
        }
    }

    fn check_route(&self, offset: usize) -> Result<(), Refusal> {
        let [_, _, kind, segments_left, ..] = *self.start;
        let is_refused = kind == SOURCE_ROUTE || segments_left != 0;
        if is_refused { Err(Refusal::RoutingHeader { at: offset + 2 }) } else { Ok(()) }
    }

    fn check_options(&self, offset: usize) -> Result<(), Refusal> {
        let mut options = self.bytes.get(2..).ok_or(Refusal::Malformed)?;
        let (mut padding, mut count) = (0, 0);
        while let Some((&kind, rest)) = options.split_first() {
            let at = offset + self.bytes.len() - options.len();
            let (value, rest) = if kind == PAD1 { (&[][..], rest) } else { split_option(rest)? };
            if matches!(kind, PAD1 | PADN) {
                padding += options.len() - rest.len();
                if padding > MAX_PADDING || value.iter().any(|&byte| byte != 0) {
                    return Err(Refusal::Padding);
                }
            } else {
                (padding, count) = (0, count + 1);
                if count > MAX_OPTIONS {
                    return Err(Refusal::TooMany);
                }
                check_option(kind, at)?;
            }
            options = rest;
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

/// The value of an option and what is behind it; `bytes` begin with its length.
fn split_option(bytes: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let (&len, rest) = bytes.split_first().ok_or(Refusal::Malformed)?;
    rest.split_at_checked(usize::from(len)).ok_or(Refusal::Malformed)
}

/// What an option says to do with it whose kind, at `at`, is unknown (RFC 8200, section 4.2).
fn check_option(kind: u8, at: usize) -> Result<(), Refusal> {
    match kind & OPTION_ACTION {
        SKIP => Ok(()),
        DROP => Err(Refusal::SilentOption),
        _ => Err(Refusal::Option { at }),
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

    fn is_end(walked: &Walked) -> bool {
        walked.fragment.is_some() || !is_extension(walked.protocol)
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
        for first in [Protocol::DESTINATION_OPTIONS, Protocol::HOP_BY_HOP] {
            assert_eq!(walk(first, &chain), Err(Refusal::HopByHop { at: 0 }));
            assert_eq!(skim(first, &chain), walked(Protocol::UDP, Some(8), 16));
        }
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
    fn a_second_fragment_header_is_refused() {
        let chain = [44, 0, 0, 0, 0, 0, 0, 9, 17, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(walk(Protocol::FRAGMENT, &chain), Err(Refusal::Malformed));
        let behind = [44, 0, 0, 0, 0, 0, 0, 9, 17, 0, 0, 1, 0, 0, 0, 9];
        assert_eq!(walk(Protocol::FRAGMENT, &behind), Err(Refusal::Malformed), "of a fragment");
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
                refused.then_some(Refusal::RoutingHeader { at: 2 }),
                "type {kind}, {segments_left} left"
            );
        }
    }

    #[test]
    fn options_that_say_so_are_refused() {
        let walk_one = |bytes| walk(Protocol::DESTINATION_OPTIONS, &options(Protocol::UDP, bytes)).err();
        assert_eq!(walk_one([0; 6]), None, "Pad1");
        assert_eq!(walk_one([0x1e, 4, 9, 9, 9, 9]), None, "unknown, may be skipped");
        for kind in [0x9e, 0xde, 0xc2] {
            assert_eq!(walk_one([kind, 4, 0, 0, 0, 0]), Some(Refusal::Option { at: 2 }), "{kind:02x}");
            assert_eq!(walk_one([1, 1, 0, kind, 1, 0]), Some(Refusal::Option { at: 5 }), "{kind:02x}, PadN");
        }
        assert_eq!(walk_one([0x5e, 4, 0, 0, 0, 0]), Some(Refusal::SilentOption));
        assert_eq!(walk_one([1, 5, 0, 0, 0, 0]), Some(Refusal::Malformed), "longer than the header");
        assert_eq!(walk_one([1, 3, 0, 0, 0, 1]), Some(Refusal::Malformed), "no length");
    }

    #[test]
    fn padding_is_short_and_zero() {
        let walk_one = |bytes: &[u8]| {
            let header = [&[Protocol::UDP.0, 1][..], bytes].concat();
            walk(Protocol::DESTINATION_OPTIONS, &header).err()
        };
        assert_eq!(walk_one(&[0x1e, 5, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0]), None, "seven bytes");
        assert_eq!(walk_one(&[0x1e, 4, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0]), Some(Refusal::Padding));
        assert_eq!(walk_one(&[0x1e, 4, 0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0]), Some(Refusal::Padding), "both");
        assert_eq!(
            walk_one(&[1, 3, 0, 0, 0, 0x1e, 2, 0, 0, 1, 3, 0, 0, 1]),
            Some(Refusal::Padding),
            "no zeros"
        );
    }

    #[test]
    fn what_is_refused_can_be_skimmed() {
        let chain =
            [options(Protocol::ROUTING, [0x9e, 4, 0, 0, 0, 0]), options(Protocol::UDP, PADDING)].concat();
        assert_eq!(walk(Protocol::HOP_BY_HOP, &chain), Err(Refusal::Option { at: 2 }));
        assert_eq!(skim(Protocol::HOP_BY_HOP, &chain), walked(Protocol::UDP, Some(8), 16));
        assert_eq!(skim(Protocol::HOP_BY_HOP, &chain[..15]), Err(Refusal::Malformed));
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
            header[..4].copy_from_slice(&[Protocol::UDP.0, eights - 1, 0x1e, 255]);
            let rest = header.len() - 261;
            header[259..261].copy_from_slice(&[0x1e, rest.min(255) as u8]);
            walk(Protocol::HOP_BY_HOP, &header)
        };
        assert_eq!(long(64), walked(Protocol::UDP, Some(0), 512));
        assert_eq!(long(65), Err(Refusal::TooMany));
        let crowded = |count| {
            let header = [&[Protocol::UDP.0, 2][..], &[0x1e, 0].repeat(count), &[0x1e, 20 - 2 * count as u8]];
            let header = [header.concat(), vec![0; 20 - 2 * count]].concat();
            walk(Protocol::HOP_BY_HOP, &header)
        };
        assert_eq!(crowded(7), walked(Protocol::UDP, Some(0), 24));
        assert_eq!(crowded(8), Err(Refusal::TooMany));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(first in prop_oneof![Just(0_u8), Just(43), Just(44), Just(60), any::<u8>()], bytes in vec(any::<u8>(), 0..600)) {
            if let Ok(walked) = walk(Protocol(first), &bytes) {
                prop_assert!(walked.offset <= bytes.len() && walked.offset <= MAX_BYTES);
                prop_assert!(walked.protocol_at.is_none_or(|at| bytes[at] == walked.protocol.0));
                prop_assert!(is_end(&walked));
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
                prop_assert!(is_end(&walked));
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
