//! The end of a host: every packet that it holds goes back to its pool, and is counted.

use super::Host;
use super::parts::Fragments;
use crate::packet::Burst;
use crate::port::FrameQueue;
use crate::telemetry::Counter;

/// Frames that a host takes from a ring at most, so that a peer that never stops
/// sending can't keep a stopping program.
const DRAIN_LIMIT: usize = 1 << 16;
/// Frames that it takes at a time then.
const DRAIN_BURST: usize = 64;

impl<Q: FrameQueue> Host<Q> {
    /// Gives every packet back that is held or waits to be received.
    pub(super) fn give_all_back(&mut self) {
        self.is_drained = true;
        for packet in self.neighbours.clear() {
            self.counters.add(Counter::TxStopping, 1);
            self.egress.discard(&mut self.queue, packet);
        }
        // Where a service panicked, the rest of its burst is here, and what it was given.
        self.settle();
        if std::mem::take(&mut self.is_delivering) {
            self.discard_delivered();
        }
        self.tails.clear().for_each(|packet| self.egress.discard(&mut self.queue, packet));
        let held = self.fragments.as_mut().map_or(0, Fragments::clear);
        self.counters.add(Counter::Stopping, (self.received.len() + self.rx.len() + held) as u64);
        self.queue.free_burst(&mut self.received);
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

    /// Drops the datagram that the service panicked over.
    fn discard_delivered(&mut self) {
        // In the fast lane, what is delivered is counted afterwards.
        let packet = self.rx.pop().or_else(|| {
            self.counters.add(Counter::Delivered, 1);
            self.received.take_first()
        });
        if let Some(packet) = packet {
            self.egress.discard(&mut self.queue, packet);
        }
    }
}

impl<Q: FrameQueue> Drop for Host<Q> {
    /// A host that was not drained, or whose service panicked, gives back what it still has.
    fn drop(&mut self) {
        if !self.is_drained {
            self.give_all_back();
        }
    }
}
