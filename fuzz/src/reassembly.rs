//! Fragments of a datagram, in any order, doubled, missing, overlapping or harmed, through the
//! host. Whatever it answers is the datagram as it was sent.
//!
//! Input: flags, length of the payload, how many pieces, where they are cut, then a byte for each
//! piece that is sent.

use gannet::host::FragmentPolicy;

use crate::bytes::Bytes;
use crate::layout::{Ip, Layout, word};
use crate::rig::{Plan, Rig};
use crate::seeds;
use crate::services::{Echo, STEPS};

/// Bytes of a piece at most, a multiple of eight that fits the MTU.
const LONGEST: usize = 1400;

/// The target.
pub fn reassembly(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let flags = bytes.byte();
    let len = usize::from(bytes.byte()) * if flags & 2 == 0 { 1 } else { 24 };
    let payload: Vec<u8> = (0..len).map(|index| (index * 7 + index / 256) as u8).collect();
    let sent = if flags & 1 == 0 { whole4(&payload) } else { whole6(&payload) };
    let pieces = cut(&sent, &mut bytes);
    let mut rig = Rig::new(
        &Plan { buffers: 200, ring: 64, fragments: FragmentPolicy::Reassemble, ..Plan::default() },
        Echo,
    );
    rig.settle();
    let mut order = Order { is_clean: true, seen: vec![false; pieces.len()] };
    let mut answers = Vec::new();
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        let choice = bytes.byte();
        let index = usize::from(choice & 31) % pieces.len();
        if choice & 0xe0 == 0xe0 {
            rig.advance(STEPS[usize::from(choice & 7)]);
            order.is_clean = false;
        } else {
            let piece = harmed(&pieces[index], choice >> 5, &mut bytes);
            order.note(index, choice >> 5);
            rig.send(0, &fragment(flags, &piece));
        }
        rig.turn();
        answers.extend(rig.receive_all(0));
    }
    judge(&sent, &answers, order.is_answered());
    rig.close();
}

/// What was sent of a datagram.
struct Order {
    /// No harm was done.
    is_clean: bool,
    seen: Vec<bool>,
}

impl Order {
    fn note(&mut self, index: usize, harm: u8) {
        self.is_clean &= harm == 0 && !self.seen[index];
        self.seen[index] = true;
    }

    /// Whether there has to be an answer.
    fn is_answered(&self) -> bool {
        self.is_clean && self.seen.iter().all(|&seen| seen)
    }
}

/// A piece of a datagram.
#[derive(Clone)]
struct Piece {
    /// Where it starts, in bytes.
    offset: usize,
    more: bool,
    bytes: Vec<u8>,
}

/// The datagram behind the IP header.
fn whole4(payload: &[u8]) -> Vec<u8> {
    seeds::udp(payload)[34..].to_vec()
}

fn whole6(payload: &[u8]) -> Vec<u8> {
    seeds::udp6(payload)[54..].to_vec()
}

fn cut(sent: &[u8], bytes: &mut Bytes<'_>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (wanted, mut offset) = (1 + bytes.below(24), 0);
    while offset < sent.len() {
        let len = if pieces.len() + 1 < wanted { 8 + 8 * bytes.below(175) } else { LONGEST };
        let end = sent.len().min(offset + len);
        pieces.push(Piece { offset, more: end < sent.len(), bytes: sent[offset..end].to_vec() });
        offset = end;
    }
    pieces
}

fn harmed(piece: &Piece, harm: u8, bytes: &mut Bytes<'_>) -> Piece {
    let mut piece = piece.clone();
    match harm {
        0 => {}
        // Overlaps what comes before it, or behind it.
        1 => piece.offset = piece.offset.saturating_sub(8 * bytes.below(8)),
        2 => piece.offset = (piece.offset + 8 * usize::from(bytes.byte())).min(65_528),
        3 => piece.more = !piece.more,
        4 => piece.bytes.truncate(bytes.byte().into()),
        // A single change: no checksum misses it.
        5 => piece.bytes[0] ^= 1 << bytes.below(8),
        _ => piece.offset = 65_528,
    }
    piece
}

fn fragment(flags: u8, piece: &Piece) -> Vec<u8> {
    let offset = piece.offset as u16;
    if flags & 1 == 0 {
        return seeds::fragment(offset >> 3 | u16::from(piece.more) << 13, &piece.bytes);
    }
    seeds::fragment6(offset & !7 | u16::from(piece.more), &piece.bytes)
}

/// Each answer is the datagram, ports turned round; in pieces too where it is longer than the MTU.
fn judge(sent: &[u8], answers: &[Vec<u8>], is_answered: bool) {
    let (mut count, mut parts) = (0, Vec::new());
    for frame in answers {
        let Some(ip) = Layout::of(frame).and_then(|layout| layout.ip) else { continue };
        let body = &frame[ip.payload.clone()];
        if ip.protocol != crate::layout::number::UDP {
            continue;
        }
        if ip.is_fragment {
            parts.push((offset(frame, &ip), body));
        } else {
            count += 1;
            is_echo(sent, body);
        }
    }
    // They leave in order, each datagram from its start.
    for datagram in parts.chunk_by(|(before, _), (after, _)| before < after) {
        let bytes = datagram.iter().fold(Vec::new(), |mut bytes, (offset, part)| {
            assert_eq!(bytes.len(), *offset, "a hole in what was sent");
            bytes.extend(*part);
            bytes
        });
        count += 1;
        is_echo(sent, &bytes);
    }
    assert!(!is_answered || count == 1, "{count} answers to a datagram that came whole");
}

fn is_echo(sent: &[u8], answer: &[u8]) {
    assert_eq!(answer[..4], [sent[2], sent[3], sent[0], sent[1]], "ports");
    assert_eq!(answer[8..], sent[8..], "payload");
}

fn offset(frame: &[u8], ip: &Ip) -> usize {
    let offset = match ip.version {
        4 => word(frame, ip.header.start + 6).map(|field| (field & 0x1fff) * 8),
        _ => word(frame, ip.payload.start - 6).map(|field| field & !7),
    };
    offset.map_or(0, usize::from)
}
