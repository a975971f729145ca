//! Packets made by hand, field by field, with checksums in the plainest way. As they are made
//! all of it is right. Nothing here is the engine's own code.

/// EtherTypes.
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
/// Protocols and extension headers.
pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const NO_NEXT_HEADER: u8 = 59;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;

/// What stands in a field that follows from the rest of the packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Right,
    /// So much more than that.
    Off(i16),
    Is(u16),
}

impl Field {
    pub(crate) fn or(self, right: u16) -> u16 {
        match self {
            Self::Right => right,
            Self::Off(by) => right.wrapping_add_signed(by),
            Self::Is(value) => value,
        }
    }
}

// ---- the link --------------------------------------------------------------------------

/// A link header.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
    pub(crate) ether_type: u16,
}

impl Link {
    pub(crate) fn frame(&self, carries: &[u8]) -> Vec<u8> {
        [&self.to[..], &self.from, &self.ether_type.to_be_bytes(), carries].concat()
    }
}

/// A frame with an IP packet in it.
#[derive(Clone)]
pub(crate) struct Frame<I, C> {
    pub(crate) link: Link,
    pub(crate) ip: I,
    pub(crate) carries: C,
    /// Bytes behind the packet.
    pub(crate) padding: Vec<u8>,
}

impl<I: Ip, C: Carried> Frame<I, C> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let packet = self.ip.packet(&self.carries.bytes(&self.ip));
        self.link.frame(&[&packet[..], &self.padding].concat())
    }
}

/// A version of IP.
pub(crate) trait Ip {
    /// The header and what it carries.
    fn packet(&self, carries: &[u8]) -> Vec<u8>;
    /// What a UDP checksum covers beside the datagram.
    fn udp_pseudo_header(&self, len: usize) -> Vec<u8>;
    /// What an ICMP checksum covers beside the message.
    fn icmp_pseudo_header(&self, len: usize) -> Vec<u8>;
}

/// What an IP packet carries.
pub(crate) trait Carried {
    fn bytes(&self, ip: &impl Ip) -> Vec<u8>;
}

/// Bytes as they are.
impl Carried for Vec<u8> {
    fn bytes(&self, _: &impl Ip) -> Vec<u8> {
        self.clone()
    }
}

// ---- IPv4 --------------------------------------------------------------------------------

/// An IPv4 header (RFC 791).
#[derive(Clone)]
pub(crate) struct Ipv4 {
    pub(crate) version: u8,
    /// In words of 32 bits.
    pub(crate) header_len: Field,
    pub(crate) tos: u8,
    pub(crate) total_len: Field,
    pub(crate) id: u16,
    /// Flags and offset.
    pub(crate) fragment: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) checksum: Field,
    pub(crate) from: [u8; 4],
    pub(crate) to: [u8; 4],
    pub(crate) options: Vec<u8>,
}

impl Ip for Ipv4 {
    fn packet(&self, carries: &[u8]) -> Vec<u8> {
        let len = 20 + self.options.len();
        let header_len = self.header_len.or((len / 4) as u16) as u8;
        let mut header = vec![self.version << 4 | header_len & 15, self.tos];
        for word in [self.total_len.or((len + carries.len()) as u16), self.id, self.fragment] {
            header.extend(word.to_be_bytes());
        }
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(self.from.iter().chain(&self.to).chain(&self.options));
        let all = [&header[..], carries].concat();
        // Over as many bytes as the header says that it has.
        let covered = usize::from(header_len & 15) * 4;
        let checksum = self.checksum.or(!sum(&all[..covered.clamp(12, all.len())]));
        [&header[..10], &checksum.to_be_bytes(), &all[12..]].concat()
    }

    fn udp_pseudo_header(&self, len: usize) -> Vec<u8> {
        [&self.from[..], &self.to, &[0, UDP], &(len as u16).to_be_bytes()].concat()
    }

    fn icmp_pseudo_header(&self, _: usize) -> Vec<u8> {
        Vec::new()
    }
}

// ---- IPv6 --------------------------------------------------------------------------------

/// An IPv6 header (RFC 8200) and its chain of extension headers.
#[derive(Clone)]
pub(crate) struct Ipv6 {
    pub(crate) version: u8,
    pub(crate) class: u8,
    pub(crate) flow: u32,
    pub(crate) payload_len: Field,
    pub(crate) hop_limit: u8,
    pub(crate) from: [u8; 16],
    pub(crate) to: [u8; 16],
    /// Extension headers by kind; the first byte of each is the kind of the next.
    pub(crate) chain: Vec<(u8, Vec<u8>)>,
    /// What the chain ends with.
    pub(crate) protocol: u8,
}

impl Ip for Ipv6 {
    fn packet(&self, carries: &[u8]) -> Vec<u8> {
        let mut next = self.protocol;
        let mut payload = carries.to_vec();
        for (kind, header) in self.chain.iter().rev() {
            let rest = header.get(1..).unwrap_or_default();
            payload = [&[next][..], rest, &payload].concat();
            next = *kind;
        }
        let first = u32::from(self.version) << 28 | u32::from(self.class) << 20 | self.flow;
        let len = self.payload_len.or(payload.len() as u16).to_be_bytes();
        let rest = [len[0], len[1], next, self.hop_limit];
        [&first.to_be_bytes()[..], &rest, &self.from, &self.to, &payload].concat()
    }

    fn udp_pseudo_header(&self, len: usize) -> Vec<u8> {
        self.pseudo_header(UDP, len)
    }

    fn icmp_pseudo_header(&self, len: usize) -> Vec<u8> {
        self.pseudo_header(ICMPV6, len)
    }
}

impl Ipv6 {
    fn pseudo_header(&self, protocol: u8, len: usize) -> Vec<u8> {
        [&self.from[..], &self.to, &(len as u32).to_be_bytes(), &[0, 0, 0, protocol]].concat()
    }
}

/// A header of options, filled up to whole words of eight bytes.
pub(crate) fn options(options: &[u8]) -> Vec<u8> {
    let mut header = [&[0, 0], options].concat();
    match (8 - header.len() % 8) % 8 {
        0 => {}
        1 => header.push(0),
        room => {
            header.extend([1, room as u8 - 2]);
            header.resize(header.len() + room - 2, 0);
        }
    }
    header[1] = (header.len() / 8 - 1) as u8;
    header
}

/// A fragment header: the offset in bytes, whether more follow, and the datagram's name.
pub(crate) fn fragment(offset: u16, more: bool, id: u32) -> Vec<u8> {
    let field = (offset & 0xfff8 | u16::from(more)).to_be_bytes();
    [&[0, 0], &field[..], &id.to_be_bytes()].concat()
}

/// A routing header with as many addresses as its length says.
pub(crate) fn routing(kind: u8, segments_left: u8, addresses: &[[u8; 16]]) -> Vec<u8> {
    let len = (addresses.len() * 2) as u8;
    [&[0, len, kind, segments_left, 0, 0, 0, 0], addresses.as_flattened()].concat()
}

// ---- what IP carries -------------------------------------------------------------------

/// A UDP datagram (RFC 768).
#[derive(Clone)]
pub(crate) struct Udp {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) len: Field,
    pub(crate) checksum: Field,
    /// The length that the checksum is right for; the one in the field if it isn't said.
    pub(crate) summed: Option<usize>,
    pub(crate) payload: Vec<u8>,
    /// Bytes behind the datagram, in the same packet.
    pub(crate) behind: Vec<u8>,
}

impl Udp {
    pub(crate) fn new(from: u16, to: u16, payload: &[u8]) -> Self {
        let (payload, behind) = (payload.to_vec(), Vec::new());
        Self { from, to, len: Field::Right, checksum: Field::Right, summed: None, payload, behind }
    }
}

impl Carried for Udp {
    fn bytes(&self, ip: &impl Ip) -> Vec<u8> {
        let len = self.len.or(8 + self.payload.len() as u16);
        let words = [self.from, self.to, len, 0].map(u16::to_be_bytes);
        let mut bytes = [words.as_flattened(), &self.payload, &self.behind].concat();
        let summed = self.summed.unwrap_or(len.into());
        let covered = &bytes[..summed.min(bytes.len())];
        let right = match !sum(&[&ip.udp_pseudo_header(summed), covered].concat()) {
            // That would say that there is none.
            0 => 0xffff,
            right => right,
        };
        bytes[6..8].copy_from_slice(&self.checksum.or(right).to_be_bytes());
        bytes
    }
}

/// An ICMP message of either version (RFC 792, RFC 4443).
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) checksum: Field,
    /// What follows the checksum.
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn new(kind: u8, code: u8, body: &[u8]) -> Self {
        Self { kind, code, checksum: Field::Right, body: body.to_vec() }
    }

    /// An echo request or reply: identifier, sequence number, data.
    pub(crate) fn echo(kind: u8, data: &[u8]) -> Self {
        Self::new(kind, 0, &[&[0x12, 0x34, 0, 1], data].concat())
    }
}

impl Carried for Message {
    fn bytes(&self, ip: &impl Ip) -> Vec<u8> {
        let mut bytes = [&[self.kind, self.code, 0, 0], &self.body[..]].concat();
        let right = !sum(&[&ip.icmp_pseudo_header(bytes.len()), &bytes[..]].concat());
        bytes[2..4].copy_from_slice(&self.checksum.or(right).to_be_bytes());
        bytes
    }
}

/// An ARP packet for IPv4 over Ethernet (RFC 826).
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
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let operation = self.operation.to_be_bytes();
        let (sender, target) = (&self.sender, &self.target);
        let parts: [&[u8]; 7] =
            [&self.preamble, &operation, &sender.0, &sender.1, &target.0, &target.1, &self.padding];
        self.link.frame(&parts.concat())
    }
}

/// The ones' complement sum of RFC 1071.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
