//! What the service put into its outbox, on its way out.

use std::net::SocketAddr;

use super::Host;
use super::outgoing::place_headers;
use super::ways;
use crate::forward::{Forward, Forwards};
use crate::packet::{Letter, Packet, Written};
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;

impl<Q: FrameQueue> Host<Q> {
    /// Lends the service rooms to write into, as many as its outbox has places.
    #[inline(always)]
    pub(super) fn lend(&mut self) {
        if self.lent.wants_refill() {
            self.refill();
        }
    }

    #[inline(never)]
    fn refill(&mut self) {
        self.lent.refill(|packets| self.queue.alloc_burst(packets));
    }

    /// Sends what the service put into its outbox.
    #[inline]
    pub(super) fn post(&mut self, now: Time, forwards: &mut Forwards<Q::Packet>) {
        if self.lent.has_letters() && !self.post_frames() {
            self.post_letters(now, forwards);
        }
    }

    /// Sends the frames of a stream, if there is nothing else to send. Says whether it was so.
    #[inline]
    fn post_frames(&mut self) -> bool {
        let Some((packets, written, count)) = self.lent.open_frames() else { return false };
        self.counters.add(Counter::Originated, count as u64);
        self.egress.send_frames(&mut self.queue, packets, written, count);
        true
    }

    fn post_letters(&mut self, now: Time, forwards: &mut Forwards<Q::Packet>) {
        let mut lent = std::mem::take(&mut self.lent);
        let (written, mut forwarded) = (lent.written(), 0);
        let (packets, letters, shares) = lent.open();
        for letter in letters {
            if let Letter::Frames(written, count) = *letter {
                self.egress.send_frames(&mut self.queue, packets, written, count as usize);
                continue;
            }
            let Some(mut packet) = packets.pop() else { break };
            match *letter {
                Letter::Frames(..) => {}
                Letter::Frame(written) => self.send_written(packet, written),
                Letter::Chained(written, place) => {
                    if place_headers(&mut packet, 0, written.headers_len()) {
                        self.send_chained(packet, written, place as usize, shares);
                    } else {
                        self.drop_unwritten(packet, Counter::TxNoBuffer);
                    }
                }
                Letter::Payload { from, to, len } => {
                    packet.set_frame_len(len);
                    let is_ours = self.post_payload(now, packet, len, (from, to), forwards);
                    forwarded += usize::from(!is_ours);
                }
                Letter::Shared { from, to, place } => {
                    let is_ours = self.post_shared(now, packet, (place, shares), (from, to), forwards);
                    forwarded += usize::from(!is_ours);
                }
            }
        }
        self.counters.add(Counter::Originated, (written - forwarded) as u64);
        self.settle_shares(lent.forget());
        self.lent = lent;
    }

    /// Sends a payload that is `len` bytes long, or passes it on where it leaves by another port's
    /// address. Says whether it was ours to send.
    fn post_payload(
        &mut self,
        now: Time,
        packet: Q::Packet,
        len: usize,
        (from, to): (SocketAddr, SocketAddr),
        forwards: &mut Forwards<Q::Packet>,
    ) -> bool {
        if self.guard.validation.may_send(now, to, len) {
            return self.post_permitted(now, packet, (from, to), forwards);
        }
        self.drop_unwritten(packet, Counter::TxAmplification);
        true
    }

    /// As [`post_payload`](Self::post_payload), what no guard is against.
    #[inline]
    pub(super) fn post_permitted(
        &mut self,
        now: Time,
        packet: Q::Packet,
        (from, to): (SocketAddr, SocketAddr),
        forwards: &mut Forwards<Q::Packet>,
    ) -> bool {
        if let Err(packet) = self.emit_ready(now, Counter::Originated, packet, 0, (&from, &to)) {
            if !self.rules.addressing.owns(from.ip()) {
                self.forward(Forward { packet, payload_start: 0, port: None, from, to }, forwards);
                return false;
            }
            self.emit_anew(now, Counter::Originated, packet, 0, (from, to));
        }
        true
    }

    /// Sends a frame that the outbox wrote around its payload.
    #[inline]
    fn send_written(&mut self, mut packet: Q::Packet, written: Written) {
        if !place_headers(&mut packet, 0, written.headers_len()) {
            return self.drop_unwritten(packet, Counter::TxNoBuffer);
        }
        ways::finish(&mut packet, written);
        if self.egress.tap.is_open() {
            self.egress.send(&mut self.queue, packet, Counter::Originated);
        } else {
            self.egress.send_unseen(&mut self.queue, packet);
        }
    }
}
