//! One lcore's sockets: a turn, the service's tick, forwards, and the end.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::config::SocketConfig;
use super::outbound::Outbound;
use super::receive::Receiver;
use super::stash::Stash;
use super::transmit::Parcel;
use super::udp_socket::{Readable, Socket};
use crate::forward::{Forward, Forwards};
use crate::host::{Guard, MaxPayload, UdpPorts};
use crate::packet::{Burst, Lent, Letter, Packet, Place, Shares};
use crate::port::PortId;
use crate::port::heap::{HeapPacket, HeapPool};
use crate::service::{Limits, Outbox, ROUNDS, Service, Tick};
use crate::telemetry::{Counter, Counters};
use crate::time::Time;
use crate::worker::DatagramQueue;

/// Datagrams that leave at a time at least: a run of them is one message for the kernel.
const LEAST_OUTBOUND: usize = 64;
/// How often the kernel is asked what it dropped.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Datagrams that are taken from the sockets at the end at most, so that a peer that never stops
/// sending can't keep a stopping program.
const DRAIN_LIMIT: usize = 1 << 16;

/// A socket that is bound.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) socket: Arc<Socket>,
    pub(super) endpoint: SocketAddr,
    /// It takes what comes to any address of its family.
    pub(super) is_wildcard: bool,
}

impl Bound {
    fn has(&self, address: IpAddr) -> bool {
        let is_family = self.endpoint.is_ipv4() == address.is_ipv4();
        self.endpoint.ip() == address || (self.is_wildcard && is_family)
    }

    /// The address to leave from and the interface to leave by, where that has to be said.
    fn leaving_from(&self, from: SocketAddr) -> Option<(IpAddr, u32)> {
        let interface = if let SocketAddr::V6(from) = from { from.scope_id() } else { 0 };
        (self.is_wildcard && !from.ip().is_unspecified()).then_some((from.ip(), interface))
    }
}

/// The sockets of one lcore: a queue of datagrams.
pub struct SocketQueue {
    pub(super) port: PortId,
    pub(super) bound: Arc<[Bound]>,
    /// Where there are several sockets: which of them have something.
    readable: Option<Readable>,
    pub(super) receiver: Receiver,
    outbound: Outbound,
    pub(super) stash: Stash,
    pub(super) lent: Lent<HeapPacket>,
    pub(super) guard: Guard,
    pub(super) counters: Arc<Counters>,
    /// What the service has in its hands; still here if it panicked.
    pub(super) delivering: Option<HeapPacket>,
    /// Datagrams that were received and not yet looked at; the rest if the service panicked.
    pub(super) undelivered: usize,
    /// Of each socket, what the kernel was known to have dropped.
    known_drops: Vec<u32>,
    next_look: Time,
    is_drained: bool,
}

/// What a queue is made of.
pub(super) struct Parts<'a> {
    pub(super) bound: Vec<Bound>,
    pub(super) readable: Option<Readable>,
    /// The kernel can cut what is sent.
    pub(super) joins: bool,
    pub(super) pool: &'a HeapPool,
    pub(super) config: &'a SocketConfig,
}

impl Parts<'_> {
    /// Buffers that a queue uses: those of a burst, those on their way out, those that are lent to
    /// the service, one in its hands, and what a turn can forward.
    pub(super) fn buffers(config: &SocketConfig) -> usize {
        let burst = config.burst.max(1);
        burst + burst.max(LEAST_OUTBOUND) + config.outbox + 1 + burst + (1 + ROUNDS) * config.outbox
    }
}

impl SocketQueue {
    pub(super) fn new(parts: Parts<'_>) -> Self {
        let Parts { bound, readable, joins, pool, config } = parts;
        let burst = config.burst.max(1);
        let mut stash = Stash::new(pool, Parts::buffers(config));
        let received = std::iter::from_fn(|| stash.take()).take(burst).collect();
        let udp_ports: UdpPorts = bound.iter().map(|bound| bound.endpoint.port()).collect();
        let longest_segment = if joins { MaxPayload::LONGEST } else { 0 };
        Self {
            port: config.port,
            readable,
            receiver: Receiver::new(received),
            outbound: Outbound::new(burst.max(LEAST_OUTBOUND), longest_segment),
            stash,
            lent: Lent::with_capacity(config.outbox)
                .sharing(Shares::new(config.shared, MaxPayload::DATAGRAM.longest())),
            guard: Guard::new(config.guards, &udp_ports, config.hash_key),
            counters: Arc::default(),
            delivering: None,
            undelivered: 0,
            known_drops: vec![0; bound.len()],
            bound: bound.into(),
            next_look: Time::ZERO,
            is_drained: false,
        }
    }

    /// The addresses and UDP ports that it listens on.
    pub fn endpoints(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.bound.iter().map(|bound| bound.endpoint)
    }

    /// Receives a burst of each socket that was found to have something.
    fn take_in_found<S: Service>(
        &mut self,
        now: Time,
        count: usize,
        service: &mut S,
        forwards: &mut Forwards<HeapPacket>,
    ) -> usize {
        let mut received = 0;
        for at in 0..count {
            let Some(socket) = self.readable.as_ref().map(|readable| readable.found(at)) else { break };
            received += self.take_in(now, socket, service, forwards);
        }
        received
    }

    /// A buffer. There are enough of them, but where forwards of another port's hold some.
    #[inline]
    pub(super) fn spare(&mut self) -> Option<HeapPacket> {
        self.stash.take().or_else(|| {
            self.flush();
            self.stash.take()
        })
    }

    #[inline]
    pub(super) fn lend(&mut self) {
        if self.lent.wants_refill() {
            self.lent.refill(|packets| self.stash.fill(packets));
        }
    }

    /// Sends what the service put into its outbox.
    #[inline]
    pub(super) fn post(&mut self, now: Time, forwards: &mut Forwards<HeapPacket>) {
        if self.lent.has_letters() {
            self.post_letters(now, forwards);
        }
    }

    fn post_letters(&mut self, now: Time, forwards: &mut Forwards<HeapPacket>) {
        let mut lent = std::mem::take(&mut self.lent);
        let (packets, letters, shares) = lent.open();
        for letter in letters {
            let Some(mut packet) = packets.pop() else { break };
            let (from, to, len) = match *letter {
                Letter::Payload { from, to, len } => {
                    packet.set_frame_len(len);
                    (from, to, len)
                }
                Letter::Shared { from, to, place } => {
                    self.counters.add(Counter::TxCopied, 1);
                    let payload = shares.place(place).map(Place::payload).unwrap_or_default();
                    // The outbox saw to it that there is room.
                    let is_filled = packet.fill(payload);
                    debug_assert!(is_filled, "a payload of {} bytes", payload.len());
                    (from, to, payload.len())
                }
                // The kernel writes the headers: what is lent here is never made a whole frame.
                Letter::Frame(_) | Letter::Frames(..) | Letter::Chained(..) => {
                    debug_assert!(false, "a frame for a socket");
                    self.stash.put(packet);
                    continue;
                }
            };
            if !self.guard.validation.may_send(now, to, len) {
                self.counters.add(Counter::Originated, 1);
                self.drop_unsent(packet, Counter::TxAmplification);
            } else if self.bound.iter().any(|bound| bound.has(from.ip())) {
                self.emit(now, Counter::Originated, packet, from, to);
            } else {
                self.forward(Forward { packet, payload_start: 0, port: None, from, to }, forwards);
            }
        }
        let shares = lent.forget();
        self.counters.add(Counter::TxCopied, shares.take_copied());
        shares.settle();
        self.lent = lent;
    }

    pub(super) fn forward(&mut self, forward: Forward<HeapPacket>, forwards: &mut Forwards<HeapPacket>) {
        self.counters.add(Counter::ForwardedAway, 1);
        if let Err(packet) = forwards.push(forward) {
            self.counters.add(Counter::ForwardNoPort, 1);
            self.stash.put(packet);
        }
    }

    /// Counts as `reason` and sends a payload from one of our addresses and ports.
    pub(super) fn emit(
        &mut self,
        now: Time,
        reason: Counter,
        packet: HeapPacket,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        self.counters.add(reason, 1);
        let is_way = |bound: &Bound| bound.endpoint.port() == from.port() && bound.has(from.ip());
        let socket = self.bound.iter().position(is_way).filter(|_| from.is_ipv4() == to.is_ipv4());
        let Some(socket) = socket else { return self.drop_unsent(packet, Counter::TxNoRoute) };
        if packet.frame_len() > MaxPayload::DATAGRAM.to(to.ip()) {
            return self.drop_unsent(packet, Counter::TxOversize);
        }
        self.guard.sent(now, from.port(), to);
        self.send(socket, packet, from, to);
    }

    /// Has a payload leave by a socket, at the end of the burst at the latest.
    #[inline]
    pub(super) fn send(&mut self, socket: usize, packet: HeapPacket, from: SocketAddr, to: SocketAddr) {
        if self.outbound.is_full() {
            self.flush();
        }
        let source = self.bound[socket].leaving_from(from);
        self.outbound.push(Parcel { packet, socket, source, to });
    }

    pub(super) fn drop_unsent(&mut self, packet: HeapPacket, reason: Counter) {
        self.counters.add(reason, 1);
        self.stash.put(packet);
    }

    #[inline]
    pub(super) fn flush(&mut self) {
        self.outbound.flush(&self.bound, &mut self.stash, &self.counters);
    }

    /// Counts what the kernel dropped since the last look.
    #[cold]
    fn look_for_drops(&mut self) {
        for (bound, known) in self.bound.iter().zip(&mut self.known_drops) {
            let Ok(drops) = bound.socket.drops() else { continue };
            self.counters.add(Counter::RxMissed, drops.wrapping_sub(*known).into());
            *known = drops;
        }
    }

    /// Takes what waits in the sockets and drops it.
    fn empty_sockets(&mut self) {
        for bound in &*self.bound {
            let mut drained = 0;
            while drained < DRAIN_LIMIT
                && let Some(count) = self.receiver.receive(&bound.socket).ok().filter(|&count| count > 0)
            {
                drained += count;
                let datagrams: usize = (0..count).map(|at| self.receiver.message(at).datagrams()).sum();
                self.counters.add(Counter::Received, datagrams as u64);
                self.counters.add(Counter::Stopping, datagrams as u64);
            }
        }
    }

    /// Gives all buffers back.
    fn give_all_back(&mut self) {
        self.is_drained = true;
        self.counters.add(Counter::Stopping, std::mem::take(&mut self.undelivered) as u64);
        self.empty_sockets();
        self.look_for_drops();
        self.flush();
        self.stash.close();
        self.delivering.take().into_iter().for_each(HeapPacket::release);
        self.receiver.drain().for_each(HeapPacket::release);
        let mut burst = Burst::with_capacity(self.lent.len());
        self.lent.give_back(&mut burst);
        burst.drain().for_each(HeapPacket::release);
    }
}

impl DatagramQueue for SocketQueue {
    type Packet = HeapPacket;

    fn port(&self) -> PortId {
        self.port
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    #[inline]
    fn poll<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<HeapPacket>) -> usize {
        let received = match self.readable.as_mut().map(Readable::look) {
            None => self.take_in(now, 0, service, forwards),
            Some(count) => self.take_in_found(now, count, service, forwards),
        };
        self.flush();
        self.counters.add(Counter::Polls, 1);
        self.counters.add(Counter::EmptyPolls, u64::from(received == 0));
        if now >= self.next_look {
            self.next_look = now + LOOK_INTERVAL;
            self.look_for_drops();
        }
        received
    }

    fn tick<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<HeapPacket>) -> Tick {
        let mut tick = Tick::Again;
        for _ in 0..ROUNDS {
            self.lend();
            let (parts, limits) = (self.lent.parts(), Limits::plain(MaxPayload::DATAGRAM));
            let mut outbox = Outbox::new(now, parts, limits, &mut self.guard.validation);
            tick = service.on_tick(now, &mut outbox);
            self.post(now, forwards);
            if tick != Tick::Again {
                break;
            }
        }
        self.flush();
        tick
    }

    fn take_forwards(&mut self, now: Time, forwards: &mut Forwards<HeapPacket>) {
        let (port, bound) = (self.port, Arc::clone(&self.bound));
        let is_mine = |forward: &Forward<_>| match forward.port {
            Some(to) => to == port,
            None => bound.iter().any(|bound| bound.has(forward.from.ip())),
        };
        for forward in forwards.take(is_mine) {
            let Forward { mut packet, payload_start, from, to, .. } = forward;
            packet.trim_front(payload_start);
            self.emit(now, Counter::Forwarded, packet, from, to);
        }
        self.flush();
    }

    fn discard_forwards(&mut self, forwards: &mut Forwards<HeapPacket>) {
        for forward in forwards.take(|_| true) {
            self.counters.add(Counter::ForwardNoPort, 1);
            self.stash.put(forward.packet);
        }
    }

    fn is_exhausted(&self) -> bool {
        false
    }

    fn wait_fd(&self) -> Option<RawFd> {
        let only = || self.bound.first().map(|bound| bound.socket.as_raw_fd());
        self.readable.as_ref().map(AsRawFd::as_raw_fd).or_else(only)
    }

    fn drain(&mut self) {
        self.give_all_back();
    }
}

impl Drop for SocketQueue {
    /// A queue that was not drained, or whose service panicked, gives back what it still has.
    fn drop(&mut self) {
        if !self.is_drained {
            self.give_all_back();
        }
    }
}
