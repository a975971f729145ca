//! Rooms that a queue lent to the service: allocated in bulk, written in place.

use std::net::SocketAddr;
use std::ptr::NonNull;

use super::{Burst, Packet};

/// Where a letter goes, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    /// One of our addresses.
    pub(crate) from: SocketAddr,
    /// The receiver's.
    pub(crate) to: SocketAddr,
    /// Payload bytes.
    pub(crate) len: usize,
}

/// The payload room of one lent packet.
#[derive(Debug)]
pub(crate) struct Room {
    payload: NonNull<u8>,
    capacity: usize,
}

// SAFETY: a room goes where its packet goes, and packets are Send.
unsafe impl Send for Room {}

impl Room {
    fn of<P: Packet>(packet: &mut P) -> Self {
        let payload = packet.room_mut();
        Self { payload: NonNull::from(&mut *payload).cast(), capacity: payload.len() }
    }

    /// The bytes of the room.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `Lent` keeps the packet, whose buffer stays where it is (contract of
        // `Packet`), for as long as it shows this room, and shows it to one borrower.
        unsafe { std::slice::from_raw_parts_mut(self.payload.as_ptr(), self.capacity) }
    }
}

/// Packets lent by a queue, some of which may have been written and addressed.
///
/// They are written from the last one back, so that those that stay are never moved.
#[derive(Debug)]
pub(crate) struct Lent<P> {
    /// What is being allocated; empty between calls.
    fresh: Burst<P>,
    packets: Burst<P>,
    /// The rooms of `packets`, in the same order.
    rooms: Vec<Room>,
    letters: Vec<Letter>,
}

impl<P> Default for Lent<P> {
    /// None, with room for none.
    fn default() -> Self {
        Self { fresh: Burst::default(), packets: Burst::default(), rooms: Vec::new(), letters: Vec::new() }
    }
}

impl<P: Packet> Lent<P> {
    /// Room for `capacity` letters.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            fresh: Burst::with_capacity(capacity),
            packets: Burst::with_capacity(capacity),
            rooms: Vec::with_capacity(capacity),
            letters: Vec::with_capacity(capacity),
        }
    }

    /// Whether `refill` would find room for more packets.
    #[inline]
    pub(crate) fn wants_refill(&self) -> bool {
        self.letters.is_empty() && !self.packets.is_full()
    }

    /// Whether a room has been written.
    #[inline]
    pub(crate) fn has_letters(&self) -> bool {
        !self.letters.is_empty()
    }

    /// Lets `alloc` fill up the packets, and makes rooms of the new ones. It is handed none of
    /// those whose rooms are relied on. Called when none is written.
    #[inline]
    pub(crate) fn refill(&mut self, alloc: impl FnOnce(&mut Burst<P>)) {
        self.fresh.limit(self.packets.free());
        alloc(&mut self.fresh);
        self.rooms.extend(self.fresh.iter_mut().map(Room::of));
        self.packets.append(&mut self.fresh);
    }

    /// The rooms, the next one last, and what is written in those behind it, for an outbox.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut [Room], &mut Vec<Letter>) {
        (&mut self.rooms, &mut self.letters)
    }

    /// How many rooms are written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.letters.len()
    }

    /// Takes the written packets out, in the order in which they were written. The frame of
    /// each is its payload; the headers will have the headroom in front of it.
    #[inline]
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (P, Letter)> + '_ {
        let left = self.rooms.len() - self.letters.len();
        self.rooms.truncate(left);
        let packets = &mut self.packets;
        self.letters.drain(..).map_while(|letter| {
            let mut packet = packets.pop()?;
            packet.set_frame_len(letter.len);
            Some((packet, letter))
        })
    }

    /// Moves all packets, written or not, into `into` as far as it has room.
    pub(crate) fn give_back(&mut self, into: &mut Burst<P>) {
        self.rooms.clear();
        self.letters.clear();
        into.append(&mut self.packets);
    }

    /// How many packets are lent.
    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }
}
