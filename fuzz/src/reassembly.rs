//! Fragments of a datagram, cut anywhere and harmed or not: it is answered whole or not at all.
//!
//! Input: flags, the payload's length, where it is cut, then a byte for each step and what it needs.

use std::time::Duration;

use gannet::host::FragmentPolicy;

use crate::bytes::Bytes;
use crate::join::Joiner;
use crate::layout::number::UDP;
use crate::layout::{Ip, Layout};
use crate::repair::repair_header;
use crate::rig::{Plan, Rig};
use crate::seeds;
use crate::services::{Echo, STEPS};

/// Bytes of a piece at most, a multiple of eight that fits the MTU.
const LONGEST: usize = 1400;
/// How long the others of a first fragment may take until its sender is told.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an error about fragments quotes at most, in bytes.
const QUOTED: usize = 128;

/// The target.
pub fn reassembly(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let flags = bytes.byte();
    let len = usize::from(bytes.byte()) * if flags & 2 == 0 { 1 } else { 24 };
    let payload: Vec<u8> = (0..len).map(|index| (index * 7 + index / 256) as u8).collect();
    let sent = if flags & 1 == 0 { whole4(&payload, flags) } else { whole6(&payload, flags) };
    let pieces = cut(&sent, &mut bytes);
    let plan = Plan { buffers: 120, ring: 64, fragments: FragmentPolicy::Reassemble, ..Plan::default() };
    let mut rig = Rig::new(&plan, Echo);
    rig.settle();
    let mut order = Order { seen: vec![false; pieces.len()], is_echo: flags & 4 != 0, ..Order::default() };
    let mut answers = Answers::default();
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        let choice = bytes.byte();
        if choice & 0xe0 == 0xe0 {
            let step = STEPS[usize::from(choice & 7)];
            rig.advance(step);
            order.passed += step;
        } else {
            let index = usize::from(choice & 31) % pieces.len();
            let piece = harmed(&pieces[index], choice >> 5, &mut bytes);
            let frame = fragment(flags, &piece);
            order.note(index, choice >> 5, &piece, &frame);
            rig.send(0, &frame);
        }
        rig.turn();
        for frame in rig.receive_all(0) {
            if let Some(answer) = seeds::answer(&frame) {
                rig.send(0, &answer);
            } else {
                answers.take(&frame, &sent, &order);
            }
        }
    }
    answers.judge(&order);
    rig.close();
}

/// What was sent of a datagram.
#[derive(Default)]
struct Order {
    seen: Vec<bool>,
    /// Something was harmed, or sent again.
    is_harmed: bool,
    /// Bytes are not where they were, which a sum over words does not see; or an echo, whose length
    /// stands nowhere, may lack its last ones.
    is_moved: bool,
    is_echo: bool,
    passed: Duration,
    /// IP packets that hold a datagram's start.
    starts: Vec<Vec<u8>>,
}

impl Order {
    fn note(&mut self, index: usize, harm: u8, piece: &Piece, frame: &[u8]) {
        self.is_harmed |= harm != 0 || self.seen[index];
        self.is_moved |= harm != 0 && (self.is_echo || !matches!(harm, 3 | 4));
        self.seen[index] = true;
        if piece.offset == 0 {
            self.starts.push(frame[14..].to_vec());
        }
    }

    /// Whether there has to be an answer.
    fn is_answered(&self) -> bool {
        !self.is_harmed && self.passed.is_zero() && self.seen.iter().all(|&seen| seen)
    }
}

/// A piece of a datagram.
#[derive(Clone)]
struct Piece {
    /// Where it starts, in bytes.
    offset: usize,
    more: bool,
    bytes: Vec<u8>,
    /// Added to the datagram's identification.
    other: u8,
}

/// What follows the IP header: a datagram, or an echo request.
fn whole4(payload: &[u8], flags: u8) -> Vec<u8> {
    let frame = if flags & 4 == 0 { seeds::udp(payload) } else { seeds::ping(payload) };
    frame[34..].to_vec()
}

fn whole6(payload: &[u8], flags: u8) -> Vec<u8> {
    let frame = if flags & 4 == 0 { seeds::udp6(payload) } else { seeds::ping6(payload) };
    frame[54..].to_vec()
}

fn cut(sent: &[u8], bytes: &mut Bytes<'_>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (wanted, mut offset) = (1 + bytes.below(24), 0);
    while offset < sent.len() {
        let len = if pieces.len() + 1 < wanted { 8 + 8 * bytes.below(175) } else { LONGEST };
        let end = sent.len().min(offset + len);
        let (more, bytes) = (end < sent.len(), sent[offset..end].to_vec());
        pieces.push(Piece { offset, more, bytes, other: 0 });
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
        5 => piece.bytes[0] ^= 1 << bytes.below(8),
        _ => match bytes.byte() {
            0 => piece.offset = 65_528,
            other => piece.other = other,
        },
    }
    piece
}

fn fragment(flags: u8, piece: &Piece) -> Vec<u8> {
    let offset = piece.offset as u16;
    let is_echo = flags & 4 != 0;
    if flags & 1 == 0 {
        let mut frame = seeds::fragment(offset >> 3 | u16::from(piece.more) << 13, &piece.bytes);
        frame[18] ^= piece.other;
        frame[23] = if is_echo { 1 } else { UDP };
        repair_header(&mut frame);
        return frame;
    }
    let mut frame = seeds::fragment6(offset & !7 | u16::from(piece.more), &piece.bytes);
    frame[54] = if is_echo { 58 } else { UDP };
    frame[58] ^= piece.other;
    frame
}

/// What the host sent.
#[derive(Default)]
struct Answers {
    joiner: Joiner,
    count: usize,
}

impl Answers {
    fn take(&mut self, frame: &[u8], sent: &[u8], order: &Order) {
        let Some(whole) = self.joiner.take(frame) else { return };
        let ip = Layout::of(&whole).and_then(|layout| layout.ip).expect("an answer is a packet");
        assert!(ip.is_payload_valid(&whole), "the checksum of the whole: {whole:02x?}");
        let body = &whole[ip.payload.clone()];
        if ip.protocol != UDP && !matches!(body[0], 0 | 129) {
            return late(&whole, &ip, order);
        }
        self.count += 1;
        if !order.is_moved {
            is_echo(sent, body, ip.protocol);
        }
    }

    fn judge(&self, order: &Order) {
        assert!(self.joiner.is_empty(), "a part of an answer is missing");
        let count = self.count;
        assert!(count <= order.starts.len(), "{count} answers to {} datagrams", order.starts.len());
        assert!(!order.is_answered() || count == 1, "{count} answers to a datagram that came whole");
    }
}

/// A sender is told that the rest of his datagram did not come: with its start, and in time.
fn late(error: &[u8], ip: &Ip, order: &Order) {
    let message = &error[ip.payload.clone()];
    let is_late = matches!((ip.version, message[0], message[1]), (4, 11, 1) | (6, 3, 1));
    // A single piece is no fragment: it may be refused like any packet.
    assert!(is_late, "{error:02x?}");
    assert!(order.passed >= PATIENCE, "after {:?}", order.passed);
    let quote = &message[8..];
    assert!(quote.len() <= QUOTED, "quotes {} bytes", quote.len());
    assert!(order.starts.iter().any(|start| start.starts_with(quote)), "nobody sent {quote:02x?}");
}

fn is_echo(sent: &[u8], answer: &[u8], protocol: u8) {
    if protocol == UDP {
        assert_eq!(answer[..4], [sent[2], sent[3], sent[0], sent[1]], "ports");
        assert_eq!(answer[8..], sent[8..], "payload");
    } else {
        assert_eq!(answer[4..], sent[4..], "data");
    }
}
