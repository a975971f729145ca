//! Parse and reply in place: one frame, through the whole host with an echo on it.
//!
//! Input: what is repaired in the frame (4 bits) and what the port is granted (4 bits), the frame.

use gannet::packet::{RxChecksum, RxChecksums};
use gannet::port::memory::MemoryOffloads;

use crate::bytes::Bytes;
use crate::judge;
use crate::layout::Layout;
use crate::repair::{Repair, repair};
use crate::rig::{Plan, Rig};
use crate::services::Echo;

/// The target.
pub fn reply(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mode = bytes.byte();
    let mut frame = bytes.rest().to_vec();
    repair(&mut frame, Repair(mode));
    exchange(mode >> 4, &frame);
}

/// Sends one frame to a host with an echo on it and holds what comes back against it. The low
/// bits of `granted` say what the port does.
pub fn exchange(granted: u8, frame: &[u8]) {
    let [tx, unmarked, rx, unfilled] = [1, 2, 4, 8].map(|bit| granted & bit != 0);
    let offloads = MemoryOffloads {
        rx_ipv4_checksum: rx,
        rx_udp_checksum: rx,
        tx_udp_checksum: tx,
        unmarked_unfilled_checksums: unmarked,
        ..MemoryOffloads::default()
    };
    let mut rig = Rig::new(&Plan { offloads, ..Plan::default() }, Echo);
    rig.settle();
    rig.say(checksums(frame, unfilled));
    rig.send(0, frame);
    rig.turn();
    let answers = rig.receive_all(0);
    judge::answers(frame, &answers);
    rig.close();
}

/// What an honest device says.
fn checksums(frame: &[u8], unfilled: bool) -> RxChecksums {
    let Some(ip) = Layout::of(frame).and_then(|layout| layout.ip) else { return RxChecksums::default() };
    let word = |valid| if valid { RxChecksum::Good } else { RxChecksum::Bad };
    let udp = match ip.is_payload_valid(frame) {
        false if unfilled => RxChecksum::Unfilled,
        valid => word(valid),
    };
    RxChecksums { ipv4: word(ip.is_header_valid(frame)), udp }
}
