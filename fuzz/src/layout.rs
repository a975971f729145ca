//! Where the parts of a frame lie: read in the plainest way, with none of the engine's code.

use std::ops::Range;

/// EtherTypes and protocols, as numbers.
pub mod number {
    /// EtherType of IPv4.
    pub const IPV4: u16 = 0x0800;
    /// EtherType of ARP.
    pub const ARP: u16 = 0x0806;
    /// EtherType of IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// EtherType of an 802.1Q tag.
    pub const TAG: u16 = 0x8100;
    /// EtherType of an 802.1ad service tag.
    pub const SERVICE_TAG: u16 = 0x88a8;
    /// Protocol of ICMP over IPv4.
    pub const ICMP: u8 = 1;
    /// Protocol of UDP.
    pub const UDP: u8 = 17;
    /// Protocol of ICMP over IPv6.
    pub const ICMPV6: u8 = 58;
}

use number::{ICMP, ICMPV6, IPV4, IPV6, SERVICE_TAG, TAG, UDP};

/// Where the parts of a frame lie. Ranges are in bytes from the frame's start and lie in it.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Length of the Ethernet header and its tags.
    pub link_len: usize,
    /// What the link carries.
    pub ether_type: u16,
    /// The IP packet in it, if it is one whose lengths fit.
    pub ip: Option<Ip>,
}

/// An IP packet.
#[derive(Clone, Debug)]
pub struct Ip {
    /// 4 or 6.
    pub version: u8,
    /// Its header, IPv4 options included, IPv6 extension headers not.
    pub header: Range<usize>,
    /// What it carries, behind the extension headers.
    pub payload: Range<usize>,
    /// What that is.
    pub protocol: u8,
    /// A part of a larger packet.
    pub is_fragment: bool,
}

impl Layout {
    /// The layout of a frame; `None` if it has no link header.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let (mut link_len, mut ether_type) = (14, word(frame, 12)?);
        while matches!(ether_type, TAG | SERVICE_TAG) && link_len < 22 {
            ether_type = word(frame, link_len + 2)?;
            link_len += 4;
        }
        let ip = match ether_type {
            IPV4 => ipv4(frame, link_len),
            IPV6 => ipv6(frame, link_len),
            _ => None,
        };
        Some(Self { link_len, ether_type, ip })
    }

    /// The tags as they stand, their EtherTypes included.
    pub fn tags<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        &frame[12..self.link_len - 2]
    }
}

impl Ip {
    /// Length of the packet in bytes, headers included.
    pub fn len(&self) -> usize {
        self.payload.end - self.header.start
    }

    /// Whether it is empty, which it never is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Who sent it, 4 or 16 bytes.
    pub fn source<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let at = self.header.start;
        if self.version == 4 { &frame[at + 12..at + 16] } else { &frame[at + 8..at + 24] }
    }

    /// Whom it is for, 4 or 16 bytes.
    pub fn destination<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let at = self.header.start;
        if self.version == 4 { &frame[at + 16..at + 20] } else { &frame[at + 24..at + 40] }
    }

    /// Of a part of a packet, where it stands in what the whole carries, in bytes.
    pub fn offset(&self, frame: &[u8]) -> usize {
        let field = |at| usize::from(word(frame, at).unwrap_or(0));
        match self.version {
            4 => (field(self.header.start + 6) & 0x1fff) * 8,
            _ => field(self.payload.start - 6) & !7,
        }
    }

    /// Of a part of a packet, whether others follow.
    pub fn has_more(&self, frame: &[u8]) -> bool {
        match self.version {
            4 => frame[self.header.start + 6] & 0x20 != 0,
            _ => frame[self.payload.start - 5] & 1 != 0,
        }
    }

    /// Of a part of a packet, the bytes that all parts have in common.
    pub fn identification<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        match self.version {
            4 => &frame[self.header.start + 4..self.header.start + 6],
            _ => &frame[self.payload.start - 4..self.payload.start],
        }
    }

    /// Whether the IPv4 header's checksum is right; IPv6 has none.
    pub fn is_header_valid(&self, frame: &[u8]) -> bool {
        self.version == 6 || sum(&[&frame[self.header.clone()]]) == 0xffff
    }

    /// Whether the checksum of what it carries is right, its field included. A part of a packet
    /// and a protocol that we don't know count as right; a UDP checksum of zero does not.
    pub fn is_payload_valid(&self, frame: &[u8]) -> bool {
        let payload = &frame[self.payload.clone()];
        let covered = self.covered(frame);
        match (self.version, self.protocol) {
            _ if self.is_fragment => true,
            (_, UDP) => word(payload, 6) != Some(0) && covered == 0xffff,
            (4, ICMP) | (6, ICMPV6) => covered == 0xffff,
            _ => true,
        }
    }

    /// The ones' complement sum that the checksum of what it carries is made of.
    pub fn covered(&self, frame: &[u8]) -> u16 {
        let payload = &frame[self.payload.clone()];
        let mut len = payload.len();
        if self.protocol == UDP {
            len = word(payload, 4).map_or(len, usize::from).min(len);
        }
        let (source, destination) = (self.source(frame), self.destination(frame));
        let pseudo = [&(len as u32).to_be_bytes()[..], &[0, self.protocol]].concat();
        match (self.version, self.protocol) {
            (4, ICMP) => sum(&[payload]),
            _ => sum(&[source, destination, &pseudo, &payload[..len]]),
        }
    }
}

fn ipv4(frame: &[u8], at: usize) -> Option<Ip> {
    let header_len = usize::from(*frame.get(at)? & 15) * 4;
    let total_len = usize::from(word(frame, at + 2)?);
    let fits = frame[at] >> 4 == 4 && header_len >= 20 && total_len >= header_len;
    frame.get(at..at + total_len).filter(|_| fits)?;
    Some(Ip {
        version: 4,
        header: at..at + header_len,
        payload: at + header_len..at + total_len,
        protocol: frame[at + 9],
        is_fragment: word(frame, at + 6)? & 0x3fff != 0,
    })
}

fn ipv6(frame: &[u8], at: usize) -> Option<Ip> {
    let end = at + 40 + usize::from(word(frame, at + 4)?);
    frame.get(at..end).filter(|packet| packet[0] >> 4 == 6)?;
    let (mut protocol, mut next, mut is_fragment) = (frame[at + 6], at + 40, false);
    // Hop-by-hop, routing and destination options, fragment: each says how long it is.
    while matches!(protocol, 0 | 43 | 44 | 60) && next + 8 <= end && !is_fragment {
        let len = if protocol == 44 { 8 } else { 8 + 8 * usize::from(frame[next + 1]) };
        if next + len > end {
            break;
        }
        is_fragment = protocol == 44 && word(frame, next + 2)? & 0xfff9 != 0;
        (protocol, next) = (frame[next], next + len);
    }
    Some(Ip { version: 6, header: at..at + 40, payload: next..end, protocol, is_fragment })
}

/// The big-endian word at `at`.
pub fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The ones' complement sum of RFC 1071, of parts that are each padded to words.
pub fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 =
        words.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
