//! IPv6 frames made by hand, as [`super::build`] makes the others.

use gannet::wire::ethernet::MacAddress;

use super::build::{Checksum, IPV6, Link, UDP, Udp, sum};
use super::frames::{ADDRESS6, CLIENT6};

/// Next headers.
pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const DESTINATION: u8 = 60;

/// An IPv6 packet. As it is made, all of it is right; what is `None` is computed.
#[derive(Clone)]
pub(crate) struct Packet6 {
    pub(crate) link: Link,
    pub(crate) version: u8,
    pub(crate) traffic_class: u8,
    pub(crate) flow_label: u32,
    pub(crate) payload_len: Option<u16>,
    pub(crate) hop_limit: u8,
    pub(crate) from: [u8; 16],
    pub(crate) to: [u8; 16],
    /// Extension headers: the number of each, and its bytes, of which the first is computed.
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
    /// What is behind them, by its number.
    pub(crate) protocol: u8,
    pub(crate) body: Body,
    /// What the link put behind it.
    pub(crate) padding: Vec<u8>,
}

/// What a packet carries.
#[derive(Clone)]
pub(crate) enum Body {
    Udp(Udp),
    /// A message of ICMPv6 but for its checksum.
    Icmp(Vec<u8>, Checksum),
    Bytes(Vec<u8>),
}

impl Packet6 {
    /// "hello" from the client to port 7 of the host.
    pub(crate) fn hello(own: MacAddress) -> Self {
        Self {
            link: Link::new(own, IPV6),
            version: 6,
            traffic_class: 0,
            flow_label: 0x12345,
            payload_len: None,
            hop_limit: 33,
            from: CLIENT6.octets(),
            to: ADDRESS6.octets(),
            extensions: Vec::new(),
            protocol: UDP,
            body: Body::Udp(Udp::hello()),
            padding: Vec::new(),
        }
    }

    /// A message of ICMPv6 with its checksum.
    pub(crate) fn icmp(&mut self, message: Vec<u8>) {
        (self.protocol, self.body) = (ICMPV6, Body::Icmp(message, Checksum::Right));
    }

    /// The datagram that it carries.
    pub(crate) fn udp(&mut self) -> &mut Udp {
        let Body::Udp(udp) = &mut self.body else { panic!("it carries another thing") };
        udp
    }

    /// The frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let body = self.body.bytes(&self.from, &self.to);
        let mut numbers = self.extensions.iter().map(|(number, _)| *number).chain([self.protocol]);
        let next_header = numbers.next().expect("at least one");
        let mut payload = Vec::new();
        for ((_, bytes), next) in self.extensions.iter().zip(numbers) {
            payload.push(next);
            payload.extend(&bytes[1..]);
        }
        payload.extend(body);
        let first = u32::from(self.version) << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        let mut header = first.to_be_bytes().to_vec();
        header.extend(self.payload_len.unwrap_or(payload.len() as u16).to_be_bytes());
        header.extend([next_header, self.hop_limit]);
        header.extend(self.from.iter().chain(&self.to));
        self.link.frame(&[&header[..], &payload, &self.padding].concat())
    }
}

impl Body {
    fn bytes(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        match self {
            Self::Udp(udp) => udp.bytes(from, to),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Icmp(message, checksum) => {
                let mut message = message.clone();
                let pseudo = [from, to, &[0, ICMPV6], &(message.len() as u16).to_be_bytes()].concat();
                let right = !sum(&[&pseudo, &message]);
                message[2..4].copy_from_slice(&checksum.or(right).to_be_bytes());
                message
            }
        }
    }
}

/// An echo request.
pub(crate) fn echo_request(data: &[u8]) -> Vec<u8> {
    [&[128, 0, 0, 0, 0x12, 0x34, 0, 1], data].concat()
}

/// A header of options, padded to 8 bytes with options of one byte.
pub(crate) fn options_header(options: &[u8]) -> Vec<u8> {
    let mut header = [&[0, 0], options].concat();
    header.resize(header.len().next_multiple_of(8), 0);
    header[1] = (header.len() / 8 - 1) as u8;
    header
}

/// A routing header with the addresses of so many stations.
pub(crate) fn routing_header(kind: u8, segments_left: u8, addresses: u8) -> Vec<u8> {
    let mut header = vec![0, addresses * 2, kind, segments_left];
    header.resize(8 + usize::from(addresses) * 16, 0);
    header
}

/// A fragment header. `offset` is in bytes.
pub(crate) fn fragment_header(offset: u16, more: bool, identification: u32) -> Vec<u8> {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    [&[0, 0, high, low], &identification.to_be_bytes()[..]].concat()
}
