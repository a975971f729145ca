//! Answers in fragments, put together as who asked would do it.

use super::build::{FRAGMENT, IPV4, IPV6, sum};

/// Length in bytes of a link header and an IPv6 header.
const IPV6_HEADERS_LEN: usize = 14 + 40;

/// The answers, one frame in place of all fragments of a packet. Fragments of which others are
/// missing stand at the end as they are.
pub(crate) fn joined(answers: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut whole, mut waiting) = (Vec::new(), Vec::<Part>::new());
    for answer in answers {
        let Some(part) = Part::read(answer) else {
            whole.push(answer.clone());
            continue;
        };
        let (mut same, mut others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|other| other.packet == part.packet);
        same.push(part);
        match join(&mut same) {
            Some(frame) => whole.push(frame),
            None => others.extend(same),
        }
        waiting = others;
    }
    whole.extend(waiting.into_iter().map(|part| part.frame));
    whole
}

/// A fragment.
struct Part {
    frame: Vec<u8>,
    /// Addresses and identification.
    packet: Vec<u8>,
    /// The headers of a packet that is whole, but for their lengths.
    headers: Vec<u8>,
    offset: usize,
    more: bool,
    payload: Vec<u8>,
}

impl Part {
    /// `None` if it is none, or not one that can be read.
    fn read(frame: &[u8]) -> Option<Self> {
        match u16::from_be_bytes([*frame.get(12)?, *frame.get(13)?]) {
            IPV4 => Self::read_ipv4(frame),
            IPV6 => Self::read_ipv6(frame),
            _ => None,
        }
    }

    fn read_ipv4(frame: &[u8]) -> Option<Self> {
        let word = |at| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
        let (field, end) = (word(20)?, 14 + usize::from(word(16)?));
        let start = 14 + usize::from(frame.get(14)? & 15) * 4;
        let mut headers = frame.get(..start)?.to_vec();
        headers[20..22].fill(0);
        (field & 0x3fff != 0).then_some(Self {
            frame: frame.to_vec(),
            packet: [frame.get(26..34)?, &frame[18..20], &frame[23..24]].concat(),
            headers,
            offset: usize::from(field & 0x1fff) * 8,
            more: field & 0x2000 != 0,
            payload: frame.get(start..end)?.to_vec(),
        })
    }

    fn read_ipv6(frame: &[u8]) -> Option<Self> {
        let mut headers = frame.get(..IPV6_HEADERS_LEN)?.to_vec();
        let (&[next, _, high, low, a, b, c, d], rest) = frame[IPV6_HEADERS_LEN..].split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([frame[18], frame[19]])).checked_sub(8)?;
        let is_fragment = headers[20] == FRAGMENT;
        headers[20] = next;
        is_fragment.then_some(Self {
            frame: frame.to_vec(),
            packet: [&frame[22..54], &[a, b, c, d]].concat(),
            headers,
            offset: usize::from(u16::from_be_bytes([high, low]) & 0xfff8),
            more: low & 1 != 0,
            payload: rest.get(..len)?.to_vec(),
        })
    }
}

/// The packet, if all of it is there and nothing twice.
fn join(parts: &mut [Part]) -> Option<Vec<u8>> {
    parts.sort_by_key(|part| part.offset);
    let mut payload = Vec::new();
    for part in &*parts {
        if part.offset != payload.len() {
            return None;
        }
        payload.extend(&part.payload);
    }
    let is_complete = parts.iter().enumerate().all(|(index, part)| part.more == (index + 1 < parts.len()));
    let mut headers = parts.first()?.headers.clone();
    if headers[14] >> 4 == 4 {
        let total_len = (headers.len() - 14 + payload.len()) as u16;
        headers[16..18].copy_from_slice(&total_len.to_be_bytes());
        headers[24..26].fill(0);
        let checksum = !sum(&headers[14..]);
        headers[24..26].copy_from_slice(&checksum.to_be_bytes());
    } else {
        headers[18..20].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    is_complete.then(|| [headers, payload].concat())
}
