//! Makes what is wrong in a frame right, as far as it is asked to: a fuzzer finds no checksum by
//! chance, and deep code is reached by frames that are right but for one thing.

use crate::layout::number::{ARP, ICMP, ICMPV6, IPV4, IPV6, UDP};
use crate::layout::{Ip, Layout, sum};
use crate::rig::{OWN_MAC, PEER_MAC, own_ipv4, own_ipv6};

/// What is made right: the low bits of a byte.
#[derive(Clone, Copy, Debug)]
pub struct Repair(pub u8);

impl Repair {
    /// All of it.
    pub const ALL: Self = Self(0x0f);

    fn checksums(self) -> bool {
        self.0 & 1 != 0
    }

    fn lengths(self) -> bool {
        self.0 & 2 != 0
    }

    /// The destination is the host.
    fn destinations(self) -> bool {
        self.0 & 4 != 0
    }

    /// The source is a neighbour of it.
    fn sources(self) -> bool {
        self.0 & 8 != 0
    }
}

/// Makes a frame right as far as `what` says. A frame too short for it stays as it is.
pub fn repair(frame: &mut [u8], what: Repair) {
    if frame.len() < 14 {
        return;
    }
    if what.destinations() {
        frame[..6].copy_from_slice(&OWN_MAC);
    }
    if what.sources() {
        frame[6..12].copy_from_slice(&PEER_MAC);
    }
    let Some(layout) = Layout::of(frame) else { return };
    match layout.ether_type {
        ARP => arp(frame, &layout, what),
        IPV4 => ipv4(frame, &layout, what),
        IPV6 => ipv6(frame, &layout, what),
        _ => return,
    }
    if let Some(ip) = Layout::of(frame).and_then(|layout| layout.ip) {
        transport(frame, &ip, what);
    }
}

/// Makes an IPv4 header's checksum right, and nothing else.
pub fn repair_header(frame: &mut [u8]) {
    if let Some(layout) = Layout::of(frame).filter(|layout| layout.ether_type == IPV4) {
        ipv4(frame, &layout, Repair(1));
    }
}

fn arp(frame: &mut [u8], layout: &Layout, what: Repair) {
    let own = own_ipv4(layout.tags(frame));
    let source: [u8; 6] = std::array::from_fn(|index| frame[6 + index]);
    let Some(body) = frame[layout.link_len..].first_chunk_mut::<28>() else { return };
    if what.lengths() {
        body[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
    }
    if what.sources() {
        body[8..14].copy_from_slice(&source);
        body[14..17].copy_from_slice(&own[..3]);
    }
    if what.destinations() {
        body[24..28].copy_from_slice(&own);
    }
}

fn ipv4(frame: &mut [u8], layout: &Layout, what: Repair) {
    let own = own_ipv4(layout.tags(frame));
    let packet = &mut frame[layout.link_len..];
    if packet.len() < 20 {
        return;
    }
    if what.lengths() {
        let words = usize::from(packet[0] & 15).clamp(5, packet.len() / 4) as u8;
        packet[0] = 0x40 | words;
        let total_len = packet.len().min(0xffff) as u16;
        packet[2..4].copy_from_slice(&total_len.to_be_bytes());
    }
    if what.sources() {
        packet[12..15].copy_from_slice(&own[..3]);
    }
    if what.destinations() {
        packet[16..20].copy_from_slice(&own);
    }
    let header_len = usize::from(packet[0] & 15) * 4;
    if what.checksums() && (20..=packet.len()).contains(&header_len) {
        packet[10..12].fill(0);
        let checksum = !sum(&[&packet[..header_len]]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

fn ipv6(frame: &mut [u8], layout: &Layout, what: Repair) {
    let own = own_ipv6(layout.tags(frame));
    let packet = &mut frame[layout.link_len..];
    if packet.len() < 40 {
        return;
    }
    if what.lengths() {
        packet[0] = 0x60 | (packet[0] & 15);
        let payload_len = (packet.len() - 40).min(0xffff) as u16;
        packet[4..6].copy_from_slice(&payload_len.to_be_bytes());
    }
    if what.sources() {
        packet[8..16].copy_from_slice(&own[..8]);
    }
    if what.destinations() {
        packet[24..40].copy_from_slice(&own);
    }
}

fn transport(frame: &mut [u8], ip: &Ip, what: Repair) {
    let at = ip.payload.start;
    let field = match (ip.version, ip.protocol) {
        (_, UDP) if ip.payload.len() >= 8 => at + 6,
        (4, ICMP) | (6, ICMPV6) if ip.payload.len() >= 4 => at + 2,
        _ => return,
    };
    if what.lengths() && ip.protocol == UDP {
        let len = ip.payload.len().min(0xffff) as u16;
        frame[at + 4..at + 6].copy_from_slice(&len.to_be_bytes());
    }
    if what.checksums() && !ip.is_fragment {
        frame[field..field + 2].fill(0);
        let checksum = match !ip.covered(frame) {
            0 if ip.protocol == UDP => 0xffff,
            checksum => checksum,
        };
        frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds;

    #[test]
    fn what_is_repaired_is_right() {
        for mut frame in seeds::frames().iter().cloned() {
            let sent = frame.clone();
            repair(&mut frame, Repair::ALL);
            let Some(ip) = Layout::of(&frame).and_then(|layout| layout.ip) else { continue };
            assert!(ip.is_header_valid(&frame) && ip.is_payload_valid(&frame), "{sent:02x?}");
        }
    }

    #[test]
    fn a_checksum_that_was_wrong_becomes_right() {
        let right = seeds::udp(b"hello");
        let mut wrong = right.clone();
        wrong[24] ^= 1;
        wrong[40] ^= 1;
        repair(&mut wrong, Repair(1));
        assert_eq!(wrong, right);
        wrong[41] ^= 1;
        repair(&mut wrong, Repair(0));
        assert_ne!(wrong, right);
    }
}
