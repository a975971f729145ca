//! Ring, pool, packet and home together, with a test in the kernel's place.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::filter::SUPER_FRAME_CAPTURED;
use super::geometry::{FRAME_OFFSET, Geometry, METADATA_LEN, TAG_LEN};
use super::home::{Home, HomeOwner, Place};
use super::mapping::Mapping;
use super::packet::AfPacketPacket;
use super::pool::{FreeList, Pool};
use super::ring::{RxRing, Taken};
use crate::packet::{Packet, RxChecksum};
use crate::port::HEADROOM;

const USER: u32 = libc::TP_STATUS_USER;

/// The kernel's end of a ring: fills slots in order, and stalls where one is not free.
struct FakeKernel {
    next: u32,
}

/// What the kernel says of a frame.
#[derive(Clone, Copy)]
struct Words {
    status: u32,
    /// Bytes of the frame that are not in the slot.
    missing: u32,
    tag: (u16, u16),
    packet_type: u8,
}

const PLAIN: Words = Words { status: USER, missing: 0, tag: (0, 0), packet_type: libc::PACKET_HOST };

impl FakeKernel {
    fn deliver(&mut self, home: &Home, frame: &[u8], words: Words) -> bool {
        let slot = home.ring.slot(self.next).as_ptr();
        // SAFETY: the slot begins with its status word.
        let status = unsafe { AtomicU32::from_ptr(slot.cast()) };
        if status.load(Ordering::Acquire) != libc::TP_STATUS_KERNEL {
            return false;
        }
        // SAFETY: the slot is free, so it is the kernel's; the frames of these tests fit it.
        unsafe {
            let header = slot.cast::<libc::tpacket2_hdr>();
            (*header).tp_len = frame.len() as u32 + words.missing;
            (*header).tp_snaplen = frame.len() as u32;
            (*header).tp_mac = FRAME_OFFSET as u16;
            ((*header).tp_vlan_tpid, (*header).tp_vlan_tci) = words.tag;
            (*slot.add(32).cast::<libc::sockaddr_ll>()).sll_pkttype = words.packet_type;
            slot.add(FRAME_OFFSET).copy_from(frame.as_ptr(), frame.len());
        }
        status.store(words.status, Ordering::Release);
        self.next = (self.next + 1) % home.ring.slots();
        true
    }
}

fn home(slots: u16, buffers: usize) -> (HomeOwner, FreeList, FakeKernel) {
    let geometry = Geometry::new(1500, slots, 4096);
    let mapping = Mapping::anonymous(geometry.ring_len().expect("small")).expect("memory");
    let ring = RxRing::new(mapping, &geometry).expect("fits");
    let (pool, free) = Pool::new(buffers, geometry.slot_size).expect("memory");
    (HomeOwner::new(Arc::new(Home::new(ring, pool))), free, FakeKernel { next: 0 })
}

/// What a queue does to receive from a slot.
fn receive(home: &HomeOwner, index: u32) -> Option<AfPacketPacket> {
    // SAFETY: each test reads its ring alone.
    match unsafe { home.ring.take(index) } {
        Taken::Frame(frame) => {
            home.slots_out.lent();
            // SAFETY: taken and counted just now.
            Some(unsafe { AfPacketPacket::received(home.pointer(), index, &frame) })
        }
        _ => None,
    }
}

fn allocate(home: &HomeOwner, free: &mut FreeList) -> Option<AfPacketPacket> {
    let index = free.take(&home.pool)?;
    home.buffers_out.lent();
    // SAFETY: taken and counted just now.
    Some(unsafe { AfPacketPacket::empty(home.pointer(), index) })
}

fn give_back(home: &HomeOwner, free: &mut FreeList, packet: AfPacketPacket) {
    home.give_back(packet.origin().1, free);
}

fn frame(len: usize) -> Vec<u8> {
    (0..len).map(|index| index as u8).collect()
}

#[test]
fn a_frame_arrives_with_room_to_grow() {
    let (home, mut free, mut kernel) = home(2, 1);
    assert!(receive(&home, 0).is_none());
    assert!(kernel.deliver(&home, &frame(60), PLAIN));
    let mut packet = receive(&home, 0).expect("a frame");
    assert_eq!(packet.frame(), frame(60));
    assert!(packet.room_mut().len() >= 14 + 8 + 1500);
    packet.set_frame_len(usize::MAX);
    assert_eq!(packet.frame_len(), packet.room_mut().len());
    packet.set_frame_len(60);
    packet.trim_front(14);
    assert_eq!(packet.frame(), &frame(60)[14..]);
    let headroom = FRAME_OFFSET - METADATA_LEN;
    assert!(!packet.grow_front(14 + headroom + 1));
    assert!(packet.grow_front(14 + headroom));
    assert_eq!(&packet.frame()[headroom..], frame(60));
    packet.trim_front(usize::MAX);
    assert_eq!(packet.frame_len(), 0);
    give_back(&home, &mut free, packet);
    assert_eq!(home.packets_out(), 0);
}

#[test]
fn the_kernels_words_are_read() {
    let (home, mut free, mut kernel) = home(2, 1);
    let mut next = 0;
    let mut udp = |status| {
        assert!(kernel.deliver(&home, &frame(60), Words { status: USER | status, ..PLAIN }));
        let packet = receive(&home, next).expect("a frame");
        next = (next + 1) % 2;
        let udp = packet.rx_checksums().udp;
        give_back(&home, &mut free, packet);
        udp
    };
    assert_eq!(udp(0), RxChecksum::Unknown);
    assert_eq!(udp(libc::TP_STATUS_CSUMNOTREADY), RxChecksum::Unfilled);
    assert_eq!(udp(libc::TP_STATUS_CSUM_VALID), RxChecksum::Unknown);
    assert_eq!(udp(libc::TP_STATUS_LOSING), RxChecksum::Unknown);
}

#[test]
fn a_tag_is_put_back_behind_the_addresses() {
    let (home, mut free, mut kernel) = home(4, 1);
    let told = USER | libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID;
    let cases = [
        (told, (0x88a8, 0x6007), [0x88, 0xa8, 0x60, 0x07]),
        (USER | libc::TP_STATUS_VLAN_VALID, (0, 7), [0x81, 0x00, 0x00, 0x07]),
    ];
    for (index, (status, tag, expected)) in cases.into_iter().enumerate() {
        assert!(kernel.deliver(&home, &frame(60), Words { status, tag, ..PLAIN }));
        let mut packet = receive(&home, index as u32).expect("a frame");
        let original = frame(60);
        assert_eq!(packet.frame(), [&original[..12], &expected, &original[12..]].concat());
        assert!(packet.room_mut().len() >= 14 + 8 + 1500 + TAG_LEN);
        packet.trim_front(0);
        assert!(packet.grow_front(HEADROOM));
        give_back(&home, &mut free, packet);
    }
    // A frame too short for addresses keeps the tag off, and hurts nobody.
    assert!(kernel.deliver(&home, &frame(11), Words { status: told, tag: (0x8100, 7), ..PLAIN }));
    let runt = receive(&home, 2).expect("a frame");
    assert_eq!(runt.frame(), frame(11));
    give_back(&home, &mut free, runt);
}

#[test]
fn outgoing_and_cut_frames_free_their_slots_at_once() {
    let (home, _free, mut kernel) = home(2, 1);
    for _ in 0..3 {
        assert!(kernel.deliver(&home, &frame(60), Words { missing: 1, ..PLAIN }));
        assert!(kernel.deliver(&home, &frame(60), Words { packet_type: libc::PACKET_OUTGOING, ..PLAIN }));
        // SAFETY: the test reads its ring alone.
        let taken = unsafe { [home.ring.take(0), home.ring.take(1)] };
        assert_eq!(taken, [Taken::Truncated, Taken::Outgoing]);
    }
    assert_eq!(home.packets_out(), 0);
}

#[test]
fn a_marked_super_frame_frees_its_slot_at_once() {
    let (home, mut free, mut kernel) = home(2, 1);
    let marked = SUPER_FRAME_CAPTURED as usize;
    for _ in 0..3 {
        assert!(kernel.deliver(&home, &frame(marked), Words { missing: 1041, ..PLAIN }));
        // As short, but whole.
        assert!(kernel.deliver(&home, &frame(marked), PLAIN));
        // SAFETY: the test reads its ring alone.
        assert_eq!(unsafe { home.ring.take(0) }, Taken::SuperFrame);
        let whole = receive(&home, 1).expect("a frame");
        assert_eq!(whole.frame(), frame(marked));
        give_back(&home, &mut free, whole);
    }
    assert!(kernel.deliver(&home, &frame(marked + 1), Words { missing: 1040, ..PLAIN }));
    // SAFETY: as above.
    assert_eq!(unsafe { home.ring.take(0) }, Taken::Truncated);
    assert_eq!(home.packets_out(), 0);
}

#[test]
fn a_slot_that_is_out_is_not_received_again_and_stalls_the_kernel() {
    let (home, mut free, mut kernel) = home(2, 1);
    assert!(kernel.deliver(&home, &frame(60), PLAIN) && kernel.deliver(&home, &frame(61), PLAIN));
    let [first, second] = [0, 1].map(|index| receive(&home, index).expect("a frame"));
    give_back(&home, &mut free, second);
    assert!(receive(&home, 0).is_none(), "slot 0 is still out");
    assert!(!kernel.deliver(&home, &frame(62), PLAIN), "the kernel goes in order");
    give_back(&home, &mut free, first);
    assert!(kernel.deliver(&home, &frame(62), PLAIN));
    let third = receive(&home, 0).expect("a frame");
    assert_eq!(third.frame_len(), 62);
    give_back(&home, &mut free, third);
}

#[test]
fn a_copy_has_the_same_bytes_headroom_and_room() {
    let (home, mut free, mut kernel) = home(2, 1);
    assert!(kernel.deliver(&home, &frame(60), PLAIN));
    let mut original = receive(&home, 0).expect("a frame");
    assert!(original.grow_front(20));
    let index = free.take(&home.pool).expect("a buffer");
    home.buffers_out.lent();
    // SAFETY: taken and counted just now.
    let mut copy = unsafe { AfPacketPacket::copy(&original, home.pointer(), index) }.expect("same size");
    assert_eq!(copy.frame(), original.frame());
    assert_eq!(copy.room_mut().len(), original.room_mut().len());
    assert!(!copy.is_in_slot() && original.is_in_slot());
    let headroom = FRAME_OFFSET - METADATA_LEN - 20;
    assert!(!copy.grow_front(headroom + 1) && copy.grow_front(headroom));
    for packet in [copy, original] {
        give_back(&home, &mut free, packet);
    }
}

#[test]
fn an_empty_packet_has_the_headroom_that_was_promised() {
    let (home, mut free, _kernel) = home(2, 1);
    let mut packet = allocate(&home, &mut free).expect("a buffer");
    assert!(allocate(&home, &mut free).is_none());
    assert_eq!(packet.frame_len(), 0);
    assert!(packet.room_mut().len() >= 14 + 8 + 1500);
    assert!(packet.grow_front(HEADROOM));
    give_back(&home, &mut free, packet);
}

#[test]
fn the_books_balance_over_threads() {
    let (home, mut free, mut kernel) = home(2, 2);
    for round in 0..4 {
        assert!(kernel.deliver(&home, &frame(60), PLAIN));
        let packets =
            [receive(&home, round % 2), allocate(&home, &mut free)].map(|packet| packet.expect("one"));
        assert_eq!(home.packets_out(), 2);
        thread::spawn(move || {
            for packet in packets {
                let (home, place) = packet.origin();
                // SAFETY: the packet is out, and ends here.
                unsafe { Home::give_back_from_elsewhere(home, place) };
            }
        })
        .join()
        .expect("no panic");
        assert_eq!(home.packets_out(), 0);
    }
    assert!(home.balances("veth0").iter().all(|balance| balance.is_balanced() && balance.size == 2));
}

#[test]
fn memory_outlives_its_owner_while_a_packet_is_out() {
    let (home, mut free, mut kernel) = home(2, 1);
    assert!(kernel.deliver(&home, &frame(60), PLAIN));
    let packet = receive(&home, 0).expect("a frame");
    let other = allocate(&home, &mut free).expect("a buffer");
    let pointer = home.pointer();
    drop((home, free));
    assert_eq!(packet.frame(), frame(60));
    for packet in [packet, other] {
        // SAFETY: the packet is out, and ends here.
        unsafe { Home::give_back_from_elsewhere(pointer, packet.origin().1) };
    }
    // SAFETY: the owner left one count behind, so the home is alive; this takes it over.
    drop(unsafe { Arc::from_raw(NonNull::as_ptr(pointer).cast_const()) });
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "receive slot 0 was sent or released, but it is not held")]
fn a_second_release_of_a_slot_is_noticed() {
    let (home, mut free, mut kernel) = home(2, 1);
    assert!(kernel.deliver(&home, &frame(60), PLAIN));
    let packet = receive(&home, 0).expect("a frame");
    let place = packet.origin().1;
    assert_eq!(place, Place::Slot(0));
    home.give_back(place, &mut free);
    home.give_back(place, &mut free);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "buffer 0 was sent, but it is not held")]
fn sending_what_is_not_held_is_noticed() {
    let (home, mut free, _kernel) = home(2, 1);
    let packet = allocate(&home, &mut free).expect("a buffer");
    home.give_back(packet.origin().1, &mut free);
    packet.assert_out();
}
