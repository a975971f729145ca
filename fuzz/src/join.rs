//! Puts together what the host cut, in the plainest way: a packet is whole when no byte of it is missing.

use std::collections::{BTreeMap, HashMap};

use crate::layout::{Ip, Layout};
use crate::repair::repair_header;

/// Packets of which parts have come.
#[derive(Default)]
pub struct Joiner(HashMap<Name, Parts>);

/// Source, destination and identification.
type Name = [Vec<u8>; 3];

#[derive(Default)]
struct Parts {
    /// By where they stand, in bytes.
    bytes: BTreeMap<usize, Vec<u8>>,
    /// Where the packet ends.
    end: Option<usize>,
}

impl Joiner {
    /// Takes a frame in. Gives it if it holds a whole packet, and the whole packet that it completes
    /// as one long frame.
    ///
    /// # Panics
    /// If it overlaps another part, or contradicts where its packet ends.
    pub fn take(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let part = Layout::of(frame).and_then(|layout| layout.ip).filter(|ip| ip.is_fragment);
        let Some(ip) = part else { return Some(frame.to_vec()) };
        let name = [ip.source(frame), ip.destination(frame), ip.identification(frame)].map(<[u8]>::to_vec);
        let parts = self.0.entry(name.clone()).or_default();
        parts.add(ip.offset(frame), &frame[ip.payload.clone()], ip.has_more(frame));
        let payload = parts.whole()?;
        self.0.remove(&name);
        Some(frame_of(frame, &ip, &payload))
    }

    /// Whether no packet lacks a part.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Parts {
    fn add(&mut self, offset: usize, bytes: &[u8], more: bool) {
        let end = offset + bytes.len();
        let before = self.bytes.range(..end).next_back();
        let is_free = before.is_none_or(|(at, before)| at + before.len() <= offset);
        assert!(is_free, "a part at {offset} is sent twice");
        assert!(self.end.is_none_or(|known| end <= known && (more || end == known)), "it ends at {end} too");
        self.end = if more { self.end } else { Some(end) };
        self.bytes.insert(offset, bytes.to_vec());
    }

    fn whole(&self) -> Option<Vec<u8>> {
        let whole: Vec<u8> = self.bytes.values().flatten().copied().collect();
        (Some(whole.len()) == self.end).then_some(whole)
    }
}

/// The frame that a part is of, had it not been cut.
fn frame_of(part: &[u8], ip: &Ip, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&part[..ip.header.end], payload].concat();
    let header = &mut frame[ip.header.start..];
    if ip.version == 4 {
        header[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
        header[6..8].fill(0);
    } else {
        header[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
        header[6] = ip.protocol;
    }
    repair_header(&mut frame);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::word;
    use crate::seeds;

    #[test]
    fn parts_make_the_datagram_in_any_order() {
        let whole = seeds::udp(b"0123456789abcdef");
        let (first, rest) = whole[34..].split_at(16);
        let parts = [seeds::fragment(2, rest), seeds::fragment(0x2000, first)];
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(&parts[0]), None);
        let joined = joiner.take(&parts[1]).expect("whole");
        assert_eq!((&joined[34..], word(&joined, 16)), (&whole[34..], word(&whole, 16)));
        assert!(joiner.is_empty());
        let ip = Layout::of(&joined).and_then(|layout| layout.ip).expect("a packet");
        assert!(ip.is_header_valid(&joined) && ip.is_payload_valid(&joined));
    }

    #[test]
    #[should_panic(expected = "sent twice")]
    fn a_part_that_comes_twice_is_seen() {
        let mut joiner = Joiner::default();
        joiner.take(&seeds::fragment6(1, &[7; 16]));
        joiner.take(&seeds::fragment6(9, &[7; 16]));
    }
}
