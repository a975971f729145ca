//! Buffers on the heap, for the ports that have no device: a pool of a fixed number of
//! them, all of one size, in one allocation.
//!
//! A packet keeps its pool's memory alive, so it may outlive the queues. That is a
//! reference count per packet, which these ports can afford.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{HEADROOM, PoolBalance};
use crate::packet::{Burst, IpVersion, Packet, RxChecksums, Tail};

/// Buffers start on cache lines of their own.
const CACHE_LINE: usize = 64;

/// A pool of buffers; its clones share it.
#[derive(Clone)]
pub(super) struct HeapPool {
    slab: Arc<Slab>,
    name: &'static str,
}

impl HeapPool {
    /// A pool of `count` buffers, each with [`HEADROOM`] and `room` bytes behind it.
    pub(super) fn new(name: &'static str, count: usize, room: usize) -> Self {
        Self { slab: Arc::new(Slab::new(count, HEADROOM + room)), name }
    }

    /// An empty packet; `None` if all buffers are in use.
    pub(super) fn alloc(&self) -> Option<HeapPacket> {
        let index = self.slab.free.1.try_recv().ok()?;
        self.slab.ledger.take(index);
        Some(HeapPacket {
            buffer: self.slab.buffer(index),
            capacity: self.slab.capacity,
            start: HEADROOM,
            len: 0,
            rx_checksums: RxChecksums::default(),
            udp_checksum: None,
            slab: Arc::clone(&self.slab),
        })
    }

    /// As [`FrameQueue::alloc_burst`](super::FrameQueue::alloc_burst).
    pub(super) fn alloc_burst(&self, into: &mut Burst<HeapPacket>) {
        while !into.is_full() {
            let Some(packet) = self.alloc() else { break };
            if let Err(packet) = into.push(packet) {
                packet.release();
            }
        }
    }

    /// How many buffers are back.
    pub(super) fn balance(&self) -> PoolBalance {
        let free = &self.slab.free.1;
        PoolBalance { name: self.name.to_owned(), size: free.capacity().unwrap_or(0), free: free.len() }
    }
}

/// Gives a whole burst back, each packet to the pool that it came from.
pub(super) fn release_burst(from: &mut Burst<HeapPacket>) {
    from.drain().for_each(HeapPacket::release);
}

/// A UDP checksum that the port is to complete, as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct UdpChecksumRequest {
    pub(super) version: IpVersion,
    /// Bytes before the IP header.
    pub(super) l2_len: usize,
    /// Bytes from there to the UDP header.
    pub(super) l3_len: usize,
}

/// A frame in a buffer on the heap. Returns to its pool by `free_burst` only; a packet
/// that is dropped instead is missing from the pool from then on.
pub struct HeapPacket {
    /// Start of the buffer, headroom included; its first `capacity` bytes are this packet's.
    buffer: NonNull<u8>,
    capacity: usize,
    /// Where the frame starts in the buffer; `start + len <= capacity`.
    start: usize,
    len: usize,
    rx_checksums: RxChecksums,
    /// Where the UDP checksum was asked for.
    udp_checksum: Option<UdpChecksumRequest>,
    slab: Arc<Slab>,
}

// SAFETY: the buffer is this packet's alone, and the slab is Send and Sync.
unsafe impl Send for HeapPacket {}

impl HeapPacket {
    /// Gives the buffer back to its pool.
    pub(super) fn release(self) {
        self.slab.give_back(self.buffer);
    }

    /// Panics, in debug builds, if the buffer is not a live packet's.
    pub(super) fn assert_held(&self) {
        self.slab.ledger.assert_held(self.slab.index_of(self.buffer));
    }

    /// Replaces the frame. Gives `false`, and changes nothing, if it is longer than the room.
    #[must_use]
    pub(super) fn fill(&mut self, frame: &[u8]) -> bool {
        let Some(into) = self.room_mut().get_mut(..frame.len()) else { return false };
        into.copy_from_slice(frame);
        self.set_frame_len(frame.len());
        true
    }

    /// Sets what the receiver is told of the frame's checksums.
    pub(super) fn set_rx_checksums(&mut self, checksums: RxChecksums) {
        self.rx_checksums = checksums;
    }

    /// Takes the request for a UDP checksum, if there was one.
    pub(super) fn take_udp_checksum_request(&mut self) -> Option<UdpChecksumRequest> {
        self.udp_checksum.take()
    }
}

impl fmt::Debug for HeapPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeapPacket")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

// SAFETY: the buffer lies in the slab, which the packet keeps alive and which never moves;
// no other packet has it, as its index left the free list when the packet was made. The
// length is cut to the room whenever it is set.
unsafe impl Packet for HeapPacket {
    #[inline]
    fn frame_len(&self) -> usize {
        self.len
    }

    #[inline]
    fn frame(&self) -> &[u8] {
        // SAFETY: start + len <= capacity bytes of the buffer, initialised since the slab
        // was made, borrowed as long as the packet is.
        unsafe { slice::from_raw_parts(self.buffer.add(self.start).as_ptr(), self.len) }
    }

    #[inline]
    fn room_mut(&mut self) -> &mut [u8] {
        let len = self.capacity - self.start;
        // SAFETY: start <= capacity, and as above; the packet is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.buffer.add(self.start).as_ptr(), len) }
    }

    #[inline]
    fn head<'a, const LEN: usize>(&'a self, other: &'a [u8; LEN]) -> &'a [u8; LEN] {
        if self.start + LEN > self.capacity {
            return other;
        }
        // SAFETY: bytes of the buffer, as above.
        unsafe { self.buffer.add(self.start).cast().as_ref() }
    }

    #[inline]
    fn set_frame_len(&mut self, len: usize) {
        self.len = len.min(self.capacity - self.start);
    }

    #[inline]
    fn trim_front(&mut self, count: usize) {
        let count = count.min(self.len);
        self.start += count;
        self.len -= count;
    }

    #[inline]
    fn grow_front(&mut self, count: usize) -> bool {
        if count > self.start {
            return false;
        }
        self.start -= count;
        self.len += count;
        true
    }

    #[inline]
    fn rx_checksums(&self) -> RxChecksums {
        self.rx_checksums
    }

    /// Appends the payload: these ports have no frames of several parts, and gather them here.
    fn chain(&mut self, tail: &mut Tail<Self>) -> bool {
        let (start, payload) = (self.len, tail.payload());
        let Some(room) = self.room_mut().get_mut(start..start + payload.len()) else { return false };
        room.copy_from_slice(payload);
        self.len = start + payload.len();
        true
    }

    #[inline]
    fn request_udp_checksum(&mut self, version: IpVersion, l2_len: usize, l3_len: usize) {
        self.udp_checksum = Some(UdpChecksumRequest { version, l2_len, l3_len });
    }
}

/// The buffers' memory and the list of the free ones.
struct Slab {
    memory: NonNull<u8>,
    layout: Layout,
    /// The first buffer, on a cache line of its own.
    first: NonNull<u8>,
    /// Bytes from one buffer to the next.
    stride: usize,
    /// Bytes that a packet uses of a buffer.
    capacity: usize,
    /// The free buffers' indices: a bounded queue without locks.
    free: (Sender<usize>, Receiver<usize>),
    ledger: Ledger,
}

// SAFETY: the slab itself never reads or writes the memory; the packets do, each in the
// buffer that it alone holds.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Slab {
    fn new(count: usize, capacity: usize) -> Self {
        let stride = capacity.next_multiple_of(CACHE_LINE);
        // Room to begin on a cache line: memory that is asked for aligned is written to when it is
        // zeroed, while other is fresh from the kernel, which gives a page when it is used.
        let size = stride.saturating_mul(count).saturating_add(CACHE_LINE);
        let Ok(layout) = Layout::from_size_align(size, 1) else {
            panic!("a pool of {count} buffers of {stride} bytes is larger than the address space");
        };
        // SAFETY: the layout's size is not zero.
        let Some(memory) = NonNull::new(unsafe { alloc_zeroed(layout) }) else { handle_alloc_error(layout) };
        // SAFETY: less than a cache line further, which there is room for.
        let first = unsafe { memory.add(memory.align_offset(CACHE_LINE)) };
        let free = bounded(count);
        for index in 0..count {
            // There is room for all of them.
            let _ = free.0.try_send(index);
        }
        Self { memory, layout, first, stride, capacity, free, ledger: Ledger::new(count) }
    }

    fn buffer(&self, index: usize) -> NonNull<u8> {
        // SAFETY: an index from the free list is below the count, so the buffer lies in the slab.
        unsafe { self.first.add(index * self.stride) }
    }

    fn index_of(&self, buffer: NonNull<u8>) -> usize {
        (buffer.addr().get() - self.first.addr().get()) / self.stride
    }

    fn give_back(&self, buffer: NonNull<u8>) {
        let index = self.index_of(buffer);
        self.ledger.give_back(index);
        let listed = self.free.0.try_send(index);
        debug_assert!(listed.is_ok(), "more buffers came back than there are");
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `new`; no packet is left, as each holds the slab.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) }
    }
}

/// Who holds which buffer, noted in debug builds: packets are moved bitwise through rings,
/// and a bug there would hand one buffer out twice.
struct Ledger {
    #[cfg(debug_assertions)]
    held: Box<[std::sync::atomic::AtomicBool]>,
}

#[cfg(debug_assertions)]
impl Ledger {
    fn new(count: usize) -> Self {
        Self { held: (0..count).map(|_| false.into()).collect() }
    }

    fn take(&self, index: usize) {
        let held = self.held[index].swap(true, std::sync::atomic::Ordering::AcqRel);
        assert!(!held, "buffer {index} was given out while it is held");
    }

    fn give_back(&self, index: usize) {
        let held = self.held[index].swap(false, std::sync::atomic::Ordering::AcqRel);
        assert!(held, "buffer {index} was freed twice");
    }

    fn assert_held(&self, index: usize) {
        let held = self.held[index].load(std::sync::atomic::Ordering::Acquire);
        assert!(held, "buffer {index} was sent after it was freed");
    }
}

#[cfg(not(debug_assertions))]
impl Ledger {
    fn new(_count: usize) -> Self {
        Self {}
    }

    fn take(&self, _index: usize) {}

    fn give_back(&self, _index: usize) {}

    fn assert_held(&self, _index: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_pool_lends_nothing_and_takes_back() {
        let pool = HeapPool::new("test", 3, 100);
        let mut burst = Burst::with_capacity(8);
        pool.alloc_burst(&mut burst);
        assert_eq!(burst.len(), 3);
        assert!(pool.alloc().is_none());
        assert!(burst.iter().all(|packet| packet.frame_len() == 0));
        release_burst(&mut burst);
        assert!(pool.balance().is_balanced());
        assert_eq!(pool.balance(), PoolBalance { name: "test".to_owned(), size: 3, free: 3 });
    }

    #[test]
    fn buffers_do_not_overlap_or_move() {
        let pool = HeapPool::new("test", 4, 1522);
        let mut packets: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
        for (packet, byte) in packets.iter_mut().zip(1..) {
            assert!(packet.grow_front(HEADROOM));
            packet.room_mut().fill(byte);
            packet.set_frame_len(usize::MAX);
            assert_eq!(packet.frame_len(), HEADROOM + 1522);
        }
        packets.reverse();
        for (packet, byte) in packets.iter().zip([4, 3, 2, 1]) {
            assert!(packet.frame().iter().all(|&b| b == byte));
        }
        packets.into_iter().for_each(HeapPacket::release);
        assert!(pool.balance().is_balanced());
    }

    #[test]
    fn the_front_moves_within_headroom_and_frame() {
        let pool = HeapPool::new("test", 1, 32);
        let mut packet = pool.alloc().expect("a buffer");
        assert!(!packet.fill(&[0; 33]));
        assert!(packet.fill(b"0123456789"));
        packet.trim_front(4);
        assert_eq!(packet.frame(), b"456789");
        assert_eq!(packet.room_mut().len(), 28);
        assert!(packet.grow_front(2));
        assert_eq!(packet.frame(), b"23456789");
        assert!(!packet.grow_front(HEADROOM + 3));
        assert_eq!(packet.frame(), b"23456789");
        packet.trim_front(100);
        assert_eq!(packet.frame_len(), 0);
        packet.release();
    }

    #[test]
    fn a_packet_outlives_its_pool() {
        let pool = HeapPool::new("test", 1, 32);
        let mut packet = pool.alloc().expect("a buffer");
        drop(pool);
        assert!(packet.fill(b"still here"));
        assert_eq!(packet.frame(), b"still here");
        packet.release();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "freed twice")]
    fn a_double_free_is_noticed() {
        let pool = HeapPool::new("test", 1, 32);
        let packet = pool.alloc().expect("a buffer");
        pool.slab.give_back(packet.buffer);
        packet.release();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "sent after it was freed")]
    fn a_packet_that_is_not_held_is_noticed() {
        let pool = HeapPool::new("test", 1, 32);
        let packet = pool.alloc().expect("a buffer");
        pool.slab.give_back(packet.buffer);
        packet.assert_held();
    }
}
