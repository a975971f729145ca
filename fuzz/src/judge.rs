//! Holds what the host sends against what it was sent. The answers are read by etherparse and by
//! [`crate::layout`], their checksums verified by an independent sum.

use crate::layout::number::{ARP, ICMP, ICMPV6, UDP};
use crate::layout::{Ip, Layout, word};
use crate::rig::{MTU, OWN_MAC, link, own_ipv4, own_ipv6};

/// The shortest frame that leaves, in bytes.
const SHORTEST: usize = 60;
/// The longest ICMP errors (RFC 1812, section 4.3.2.3; RFC 4443, section 2.4(c)), in bytes.
const LONGEST_ERROR: [usize; 2] = [576, 1280];

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
    if ip.version == 4 {
        assert_eq!(ip.header.len(), 20, "options: {frame:02x?}");
        assert_eq!(ip.source(frame), own_ipv4(tags), "not from our address: {frame:02x?}");
    }
    if ip.protocol == UDP && !ip.is_fragment {
        let len = word(&frame[ip.payload.clone()], 4).map(usize::from);
        assert_eq!(len, Some(ip.payload.len()), "the UDP length: {frame:02x?}");
        assert!(ip.version == 4 || ip.payload.start == ip.header.end, "extension headers: {frame:02x?}");
    }
    assert!(matches!(ip.protocol, UDP | ICMP | ICMPV6), "protocol {}", ip.protocol);
    ip.payload.end
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
    let answer = match answers {
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

fn arp_answer(asked: &[u8], answer: &[u8]) {
    assert_eq!((&asked[6..8], &answer[6..8]), (&[0, 1][..], &[0, 2][..]), "a reply to a request");
    assert_eq!(answer[14..18], asked[24..28], "about the address that was asked for");
    assert_eq!(answer[18..28], asked[8..18], "to the sender");
}

fn ip_answer(asked: &[u8], from: &Ip, answer: &[u8], to: &Ip) {
    assert!(!from.is_fragment && !to.is_fragment, "an answer to a part of a packet: {asked:02x?}");
    assert_eq!(to.version, from.version);
    let (request, reply) = (&asked[from.payload.clone()], &answer[to.payload.clone()]);
    let kind = request.first().copied().unwrap_or(0);
    if from.protocol == ICMPV6 && kind == 135 {
        return advertisement(request, reply);
    }
    assert!(is_unicast(asked, from), "an answer to a group: {asked:02x?}");
    assert!(is_possible_source(asked, from), "an answer to {:?}", from.source(asked));
    assert_eq!(to.destination(answer), from.source(asked), "to the sender");
    assert_eq!(answer[0] & 1, 0, "one station: {answer:02x?}");
    if is_error(to, reply) {
        assert!(!is_error(from, request), "an error about an error: {asked:02x?}");
        assert!(to.len() <= LONGEST_ERROR[usize::from(to.version == 6)], "{} bytes of error", to.len());
        return;
    }
    assert_eq!(to.source(answer), from.destination(asked), "from whom it was sent to");
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
            assert_eq!((request[0], reply[0]), if to.version == 4 { (8, 0) } else { (128, 129) }, "echo");
            assert_eq!(reply[4..], request[4..], "data");
        }
    }
}

fn advertisement(request: &[u8], reply: &[u8]) {
    assert_eq!(reply[0], 136, "an advertisement answers a solicitation");
    assert_eq!(reply[8..24], request[8..24], "about the address that was asked for");
}

fn is_error(ip: &Ip, message: &[u8]) -> bool {
    match (ip.protocol, message.first()) {
        (ICMP, Some(kind)) => matches!(kind, 3 | 4 | 5 | 11 | 12),
        (ICMPV6, Some(kind)) => *kind < 128,
        _ => false,
    }
}

/// Whether it was for the host alone, by both of its addresses.
fn is_unicast(frame: &[u8], ip: &Ip) -> bool {
    let Some(layout) = Layout::of(frame) else { return false };
    let tags = layout.tags(frame);
    let to = ip.destination(frame);
    let own = to == own_ipv4(tags) || to == own_ipv6(tags) || matches!(to, [0xfe, 0x80, ..]);
    own && frame[..6] == OWN_MAC
}

fn is_possible_source(frame: &[u8], ip: &Ip) -> bool {
    match *ip.source(frame) {
        // Our own and the links' broadcast addresses.
        [10, 77..=79, 0, 1 | 255] | [0xfd, 77..=79, .., 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] => false,
        [first, _, _, _] => !matches!(first, 0 | 127 | 224..),
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last] => last > 1,
        [first, ..] => first != 0xff,
        [] => false,
    }
}
