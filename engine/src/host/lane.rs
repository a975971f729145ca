//! The fast lane: plain datagrams of a burst, judged eight at a time and answered where they lie.
//!
//! What a datagram is and what becomes of it is said in `classify` and in `Host::deliver`; here
//! the same is done for the frames that most of all traffic is made of ([`plain`]). Every other
//! frame is taken in one by one, in its turn. Frames that were answered stay at the front of
//! their burst, `answered` of them; they are counted and sent together.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::Host;
use super::classify::{Addresses, Ip, Link, Rules, Udp, UdpChecksum};
use super::guard::Guard;
use super::reply::{self, Style};
use crate::forward::Forwards;
use crate::packet::{Packet, RxChecksum};
use crate::port::FrameQueue;
use crate::service::{Datagram, Limits, Outbox, Service, Verdict};
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::checksum::Sum;
use crate::wire::plain::{AT_A_TIME, Expected, HEADERS_LEN, Head, Headers, Judged, NO_HEAD, Station};
use crate::wire::vlan::Vlans;
use crate::wire::{ethernet, ipv4, udp};

/// As many ports are compared with a column at once; more are looked up for each frame.
const COMPARED_PORTS: usize = 4;

/// All of the frames that are judged at a time.
const ALL: u32 = (1 << AT_A_TIME) - 1;

/// What plain frames of a host look like.
#[derive(Debug)]
pub(super) struct Lane {
    expected: Expected,
    looks_ports_up: bool,
}

impl Lane {
    /// `None` for a host whose datagrams need more than the lane does: one that keeps books
    /// about their sources, or that has no address without a VLAN.
    pub(super) fn new(rules: &Rules, guard: &Guard, style: Style, mtu: usize) -> Option<Self> {
        let addresses: Vec<_> = rules.addressing.untagged_ipv4().collect();
        if addresses.is_empty() || guard.is_limiting() {
            return None;
        }
        let impossible_sources: Vec<_> = rules.addressing.impossible_ipv4_sources().collect();
        let ports: Vec<u16> = rules.udp_ports.iter().filter(|&port| port != 0).collect();
        let looks_ports_up = ports.len() > COMPARED_PORTS;
        let station = Station {
            mac: rules.mac,
            addresses: &addresses,
            impossible_sources: &impossible_sources,
            ports: if looks_ports_up { &[] } else { &ports },
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            ttl: style.ttl,
        };
        // Without a port there is no service.
        (!ports.is_empty()).then(|| Self { expected: Expected::new(&station), looks_ports_up })
    }
}

impl Lane {
    /// Makes a plain frame that is of `end` bytes, padding aside, into its reply.
    #[inline]
    fn turn<P: Packet>(&self, packet: &mut P, ip_checksum: u32, end: usize) {
        let frame = packet.frame_mut();
        let frame_len = frame.len();
        if let Some(headers) = frame.first_chunk_mut() {
            self.expected.turn(headers, ip_checksum);
        }
        if end != frame_len || frame_len < ethernet::MIN_FRAME_LEN {
            reply::finish(packet, end);
        }
    }
}

/// Why the lane stopped at a frame.
#[derive(Clone, Copy)]
enum Stop {
    /// It did not: there are no more.
    End,
    /// It is not plain, or not for certain: it has to be taken in like any other.
    Other,
    /// It was delivered, and the service wants something else than its return as it came.
    Wanted(Wanted),
}

/// What the service wants of a datagram.
#[derive(Clone, Copy)]
struct Wanted {
    checksum: UdpChecksum,
    verdict: Verdict,
    /// Length of its payload in bytes.
    len: usize,
    /// The payload is another than the one that came.
    touched: bool,
}

impl<Q: FrameQueue> Host<Q> {
    /// Takes in all that was received, in order.
    #[inline]
    pub(super) fn run_lane<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<Q::Packet>,
    ) {
        let mut judged = Judged::default();
        while self.answered < self.received.len() {
            self.judge(&mut judged);
            let count = AT_A_TIME.min(self.received.len() - self.answered);
            let mut index = 0;
            while index < count {
                let stop = if judged.verified == ALL && index == 0 {
                    self.answer::<true, S>(now, &judged, index..count, service)
                } else {
                    self.answer::<false, S>(now, &judged, index..count, service)
                };
                match stop {
                    (_, Stop::End) => break,
                    (next, Stop::Other) => {
                        self.take_other(now, service, forwards);
                        index = next + 1;
                    }
                    (next, Stop::Wanted(wanted)) => {
                        self.conclude(now, wanted, forwards);
                        index = next + 1;
                    }
                }
            }
        }
        self.settle();
    }

    /// Judges the next eight frames, or as many as there are.
    #[inline]
    fn judge(&self, judged: &mut Judged) {
        let Some(lane) = &self.lane else { return };
        let next = &self.received[self.answered..];
        let mut heads = [NO_HEAD; AT_A_TIME];
        heads.iter_mut().zip(next).for_each(|(into, packet)| *into = head(packet));
        lane.expected.judge(&heads, judged);
        if lane.looks_ports_up {
            judged.retain(|index| may_pass(heads[index], &self.rules, &self.guard));
        }
    }

    /// Delivers and answers frames of those that were judged from the first of `indices` on, the
    /// first that is not answered yet. Says where it stopped and why; that frame is the first
    /// then that is not answered.
    #[inline]
    fn answer<const IS_ALL_VERIFIED: bool, S: Service>(
        &mut self,
        now: Time,
        judged: &Judged,
        indices: Range<usize>,
        service: &mut S,
    ) -> (usize, Stop) {
        let Some(lane) = &self.lane else { return (indices.start, Stop::Other) };
        let (begin, start) = (self.answered, indices.start);
        let mut answered = begin;
        let (mut plain, mut verified) = (judged.plain >> start, judged.verified >> start);
        let checksums = &judged.checksums.0[indices];
        for (packet, &ip_checksum) in self.received[begin..].iter_mut().zip(checksums) {
            let index = start + (answered - begin);
            let frame = packet.frame();
            let frame_len = frame.len();
            let Some(headers) = frame.first_chunk::<HEADERS_LEN>() else { return (index, Stop::Other) };
            let udp_len = udp_len(headers);
            let end = UDP_AT + udp_len;
            let is_verified = IS_ALL_VERIFIED || verified & 1 == 1;
            if end > frame_len || !(IS_ALL_VERIFIED || plain & 1 == 1) {
                return (index, Stop::Other);
            }
            (plain, verified) = (plain >> 1, verified >> 1);
            let mut checksum = UdpChecksum::Right;
            // What the port says of a checksum that is right by chance counts all the same.
            let is_told = self.trusted.udp && packet.rx_checksums().udp != RxChecksum::Unknown;
            if !is_verified || is_told {
                let said = if self.trusted.udp { packet.rx_checksums().udp } else { RxChecksum::Unknown };
                let found = udp_checksum(frame, judged.udp_sum(index), said);
                let Some(found) = found else { return (index, Stop::Other) };
                checksum = found;
            }
            let arrival = plain_udp(headers, checksum).arrival(self.port);
            let payload_len = udp_len - udp::HEADER_LEN;
            let max_payload = self.max_payload.to(arrival.source.ip());
            let mut datagram =
                Datagram::new(packet.room_mut(), HEADERS_LEN, payload_len, max_payload, arrival);
            let limits = Limits {
                payload: self.max_payload,
                whole_payload: self.whole_payload,
                ways: self.is_unguarded.then_some(&self.ways),
            };
            let mut outbox = Outbox::new(now, self.lent.parts(), limits, &mut self.guard.validation);
            self.is_delivering = true;
            let verdict = service.on_datagram(now, &mut datagram, &mut outbox);
            self.is_delivering = false;
            let (len, touched) = datagram.outcome();
            let is_as_it_came = verdict == Verdict::Reply && len == payload_len && !touched;
            if !is_as_it_came || checksum != UdpChecksum::Right {
                return (index, Stop::Wanted(Wanted { checksum, verdict, len, touched }));
            }
            lane.turn(packet, ip_checksum, end);
            answered += 1;
            self.answered = answered;
        }
        (start + (answered - begin), Stop::End)
    }

    /// Does with the first frame that is not answered yet what the service wants.
    #[inline(never)]
    fn conclude(
        &mut self,
        now: Time,
        Wanted { checksum, verdict, len, touched }: Wanted,
        forwards: &mut Forwards<Q::Packet>,
    ) {
        let packet = self.received.get_mut(self.answered);
        let Some(packet) = packet else { return };
        let Some(headers) = packet.frame().first_chunk() else { return };
        let udp = plain_udp(headers, checksum);
        if verdict == Verdict::Reply && len <= self.whole_payload.to(udp.ip.addresses.source()) {
            reply::udp(packet, &udp, len, touched, self.style);
            self.answered += 1;
        } else if let Some(packet) = self.take_first() {
            self.counters.add(Counter::Delivered, 1);
            self.carry_out(now, packet, &udp, verdict, (len, touched), forwards);
        }
    }

    /// Takes the first frame that is not answered yet in as any other.
    #[inline(never)]
    fn take_other<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<Q::Packet>) {
        if let Some(packet) = self.take_first() {
            // It is the only one there.
            let _ = self.rx.push(packet);
            self.take_in(now, service, forwards);
        }
    }

    /// Takes the first frame that is not answered yet out of the burst.
    fn take_first(&mut self) -> Option<Q::Packet> {
        self.settle();
        self.received.take_first()
    }

    /// Counts and sends what was answered.
    pub(super) fn settle(&mut self) {
        let answered = std::mem::take(&mut self.answered);
        self.counters.add(Counter::Delivered, answered as u64);
        self.counters.add(Counter::Replied, answered as u64);
        self.egress.send_first(&mut self.queue, &mut self.received, answered);
    }
}

/// The head of a frame that has all the headers.
#[inline]
fn head<P: Packet>(packet: &P) -> &Head {
    packet.head(HEADERS_LEN, NO_HEAD)
}

/// Where the UDP header of a plain frame stands.
const UDP_AT: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;

#[inline]
fn word(headers: &Headers, at: usize) -> u16 {
    u16::from_be_bytes([headers[at], headers[at + 1]])
}

#[inline]
fn udp_len(headers: &Headers) -> usize {
    word(headers, UDP_AT + 4).into()
}

#[inline]
fn may_pass(head: &Head, rules: &Rules, guard: &Guard) -> bool {
    let port = |at| u16::from_be_bytes([head[at], head[at + 1]]);
    let (from, to) = (port(UDP_AT), port(UDP_AT + 2));
    from != 0 && rules.udp_ports.contains(to) && !guard.is_suspect(from, to)
}

/// What is in the checksum field of a plain datagram that is accepted. `sum` is that of its
/// headers; `said` is what a port that was granted the check says.
#[inline]
fn udp_checksum(frame: &[u8], sum: Sum, said: RxChecksum) -> Option<UdpChecksum> {
    let (headers, rest) = frame.split_first_chunk::<HEADERS_LEN>()?;
    if headers[UDP_AT + 6..] == [0, 0] {
        return Some(UdpChecksum::None);
    }
    if said == RxChecksum::Good {
        return Some(UdpChecksum::Right);
    }
    let payload = rest.get(..udp_len(headers) - udp::HEADER_LEN)?;
    let is_right = said != RxChecksum::Unfilled && (sum + Sum::of(payload)).is_valid();
    is_right.then_some(UdpChecksum::Right)
}

/// A plain datagram.
#[inline]
fn plain_udp(headers: &Headers, checksum: UdpChecksum) -> Udp {
    let address = |at| Ipv4Addr::from([headers[at], headers[at + 1], headers[at + 2], headers[at + 3]]);
    let udp_len = udp_len(headers);
    let ip = Ip {
        link: Link { len: ethernet::HEADER_LEN, vlans: Vlans::NONE },
        header_len: ipv4::HEADER_LEN,
        payload_len: udp_len,
        differentiated_services: headers[15] & !3,
        addresses: Addresses::V4 { source: address(26), destination: address(30) },
    };
    Udp {
        ip,
        source_port: word(headers, UDP_AT),
        destination_port: word(headers, UDP_AT + 2),
        payload_len: udp_len - udp::HEADER_LEN,
        checksum,
    }
}
