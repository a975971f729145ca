//! The fast lane: plain datagrams of a burst, judged eight at a time and answered where they lie.
//!
//! What a datagram is and what becomes of it is said in `classify` and in `Host::deliver`; here
//! the same is done for the frames that most of all traffic is made of ([`plain`]). Every other
//! frame is taken in one by one, in its turn. Frames that were answered stay at the front of
//! their burst, `answered` of them; they are counted and sent together.

use std::array;
use std::net::Ipv4Addr;

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
use crate::wire::plain::{
    AT_A_TIME, Alike, AlikeKind, Eight, Expected, Frames, HEADERS_LEN, Head, Headers, Judged, NO_HEAD,
    Station,
};
use crate::wire::vlan::Vlans;
use crate::wire::{ethernet, ipv4, udp};

/// As many ports are compared with a column at once; more are looked up for each frame.
const COMPARED_PORTS: usize = 4;

/// All of the frames that are judged at a time.
const ALL: u32 = (1 << AT_A_TIME) - 1;

/// What plain frames of a host look like.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) expected: Expected,
    pub(super) looks_ports_up: bool,
    /// What frames alike look like: the last ones.
    pub(super) alike: Option<Alike>,
    /// That of the frame that was last looked at for that.
    pub(super) last_kind: AlikeKind,
    /// What the port says of checksums makes no difference, so that frames alike can be turned at once.
    pub(super) turns_alike: bool,
}

impl Lane {
    /// `None` for a host whose datagrams need more than the lane does: one that keeps books
    /// about their sources, or that has no address without a VLAN.
    pub(super) fn new(rules: &Rules, guard: &Guard, style: Style, mtu: usize, trusts: bool) -> Option<Self> {
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
        (!ports.is_empty()).then(|| Self {
            expected: Expected::new(&station),
            looks_ports_up,
            alike: None,
            last_kind: AlikeKind::default(),
            turns_alike: !trusts,
        })
    }
}

impl Lane {
    /// Makes the headers of a plain frame into those of its reply.
    #[inline]
    fn turn<P: Packet>(&self, packet: &mut P, ip_checksum: u32) {
        if let Some(headers) = packet.frame_mut().first_chunk_mut() {
            self.expected.turn(headers, ip_checksum);
        }
    }
}

/// Why the lane stopped at a frame.
#[derive(Clone, Copy)]
pub(super) enum Stop {
    /// It did not: there are no more.
    End,
    /// It is not plain, or not for certain: it has to be taken in like any other.
    Other,
    /// It was delivered, and the service wants something else than its return as it came.
    Wanted(Wanted),
}

/// What the service wants of a datagram.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) checksum: UdpChecksum,
    pub(super) verdict: Verdict,
    /// Length of its payload in bytes.
    pub(super) len: usize,
    /// The payload is another than the one that came.
    pub(super) touched: bool,
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
        while self.answered < self.received.len() {
            if self.run_alike(now, service, forwards) == 0 {
                self.run_eight(now, service, forwards);
            }
        }
        self.settle();
    }

    /// Takes in the next eight frames, or as many as there are.
    #[inline(never)]
    fn run_eight<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<Q::Packet>) {
        let mut judged = Judged::default();
        self.judge(&mut judged);
        let count = AT_A_TIME.min(self.received.len() - self.answered);
        // What the port says of a checksum that is right by chance counts all the same.
        let is_ready = count == AT_A_TIME && judged.verified & judged.whole == ALL && !self.trusted.udp;
        let mut index = 0;
        while index < count {
            self.is_delivering = true;
            let stop = if is_ready && index == 0 {
                self.answer::<true, S>(now, &judged, 0, AT_A_TIME, service)
            } else {
                self.answer::<false, S>(now, &judged, index, count, service)
            };
            self.is_delivering = false;
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

    /// Judges the next eight frames, or as many as there are.
    #[inline]
    fn judge(&self, judged: &mut Judged) {
        let Some(lane) = &self.lane else { return };
        let frames = frames(&self.received[self.answered..]);
        lane.expected.judge(&frames, judged);
        if lane.looks_ports_up {
            judged.retain(|index| may_pass(frames.heads[index], &self.rules, &self.guard));
        }
    }

    /// Delivers and answers frames of those that were judged, from `start` to `end`, the first
    /// of which is the first that is not answered yet. Says where it stopped and why; that frame
    /// is the first then that is not answered. `ARE_READY` says that all of the eight have a right
    /// checksum, by the judge, and are whole.
    #[inline]
    fn answer<const ARE_READY: bool, S: Service>(
        &mut self,
        now: Time,
        judged: &Judged,
        start: usize,
        end: usize,
        service: &mut S,
    ) -> (usize, Stop) {
        let Some(lane) = &self.lane else { return (start, Stop::Other) };
        let begin = self.answered;
        let mut index = start;
        let packets = &mut self.received[begin..begin + (end - start)];
        for (packet, &ip_checksum) in packets.iter_mut().zip(&judged.checksums.0[start..end]) {
            let Some(headers) = packet.frame().first_chunk() else { return (index, Stop::Other) };
            let is = |set: u32| ARE_READY || set >> index & 1 == 1;
            if !is(judged.plain) {
                return (index, Stop::Other);
            }
            let udp_len = udp_len(headers);
            let mut checksum = UdpChecksum::Right;
            if !ARE_READY {
                let said = if self.trusted.udp { packet.rx_checksums().udp } else { RxChecksum::Unknown };
                if !is(judged.verified) || said != RxChecksum::Unknown {
                    let found = udp_checksum(packet.frame(), judged.udp_sum(index), said);
                    let Some(found) = found else { return (index, Stop::Other) };
                    checksum = found;
                }
            }
            let arrival = plain_udp(headers, checksum).arrival(self.port);
            let payload_len = udp_len - udp::HEADER_LEN;
            let max_payload = self.max_payload.to(arrival.source.ip());
            let mut datagram =
                Datagram::new(packet.room_mut(), HEADERS_LEN, payload_len, max_payload, arrival);
            let limits = Limits::of_host(self.max_payload, self.whole_payload, self.is_unguarded, &self.ways);
            let mut outbox = Outbox::new(now, self.lent.parts(), limits, &mut self.guard.validation);
            let verdict = service.on_datagram(now, &mut datagram, &mut outbox);
            let (len, touched) = datagram.outcome();
            let is_as_it_came = verdict == Verdict::Reply && len == payload_len && !touched;
            if !is_as_it_came || checksum != UdpChecksum::Right {
                return (index, Stop::Wanted(Wanted { checksum, verdict, len, touched }));
            }
            lane.turn(packet, ip_checksum);
            if !is(judged.whole) {
                reply::finish(packet, UDP_AT + udp_len);
            }
            index += 1;
            self.answered = begin + (index - start);
        }
        (index, Stop::End)
    }

    /// Does with the first frame that is not answered yet what the service wants.
    #[inline(never)]
    pub(super) fn conclude(
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

/// The first eight frames, or as many as there are.
#[inline(always)]
fn frames<P: Packet>(packets: &[P]) -> Frames<'_> {
    let len = |packet: &P| packet.frame_len() as u32;
    if let Some(eight) = packets.first_chunk::<AT_A_TIME>() {
        let heads = array::from_fn(|index| eight[index].head(NO_HEAD));
        return Frames { heads, lens: Eight(array::from_fn(|index| len(&eight[index]))) };
    }
    let mut frames = Frames::default();
    let places = frames.heads.iter_mut().zip(&mut frames.lens.0);
    places.zip(packets).for_each(|(places, packet)| {
        (*places.0, *places.1) = (packet.head(NO_HEAD), len(packet));
    });
    frames
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
pub(super) fn plain_udp(headers: &Headers, checksum: UdpChecksum) -> Udp {
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
