//! Frames made by hand, right but where they say so.

pub mod of;

use std::sync::LazyLock;

use crate::layout::number::{ARP, ICMP, ICMPV6, IPV4, IPV6, TAG, UDP};
use crate::repair::{Repair, repair, repair_header};
use crate::rig::{OWN_MAC, PEER_MAC};

/// A neighbour's address.
const PEER: [u8; 4] = [10, 77, 0, 2];
const PEER6: [u8; 16] = [0xfd, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const OWN: [u8; 4] = [10, 77, 0, 1];
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
    ]
});

/// A frame of each kind.
pub fn frames() -> &'static [Vec<u8>] {
    &FRAMES
}
