//! IPv4 options and IPv6 extension headers in front of a datagram or an echo request.
//!
//! Input: what is repaired, flags, the options (or a chain of headers), the payload.

use crate::bytes::Bytes;
use crate::layout::number::{ICMPV6, UDP};
use crate::repair::{Repair, repair};
use crate::reply::exchange;
use crate::seeds;

/// Hop-by-hop, routing, fragment, destination options, authentication, none, and two that are unknown.
const HEADERS: [u8; 8] = [0, 43, 44, 60, 51, 59, 135, 253];
/// Most headers in a chain: more than any bound allows.
const CHAIN: usize = 12;

/// The target.
pub fn options(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (mode, flags) = (bytes.byte(), bytes.byte());
    let is_echo = flags & 2 != 0;
    let mut frame = if flags & 1 == 0 { ipv4(&mut bytes, is_echo) } else { ipv6(&mut bytes, is_echo) };
    repair(&mut frame, Repair(mode));
    exchange(mode >> 4, &frame);
}

fn ipv4(bytes: &mut Bytes<'_>, is_echo: bool) -> Vec<u8> {
    let words = bytes.below(11);
    let mut options = bytes.slice(words * 4).to_vec();
    options.resize(words * 4, 0);
    let mut frame = if is_echo { seeds::ping(bytes.rest()) } else { seeds::udp(bytes.rest()) };
    frame[14] = 0x45 + words as u8;
    frame.splice(34..34, options);
    frame
}

fn ipv6(bytes: &mut Bytes<'_>, is_echo: bool) -> Vec<u8> {
    let mut chain = Vec::new();
    let mut kinds = Vec::new();
    for _ in 0..bytes.below(CHAIN + 1) {
        let choice = bytes.byte();
        kinds.push(HEADERS[usize::from(choice & 7)]);
        chain.push(header(bytes, choice));
    }
    kinds.push(if is_echo { ICMPV6 } else { UDP });
    for (header, &next) in chain.iter_mut().zip(&kinds[1..]) {
        header[0] = next;
    }
    let mut frame = if is_echo { seeds::ping6(bytes.rest()) } else { seeds::udp6(bytes.rest()) };
    frame[20] = kinds[0];
    frame.splice(54..54, chain.concat());
    frame
}

/// A header whose length is right unless the choice's highest bit wants another one.
fn header(bytes: &mut Bytes<'_>, choice: u8) -> Vec<u8> {
    let units = usize::from(choice >> 3 & 3);
    let mut header = vec![0, units as u8];
    header.extend(bytes.slice(6 + 8 * units));
    header.resize(8 + 8 * units, 0);
    if choice & 0x80 != 0 {
        header[1] = bytes.byte();
    }
    header
}
