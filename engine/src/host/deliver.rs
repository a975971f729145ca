//! A datagram's way to the service, and what the service wants done with it.

use std::net::SocketAddr;

use super::Host;
use super::classify::{Udp, UdpChecksum};
use super::reply;
use crate::forward::{Forward, Forwards};
use crate::packet::Packet;
use crate::port::FrameQueue;
use crate::service::{Datagram, Limits, Outbox, Service, Verdict};
use crate::telemetry::Counter;
use crate::time::Time;

impl<Q: FrameQueue> Host<Q> {
    /// Hands a datagram to the service, whose frame is the last of `rx`, unless a guard refuses it.
    #[inline]
    pub(super) fn deliver<S: Service>(
        &mut self,
        now: Time,
        udp: &Udp,
        service: &mut S,
        forwards: &mut Forwards<Q::Packet>,
    ) {
        let source = SocketAddr::new(udp.ip.addresses.source(), udp.source_port);
        if let Err(reason) = self.guard.admit(now, source, udp.destination_port, udp.payload_len) {
            return self.drop_last(reason);
        }
        self.counters.add(Counter::Delivered, 1);
        if udp.checksum == UdpChecksum::Unfilled {
            self.counters.add(Counter::ChecksumUnfilled, 1);
        }
        let arrival = udp.arrival(self.port);
        let start = udp.payload_start();
        let max_payload = self.max_payload.to(source.ip());
        // The packet stays in its burst meanwhile, where `drain` finds it if the service panics.
        let Some(packet) = self.rx.last_mut() else { return };
        self.egress.tap.record(Counter::Delivered, packet.frame());
        let mut datagram = Datagram::new(packet.room_mut(), start, udp.payload_len, max_payload, arrival);
        let limits = Limits::of_host(self.max_payload, self.whole_payload, self.is_unguarded, &self.ways);
        let mut outbox = Outbox::new(now, self.lent.parts(), limits, &mut self.guard.validation);
        self.is_delivering = true;
        let verdict = service.on_datagram(now, &mut datagram, &mut outbox);
        self.is_delivering = false;
        let (len, touched) = datagram.outcome();
        let Some(packet) = self.rx.pop() else { return };
        self.carry_out(now, packet, udp, verdict, (len, touched), forwards);
    }

    /// Does with a datagram that was delivered what the service wants. Its payload is now of
    /// `len` bytes, and another than the one that came if it was `touched`.
    #[inline]
    pub(super) fn carry_out(
        &mut self,
        now: Time,
        mut packet: Q::Packet,
        udp: &Udp,
        verdict: Verdict,
        (len, touched): (usize, bool),
        forwards: &mut Forwards<Q::Packet>,
    ) {
        let source = SocketAddr::new(udp.ip.addresses.source(), udp.source_port);
        match verdict {
            Verdict::Reply if !self.guard.validation.may_send(now, source, len) => {
                self.counters.add(Counter::Replied, 1);
                self.drop_unsent(packet, Counter::TxAmplification);
            }
            Verdict::Reply if len <= self.whole_payload.to(source.ip()) => {
                self.counters.add(Counter::Replied, 1);
                reply::udp(&mut packet, udp, len, touched, self.style);
                self.egress.send(&mut self.queue, packet, Counter::Replied);
            }
            Verdict::Reply => {
                self.counters.add(Counter::Replied, 1);
                self.reply_oversize(now, packet, udp, len);
            }
            Verdict::Forward { port, from, to } => {
                let payload_start = udp.payload_start();
                packet.set_frame_len(payload_start + len);
                self.forward(Forward { packet, payload_start, port: Some(port), from, to }, forwards);
            }
            Verdict::Drop => {
                self.counters.add(Counter::ServiceDropped, 1);
                self.egress.discard(&mut self.queue, packet);
            }
        }
    }

    pub(super) fn forward(&mut self, forward: Forward<Q::Packet>, forwards: &mut Forwards<Q::Packet>) {
        self.counters.add(Counter::ForwardedAway, 1);
        if let Err(packet) = forwards.push(forward) {
            self.counters.add(Counter::ForwardNoPort, 1);
            self.egress.discard(&mut self.queue, packet);
        }
    }
}
