//! A frame in a receive slot, or in a buffer of the pool.

use std::ptr::NonNull;

use super::geometry::{FRAME_OFFSET, METADATA_LEN};
use super::home::{Home, Place};
use super::ring::SlotFrame;
use crate::packet::{IpVersion, Packet, RxChecksum, RxChecksums};

/// A frame of an [`AfPacketQueue`](super::AfPacketQueue), in place.
#[derive(Debug)]
pub struct AfPacketPacket {
    home: NonNull<Home>,
    place: Place,
    start: NonNull<u8>,
    len: u32,
    room: u32,
    udp: RxChecksum,
}

// SAFETY: the bytes belong to the packet alone, and the home that it points to is made to
// be used from several threads.
unsafe impl Send for AfPacketPacket {}

impl AfPacketPacket {
    /// A received frame.
    ///
    /// # Safety
    /// The frame was taken out of slot `index` of `home` just now, and the slot is counted out.
    #[inline]
    pub(super) unsafe fn received(home: NonNull<Home>, index: u32, frame: &SlotFrame) -> Self {
        let SlotFrame { start, len, room, udp } = *frame;
        Self { home, place: Place::Slot(index), start, len, room, udp }
    }

    /// An empty packet in buffer `index`, its headroom as long as that of a received frame.
    ///
    /// # Safety
    /// The buffer was taken from the pool of `home` just now, and is counted out.
    #[inline]
    pub(super) unsafe fn empty(home: NonNull<Home>, index: u32) -> Self {
        // SAFETY: a buffer is out, so the home is alive; a buffer is longer than that offset.
        let (start, room) = unsafe {
            let pool = &home.as_ref().pool;
            (pool.buffer(index).add(FRAME_OFFSET), pool.buffer_size() - FRAME_OFFSET)
        };
        Self { home, place: Place::Buffer(index), start, len: 0, room: room as u32, udp: RxChecksum::Unknown }
    }

    /// Makes this the packet in buffer `index` of another home, a copy of `original` with the
    /// same headroom and room. Gives `None` where the buffers are shorter than its slot.
    ///
    /// # Safety
    /// As for [`empty`](Self::empty).
    pub(super) unsafe fn copy(original: &Self, home: NonNull<Home>, index: u32) -> Option<Self> {
        let offset = original.offset();
        // SAFETY: a buffer is out, so the home is alive.
        let pool = unsafe { &home.as_ref().pool };
        if offset + original.room as usize > pool.buffer_size() {
            return None;
        }
        // SAFETY: the offset and the frame lie within the buffer; the bytes of each packet
        // are its own, so they don't overlap.
        let start = unsafe {
            let start = pool.buffer(index).add(offset);
            start.copy_from_nonoverlapping(original.start, original.len as usize);
            start
        };
        let room = (pool.buffer_size() - offset) as u32;
        Some(Self { home, place: Place::Buffer(index), start, room, ..*original })
    }

    /// The packet's home, and its place there. What is done with them gives the packet up.
    #[inline]
    pub(super) fn origin(&self) -> (NonNull<Home>, Place) {
        (self.home, self.place)
    }

    /// Whether it pins a slot of a receive ring.
    #[inline]
    pub(super) fn is_in_slot(&self) -> bool {
        matches!(self.place, Place::Slot(_))
    }

    /// # Panics
    /// In debug builds, if its place is not out.
    #[inline]
    pub(super) fn assert_out(&self) {
        // SAFETY: the packet exists, so its home is alive.
        unsafe { self.home.as_ref() }.assert_out(self.place);
    }

    /// The frame's bytes, for a system call.
    #[inline]
    pub(super) fn vector(&self) -> libc::iovec {
        libc::iovec { iov_base: self.start.as_ptr().cast(), iov_len: self.len as usize }
    }

    /// Bytes from the start of the place to the frame.
    fn offset(&self) -> usize {
        // SAFETY: the packet exists, so its home is alive.
        let place = unsafe { self.home.as_ref() }.place(self.place);
        self.start.addr().get() - place.addr().get()
    }
}

// SAFETY: a slot or buffer that is out is its packet's alone, and stays mapped while it is out
// (see `Home`). The room ends with the place, and starts behind the kernel's header.
unsafe impl Packet for AfPacketPacket {
    #[inline]
    fn frame_len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    fn frame(&self) -> &[u8] {
        // SAFETY: the frame lies within the place, which is mapped, initialised, and this packet's.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len as usize) }
    }

    #[inline]
    fn room_mut(&mut self) -> &mut [u8] {
        // SAFETY: the room lies within the place, which is mapped, initialised, and this packet's.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.room as usize) }
    }

    #[inline]
    fn head<'a, const LEN: usize>(&'a self, other: &'a [u8; LEN]) -> &'a [u8; LEN] {
        if (self.room as usize) < LEN {
            return other;
        }
        // SAFETY: the room lies within the place, which is mapped, initialised, and this packet's.
        unsafe { self.start.cast().as_ref() }
    }

    #[inline]
    fn set_frame_len(&mut self, len: usize) {
        self.len = len.min(self.room as usize) as u32;
    }

    #[inline]
    fn trim_front(&mut self, count: usize) {
        let count = count.min(self.len as usize);
        // SAFETY: the frame has that many bytes.
        self.start = unsafe { self.start.add(count) };
        self.len -= count as u32;
        self.room -= count as u32;
    }

    #[inline]
    fn grow_front(&mut self, count: usize) -> bool {
        if count > self.offset() - METADATA_LEN {
            return false;
        }
        // SAFETY: the headroom has that many bytes.
        self.start = unsafe { self.start.sub(count) };
        self.len += count as u32;
        self.room += count as u32;
        true
    }

    #[inline]
    fn rx_checksums(&self) -> RxChecksums {
        RxChecksums { ipv4: RxChecksum::Unknown, udp: self.udp }
    }

    /// Never called: the port grants no checksum offload.
    fn request_udp_checksum(&mut self, _version: IpVersion, _l2_len: usize, _l3_len: usize) {
        debug_assert!(false, "af_packet completes no checksums");
    }

    #[inline]
    fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a hint; it touches no memory in the language's sense.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.start.as_ptr().cast()) };
        }
    }
}
