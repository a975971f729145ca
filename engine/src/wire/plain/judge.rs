//! The judgement itself, on whatever columns there are.

use super::lanes::Lanes;
use super::{AT_A_TIME, Eight, Frames, Judged, SHORT, Station};
use crate::wire::{ethernet, ipv4, udp};

/// What the columns are compared with.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// Bytes 0 to 3: our MAC address.
    mac_begin: Eight,
    /// Bytes 4 to 7: the rest of it, and the sender's, which is no group's.
    mac_end: Eight,
    own: Set<2>,
    impossible_sources: Set<4>,
    /// The ports, in the low half.
    ports: Set<2>,
    /// All ones if ports are looked at, else zero. A branch here has the compiler load every part
    /// of the frames in front of it, and registers run out.
    looks_at_ports: Eight,
    /// The longest IP packet, in bytes.
    mtu: Eight,
    /// What is fresh in a reply's header, as addends of its sum.
    fresh: Eight,
    has_many: bool,
}

impl Pattern {
    pub(super) fn new(station: &Station<'_>) -> Self {
        let [a, b, c, d, e, f] = station.mac.0;
        let address = |ip: &std::net::Ipv4Addr| bytes(ip.octets());
        let port = |port: &u16| Eight::all(port.swap_bytes().into());
        let fresh = u32::from_le_bytes([0x40, 0, 0, 0]) + u32::from_le_bytes([station.ttl, 17, 0, 0]);
        let own = Set::new(station.addresses.iter().map(address));
        let impossible_sources = Set::new(station.impossible_sources.iter().map(address));
        let ports = Set::new(station.ports.iter().map(port));
        let has_many = own.has_more() || impossible_sources.has_more() || ports.has_more();
        Self {
            mac_begin: bytes([a, b, c, d]),
            mac_end: bytes([e, f, 0, 0]),
            own,
            impossible_sources,
            ports,
            looks_at_ports: if station.ports.is_empty() { ZERO } else { ONES },
            mtu: Eight::all(station.mtu.into()),
            fresh: Eight::all(fresh),
            has_many,
        }
    }

    /// Whether a set has more than a few words.
    #[inline(always)]
    pub(super) fn has_many(&self) -> bool {
        self.has_many
    }
}

/// What a column may be: some words in place, which are compared without a loop, and any more.
#[derive(Clone, Debug)]
struct Set<const FEW: usize> {
    few: [Eight; FEW],
    more: Box<[Eight]>,
}

impl<const FEW: usize> Set<FEW> {
    /// Of at least one word. It takes the places of those that are missing.
    fn new(mut words: impl Iterator<Item = Eight>) -> Self {
        let first = words.next().unwrap_or(ONES);
        let mut few = [first; FEW];
        few.iter_mut().skip(1).zip(&mut words).for_each(|(place, word)| *place = word);
        Self { few, more: words.collect() }
    }

    fn has_more(&self) -> bool {
        !self.more.is_empty()
    }

    /// All ones where the column's word is in the set.
    #[inline(always)]
    fn has<const MANY: bool, L: Lanes>(&self, column: L) -> L {
        let few = self.few.iter().map(|word| column.eq(get(word))).reduce(L::or);
        let more: &[Eight] = if MANY { &self.more } else { &[] };
        more.iter().fold(few.unwrap_or(get(&ZERO)), |is_in, word| is_in.or(column.eq(get(word))))
    }
}

/// Words are read little-endian in every kernel.
const fn bytes(bytes: [u8; 4]) -> Eight {
    Eight::all(u32::from_le_bytes(bytes))
}

const ZERO: Eight = Eight::all(0);
const ONES: Eight = Eight::all(u32::MAX);
const LOW: Eight = Eight::all(0xffff);
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
/// From the begin of the IP packet to the begin of the frame.
const LINK_LEN: Eight = Eight::all(ethernet::HEADER_LEN as u32);
const TOO_SHORT: Eight = Eight::all(ethernet::MIN_FRAME_LEN as u32 - 1);
/// The high byte of the first port that is no system's: 1,024.
const USER_PORTS: Eight = Eight::all(4);
const PROTOCOL: Eight = bytes([0, 17, 0, 0]);

/// Judges eight frames. `MANY` says that the pattern has sets with more than a few words.
#[inline(always)]
pub(super) fn judge<L: Lanes, const MANY: bool>(frames: &Frames<'_>, pattern: &Pattern, judged: &mut Judged) {
    let (mut plain, mut verified, mut whole) = (0, 0, 0);
    let mut at = 0;
    while at < AT_A_TIME {
        // One part of a frame after the other: registers are few.
        let payload = L::payload_sums(&frames.heads, at);
        let link = Link(L::columns(&frames.heads, at, 0)).wrong(pattern);
        let network = Network::of(L::columns(&frames.heads, at, 12));
        let frame_len = L::load(&frames.lens, at);
        let wrong = link.or(network.wrong(frame_len, pattern));
        let ends = Ends::of(L::columns(&frames.heads, at, 26));
        let addresses = ends.address_sum();
        let wrong = wrong.or(ends.wrong::<MANY>(network.len, pattern)).or(network.wrong_sum(addresses));
        network.fresh_checksum(addresses, pattern).store(&mut judged.checksums, at);
        let udp_sum = ends.udp_sum(addresses);
        udp_sum.store(&mut judged.udp_sums, at);
        let unverified = ends.unverified(udp_sum.add(payload));
        plain |= wrong.eq(get(&ZERO)).bits() << at;
        verified |= wrong.or(unverified).eq(get(&ZERO)).bits() << at;
        whole |= network.whole(frame_len).bits() << at;
        at += L::COUNT;
    }
    (judged.plain, judged.verified, judged.whole) = (plain, verified, whole & plain);
}

/// The first 16 bytes: the MAC addresses.
#[derive(Clone, Copy)]
struct Link<L>([L; 4]);

impl<L: Lanes> Link<L> {
    /// Not zero where a frame is not for us, or from nobody or a group.
    #[inline(always)]
    fn wrong(self, pattern: &Pattern) -> L {
        let [to, to_and_from, from, _] = self.0;
        let begin = to.xor(get(&pattern.mac_begin));
        let end = to_and_from.xor(get(&pattern.mac_end)).and(get(&MAC_END));
        let no_sender = to_and_from.high().or(from).eq(get(&ZERO));
        begin.or(end).or(no_sender)
    }
}

/// Bytes 12 to 27: EtherType and the IP header but for its addresses.
#[derive(Clone, Copy)]
struct Network<L> {
    /// EtherType; version, header length and class.
    kind_and_class: L,
    /// Total length; identification.
    total_len: L,
    /// Fragment field; TTL and protocol.
    fragment_and_protocol: L,
    /// Header checksum; the begin of the source.
    checksum: L,
    /// The total length, as a number.
    len: L,
}

impl<L: Lanes> Network<L> {
    #[inline(always)]
    fn of([kind_and_class, total_len, fragment_and_protocol, checksum]: [L; 4]) -> Self {
        let len = total_len.low_swapped();
        Self { kind_and_class, total_len, fragment_and_protocol, checksum, len }
    }

    /// Not zero where there is no UDP in one piece, or not all of it.
    #[inline(always)]
    fn wrong(&self, frame_len: L, pattern: &Pattern) -> L {
        let network = self.kind_and_class.xor(get(&IPV4)).and(get(&IPV4_MASK));
        let transport = self.fragment_and_protocol.xor(get(&UDP)).and(get(&UDP_MASK));
        let is_too_short = L::load(&MIN_TOTAL_LEN, 0).gt(self.len);
        let is_too_long = self.len.gt(get(&pattern.mtu));
        let is_cut = self.len.add(get(&LINK_LEN)).gt(frame_len);
        network.or(transport).or(is_too_short).or(is_too_long).or(is_cut)
    }

    /// All ones where the packet ends with its frame, which is no shorter than frames may be.
    #[inline(always)]
    fn whole(&self, frame_len: L) -> L {
        let is_end = self.len.add(get(&LINK_LEN)).eq(frame_len);
        is_end.and(frame_len.gt(get(&TOO_SHORT)))
    }

    /// The part of the header's sum that a reply's has too: length and addresses.
    #[inline(always)]
    fn kept(&self, addresses: L) -> L {
        self.total_len.and(get(&LOW)).add(addresses)
    }

    #[inline(always)]
    fn wrong_sum(&self, addresses: L) -> L {
        let sum = self
            .kept(addresses)
            .add(self.kind_and_class.high())
            .add(self.total_len.high())
            .add(halves(self.fragment_and_protocol))
            .add(self.checksum.and(get(&LOW)));
        // A sum of ten words that is all ones has them after one addition of its carries.
        halves(sum).xor(get(&LOW))
    }

    /// The header checksum of the reply, in the low half.
    #[inline(always)]
    fn fresh_checksum(&self, addresses: L, pattern: &Pattern) -> L {
        let class = self.kind_and_class.high().and(get(&CLASS));
        let sum = self.kept(addresses).add(class).add(get(&pattern.fresh));
        halves(halves(sum)).xor(get(&LOW))
    }
}

/// Bytes 26 to 41: the IP addresses and the UDP header.
#[derive(Clone, Copy)]
struct Ends<L> {
    source: L,
    destination: L,
    ports: L,
    /// UDP length; UDP checksum.
    udp_len: L,
    /// The UDP length, as a number.
    len: L,
}

impl<L: Lanes> Ends<L> {
    #[inline(always)]
    fn of([source, destination, ports, udp_len]: [L; 4]) -> Self {
        Self { source, destination, ports, udp_len, len: udp_len.low_swapped() }
    }

    /// Not zero where addresses, ports or the length are not those of a plain datagram.
    #[inline(always)]
    fn wrong<const MANY: bool>(&self, total_len: L, pattern: &Pattern) -> L {
        let contradiction = total_len.add(get(&MINUS_IP_LEN)).xor(self.len);
        self.wrong_addresses::<MANY>(pattern).or(self.wrong_ports::<MANY>(pattern)).or(contradiction)
    }

    #[inline(always)]
    fn wrong_addresses<const MANY: bool>(&self, pattern: &Pattern) -> L {
        let is_ours = pattern.own.has::<MANY, _>(self.destination);
        let first = self.source.and(get(&FIRST));
        let is_low = L::load(&ZERO, 0).eq(first).or(first.eq(get(&LOOPBACK)));
        let is_unicast = L::load(&MULTICAST, 0).gt(first);
        let is_impossible = pattern.impossible_sources.has::<MANY, _>(self.source);
        is_ours.and(is_unicast).xor(get(&ONES)).or(is_low).or(is_impossible)
    }

    #[inline(always)]
    fn wrong_ports<const MANY: bool>(&self, pattern: &Pattern) -> L {
        let ports = &pattern.ports;
        let (from, to) = (self.ports.and(get(&LOW)), self.ports.high());
        let is_system = L::load(&USER_PORTS, 0).gt(self.ports.and(get(&FIRST)));
        let wrong = ports.has::<MANY, _>(to).xor(get(&ONES)).or(is_system).or(ports.has::<MANY, _>(from));
        wrong.and(get(&pattern.looks_at_ports))
    }

    #[inline(always)]
    fn address_sum(&self) -> L {
        halves(self.source).add(halves(self.destination))
    }

    /// The sum over the pseudo header and the UDP header, whose length is in both.
    #[inline(always)]
    fn udp_sum(&self, addresses: L) -> L {
        let len = self.udp_len.and(get(&LOW));
        addresses.add(halves(self.ports)).add(halves(self.udp_len)).add(len).add(get(&PROTOCOL))
    }

    /// Not zero where the UDP checksum is missing, wrong or, the payload being long, not known.
    #[inline(always)]
    fn unverified(&self, sum: L) -> L {
        let is_missing = self.udp_len.high().eq(get(&ZERO));
        let is_long = self.len.gt(get(&MAX_SHORT));
        // A sum of fewer than 2^15 words that is all ones has them after one addition.
        halves(sum).xor(get(&LOW)).or(is_missing).or(is_long)
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
