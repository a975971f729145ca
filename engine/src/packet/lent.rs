//! Rooms that a queue lent to the service: allocated in bulk, written in place.

use std::net::SocketAddr;
use std::ptr::NonNull;

use super::{Burst, IpVersion, Packet, Shares};
use crate::port::HEADROOM;
use crate::wire::{ethernet, udp};

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
    /// So many whole frames, one in each room, which begin where payloads do.
    Frames(Written, u32),
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
    /// What stands in the rooms that were written.
    letters: Vec<Letter>,
    /// How many those are.
    written: usize,
    /// Payloads of several of them.
    pub(crate) shares: Shares,
}

impl Mail {
    /// How many rooms are written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// The next room is written, or for [`Letter::Frames`] so many.
    #[inline]
    pub(crate) fn push(&mut self, letter: Letter) {
        self.written += if let Letter::Frames(_, count) = letter { count as usize } else { 1 };
        self.letters.push(letter);
    }

    fn clear(&mut self) {
        self.letters.clear();
        self.written = 0;
    }
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

    /// Whether nothing is to be done but to set its length: the port completes nothing, and it is not so
    /// short that it has to be filled up.
    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        self.checksum().is_none() && self.frame_len() >= ethernet::MIN_FRAME_LEN
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
    /// Where payloads start, behind the headroom.
    payload: NonNull<u8>,
    headroom: u32,
    /// Bytes behind the headroom.
    behind: u32,
}

// SAFETY: a room goes where its packet goes, and packets are Send.
unsafe impl Send for Room {}

impl Room {
    /// The room of an empty packet, and in front of it the headroom that headers need. The packet
    /// stays as it is.
    #[inline]
    fn of<P: Packet>(packet: &mut P) -> Self {
        let (start, headroom, behind) = packet.room_behind(HEADROOM);
        // SAFETY: the room is behind its headroom, in the same buffer.
        let payload = unsafe { start.add(headroom) };
        // Buffers are shorter than 4 GiB; of one that is not, the rest is not used.
        let behind = u32::try_from(behind).unwrap_or(u32::MAX);
        Self { payload, headroom: headroom as u32, behind }
    }

    /// Bytes in front of the payload.
    #[inline]
    pub(crate) fn headroom(&self) -> usize {
        self.headroom as usize
    }

    /// Where a frame stands whose headers end where its payload starts, of so many bytes each;
    /// `None` if there is not the room for it.
    #[inline]
    pub(crate) fn frame(&mut self, headers_len: usize, payload_len: usize) -> Option<&mut [u8]> {
        let start = self.headroom().checked_sub(headers_len)?;
        let end = self.headroom() + payload_len;
        self.bytes().get_mut(start..end)
    }

    /// Where a frame of so many bytes stands that begins where payloads do, and so at the start of a
    /// cache line where the port has them so; `None` if there is not the room for it.
    #[inline]
    pub(crate) fn whole_frame(&mut self, frame_len: usize) -> Option<&mut [u8]> {
        let len = self.behind as usize;
        // SAFETY: as in `bytes`, of which this is the part behind the headroom.
        let room = unsafe { std::slice::from_raw_parts_mut(self.payload.as_ptr(), len) };
        room.get_mut(..frame_len)
    }

    /// The bytes of the room, those for headers first.
    #[inline]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let len = self.headroom() + self.behind as usize;
        // SAFETY: `Lent` keeps the packet, whose buffer stays where it is (contract of
        // `Packet`), for as long as it shows this room, and shows it to one borrower. The headroom
        // is in front of the payload, in the same buffer.
        unsafe { std::slice::from_raw_parts_mut(self.payload.as_ptr().sub(self.headroom()), len) }
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
            mail: Mail { letters: Vec::with_capacity(capacity), ..Mail::default() },
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
        self.mail.written == 0 && !self.packets.is_full()
    }

    /// Whether a room has been written.
    #[inline]
    pub(crate) fn has_letters(&self) -> bool {
        self.mail.written > 0
    }

    /// Lets `alloc` fill up the packets, and makes rooms of the new ones. It is handed none of
    /// those whose rooms are relied on. Called when none is written.
    #[inline]
    pub(crate) fn refill(&mut self, alloc: impl FnOnce(&mut Burst<P>)) {
        self.fresh.limit(self.packets.free());
        alloc(&mut self.fresh);
        self.rooms.extend(self.fresh.iter_mut().map(Room::of));
        if self.packets.is_empty() {
            self.packets.swap_with(&mut self.fresh);
        } else {
            self.packets.append(&mut self.fresh);
        }
    }

    /// The rooms, the next one last, and what is written in those behind it, for an outbox.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut [Room], &mut Mail) {
        (&mut self.rooms, &mut self.mail)
    }

    /// The packets, of which the written ones are taken from the end, the first one last, and what is
    /// written in them, and the shares. They are empty, as they were lent: their payloads stand where their
    /// frames start. [`forget`](Self::forget) the letters then: they are read where they stand, since to
    /// move one would wait for its parts to be written.
    #[inline]
    pub(crate) fn open(&mut self) -> (&mut Burst<P>, &[Letter], &Shares) {
        let Mail { letters, written, shares } = &self.mail;
        self.rooms.truncate(self.rooms.len() - written);
        (&mut self.packets, letters, shares)
    }

    /// Where nothing is written but [`Letter::Frames`] of one kind: the packets, as [`open`](Self::open)
    /// gives them, what those frames are, and how many. They are forgotten.
    #[inline]
    pub(crate) fn open_frames(&mut self) -> Option<(&mut Burst<P>, Written, usize)> {
        let [Letter::Frames(written, count)] = self.mail.letters[..] else { return None };
        self.rooms.truncate(self.rooms.len() - self.mail.written);
        self.mail.clear();
        Some((&mut self.packets, written, count as usize))
    }

    /// Forgets the letters, whose packets were taken. Gives the shares.
    #[inline]
    pub(crate) fn forget(&mut self) -> &mut Shares {
        self.mail.clear();
        &mut self.mail.shares
    }

    /// Moves all packets, written or not, into `into` as far as it has room.
    pub(crate) fn give_back(&mut self, into: &mut Burst<P>) {
        self.rooms.clear();
        self.mail.clear();
        into.append(&mut self.packets);
    }

    /// How many rooms are written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.mail.written
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
