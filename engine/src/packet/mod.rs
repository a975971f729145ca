//! Owned packets and bursts of them.
//!
//! A [`Packet`] is owned by exactly one place. It has no `Drop` that gives its buffer
//! back: buffers go back in bulk, through [`FrameQueue::tx_burst`] or
//! [`FrameQueue::free_burst`], because a foreign call per packet is what a packet engine
//! can't afford.
//!
//! [`FrameQueue::tx_burst`]: crate::port::FrameQueue::tx_burst
//! [`FrameQueue::free_burst`]: crate::port::FrameQueue::free_burst

mod burst;
mod lent;
mod shared;

use std::ptr::NonNull;

pub use burst::Burst;
pub(crate) use lent::{Lent, Letter, Mail, Room, Written};
pub(crate) use shared::{Place, Shares};
pub use shared::{Shared, Tail};

/// One frame in a buffer that the holder owns: an mbuf, a ring slot, a heap buffer.
///
/// The buffer is contiguous: `headroom | frame | tailroom`. The frame starts at the
/// Ethernet destination address and has no frame check sequence. The *room* is the
/// frame and the tailroom.
///
/// # Safety
/// The host keeps pointers into the room of packets that it owns while it moves the
/// packet values about. An implementor promises that the buffer stays where it is and is
/// nobody else's to read or write for as long as the packet value exists and is not
/// handed to a queue; that `frame_len() <= room_mut().len()` at all times; and that
/// `room_mut` gives the same bytes each time but for the moves of its start.
pub unsafe trait Packet: Send {
    /// Length of the frame in bytes.
    fn frame_len(&self) -> usize;

    /// The frame.
    fn frame(&self) -> &[u8];

    /// All writable bytes from the start of the frame; the first
    /// [`frame_len`](Self::frame_len) of them are the frame.
    fn room_mut(&mut self) -> &mut [u8];

    /// The frame, to be changed in place.
    #[inline]
    fn frame_mut(&mut self) -> &mut [u8] {
        let len = self.frame_len();
        &mut self.room_mut()[..len]
    }

    /// The first bytes of the room: the frame's, and what lies behind them if it is shorter.
    /// `other` if the room is shorter too.
    #[inline]
    fn head<'a, const LEN: usize>(&'a self, other: &'a [u8; LEN]) -> &'a [u8; LEN] {
        self.frame().first_chunk().unwrap_or(other)
    }

    /// Sets the length of the frame in bytes. More than the room is cut to the room.
    fn set_frame_len(&mut self, len: usize);

    /// Takes `count` bytes off the front of the frame; they become headroom.
    /// More than the frame is cut to the frame.
    fn trim_front(&mut self, count: usize);

    /// Puts `count` bytes of headroom in front of the frame, with whatever they hold.
    /// Gives `false`, and changes nothing, where the headroom is shorter.
    #[must_use]
    fn grow_front(&mut self, count: usize) -> bool;

    /// The room with so many bytes of headroom in front of it, or with none where the headroom is shorter:
    /// where it starts, the bytes of headroom, and those behind them. The packet stays as it is.
    #[inline]
    fn room_behind(&mut self, headroom: usize) -> (NonNull<u8>, usize, usize) {
        let headroom = if self.grow_front(headroom) { headroom } else { 0 };
        let room = self.room_mut();
        let (start, len) = (NonNull::from(&mut *room).cast(), room.len());
        self.trim_front(headroom);
        (start, headroom, len - headroom)
    }

    /// What the port says of the received frame's checksums. It counts only as far as
    /// the queue's [`Capabilities`](crate::port::Capabilities) say that the port was
    /// granted the check.
    fn rx_checksums(&self) -> RxChecksums;

    /// Asks the port to complete the UDP checksum of this frame when it sends it; the field
    /// holds the sum of the pseudo header. Called only where
    /// [`Capabilities::tx_udp_checksum`](crate::port::Capabilities::tx_udp_checksum) is set.
    ///
    /// `l2_len` and `l3_len` are the lengths in bytes of the headers before UDP: the link's
    /// with its VLAN tags, and that of IP with its options or extension headers.
    fn request_udp_checksum(&mut self, version: IpVersion, l2_len: usize, l3_len: usize);

    /// Has the frame end with a payload that other frames may have too, which is not copied. The
    /// frame is complete then, and is sent or freed: of its bytes only those before the payload can
    /// be read and changed. Called only where
    /// [`Capabilities::tx_shared`](crate::port::Capabilities::tx_shared) is set.
    ///
    /// Gives `false`, and changes nothing, where so many frames have the payload that no more can.
    #[must_use]
    fn chain(&mut self, tail: &mut Tail<Self>) -> bool
    where
        Self: Sized,
    {
        let _ = tail;
        false
    }

    /// Takes the count of that many frames back, which were to have this packet as their tail.
    ///
    /// # Safety
    /// [`chain`](Self::chain) counted as many in, and they have not got it.
    unsafe fn unshare(&self, count: u16) {
        let _ = count;
    }

    /// Asks the CPU to bring the frame's first bytes into its cache.
    #[inline]
    fn prefetch(&self) {}
}

/// Which Internet Protocol a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4 (RFC 791).
    V4,
    /// IPv6 (RFC 8200).
    V6,
}

/// What a port says of one checksum of a received frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing: the host has to verify it.
    #[default]
    Unknown,
    /// It was verified and is right.
    Good,
    /// It was verified and is wrong.
    Bad,
    /// The sender left the field unfilled and the bytes never crossed a wire, so there is
    /// nothing to verify (`TP_STATUS_CSUMNOTREADY`, `RTE_MBUF_F_RX_L4_CKSUM_NONE`).
    Unfilled,
}

/// What a port says of a received frame's checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxChecksums {
    /// The IPv4 header's.
    pub ipv4: RxChecksum,
    /// The UDP datagram's.
    pub udp: RxChecksum,
}
