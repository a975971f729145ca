//! The host on the wire: everything between frames and datagrams.
//!
//! [`Host`] takes the frames of one queue. It classifies each (`classify`), answers ARP,
//! neighbour solicitations and echo requests itself (`answers`), passes datagrams for its
//! addresses and ports to the service, turns replies round in place (`reply`), tells senders
//! what nobody takes (`errors`), and finds the way for what the service sends of its own
//! accord (`mail`, `outgoing`, `neighbours`). Plain datagrams take a fast `lane`, on which the same is
//! done for a burst of them. It makes its addresses known on the link (`presence`), and which
//! groups it listens to (`listening`). What it drops, it counts by name.

mod addressing;
mod alike;
mod answers;
pub(crate) mod capture;
mod classify;
mod config;
mod cut;
mod deliver;
mod drain;
mod egress;
mod errors;
mod fragment;
mod guard;
mod lane;
mod listening;
mod mail;
mod neighbours;
mod outgoing;
mod parts;
mod peers;
mod presence;
mod reassembly;
mod reply;
mod shared;
mod siphash;
#[cfg(test)]
mod tests;
mod udp_ports;
mod ways;

use std::os::fd::RawFd;
use std::sync::Arc;

pub use addressing::{Addressing, GatewayOffLink, InterfaceAddress};
pub(crate) use config::MaxPayload;
pub use config::{FragmentPolicy, HostConfig};
pub use guard::{Cookie, GuardConfig, GuardConfigError, Guards, Level};
pub(crate) use guard::{Guard, Validation};
pub use presence::LinkUp;
pub use shared::Sharing;
pub use siphash::HashKey;
pub use udp_ports::UdpPorts;

use capture::Tap;
use classify::{Class, Rules, classify};
use egress::Egress;
use lane::Lane;
use neighbours::Neighbours;
use parts::Fragments;
use peers::Peers;
use presence::Presence;
use reply::Style;
use shared::Tails;
pub(crate) use ways::{PLAIN_HEADERS_LEN, Prepared, Ways};

use crate::forward::{Forward, Forwards};
use crate::packet::{Burst, Lent, Packet, RxChecksums, Shares};
use crate::port::{FrameQueue, PortId};
use crate::service::{Limits, Outbox, ROUNDS, Service, Tick};
use crate::telemetry::{Counter, Counters};
use crate::time::Time;
use crate::worker::{DatagramQueue, FULL};

/// A host on one queue of a frame port.
#[derive(Debug)]
pub struct Host<Q: FrameQueue> {
    queue: Q,
    port: PortId,
    rules: Arc<Rules>,
    style: Style,
    /// Which of the port's words about checksums count.
    trusted: Trusted,
    /// The longest IP packet that the port sends, in bytes.
    mtu: usize,
    max_payload: MaxPayload,
    /// Those that need not be cut.
    whole_payload: MaxPayload,
    /// What was received and not taken in yet; the first `answered` of it were answered in place.
    received: Burst<Q::Packet>,
    answered: usize,
    /// What is taken in frame by frame, the last one first.
    rx: Burst<Q::Packet>,
    /// How plain datagrams are answered in bulk; `None` where all are taken in one by one.
    lane: Option<Lane>,
    egress: Egress<Q::Packet>,
    lent: Lent<Q::Packet>,
    tails: Tails<Q::Packet>,
    neighbours: Neighbours<Q::Packet>,
    ways: Ways,
    peers: Option<Peers>,
    presence: Presence,
    guard: Guard,
    /// No guard has a say in what the service sends.
    is_unguarded: bool,
    /// Where fragments are put together, and the numbers of those that we make; `None` where
    /// they are dropped.
    fragments: Option<Fragments>,
    /// Room for one frame of the host's own; empty between calls.
    request: Burst<Q::Packet>,
    counters: Arc<Counters>,
    /// When it was last polled.
    polled: Time,
    /// The service has the last packet of `rx`; still set if it panicked.
    is_delivering: bool,
    is_drained: bool,
}

#[derive(Clone, Copy, Debug)]
struct Trusted {
    ipv4: bool,
    udp: bool,
}

impl<Q: FrameQueue> Host<Q> {
    /// A host on `queue`.
    pub fn new(queue: Q, config: HostConfig) -> Self {
        let capabilities = queue.capabilities();
        let (mac, mtu) = (capabilities.mac, usize::from(capabilities.mtu));
        let burst = config.burst.max(1);
        if config.announces {
            config.addressing.ipv6().iter().for_each(|own| own.state.set_tentative());
        }
        let guard = Guard::new(config.guards, &config.udp_ports, config.hash_key);
        let rules = Rules {
            mac,
            addressing: config.addressing,
            udp_ports: config.udp_ports,
            reassembles: config.fragments == FragmentPolicy::Reassemble,
            unmarked_unfilled_checksums: capabilities.unmarked_unfilled_checksums,
        };
        let style = Style { mac, ttl: config.ttl, tx_udp_checksum: capabilities.tx_udp_checksum };
        let max_payload = match config.fragments {
            FragmentPolicy::Drop => MaxPayload::of(mtu),
            FragmentPolicy::Reassemble => MaxPayload::of(config::MAX_PACKET),
        };
        let shares = Shares::new(config.shared, max_payload.longest())
            .chained_from(config.sharing.least(capabilities.tx_shared));
        Self {
            port: config.port,
            lane: Lane::new(&rules, &guard, style, mtu, capabilities.rx_udp_checksum),
            rules: Arc::new(rules),
            style,
            trusted: Trusted { ipv4: capabilities.rx_ipv4_checksum, udp: capabilities.rx_udp_checksum },
            mtu,
            max_payload,
            whole_payload: MaxPayload::of(mtu),
            received: Burst::with_capacity(burst),
            answered: 0,
            rx: Burst::with_capacity(burst),
            egress: Egress::with_capacity(burst),
            lent: Lent::with_capacity(config.outbox).sharing(shares),
            tails: Tails::new(config.shared),
            neighbours: Neighbours::new(config.hash_key, config.neighbours),
            ways: Ways::new(),
            peers: None,
            presence: Presence::new(config.announces, config.hash_key),
            is_unguarded: guard.is_idle_on_send(),
            guard,
            fragments: (config.fragments == FragmentPolicy::Reassemble)
                .then(|| Fragments::new(config.hash_key)),
            request: Burst::with_capacity(1),
            counters: Arc::clone(queue.counters()),
            polled: Time::NEVER,
            is_delivering: false,
            is_drained: false,
            queue,
        }
    }

    /// Joins the hosts on the queues of one port: an ARP answer arrives on whichever queue
    /// the device chooses, and not always on that of the lcore that asked.
    pub fn join(hosts: &mut [Self]) {
        let peers = Peers::of_each(hosts.len());
        for (index, (host, peers)) in hosts.iter_mut().zip(peers).enumerate() {
            host.peers = Some(peers);
            if let Some(fragments) = &mut host.fragments {
                fragments.identifications.part_from_others(index as u64);
            }
        }
    }

    /// Takes all frames in one by one.
    #[cfg(test)]
    pub(crate) fn without_lane(mut self) -> Self {
        self.lane = None;
        self
    }

    /// Has frames pass `tap` on their way.
    pub(crate) fn capture(&mut self, tap: Tap) {
        self.egress.tap = tap;
    }

    /// All that was received, frame by frame.
    #[inline]
    fn take_all_in<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<Q::Packet>) {
        self.rx.append(&mut self.received);
        // They are taken from the end, the first one first.
        self.rx.reverse();
        while !self.rx.is_empty() {
            self.take_in(now, service, forwards);
        }
    }

    /// The last frame of `rx`, to its end.
    #[inline]
    fn take_in<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<Q::Packet>) {
        let Some(packet) = self.rx.last() else { return };
        let checksums = self.trusted.checksums(packet);
        match classify(packet.frame(), checksums, &self.rules) {
            Class::Udp(udp) => self.deliver(now, &udp, service, forwards),
            Class::Arp(arp) => self.arp(now, &arp),
            Class::Echo(echo) => self.echo(now, &echo),
            Class::Solicitation(ip, asked) => self.solicitation(&ip, &asked),
            Class::Advertisement(ip, answer) => self.advertisement(now, &ip, &answer),
            Class::Refused(ip, refusal) => self.refuse(now, &ip, refusal),
            Class::ListenerQuery(vlans, query) => self.listener_query(now, vlans, &query),
            Class::Part(ip, part) => self.part(now, &ip, &part, service, forwards),
            Class::Drop(reason) => self.drop_last(reason),
        }
    }

    /// Calls the service's tick, again as long as it wants to go on at once.
    #[inline]
    fn tick_rounds<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<Q::Packet>,
    ) -> Tick {
        let mut tick = Tick::Again;
        for _ in 0..ROUNDS {
            self.lend();
            let limits = Limits::of_host(self.max_payload, self.whole_payload, self.is_unguarded, &self.ways);
            let mut outbox = Outbox::new(now, self.lent.parts(), limits, &mut self.guard.validation);
            tick = service.on_tick(now, &mut outbox);
            self.post(now, forwards);
            if tick != Tick::Again {
                break;
            }
        }
        tick
    }

    /// Does what is due.
    #[inline]
    fn step(&mut self, now: Time) {
        if self.neighbours.next_deadline() != Time::NEVER {
            self.maintain(now);
        }
        if now >= self.fragments_deadline() {
            self.step_fragments(now);
        }
        if self.presence.is_due(now) {
            self.step_presence(now);
        }
    }

    /// Has the neighbours that wait for an answer do what is due.
    #[cold]
    fn maintain(&mut self, now: Time) {
        while let Some(learned) = self.peers.as_ref().and_then(Peers::hear) {
            self.learn(now, learned);
        }
        if now >= self.neighbours.next_deadline() {
            self.step_neighbours(now);
        }
        self.egress.flush(&mut self.queue);
    }

    #[inline]
    fn host_reply(&mut self, packet: Q::Packet) {
        self.counters.add(Counter::HostReplied, 1);
        self.egress.send(&mut self.queue, packet, Counter::HostReplied);
    }

    /// Drops the last frame of `rx`.
    #[inline]
    fn drop_last(&mut self, reason: Counter) {
        if let Some(packet) = self.rx.pop() {
            self.drop_received(packet, reason);
        }
    }

    #[inline]
    fn drop_received(&mut self, packet: Q::Packet, reason: Counter) {
        self.counters.add(reason, 1);
        self.egress.tap.record(reason, packet.frame());
        self.egress.discard(&mut self.queue, packet);
    }

    /// Drops a whole frame.
    fn drop_unsent(&mut self, packet: Q::Packet, reason: Counter) {
        self.egress.tap.record(reason, packet.frame());
        self.drop_unwritten(packet, reason);
    }

    /// Drops a payload that has no headers yet.
    fn drop_unwritten(&mut self, packet: Q::Packet, reason: Counter) {
        self.counters.add(reason, 1);
        self.egress.discard(&mut self.queue, packet);
    }
}

impl<Q: FrameQueue> DatagramQueue for Host<Q> {
    type Packet = Q::Packet;

    fn port(&self) -> PortId {
        self.port
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    #[inline]
    fn poll<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<Self::Packet>,
    ) -> usize {
        self.egress.tap.turn(now);
        self.queue.turn(now);
        self.queue.rx_burst(&mut self.received);
        let received = self.received.len();
        self.lend();
        self.received.iter().for_each(Packet::prefetch);
        if self.lane.is_some() && !self.egress.tap.is_open() {
            self.run_lane(now, service, forwards);
        } else {
            self.take_all_in(now, service, forwards);
        }
        self.post(now, forwards);
        self.egress.flush(&mut self.queue);
        self.counters.add(Counter::Polls, 1);
        self.counters.add(Counter::EmptyPolls, u64::from(received == 0));
        // What is due can wait for the next reading of the clock under load: a worker's turns share one.
        if now != self.polled || received < FULL {
            self.polled = now;
            self.step(now);
        }
        received
    }

    fn tick<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<Self::Packet>,
    ) -> Tick {
        let tick = self.tick_rounds(now, service, forwards);
        self.egress.flush(&mut self.queue);
        tick
    }

    fn take_forwards(&mut self, now: Time, forwards: &mut Forwards<Self::Packet>) {
        let port = self.port;
        let rules = Arc::clone(&self.rules);
        let is_mine = |forward: &Forward<_>| match forward.port {
            Some(to) => to == port,
            None => rules.addressing.owns(forward.from.ip()),
        };
        for forward in forwards.take(is_mine) {
            let Forward { packet, payload_start, from, to, .. } = forward;
            self.counters.add(Counter::Forwarded, 1);
            self.emit(now, Counter::Forwarded, packet, payload_start, (from, to));
        }
        self.egress.flush(&mut self.queue);
    }

    fn discard_forwards(&mut self, forwards: &mut Forwards<Self::Packet>) {
        for forward in forwards.take(|_| true) {
            self.counters.add(Counter::ForwardNoPort, 1);
            self.egress.discard(&mut self.queue, forward.packet);
        }
        self.egress.flush(&mut self.queue);
    }

    fn is_exhausted(&self) -> bool {
        self.queue.is_exhausted()
    }

    fn next_deadline(&self) -> Time {
        self.neighbours.next_deadline().min(self.fragments_deadline()).min(self.presence.next_deadline())
    }

    fn wait_fd(&self) -> Option<RawFd> {
        self.queue.wait_fd()
    }

    fn arm_wakeup(&mut self) -> bool {
        self.queue.arm_wakeup()
    }

    fn disarm_wakeup(&mut self) {
        self.queue.disarm_wakeup();
    }

    fn drain(&mut self) {
        self.give_all_back();
    }
}

impl Trusted {
    #[inline]
    fn checksums<P: Packet>(self, packet: &P) -> RxChecksums {
        if !self.ipv4 && !self.udp {
            return RxChecksums::default();
        }
        let mut said = packet.rx_checksums();
        if !self.ipv4 {
            said.ipv4 = Default::default();
        }
        if !self.udp {
            said.udp = Default::default();
        }
        said
    }
}
