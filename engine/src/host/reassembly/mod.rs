//! Reassembly: fragments become the datagrams that they were (RFC 791, section 3.2; RFC 8200,
//! section 4.5; overlaps are RFC 5722's).
//!
//! Everything is bounded and allocated once: so many datagrams at a time, each with a room for
//! the longest one, 4 MiB in all by default. One source holds at most a quarter of them,
//! and where none is free the oldest gives way. Rooms are found by looking at every one of
//! them: there are too few for a table, and so nothing for a peer to collide in.
//!
//! Every frame that is inserted ends exactly once: joined, dropped for a reason (at once, or
//! later with its datagram), or held still.

mod assembly;
mod fragment;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

pub(super) use fragment::{Fragment, Key};

use assembly::Assembly;

use crate::time::Time;

/// The longest packet behind its IPv4 header's length field, and the longest payload of an
/// IPv6 packet: bytes.
const MAX_LEN: usize = 65_535;
/// Datagrams at a time at most, since each is looked at for every fragment.
const MAX_DATAGRAMS: usize = 256;
/// One source has at most this part of them.
const SOURCES: usize = 4;

/// The bounds of reassembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReassemblyConfig {
    /// Datagrams that are reassembled at a time, 1 to 256. Each has 65,535 bytes of memory.
    pub(super) datagrams: usize,
    /// Fragments of a datagram.
    pub(super) fragments: usize,
    /// How long after a datagram's first frame the last one may come.
    pub(super) timeout: Duration,
}

impl Default for ReassemblyConfig {
    /// 64 datagrams (4 MiB); 64 fragments, enough for the longest datagram over links of
    /// 1,280 bytes; and 30 seconds as Linux has them for IPv4 (RFC 1122 wants 60 or more,
    /// RFC 8200 has 60: that would double what a bomber can hold).
    fn default() -> Self {
        // Under the fuzzer there are so few that it fills them.
        let datagrams = if cfg!(fuzzing) { 8 } else { 64 };
        Self { datagrams, fragments: 64, timeout: Duration::from_secs(30) }
    }
}

/// What became of a fragment, and of another datagram for its sake.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Insertion {
    /// Frames held of an older datagram that had to give way to a new one: they are dropped.
    pub(super) evicted: usize,
    pub(super) outcome: Outcome,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is held until the others are there.
    Held,
    /// It was the last one missing.
    Complete(Joined),
    /// It was dropped, and `fragments` frames of its datagram with it that had been held.
    Dropped { reason: Reason, fragments: usize },
}

/// Why a fragment was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It carries nothing, or others follow and it is no multiple of 8 bytes.
    Malformed,
    /// It ends where no datagram reaches: the packet would be longer than 65,535 bytes.
    TooLong,
    /// The first fragment does not reach into the upper layer's header (RFC 7112, RFC 1858).
    HeaderChain,
    /// It is held already, byte for byte.
    Duplicate,
    /// It overlaps another one; the datagram goes with it (RFC 5722).
    Overlap,
    /// The fragments disagree about where the datagram ends; it goes with them.
    Contradiction,
    /// Its datagram is in too many fragments, and goes with it.
    TooMany,
    /// Its datagram was dropped already for one of the reasons that take all of it.
    Condemned,
}

/// A datagram whose fragments have all come. Its bytes are in
/// [`Reassembly::room_mut`] until the next [`insert`](Reassembly::insert).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Joined {
    slot: usize,
    pub(super) link: u32,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// What the first fragment says that it carries: a protocol, or on IPv6 an extension header.
    pub(super) protocol: u8,
    /// The first fragment's traffic class with the congestion bits cleared.
    pub(super) differentiated_services: u8,
    /// Length in bytes of what the packet carries: of an IPv4 packet all behind its header, of
    /// an IPv6 packet all behind the fragment header.
    pub(super) len: usize,
    /// Frames that were joined, the last one to come included.
    pub(super) fragments: usize,
}

/// A datagram whose time is over: its frames are dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expired<'a> {
    pub(super) link: u32,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Frames of it that were held.
    pub(super) fragments: usize,
    /// The first fragment, if it came, from its IP header on, up to 128 bytes: what a time
    /// exceeded message quotes. Without it none is sent (RFC 792; RFC 8200, section 4.5).
    pub(super) quote: Option<&'a [u8]>,
}

/// A place for one datagram; free if it has no key.
#[derive(Debug)]
struct Slot {
    key: Option<Key>,
    deadline: Time,
    assembly: Assembly,
}

/// The datagrams of which fragments have come and others have not.
#[derive(Debug)]
pub(super) struct Reassembly {
    slots: Box<[Slot]>,
    timeout: Duration,
    next_deadline: Time,
}

impl Reassembly {
    /// Allocates what it will ever use. The system gives memory to a room when it is first used.
    pub(super) fn new(config: ReassemblyConfig) -> Self {
        let slot =
            || Slot { key: None, deadline: Time::NEVER, assembly: Assembly::with_capacity(config.fragments) };
        let slots = std::iter::repeat_with(slot).take(config.datagrams.clamp(1, MAX_DATAGRAMS)).collect();
        Self { slots, timeout: config.timeout, next_deadline: Time::NEVER }
    }

    /// Takes a fragment in. Where [`next_deadline`](Self::next_deadline) has come,
    /// [`step`](Self::step) comes first.
    pub(super) fn insert(&mut self, now: Time, fragment: &Fragment<'_>) -> Insertion {
        if let Err(reason) = fragment.check() {
            return Insertion { evicted: 0, outcome: Outcome::Dropped { reason, fragments: 0 } };
        }
        let key = fragment.key();
        let (slot, evicted) = match self.find(&key) {
            Some(slot) => (slot, 0),
            None => self.open(now, key),
        };
        Insertion { evicted, outcome: self.add(slot, fragment) }
    }

    /// The bytes of a datagram, the first `joined.len` of the 65,535 that there is room for;
    /// what the others hold means nothing.
    pub(super) fn room_mut(&mut self, joined: &Joined) -> &mut [u8] {
        self.slots.get_mut(joined.slot).map_or(&mut [], |slot| slot.assembly.room_mut())
    }

    /// Frames that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.slots.iter().map(|slot| slot.assembly.fragments()).sum()
    }

    /// When [`step`](Self::step) may have something to do.
    #[inline]
    pub(super) fn next_deadline(&self) -> Time {
        self.next_deadline
    }

    /// Gives up the datagrams whose time is over, and says which they were. Of one that was
    /// dropped already nothing is said.
    pub(super) fn step(&mut self, now: Time, mut each: impl FnMut(Expired<'_>)) {
        self.next_deadline = Time::NEVER;
        for slot in &mut self.slots {
            if now < slot.deadline {
                self.next_deadline = self.next_deadline.min(slot.deadline);
                continue;
            }
            if let Some(key) = slot.key
                && !slot.assembly.is_condemned()
            {
                each(Expired {
                    link: key.link,
                    source: key.source,
                    destination: key.destination,
                    fragments: slot.assembly.fragments(),
                    quote: slot.assembly.quote(),
                });
            }
            slot.release();
        }
    }

    /// Forgets everything. Gives how many frames were held.
    pub(super) fn clear(&mut self) -> usize {
        self.next_deadline = Time::NEVER;
        self.slots.iter_mut().map(Slot::release).sum()
    }

    fn find(&self, key: &Key) -> Option<usize> {
        self.slots.iter().position(|slot| slot.key.as_ref() == Some(key))
    }

    /// A slot for a new datagram, and how many frames gave way to it.
    fn open(&mut self, now: Time, key: Key) -> (usize, usize) {
        let index = self.place(&key);
        let deadline = now + self.timeout;
        self.next_deadline = self.next_deadline.min(deadline);
        let Some(slot) = self.slots.get_mut(index) else { return (index, 0) };
        let evicted = slot.release();
        (slot.key, slot.deadline) = (Some(key), deadline);
        (index, evicted)
    }

    /// Where a new datagram goes: in place of its source's oldest if that has its part, else
    /// into a free slot, else in place of the oldest.
    fn place(&self, key: &Key) -> usize {
        let of_source = |slot: &Slot| slot.key.as_ref().is_some_and(|other| other.has_source_of(key));
        let part = (self.slots.len() / SOURCES).max(1);
        let oldest = if self.slots.iter().filter(|slot| of_source(slot)).count() >= part {
            self.oldest(of_source)
        } else {
            self.slots.iter().position(|slot| slot.key.is_none()).or_else(|| self.oldest(|_| true))
        };
        oldest.unwrap_or_default()
    }

    fn oldest(&self, is_meant: impl Fn(&Slot) -> bool) -> Option<usize> {
        let meant = self.slots.iter().enumerate().filter(|(_, slot)| is_meant(slot));
        meant.min_by_key(|(_, slot)| slot.deadline).map(|(index, _)| index)
    }

    fn add(&mut self, index: usize, fragment: &Fragment<'_>) -> Outcome {
        let Some(slot) = self.slots.get_mut(index) else {
            return Outcome::Dropped { reason: Reason::Condemned, fragments: 0 };
        };
        match slot.assembly.add(fragment) {
            Ok(None) => Outcome::Held,
            Ok(Some(len)) => {
                let (protocol, differentiated_services) = slot.assembly.first();
                Outcome::Complete(Joined {
                    slot: index,
                    link: fragment.link,
                    source: fragment.source,
                    destination: fragment.destination,
                    protocol,
                    differentiated_services,
                    len,
                    fragments: slot.release(),
                })
            }
            Err(Reason::Duplicate) => Outcome::Dropped { reason: Reason::Duplicate, fragments: 0 },
            Err(reason) => Outcome::Dropped { reason, fragments: slot.assembly.condemn() },
        }
    }
}

impl Slot {
    /// Makes the slot free. Gives how many frames it held; the room keeps its bytes.
    fn release(&mut self) -> usize {
        (self.key, self.deadline) = (None, Time::NEVER);
        self.assembly.reset()
    }
}
