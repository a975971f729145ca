//! One datagram as it is put together: which bytes are there, and where it ends.

use std::ops::Range;

use super::{Fragment, MAX_LEN, Reason};

/// Bytes of a first fragment that are kept for a time exceeded message: IPv4's longest
/// header and the 64 bits behind it (RFC 792), and of IPv6 a fair part.
const QUOTE_LEN: usize = 128;

#[derive(Debug)]
pub(super) struct Assembly {
    room: Box<[u8]>,
    /// What has come, in order and without overlaps; never more than there is capacity for.
    ranges: Vec<Range<usize>>,
    max_fragments: usize,
    /// Sum of their lengths in bytes.
    filled: usize,
    /// Where the datagram ends, once its last fragment has come.
    total: Option<usize>,
    first: First,
    /// It was dropped, and what else comes of it is dropped too.
    is_condemned: bool,
}

/// What the first fragment of a datagram said.
#[derive(Debug)]
struct First {
    protocol: u8,
    differentiated_services: u8,
    quote: [u8; QUOTE_LEN],
    /// Bytes of the quote; zero if it has not come.
    quote_len: usize,
}

impl Assembly {
    pub(super) fn with_capacity(max_fragments: usize) -> Self {
        Self {
            room: vec![0; MAX_LEN].into_boxed_slice(),
            ranges: Vec::with_capacity(max_fragments),
            max_fragments,
            filled: 0,
            total: None,
            first: First { protocol: 0, differentiated_services: 0, quote: [0; QUOTE_LEN], quote_len: 0 },
            is_condemned: false,
        }
    }

    /// Puts a fragment, checked for itself, in its place. Gives the datagram's length in bytes
    /// if it was the last one missing.
    pub(super) fn add(&mut self, fragment: &Fragment<'_>) -> Result<Option<usize>, Reason> {
        let range = fragment.offset..fragment.end();
        if self.is_condemned {
            return Err(Reason::Condemned);
        }
        if !self.agrees_on_end(range.end, fragment.more) {
            return Err(Reason::Contradiction);
        }
        let index = self.place(&range, fragment.payload)?;
        let room = self.room.get_mut(range.clone()).ok_or(Reason::TooLong)?;
        room.copy_from_slice(fragment.payload);
        self.filled += range.len();
        if !fragment.more {
            self.total = Some(range.end);
        }
        if range.start == 0 {
            self.first.write(fragment);
        }
        self.ranges.insert(index, range);
        // There are no overlaps: as many bytes as it has are all of its bytes.
        Ok(self.total.filter(|&total| self.filled == total))
    }

    pub(super) fn room_mut(&mut self) -> &mut [u8] {
        &mut self.room
    }

    /// Frames that it holds.
    pub(super) fn fragments(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn is_condemned(&self) -> bool {
        self.is_condemned
    }

    /// Protocol and differentiated services of the first fragment.
    pub(super) fn first(&self) -> (u8, u8) {
        (self.first.protocol, self.first.differentiated_services)
    }

    /// The beginning of the first fragment, if that has come.
    pub(super) fn quote(&self) -> Option<&[u8]> {
        self.first.quote.get(..self.first.quote_len).filter(|quote| !quote.is_empty())
    }

    /// Drops what it holds and whatever else comes of it. Gives how many frames it held.
    pub(super) fn condemn(&mut self) -> usize {
        let fragments = self.reset();
        self.is_condemned = true;
        fragments
    }

    /// Makes it ready for another datagram. Gives how many frames it held.
    pub(super) fn reset(&mut self) -> usize {
        let fragments = self.ranges.len();
        self.ranges.clear();
        (self.filled, self.total, self.first.quote_len, self.is_condemned) = (0, None, 0, false);
        fragments
    }

    /// Whether a fragment that ends at `end` fits what is known of the datagram's end.
    fn agrees_on_end(&self, end: usize, more: bool) -> bool {
        match self.total {
            Some(total) if more => end < total,
            Some(total) => end == total,
            None => more || self.ranges.last().is_none_or(|last| last.end < end),
        }
    }

    /// Where a fragment stands among the others.
    fn place(&self, range: &Range<usize>, payload: &[u8]) -> Result<usize, Reason> {
        let index = self.ranges.partition_point(|other| other.start < range.start);
        let next = self.ranges.get(index);
        if next == Some(range) && self.room.get(range.clone()) == Some(payload) {
            return Err(Reason::Duplicate);
        }
        let previous = index.checked_sub(1).and_then(|previous| self.ranges.get(previous));
        let is_free = previous.is_none_or(|previous| previous.end <= range.start)
            && next.is_none_or(|next| range.end <= next.start);
        if !is_free {
            return Err(Reason::Overlap);
        }
        if self.ranges.len() >= self.max_fragments {
            return Err(Reason::TooMany);
        }
        Ok(index)
    }
}

impl First {
    fn write(&mut self, fragment: &Fragment<'_>) {
        (self.protocol, self.differentiated_services) = (fragment.protocol, fragment.differentiated_services);
        self.quote_len = 0;
        let bytes = fragment.header.iter().chain(fragment.payload);
        for (into, &byte) in self.quote.iter_mut().zip(bytes) {
            *into = byte;
            self.quote_len += 1;
        }
    }
}
