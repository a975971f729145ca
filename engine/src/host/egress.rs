//! Packets on their way out of the host: to be sent, or back to their pools.

use super::capture::Tap;
use super::ways;
use crate::packet::{Burst, Packet, Written};
use crate::port::FrameQueue;
use crate::telemetry::Counter;

/// Packets on their way out: to be sent, and to be given back to their pools.
#[derive(Debug)]
pub(super) struct Egress<P> {
    tx: Burst<P>,
    spent: Burst<P>,
    /// Where frames pass on their way to a capture.
    pub(super) tap: Tap,
}

impl<P: Packet> Egress<P> {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let (tx, spent) = (Burst::with_capacity(capacity), Burst::with_capacity(capacity));
        Self { tx, spent, tap: Tap::default() }
    }

    /// Sends a complete frame, which was counted as `reason`.
    #[inline]
    pub(super) fn send<Q: FrameQueue<Packet = P>>(&mut self, queue: &mut Q, packet: P, reason: Counter) {
        self.tap.record(reason, packet.frame());
        self.send_unseen(queue, packet);
    }

    /// Sends a complete frame. No capture sees it.
    #[inline]
    pub(super) fn send_unseen<Q: FrameQueue<Packet = P>>(&mut self, queue: &mut Q, packet: P) {
        if self.tx.is_full() {
            self.transmit(queue);
        }
        // There is room now.
        let _ = self.tx.push(packet);
    }

    /// Sends the first `count` packets of a burst, complete frames all of them. No capture sees
    /// them.
    #[inline]
    pub(super) fn send_first<Q: FrameQueue<Packet = P>>(
        &mut self,
        queue: &mut Q,
        from: &mut Burst<P>,
        mut count: usize,
    ) {
        if self.tx.is_empty() && count == from.len() {
            return self.tx.swap_with(from);
        }
        while count > 0 {
            if self.tx.is_full() {
                self.transmit(queue);
            }
            count -= self.tx.append_first(from, count);
        }
    }

    /// Sends the last `count` packets of a burst, the very last one first, in each of which a frame of that
    /// kind stands from its start on.
    #[inline]
    pub(super) fn send_frames<Q: FrameQueue<Packet = P>>(
        &mut self,
        queue: &mut Q,
        from: &mut Burst<P>,
        written: Written,
        mut count: usize,
    ) {
        if self.tap.is_open() {
            for mut packet in std::iter::from_fn(|| from.pop()).take(count) {
                ways::finish(&mut packet, written);
                self.send(queue, packet, Counter::Originated);
            }
            return;
        }
        // Most need no more than their length.
        let (len, is_plain) = (written.frame_len(), written.is_plain());
        while count > 0 && !from.is_empty() {
            if self.tx.is_full() {
                self.transmit(queue);
            }
            count -= if is_plain {
                self.tx.append_last(from, count, move |packet| packet.set_frame_len(len))
            } else {
                self.tx.append_last(from, count, |packet| ways::finish(packet, written))
            };
        }
    }

    #[inline]
    pub(super) fn discard<Q: FrameQueue<Packet = P>>(&mut self, queue: &mut Q, packet: P) {
        if self.spent.is_full() {
            queue.free_burst(&mut self.spent);
        }
        let _ = self.spent.push(packet);
    }

    /// Sends what is to be sent; what the port does not take is dropped and counted.
    #[inline]
    fn transmit<Q: FrameQueue<Packet = P>>(&mut self, queue: &mut Q) {
        queue.tx_burst(&mut self.tx);
        if !self.tx.is_empty() {
            queue.counters().add(Counter::TxFull, self.tx.len() as u64);
            self.tx.iter().for_each(|packet| self.tap.record(Counter::TxFull, packet.frame()));
            queue.free_burst(&mut self.tx);
        }
    }

    #[inline]
    pub(super) fn flush<Q: FrameQueue<Packet = P>>(&mut self, queue: &mut Q) {
        if !self.tx.is_empty() {
            self.transmit(queue);
        }
        if !self.spent.is_empty() {
            queue.free_burst(&mut self.spent);
        }
    }
}
