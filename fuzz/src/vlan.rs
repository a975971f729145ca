//! Tags: frames behind none to three tags of either kind, any identifier.
//!
//! Input: what is repaired, how many tags, two bytes for each, which frame of the seeds, what of it
//! is changed.

use crate::bytes::Bytes;
use crate::layout::number::{SERVICE_TAG, TAG};
use crate::repair::{Repair, repair};
use crate::reply::exchange;
use crate::rig::{TWO_VLANS, VLANS};
use crate::seeds;

/// The target.
pub fn vlan(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mode = bytes.byte();
    let tags = tags(&mut bytes);
    let mut frame = template(&mut bytes);
    frame.splice(12..12, tags);
    frame.truncate(frame.len() - bytes.below(32).min(frame.len()));
    repair(&mut frame, Repair(mode));
    exchange(mode >> 4, &frame);
}

/// Up to three tags: of the host's VLANs, of none, or of any.
pub fn tags(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let count = bytes.below(4);
    let tag = |_| {
        let choice = bytes.byte();
        let kind = if choice & 1 == 0 { TAG } else { SERVICE_TAG };
        let information = match choice >> 1 & 3 {
            0 => VLANS[0] | u16::from(choice & 0xf0) << 8,
            1 if choice & 0x80 != 0 => TWO_VLANS[0],
            1 => VLANS[1],
            2 => u16::from(choice & 0xf0) << 8,
            _ => bytes.word(),
        };
        [kind.to_be_bytes(), information.to_be_bytes()].concat()
    };
    (0..count).flat_map(tag).collect()
}

/// One of the seeds' frames, with up to seven words of it changed.
pub fn template(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let frames = seeds::frames();
    let mut frame = frames[bytes.below(frames.len())].clone();
    for _ in 0..bytes.below(8) {
        let (at, word) = (usize::from(bytes.byte()), bytes.word().to_be_bytes());
        if let Some(field) = frame.get_mut(at..at + 2) {
            field.copy_from_slice(&word);
        }
    }
    frame
}
