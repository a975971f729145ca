//! The judgement itself, on whatever columns there are.

use super::lanes::Lanes;
use super::{AT_A_TIME, Eight, Head, Judged, SHORT, Station};
use crate::wire::{ipv4, udp};

/// What the columns are compared with.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// Bytes 0 to 3: our MAC address.
    mac_begin: Eight,
    /// Bytes 4 to 7: the rest of it, and the sender's, which is no group's.
    mac_end: Eight,
    own: Box<[Eight]>,
    impossible_sources: Box<[Eight]>,
    /// Each port in the low half, and in the high half.
    ports: Box<[(Eight, Eight)]>,
    /// The longest IP packet, in bytes.
    mtu: Eight,
    /// What is fresh in a reply's header, as addends of its sum.
    fresh: Eight,
}

impl Pattern {
    pub(super) fn new(station: &Station<'_>) -> Self {
        let [a, b, c, d, e, f] = station.mac.0;
        let addresses = |of: &[std::net::Ipv4Addr]| of.iter().map(|ip| bytes(ip.octets())).collect();
        let port = |&port: &u16| {
            let [high, low] = port.to_be_bytes();
            (bytes([high, low, 0, 0]), bytes([0, 0, high, low]))
        };
        let fresh = u32::from_le_bytes([0x40, 0, 0, 0]) + u32::from_le_bytes([station.ttl, 17, 0, 0]);
        Self {
            mac_begin: bytes([a, b, c, d]),
            mac_end: bytes([e, f, 0, 0]),
            own: addresses(station.addresses),
            impossible_sources: addresses(station.impossible_sources),
            ports: station.ports.iter().map(port).collect(),
            mtu: Eight::all(station.mtu.into()),
            fresh: Eight::all(fresh),
        }
    }
}

/// Words are read little-endian in every kernel.
const fn bytes(bytes: [u8; 4]) -> Eight {
    Eight::all(u32::from_le_bytes(bytes))
}

const ZERO: Eight = Eight::all(0);
const ONES: Eight = Eight::all(u32::MAX);
const LOW: Eight = Eight::all(0xffff);
const HIGH: Eight = Eight::all(0xffff_0000);
const FIRST: Eight = Eight::all(0xff);
/// The end of our MAC address and the group bit of the sender's.
const MAC_END: Eight = bytes([0xff, 0xff, 1, 0]);
/// EtherType IPv4, version 4 and a header of 20 bytes.
const IPV4: Eight = bytes([8, 0, 0x45, 0]);
const IPV4_MASK: Eight = bytes([0xff, 0xff, 0xff, 0]);
/// In one piece, and UDP; whether it may be cut and what hops it has left makes no difference.
const UDP: Eight = bytes([0, 0, 0, 17]);
const UDP_MASK: Eight = bytes([0x3f, 0xff, 0, 0xff]);
/// Class and ECN in the high half: ECN is not answered.
const CLASS: Eight = Eight::all(0xfcff);
const MINUS_IP_LEN: Eight = Eight::all((ipv4::HEADER_LEN as u32).wrapping_neg());
const MIN_TOTAL_LEN: Eight = Eight::all((ipv4::HEADER_LEN + udp::HEADER_LEN) as u32);
/// The UDP length of the longest payload that is short.
const MAX_SHORT: Eight = Eight::all((udp::HEADER_LEN + SHORT) as u32);
/// Loopback, and the first byte of the first address after the last unicast one.
const LOOPBACK: Eight = Eight::all(127);
const MULTICAST: Eight = Eight::all(224);
/// The highest byte of ports below 1,024.
const SYSTEM_PORTS: Eight = Eight::all(3);
const PROTOCOL: Eight = bytes([0, 17, 0, 0]);

/// Judges eight frames.
#[inline(always)]
pub(super) fn judge<L: Lanes>(heads: &[&Head; AT_A_TIME], pattern: &Pattern, judged: &mut Judged) {
    let (mut plain, mut verified) = (0, 0);
    let mut at = 0;
    while at < AT_A_TIME {
        let columns = Columns::<L>::of(heads, at);
        let wrong = columns.wrong(pattern);
        let udp_sum = columns.udp_sum();
        let unverified = columns.unverified(udp_sum.add(L::payload_sums(heads, at)));
        plain |= wrong.eq(get(&ZERO)).bits() << at;
        verified |= wrong.or(unverified).eq(get(&ZERO)).bits() << at;
        columns.checksum(pattern).store(&mut judged.checksums, at);
        udp_sum.store(&mut judged.udp_sums, at);
        at += L::COUNT;
    }
    (judged.plain, judged.verified) = (plain, verified);
}

/// The columns of some frames, by what stands in their two halves.
#[derive(Clone, Copy)]
struct Columns<L> {
    to_mac: L,
    to_and_from_mac: L,
    from_mac: L,
    /// EtherType; version, header length and class.
    kind_and_class: L,
    /// Total length; identification.
    total_len: L,
    /// Fragment field; TTL and protocol.
    fragment_and_protocol: L,
    /// Header checksum; the begin of the source.
    checksum: L,
    source: L,
    destination: L,
    ports: L,
    /// UDP length; UDP checksum.
    udp_len: L,
}

impl<L: Lanes> Columns<L> {
    #[inline(always)]
    fn of(heads: &[&Head; AT_A_TIME], at: usize) -> Self {
        let [[to_mac, to_and_from_mac, from_mac, _], network, rest] = L::columns(heads, at);
        let [kind_and_class, total_len, fragment_and_protocol, checksum] = network;
        let [source, destination, ports, udp_len] = rest;
        Self {
            to_mac,
            to_and_from_mac,
            from_mac,
            kind_and_class,
            total_len,
            fragment_and_protocol,
            checksum,
            source,
            destination,
            ports,
            udp_len,
        }
    }

    /// Not zero where a frame is not plain.
    #[inline(always)]
    fn wrong(&self, pattern: &Pattern) -> L {
        let ports = self.wrong_ports(pattern);
        self.wrong_link(pattern)
            .or(self.wrong_kind())
            .or(self.wrong_lengths(pattern))
            .or(self.wrong_addresses(pattern))
            .or(self.wrong_sum())
            .or(ports)
    }

    #[inline(always)]
    fn wrong_link(&self, pattern: &Pattern) -> L {
        let begin = self.to_mac.xor(get(&pattern.mac_begin));
        let end = self.to_and_from_mac.xor(get(&pattern.mac_end)).and(get(&MAC_END));
        let no_sender = self.to_and_from_mac.high().or(self.from_mac).eq(get(&ZERO));
        begin.or(end).or(no_sender)
    }

    #[inline(always)]
    fn wrong_kind(&self) -> L {
        let network = self.kind_and_class.xor(get(&IPV4)).and(get(&IPV4_MASK));
        let transport = self.fragment_and_protocol.xor(get(&UDP)).and(get(&UDP_MASK));
        network.or(transport)
    }

    #[inline(always)]
    fn wrong_lengths(&self, pattern: &Pattern) -> L {
        let (total, udp) = (self.total_len.low_swapped(), self.udp_len.low_swapped());
        let is_too_short = L::load(&MIN_TOTAL_LEN, 0).gt(total);
        let is_too_long = total.gt(get(&pattern.mtu));
        let contradiction = total.add(get(&MINUS_IP_LEN)).xor(udp);
        is_too_short.or(is_too_long).or(contradiction)
    }

    #[inline(always)]
    fn wrong_addresses(&self, pattern: &Pattern) -> L {
        let mut is_ours: L = get(&ZERO);
        for own in &pattern.own {
            is_ours = is_ours.or(self.destination.eq(get(own)));
        }
        let first = self.source.and(get(&FIRST));
        let is_low = L::load(&ZERO, 0).eq(first).or(first.eq(get(&LOOPBACK)));
        let is_unicast = L::load(&MULTICAST, 0).gt(first);
        let mut wrong = is_ours.and(is_unicast).xor(get(&ONES)).or(is_low);
        for source in &pattern.impossible_sources {
            wrong = wrong.or(self.source.eq(get(source)));
        }
        wrong
    }

    #[inline(always)]
    fn wrong_ports(&self, pattern: &Pattern) -> L {
        if pattern.ports.is_empty() {
            return get(&ZERO);
        }
        let (from, to) = (self.ports.and(get(&LOW)), self.ports.and(get(&HIGH)));
        let mut is_ours: L = get(&ZERO);
        let mut wrong = self.ports.and(get(&FIRST)).gt(get(&SYSTEM_PORTS)).xor(get(&ONES));
        for (low, high) in &pattern.ports {
            is_ours = is_ours.or(to.eq(get(high)));
            wrong = wrong.or(from.eq(get(low)));
        }
        is_ours.xor(get(&ONES)).or(wrong)
    }

    /// The part of the header's sum that a reply's has too: length and addresses.
    #[inline(always)]
    fn kept(&self) -> L {
        self.total_len.and(get(&LOW)).add(self.address_sum())
    }

    #[inline(always)]
    fn address_sum(&self) -> L {
        halves(self.source).add(halves(self.destination))
    }

    #[inline(always)]
    fn wrong_sum(&self) -> L {
        let sum = self
            .kept()
            .add(self.kind_and_class.high())
            .add(self.total_len.high())
            .add(halves(self.fragment_and_protocol))
            .add(self.checksum.and(get(&LOW)));
        // A sum of ten words that is all ones has them after one addition of its carries.
        halves(sum).xor(get(&LOW))
    }

    /// Not zero where the UDP checksum is missing, wrong or, the payload being long, not known.
    #[inline(always)]
    fn unverified(&self, sum: L) -> L {
        let is_missing = self.udp_len.high().eq(get(&ZERO));
        let is_long = self.udp_len.low_swapped().gt(get(&MAX_SHORT));
        // A sum of fewer than 2^15 words that is all ones has them after one addition.
        halves(sum).xor(get(&LOW)).or(is_missing).or(is_long)
    }

    /// The header checksum of the reply, in the low half.
    #[inline(always)]
    fn checksum(&self, pattern: &Pattern) -> L {
        let sum = self.kept().add(self.kind_and_class.high().and(get(&CLASS))).add(get(&pattern.fresh));
        halves(halves(sum)).xor(get(&LOW))
    }

    /// The sum over the pseudo header and the UDP header, whose length is in both.
    #[inline(always)]
    fn udp_sum(&self) -> L {
        let len = self.udp_len.and(get(&LOW));
        self.address_sum().add(halves(self.ports)).add(halves(self.udp_len)).add(len).add(get(&PROTOCOL))
    }
}

#[inline(always)]
fn get<L: Lanes>(from: &Eight) -> L {
    L::load(from, 0)
}

/// The sum of the two halves of each word.
#[inline(always)]
fn halves<L: Lanes>(column: L) -> L {
    column.and(get(&LOW)).add(column.high())
}
