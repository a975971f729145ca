//! How a slot is laid out, in bytes: pure arithmetic, no kernel.
//!
//! ```text
//! 0        32         52                 146   160
//! | header | address | headroom (94)     | frame: Ethernet, ≤ 8 of tags, MTU | tailroom … slot size |
//!   tpacket2_hdr, sockaddr_ll            the kernel writes here (tp_mac)
//! ```
//! Buffers of the pool have the layout of a slot, so that a packet that is copied from a
//! slot keeps its offset, its headroom and its room.

use crate::port::HEADROOM;
use crate::wire::ethernet;

/// Bytes at the front of a slot that hold the kernel's description of the frame.
pub(super) const METADATA_LEN: usize = libc::TPACKET2_HDRLEN;

/// Bytes that the kernel is asked to leave in front of the frame (`PACKET_RESERVE`).
pub(super) const RESERVE: usize = HEADROOM;

/// Length of an 802.1Q tag in bytes.
pub(super) const TAG_LEN: usize = 4;

/// Where the kernel writes a frame with an Ethernet header (`tpacket_rcv`): it aligns what
/// follows the header to 16 bytes, after at least 16 bytes for the header.
pub(super) const FRAME_OFFSET: usize =
    (METADATA_LEN + 16).next_multiple_of(libc::TPACKET_ALIGNMENT) + RESERVE - ethernet::HEADER_LEN;

const _: () = assert!(FRAME_OFFSET - METADATA_LEN >= HEADROOM + TAG_LEN);

/// Sizes of a ring's slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Bytes of a slot, a power of two: slots then fill blocks, and the blocks the mapping,
    /// without gaps.
    pub slot_size: usize,
    /// Bytes of a block, the kernel's unit of allocation: a page or a slot, whichever is more.
    pub block_size: usize,
    /// Slots in all: as many as were asked for, rounded up to full blocks.
    pub slots: usize,
}

impl Geometry {
    /// At least `slots` slots for packets of up to `mtu` bytes, with pages of `page_size`
    /// bytes (a power of two).
    pub(super) fn new(mtu: u16, slots: u16, page_size: usize) -> Self {
        let longest = FRAME_OFFSET + ethernet::HEADER_LEN + 2 * TAG_LEN + usize::from(mtu);
        let slot_size = longest.next_power_of_two();
        let block_size = slot_size.max(page_size);
        let slots = usize::from(slots).next_multiple_of(block_size / slot_size);
        Self { slot_size, block_size, slots }
    }

    /// Bytes of the ring.
    pub(super) fn ring_len(&self) -> Option<usize> {
        self.slots.checked_mul(self.slot_size)
    }

    /// The ring as the kernel wants it described; `None` if the numbers don't fit.
    pub(super) fn request(&self) -> Option<libc::tpacket_req> {
        Some(libc::tpacket_req {
            tp_block_size: self.block_size.try_into().ok()?,
            tp_block_nr: (self.ring_len()? / self.block_size).try_into().ok()?,
            tp_frame_size: self.slot_size.try_into().ok()?,
            tp_frame_nr: self.slots.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_headroom_tags_and_mtu() {
        assert_eq!(FRAME_OFFSET, 146);
        assert_eq!(Geometry::new(1500, 1024, 4096).slot_size, 2048);
        assert_eq!(Geometry::new(9000, 1024, 4096).slot_size, 16384);
        for mtu in [0, 68, 1500, 1879, 1880, 1881, 4096, 9000, u16::MAX] {
            let Geometry { slot_size, block_size, .. } = Geometry::new(mtu, 1, 4096);
            assert!(slot_size.is_power_of_two() && slot_size.is_multiple_of(libc::TPACKET_ALIGNMENT));
            assert!(slot_size >= FRAME_OFFSET + 14 + 8 + usize::from(mtu), "{mtu}");
            assert!(block_size.is_multiple_of(4096) && block_size.is_multiple_of(slot_size));
        }
    }

    #[test]
    fn slots_fill_blocks_without_gaps() {
        for (slots, rounded) in [(1, 2), (2, 2), (3, 4), (1024, 1024), (u16::MAX, 65536)] {
            let geometry = Geometry::new(1500, slots, 4096);
            assert_eq!(geometry.slots, rounded);
            let request = geometry.request().expect("fits");
            assert_eq!(
                request.tp_block_nr * request.tp_block_size,
                request.tp_frame_nr * request.tp_frame_size
            );
        }
        assert_eq!(Geometry::new(9000, 7, 4096).slots, 7);
        assert_eq!(Geometry::new(1500, 1, 65536).slots, 32);
    }
}
