//! The free buffers of a queue: the one used last is the next to be used, so few of them are warm.

use crate::packet::{Burst, Packet};
use crate::port::heap::{HeapPacket, HeapPool};

/// A queue's free buffers.
pub(super) struct Stash {
    free: Vec<HeapPacket>,
    /// The port's, for all queues: a buffer that was forwarded comes back to another queue.
    pool: HeapPool,
}

impl Stash {
    /// Takes `count` buffers of the pool, as far as it has them.
    pub(super) fn new(pool: &HeapPool, count: usize) -> Self {
        let mut free = Vec::with_capacity(count);
        free.extend(std::iter::from_fn(|| pool.alloc()).take(count));
        Self { free, pool: pool.clone() }
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<HeapPacket> {
        self.free.pop().or_else(|| self.pool.alloc())
    }

    #[inline]
    pub(super) fn put(&mut self, packet: HeapPacket) {
        if self.free.len() < self.free.capacity() { self.free.push(packet) } else { packet.release() }
    }

    /// Fills up a burst with empty packets, as far as there are buffers.
    pub(super) fn fill(&mut self, burst: &mut Burst<HeapPacket>) {
        while !burst.is_full() {
            let Some(mut packet) = self.take() else { break };
            packet.set_frame_len(0);
            if let Err(packet) = burst.push(packet) {
                self.put(packet);
            }
        }
    }

    /// Gives all buffers back to the pool, and those that still come.
    pub(super) fn close(&mut self) {
        std::mem::take(&mut self.free).into_iter().for_each(HeapPacket::release);
    }
}
