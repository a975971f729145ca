//! Payloads that several datagrams share: written once, and not changed while anybody has them.

use std::fmt;
use std::sync::Arc;

use super::Packet;
use crate::wire::checksum::Sum;

/// A payload that goes to many, written once and never changed: see
/// [`Outbox::share`](crate::Outbox::share).
///
/// A clone is the same payload. When the last one is dropped, its room is free for another. It may
/// be kept for as long as one likes, beyond the end of the run too.
#[derive(Clone)]
pub struct Shared {
    body: Arc<Body>,
    /// Where it stands among the payloads of its outbox.
    place: usize,
}

impl Shared {
    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.body.payload()
    }

    /// What the payload adds to a checksum.
    #[inline]
    pub(crate) fn sum(&self) -> Sum {
        self.body.sum
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("len", &self.body.len).finish_non_exhaustive()
    }
}

/// The bytes of a payload, and what they add to a checksum.
struct Body {
    room: Box<[u8]>,
    len: usize,
    sum: Sum,
}

impl Body {
    fn with_room(len: usize) -> Self {
        Self { room: vec![0; len].into(), len: 0, sum: Sum::ZERO }
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

/// The payloads that may be shared by what is sent through the outboxes of one queue: a fixed
/// number of rooms, made at the start.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    places: Vec<Place>,
    /// Bytes in each.
    longest: usize,
    /// Those before it were taken in this turn, or found to be in use.
    next: usize,
    /// Shorter payloads are copied into the frames that have them; `None` if all are.
    least: Option<usize>,
    /// A place was posted since the last turn.
    is_posted: bool,
    /// Datagrams that the outbox gave a copy.
    copied: u64,
}

/// The room of one payload.
pub(crate) struct Place {
    body: Arc<Body>,
    /// Letters that are not sent yet say where it is.
    is_posted: bool,
    /// How often it was written.
    edition: u64,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("len", &self.body.len).finish_non_exhaustive()
    }
}

impl Place {
    /// The payload.
    #[inline]
    pub(crate) fn payload(&self) -> &[u8] {
        self.body.payload()
    }

    /// What the payload adds to a checksum.
    #[inline]
    pub(crate) fn sum(&self) -> Sum {
        self.body.sum
    }

    /// How often it was written: with another number it is another payload.
    #[inline]
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }

    /// Nobody can send the payload any more.
    pub(crate) fn is_free(&mut self) -> bool {
        !self.is_posted && Arc::get_mut(&mut self.body).is_some()
    }

    /// Writes another payload there, if nobody can send the last one any more.
    fn write(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Option<Arc<Body>> {
        if self.is_posted {
            return None;
        }
        let body = Arc::get_mut(&mut self.body)?;
        body.len = len;
        write(&mut body.room[..len]);
        body.sum = Sum::of(body.payload());
        self.edition += 1;
        Some(Arc::clone(&self.body))
    }
}

impl Shares {
    /// Rooms for `count` payloads of up to `longest` bytes.
    pub(crate) fn new(count: usize, longest: usize) -> Self {
        let place = || Place { body: Arc::new(Body::with_room(longest)), is_posted: false, edition: 0 };
        Self { places: std::iter::repeat_with(place).take(count).collect(), longest, ..Self::default() }
    }

    /// With payloads of at least so many bytes sent from one place.
    pub(crate) fn chained_from(mut self, least: Option<usize>) -> Self {
        self.least = least;
        self
    }

    /// Whether payloads of that length are sent from one place.
    #[inline]
    pub(crate) fn are_chained(&self, len: usize) -> bool {
        self.least.is_some_and(|least| len >= least)
    }

    /// The longest payload that there is room for, in bytes.
    #[inline]
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// A payload of `len` bytes, no more than the longest, that `write` writes; `None`, and it is
    /// not called, if all rooms are in use.
    pub(crate) fn share(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Option<Shared> {
        let count = self.places.len();
        let mut in_turn = (0..count).map(|step| (self.next + step) % count);
        let place = in_turn.find(|&place| self.places[place].is_free())?;
        let body = self.places[place].write(len, write)?;
        self.next = place + 1;
        Some(Shared { body, place })
    }

    /// Where a payload stands that a letter is to carry; `None` if it is another queue's.
    #[inline]
    pub(crate) fn post(&mut self, shared: &Shared) -> Option<usize> {
        let place = self.places.get_mut(shared.place).filter(|own| Arc::ptr_eq(&own.body, &shared.body))?;
        place.is_posted = true;
        self.is_posted = true;
        Some(shared.place)
    }

    /// The place that a letter names.
    #[inline]
    pub(crate) fn place(&self, place: usize) -> Option<&Place> {
        self.places.get(place)
    }

    /// The letters are sent. Gives the places, if any letter named one.
    #[inline]
    pub(crate) fn settle(&mut self) -> Option<&mut [Place]> {
        if !std::mem::take(&mut self.is_posted) {
            return None;
        }
        self.next = 0;
        self.places.iter_mut().for_each(|place| place.is_posted = false);
        Some(&mut self.places)
    }

    /// Counts a datagram that the outbox gave a copy.
    #[inline]
    pub(crate) fn count_copy(&mut self) {
        self.copied += 1;
    }

    /// How many datagrams the outbox gave a copy, since it was last asked.
    #[inline]
    pub(crate) fn take_copied(&mut self) -> u64 {
        std::mem::take(&mut self.copied)
    }
}

/// The end of frames: a payload in a packet of its own, which any number of frames may have as
/// their last part ([`Packet::chain`]). Nobody writes to it any more.
#[derive(Debug)]
pub struct Tail<P> {
    packet: P,
    /// Frames that are counted in already and that it is not part of yet.
    pub(crate) spare: u16,
}

impl<P: Packet> Tail<P> {
    /// A packet whose frame is the payload.
    pub fn new(packet: P) -> Self {
        Self { packet, spare: 0 }
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.packet.frame()
    }

    /// The packet.
    #[inline]
    pub fn packet(&self) -> &P {
        &self.packet
    }

    /// The packet, to be given back to its pool and for nothing else: frames that have it are perhaps
    /// still on their way.
    pub(crate) fn into_packet(self) -> P {
        // SAFETY: what `chain` counted in beforehand and did not use.
        unsafe { self.packet.unshare(self.spare) };
        self.packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(shares: &mut Shares, payload: &[u8]) -> Option<Shared> {
        shares.share(payload.len(), |room| room.copy_from_slice(payload))
    }

    #[test]
    fn a_room_is_free_when_the_last_clone_is_gone_and_what_was_posted_is_sent() {
        let mut shares = Shares::new(2, 10);
        let first = share(&mut shares, b"first").expect("room");
        let second = share(&mut shares, b"2nd").expect("room");
        assert!(share(&mut shares, b"third").is_none());
        let clone = first.clone();
        drop(first);
        assert!(share(&mut shares, b"third").is_none(), "a clone is left");
        let posted = shares.post(&clone).expect("its own");
        drop(clone);
        assert!(share(&mut shares, b"third").is_none(), "a letter is left");
        assert_eq!(shares.place(posted).map(Place::payload), Some(&b"first"[..]));
        let free: Vec<_> = shares.settle().expect("a letter").iter_mut().map(Place::is_free).collect();
        assert_eq!((free, shares.settle().is_none()), (vec![true, false], true));
        let third = share(&mut shares, b"third").expect("room");
        assert_eq!((third.payload(), second.payload()), (&b"third"[..], &b"2nd"[..]));
    }

    #[test]
    fn another_queues_payload_is_none_of_ours() {
        let (mut ours, mut theirs) = (Shares::new(1, 10), Shares::new(1, 10));
        let (our, their) = (share(&mut ours, b"ours").expect("room"), share(&mut theirs, b"theirs"));
        assert_eq!(ours.post(&their.expect("room")), None);
        assert_eq!(ours.post(&our), Some(0));
        ours.count_copy();
        assert_eq!((ours.take_copied(), ours.take_copied()), (1, 0));
    }
}
