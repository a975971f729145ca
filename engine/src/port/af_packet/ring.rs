//! The receive ring: slots that the kernel fills in order and the program gives back.
//!
//! A slot's status word says whose it is. [`KERNEL`] is the kernel's; with
//! `TP_STATUS_USER` set it is a frame for us. A slot that was taken is marked [`TAKEN`]:
//! the kernel leaves alone whatever is not `KERNEL`, and our reader, when it comes round to
//! a slot that is still out, does not mistake it for a new frame. The kernel walks the
//! slots in order, so a slot that is kept out stalls reception once it comes round to it.
//!
//! `TP_STATUS_LOSING` is not looked at: it says only that some frame was dropped since
//! the statistics were last read.

use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::filter::SUPER_FRAME_CAPTURED;
use super::geometry::{Geometry, METADATA_LEN, TAG_LEN};
use super::mapping::Mapping;
use crate::packet::RxChecksum;
use crate::wire::ethernet::EtherType;

const KERNEL: u32 = libc::TP_STATUS_KERNEL;
/// Our own mark, in a bit that the kernel has no name for.
const TAKEN: u32 = 1 << 27;
/// Bytes of the two addresses in front of a tag.
const ADDRESSES_LEN: usize = 12;
/// Where the kernel puts the frame's address (`struct sockaddr_ll`) in a slot.
const ADDRESS_OFFSET: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);

/// A receive ring in TPACKET_V2's layout.
#[derive(Debug)]
pub(super) struct RxRing {
    mapping: Mapping,
    slot_size: usize,
    slots: u32,
}

/// What the ring's reader found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// No frame yet.
    Nothing,
    /// A frame that this machine sends. It was released.
    Outgoing,
    /// A frame whose end did not fit the slot. It was released.
    Truncated,
    /// Several packets in one, of which the filter let only a mark through. It was released.
    SuperFrame,
    /// A frame. Its slot is the caller's until it is released.
    Frame(SlotFrame),
}

/// A frame in a slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SlotFrame {
    /// Where it starts.
    pub start: NonNull<u8>,
    /// Its length in bytes.
    pub len: u32,
    /// Bytes from its start to the end of the slot.
    pub room: u32,
    /// The kernel's word on the UDP checksum.
    pub udp: RxChecksum,
}

impl RxRing {
    /// A ring over a mapping of `geometry.slots` slots; `None` if they don't fit it.
    pub(super) fn new(mapping: Mapping, geometry: &Geometry) -> Option<Self> {
        let fits = geometry.ring_len()? <= mapping.len() && geometry.slot_size > METADATA_LEN;
        let slots = u32::try_from(geometry.slots).ok()?;
        u32::try_from(geometry.slot_size).ok()?;
        fits.then_some(Self { mapping, slot_size: geometry.slot_size, slots })
    }

    /// How many slots there are.
    #[inline]
    pub(super) fn slots(&self) -> u32 {
        self.slots
    }

    /// The first byte of slot `index`.
    #[inline]
    pub(super) fn slot(&self, index: u32) -> NonNull<u8> {
        debug_assert!(index < self.slots, "slot {index} of {}", self.slots);
        // SAFETY: the mapping holds that many slots.
        unsafe { self.mapping.start().add(index as usize * self.slot_size) }
    }

    #[inline]
    fn status(&self, index: u32) -> &AtomicU32 {
        const { assert!(offset_of!(libc::tpacket2_hdr, tp_status) == 0) };
        // SAFETY: a slot begins with its status word, is aligned, and lives as long as the
        // mapping; kernel and program touch that word with atomic accesses only.
        unsafe { AtomicU32::from_ptr(self.slot(index).as_ptr().cast()) }
    }

    /// Whether the kernel has filled slot `index`.
    #[inline]
    pub(super) fn is_filled(&self, index: u32) -> bool {
        self.status(index).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// Takes the frame out of slot `index`, if the kernel filled it.
    ///
    /// # Safety
    /// The ring has one reader at a time, which takes the slots in order.
    #[inline]
    pub(super) unsafe fn take(&self, index: u32) -> Taken {
        // Pairs with the kernel's barrier between filling the slot and setting its status.
        let status = self.status(index).load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return Taken::Nothing;
        }
        self.status(index).store(TAKEN, Ordering::Relaxed);
        // SAFETY: the kernel has handed the slot over, and this is its only reader.
        let taken = unsafe { self.read(index, status) };
        if !matches!(taken, Taken::Frame(_)) {
            self.release(index);
        }
        taken
    }

    /// Reads a slot that is ours.
    ///
    /// # Safety
    /// The kernel gave the slot with this status, and nobody else has it.
    #[inline]
    unsafe fn read(&self, index: u32, status: u32) -> Taken {
        let slot = self.slot(index);
        // SAFETY: the header stands at the front of the slot, and the address where it is read;
        // nobody writes them now, but for the status word, which is not read here.
        let (header, packet_type) = unsafe {
            let address = slot.add(ADDRESS_OFFSET).cast::<libc::sockaddr_ll>().as_ptr();
            (Header::read(slot), (*address).sll_pkttype)
        };
        if packet_type == libc::PACKET_OUTGOING {
            return Taken::Outgoing;
        }
        let (offset, len) = (usize::from(header.offset), header.captured as usize);
        let fits = offset >= METADATA_LEN + TAG_LEN && offset + len <= self.slot_size;
        if header.captured < header.len || !fits {
            return if header.captured == SUPER_FRAME_CAPTURED {
                Taken::SuperFrame
            } else {
                Taken::Truncated
            };
        }
        // SAFETY: the offset lies within the slot.
        let start = unsafe { slot.add(offset) };
        let frame = SlotFrame {
            start,
            len: header.captured,
            room: (self.slot_size - offset) as u32,
            udp: udp_checksum(status),
        };
        match header.tag(status) {
            // SAFETY: the frame has the bytes of the addresses, and in front of it are the
            // bytes of a tag before the kernel's header ends.
            Some(tag) if len >= ADDRESSES_LEN => Taken::Frame(unsafe { put_back(tag, frame) }),
            _ => Taken::Frame(frame),
        }
    }

    /// Gives a slot that was taken back to the kernel. Any thread may.
    ///
    /// # Panics
    /// In debug builds, if the slot is not out.
    #[inline]
    pub(super) fn release(&self, index: u32) {
        self.assert_taken(index);
        // What was read and written in the slot is done before the kernel sees it free.
        self.status(index).store(KERNEL, Ordering::Release);
    }

    /// # Panics
    /// In debug builds, if the slot is not out.
    #[inline]
    pub(super) fn assert_taken(&self, index: u32) {
        if cfg!(debug_assertions) {
            let status = self.status(index).load(Ordering::Relaxed);
            assert_eq!(status, TAKEN, "receive slot {index} was sent or released, but it is not held");
        }
    }
}

/// The kernel's description of a frame.
struct Header {
    offset: u16,
    len: u32,
    captured: u32,
    tag_control: u16,
    tag_protocol: u16,
}

impl Header {
    /// # Safety
    /// A `tpacket2_hdr` stands there, whose fields but the status word nobody writes now.
    #[inline]
    unsafe fn read(slot: NonNull<u8>) -> Self {
        let header = slot.cast::<libc::tpacket2_hdr>().as_ptr();
        // SAFETY: the caller says so; a slot is aligned for it.
        unsafe {
            Self {
                offset: (*header).tp_mac,
                len: (*header).tp_len,
                captured: (*header).tp_snaplen,
                tag_control: (*header).tp_vlan_tci,
                tag_protocol: (*header).tp_vlan_tpid,
            }
        }
    }

    /// The tag that the kernel took out of the frame, in the order of the wire.
    #[inline]
    fn tag(&self, status: u32) -> Option<[u8; TAG_LEN]> {
        if status & libc::TP_STATUS_VLAN_VALID == 0 {
            return None;
        }
        let told = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let protocol = if told { self.tag_protocol } else { EtherType::VLAN.0 };
        let ([a, b], [c, d]) = (protocol.to_be_bytes(), self.tag_control.to_be_bytes());
        Some([a, b, c, d])
    }
}

/// Puts a tag back behind the addresses, which move into the headroom.
///
/// # Safety
/// The frame has the 12 bytes of the addresses and 4 bytes of headroom, and is the caller's.
unsafe fn put_back(tag: [u8; TAG_LEN], frame: SlotFrame) -> SlotFrame {
    // SAFETY: the caller vouches for both stretches; they overlap, so this is a move.
    let start = unsafe {
        let start = frame.start.sub(TAG_LEN);
        frame.start.copy_to(start, ADDRESSES_LEN);
        start.add(ADDRESSES_LEN).cast().write(tag);
        start
    };
    SlotFrame { start, len: frame.len + TAG_LEN as u32, room: frame.room + TAG_LEN as u32, ..frame }
}

/// The kernel's word on a datagram's checksum.
///
/// `TP_STATUS_CSUM_VALID` is no word that counts: the kernel sets it for
/// `CHECKSUM_COMPLETE` too, where the device summed the frame and nobody has compared the
/// sum with the header's yet. The host verifies such a datagram itself.
#[inline]
fn udp_checksum(status: u32) -> RxChecksum {
    if status & libc::TP_STATUS_CSUMNOTREADY != 0 { RxChecksum::Unfilled } else { RxChecksum::Unknown }
}
