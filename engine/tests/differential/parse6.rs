//! How we read what stands behind an IPv6 header, against etherparse: extension headers,
//! ICMPv6 and neighbour discovery.

use std::net::Ipv6Addr;

use etherparse::icmpv6::{NdpOptionsIterator, NeighborAdvertisementPayloadSlice};
use etherparse::{Icmpv6Slice, IpNumber, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice};
use gannet::wire::ethernet::MacAddress;
use gannet::wire::extension::{self, MAX_BYTES, MAX_HEADERS};
use gannet::wire::protocol::Protocol;
use gannet::wire::{icmpv6, ipv6, ndp};

/// Options that etherparse reads and we skip: prefix, redirected header, MTU.
const SKIPPED: [u8; 3] = [3, 4, 5];

/// Gives what the chain at the front of a payload leads to, and what is behind it, unless
/// that is a part of a packet or one of them finds the chain no good.
pub(crate) fn compare_extensions(first: Protocol, payload: &[u8]) -> Option<(Protocol, &[u8])> {
    let (skimmed, theirs) = (extension::skim(first, payload), Chain::read(IpNumber(first.0), payload));
    let (Ok(ours), Some(theirs)) = (skimmed, theirs) else {
        assert_eq!(skimmed.is_ok(), theirs.is_some(), "{first:?} {payload:02x?}");
        return None;
    };
    let fragment = ours.fragment.map(|part| (part.offset, part.more, part.identification));
    let ours_read = Chain { next: IpNumber(ours.protocol.0), len: ours.offset, fragment };
    assert_eq!(ours_read, theirs, "{first:?} {payload:02x?}");
    // What the headers say may be refused, but is not read in another way then.
    let walked = extension::walk(first, payload);
    assert!(walked.is_err() || walked == Ok(ours), "{first:?} {payload:02x?}");
    fragment.is_none().then_some((ours.protocol, &payload[ours.offset..]))
}

/// A chain of extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chain {
    next: IpNumber,
    len: usize,
    /// Offset, whether more follow, and identification.
    fragment: Option<(u16, bool, u32)>,
}

impl Chain {
    /// Header by header as etherparse reads them, as far as a host of ours walks.
    fn read(first: IpNumber, payload: &[u8]) -> Option<Self> {
        let mut chain = Self { next: first, len: 0, fragment: None };
        let (mut headers, mut fragment_headers) = (0, 0);
        while chain.fragment.is_none() && chain.goes_on() {
            let rest = &payload[chain.len..];
            if chain.next == IpNumber::IPV6_FRAGMENTATION_HEADER {
                chain.add_fragment_header(&Ipv6FragmentHeaderSlice::from_slice(rest).ok()?);
                fragment_headers += 1;
            } else {
                let header = Ipv6RawExtHeaderSlice::from_slice(rest).ok()?;
                chain.next = header.next_header();
                chain.len += header.slice().len();
            }
            headers += 1;
            if headers > MAX_HEADERS || chain.len > MAX_BYTES || fragment_headers > 1 {
                return None;
            }
        }
        Some(chain)
    }

    fn goes_on(&self) -> bool {
        matches!(
            self.next,
            IpNumber::IPV6_HEADER_HOP_BY_HOP
                | IpNumber::IPV6_ROUTE_HEADER
                | IpNumber::IPV6_FRAGMENTATION_HEADER
                | IpNumber::IPV6_DESTINATION_OPTIONS
        )
    }

    fn add_fragment_header(&mut self, header: &Ipv6FragmentHeaderSlice<'_>) {
        self.next = header.next_header();
        self.len += header.slice().len();
        let offset = header.fragment_offset().value() * 8;
        let fragment = (offset, header.more_fragments(), header.identification());
        self.fragment = header.is_fragmenting_payload().then_some(fragment);
    }
}

/// Gives whether both found a message valid.
pub(crate) fn compare_icmpv6(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    let pseudo_header = ipv6::pseudo_header(source, destination, Protocol::ICMPV6, message.len() as u32);
    let theirs = Icmpv6Slice::from_slice(message)
        .ok()
        .filter(|message| message.is_checksum_valid(source.octets(), destination.octets()));
    let expected = match theirs.as_ref().map(|message| (message.type_u8(), message.code_u8())) {
        None => icmpv6::Message::Malformed,
        Some((128, 0)) => icmpv6::Message::EchoRequest,
        Some((128, _)) => icmpv6::Message::Malformed,
        Some((kind, _)) => icmpv6::Message::Other(icmpv6::Kind(kind)),
    };
    assert_eq!(icmpv6::parse(message, pseudo_header), expected, "{message:02x?}");
    if let Some(theirs) = &theirs {
        compare_neighbours(theirs);
    }
    theirs.is_some()
}

/// Solicitations and advertisements, whose options are the same.
fn compare_neighbours(message: &Icmpv6Slice<'_>) {
    let bytes = message.slice();
    let (ours, option) = match message.type_u8() {
        135 => {
            let read = ndp::Solicitation::parse(bytes);
            (read.map(|asked| (asked.target, asked.source_link_address)), 1)
        }
        136 => {
            let read = ndp::Advertisement::parse(bytes);
            (read.map(|answer| (answer.target, answer.target_link_address)), 2)
        }
        _ => return,
    };
    match read_neighbour(message, option) {
        Read::As(theirs) => assert_eq!(ours, theirs, "{bytes:02x?}"),
        Read::NotSaid => {}
    }
}

/// What etherparse says of such a message.
enum Read {
    /// A target and a link address, or that it is no good.
    As(Option<(Ipv6Addr, Option<MacAddress>)>),
    /// It stopped at an option that we don't look into.
    NotSaid,
}

fn read_neighbour(message: &Icmpv6Slice<'_>, option: u8) -> Read {
    let payload = NeighborAdvertisementPayloadSlice::from_slice(message.payload()).ok();
    let Some(payload) =
        payload.filter(|payload| message.code_u8() == 0 && !payload.target_address().is_multicast())
    else {
        return Read::As(None);
    };
    let mut options = NdpOptionsIterator::from_slice(payload.options());
    let mut found = None;
    loop {
        let kind = options.rest().first().copied();
        match options.next() {
            None => return Read::As(Some((payload.target_address(), found))),
            Some(Err(_)) if kind.is_some_and(|kind| SKIPPED.contains(&kind)) => return Read::NotSaid,
            Some(Err(_)) => return Read::As(None),
            Some(Ok(read)) if kind == Some(option) => {
                // One of Ethernet is as long as a unit, and is one station's.
                let mac = <[u8; 8]>::try_from(read.as_bytes()).ok().map(|[_, _, mac @ ..]| MacAddress(mac));
                let Some(mac) = mac.filter(|mac| mac.is_unicast()) else { return Read::As(None) };
                found = found.or(Some(mac));
            }
            Some(Ok(_)) => {}
        }
    }
}
