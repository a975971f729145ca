//! Rooms that a queue lent to the service: allocated in bulk, written in place.

use std::net::SocketAddr;
use std::ptr::NonNull;

use super::{Burst, IpVersion, Packet, Shares};
use crate::port::HEADROOM;
use crate::wire::udp;

/// A room that was written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Letter {
    /// A payload, whose headers have to be found.
    Payload {
        /// One of our addresses.
        from: SocketAddr,
        /// The receiver's.
        to: SocketAddr,
        /// Payload bytes.
        len: usize,
    },
    /// A whole frame: its headers stand in front of its payload.
    Frame(Written),
    /// Headers, whose payload is shared, and stands at that place among the [`Shares`].
    Chained(Written, u32),
    /// Nothing: its headers have to be found, and its payload is shared.
    Shared {
        /// One of our addresses.
        from: SocketAddr,
        /// The receiver's.
        to: SocketAddr,
        /// Where the payload stands among the [`Shares`].
        place: usize,
    },
}

/// What an outbox was given to send.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    /// What stands in each room that was written.
    pub(crate) letters: Vec<Letter>,
    /// Payloads of several of them.
    pub(crate) shares: Shares,
}

/// A frame that stands in its room: what has to be known of it, in one word, which is written
/// and read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written(u64);

impl Written {
    /// A frame of `frame_len` bytes, below 2^24, of which `ip_at` and `udp_at`, below 2^8, are
    /// in front of the headers of IP and UDP. `completes` asks the port for the UDP checksum.
    #[inline]
    pub(crate) fn new(frame_len: usize, ip_at: usize, udp_at: usize, completes: Option<IpVersion>) -> Self {
        let completes = match completes {
            None => 0,
            Some(IpVersion::V4) => 4,
            Some(IpVersion::V6) => 6,
        };
        Self((frame_len as u64) << 24 | (ip_at as u64) << 16 | (udp_at as u64) << 8 | completes)
    }

    /// Bytes in all.
    #[inline]
    pub(crate) fn frame_len(self) -> usize {
        (self.0 >> 24) as usize
    }

    /// Bytes in front of the payload.
    #[inline]
    pub(crate) fn headers_len(self) -> usize {
        usize::from((self.0 >> 8) as u8) + udp::HEADER_LEN
    }

    /// What the port is asked for: see [`Packet::request_udp_checksum`].
    #[inline]
    pub(crate) fn checksum(self) -> Option<(IpVersion, usize, usize)> {
        let version = match self.0 as u8 {
            0 => return None,
            4 => IpVersion::V4,
            _ => IpVersion::V6,
        };
        let (ip_at, udp_at) = ((self.0 >> 16) as u8, (self.0 >> 8) as u8);
        Some((version, ip_at.into(), usize::from(udp_at - ip_at)))
    }
}

/// The room of one lent packet: what headers need, and behind that the payload's.
#[derive(Debug)]
pub(crate) struct Room {
    start: NonNull<u8>,
    capacity: usize,
    headroom: usize,
}

// SAFETY: a room goes where its packet goes, and packets are Send.
unsafe impl Send for Room {}

impl Room {
    /// The room of an empty packet, whose frame becomes the room for headers.
    #[inline]
    fn of<P: Packet>(packet: &mut P) -> Self {
        let headroom = if packet.grow_front(HEADROOM) { HEADROOM } else { 0 };
        let room = packet.room_mut();
        Self { start: NonNull::from(&mut *room).cast(), capacity: room.len(), headroom }
    }

    /// Bytes in front of the payload.
    #[inline]
    pub(crate) fn headroom(&self) -> usize {
        self.headroom
    }

    /// Where a frame stands whose headers end where its payload starts, of so many bytes each;
    /// `None` if there is not the room for it.
    #[inline]
    pub(crate) fn frame(&mut self, headers_len: usize, payload_len: usize) -> Option<&mut [u8]> {
        let start = self.headroom.checked_sub(headers_len)?;
        let end = self.headroom + payload_len;
        self.bytes().get_mut(start..end)
    }

    /// The bytes of the room, those for headers first.
    #[inline]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `Lent` keeps the packet, whose buffer stays where it is (contract of
        // `Packet`), for as long as it shows this room, and shows it to one borrower.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.capacity) }
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
    mail: Mail,
}

impl<P> Default for Lent<P> {
    /// None, with room for none.
    fn default() -> Self {
        Self { fresh: Burst::default(), packets: Burst::default(), rooms: Vec::new(), mail: Mail::default() }
    }
}

impl<P: Packet> Lent<P> {
    /// Room for `capacity` letters.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            fresh: Burst::with_capacity(capacity),
            packets: Burst::with_capacity(capacity),
            rooms: Vec::with_capacity(capacity),
            mail: Mail { letters: Vec::with_capacity(capacity), shares: Shares::default() },
        }
    }

    /// With room for payloads that several letters share.
    pub(crate) fn sharing(mut self, shares: Shares) -> Self {
        self.mail.shares = shares;
        self
    }

    /// Whether `refill` would find room for more packets.
    #[inline]
    pub(crate) fn wants_refill(&self) -> bool {
        self.mail.letters.is_empty() && !self.packets.is_full()
    }

    /// Whether a room has been written.
    #[inline]
    pub(crate) fn has_letters(&self) -> bool {
        !self.mail.letters.is_empty()
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
    pub(crate) fn parts(&mut self) -> (&mut [Room], &mut Mail) {
        (&mut self.rooms, &mut self.mail)
    }

    /// How many rooms are written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.mail.letters.len()
    }

    /// Takes the written packets out, in the order in which they were written. The frame of
    /// each is its payload, in front of which the headers will have the headroom, or the whole, or
    /// nothing where the payload is one of the shares, which are given too.
    /// [`forget`](Self::forget) the letters then: they are read where they stand, since to move
    /// one would wait for its parts to be written.
    #[inline]
    pub(crate) fn take(&mut self) -> (impl Iterator<Item = (P, &Letter)> + '_, &Shares) {
        let Mail { letters, shares } = &self.mail;
        let left = self.rooms.len() - letters.len();
        self.rooms.truncate(left);
        let packets = &mut self.packets;
        let written = letters.iter().map_while(|letter| {
            let mut packet = packets.pop()?;
            // The room for headers.
            let headroom = packet.frame_len();
            match letter {
                Letter::Payload { len, .. } => {
                    packet.trim_front(headroom);
                    packet.set_frame_len(*len);
                }
                Letter::Frame(written) | Letter::Chained(written, _) => {
                    packet.trim_front(headroom - written.headers_len());
                }
                Letter::Shared { .. } => packet.trim_front(headroom),
            }
            Some((packet, letter))
        });
        (written, shares)
    }

    /// Forgets the letters, whose packets were taken. Gives the shares.
    #[inline]
    pub(crate) fn forget(&mut self) -> &mut Shares {
        self.mail.letters.clear();
        &mut self.mail.shares
    }

    /// Moves all packets, written or not, into `into` as far as it has room.
    pub(crate) fn give_back(&mut self, into: &mut Burst<P>) {
        self.rooms.clear();
        self.mail.letters.clear();
        // Without the room for headers, as they were when they came.
        self.packets.iter_mut().for_each(|packet| packet.trim_front(packet.frame_len()));
        into.append(&mut self.packets);
    }

    /// How many packets are lent.
    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_frame_fits_a_word() {
        let plain = Written::new(1514, 14, 34, None);
        assert_eq!((plain.frame_len(), plain.headers_len(), plain.checksum()), (1514, 42, None));
        let longest = Written::new(65_557, 22, 62, Some(IpVersion::V6));
        assert_eq!((longest.frame_len(), longest.headers_len()), (65_557, 70));
        assert_eq!(longest.checksum(), Some((IpVersion::V6, 22, 40)));
        let asked = Written::new(64, 14, 34, Some(IpVersion::V4));
        assert_eq!(asked.checksum(), Some((IpVersion::V4, 14, 20)));
    }
}
