//! The host on the wire: everything between frames and datagrams.
//!
//! [`Host`] takes the frames of one queue. It classifies each (`classify`), answers ARP and
//! ICMP echo itself, passes datagrams for its addresses and ports to the service, turns
//! replies round in place (`reply`), and finds the way for what the service sends of its
//! own accord (`outgoing`, `neighbours`). What it drops, it counts by name.

mod addressing;
mod answers;
mod classify;
mod egress;
mod fragment;
mod guard;
mod neighbours;
mod outgoing;
mod peers;
mod reassembly;
mod reply;
mod siphash;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

pub use addressing::{Addressing, GatewayOffLink, InterfaceAddress, UdpPorts};
pub use guard::{Cookie, GuardConfig, GuardConfigError, Guards, Level};
pub use siphash::HashKey;

use classify::{Class, Rules, Udp, UdpChecksum, classify};
use egress::Egress;
use neighbours::Neighbours;
use peers::Peers;
use reply::Style;

use crate::forward::{Forward, Forwards};
use crate::packet::{Burst, Lent, Packet, RxChecksums};
use crate::port::{FrameQueue, PortId};
use crate::service::{Arrival, Datagram, Outbox, Service, Tick, Verdict};
use crate::telemetry::{Counter, Counters};
use crate::time::Time;
use crate::wire::{ipv4, udp};
use crate::worker::DatagramQueue;

/// Frames that [`Host::drain`] takes from a ring at most, so that a peer that never stops
/// sending can't keep a stopping program.
const DRAIN_LIMIT: usize = 1 << 16;
/// Frames that it takes at a time then.
const DRAIN_BURST: usize = 64;

/// What a host is on its port.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Its port.
    pub port: PortId,
    /// Its addresses.
    pub addressing: Addressing,
    /// The UDP ports of its service.
    pub udp_ports: UdpPorts,
    /// Hops that its packets may take.
    pub ttl: u8,
    /// Frames that it takes and sends at a time; at least one.
    pub burst: usize,
    /// Datagrams that its service can send per call.
    pub outbox: usize,
    /// Secret key of its tables.
    pub hash_key: HashKey,
}

impl HostConfig {
    /// Packets that a host with this configuration holds at most beyond its bursts in flight.
    pub fn held(&self) -> usize {
        self.outbox + neighbours::HELD
    }
}

/// A host on one queue of a frame port.
#[derive(Debug)]
pub struct Host<Q: FrameQueue> {
    queue: Q,
    port: PortId,
    rules: Arc<Rules>,
    style: Style,
    /// Which of the port's words about checksums count.
    trusted: Trusted,
    /// The longest payload of a datagram that the MTU allows, in bytes.
    max_payload: usize,
    rx: Burst<Q::Packet>,
    egress: Egress<Q::Packet>,
    lent: Lent<Q::Packet>,
    neighbours: Neighbours<Q::Packet>,
    peers: Option<Peers>,
    /// Room for one ARP request; empty between calls.
    request: Burst<Q::Packet>,
    counters: Arc<Counters>,
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
        Self {
            port: config.port,
            rules: Arc::new(Rules {
                mac,
                addressing: config.addressing,
                udp_ports: config.udp_ports,
                unmarked_unfilled_checksums: capabilities.unmarked_unfilled_checksums,
            }),
            style: Style { mac, ttl: config.ttl, tx_udp_checksum: capabilities.tx_udp_checksum },
            trusted: Trusted { ipv4: capabilities.rx_ipv4_checksum, udp: capabilities.rx_udp_checksum },
            max_payload: mtu.saturating_sub(ipv4::HEADER_LEN + udp::HEADER_LEN),
            rx: Burst::with_capacity(burst),
            egress: Egress::with_capacity(burst),
            lent: Lent::with_capacity(config.outbox),
            neighbours: Neighbours::new(config.hash_key),
            peers: None,
            request: Burst::with_capacity(1),
            counters: Arc::clone(queue.counters()),
            is_delivering: false,
            is_drained: false,
            queue,
        }
    }

    /// Joins the hosts on the queues of one port: an ARP answer arrives on whichever queue
    /// the device chooses, and not always on that of the lcore that asked.
    pub fn join(hosts: &mut [Self]) {
        let peers = Peers::of_each(hosts.len());
        hosts.iter_mut().zip(peers).for_each(|(host, peers)| host.peers = Some(peers));
    }

    /// The last frame of `rx`, to its end.
    #[inline]
    fn take_in<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<Q::Packet>) {
        let Some(packet) = self.rx.last() else { return };
        let checksums = self.trusted.checksums(packet);
        match classify(packet.frame(), checksums, &self.rules) {
            Class::Udp(udp) => self.deliver(now, &udp, service, forwards),
            Class::Arp(arp) => self.arp(now, &arp),
            Class::Echo(echo) => self.echo(&echo),
            Class::Drop(reason) => self.drop_last(reason),
        }
    }

    #[inline]
    fn deliver<S: Service>(
        &mut self,
        now: Time,
        udp: &Udp,
        service: &mut S,
        forwards: &mut Forwards<Q::Packet>,
    ) {
        self.counters.add(Counter::Delivered, 1);
        if udp.checksum == UdpChecksum::Unfilled {
            self.counters.add(Counter::ChecksumUnfilled, 1);
        }
        let arrival = Arrival {
            source: SocketAddr::new(udp.ip.source.into(), udp.source_port),
            destination: SocketAddr::new(udp.ip.destination.into(), udp.destination_port),
            port: self.port,
            vlan: udp.ip.link.vlan,
        };
        let start = udp.payload_start();
        // The packet stays in its burst meanwhile, where `drain` finds it if the service panics.
        let Some(packet) = self.rx.last_mut() else { return };
        let mut datagram =
            Datagram::new(packet.room_mut(), start, udp.payload_len, self.max_payload, arrival);
        let mut outbox = Outbox::new(self.lent.parts(), self.max_payload);
        self.is_delivering = true;
        let verdict = service.on_datagram(now, &mut datagram, &mut outbox);
        self.is_delivering = false;
        let (len, touched) = datagram.outcome();
        let Some(mut packet) = self.rx.pop() else { return };
        match verdict {
            Verdict::Reply if len <= self.max_payload => {
                self.counters.add(Counter::Replied, 1);
                reply::udp(&mut packet, udp, len, touched, self.style);
                self.egress.send(&mut self.queue, packet);
            }
            Verdict::Reply => {
                self.counters.add(Counter::Replied, 1);
                self.drop_unsent(packet, Counter::TxOversize);
            }
            Verdict::Forward { port, from, to } => {
                packet.set_frame_len(start + len);
                self.forward(Forward { packet, payload_start: start, port: Some(port), from, to }, forwards);
            }
            Verdict::Drop => {
                self.counters.add(Counter::ServiceDropped, 1);
                self.egress.discard(&mut self.queue, packet);
            }
        }
    }

    fn forward(&mut self, forward: Forward<Q::Packet>, forwards: &mut Forwards<Q::Packet>) {
        self.counters.add(Counter::ForwardedAway, 1);
        if let Err(packet) = forwards.push(forward) {
            self.counters.add(Counter::ForwardNoPort, 1);
            self.egress.discard(&mut self.queue, packet);
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
        self.egress.send(&mut self.queue, packet);
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
        self.egress.discard(&mut self.queue, packet);
    }

    fn drop_unsent(&mut self, packet: Q::Packet, reason: Counter) {
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
        self.queue.rx_burst(&mut self.rx);
        let received = self.rx.len();
        self.lend();
        self.rx.iter().for_each(Packet::prefetch);
        // They are taken from the end, the first one first.
        self.rx.reverse();
        while !self.rx.is_empty() {
            self.take_in(now, service, forwards);
        }
        self.post(now, forwards);
        self.egress.flush(&mut self.queue);
        self.counters.add(Counter::Polls, 1);
        self.counters.add(Counter::EmptyPolls, u64::from(received == 0));
        if self.neighbours.next_deadline() != Time::NEVER {
            self.maintain(now);
        }
        received
    }

    fn tick<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<Self::Packet>,
    ) -> Tick {
        self.lend();
        let tick = service.on_tick(now, &mut Outbox::new(self.lent.parts(), self.max_payload));
        self.post(now, forwards);
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
            self.counters.add(Counter::Forwarded, 1);
            self.emit(now, forward.packet, forward.payload_start, forward.from, forward.to);
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

    fn drain(&mut self) {
        self.is_drained = true;
        for packet in self.neighbours.clear() {
            self.counters.add(Counter::TxStopping, 1);
            self.egress.discard(&mut self.queue, packet);
        }
        // Where a service panicked, the rest of its burst is here, and what it was given.
        if std::mem::take(&mut self.is_delivering)
            && let Some(packet) = self.rx.pop()
        {
            self.egress.discard(&mut self.queue, packet);
        }
        self.counters.add(Counter::Stopping, self.rx.len() as u64);
        self.queue.free_burst(&mut self.rx);
        let mut burst = Burst::with_capacity(DRAIN_BURST);
        while self.lent.len() > 0 {
            self.lent.give_back(&mut burst);
            self.queue.free_burst(&mut burst);
        }
        let mut drained = 0;
        while drained < DRAIN_LIMIT {
            self.queue.rx_burst(&mut burst);
            if burst.is_empty() {
                break;
            }
            drained += burst.len();
            self.counters.add(Counter::Stopping, burst.len() as u64);
            self.queue.free_burst(&mut burst);
        }
        self.egress.flush(&mut self.queue);
    }
}

impl<Q: FrameQueue> Drop for Host<Q> {
    /// A host that was not drained, or whose service panicked, gives back what it still has.
    fn drop(&mut self) {
        if !self.is_drained {
            self.drain();
        }
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
