//! The queue: what a worker polls.

use std::os::fd::RawFd;
use std::sync::Arc;

use super::home::{Home, HomeOwner, Place};
use super::packet::AfPacketPacket;
use super::pool::FreeList;
use super::renewal::Mailbox;
use super::ring::Taken;
use super::socket::Socket;
use super::transmit::Batch;
use crate::packet::Burst;
use crate::port::{Capabilities, FrameQueue};
use crate::telemetry::{Counter, Counters};

/// A queue of an interface: a packet socket with a receive ring of its own.
pub struct AfPacketQueue {
    socket: Arc<Socket>,
    home: HomeOwner,
    free: FreeList,
    /// The slot that the kernel fills next, or filled already.
    next_slot: u32,
    batch: Batch,
    capabilities: Capabilities,
    counters: Arc<Counters>,
    name: String,
    mailbox: Arc<Mailbox>,
    /// What it had before its interface was made anew, as long as packets of that may be out.
    former: Vec<HomeOwner>,
}

impl AfPacketQueue {
    /// A queue over its parts. `free` is the list of the home's pool.
    pub(super) fn new(
        name: String,
        socket: Arc<Socket>,
        home: HomeOwner,
        free: FreeList,
        batch: Batch,
        capabilities: Capabilities,
    ) -> Self {
        let (counters, mailbox) = Default::default();
        let former = Vec::new();
        Self { socket, home, free, next_slot: 0, batch, capabilities, counters, name, mailbox, former }
    }

    /// With a mailbox for another ring and pool, should its interface be made anew.
    pub(super) fn renewed_by(mut self, mailbox: Arc<Mailbox>) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Goes on with another ring and pool. Packets of the former ones find their way back there.
    #[cold]
    fn renew(&mut self) {
        let Some((home, free)) = self.mailbox.take() else { return };
        self.former.retain(|home| home.packets_out() != 0);
        self.former.push(std::mem::replace(&mut self.home, HomeOwner::new(home)));
        self.free = free;
        self.next_slot = 0;
    }

    /// Takes the frame out of the next slot, if there is one.
    #[inline]
    fn take_next(&mut self) -> Taken {
        // SAFETY: the ring's queue is its only reader, and it goes slot by slot.
        let taken = unsafe { self.home.ring.take(self.next_slot) };
        if taken != Taken::Nothing {
            self.next_slot += 1;
            if self.next_slot == self.home.ring.slots() {
                self.next_slot = 0;
            }
        }
        taken
    }

    /// Gives a packet up: its slot or buffer goes back where it came from.
    #[inline]
    fn release(&mut self, packet: AfPacketPacket) {
        let (home, place) = packet.origin();
        if home == self.home.pointer() {
            self.home.give_back(place, &mut self.free);
        } else {
            // SAFETY: the packet exists, so its place is out; it ends here.
            unsafe { Home::give_back_from_elsewhere(home, place) }
        }
    }

    /// An empty packet, if the pool has a buffer.
    #[inline]
    fn allocate(&mut self) -> Option<AfPacketPacket> {
        let index = self.free.take(&self.home.pool)?;
        self.home.buffers_out.lent();
        // SAFETY: the buffer was taken and counted just now.
        Some(unsafe { AfPacketPacket::empty(self.home.pointer(), index) })
    }
}

impl FrameQueue for AfPacketQueue {
    type Packet = AfPacketPacket;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    fn rx_burst(&mut self, into: &mut Burst<AfPacketPacket>) {
        let (mut received, mut truncated, mut super_frames) = (0, 0, 0);
        for _ in 0..into.free() {
            let index = self.next_slot;
            match self.take_next() {
                Taken::Nothing => break,
                Taken::Outgoing => {}
                Taken::Truncated => truncated += 1,
                Taken::SuperFrame => super_frames += 1,
                Taken::Frame(frame) => {
                    self.home.slots_out.lent();
                    received += 1;
                    // SAFETY: the frame was taken and counted just now.
                    let packet = unsafe { AfPacketPacket::received(self.home.pointer(), index, &frame) };
                    let pushed = into.push(packet);
                    debug_assert!(pushed.is_ok(), "at most as many as there is room for");
                }
            }
        }
        // Of a ring whose interface is gone comes nothing.
        if received == 0 && self.mailbox.is_full() {
            self.renew();
        }
        self.counters.add(Counter::Received, received + truncated + super_frames);
        self.counters.add(Counter::RxTruncated, truncated);
        self.counters.add(Counter::RxSuperFrame, super_frames);
    }

    fn tx_burst(&mut self, from: &mut Burst<AfPacketPacket>) {
        let outcome = self.batch.send(&self.socket, from);
        // The kernel has copied what it sends.
        from.drain_prefix(outcome.taken).for_each(|packet| self.release(packet));
        self.counters.add(Counter::Sent, (outcome.taken - outcome.refused) as u64);
        self.counters.add(Counter::TxRejected, outcome.refused as u64);
    }

    fn alloc_burst(&mut self, into: &mut Burst<AfPacketPacket>) {
        while !into.is_full() {
            let Some(packet) = self.allocate() else { break };
            let pushed = into.push(packet);
            debug_assert!(pushed.is_ok(), "there was room");
        }
    }

    fn free_burst(&mut self, from: &mut Burst<AfPacketPacket>) {
        from.drain().for_each(|packet| self.release(packet));
    }

    fn wait_fd(&self) -> Option<RawFd> {
        Some(self.socket.as_raw_fd())
    }

    /// The kernel says that the socket is readable if the slot that it filled last is not back,
    /// so the slot that is next is looked at here. An error of the socket, such as a link that
    /// went down, would end each wait at once until it is taken.
    fn arm_wakeup(&mut self) -> bool {
        self.socket.take_error();
        !self.mailbox.is_full() && !self.home.ring.is_filled(self.next_slot)
    }

    fn hold(&mut self, packet: AfPacketPacket) -> Result<AfPacketPacket, AfPacketPacket> {
        if !packet.is_in_slot() {
            return Ok(packet);
        }
        let Some(index) = self.free.take(&self.home.pool) else { return Err(packet) };
        self.home.buffers_out.lent();
        // SAFETY: the buffer was taken and counted just now.
        match unsafe { AfPacketPacket::copy(&packet, self.home.pointer(), index) } {
            Some(copy) => {
                self.release(packet);
                Ok(copy)
            }
            None => {
                self.home.give_back(Place::Buffer(index), &mut self.free);
                Err(packet)
            }
        }
    }
}

impl Drop for AfPacketQueue {
    fn drop(&mut self) {
        let former: usize = self.former.iter().map(HomeOwner::packets_out).sum();
        let out = self.home.packets_out() + former;
        if out != 0 {
            tracing::warn!(
                "{}: a queue was dropped before {out} of its packets; its memory is kept",
                self.name
            );
            // Memory that is kept mapped keeps the kernel's end of the ring alive, too. A failure
            // leaves the ring to fill up once, which hurts nobody.
            let _ = self.socket.reject_all();
        }
    }
}
