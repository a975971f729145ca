//! Frames made by hand, field by field, with checksums in the plainest way. Nothing here is
//! the engine's own code.

use gannet::wire::ethernet::MacAddress;

use super::frames::{ADDRESS, CLIENT, CLIENT_MAC};

/// EtherTypes.
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const ARP: u16 = 0x0806;
/// Protocols.
pub(crate) const ICMP: u8 = 1;
pub(crate) const UDP: u8 = 17;

/// A link header.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
    /// What stands between the addresses and the EtherType.
    pub(crate) tags: Vec<u8>,
    pub(crate) ether_type: u16,
}

impl Link {
    pub(crate) fn new(own: MacAddress, ether_type: u16) -> Self {
        Self { to: own.0, from: CLIENT_MAC.0, tags: Vec::new(), ether_type }
    }

    pub(crate) fn frame(&self, carries: &[u8]) -> Vec<u8> {
        [&self.to[..], &self.from, &self.tags, &self.ether_type.to_be_bytes(), carries].concat()
    }
}

/// An IPv4 packet, with a UDP datagram in it unless `body` says otherwise. As it is made, all
/// of it is right; what is `None` is computed.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) link: Link,
    pub(crate) version: u8,
    pub(crate) ihl: Option<u8>,
    pub(crate) tos: u8,
    pub(crate) total_len: Option<u16>,
    pub(crate) id: u16,
    /// Flags and offset.
    pub(crate) fragment: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) checksum: Checksum,
    pub(crate) from: [u8; 4],
    pub(crate) to: [u8; 4],
    pub(crate) options: Vec<u8>,
    /// What it carries in place of the datagram.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) udp: Udp,
    /// What the link put behind it.
    pub(crate) padding: Vec<u8>,
}

/// A UDP datagram.
#[derive(Clone)]
pub(crate) struct Udp {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) len: Option<u16>,
    pub(crate) checksum: Checksum,
    pub(crate) payload: Vec<u8>,
    /// Bytes behind the datagram, in the same packet.
    pub(crate) behind: Vec<u8>,
}

/// What stands in a checksum field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    Right,
    /// One more than that.
    Wrong,
    Is(u16),
    /// The sum of the pseudo header only.
    Unfilled,
    /// Right if the bytes behind the datagram were its own.
    OverAll,
}

impl Packet {
    /// "hello" from the client to port 7 of the host.
    pub(crate) fn hello(own: MacAddress) -> Self {
        Self {
            link: Link::new(own, IPV4),
            version: 4,
            ihl: None,
            tos: 0,
            total_len: None,
            id: 0x1234,
            fragment: 0,
            ttl: 33,
            protocol: UDP,
            checksum: Checksum::Right,
            from: CLIENT.octets(),
            to: ADDRESS.octets(),
            options: Vec::new(),
            body: None,
            udp: Udp::hello(),
            padding: Vec::new(),
        }
    }

    /// The frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let body = self.body.clone().unwrap_or_else(|| self.udp.bytes(&self.from, &self.to));
        let header_len = 20 + self.options.len();
        let ihl = self.ihl.unwrap_or((header_len / 4) as u8);
        let total_len = self.total_len.unwrap_or((header_len + body.len()) as u16);
        let mut header = vec![self.version << 4 | ihl, self.tos];
        for word in [total_len, self.id, self.fragment] {
            header.extend(word.to_be_bytes());
        }
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(self.from.into_iter().chain(self.to).chain(self.options.iter().copied()));
        let checksum = self.checksum.or(!sum(&[&header]));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        self.link.frame(&[&header[..], &body, &self.padding].concat())
    }
}

impl Udp {
    /// "hello" from the client to port 7.
    pub(crate) fn hello() -> Self {
        Self {
            from: 4660,
            to: 7,
            len: None,
            checksum: Checksum::Right,
            payload: b"hello".to_vec(),
            behind: Vec::new(),
        }
    }

    /// Its bytes between two addresses of either version, whose pseudo headers have the same sum.
    pub(crate) fn bytes(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let own_len = 8 + self.payload.len();
        let len = self.len.unwrap_or(own_len as u16);
        let mut bytes: Vec<u8> =
            [self.from, self.to, len, 0].into_iter().flat_map(u16::to_be_bytes).collect();
        bytes.extend(self.payload.iter().chain(&self.behind));
        let covered = match self.checksum {
            Checksum::Unfilled => 0,
            Checksum::OverAll => bytes.len(),
            _ => usize::from(len).min(bytes.len()),
        };
        let pseudo_len = if self.checksum == Checksum::OverAll { covered as u16 } else { len };
        let pseudo = [from, to, &[0, UDP], &pseudo_len.to_be_bytes()].concat();
        let sum = sum(&[&pseudo, &bytes[..covered]]);
        let right = match self.checksum {
            Checksum::Unfilled => sum,
            // Zero would say that there is none.
            _ => {
                if sum == 0xffff {
                    0xffff
                } else {
                    !sum
                }
            }
        };
        bytes[6..8].copy_from_slice(&self.checksum.or(right).to_be_bytes());
        bytes
    }
}

impl Checksum {
    pub(crate) fn or(self, right: u16) -> u16 {
        match self {
            Self::Is(value) => value,
            Self::Wrong => right.wrapping_add(1),
            Self::Right | Self::Unfilled | Self::OverAll => right,
        }
    }
}

/// An ICMP message with its checksum.
pub(crate) fn icmp(kind: u8, code: u8, data: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0, 0x12, 0x34, 0, 1], data].concat();
    let checksum = !sum(&[&message]);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone)]
pub(crate) struct Arp {
    pub(crate) link: Link,
    /// Hardware type, protocol type and the lengths of their addresses.
    pub(crate) preamble: [u8; 6],
    pub(crate) operation: u16,
    pub(crate) sender: ([u8; 6], [u8; 4]),
    pub(crate) target: ([u8; 6], [u8; 4]),
    pub(crate) padding: Vec<u8>,
}

impl Arp {
    /// "Who has the host's address?", to everybody.
    pub(crate) fn request(own: MacAddress) -> Self {
        Self {
            link: Link { to: [0xff; 6], ..Link::new(own, ARP) },
            preamble: [0, 1, 8, 0, 6, 4],
            operation: 1,
            sender: (CLIENT_MAC.0, CLIENT.octets()),
            target: ([0; 6], ADDRESS.octets()),
            padding: Vec::new(),
        }
    }

    /// The frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let operation = self.operation.to_be_bytes();
        let (sender, target) = (&self.sender, &self.target);
        let parts: [&[u8]; 7] =
            [&self.preamble, &operation, &sender.0, &sender.1, &target.0, &target.1, &self.padding];
        self.link.frame(&parts.concat())
    }
}

/// The ones' complement sum of RFC 1071, of parts that are each padded to words.
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 =
        words.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
