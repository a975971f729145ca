//! Frames made by hand, right but where they say so.

pub mod of;

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use crate::layout::Layout;
use crate::layout::number::{ARP, ICMP, ICMPV6, IPV4, IPV6, SERVICE_TAG, TAG, UDP};
use crate::repair::{Repair, repair, repair_header};
use crate::rig::{LINK_LOCAL, OWN_MAC, PEER_MAC};

/// A neighbour's address.
const PEER: [u8; 4] = [10, 77, 0, 2];
const PEER6: [u8; 16] = [0xfd, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const OWN: [u8; 4] = [10, 77, 0, 1];
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const OWN6: [u8; 16] = [0xfd, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn link(to: [u8; 6], ether_type: u16, carries: &[u8]) -> Vec<u8> {
    [&to[..], &PEER_MAC, &ether_type.to_be_bytes(), carries].concat()
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let header = [0x45, 0, high, low, 0x12, 0x34, 0, 0, 33, protocol, 0, 0];
    let mut frame = link(OWN_MAC, IPV4, &[&header[..], &PEER, &OWN, payload].concat());
    repair(&mut frame, Repair(1));
    frame
}

fn ipv6(protocol: u8, hops: u8, source: [u8; 16], destination: [u8; 16], payload: &[u8]) -> Vec<u8> {
    let mut frame = ipv6_as_is(protocol, hops, source, destination, payload);
    repair(&mut frame, Repair(1));
    frame
}

fn ipv6_as_is(protocol: u8, hops: u8, source: [u8; 16], destination: [u8; 16], payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, high, low, protocol, hops];
    let mac = match destination {
        [0xff, .., a, b, c, d] => [0x33, 0x33, a, b, c, d],
        _ => OWN_MAC,
    };
    link(mac, IPV6, &[&header[..], &source, &destination, payload].concat())
}

fn datagram(payload: &[u8]) -> Vec<u8> {
    let [high, low] = (8 + payload.len() as u16).to_be_bytes();
    [&[0x30, 0x39, 0, 7, high, low, 0, 0], payload].concat()
}

/// A datagram to port 7 of the host.
pub fn udp(payload: &[u8]) -> Vec<u8> {
    ipv4(UDP, &datagram(payload))
}

/// As [`udp`], over IPv6.
pub fn udp6(payload: &[u8]) -> Vec<u8> {
    ipv6(UDP, 64, PEER6, OWN6, &datagram(payload))
}

/// A datagram from `source` to that port of the host.
pub fn udp_from(source: SocketAddr, port: u16, payload: &[u8]) -> Vec<u8> {
    let (mut frame, at) = match source.ip() {
        IpAddr::V4(address) => {
            let mut frame = udp(payload);
            frame[26..30].copy_from_slice(&address.octets());
            (frame, 34)
        }
        IpAddr::V6(address) => {
            let mut frame = udp6(payload);
            frame[22..38].copy_from_slice(&address.octets());
            (frame, 54)
        }
    };
    frame[at..at + 2].copy_from_slice(&source.port().to_be_bytes());
    frame[at + 2..at + 4].copy_from_slice(&port.to_be_bytes());
    repair(&mut frame, Repair(1));
    frame
}

/// An ICMP message to the host. Its checksum is made.
pub fn icmp(message: &[u8]) -> Vec<u8> {
    ipv4(ICMP, message)
}

/// As [`icmp`], over IPv6.
pub fn icmp6(message: &[u8]) -> Vec<u8> {
    ipv6(ICMPV6, 255, PEER6, OWN6, message)
}

/// An echo request.
pub fn ping(data: &[u8]) -> Vec<u8> {
    icmp(&[&[8, 0, 0, 0, 0x12, 0x34, 0, 1], data].concat())
}

/// As [`ping`], over IPv6.
pub fn ping6(data: &[u8]) -> Vec<u8> {
    icmp6(&[&[128, 0, 0, 0, 0x12, 0x34, 0, 1], data].concat())
}

/// The question who listens, to all nodes, in version 1 or 2 of the protocol.
pub fn listener_query(version: u8, millis: u16) -> Vec<u8> {
    let (mut source, mut all) = ([0; 16], [0; 16]);
    (source[0], source[1], source[15]) = (0xfe, 0x80, 2);
    (all[0], all[1], all[15]) = (0xff, 2, 1);
    let [high, low] = millis.to_be_bytes();
    let alert = [ICMPV6, 0, 5, 2, 0, 0, 1, 0];
    let query = [130, 0, 0, 0, high, low, 0, 0];
    let added: &[u8] = if version == 1 { &[] } else { &[2, 125, 0, 0] };
    ipv6(0, 1, source, all, &[&alert[..], &query, &[0; 16], added].concat())
}

/// An ARP packet from the peer's station: 1 asks, 2 answers.
pub fn arp(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let to = if operation == 1 { [0xff; 6] } else { OWN_MAC };
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    link(to, ARP, &[&head[..], &PEER_MAC, &sender, &[0; 6], &target].concat())
}

/// A solicitation for the host's address. `choice` is whether it comes from no address yet (as duplicate
/// address detection asks), names its sender's station, goes to the solicited-node group or to the host.
pub fn solicitation(choice: u8) -> Vec<u8> {
    let source = if choice & 1 == 0 { PEER6 } else { [0; 16] };
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1];
    let mut message = [&[135, 0, 0, 0, 0, 0, 0, 0], &OWN6[..]].concat();
    if choice & 2 == 0 {
        message.extend([1, 1].into_iter().chain(PEER_MAC));
    }
    ipv6(ICMPV6, 255, source, if choice & 4 == 0 { group } else { OWN6 }, &message)
}

/// An advertisement of the neighbour whose address ends in `host`.
pub fn advertisement(host: u8, flags: u8) -> Vec<u8> {
    let mut source = PEER6;
    source[15] = host;
    let mut message = [&[136, 0, 0, 0, flags & 0xe0, 0, 0, 0], &source[..]].concat();
    message.extend([2, 1].into_iter().chain(PEER_MAC));
    ipv6(ICMPV6, 255, source, OWN6, &message)
}

/// The neighbour's answer to a question of the host: an ARP request, or a solicitation. To a probe
/// it says that it has the address.
pub fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let layout = Layout::of(question)?;
    let body = &question[layout.link_len..];
    let mut answer = match &layout.ip {
        None if layout.ether_type == ARP && body.get(7) == Some(&1) => {
            arp(2, body.get(24..28)?.try_into().ok()?, body.get(14..18)?.try_into().ok()?)
        }
        Some(ip) if ip.protocol == ICMPV6 && question[ip.payload.start] == 135 => {
            let target = question.get(ip.payload.start + 8..ip.payload.start + 24)?.try_into().ok()?;
            let asker: [u8; 16] = ip.source(question).try_into().ok()?;
            if asker == [0; 16] { claim(target, ALL_NODES, 0x20) } else { claim(target, asker, 0x60) }
        }
        _ => return None,
    };
    answer.splice(12..12, layout.tags(question).iter().copied());
    Some(answer)
}

/// The peer's station says to `to` that it has this address.
fn claim(target: [u8; 16], to: [u8; 16], flags: u8) -> Vec<u8> {
    let mut message = [&[136, 0, 0, 0, flags, 0, 0, 0], &target[..]].concat();
    message.extend([2, 1].into_iter().chain(PEER_MAC));
    ipv6(ICMPV6, 255, target, to, &message)
}

/// A part of a datagram to the host. The field has the offset in units of eight bytes, and 0x2000
/// where more follow.
pub fn fragment(field: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let [flags, offset] = field.to_be_bytes();
    let header = [0x45, 0, high, low, 0x12, 0x34, flags, offset, 33, UDP, 0, 0];
    let mut frame = link(OWN_MAC, IPV4, &[&header[..], &PEER, &OWN, payload].concat());
    repair_header(&mut frame);
    frame
}

/// As [`fragment`], over IPv6: the field has the offset in bytes, and 1 where more follow.
pub fn fragment6(field: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = field.to_be_bytes();
    let header = [UDP, 0, high, low, 0, 0, 0x12, 0x34];
    ipv6_as_is(44, 64, PEER6, OWN6, &[&header, payload].concat())
}

fn tagged(tags: &[[u8; 4]], mut frame: Vec<u8>) -> Vec<u8> {
    frame.splice(12..12, tags.concat());
    repair(&mut frame, Repair(7));
    frame
}

static FRAMES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let [high, low] = TAG.to_be_bytes();
    let [outer, service] = SERVICE_TAG.to_be_bytes();
    let first = [udp(b"a fragment of"), udp6(b"a fragment of")].map(|frame| frame[34..].to_vec());
    let mut to_group = udp(b"to all");
    to_group[30..34].copy_from_slice(&[10, 77, 0, 255]);
    let mut extended = udp6(b"behind a header");
    extended[20] = 60;
    extended.splice(54..54, [UDP, 0, 1, 4, 0, 0, 0, 0]);
    repair(&mut extended, Repair(3));
    let mut options = udp(b"with options");
    options[14] = 0x46;
    options.splice(34..34, [7, 4, 4, 0]);
    repair(&mut options, Repair(3));
    let local = ipv6(
        UDP,
        64,
        [&LINK_LOCAL[..15], &[9]].concat().try_into().expect("16"),
        LINK_LOCAL,
        &datagram(b"local"),
    );
    let mut closed = [udp(b"nobody listens"), udp6(b"nobody listens")];
    let mut unknown = [udp(b"who speaks it"), udp6(b"who speaks it")];
    for (index, at) in [(0, 34), (1, 54)] {
        closed[index][at + 3] = 99;
        repair(&mut closed[index], Repair(1));
    }
    (unknown[0][23], unknown[1][20]) = (200, 200);
    repair(&mut unknown[0], Repair(1));
    let [closed, closed6] = closed;
    let [unknown, unknown6] = unknown;
    vec![
        udp(b"hello"),
        udp(&[7; 1472]),
        udp6(b"hello"),
        ping(b"ping"),
        ping6(b"ping"),
        arp(1, PEER, OWN),
        arp(2, PEER, OWN),
        arp(1, [0; 4], OWN),
        solicitation(0),
        solicitation(3),
        advertisement(2, 0x60),
        options,
        extended,
        to_group,
        fragment(0x2000, &first[0][..16]),
        fragment(2, &first[0][16..]),
        fragment6(1, &first[1][20..36]),
        icmp(&[&[3, 3, 0, 0, 0, 0, 0, 0], &udp(b"")[14..]].concat()),
        icmp6(&[&[1, 4, 0, 0, 0, 0, 0, 0], &udp6(b"")[14..]].concat()),
        tagged(&[[high, low, 0x01, 0x2c]], udp(b"tagged")),
        tagged(&[[high, low, 0x60, 0]], ping(b"a priority")),
        tagged(&[[0x88, 0xa8, 0, 100], [high, low, 1, 0x2c]], udp(b"two tags")),
        closed,
        closed6,
        unknown,
        unknown6,
        local,
        udp6(&[7; 1452]),
        icmp(&[&[8, 0, 0, 0, 0, 0, 0, 0], &[7; 1480][..]].concat()),
        icmp6(&[&[128, 0, 0, 0, 0, 0, 0, 0], &[7; 1456][..]].concat()),
        tagged(&[[high, low, 0x01, 0x2d]], udp6(b"tagged")),
        tagged(&[[outer, service, 0, 100], [high, low, 1, 0x2c]], ping6(b"two tags")),
    ]
});

/// A frame of each kind.
pub fn frames() -> &'static [Vec<u8>] {
    &FRAMES
}
