//! Frames made by hand, with checksums in the plainest way. Nothing here is the engine's code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Protocols, and the extension header that makes a fragment.
pub(crate) const ICMP: u8 = 1;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;
const FRAGMENT: u8 = 44;
/// What neighbour discovery demands; others may have as many.
const HOPS: u8 = 255;

pub(crate) type Mac = [u8; 6];
pub(crate) const BROADCAST: Mac = [0xff; 6];

/// The multicast MAC address of a group (RFC 1112, section 6.4; RFC 2464, section 7).
pub(crate) fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(group) => {
            let octets = group.octets();
            [0x33, 0x33, octets[12], octets[13], octets[14], octets[15]]
        }
    }
}

/// An IP packet or an ARP packet in a frame.
pub(crate) fn frame(from: Mac, to: Mac, packet: &[u8]) -> Vec<u8> {
    let ether_type: u16 = match packet[0] >> 4 {
        4 => 0x0800,
        6 => 0x86dd,
        _ => 0x0806,
    };
    [&to[..], &from, &ether_type.to_be_bytes(), packet].concat()
}

/// A datagram in its packet.
pub(crate) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let datagram = udp_datagram(from, to, payload);
    packet(from.ip(), to.ip(), UDP, &datagram)
}

/// The frame of a datagram from the unspecified address, with `source` for it.
pub(crate) fn from_source(frame: &[u8], source: IpAddr) -> Vec<u8> {
    let mut frame = frame.to_vec();
    // Where the address stands, and the checksums that it is in.
    match source {
        IpAddr::V4(source) => respoof(&mut frame, 26, &source.octets(), &[24, 40]),
        IpAddr::V6(source) => respoof(&mut frame, 22, &source.octets(), &[60]),
    }
    frame
}

fn respoof(frame: &mut [u8], at: usize, octets: &[u8], checksums: &[usize]) {
    frame[at..at + octets.len()].copy_from_slice(octets);
    for &at in checksums {
        let before = [!frame[at], !frame[at + 1]];
        frame[at..at + 2].copy_from_slice(&(!sum(&[&before, octets])).to_be_bytes());
    }
}

/// A datagram alone, to be cut into fragments.
pub(crate) fn udp_datagram(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    let header = [from.port(), to.port(), len, 0].map(u16::to_be_bytes).concat();
    let mut datagram = [&header, payload].concat();
    let checksum = match !sum(&[&pseudo_header(from.ip(), to.ip(), UDP, datagram.len()), &datagram]) {
        0 => 0xffff,
        checksum => checksum,
    };
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    datagram
}

/// An ICMP message in its packet, or one of ICMPv6: what stands behind the checksum is `rest`.
pub(crate) fn icmp(from: IpAddr, to: IpAddr, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0], rest].concat();
    let (protocol, pseudo_header) = match from {
        IpAddr::V4(_) => (ICMP, Vec::new()),
        IpAddr::V6(_) => (ICMPV6, pseudo_header(from, to, ICMPV6, message.len())),
    };
    let checksum = !sum(&[&pseudo_header, &message]);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet(from, to, protocol, &message)
}

/// An echo request in its packet.
pub(crate) fn ping(from: IpAddr, to: IpAddr, data: &[u8]) -> Vec<u8> {
    let kind = if from.is_ipv4() { 8 } else { 128 };
    icmp(from, to, kind, 0, &[&[0x12, 0x34, 0, 1], data].concat())
}

/// An IP packet.
pub(crate) fn packet(from: IpAddr, to: IpAddr, protocol: u8, body: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(from, to, protocol, 0, 0, body),
        (IpAddr::V6(from), IpAddr::V6(to)) => ipv6(from, to, protocol, body),
        _ => panic!("{from} and {to} are of two families"),
    }
}

/// Which part of a packet a fragment is.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) id: u16,
    /// In bytes, a multiple of 8.
    pub(crate) offset: u16,
    pub(crate) more: bool,
}

/// A fragment of a packet that carries `protocol`.
pub(crate) fn fragment(from: IpAddr, to: IpAddr, protocol: u8, part: Part, body: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let flags = u16::from(part.more) << 13;
            ipv4(from, to, protocol, part.id, flags | (part.offset / 8), body)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let offset = (part.offset | u16::from(part.more)).to_be_bytes();
            let header = [&[protocol, 0], &offset[..], &[0, 0], &part.id.to_be_bytes()].concat();
            ipv6(from, to, FRAGMENT, &[&header, body].concat())
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, id: u16, fragment: u16, body: &[u8]) -> Vec<u8> {
    let words = [0x4500, (20 + body.len()) as u16, id, fragment, u16::from_be_bytes([HOPS, protocol]), 0];
    let mut header = words.map(u16::to_be_bytes).concat();
    header.extend(from.octets().into_iter().chain(to.octets()));
    let checksum = !sum(&[&header]);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&header, body].concat()
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0], &len[..], &[protocol, HOPS], &from.octets(), &to.octets(), body].concat()
}

/// Who an ARP packet says somebody is.
pub(crate) type Station = (Mac, Ipv4Addr);

/// An ARP request (1) or reply (2).
pub(crate) fn arp(operation: u16, sender: Station, target: Station) -> Vec<u8> {
    let preamble = [0, 1, 8, 0, 6, 4];
    let [sender, target] = [sender, target].map(|(mac, address)| [&mac[..], &address.octets()].concat());
    [&preamble, &operation.to_be_bytes()[..], &sender, &target].concat()
}

fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let octets = |address| match address {
        IpAddr::V4(address) => Ipv4Addr::octets(&address).to_vec(),
        IpAddr::V6(address) => Ipv6Addr::octets(&address).to_vec(),
    };
    // The sum of IPv6's, with its longer fields, is the same.
    [octets(from), octets(to), vec![0, protocol], (len as u16).to_be_bytes().to_vec()].concat()
}

/// The ones' complement sum of RFC 1071, of parts of which only the last is of odd length.
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 =
        words.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
