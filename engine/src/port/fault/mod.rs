//! The fault port: a wrapper over any queue that loses, doubles, reorders and truncates
//! what it receives, and sends less than it is given.
//!
//! Faults are drawn from a seed: the same bursts in give the same bursts out. With all
//! faults off it is the queue that it wraps. What it does to a frame, in this order:
//!
//! - **loss**: the frame goes back to the pool ([`FaultLost`](Counter::FaultLost));
//! - **truncate**: a random part of its end, up to all of it, is cut off
//!   ([`FaultTruncated`](Counter::FaultTruncated));
//! - **duplicate**: a copy follows it ([`FaultDuplicated`](Counter::FaultDuplicated)), if a
//!   buffer is free. The copy carries no offload results, so a datagram whose checksum was
//!   left unfilled is not doubled: its copy would be invalid;
//! - **reorder**: it is held back until 1 to 8 later frames have overtaken it, or until a
//!   poll finds nothing ([`FaultReordered`](Counter::FaultReordered), if a frame did overtake it).
//!
//! And to a burst that is sent, **short-tx**: the queue is offered a part of it, down to
//! nothing, and the rest stays with the caller ([`FaultShortTx`](Counter::FaultShortTx)).

mod config;
mod random;
#[cfg(test)]
mod tests;

pub use config::{FaultConfig, FaultConfigError, Probability};

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;

use self::random::SplitMix64;
use super::{Capabilities, Found, FrameQueue, OpenPort, PoolBalance, PortControl, PortDescription};
use crate::packet::{Burst, Packet, RxChecksum};
use crate::sys::CapabilitySet;
use crate::telemetry::{Counter, Counters};
use crate::time::Time;

/// How many later frames overtake a reordered one at most.
const REORDER_DISTANCE: usize = 8;
/// Frames held back at a time; beyond that, none is reordered or doubled.
const HELD: usize = 32;
/// Polls of the queue below in one poll, where all that it receives is lost. An empty
/// burst should say that the queue was empty.
const POLLS: usize = 64;
/// Frames that go back to the pool at a time.
const FREED: usize = 32;

/// Puts faults into all queues of a port. Each queue draws its own: the seed counts up
/// from the first queue's.
pub fn wrap<Q: FrameQueue>(port: OpenPort<Q>, config: &FaultConfig) -> OpenPort<Fault<Q>> {
    let mut description = port.control.description().clone();
    description.granted.push(format!("faults on purpose: {config}"));
    let queue = |(inner, index)| {
        Fault::new(inner, FaultConfig { seed: config.seed.wrapping_add(index), ..config.clone() })
    };
    OpenPort {
        queues: port.queues.into_iter().zip(0..).map(queue).collect(),
        control: Box::new(FaultControl { inner: port.control, description }),
    }
}

/// A queue with faults put in.
pub struct Fault<Q: FrameQueue> {
    inner: Q,
    config: FaultConfig,
    random: SplitMix64,
    /// What the present poll received and has not passed on.
    arrived: VecDeque<Q::Packet>,
    held: VecDeque<HeldBack<Q::Packet>>,
    /// Packets on their way to the pool.
    freed: Burst<Q::Packet>,
    /// The one buffer that a copy is made in.
    copy: Burst<Q::Packet>,
    /// The end of a burst that is not offered.
    kept: Vec<Q::Packet>,
}

/// A frame that is delivered later than it came.
struct HeldBack<P> {
    packet: P,
    /// How many frames are yet to overtake it.
    wait: usize,
    /// How many have.
    overtaken: usize,
}

impl<Q: FrameQueue> Fault<Q> {
    /// Puts faults into `inner`.
    pub fn new(inner: Q, config: FaultConfig) -> Self {
        Self {
            inner,
            random: SplitMix64::new(config.seed),
            config,
            arrived: VecDeque::with_capacity(HELD),
            held: VecDeque::with_capacity(HELD),
            freed: Burst::with_capacity(FREED),
            copy: Burst::with_capacity(1),
            kept: Vec::with_capacity(HELD),
        }
    }

    fn count(&self, counter: Counter) {
        self.inner.counters().add(counter, 1);
    }

    /// Does to one received frame what chance wants. Takes the same number of random
    /// numbers for each frame but for those that a fault needs itself.
    fn pass(&mut self, mut packet: Q::Packet, into: &mut Burst<Q::Packet>) {
        let FaultConfig { loss, truncate, duplicate, reorder, .. } = self.config;
        let [lost, truncated, doubled, reordered] =
            [loss, truncate, duplicate, reorder].map(|probability| probability.happens(&mut self.random));
        if lost {
            self.count(Counter::FaultLost);
            return self.free(packet);
        }
        if truncated && packet.frame_len() > 0 {
            packet.set_frame_len(self.random.below(packet.frame_len()));
            self.count(Counter::FaultTruncated);
        }
        let copy = if doubled { self.copy_of(&packet) } else { None };
        let packet = if reordered { self.hold_back(packet) } else { Some(packet) };
        if let Some(packet) = packet {
            self.deliver(packet, into);
        }
        if let Some(copy) = copy {
            self.count(Counter::FaultDuplicated);
            self.held.push_back(HeldBack { packet: copy, wait: 0, overtaken: 0 });
        }
    }

    /// Delivers a frame past those that are held back.
    fn deliver(&mut self, packet: Q::Packet, into: &mut Burst<Q::Packet>) {
        // There is a place for every frame that arrived.
        if let Err(packet) = into.push(packet) {
            debug_assert!(false, "a frame was received for which there was no room");
            return self.free(packet);
        }
        for held in &mut self.held {
            held.wait = held.wait.saturating_sub(1);
            held.overtaken += 1;
        }
    }

    /// Holds a frame back; gives it back if it can't.
    fn hold_back(&mut self, packet: Q::Packet) -> Option<Q::Packet> {
        let wait = 1 + self.random.below(REORDER_DISTANCE);
        // One place is for the copy that the same frame may have.
        if self.held.len() + 1 >= HELD {
            return Some(packet);
        }
        match self.inner.hold(packet) {
            Ok(packet) => {
                self.held.push_back(HeldBack { packet, wait, overtaken: 0 });
                None
            }
            Err(packet) => Some(packet),
        }
    }

    /// A copy in a buffer of its own; `None` if there is no buffer or place for it.
    fn copy_of(&mut self, packet: &Q::Packet) -> Option<Q::Packet> {
        if self.held.len() >= HELD || packet.rx_checksums().udp == RxChecksum::Unfilled {
            return None;
        }
        self.inner.alloc_burst(&mut self.copy);
        let mut copy = self.copy.pop()?;
        let Some(room) = copy.room_mut().get_mut(..packet.frame_len()) else {
            self.free(copy);
            return None;
        };
        room.copy_from_slice(packet.frame());
        copy.set_frame_len(packet.frame_len());
        Some(copy)
    }

    /// Delivers the frames held back that have waited enough, as far as `into` has room
    /// beside those that arrived.
    fn deliver_due(&mut self, into: &mut Burst<Q::Packet>) {
        while into.free() > self.arrived.len() {
            let due = self.held.iter().position(|held| held.wait == 0);
            let Some(HeldBack { packet, overtaken, .. }) = due.and_then(|index| self.held.remove(index))
            else {
                break;
            };
            if overtaken > 0 {
                self.count(Counter::FaultReordered);
            }
            if let Err(packet) = into.push(packet) {
                self.free(packet);
            }
        }
    }

    fn free(&mut self, packet: Q::Packet) {
        if self.freed.is_full() {
            self.inner.free_burst(&mut self.freed);
        }
        // There is room now.
        let refused = self.freed.push(packet);
        debug_assert!(refused.is_ok());
    }
}

impl<Q: FrameQueue> FrameQueue for Fault<Q> {
    type Packet = Q::Packet;

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn counters(&self) -> &Arc<Counters> {
        self.inner.counters()
    }

    fn rx_burst(&mut self, into: &mut Burst<Q::Packet>) {
        if self.config.spares_receive() {
            return self.inner.rx_burst(into);
        }
        self.deliver_due(into);
        let before = into.len();
        for _ in 0..POLLS {
            if into.is_full() || into.len() > before {
                break;
            }
            self.inner.rx_burst(into);
            for _ in before..into.len() {
                into.pop().into_iter().for_each(|packet| self.arrived.push_front(packet));
            }
            if self.arrived.is_empty() {
                self.held.iter_mut().for_each(|held| held.wait = 0);
                self.deliver_due(into);
                break;
            }
            while let Some(packet) = self.arrived.pop_front() {
                self.pass(packet, into);
                self.deliver_due(into);
            }
        }
        self.inner.free_burst(&mut self.freed);
    }

    #[inline]
    fn turn(&mut self, now: Time) {
        self.inner.turn(now);
    }

    fn tx_burst(&mut self, from: &mut Burst<Q::Packet>) {
        if from.is_empty() || !self.config.short_tx.happens(&mut self.random) {
            return self.inner.tx_burst(from);
        }
        self.count(Counter::FaultShortTx);
        let offered = self.random.below(from.len());
        while from.len() > offered {
            self.kept.extend(from.pop());
        }
        self.inner.tx_burst(from);
        while let Some(packet) = self.kept.pop() {
            // It was in this burst before.
            let refused = from.push(packet);
            debug_assert!(refused.is_ok());
        }
    }

    fn alloc_burst(&mut self, into: &mut Burst<Q::Packet>) {
        self.inner.alloc_burst(into);
    }

    fn free_burst(&mut self, from: &mut Burst<Q::Packet>) {
        self.inner.free_burst(from);
    }

    fn hold(&mut self, packet: Q::Packet) -> Result<Q::Packet, Q::Packet> {
        self.inner.hold(packet)
    }

    fn is_exhausted(&self) -> bool {
        self.held.is_empty() && self.inner.is_exhausted()
    }

    fn wait_fd(&self) -> Option<RawFd> {
        self.inner.wait_fd()
    }

    /// Frames that are held back are delivered by the next poll, whatever arrives.
    fn arm_wakeup(&mut self) -> bool {
        self.inner.arm_wakeup() && self.held.is_empty()
    }

    fn disarm_wakeup(&mut self) {
        self.inner.disarm_wakeup();
    }
}

impl<Q: FrameQueue> Drop for Fault<Q> {
    /// Gives back what is held: nothing, if the queue was drained.
    fn drop(&mut self) {
        while let Some(HeldBack { packet, .. }) = self.held.pop_front() {
            self.count(Counter::Stopping);
            self.free(packet);
        }
        self.inner.free_burst(&mut self.freed);
    }
}

/// The control side of a port with faults: the port's own, which says so.
struct FaultControl {
    inner: Box<dyn PortControl>,
    description: PortDescription,
}

impl PortControl for FaultControl {
    fn description(&self) -> &PortDescription {
        &self.description
    }

    fn is_link_up(&mut self) -> bool {
        self.inner.is_link_up()
    }

    fn look_after(&mut self) -> Found {
        self.inner.look_after()
    }

    fn extended_statistics(&mut self) -> Vec<(String, u64)> {
        self.inner.extended_statistics()
    }

    fn keeps(&self) -> CapabilitySet {
        self.inner.keeps()
    }

    fn close(self: Box<Self>) -> Vec<PoolBalance> {
        self.inner.close()
    }
}
