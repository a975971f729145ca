//! Frames of a client, made field by field, and frames of the host, read field by field and
//! with the plainest of sums. Nothing here is the engine's own code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(super) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const ICMP: u8 = 1;
pub(super) const UDP: u8 = 17;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const ICMPV6: u8 = 58;
/// The longest packet of the wire, in bytes.
const MTU: usize = 1500;

/// A frame with an IP packet. As it is made, all of it is right.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) to: [u8; 6],
    pub(super) from: [u8; 6],
    /// What stands between the MAC addresses and the EtherType.
    pub(super) tags: Vec<u8>,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) class: u8,
    pub(super) hops: u8,
    pub(super) protocol: u8,
    /// Options of IPv4, a multiple of 4 bytes.
    pub(super) options: Vec<u8>,
    /// Extension headers of IPv6: their numbers, and their bytes but for the first.
    pub(super) extensions: Vec<(u8, Vec<u8>)>,
    pub(super) part: Option<Part>,
    pub(super) body: Vec<u8>,
}

/// Which part of a packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// In bytes.
    pub(super) offset: usize,
    pub(super) more: bool,
    pub(super) id: u32,
}

impl Frame {
    /// A packet from `source` to the host's address of the same family.
    pub(super) fn new(source: IpAddr, protocol: u8, body: Vec<u8>) -> Self {
        let destination = match source {
            IpAddr::V4(_) => Ipv4Addr::new(10, 77, 0, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 1).into(),
        };
        Self {
            to: HOST_MAC,
            from: CLIENT_MAC,
            tags: Vec::new(),
            source,
            destination,
            class: 0,
            hops: 33,
            protocol,
            options: Vec::new(),
            extensions: Vec::new(),
            part: None,
            body,
        }
    }

    /// A datagram to a port of the host.
    pub(super) fn udp(from: &str, to: u16, payload: &[u8]) -> Self {
        let from: SocketAddr = from.parse().expect("an address and a port");
        let mut frame = Self::new(from.ip(), UDP, Vec::new());
        frame.body = udp_bytes(from, SocketAddr::new(frame.destination, to), payload);
        frame
    }

    /// An echo request to the host.
    pub(super) fn ping(from: &str, data: &[u8]) -> Self {
        let from: IpAddr = from.parse().expect("an address");
        let (protocol, kind) = if from.is_ipv4() { (ICMP, 8) } else { (ICMPV6, 128) };
        let mut frame = Self::new(from, protocol, [&[kind, 0, 0, 0, 0x12, 0x34, 0, 1], data].concat());
        frame.fill_icmp_checksum();
        frame
    }

    /// A message of neighbour discovery about `target`.
    pub(super) fn ndp(from: &str, to: &str, kind: u8, target: &str, options: &[u8]) -> Self {
        let address = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
        let flags = if kind == 136 { 0x60 } else { 0 };
        let body = [&[kind, 0, 0, 0, flags, 0, 0, 0][..], &address(target).octets(), options].concat();
        let mut frame = Self::new(address(from).into(), ICMPV6, body);
        frame.destination = address(to).into();
        if let [0xff, .., a, b, c, d] = address(to).octets() {
            frame.to = [0x33, 0x33, a, b, c, d];
            // An answer to nobody in particular.
            frame.body[4] &= !0x40;
        }
        frame.hops = 255;
        frame.fill_icmp_checksum();
        frame
    }

    pub(super) fn fill_icmp_checksum(&mut self) {
        self.body[2..4].fill(0);
        let checksum = !sum(&[&icmp_pseudo(self.source, self.destination, &self.body), &self.body]);
        self.body[2..4].copy_from_slice(&checksum.to_be_bytes());
    }

    /// The packet in parts of so many bytes, a multiple of 8.
    pub(super) fn parts(&self, len: usize, id: u32) -> Vec<Self> {
        let last = self.body.len().div_ceil(len) - 1;
        let part = |(index, body): (usize, &[u8])| Self {
            part: Some(Part { offset: index * len, more: index < last, id }),
            body: body.to_vec(),
            ..self.clone()
        };
        self.body.chunks(len).enumerate().map(part).collect()
    }

    /// The frame.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (ether_type, packet) = match (self.source, self.destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ([8, 0], self.ipv4(from, to)),
            (IpAddr::V6(from), IpAddr::V6(to)) => ([0x86, 0xdd], self.ipv6(from, to)),
            _ => panic!("two families"),
        };
        [&self.to[..], &self.from, &self.tags, &ether_type, &packet].concat()
    }

    fn ipv4(&self, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let (fragment, id) = self
            .part
            .map_or((0, 0x1234), |part| ((part.offset / 8) | (usize::from(part.more) << 13), part.id as u16));
        let mut header = vec![0x40 | (header_len / 4) as u8, self.class];
        header.extend(((header_len + self.body.len()) as u16).to_be_bytes());
        header.extend(id.to_be_bytes());
        header.extend((fragment as u16).to_be_bytes());
        header.extend([self.hops, self.protocol, 0, 0]);
        header.extend(from.octets().into_iter().chain(to.octets()).chain(self.options.iter().copied()));
        let checksum = !sum(&[&header]);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        [header, self.body.clone()].concat()
    }

    fn ipv6(&self, from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
        let mut extensions = self.extensions.clone();
        if let Some(Part { offset, more, id }) = self.part {
            let [high, low] = ((offset | usize::from(more)) as u16).to_be_bytes();
            extensions.push((FRAGMENT, [&[0, 0, high, low], &id.to_be_bytes()[..]].concat()));
        }
        let mut numbers = extensions.iter().map(|(number, _)| *number).chain([self.protocol]);
        let first = numbers.next().expect("at least one");
        let chain =
            extensions.iter().zip(numbers).flat_map(|((_, bytes), next)| [&[next], &bytes[1..]].concat());
        let payload: Vec<u8> = chain.chain(self.body.iter().copied()).collect();
        let mut header = vec![0x60 | self.class >> 4, self.class << 4, 0, 0];
        header.extend((payload.len() as u16).to_be_bytes());
        header.extend([first, self.hops]);
        [&header[..], &from.octets(), &to.octets(), &payload].concat()
    }
}

/// A header of options that nobody knows and that say to skip them, of so many bytes in all, a
/// multiple of 8.
pub(super) fn skipped_options(len: usize) -> Vec<u8> {
    let mut header = vec![0, (len / 8 - 1) as u8];
    while header.len() < len {
        // Two bytes of the option itself, and never one byte left.
        let value = (len - header.len() - 2).min(250);
        header.extend([0x1e, value as u8]);
        header.resize(header.len() + value, 0xa5);
    }
    header
}

/// Bytes without a pattern that a fault could keep, and none that is a letter.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| 0x80 | (index * 31 + len * 7 + index / 256) as u8).collect()
}

/// A datagram with its checksum.
pub(super) fn udp_bytes(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    let words = [from.port(), to.port(), len, 0];
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
    bytes.extend(payload);
    let checksum = match !sum(&[&pseudo(from.ip(), to.ip(), UDP, bytes.len()), &bytes]) {
        0 => 0xffff,
        checksum => checksum,
    };
    bytes[6..8].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// A frame of the host, in which nothing is wrong.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) to: [u8; 6],
    pub(super) from: [u8; 6],
    pub(super) tags: Vec<u8>,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) class: u8,
    pub(super) hops: u8,
    pub(super) protocol: u8,
    pub(super) part: Option<Part>,
    /// What it carries, checked for its checksum where it is whole.
    pub(super) body: Vec<u8>,
}

/// Reads a frame of the host with an IP packet.
pub(super) fn read(frame: &[u8]) -> Seen {
    let is_tag = |at: usize| matches!(frame[at..at + 2], [0x81, 0] | [0x88, 0xa8]);
    let end = if !is_tag(12) {
        12
    } else if !is_tag(16) {
        16
    } else {
        20
    };
    let mac = |at: usize| <[u8; 6]>::try_from(&frame[at..at + 6]).expect("six");
    let (packet, tags) = (&frame[end + 2..], frame[12..end].to_vec());
    assert!(frame.len() >= 60, "{} bytes", frame.len());
    let mut seen = match frame[end..end + 2] {
        [8, 0] => read_ipv4(packet),
        [0x86, 0xdd] => read_ipv6(packet),
        _ => panic!("no IP: {frame:02x?}"),
    };
    (seen.to, seen.from, seen.tags) = (mac(0), mac(6), tags);
    if seen.part.is_none() {
        seen.check();
    }
    seen
}

fn read_ipv4(packet: &[u8]) -> Seen {
    let len = word(packet, 2);
    let (packet, padding) = packet.split_at(len);
    assert!(len <= MTU && padding.iter().all(|&byte| byte == 0), "{padding:02x?}");
    let (header, body) = packet.split_at(20);
    assert_eq!((header[0], sum(&[header])), (0x45, 0xffff), "no options, and a checksum");
    let address = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&header[at..at + 4]).expect("four"));
    let (id, flags) = (word(header, 4), word(header, 6));
    let part = Part { offset: (flags & 0x1fff) * 8, more: flags & 0x2000 != 0, id: id as u32 };
    let is_part = flags & 0x3fff != 0;
    assert!(is_part || (flags, id) == (0x4000, 0), "whole: {flags:#x}, {id:#x}");
    assert!(!is_part || flags & 0xc000 == 0, "a part that may be cut: {flags:#x}");
    seen((address(12), address(16)), (header[1], header[8], header[9]), Some(part).filter(|_| is_part), body)
}

fn read_ipv6(packet: &[u8]) -> Seen {
    let (header, rest) = packet.split_at(40);
    let (payload, padding) = rest.split_at(word(header, 4));
    assert!(40 + payload.len() <= MTU && padding.iter().all(|&byte| byte == 0), "{padding:02x?}");
    assert_eq!((header[0] >> 4, header[1] & 0x0f, word(header, 2)), (6, 0, 0), "no flow label");
    let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&header[at..at + 16]).expect("sixteen"));
    let (class, addresses) = (header[0] << 4 | header[1] >> 4, (address(8), address(24)));
    if header[6] == HOP_BY_HOP {
        let (alert, body) = payload.split_at(8);
        assert_eq!(alert, [ICMPV6, 0, 5, 2, 0, 0, 1, 0], "a router alert, as listener reports have it");
        return seen(addresses, (class, header[7], ICMPV6), None, body);
    }
    if header[6] != FRAGMENT {
        return seen(addresses, (class, header[7], header[6]), None, payload);
    }
    let (fragment, body) = payload.split_at(8);
    let id = u32::from_be_bytes(fragment[4..8].try_into().expect("four"));
    let offset = word(fragment, 2);
    assert_eq!((fragment[1], offset & 6), (0, 0), "reserved");
    let part = Part { offset: offset & 0xfff8, more: offset & 1 != 0, id };
    seen(addresses, (class, header[7], fragment[0]), Some(part), body)
}

fn seen(
    (source, destination): (IpAddr, IpAddr),
    (class, hops, protocol): (u8, u8, u8),
    part: Option<Part>,
    body: &[u8],
) -> Seen {
    let (mac, tags, body) = ([0; 6], Vec::new(), body.to_vec());
    Seen { to: mac, from: mac, tags, source, destination, class, hops, protocol, part, body }
}

impl Seen {
    fn check(&self) {
        let Self { source, destination, protocol, body, .. } = self;
        let pseudo = match *protocol {
            UDP => {
                assert_eq!(word(body, 4), body.len(), "UDP length");
                assert_ne!(word(body, 6), 0, "a checksum");
                pseudo(*source, *destination, UDP, body.len())
            }
            ICMP | ICMPV6 => icmp_pseudo(*source, *destination, body),
            other => panic!("protocol {other}"),
        };
        assert_eq!(sum(&[&pseudo, body]), 0xffff, "checksum of protocol {protocol}");
    }

    /// Source port, destination port and payload of a datagram.
    pub(super) fn udp(&self) -> (u16, u16, &[u8]) {
        assert_eq!((self.protocol, self.part), (UDP, None));
        (word(&self.body, 0) as u16, word(&self.body, 2) as u16, &self.body[8..])
    }

    /// Type, code, the four bytes behind the checksum, and what follows, of a message of ICMP.
    pub(super) fn icmp(&self) -> (u8, u8, [u8; 4], &[u8]) {
        assert!(matches!(self.protocol, ICMP | ICMPV6) && self.part.is_none());
        let rest = self.body[4..8].try_into().expect("four");
        (self.body[0], self.body[1], rest, &self.body[8..])
    }
}

/// The packet whose parts these are, in order.
pub(super) fn join(parts: &[Seen]) -> Seen {
    assert!(parts.len() > 1, "{} parts", parts.len());
    let mut whole = Seen { part: None, body: Vec::new(), ..parts[0].clone() };
    let id = parts[0].part.expect("a part").id;
    for (index, seen) in parts.iter().enumerate() {
        let more = index + 1 < parts.len();
        assert_eq!(seen.part, Some(Part { offset: whole.body.len(), more, id }));
        assert!(!more || seen.body.len() % 8 == 0);
        let of = |seen: &Seen| {
            (seen.to, seen.from, seen.source, seen.destination, seen.class, seen.hops, seen.protocol)
        };
        assert_eq!((of(seen), &seen.tags), (of(&parts[0]), &parts[0].tags));
        whole.body.extend(&seen.body);
    }
    whole.check();
    whole
}

fn word(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

fn pseudo(from: IpAddr, to: IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let [_, _, high, low] = (len as u32).to_be_bytes();
    let tail = [0, protocol, high, low];
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [&from.octets()[..], &to.octets(), &tail].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [&from.octets()[..], &to.octets(), &tail].concat(),
        _ => panic!("two families"),
    }
}

/// ICMP's checksum covers no pseudo header, ICMPv6's does.
fn icmp_pseudo(from: IpAddr, to: IpAddr, message: &[u8]) -> Vec<u8> {
    if from.is_ipv4() { Vec::new() } else { pseudo(from, to, ICMPV6, message.len()) }
}

/// The ones' complement sum of RFC 1071, of parts that are each padded to words.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u64::from(low));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
