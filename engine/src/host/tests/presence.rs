//! Our addresses made known: whether somebody else has them, and that we do.

use std::time::Duration;

use super::listening::is_report;
use super::packets::{CLIENT_MAC, Frame, HOST_MAC, Seen, read};
use super::{Obedient, PEER, arp, exchange, finish, frame, sent};
use crate::host::{Addressing, Host, HostConfig, InterfaceAddress};
use crate::port::memory::{self, MemoryConfig};
use crate::telemetry::Counter;
use crate::wire::ethernet::MacAddress;
use crate::wire::vlan::Vlans;
use crate::{DatagramQueue as _, Lab, Time, Worker};

const OWN: &str = "fd00:77::1";
const LINK_LOCAL: &str = "fe80::ff:fe00:1";
const OUR_GROUP: &str = "ff02::1:ff00:1";
const OBJECTION: Duration = Duration::from_secs(1);

/// A lab that has asked its questions, which nobody heard.
fn asking() -> Lab<Obedient> {
    let mut lab = Lab::with(Obedient::default(), |config| config.announces = true);
    lab.turn();
    sent(&mut lab);
    lab
}

/// ARP packets, and the messages of neighbour discovery. Reports of what is listened to have
/// tests of their own.
fn sorted(frames: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Seen>) {
    let (arp, rest): (Vec<_>, Vec<_>) = frames.iter().cloned().partition(|frame| frame[12..14] == [8, 6]);
    let messages = rest.iter().map(|frame| read(frame)).filter(|seen| !is_report(seen));
    (arp, messages.collect())
}

fn is_arp_announcement(frame: &[u8]) -> bool {
    let own = [10, 77, 0, 1];
    frame[..6] == [0xff; 6] && frame[20..22] == [0, 1] && frame[28..32] == own && frame[38..42] == own
}

/// The targets of unasked advertisements to all nodes.
fn announced(messages: &[Seen]) -> Vec<String> {
    let target = |seen: &Seen| {
        assert_eq!((seen.to, seen.hops, seen.icmp().0), ([0x33, 0x33, 0, 0, 0, 1], 255, 136));
        assert_eq!(
            (seen.icmp().2, &seen.body[24..]),
            ([0x20, 0, 0, 0], &[&[2, 1][..], &HOST_MAC].concat()[..])
        );
        assert_eq!(seen.body[8..24], octets(&seen.source.to_string()));
        seen.source.to_string()
    };
    messages.iter().map(target).collect()
}

fn octets(text: &str) -> [u8; 16] {
    text.parse::<std::net::Ipv6Addr>().expect("an address").octets()
}

fn hello() -> Frame {
    Frame::udp("[fd00:77::2]:4660", 7, b"hello")
}

/// Somebody else is about to use our address too.
fn question_of(mac: [u8; 6]) -> Frame {
    let mut question = Frame::ndp("::", OUR_GROUP, 135, OWN, &[]);
    question.from = mac;
    question
}

#[test]
fn addresses_are_asked_for_and_then_announced() {
    let mut lab = Lab::with(Obedient::default(), |config| config.announces = true);
    lab.turn();
    let (arp, questions) = sorted(&sent(&mut lab));
    assert!(arp.len() == 1 && is_arp_announcement(&arp[0]), "{arp:02x?}");
    for (question, target) in questions.iter().zip([OWN, LINK_LOCAL]) {
        assert_eq!((question.source.to_string(), question.icmp().0), ("::".to_owned(), 135));
        assert_eq!(
            (question.to, question.destination.to_string()),
            ([0x33, 0x33, 0xff, 0, 0, 1], OUR_GROUP.to_owned())
        );
        assert_eq!((question.hops, &question.body[8..]), (255, &octets(target)[..]), "and no option");
    }
    assert_eq!(questions.len(), 2);
    lab.advance(OBJECTION - Duration::from_nanos(1));
    assert!(sent(&mut lab).is_empty());
    lab.advance(Duration::from_nanos(1));
    let (arp, messages) = sorted(&sent(&mut lab));
    assert_eq!((arp.len(), announced(&messages)), (0, vec![OWN.to_owned(), LINK_LOCAL.to_owned()]));
    lab.advance(Duration::from_secs(100));
    assert!(sent(&mut lab).is_empty());
    let counters = finish(lab);
    let said =
        (counters[Counter::ArpRequested], counters[Counter::NdpSolicited], counters[Counter::NdpAnnounced]);
    assert_eq!(said, (1, 2, 2));
}

#[test]
fn a_tentative_address_receives_nothing() {
    let mut lab = asking();
    let asked = Frame::ndp("fd00:77::2", OUR_GROUP, 135, OWN, &[]);
    for frame in [hello(), Frame::ping("fd00:77::2", b"ping"), asked] {
        assert!(exchange(&mut lab, &[frame]).is_empty());
    }
    assert_eq!(lab.counters()[Counter::AddressTentative], 3);
    // IPv4 is there at once.
    assert_eq!(exchange(&mut lab, &[Frame::udp("10.77.0.2:4660", 7, b"hello")]).len(), 1);
    lab.advance(OBJECTION);
    sent(&mut lab);
    assert_eq!(exchange(&mut lab, &[hello()]).len(), 1);
    assert_eq!(finish(lab)[Counter::DuplicateAddress], 0, "who asks for us does not object");
}

/// The address that somebody objects to is never used, and the other one is.
fn is_refused(objection: Frame) -> crate::telemetry::Snapshot {
    let mut lab = asking();
    assert!(exchange(&mut lab, &[objection.clone(), objection]).is_empty());
    lab.advance(OBJECTION);
    assert_eq!(announced(&sorted(&sent(&mut lab)).1), [LINK_LOCAL]);
    assert!(exchange(&mut lab, &[hello(), Frame::ping("fd00:77::2", b"ping")]).is_empty());
    let counters = finish(lab);
    assert_eq!(counters[Counter::DuplicateAddress], 1);
    counters
}

#[test]
fn an_advertisement_is_an_objection() {
    let option = [&[2, 1][..], &CLIENT_MAC].concat();
    let counters = is_refused(Frame::ndp(OWN, "ff02::1", 136, OWN, &option));
    assert_eq!((counters[Counter::AddressConflict], counters[Counter::NdpUnsolicited]), (2, 2));
    assert_eq!(counters[Counter::AddressTentative], 2);
}

#[test]
fn anothers_question_is_an_objection() {
    assert_eq!(is_refused(question_of(CLIENT_MAC))[Counter::AddressTentative], 4);
}

#[test]
fn our_own_question_is_none() {
    let mut lab = asking();
    assert!(exchange(&mut lab, &[question_of(HOST_MAC)]).is_empty());
    lab.advance(OBJECTION);
    assert_eq!(announced(&sorted(&sent(&mut lab)).1), [OWN, LINK_LOCAL]);
    assert_eq!(finish(lab)[Counter::DuplicateAddress], 0);
}

/// Who comes too late is answered, and does not take the address away.
#[test]
fn an_address_in_use_is_defended() {
    let mut lab = asking();
    lab.advance(OBJECTION);
    sent(&mut lab);
    let [answer] = &exchange(&mut lab, &[question_of(CLIENT_MAC)])[..] else { panic!("one answer") };
    assert_eq!(answer.icmp().0, 136);
    exchange(&mut lab, &[Frame::ndp(OWN, "ff02::1", 136, OWN, &[2, 1, 2, 0, 0, 0, 0, 2])]);
    assert_eq!(exchange(&mut lab, &[hello()]).len(), 1);
    let counters = finish(lab);
    assert_eq!((counters[Counter::DuplicateAddress], counters[Counter::AddressConflict]), (0, 1));
}

fn addressing() -> Addressing {
    let own =
        |address: std::net::IpAddr, prefix_len| InterfaceAddress { address, prefix_len, vlans: Vlans::NONE };
    let addresses = vec![own([10, 77, 0, 1].into(), 24), own(OWN.parse().expect("valid"), 64)];
    Addressing::new(addresses, vec![]).expect("no gateway")
}

/// A device of another address, and at the other end of its wire another peer.
#[test]
fn a_new_device_asks_for_its_neighbours_again() {
    const NEW: MacAddress = MacAddress([2, 0, 0, 0, 0, 77]);
    const NEW_PEER: [u8; 6] = [2, 0, 0, 0, 0, 78];
    let (queue, mut wire) = memory::pair(&MemoryConfig::default());
    let host = Host::new(queue, HostConfig::new(addressing()));
    let link_up = host.link_up();
    let mut worker = Worker::new(vec![host], Obedient::default(), 1);
    let mut said = |frames: &[Vec<u8>]| {
        frames.iter().for_each(|frame| wire.send_frame(frame).expect("room"));
        worker.poll_once(Time::ZERO);
        std::iter::from_fn(|| wire.receive_frame()).collect::<Vec<_>>()
    };
    let word = |to: [u8; 6]| [&to[..], &frame(b"s", |_| {})[6..]].concat();
    let is_question = |frame: &Vec<u8>| frame[..6] == [0xff; 6] && frame[12..14] == [8, 6];
    assert!(said(&[word(HOST_MAC)]).iter().all(is_question));
    let waited = said(&[arp(2, PEER.0, [10, 77, 0, 1])]);
    let old_peer = waited[0][..6].to_vec();
    assert_eq!(waited[0][6..12], HOST_MAC);
    link_up.raise_as(NEW);
    // The announcement of a link that came up is another host's of the port.
    assert!(said(&[]).is_empty());
    let frames = said(&[word(NEW.0)]);
    let (questions, datagrams): (Vec<_>, Vec<_>) = frames.into_iter().partition(is_question);
    assert_eq!((questions.len(), datagrams.len()), (1, 1));
    assert_eq!((&questions[0][6..12], &datagrams[0][..6]), (&NEW.0[..], &old_peer[..]));
    let mut answer = arp(2, PEER.0, [10, 77, 0, 1]);
    answer[..6].copy_from_slice(&NEW.0);
    answer[6..12].copy_from_slice(&NEW_PEER);
    answer[22..28].copy_from_slice(&NEW_PEER);
    assert!(said(&[answer]).is_empty());
    let frames = said(&[word(NEW.0)]);
    assert_eq!((frames.len(), &frames[0][..6], &frames[0][6..12]), (1, &NEW_PEER[..], &NEW.0[..]));
    worker.drain();
    assert!(worker.queues()[0].counters().snapshot().balance().is_exact());
}

#[test]
fn a_link_that_comes_up_is_told_again() {
    let (queue, mut wire) = memory::pair(&MemoryConfig::default());
    let host = Host::new(queue, HostConfig { announces: true, ..HostConfig::new(addressing()) });
    let link_up = host.link_up();
    let mut worker = Worker::new(vec![host], Obedient::default(), 1);
    let mut said = |worker: &mut Worker<_, _>, now| {
        worker.poll_once(now);
        let frames: Vec<_> = std::iter::from_fn(|| wire.receive_frame()).collect();
        let (arp, messages) = sorted(&frames);
        (arp.iter().filter(|frame| is_arp_announcement(frame)).count(), messages)
    };
    assert_eq!(said(&mut worker, Time::ZERO).0, 1);
    let later = Time::ZERO + OBJECTION;
    assert_eq!(worker.queues()[0].next_deadline(), later);
    assert_eq!(announced(&said(&mut worker, later).1), [OWN]);
    assert_eq!(worker.queues()[0].next_deadline(), Time::NEVER);
    assert!(said(&mut worker, later).1.is_empty());
    link_up.raise();
    link_up.raise();
    let (arp, messages) = said(&mut worker, later);
    assert_eq!((arp, announced(&messages)), (1, vec![OWN.to_owned()]));
    let (arp, messages) = said(&mut worker, later);
    assert_eq!((arp, messages.len()), (0, 0));
    worker.drain();
    assert!(worker.queues()[0].counters().snapshot().balance().is_exact());
    drop(worker);
    assert!(wire.pool_balance().is_balanced());
}

#[test]
fn under_load_what_is_due_waits_until_the_clock_is_read() {
    let (queue, mut wire) = memory::pair(&MemoryConfig::default());
    let host = Host::new(queue, HostConfig { announces: true, ..HostConfig::new(addressing()) });
    let link_up = host.link_up();
    let mut worker = Worker::new(vec![host], Obedient::default(), 1);
    let mut announcements = |worker: &mut Worker<_, _>, now, datagrams| {
        (0..datagrams).for_each(|_| wire.send_frame(&frame(b"hello", |_| ())).expect("room"));
        assert_eq!(worker.poll_once(now), datagrams);
        let frames: Vec<_> = std::iter::from_fn(|| wire.receive_frame()).collect();
        frames.iter().filter(|frame| is_arp_announcement(frame)).count()
    };
    let now = Time::ZERO + OBJECTION;
    for now in [Time::ZERO, now] {
        announcements(&mut worker, now, 0);
    }
    link_up.raise();
    let later = now + Duration::from_nanos(1);
    // A full burst at the same time, a full one later, and one that is not full at the same time.
    assert_eq!([(now, 32), (later, 32)].map(|(now, count)| announcements(&mut worker, now, count)), [0, 1]);
    link_up.raise();
    assert_eq!([32, 31].map(|count| announcements(&mut worker, later, count)), [0, 1]);
    worker.drain();
    assert!(worker.queues()[0].counters().snapshot().balance().is_exact());
}
