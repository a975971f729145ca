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

/// Packets lent by a queue, the first of which may have been written and addressed.
#[derive(Debug)]
pub(crate) struct Lent<P> {
    packets: Burst<P>,
    rooms: Vec<Room>,
    letters: Vec<Letter>,
}

impl<P> Default for Lent<P> {
    /// None, with room for none.
    fn default() -> Self {
        Self { packets: Burst::default(), rooms: Vec::new(), letters: Vec::new() }
    }
}

impl<P: Packet> Lent<P> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
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

    /// Lets `alloc` fill up the packets, and makes rooms of all of them: a queue is handed
    /// the burst, so no room of before is relied on. Called when none is written.
    pub(crate) fn refill(&mut self, alloc: impl FnOnce(&mut Burst<P>)) {
        alloc(&mut self.packets);
        self.letters.clear();
        self.rooms.clear();
        self.rooms.extend(self.packets.iter_mut().map(Room::of));
    }

    /// The rooms and what is written in the first of them, for an outbox.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut [Room], &mut Vec<Letter>) {
        (&mut self.rooms, &mut self.letters)
    }

    /// Takes the written packets out. The frame of each is its payload; the headers will
    /// have the headroom in front of it.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (P, Letter)> + '_ {
        let count = self.letters.len();
        self.rooms.drain(..count);
        self.packets.drain_prefix(count).zip(self.letters.drain(..)).map(|(mut packet, letter)| {
            packet.set_frame_len(letter.len);
            (packet, letter)
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
