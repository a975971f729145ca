//! What a service sends of its own accord: any length to anybody, with neighbours that answer at
//! once, late or never, and a pool that may be empty. Each datagram leaves at most once, unchanged,
//! to its receiver, and in order; with a payload of its own or one that several share.
//!
//! Input: what the rig is, buffers, then steps of a byte each and what they need.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};

use gannet::host::{FragmentPolicy, Sharing};
use gannet::port::memory::{MemoryOffloads, MemoryQueue};
use gannet::{Datagram, Outbox, Service, Shared, Tick, Time, Verdict};

use crate::bytes::Bytes;
use crate::join::Joiner;
use crate::layout::number::UDP;
use crate::layout::{Ip, Layout};
use crate::rig::{Plan, Rig};
use crate::seeds;
use crate::services::{STEPS, own, peer};

/// Bytes in front of a payload: its number.
const NUMBER_LEN: usize = 4;

/// A datagram to be sent.
struct Order {
    from: SocketAddr,
    to: SocketAddr,
    len: usize,
}

/// Sends at each tick what it is told to.
struct Sending {
    orders: Receiver<Order>,
    /// Orders of one length, one after the other, have one payload.
    is_sharing: bool,
    /// What the outbox took, by number.
    taken: Vec<Payload>,
    /// The last payloads that were shared.
    kept: VecDeque<Shared>,
}

/// A payload that the outbox took: whose and for whom, and its length.
struct Payload {
    ends: Vec<(SocketAddr, SocketAddr)>,
    len: usize,
}

/// Payloads that are kept.
const KEPT: usize = 3;

impl Service for Sending {
    const SHARED: usize = KEPT + 5;

    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Drop
    }

    fn on_tick(&mut self, _now: Time, outbox: &mut Outbox<'_>) -> Tick {
        while let Ok(Order { from, to, len }) = self.orders.try_recv() {
            if self.is_sharing {
                self.share(outbox, Order { from, to, len });
                continue;
            }
            let number = self.taken.len();
            let payload = payload(number, len);
            let sent = if number.is_multiple_of(2) {
                outbox.send(from, to, &payload)
            } else {
                let mut stream = outbox.stream(SocketAddr::new(from.ip(), 1), to, len);
                stream.set_source_port(from.port());
                stream.send_with(|room| room.copy_from_slice(&payload))
            };
            if sent.is_ok() {
                self.taken.push(Payload { ends: vec![(from, to)], len });
            }
        }
        Tick::Again
    }
}

impl Sending {
    /// Sends the last payload once more, if it is the same and this receiver has not had it, or else
    /// another.
    fn share(&mut self, outbox: &mut Outbox<'_>, Order { from, to, len }: Order) {
        let is_new =
            |&(other, receiver): &(SocketAddr, SocketAddr)| (other.ip(), receiver) != (from.ip(), to);
        if let (Some(last), Some(shared)) = (self.taken.last_mut(), self.kept.back())
            && last.len == len
            && last.ends.iter().all(is_new)
        {
            if outbox.send_shared(from, to, shared).is_ok() {
                last.ends.push((from, to));
            }
            return;
        }
        let Ok(shared) = outbox.share(&payload(self.taken.len(), len)) else { return };
        if outbox.send_shared(from, to, &shared).is_err() {
            return;
        }
        self.taken.push(Payload { ends: vec![(from, to)], len });
        self.kept.push_back(shared);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }
}

/// The payload of the datagram with that number: the number and a pattern.
fn payload(number: usize, len: usize) -> Vec<u8> {
    let number = number as u32;
    let pattern = (0..).map(|index: u32| (number.wrapping_mul(31).wrapping_add(index)) as u8);
    number.to_be_bytes().into_iter().chain(pattern).take(len).collect()
}

/// The target.
pub fn outbox(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (mode, buffers) = (bytes.byte(), bytes.byte());
    let plan = Plan {
        buffers: 1 + usize::from(buffers),
        ring: if mode & 1 == 0 { 32 } else { 3 },
        offloads: MemoryOffloads {
            tx_udp_checksum: mode & 2 != 0,
            tx_shared: mode & 8 != 0,
            ..MemoryOffloads::default()
        },
        sharing: if mode & 16 == 0 { Sharing::Auto } else { Sharing::Share },
        fragments: if mode & 4 == 0 { FragmentPolicy::Drop } else { FragmentPolicy::Reassemble },
        ..Plan::default()
    };
    let (sender, orders) = channel();
    let is_sharing = mode & 32 != 0;
    let service = Sending { orders, is_sharing, taken: Vec::new(), kept: VecDeque::new() };
    let mut rig = Rig::new(&plan, service);
    rig.settle();
    let mut ledger = Ledger::default();
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        step(&mut bytes, &mut rig, &sender, &mut ledger);
    }
    rig.turn();
    ledger.take_in(rig.receive_all(0), rig.service());
    rig.close();
}

fn step(
    bytes: &mut Bytes<'_>,
    rig: &mut Rig<MemoryQueue, Sending>,
    sender: &Sender<Order>,
    ledger: &mut Ledger,
) {
    let choice = bytes.byte();
    match choice & 3 {
        0 => {
            for _ in 0..bytes.below(32) {
                let (to, from) = (peer(bytes.byte()), own(bytes.byte()));
                let len = usize::from(bytes.byte());
                // The longest that there is room for, around what the MTU allows, and others.
                let whole = if to.is_ipv4() { 1472 } else { 1452 };
                let len = match len {
                    0..=240 => len * 6,
                    241..=250 => whole + 6 - (len - 240),
                    _ => whole + (len - 250) * 8,
                };
                let _ = sender.send(Order { from, to, len });
            }
            rig.turn();
        }
        1 => {
            rig.advance(STEPS[usize::from(choice >> 5)]);
            rig.turn();
        }
        2 => {
            ledger.take_in(rig.receive_all(0), rig.service());
            // Late, and some of them only.
            let keep = usize::from(choice >> 4);
            for frame in ledger.answer(keep) {
                rig.send(0, &frame);
            }
            rig.turn();
        }
        _ => ledger.take_in(rig.receive_all(0), rig.service()),
    }
}

/// What came out so far.
#[derive(Default)]
struct Ledger {
    /// The last number from each of our addresses to each receiver.
    last: HashMap<(IpAddr, SocketAddr), u32>,
    /// Answers to the host's questions that are not given yet.
    answers: VecDeque<Vec<u8>>,
    joiner: Joiner,
}

impl Ledger {
    fn take_in(&mut self, frames: Vec<Vec<u8>>, service: &Sending) {
        for frame in frames {
            if let Some(answer) = seeds::answer(&frame) {
                self.answers.push_back(answer);
                continue;
            }
            // The pool may have had no buffer for some part.
            let Some(whole) = self.joiner.take(&frame) else { continue };
            let Some(ip) = Layout::of(&whole).and_then(|layout| layout.ip) else { continue };
            if ip.protocol == UDP {
                assert!(ip.is_payload_valid(&whole), "the checksum of the whole: {whole:02x?}");
                self.datagram(&whole, &ip, service);
            }
        }
    }

    fn datagram(&mut self, frame: &[u8], ip: &Ip, service: &Sending) {
        let sent = &frame[ip.payload.start + 8..ip.payload.end];
        let Some(number) = sent.first_chunk::<NUMBER_LEN>().map(|number| u32::from_be_bytes(*number)) else {
            return;
        };
        let Payload { ends, len } = &service.taken[number as usize];
        assert_eq!(sent, payload(number as usize, *len), "payload {number}");
        let is_theirs = |&&(from, to): &&(SocketAddr, SocketAddr)| {
            let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
            octets(to) == ip.destination(frame)
                && octets(from) == ip.source(frame)
                && ports == frame[ip.payload.start..ip.payload.start + 4]
        };
        let Some(&(from, to)) = ends.iter().find(is_theirs) else {
            panic!("{number} is for {ends:?}: {frame:02x?}")
        };
        let before = self.last.insert((from.ip(), to), number);
        assert!(before.is_none_or(|before| before < number), "{number} came after {before:?}");
    }

    fn answer(&mut self, keep: usize) -> Vec<Vec<u8>> {
        let count = self.answers.len().saturating_sub(keep);
        self.answers.drain(..count).collect()
    }
}

fn octets(address: SocketAddr) -> Vec<u8> {
    match address {
        SocketAddr::V4(address) => address.ip().octets().to_vec(),
        SocketAddr::V6(address) => address.ip().octets().to_vec(),
    }
}
