//! A burst: the unit in which packets move between a port, the host and back.

use std::ops::{Deref, DerefMut};

/// An ordered, bounded list of packets that its holder owns.
///
/// Packets have no `Drop` that returns them to their pool: whoever holds a burst
/// hands every packet on (to `tx_burst`, `free_burst`, another burst). Dropping a burst
/// that still holds packets loses their buffers, so debug builds panic there.
///
/// The room is allocated once, at construction.
#[derive(Debug)]
pub struct Burst<P> {
    packets: Vec<P>,
    capacity: usize,
}

impl<P> Burst<P> {
    /// An empty burst with room for `capacity` packets.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { packets: Vec::with_capacity(capacity), capacity }
    }

    /// How many packets it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many more packets it can take.
    #[inline]
    pub fn free(&self) -> usize {
        self.capacity - self.packets.len()
    }

    /// Whether it can take no more packets.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.free() == 0
    }

    /// Appends a packet.
    ///
    /// # Errors
    /// Gives the packet back if the burst is full.
    #[inline]
    pub fn push(&mut self, packet: P) -> Result<(), P> {
        if self.is_full() {
            return Err(packet);
        }
        self.packets.push(packet);
        Ok(())
    }

    /// Takes the last packet out.
    #[inline]
    pub fn pop(&mut self) -> Option<P> {
        self.packets.pop()
    }

    /// Takes all packets out, in order. What the iterator does not yield before it is
    /// dropped is lost, so run it to its end.
    #[inline]
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = P> + '_ {
        self.packets.drain(..)
    }

    /// Takes the first `count` packets out, in order; the rest moves to the front.
    ///
    /// # Panics
    /// If there are fewer than `count` packets.
    #[inline]
    pub fn drain_prefix(&mut self, count: usize) -> impl ExactSizeIterator<Item = P> + '_ {
        self.packets.drain(..count)
    }

    /// Moves packets from the front of `from` until it is empty or this burst is full.
    pub fn append(&mut self, from: &mut Self) {
        self.append_first(from, from.len());
    }

    /// Moves the first `count` packets of `from`, or as many as there are and there is room
    /// for, and says how many.
    pub fn append_first(&mut self, from: &mut Self, count: usize) -> usize {
        let count = count.min(self.free()).min(from.len());
        self.packets.extend(from.packets.drain(..count));
        count
    }

    /// Moves the last `count` packets of `from`, or as many as there are and there is room for, the very
    /// last one first, each after `prepare`, and says how many.
    #[inline]
    pub(crate) fn append_last(
        &mut self,
        from: &mut Self,
        count: usize,
        mut prepare: impl FnMut(&mut P),
    ) -> usize {
        let count = count.min(self.free()).min(from.len());
        let start = from.len() - count;
        self.packets.extend(from.packets.drain(start..).rev().map(|mut packet| {
            prepare(&mut packet);
            packet
        }));
        count
    }

    /// Takes the first packet out; the rest moves to the front.
    pub fn take_first(&mut self) -> Option<P> {
        (!self.packets.is_empty()).then(|| self.packets.remove(0))
    }

    /// Changes places with another burst, packets and room.
    #[inline]
    pub fn swap_with(&mut self, other: &mut Self) {
        std::mem::swap(self, other);
    }

    /// Has the burst, which is empty, hold `capacity` packets at most: no more than it was made for.
    #[inline]
    pub(crate) fn limit(&mut self, capacity: usize) {
        debug_assert!(self.packets.is_empty() && capacity <= self.packets.capacity());
        self.capacity = capacity.min(self.packets.capacity());
    }

    /// The free room behind the packets, for a port that writes packets there and then
    /// calls [`assume_received`](Self::assume_received). At least [`free`](Self::free) long.
    #[cfg(feature = "dpdk")]
    #[inline]
    pub(crate) fn spare_mut(&mut self) -> &mut [std::mem::MaybeUninit<P>] {
        self.packets.spare_capacity_mut()
    }

    /// Counts `count` packets in that were written to the front of [`spare_mut`](Self::spare_mut).
    ///
    /// # Safety
    /// The first `count` entries of the spare room hold initialised packets that the
    /// caller owned and now gives up, and `count` is at most [`free`](Self::free).
    #[cfg(feature = "dpdk")]
    #[inline]
    pub(crate) unsafe fn assume_received(&mut self, count: usize) {
        debug_assert!(count <= self.free());
        // SAFETY: the caller initialised that many entries behind the present ones, within capacity.
        unsafe { self.packets.set_len(self.packets.len() + count) }
    }
}

impl<P> Default for Burst<P> {
    /// An empty burst with room for none.
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<P> Deref for Burst<P> {
    type Target = [P];

    #[inline]
    fn deref(&self) -> &[P] {
        &self.packets
    }
}

impl<P> DerefMut for Burst<P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [P] {
        &mut self.packets
    }
}

impl<P> Drop for Burst<P> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            debug_assert!(
                self.packets.is_empty(),
                "a burst was dropped with {} packets in it",
                self.packets.len()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_burst_gives_the_packet_back() {
        let mut burst = Burst::with_capacity(2);
        assert_eq!(burst.push(1), Ok(()));
        assert_eq!(burst.push(2), Ok(()));
        assert_eq!(burst.push(3), Err(3));
        assert_eq!(burst.drain().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_prefix_leaves_the_rest_in_order() {
        let mut burst = Burst::with_capacity(4);
        (1..=4).for_each(|packet| burst.push(packet).expect("room"));
        assert_eq!(burst.drain_prefix(3).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(&burst[..], [4]);
        let mut other = Burst::with_capacity(1);
        other.append(&mut burst);
        assert!(burst.is_empty());
        assert_eq!(other.pop(), Some(4));
    }

    #[test]
    fn the_last_ones_are_taken_from_the_end() {
        let (mut from, mut to) = (Burst::with_capacity(4), Burst::with_capacity(3));
        (1..=4).for_each(|packet| from.push(packet).expect("room"));
        assert_eq!(to.append_last(&mut from, 2, |packet| *packet += 10), 2);
        assert_eq!((&from[..], &to[..]), (&[1, 2][..], &[14, 13][..]));
        assert_eq!(to.append_last(&mut from, 2, |_| {}), 1, "there is room for one");
        assert_eq!(
            (from.drain().collect::<Vec<_>>(), to.drain().collect::<Vec<_>>()),
            (vec![1], vec![14, 13, 2])
        );
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "dropped with 1 packets")]
    fn losing_a_packet_is_noticed() {
        let mut burst = Burst::with_capacity(1);
        burst.push(1).expect("room");
    }
}
