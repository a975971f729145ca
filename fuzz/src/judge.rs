//! Holds what the host sends against what it was sent. The answers are read by etherparse and by
//! [`crate::layout`], their checksums verified by an independent sum.

use crate::layout::number::{ARP, ICMP, ICMPV6, UDP};
use crate::layout::{Ip, Layout, word};
use crate::rig::{LINK_LOCAL, MTU, OWN_MAC, link, own_ipv4, own_ipv6};

/// The shortest frame that leaves, in bytes.
const SHORTEST: usize = 60;
/// The longest ICMP errors (RFC 1812, section 4.3.2.3; RFC 4443, section 2.4(c)), in bytes.
const LONGEST_ERROR: [usize; 2] = [576, 1280];
/// Hops that our packets may take, and those of neighbour discovery.
const HOPS: u8 = 64;
const ALL_HOPS: u8 = 255;
/// All nodes of a link, and the station that they are.
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Routers that read listener reports (RFC 3810, section 5.2.14).
const ROUTERS: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16];

/// Any frame that leaves is right in itself.
///
/// # Panics
/// If it is not.
pub fn well_formed(frame: &[u8]) {
    assert!(frame.len() >= SHORTEST, "a frame of {} bytes left", frame.len());
    let parsed = etherparse::SlicedPacket::from_ethernet(frame);
    assert!(parsed.is_ok(), "{:?}: {frame:02x?}", parsed.err());
    let layout = Layout::of(frame).expect("it has a link header");
    assert_eq!(frame[6..12], OWN_MAC, "from us: {frame:02x?}");
    assert_ne!(frame[..6], [0; 6], "to nobody: {frame:02x?}");
    let end = match (&layout.ip, layout.ether_type) {
        (Some(ip), _) => well_formed_ip(frame, &layout, ip),
        (None, ARP) => well_formed_arp(frame, &layout),
        _ => panic!("neither IP nor ARP: {frame:02x?}"),
    };
    assert!(frame[end..].iter().all(|&byte| byte == 0), "padded with {:02x?}", &frame[end..]);
    assert_eq!(frame.len(), end.max(SHORTEST), "padded where it need not: {frame:02x?}");
}

/// Gives where the packet ends.
fn well_formed_ip(frame: &[u8], layout: &Layout, ip: &Ip) -> usize {
    let tags = layout.tags(frame);
    assert!(ip.is_header_valid(frame), "header checksum: {frame:02x?}");
    assert!(ip.is_payload_valid(frame), "checksum: {frame:02x?}");
    assert!(ip.len() <= MTU, "{} bytes are over the MTU", ip.len());
    let message = &frame[ip.payload.clone()];
    if is_listener_report(frame, ip) {
        return well_formed_report(frame, ip, tags);
    }
    let is_discovery = !ip.is_fragment && ip.protocol == ICMPV6 && matches!(message, [135 | 136, ..]);
    let (class, hops) = class_and_hops(frame, ip);
    assert_eq!(hops, if is_discovery { ALL_HOPS } else { HOPS }, "hops: {frame:02x?}");
    assert_eq!(class & 3, 0, "congestion bits: {frame:02x?}");
    let source = ip.source(frame);
    if ip.version == 4 {
        assert_eq!(ip.header.len(), 20, "options: {frame:02x?}");
        assert_eq!(source, own_ipv4(tags), "not from our address: {frame:02x?}");
    } else {
        let is_probe = is_discovery && message[0] == 135 && source == [0; 16];
        assert!(is_own_ipv6(tags, source) || is_probe, "not from our address: {frame:02x?}");
        assert!(ip.is_fragment || ip.payload.start == ip.header.end, "extension headers: {frame:02x?}");
    }
    if let [0xff, _, .., a, b, c, d] = *ip.destination(frame)
        && ip.version == 6
    {
        assert_eq!(frame[..6], [0x33, 0x33, a, b, c, d], "the station of the group");
    }
    match ip.protocol {
        UDP | ICMP | ICMPV6 if ip.is_fragment => {
            let has_more = ip.has_more(frame);
            assert!(!has_more || message.len().is_multiple_of(8), "a part of {} bytes", message.len());
        }
        UDP => {
            let len = word(message, 4).map(usize::from);
            assert_eq!(len, Some(message.len()), "the UDP length: {frame:02x?}");
        }
        ICMP => assert!(matches!(message, [0, 0, ..] | [3, 2..=4, ..] | [11, 1, ..]), "{message:02x?}"),
        ICMPV6 if is_discovery => well_formed_discovery(frame, ip, tags),
        ICMPV6 => {
            let is_known =
                matches!(message, [1, 4, ..] | [2, 0, ..] | [3, 1, ..] | [4, 0..=2, ..] | [129, 0, ..]);
            assert!(is_known, "{message:02x?}");
        }
        protocol => panic!("protocol {protocol}"),
    }
    ip.payload.end
}

/// Whether it says which groups its sender listens to.
fn is_listener_report(frame: &[u8], ip: &Ip) -> bool {
    !ip.is_fragment
        && ip.protocol == ICMPV6
        && matches!(frame[ip.payload.start..ip.payload.end], [131 | 143, ..])
}

/// A report of ours (RFC 3810, section 5.2; RFC 2710, section 3).
fn well_formed_report(frame: &[u8], ip: &Ip, tags: &[u8]) -> usize {
    let (message, source) = (&frame[ip.payload.clone()], ip.source(frame));
    assert_eq!(class_and_hops(frame, ip), (0, 1), "class and hops: {frame:02x?}");
    assert_eq!(frame[ip.header.end..ip.payload.start], [58, 0, 5, 2, 0, 0, 1, 0], "a router alert");
    assert!(source == [0; 16] || (link(tags).is_some() && source == LINK_LOCAL), "{frame:02x?}");
    let group = match *message {
        [131, 0, _, _, 0, 0, 0, 0, ref group @ ..] => group,
        [143, 0, _, _, 0, 0, 0, 1, 2 | 4, 0, 0, 0, ref group @ ..] => group,
        _ => panic!("{message:02x?}"),
    };
    let is_ours = [own_ipv6(tags), LINK_LOCAL]
        .iter()
        .any(|own| group == [&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff], &own[13..]].concat());
    assert!(is_ours, "the group of an address of ours: {message:02x?}");
    let to = if message[0] == 131 { group } else { &ROUTERS[..] };
    assert_eq!(ip.destination(frame), to, "to those who are to know");
    assert_eq!(frame[..6], [&[0x33, 0x33], &to[12..]].concat(), "the station of the group");
    ip.payload.end
}

/// Traffic class and hops left.
fn class_and_hops(frame: &[u8], ip: &Ip) -> (u8, u8) {
    let header = &frame[ip.header.clone()];
    if ip.version == 4 { (header[1], header[8]) } else { (header[0] << 4 | header[1] >> 4, header[7]) }
}

/// A solicitation or an advertisement of ours (RFC 4861, sections 4.3 and 4.4).
fn well_formed_discovery(frame: &[u8], ip: &Ip, tags: &[u8]) {
    let message = &frame[ip.payload.clone()];
    let (source, target) = (ip.source(frame), &message[8..24]);
    assert_eq!((message[1], target[0] == 0xff), (0, false), "{message:02x?}");
    if message[0] == 136 {
        assert!(is_own_ipv6(tags, target), "an address of ours: {message:02x?}");
        assert_eq!(source, target, "from the address that it is about");
        assert_eq!(message[24..], [&[2, 1], &OWN_MAC[..]].concat(), "our station");
        let is_to_all = ip.destination(frame) == ALL_NODES;
        assert_eq!(message[4], if is_to_all { 0x20 } else { 0x60 }, "flags: {message:02x?}");
        return;
    }
    let group = [&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff], &target[13..]].concat();
    assert_eq!(ip.destination(frame), group, "to those whose address ends so");
    if source == [0; 16] {
        assert!(is_own_ipv6(tags, target) && message.len() == 24, "a probe: {message:02x?}");
    } else {
        assert_eq!(message[24..], [&[1, 1], &OWN_MAC[..]].concat(), "our station");
    }
}

fn is_own_ipv6(tags: &[u8], address: &[u8]) -> bool {
    link(tags).is_some() && (address == own_ipv6(tags) || address == LINK_LOCAL)
}

fn well_formed_arp(frame: &[u8], layout: &Layout) -> usize {
    let body = &frame[layout.link_len..layout.link_len + 28];
    assert_eq!(body[..6], [0, 1, 8, 0, 6, 4], "{frame:02x?}");
    assert!(matches!(body[6..8], [0, 1 | 2]), "operation: {frame:02x?}");
    assert_eq!(body[8..14], OWN_MAC, "sender: {frame:02x?}");
    layout.link_len + 28
}

/// The answers to one frame, by a host whose service is an echo and that says nothing of its own
/// accord now.
///
/// # Panics
/// If there is more than one, or one that should not be, or a wrong one.
pub fn answers(asked: &[u8], answers: &[Vec<u8>]) {
    let is_query =
        Layout::of(asked).and_then(|layout| layout.ip).is_some_and(|ip| is_listener_query(asked, &ip));
    // As many as the link has groups.
    let answers: Vec<_> = answers.iter().filter(|answer| !(is_query && reports(answer))).collect();
    let answer = match answers[..] {
        [] => return,
        [answer] => answer,
        _ => panic!("{} answers to {asked:02x?}", answers.len()),
    };
    let from = Layout::of(asked).expect("what is answered has a link header");
    let to = Layout::of(answer).expect("an answer has a link header");
    assert_eq!(to.tags(answer), from.tags(asked), "tags of the answer to {asked:02x?}");
    assert_eq!(to.ether_type, from.ether_type, "what it carries");
    assert!(link(from.tags(asked)).is_some(), "an answer where we have no address: {asked:02x?}");
    assert!(asked[6] & 1 == 0 && asked[6..12] != [0; 6], "an answer to a station that is none");
    match (&from.ip, &to.ip) {
        (Some(from), Some(to)) => ip_answer(asked, from, answer, to),
        (None, None) => arp_answer(&asked[from.link_len..], &answer[to.link_len..]),
        _ => panic!("{answer:02x?} is no answer to {asked:02x?}"),
    }
    if answer[0] & 1 == 0 {
        assert_eq!(answer[..6], asked[6..12], "to the sender of {asked:02x?}");
    }
}

/// Whether a router or a switch asks who listens: from its link, and to a group.
fn is_listener_query(asked: &[u8], ip: &Ip) -> bool {
    let is_of_link = ip.source(asked)[0] == 0xfe && ip.destination(asked)[0] == 0xff;
    let message = asked.get(ip.payload.clone()).unwrap_or_default();
    ip.version == 6 && is_of_link && ip.protocol == ICMPV6 && message.first() == Some(&130)
}

/// Whether a frame says which groups its sender listens to.
pub fn reports(answer: &[u8]) -> bool {
    Layout::of(answer).and_then(|layout| layout.ip).is_some_and(|ip| is_listener_report(answer, &ip))
}

fn arp_answer(asked: &[u8], answer: &[u8]) {
    assert_eq!((&asked[6..8], &answer[6..8]), (&[0, 1][..], &[0, 2][..]), "a reply to a request");
    assert_eq!(answer[14..18], asked[24..28], "about the address that was asked for");
    assert_eq!(answer[18..28], asked[8..18], "to the sender");
}

fn ip_answer(asked: &[u8], from: &Ip, answer: &[u8], to: &Ip) {
    assert!(!from.is_fragment && !to.is_fragment, "an answer to a part of a packet: {asked:02x?}");
    assert_eq!(to.version, from.version);
    let (request, reply) = (&asked[from.payload.clone()], &answer[to.payload.clone()]);
    // A solicitation behind an option that is refused is told of that.
    let is_asked = from.version == 6 && from.protocol == ICMPV6 && request.first() == Some(&135);
    if is_asked && !is_error(to, reply) {
        return advertisement(asked, from, answer, to);
    }
    assert!(is_unicast(asked, from), "an answer to a group: {asked:02x?}");
    assert!(is_possible_source(asked, from), "an answer to {:?}", from.source(asked));
    assert!(from.is_header_valid(asked), "an answer to a wrong header checksum: {asked:02x?}");
    assert_eq!(to.destination(answer), from.source(asked), "to the sender");
    assert_eq!(answer[0] & 1, 0, "one station: {answer:02x?}");
    assert_eq!(to.source(answer), from.destination(asked), "from whom it was sent to");
    if is_error(to, reply) {
        return error(asked, from, answer, to);
    }
    assert_eq!(to.protocol, from.protocol);
    assert!(to.len() <= from.len(), "{} bytes grew to {}", from.len(), to.len());
    match to.protocol {
        UDP => {
            let len = word(request, 4).map_or(0, usize::from);
            assert_eq!(reply[..4], [request[2], request[3], request[0], request[1]], "ports");
            assert_ne!(request[..2], [0, 0], "an answer to port 0");
            assert_eq!(reply[8..], request[8..len], "payload");
        }
        _ => {
            assert!(from.is_payload_valid(asked), "an echo of a wrong checksum: {asked:02x?}");
            assert_eq!((request[0], reply[0]), if to.version == 4 { (8, 0) } else { (128, 129) }, "echo");
            assert_eq!(reply[4..], request[4..], "data");
        }
    }
}

/// An error about a packet that was whole (RFC 1122, section 3.2.2; RFC 4443, section 2.4).
///
/// # Panics
/// If it is none that should be, or a wrong one.
pub fn error(asked: &[u8], from: &Ip, answer: &[u8], to: &Ip) {
    let (request, reply) = (&asked[from.payload.clone()], &answer[to.payload.clone()]);
    assert!(!is_error(from, request), "an error about an error: {asked:02x?}");
    assert!(is_unicast(asked, from) && is_possible_source(asked, from), "about {asked:02x?}");
    assert!(to.len() <= LONGEST_ERROR[usize::from(to.version == 6)], "{} bytes of error", to.len());
    let (offending, quoted) = (&asked[from.header.start..from.payload.end], &reply[8..]);
    assert!(quoted.len() >= offending.len().min(from.header.len() + 8), "quotes {} bytes", quoted.len());
    assert_eq!(quoted, &offending[..quoted.len()], "what it is about");
    let [a, b, c, d] = [reply[4], reply[5], reply[6], reply[7]];
    match (to.version, reply[0], reply[1]) {
        // Which byte of the packet is to blame.
        (6, 4, code) => {
            let at = u32::from_be_bytes([a, b, c, d]) as usize;
            let blamed = *offending.get(at).unwrap_or_else(|| panic!("byte {at} of {asked:02x?}"));
            match code {
                // The type of a routing header, behind the first byte that can be one's.
                0 => assert!(at >= 42, "byte {at} of {asked:02x?}"),
                // It names a protocol that we don't speak, or options that come too late.
                1 => assert!(blamed == from.protocol || blamed == 0, "byte {at} of {asked:02x?}"),
                // The kind of an option that says to tell its sender.
                _ => assert!(blamed >= 0x80, "byte {at} of {asked:02x?}"),
            }
        }
        (6, 2, _) | (4, 3, 4) => assert_eq!(u32::from_be_bytes([a, b, c, d]) as usize, MTU),
        (4, 3, 2) => assert!(!matches!(from.protocol, UDP | ICMP), "we speak it: {asked:02x?}"),
        _ => {
            assert_eq!([a, b, c, d], [0; 4], "{reply:02x?}");
            assert_eq!(from.protocol, UDP, "a closed port: {asked:02x?}");
        }
    }
}

/// The answer to a solicitation (RFC 4861, section 7.2.4).
fn advertisement(asked: &[u8], from: &Ip, answer: &[u8], to: &Ip) {
    let (request, reply) = (&asked[from.payload.clone()], &answer[to.payload.clone()]);
    assert!(from.is_payload_valid(asked), "an answer to a wrong checksum: {asked:02x?}");
    assert_eq!(class_and_hops(asked, from).1, ALL_HOPS, "it may come from another link: {asked:02x?}");
    assert_eq!(reply[0], 136, "an advertisement answers a solicitation");
    assert_eq!(reply[8..24], request[8..24], "about the address that was asked for");
    let asker = from.source(asked);
    if asker == [0; 16] {
        assert_eq!(to.destination(answer), ALL_NODES, "who has no address is answered to all");
    } else {
        assert!(is_possible_source(asked, from), "an answer to {asker:?}");
        assert_eq!((to.destination(answer), answer[0] & 1), (asker, 0), "to who asked");
    }
}

fn is_error(ip: &Ip, message: &[u8]) -> bool {
    match (ip.version, ip.protocol, message.first()) {
        (4, ICMP, Some(kind)) => matches!(kind, 3 | 4 | 5 | 11 | 12),
        (6, ICMPV6, Some(kind)) => *kind < 128 || *kind == 137,
        _ => false,
    }
}

/// Whether it was for the host alone, by both of its addresses.
fn is_unicast(frame: &[u8], ip: &Ip) -> bool {
    let Some(layout) = Layout::of(frame) else { return false };
    let tags = layout.tags(frame);
    let to = ip.destination(frame);
    (to == own_ipv4(tags) || is_own_ipv6(tags, to)) && frame[..6] == OWN_MAC
}

fn is_possible_source(frame: &[u8], ip: &Ip) -> bool {
    match *ip.source(frame) {
        // Our own and the links' broadcast addresses.
        [10, 77..=80, 0, 1 | 255] | [0xfd, 77..=80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] => false,
        [first, _, _, _] => !matches!(first, 0 | 127 | 224..),
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..] => false,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last] => last > 1,
        [first, ..] => first != 0xff && ip.source(frame) != LINK_LOCAL,
        [] => false,
    }
}
