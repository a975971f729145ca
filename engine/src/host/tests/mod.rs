//! The host on the memory port: frames in, their answers and their counters out. However a test
//! ends, the books balance and the pool has everything back.

pub(super) mod answers;
mod datagrams;
mod errors;
mod fragments;
mod guards;
mod ipv6;
mod lane;
mod links;
mod listening;
mod outgoing;
mod packets;
mod presence;
mod properties;
mod shared;
mod streams;

use std::net::SocketAddr;
use std::time::Duration;

use crate::telemetry::{Counter, Snapshot};
use crate::wire::checksum::{Sum, udp_checksum};
use crate::{Datagram, Lab, Outbox, Service, Tick, Time, Verdict};

/// Does what the payload's first byte says.
#[derive(Default)]
pub(super) struct Obedient {
    ticks: u64,
}

const PEER: ([u8; 4], u16) = ([10, 77, 0, 9], 5000);
const PEER6: &str = "[fd00:77::9]:5000";
const REFLECTOR: &str = "10.77.0.9:7";
/// More than the MTU allows, in bytes of payload.
const OVER_MTU: usize = 1473;
const FAR: ([u8; 4], u16) = ([192, 0, 2, 1], 5000);

impl Service for Obedient {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let own = datagram.destination();
        match datagram.payload().first() {
            Some(b'd') => Verdict::Drop,
            Some(b'g') => {
                let len = datagram.max_len();
                datagram.resize(len).expect("within the limit");
                Verdict::Reply
            }
            Some(b's') => {
                let peer = if own.is_ipv4() { PEER.into() } else { PEER6.parse().expect("valid") };
                outbox.send(own, peer, b"to a peer").expect("room");
                Verdict::Drop
            }
            Some(b'o') => {
                let over = [b'o'; OVER_MTU];
                outbox.send(own, SocketAddr::from(PEER), &over).expect("it will be cut");
                Verdict::Drop
            }
            Some(b'e') => {
                outbox.send(own, REFLECTOR.parse().expect("valid"), b"to an echo").expect("room");
                Verdict::Drop
            }
            Some(b'w') => {
                let (port, to) = (datagram.port(), SocketAddr::from(PEER));
                Verdict::Forward { port, from: own, to }
            }
            Some(b'f') => {
                outbox.send(own, SocketAddr::from(FAR), b"to afar").expect("room");
                Verdict::Drop
            }
            Some(b'x') => {
                outbox.send(([10, 99, 0, 1], 7).into(), SocketAddr::from(PEER), b"not ours").expect("room");
                Verdict::Drop
            }
            Some(b'l') => {
                let longest = [b'l'; 1472];
                outbox.send(own, SocketAddr::from(PEER), &longest).expect("the MTU's worth fits");
                assert!(outbox.send(own, SocketAddr::from(PEER), &[0; 1473]).is_err());
                Verdict::Drop
            }
            Some(b'm') => {
                while outbox.send(own, SocketAddr::from(PEER), b"one of many").is_ok() {}
                Verdict::Drop
            }
            Some(b'u') => {
                datagram.payload_mut().make_ascii_uppercase();
                Verdict::Reply
            }
            _ => Verdict::Reply,
        }
    }

    fn on_tick(&mut self, now: Time, _outbox: &mut Outbox<'_>) -> Tick {
        self.ticks += 1;
        match self.ticks % 3 {
            0 => Tick::Done(now + Duration::from_millis(10)),
            _ => Tick::More,
        }
    }
}

/// A datagram "hello" from 10.77.0.2:4660 to 10.77.0.1:7 as a frame of 47 bytes.
pub(super) fn hello() -> Vec<u8> {
    frame(b"hello", |_| ())
}

/// A datagram whose IPv4 header `change` has its way with before the checksums are made.
pub(super) fn frame(payload: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let len = 28 + payload.len();
    let [high, low] = (len as u16).to_be_bytes();
    let ip = [0x45, 0, high, low, 0x12, 0x34, 0, 0, 33, 17, 0, 0];
    let mut ip = [&ip[..], &[10, 77, 0, 2], &[10, 77, 0, 1]].concat();
    change(&mut ip);
    let checksum = Sum::of(&ip).checksum();
    ip[10..12].copy_from_slice(&checksum);
    let udp_len = (8 + payload.len()) as u16;
    let mut udp = [&[0x12, 0x34, 0, 7][..], &udp_len.to_be_bytes(), &[0, 0], payload].concat();
    let pseudo = Sum::pseudo_header_v4(
        [ip[12], ip[13], ip[14], ip[15]],
        [ip[16], ip[17], ip[18], ip[19]],
        17,
        udp_len,
    );
    let checksum = udp_checksum(pseudo + Sum::of(&udp));
    udp[6..8].copy_from_slice(&checksum);
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &ip, &udp].concat()
}

/// An ARP packet of the client's.
pub(super) fn arp(operation: u8, sender_ip: [u8; 4], target_ip: [u8; 4]) -> Vec<u8> {
    let destination = if operation == 1 { [0xff; 6] } else { [2, 0, 0, 0, 0, 1] };
    let mac = [2, 0, 0, 0, 0, 2];
    [&destination[..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation], &mac, &sender_ip, &[0; 6], &target_ip]
        .concat()
}

/// Sends one frame and gives what came back and what was counted beside the polls.
fn one(frame: &[u8]) -> (Option<Vec<u8>>, Vec<&'static str>) {
    let mut lab = Lab::new(Obedient::default());
    assert!(lab.send_frame(frame));
    lab.turn();
    let reply = lab.receive_frame();
    assert_eq!(lab.receive_frame(), None, "one frame has one answer");
    (reply, names(&finish(lab)))
}

/// Ends a lab: its books balance and its pool has everything back.
fn finish<S: Service>(lab: Lab<S>) -> Snapshot {
    let (counters, pool) = lab.close();
    assert!(counters.balance().is_exact(), "{:?} {:?}", counters.balance(), names(&counters));
    assert!(pool.is_balanced(), "{pool:?}");
    counters
}

/// What was counted beside the polls.
fn names(counters: &Snapshot) -> Vec<&'static str> {
    let is_poll = |counter| matches!(counter, Counter::Polls | Counter::EmptyPolls);
    counters.non_zero().filter(|&(counter, _)| !is_poll(counter)).map(|(counter, _)| counter.name()).collect()
}

/// All frames that a lab sent.
fn sent<S: Service>(lab: &mut Lab<S>) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| lab.receive_frame()).collect()
}

/// Puts frames on the wire and gives what the lab sent.
fn exchange<S: Service>(lab: &mut Lab<S>, frames: &[packets::Frame]) -> Vec<packets::Seen> {
    for frame in frames {
        assert!(lab.send_frame(&frame.bytes()), "the wire takes it");
    }
    while lab.turn() > 0 {}
    sent(lab).iter().map(|frame| packets::read(frame)).collect()
}

fn dropped_as(frame: &[u8]) -> &'static str {
    let (reply, counted) = one(frame);
    assert_eq!(reply, None);
    let [received, reason] = counted[..] else { panic!("{counted:?}") };
    assert_eq!(received, "received");
    reason
}
