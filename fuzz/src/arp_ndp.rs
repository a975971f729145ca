//! ARP and Neighbour Discovery: requests, probes and answers, asked for or not, between datagrams
//! that need a neighbour's address. No datagram leaves for a station that did not answer for its
//! receiver after it was asked; and an address that somebody else turned out to have is not used.
//!
//! Input: whether the host is about to find that out, then steps of a byte each and what they need.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use gannet::{Datagram, Outbox, Service, Time, Verdict};

use crate::bytes::Bytes;
use crate::layout::number::{ARP, ICMPV6, UDP};
use crate::layout::{Ip, Layout};
use crate::repair::{Repair, repair};
use crate::rig::{OWN_MAC, Plan, Rig, own_ipv6};
use crate::services::STEPS;
use crate::{judge, seeds};

/// How long somebody has to say that an address is his (RFC 4862, section 5.4).
const OBJECTION: Duration = Duration::from_secs(1);

/// Sends to the neighbour that a datagram's first byte names, from the address it came to.
struct Courier;

impl Service for Courier {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let Some(&host) = datagram.payload().first() else { return Verdict::Reply };
        let from = datagram.destination();
        let to = match from {
            SocketAddr::V4(own) => {
                let [a, b, c, _] = own.ip().octets();
                SocketAddr::from(([a, b, c, host], 5000))
            }
            SocketAddr::V6(own) => {
                let mut segments = own.ip().segments();
                segments[7] = u16::from(host);
                SocketAddr::from((segments, 5000))
            }
        };
        let _ = outbox.send(from, to, b"for a neighbour");
        Verdict::Drop
    }
}

/// The target.
pub fn arp_ndp(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let announces = bytes.byte() & 1 != 0;
    let mut rig = Rig::new(&Plan { buffers: 64, announces, ..Plan::default() }, Courier);
    let mut link = LinkView { announces, ..LinkView::default() };
    // The first turn asks whether somebody has its addresses.
    rig.turn();
    rig.receive_all(0).iter().for_each(|frame| link.left(frame));
    for _ in 0..32 {
        if bytes.is_empty() {
            break;
        }
        let before = bytes;
        let advance = |by| {
            rig.advance(by);
            link.passed += by;
        };
        let frame = step(&mut bytes, advance);
        link.is_disputed |= announces && link.passed < OBJECTION && objects(before);
        let is_ours = frame.get(6..12) == Some(&OWN_MAC);
        rig.send(0, &frame);
        link.heard(&frame);
        rig.turn();
        let left = rig.receive_all(0);
        let answers: Vec<_> = left.iter().filter(|frame| !link.is_own_accord(frame)).cloned().collect();
        if !is_ours {
            judge::answers(&frame, &answers);
        }
        left.iter().for_each(|frame| link.left(frame));
    }
    rig.close();
}

/// Whether the next step says, unharmed, that somebody else has the host's address or is about to.
fn objects(mut bytes: Bytes<'_>) -> bool {
    match (bytes.byte() & 0x1f, bytes.byte()) {
        // A probe: from no address, naming no station, to the group.
        (5, choice) => choice & 7 == 3,
        (6, host) => host == 1,
        _ => false,
    }
}

/// What the next step puts on the wire.
fn step(bytes: &mut Bytes<'_>, advance: impl FnOnce(Duration)) -> Vec<u8> {
    let choice = bytes.byte();
    let mut frame = match choice & 7 {
        0 => {
            advance(STEPS[usize::from(choice >> 5)]);
            seeds::udp(&[])
        }
        1 => seeds::udp(&[bytes.byte()]),
        2 => seeds::udp6(&[bytes.byte()]),
        3 => seeds::arp(1, [10, 77, 0, bytes.byte()], [10, 77, 0, 1]),
        4 => seeds::arp(2, [10, 77, 0, bytes.byte()], [10, 77, 0, 1]),
        5 => seeds::solicitation(bytes.byte()),
        6 => seeds::advertisement(bytes.byte(), bytes.byte()),
        _ => bytes.short().to_vec(),
    };
    if choice & 8 != 0 {
        let from = bytes.byte();
        change(&mut frame, 11, from);
        // ARP names its sender a second time.
        if choice & 7 == 4 || choice & 7 == 3 {
            change(&mut frame, 27, from);
        }
    }
    if choice & 16 != 0 {
        let (at, value) = (bytes.byte(), bytes.byte());
        change(&mut frame, at.into(), value);
    }
    repair(&mut frame, Repair(1));
    frame
}

fn change(frame: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = frame.get_mut(at) {
        *byte = value;
    }
}

/// What a bystander knows of the neighbours.
#[derive(Default)]
struct LinkView {
    /// The host makes its addresses known.
    announces: bool,
    /// Since the host asked whether somebody has its addresses.
    passed: Duration,
    /// Somebody has one of them.
    is_disputed: bool,
    /// Addresses that the host asked for.
    asked: HashSet<Vec<u8>>,
    /// Stations that named themselves for an address that had been asked for by then.
    answered: HashMap<Vec<u8>, HashSet<[u8; 6]>>,
}

impl LinkView {
    /// A frame that the host was sent.
    fn heard(&mut self, frame: &[u8]) {
        let Some((address, station)) = claim(frame) else { return };
        if self.asked.contains(&address) {
            self.answered.entry(address).or_default().insert(station);
        }
    }

    /// A frame that the host sent.
    fn left(&mut self, frame: &[u8]) {
        if let Some(address) = question(frame) {
            self.asked.insert(address);
        }
        let Some(ip) = Layout::of(frame).and_then(|layout| layout.ip) else { return };
        assert!(!self.is_disputed || ip.source(frame) != own_ipv6(&[]), "it is another's: {frame:02x?}");
        if ip.protocol != UDP || frame[0] & 1 != 0 || !is_couriers(frame, &ip) {
            return;
        }
        let stations = self.answered.get(ip.destination(frame));
        let station: [u8; 6] = std::array::from_fn(|index| frame[index]);
        assert!(
            stations.is_some_and(|stations| stations.contains(&station)),
            "{station:02x?} did not answer for it: {frame:02x?}"
        );
    }

    /// Whether the host sent it without being asked: a question, or a datagram of the service.
    fn is_own_accord(&self, frame: &[u8]) -> bool {
        let ip = Layout::of(frame).and_then(|layout| layout.ip);
        let is_unasked = |ip: Ip| match ip.protocol {
            UDP => is_couriers(frame, &ip),
            ICMPV6 => self.announces && matches!(frame[ip.payload], [136, _, _, _, 0x20, ..]),
            _ => false,
        };
        question(frame).is_some() || judge::reports(frame) || ip.is_some_and(is_unasked)
    }
}

fn is_couriers(frame: &[u8], ip: &Ip) -> bool {
    frame[ip.payload.clone()].get(8..) == Some(b"for a neighbour")
}

/// The address that an ARP request or a solicitation asks for.
fn question(frame: &[u8]) -> Option<Vec<u8>> {
    let layout = Layout::of(frame)?;
    let body = frame.get(layout.link_len..)?;
    match layout.ip {
        Some(ip) if ip.protocol == ICMPV6 => {
            let message = &frame[ip.payload];
            (message.first() == Some(&135)).then(|| message.get(8..24).map(<[u8]>::to_vec))?
        }
        None if layout.ether_type == ARP && body.get(7) == Some(&1) => body.get(24..28).map(<[u8]>::to_vec),
        _ => None,
    }
}

/// The address and the station that an ARP packet or a Neighbour Discovery message puts together.
fn claim(frame: &[u8]) -> Option<(Vec<u8>, [u8; 6])> {
    let layout = Layout::of(frame)?;
    let body = frame.get(layout.link_len..)?;
    match layout.ip {
        Some(ip) if ip.protocol == ICMPV6 => {
            let message = &frame[ip.payload.clone()];
            // An advertisement names its target and its address in an option, behind its header.
            let address = if message.first() == Some(&136) { message.get(8..24)? } else { ip.source(frame) };
            let station = message.get(26..32).and_then(|station| station.try_into().ok());
            Some((address.to_vec(), station.unwrap_or_default()))
        }
        None if layout.ether_type == ARP => {
            Some((body.get(14..18)?.to_vec(), body.get(8..14)?.try_into().ok()?))
        }
        _ => None,
    }
}
