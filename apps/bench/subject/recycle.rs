//! Invalid frames that keep coming.
//!
//! A valid frame goes round for ever; an invalid one is dropped where it arrives. So those
//! are kept apart: what a host gives back as dropped is received again, unchanged as it is,
//! at a steady share of all that is received and at changing places of the burst. Nothing is
//! allocated, written or freed for it, so it costs a subject little beyond its own drop.

use std::sync::Arc;

use gannet::packet::{Burst, Packet};
use gannet::port::{Capabilities, FrameQueue};
use gannet::telemetry::{Counter, Counters};
use gannet::wire::ethernet;

/// A queue with a stock of invalid frames that it receives among the valid ones.
pub(super) struct Recycling<Q: FrameQueue> {
    inner: Q,
    stock: Burst<Q::Packet>,
    /// Valid frames received for which no invalid one was yet.
    owed: u32,
    place: usize,
}

/// Valid frames for each invalid one: one frame in twenty is invalid.
const VALID: u32 = 19;

impl<Q: FrameQueue> Recycling<Q> {
    /// `stock` are the invalid frames.
    pub(super) fn new(inner: Q, stock: Burst<Q::Packet>) -> Self {
        Self { inner, stock, owed: 0, place: 0 }
    }

    /// Another place than the last one, below `len`, in no order that a CPU would learn.
    #[inline]
    fn next_place(&mut self, len: usize) -> usize {
        self.place =
            self.place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.place >> 33) % len
    }
}

impl<Q: FrameQueue> FrameQueue for Recycling<Q> {
    type Packet = Q::Packet;

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn counters(&self) -> &Arc<Counters> {
        self.inner.counters()
    }

    #[inline]
    fn rx_burst(&mut self, into: &mut Burst<Q::Packet>) {
        let start = into.len();
        let mut wrong = 0;
        while self.owed >= VALID
            && !into.is_full()
            && let Some(packet) = self.stock.pop()
        {
            self.owed -= VALID;
            // There is room.
            let _ = into.push(packet);
            wrong += 1;
        }
        self.inner.rx_burst(into);
        let received = into.len() - start;
        self.owed += (received - wrong) as u32;
        if wrong > 0 {
            self.inner.counters().add(Counter::Received, wrong as u64);
            for at in start..start + wrong {
                let place = start + self.next_place(received);
                into.swap(at, place);
            }
        }
    }

    #[inline]
    fn tx_burst(&mut self, from: &mut Burst<Q::Packet>) {
        self.inner.tx_burst(from);
    }

    fn alloc_burst(&mut self, into: &mut Burst<Q::Packet>) {
        self.inner.alloc_burst(into);
    }

    #[inline]
    fn free_burst(&mut self, from: &mut Burst<Q::Packet>) {
        self.stock.append(from);
        self.inner.free_burst(from);
    }
}

impl<Q: FrameQueue> Drop for Recycling<Q> {
    fn drop(&mut self) {
        self.inner.free_burst(&mut self.stock);
    }
}

/// Ways in which [`spoil`] makes a frame invalid.
pub(super) const WRONGS: usize = 8;

/// Makes a frame one that no host takes: the `which`-th way of [`WRONGS`], each seen by
/// another check on its way in.
pub(super) fn spoil(packet: &mut impl Packet, which: usize) {
    if which.is_multiple_of(WRONGS) {
        return packet.set_frame_len(ethernet::HEADER_LEN + 10);
    }
    let frame = packet.room_mut();
    match which % WRONGS {
        // For another station; of another EtherType; of another IP version.
        1 => frame[5] ^= 0x55,
        2 => frame[12] = 0x99,
        3 => frame[14] = 0x65,
        // Longer than the frame.
        4 => frame[16] = 0xff,
        // A wrong checksum.
        5 => frame[24] ^= 0x55,
        // Longer than the packet, and from the port of an echo service.
        6 => frame[38] = 0xff,
        _ => [frame[34], frame[35]] = 7_u16.to_be_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use gannet::port::memory::{self, MemoryConfig};

    use super::*;

    #[test]
    fn one_frame_in_twenty_is_from_the_stock_and_comes_again() {
        let (mut queue, mut wire) = memory::pair(&MemoryConfig::default());
        let mut stock = Burst::with_capacity(4);
        queue.alloc_burst(&mut stock);
        stock.iter_mut().for_each(|packet| packet.set_frame_len(60));
        let mut recycling = Recycling::new(queue, stock);
        let (mut valid, mut wrong) = (0_u32, 0_u32);
        for _ in 0..1_000 {
            let mut burst = Burst::with_capacity(16);
            wire.alloc_burst(&mut burst);
            burst.iter_mut().for_each(|packet| packet.set_frame_len(64));
            wire.tx_burst(&mut burst);
            assert!(burst.is_empty());
            let mut received = Burst::with_capacity(32);
            recycling.rx_burst(&mut received);
            // Dropped frames go to the stock, the others back over the wire.
            let mut dropped = Burst::with_capacity(32);
            for packet in received.drain() {
                let is_wrong = packet.frame_len() == 60;
                *if is_wrong { &mut wrong } else { &mut valid } += 1;
                let to = if is_wrong { &mut dropped } else { &mut burst };
                to.push(packet).expect("room");
            }
            recycling.free_burst(&mut dropped);
            recycling.tx_burst(&mut burst);
            wire.rx_burst(&mut burst);
            wire.free_burst(&mut burst);
        }
        assert_eq!(valid, 16_000);
        assert_eq!(wrong, (16_000 - 16) / VALID);
        assert_eq!(recycling.counters().snapshot()[Counter::Received], u64::from(valid + wrong));
    }
}
