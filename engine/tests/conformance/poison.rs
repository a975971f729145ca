//! Lies about neighbours, told to a host of ours that calls one: before it asks, while it waits for
//! the answer, and after that. What it sends goes to whom it asked for, and to nobody else. Who lies
//! in answer to the question itself is not found out: neither protocol can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use gannet::host::Host;
use gannet::port::FrameQueue as _;
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
use gannet::telemetry::{Counter, Snapshot};
use gannet::wire::ethernet::MacAddress;
use gannet::{Time, Worker};

use super::build::{ARP, Arp, Link, sum};
use super::frames::{ADDRESS, CLIENT, CLIENT_MAC};
use super::neighbours::{Caller, counters, host};

const EVIL: MacAddress = MacAddress([2, 0xba, 0xad, 0, 0, 1]);
const ADDRESS6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const CALLS: usize = 50;

#[test]
fn arp_lies_lead_nobody_astray() {
    let lies = |own| {
        vec![
            arp(2, (EVIL, CLIENT), own, Some(own)),
            arp(2, (EVIL, CLIENT), own, None),
            // Announcements.
            arp(1, (EVIL, CLIENT), MacAddress([0; 6]), None),
            arp(2, (EVIL, CLIENT), MacAddress([0xff; 6]), None),
            arp(2, (EVIL, ADDRESS), own, Some(own)),
        ]
    };
    // No answer to "who has the client's address", whoever asks for what.
    let beside = |own| {
        let mut question = Arp::request(own);
        (question.link.from, question.sender.0) = (EVIL.0, EVIL.0);
        let other = arp(2, (EVIL, Ipv4Addr::new(10, 77, 0, 3)), own, Some(own));
        vec![question.frame(), arp(1, (EVIL, CLIENT), MacAddress([0; 6]), None), other]
    };
    let truth = |own| arp(2, (CLIENT_MAC, CLIENT), own, Some(own));
    let told = call(ADDRESS.into(), CLIENT.into(), lies, beside, truth);
    assert_eq!(told[Counter::ArpLearned], 1);
}

#[test]
fn ndp_lies_lead_nobody_astray() {
    let lies = |own| {
        vec![
            advertisement(EVIL, own, CLIENT6, ADDRESS6, 0x60, CLIENT6),
            advertisement(EVIL, own, CLIENT6, ADDRESS6, 0x20, CLIENT6),
            advertisement(EVIL, MacAddress([0x33, 0x33, 0, 0, 0, 1]), CLIENT6, ALL_NODES, 0x20, CLIENT6),
            redirect(own),
        ]
    };
    let beside = |own| {
        vec![solicitation(own), redirect(own), advertisement(EVIL, own, CLIENT6, ADDRESS6, 0x60, OTHER6)]
    };
    let truth = |own| advertisement(CLIENT_MAC, own, CLIENT6, ADDRESS6, 0x60, CLIENT6);
    let told = call(ADDRESS6.into(), CLIENT6.into(), lies, beside, truth);
    assert_eq!(told[Counter::NdpLearned], 1);
}

/// A host with the address `from` calls `to`: it hears `lies` before, `beside` while it asks, then
/// the truth and the lies again. Gives what it counted.
fn call(
    from: IpAddr,
    to: IpAddr,
    lies: impl Fn(MacAddress) -> Vec<Vec<u8>>,
    beside: impl Fn(MacAddress) -> Vec<Vec<u8>>,
    truth: impl Fn(MacAddress) -> Vec<u8>,
) -> Snapshot {
    let (queue, mut wire) = memory::pair(&MemoryConfig::default());
    let own = queue.capabilities().mac;
    let mut caller = Worker::new(vec![host(queue, from)], Caller::new(from, to, CALLS), 1);
    let mut now = Time::ZERO;
    let early = tell(&mut caller, &mut wire, &mut now, &lies(own));
    assert_eq!((early.questions, early.calls), (1, 0), "it asks, whatever it was told");
    let waiting = tell(&mut caller, &mut wire, &mut now, &beside(own));
    assert_eq!((waiting.questions, waiting.calls), (0, 0), "it waits for its answer");
    let answered = tell(&mut caller, &mut wire, &mut now, &[truth(own)]);
    assert!((1..CALLS).contains(&answered.calls), "{} calls", answered.calls);
    let mut calls = answered.calls;
    while calls < CALLS {
        let told = tell(&mut caller, &mut wire, &mut now, &lies(own));
        assert!(told.calls > 0, "{calls} calls");
        calls += told.calls;
    }
    caller.drain();
    let told = counters(&caller);
    drop(caller);
    assert!(told.balance().is_exact() && wire.pool_balance().is_balanced());
    told
}

/// What the caller sent.
#[derive(Default)]
struct Sent {
    /// For the client's MAC address.
    questions: usize,
    /// To it.
    calls: usize,
}

/// Gives the caller these frames and then its time. What it sends of its own accord goes to
/// everybody as a question, or to the client as a call.
fn tell(
    caller: &mut Worker<Host<MemoryQueue>, Caller>,
    wire: &mut MemoryQueue,
    now: &mut Time,
    frames: &[Vec<u8>],
) -> Sent {
    frames.iter().for_each(|frame| wire.send_frame(frame).expect("room"));
    for _ in 0..2 {
        caller.poll_once(*now);
        *now = *now + Duration::from_millis(1);
    }
    let mut sent = Sent::default();
    while let Some(frame) = wire.receive_frame() {
        if frame.windows(4).any(|bytes| bytes == b"call") {
            assert_eq!(frame[..6], CLIENT_MAC.0, "a call to nobody else");
            sent.calls += 1;
        } else if frame[0] & 1 == 1 {
            sent.questions += 1;
        } else {
            assert_eq!(frame[..6], EVIL.0, "an answer to its question for our address");
        }
    }
    sent
}

// ---- the frames -------------------------------------------------------------------------

/// Another neighbour of ours.
const OTHER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 3);

/// To one station, or to all. The target is always our address, but for announcements.
fn arp(
    operation: u16,
    sender: (MacAddress, Ipv4Addr),
    target: MacAddress,
    to: Option<MacAddress>,
) -> Vec<u8> {
    let link = Link { to: to.map_or([0xff; 6], |to| to.0), from: sender.0.0, ..Link::new(target, ARP) };
    let is_announced = to.is_none() && operation == 1 || target.0 == [0xff; 6];
    let target = (target.0, if is_announced { sender.1 } else { ADDRESS }.octets());
    let sender = (sender.0.0, sender.1.octets());
    Arp { link, operation, sender, target, ..Arp::request(EVIL) }.frame()
}

/// "`target` is at `mac`" (RFC 4861, section 4.4). `flags`: solicited 0x40, override 0x20.
fn advertisement(
    mac: MacAddress,
    to_mac: MacAddress,
    from: Ipv6Addr,
    to: Ipv6Addr,
    flags: u8,
    target: Ipv6Addr,
) -> Vec<u8> {
    let body = [&[flags, 0, 0, 0], &target.octets()[..], &[2, 1], &mac.0].concat();
    icmpv6(mac, to_mac, from, to, 136, &body)
}

/// The client, at the evil station, asks for us.
fn solicitation(own: MacAddress) -> Vec<u8> {
    let body = [&[0; 4], &ADDRESS6.octets()[..], &[1, 1], &EVIL.0].concat();
    icmpv6(EVIL, own, CLIENT6, ADDRESS6, 135, &body)
}

/// "The client is here on the link, at the evil station" (RFC 4861, section 4.5).
fn redirect(own: MacAddress) -> Vec<u8> {
    let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xbad);
    let client = CLIENT6.octets();
    let body = [&[0; 4], &client[..], &client, &[2, 1], &EVIL.0].concat();
    icmpv6(EVIL, own, router, ADDRESS6, 137, &body)
}

fn icmpv6(
    mac: MacAddress,
    to_mac: MacAddress,
    from: Ipv6Addr,
    to: Ipv6Addr,
    kind: u8,
    body: &[u8],
) -> Vec<u8> {
    const ICMPV6: u8 = 58;
    let mut message = [&[kind, 0, 0, 0], body].concat();
    let len = (message.len() as u16).to_be_bytes();
    let addresses = [from.octets(), to.octets()].concat();
    let checksum = !sum(&[&addresses, &len, &[0, ICMPV6], &message]);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let header = [&[0x60, 0, 0, 0], &len[..], &[ICMPV6, 255], &addresses].concat();
    Link { to: to_mac.0, from: mac.0, ..Link::new(to_mac, 0x86dd) }.frame(&[header, message].concat())
}
