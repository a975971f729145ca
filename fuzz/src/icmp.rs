//! ICMP over IPv4 and IPv6: any message behind a right IP header, errors about our own packets
//! among them.
//!
//! Input: what is repaired, flags, type, code, what follows.

use crate::bytes::Bytes;
use crate::repair::{Repair, repair};
use crate::reply::exchange;
use crate::seeds;

/// The target.
pub fn icmp(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (mode, flags) = (bytes.byte(), bytes.byte());
    let (kind, code) = (bytes.byte(), bytes.byte());
    let mut body = if flags & 2 == 0 { bytes.rest().to_vec() } else { quoted(&mut bytes, flags) };
    body.truncate(1450);
    let message = [&[kind, code, 0, 0], &body[..]].concat();
    let mut frame = if flags & 1 == 0 { seeds::icmp(&message) } else { seeds::icmp6(&message) };
    repair(&mut frame, Repair(mode));
    exchange(mode >> 4, &frame);
}

/// What an error carries: four bytes, and the start of a packet that the host may have sent.
fn quoted(bytes: &mut Bytes<'_>, flags: u8) -> Vec<u8> {
    let mut frame = if flags & 1 == 0 { seeds::udp(b"quoted") } else { seeds::udp6(b"quoted") };
    let rest = [bytes.word().to_be_bytes(), bytes.word().to_be_bytes()].concat();
    // Turned round: from the host to its peer.
    let (at, len) = if flags & 1 == 0 { (26, 4) } else { (22, 16) };
    let (source, destination) = frame[at..at + 2 * len].split_at_mut(len);
    source.swap_with_slice(destination);
    frame.drain(..14);
    frame.truncate(frame.len() - bytes.below(64).min(frame.len()));
    [rest, frame, bytes.rest().to_vec()].concat()
}
