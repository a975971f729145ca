//! What the service sends of its own accord: it waits for neighbours, and leaves in order.

use std::net::IpAddr;
use std::time::Duration;

use super::{FAR, Obedient, PEER, arp, finish, frame};
use crate::host::{Addressing, FragmentPolicy, Host, HostConfig, InterfaceAddress};
use crate::port::memory::{self, MemoryConfig};
use crate::telemetry::Counter;
use crate::wire::ethernet::MacAddress;
use crate::wire::vlan::Vlans;
use crate::{DatagramQueue as _, GuardConfig, Lab, Role, Time, Worker};

#[test]
fn what_the_service_sends_waits_for_arp_and_leaves_in_order() {
    let mut lab = Lab::new(Obedient::default());
    lab.send("10.77.0.2:4660", 7, b"s");
    lab.send("10.77.0.2:4660", 7, b"s");
    lab.turn();
    let request = lab.receive_frame().expect("an ARP request");
    assert_eq!(
        (&request[..6], &request[12..14], &request[38..42]),
        (&[0xff; 6][..], &[8, 6][..], &PEER.0[..])
    );
    assert_eq!(lab.receive_frame(), None);
    lab.send_frame(&arp(2, PEER.0, [10, 77, 0, 1]));
    lab.turn();
    for _ in 0..2 {
        let received = lab.receive().expect("a datagram");
        assert_eq!(
            (received.to, &received.payload[..]),
            ("10.77.0.9:5000".parse().expect("valid"), &b"to a peer"[..])
        );
    }
    let counters = finish(lab);
    assert_eq!((counters[Counter::Originated], counters[Counter::SentLate]), (2, 2));
}

/// Sends what `word` asks for as an address `times` times, and gives the frames that went out,
/// which hold the identifications of nobody.
fn sent_again(guards: GuardConfig, from: &str, word: &[u8], times: usize) -> Vec<Vec<u8>> {
    let mut lab = lab(guards);
    lab.send(from, 7, word);
    lab.turn();
    let mut frames: Vec<_> = lab.receive().into_iter().map(|received| received.payload).collect();
    assert_eq!(frames.len(), 1, "the first one waited for the neighbour");
    frames.clear();
    for _ in 0..times {
        lab.send(from, 7, word);
        lab.turn();
        frames.extend(std::iter::from_fn(|| lab.receive_frame()));
    }
    assert_eq!(frames.len(), times);
    let counters = finish(lab);
    assert_eq!(counters[Counter::Originated], times as u64 + 1);
    frames
}

#[test]
fn a_way_that_was_taken_before_gives_the_same_frame() {
    for from in ["10.77.0.2:4660", "[fd00:77::2]:4660"] {
        // The first finds its way anew; the others copy it.
        let frames = sent_again(GuardConfig::default(), from, b"s", 4);
        assert!(frames.iter().all(|frame| *frame == frames[0]), "{frames:02x?}");
        assert_eq!(sent_again(GuardConfig::OFF, from, b"s", 4), frames, "the outbox writes the same");
    }
}

/// Where guards have a say in what is sent, the host writes the headers, else the outbox.
const BOTH: [GuardConfig; 2] =
    [GuardConfig::OFF, GuardConfig { source_port: Some(true), ..GuardConfig::OFF }];

fn lab(guards: GuardConfig) -> Lab<Obedient> {
    Lab::with(Obedient::default(), |config| config.guards = guards.resolve(Role::Stateless))
}

#[test]
fn a_ready_way_is_not_taken_when_the_neighbour_has_to_be_asked_again() {
    BOTH.map(lab).into_iter().for_each(asks_again);
}

fn asks_again(mut lab: Lab<Obedient>) {
    lab.send("10.77.0.2:4660", 7, b"s");
    lab.turn();
    assert!(lab.receive().is_some());
    let mut asked = |by| {
        lab.advance(by);
        lab.send("10.77.0.2:4660", 7, b"s");
        lab.turn();
        let before = lab.counters()[Counter::ArpRequested];
        while lab.receive().is_some() {}
        before
    };
    assert_eq!([asked(Duration::from_secs(1)), asked(Duration::from_secs(1))], [1, 1]);
    assert_eq!(asked(Duration::from_secs(29)), 2, "after 30 seconds");
    assert_eq!([asked(Duration::from_secs(1)), asked(Duration::from_secs(1))], [2, 2]);
    finish(lab);
}

#[test]
fn a_ready_way_ends_at_the_mtu() {
    for guards in BOTH {
        let mut lab = lab(guards);
        (0..2).for_each(|_| _ = lab.exchange("10.77.0.2:4660", 7, b"s"));
        assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"l").map(|payload| payload.len()), Some(1472));
        finish(lab);
        let mut lab = Lab::with(Obedient::default(), |config: &mut HostConfig| {
            config.guards = guards.resolve(Role::Stateless);
            config.fragments = FragmentPolicy::Reassemble;
        });
        (0..2).for_each(|_| _ = lab.exchange("10.77.0.2:4660", 7, b"s"));
        lab.send("10.77.0.2:4660", 7, b"o");
        lab.turn();
        assert_eq!(std::iter::from_fn(|| lab.receive_frame()).count(), 2, "it is cut");
        finish(lab);
    }
}

#[test]
fn a_neighbour_whose_address_is_given_is_not_asked_for() {
    let mac = MacAddress([2, 0, 0, 0, 0, 9]);
    let mut lab = Lab::with(Obedient::default(), |config| config.neighbours = vec![(PEER.0.into(), mac)]);
    for _ in 0..2 {
        lab.send("10.77.0.2:4660", 7, b"s");
        lab.turn();
        assert_eq!(lab.receive_frame().expect("a frame")[..6], mac.0);
    }
    assert_eq!(finish(lab)[Counter::ArpRequested], 0);
}

#[test]
fn the_longest_datagram_of_the_mtu_leaves() {
    let mut lab = Lab::new(Obedient::default());
    assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"l").map(|payload| payload.len()), Some(1472));
    finish(lab);
}

#[test]
fn what_is_off_link_goes_by_the_gateway() {
    let mut lab = Lab::new(Obedient::default());
    lab.send("10.77.0.2:4660", 7, b"f");
    lab.turn();
    let request = lab.receive_frame().expect("an ARP request");
    assert_eq!(request[38..42], [10, 77, 0, 254]);
    lab.send_frame(&arp(2, [10, 77, 0, 254], [10, 77, 0, 1]));
    lab.turn();
    assert_eq!(lab.receive().expect("a datagram").to.ip(), IpAddr::from(FAR.0));
    finish(lab);
}

#[test]
fn a_silent_neighbour_costs_packets_and_no_buffers() {
    let mut lab = Lab::new(Obedient::default());
    lab.send("10.77.0.2:4660", 7, b"m");
    lab.turn();
    let full = lab.counters()[Counter::TxNeighbourQueueFull];
    assert!(full > 0, "the queue is bounded");
    (0..10).for_each(|_| lab.advance(Duration::from_secs(1)));
    let counters = lab.counters();
    assert_eq!(counters[Counter::ArpRequested], 3);
    assert_eq!(counters[Counter::TxUnreachable] + full, counters[Counter::Originated]);
    // And traffic resumes.
    while lab.receive_frame().is_some() {}
    assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"hello").as_deref(), Some(&b"hello"[..]));
    finish(lab);
}

/// A worker may wait until then.
#[test]
fn a_host_is_due_when_a_neighbour_is_to_be_asked_again() {
    let (queue, mut wire) = memory::pair(&MemoryConfig::default());
    let own = InterfaceAddress { address: [10, 77, 0, 1].into(), prefix_len: 24, vlans: Vlans::NONE };
    let config = HostConfig::new(Addressing::new(vec![own], vec![]).expect("no gateway"));
    let mut worker = Worker::new(vec![Host::new(queue, config)], Obedient::default(), 0);
    worker.poll_once(Time::ZERO);
    assert_eq!(worker.queues()[0].next_deadline(), Time::NEVER);
    wire.send_frame(&frame(b"s", |_| ())).expect("room");
    worker.poll_once(Time::ZERO);
    assert_eq!(worker.queues()[0].next_deadline(), Time::ZERO + Duration::from_secs(1));
    worker.poll_once(Time::ZERO + Duration::from_secs(1));
    assert_eq!(worker.queues()[0].next_deadline(), Time::ZERO + Duration::from_secs(2));
}

#[test]
fn a_stop_while_packets_wait_loses_none_of_the_buffers() {
    let mut lab = Lab::new(Obedient::default());
    lab.send("10.77.0.2:4660", 7, b"s");
    lab.turn();
    lab.send("10.77.0.2:4660", 7, b"hello");
    let counters = finish(lab);
    assert_eq!((counters[Counter::TxStopping], counters[Counter::Stopping]), (1, 1));
}

#[test]
fn a_datagram_from_an_address_of_nobody_is_counted() {
    let mut lab = Lab::new(Obedient::default());
    lab.send("10.77.0.2:4660", 7, b"x");
    lab.turn();
    assert_eq!(finish(lab)[Counter::ForwardNoPort], 1);
}

#[test]
fn a_peer_that_stops_reading_costs_replies_and_no_buffers() {
    let mut lab = Lab::new(Obedient::default());
    for _ in 0..600 {
        lab.send("10.77.0.2:4660", 7, b"hello");
        lab.turn();
    }
    assert!(lab.counters()[Counter::TxFull] > 0);
    while lab.receive_frame().is_some() {}
    assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"hello").as_deref(), Some(&b"hello"[..]));
    finish(lab);
}

#[test]
fn ticks_come_when_they_are_due_and_in_slices() {
    let mut lab = Lab::new(Obedient::default());
    for _ in 0..10 {
        lab.turn();
    }
    assert_eq!(lab.service().ticks, 3, "two slices more, then a rest");
    lab.advance(Duration::from_millis(9));
    assert_eq!(lab.service().ticks, 3);
    lab.advance(Duration::from_millis(1));
    lab.turn();
    assert_eq!(lab.service().ticks, 5);
}
