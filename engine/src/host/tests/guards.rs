//! The guards at work in the host: each with its counter, and with what it lets through.

use std::time::Duration;

use super::packets::{Frame, Seen, pattern};
use super::{Obedient, arp, exchange, finish, names};
use crate::host::FragmentPolicy;
use crate::telemetry::Counter;
use crate::{Cookie, Datagram, Lab, Outbox, Role, Service, Time, Verdict};

const CLIENT: &str = "10.77.0.2:4660";
const OWN: u16 = 5000;
const REFLECTORS: [u16; 8] = [7, 13, 17, 19, 37, 53, 69, 123];

/// Keeps something about its clients: a cookie makes a client known, and its payload says how
/// long the answer is to be.
#[derive(Default)]
struct Keeper {
    validated: usize,
}

impl Service for Keeper {
    const ROLE: Role = Role::Stateful;

    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let (source, own) = (datagram.source(), datagram.destination());
        if datagram.payload() == b"cookie, please" {
            let Cookie(cookie) = outbox.cookie(source, own);
            datagram.resize(cookie.len()).expect("short");
            datagram.payload_mut().copy_from_slice(&cookie);
            return Verdict::Reply;
        }
        if outbox.is_cookie(source, own, datagram.payload()) {
            self.validated += 1;
            outbox.validate(source);
        }
        let len = datagram.payload().first().map_or(0, |&first| usize::from(first) * 4);
        datagram.resize(len).expect("within the MTU");
        Verdict::Reply
    }
}

/// A request of `len` bytes that wants an answer of so many, a multiple of 4.
fn wanting(client: &str, len: usize, answer: usize) -> Frame {
    let mut payload = vec![0; len];
    payload[0] = (answer / 4) as u8;
    Frame::udp(client, OWN, &payload)
}

fn answers<S: Service>(lab: &mut Lab<S>, frame: &Frame) -> Vec<Seen> {
    exchange(lab, std::slice::from_ref(frame))
}

/// How many of so many datagrams are answered, one after the other.
fn answered<S: Service>(lab: &mut Lab<S>, client: &str, count: usize) -> usize {
    (0..count).map(|_| answers(lab, &Frame::udp(client, OWN, b"\x01hello")).len()).sum()
}

fn echo(ports: &'static [u16]) -> Lab<Obedient> {
    Lab::with(Obedient::default(), |config| config.udp_ports = ports.iter().copied().collect())
}

#[test]
fn what_comes_from_a_reflector_or_our_own_port_is_dropped() {
    let mut lab = echo(&[OWN, 6000]);
    for address in ["10.77.0.2", "[fd00:77::2]"] {
        for port in REFLECTORS.into_iter().chain([OWN, 6000]) {
            assert!(answers(&mut lab, &Frame::udp(&format!("{address}:{port}"), OWN, b"hello")).is_empty());
        }
        assert_eq!(answers(&mut lab, &Frame::udp(&format!("{address}:6001"), OWN, b"hello")).len(), 1);
    }
    let counters = finish(lab);
    assert_eq!((counters[Counter::ReflectorPort], counters[Counter::Delivered]), (20, 2));
}

#[test]
fn where_all_ports_are_ours_only_the_same_one_is() {
    let mut lab = Lab::new(Obedient::default());
    assert!(answers(&mut lab, &Frame::udp("10.77.0.2:5000", 5000, b"hello")).is_empty());
    assert_eq!(answers(&mut lab, &Frame::udp("10.77.0.2:5000", 5001, b"hello")).len(), 1);
    assert_eq!(finish(lab)[Counter::ReflectorPort], 1);
}

#[test]
fn the_guard_of_source_ports_can_be_off() {
    let mut lab = Lab::with(Obedient::default(), |config| config.guards.source_port = false);
    assert_eq!(answers(&mut lab, &Frame::udp("10.77.0.2:7", 7, b"hello")).len(), 1);
    finish(lab);
}

#[test]
fn what_comes_in_parts_is_guarded_against_too() {
    let mut lab = Lab::with(Obedient::default(), |config| config.fragments = FragmentPolicy::Reassemble);
    assert!(exchange(&mut lab, &Frame::udp("10.77.0.2:7", OWN, &pattern(100)).parts(64, 1)).is_empty());
    let counted = ["received", "reassembled", "fragment_joined", "reflector_port", "fragment_held"];
    assert_eq!(names(&finish(lab)), counted);
}

#[test]
fn an_answer_to_what_we_sent_ourselves_is_let_in() {
    let mut lab = Lab::new(Obedient::default());
    let from_reflector = Frame::udp("10.77.0.9:7", OWN, b"dropped by the service");
    answers(&mut lab, &from_reflector);
    assert_eq!(lab.counters()[Counter::ReflectorPort], 1, "not before we spoke");
    lab.send_frame(&Frame::udp(CLIENT, OWN, b"echo, are you there?").bytes());
    lab.turn();
    assert_eq!(lab.receive_frame().expect("an ARP request")[38..42], [10, 77, 0, 9]);
    lab.send_frame(&arp(2, [10, 77, 0, 9], [10, 77, 0, 1]));
    lab.turn();
    assert_eq!(lab.receive().expect("the question").to, "10.77.0.9:7".parse().expect("valid"));
    (0..6).for_each(|_| drop(answers(&mut lab, &from_reflector)));
    // To another port of ours, from another port of theirs, and too late: no answers.
    answers(&mut lab, &Frame::udp("10.77.0.9:7", OWN + 1, b"d"));
    answers(&mut lab, &Frame::udp("10.77.0.9:13", OWN, b"d"));
    let counters = finish(lab);
    assert_eq!(counters[Counter::Delivered], 1 + 4, "the request, and four answers");
    assert_eq!(counters[Counter::ReflectorPort], 1 + 2 + 2);
}

#[test]
fn an_answer_may_not_come_too_late() {
    let mut lab = Lab::new(Obedient::default());
    lab.send_frame(&Frame::udp(CLIENT, OWN, b"echo, are you there?").bytes());
    lab.turn();
    lab.advance(Duration::from_secs(30));
    answers_nothing(&mut lab);
    assert_eq!(finish(lab)[Counter::ReflectorPort], 1);
}

fn answers_nothing(lab: &mut Lab<Obedient>) {
    lab.send_frame(&Frame::udp("10.77.0.9:7", OWN, b"d").bytes());
    lab.turn();
    while lab.receive_frame().is_some() {}
}

#[test]
fn a_source_has_its_rate() {
    let mut lab = Lab::with(Obedient::default(), |config| config.guards.rate = Some(10));
    assert_eq!(answered(&mut lab, CLIENT, 50), 32, "a burst");
    assert_eq!(answered(&mut lab, "10.77.0.3:4660", 5), 5, "another source");
    assert_eq!(answered(&mut lab, "10.77.0.2:4661", 5), 0, "another port is none");
    lab.advance(Duration::from_secs(1));
    assert_eq!(answered(&mut lab, CLIENT, 50), 10);
    assert_eq!(answered(&mut lab, "[fd00:78::1]:4660", 50), 32);
    assert_eq!(answered(&mut lab, "[fd00:78::2]:4660", 5), 0, "a source is a /64");
    assert_eq!(answered(&mut lab, "[fd00:79::2]:4660", 5), 5);
    let counters = finish(lab);
    assert_eq!(counters[Counter::SourceRate], 18 + 5 + 40 + 18 + 5);
}

#[test]
fn all_sources_have_a_rate_together() {
    let mut lab = Lab::with(Obedient::default(), |config| config.guards.global_rate = Some(10));
    let served: usize =
        (1..=50).map(|host| answered(&mut lab, &format!("10.77.0.{}:4660", host + 1), 1)).sum();
    assert_eq!(served, 32);
    lab.advance(Duration::from_secs(1));
    assert_eq!(answered(&mut lab, CLIENT, 50), 10);
    assert_eq!(finish(lab)[Counter::GlobalRate], 18 + 40);
}

#[test]
fn who_has_shown_himself_does_not_pay_for_the_others() {
    for cap in [Some(3), None] {
        one_of_the_crowd(cap);
    }
}

/// With an amplification cap or without it.
fn one_of_the_crowd(cap: Option<u32>) {
    let mut lab = Lab::with(Keeper::default(), |config| {
        (config.guards.global_rate, config.guards.amplification) = (Some(10), cap);
    });
    let [given] = &answers(&mut lab, &Frame::udp(CLIENT, OWN, b"cookie, please"))[..] else {
        panic!("a cookie")
    };
    answers(&mut lab, &Frame::udp(CLIENT, OWN, given.udp().2));
    assert_eq!(answered(&mut lab, "10.77.0.3:4660", 50), 30, "the rest of a burst");
    assert_eq!(answered(&mut lab, CLIENT, 50), 50);
    for seconds in [599, 599, 601] {
        lab.advance(Duration::from_secs(seconds));
        assert_eq!(answered(&mut lab, "10.77.0.3:4660", 50), 32);
        assert_eq!(answered(&mut lab, CLIENT, 1), usize::from(seconds < 600), "by silence only");
    }
    assert_eq!(finish(lab)[Counter::GlobalRate], 20 + 3 * 18 + 1);
}

/// Answers come as fast as we asked.
#[test]
fn answers_to_what_we_sent_ourselves_have_no_rate() {
    let mut lab = Lab::with(Obedient::default(), |config| config.guards.rate = Some(10));
    assert_eq!(answered(&mut lab, "10.77.0.9:8", 33), 32);
    lab.send_frame(&Frame::udp(CLIENT, 8, b"sends to a peer").bytes());
    lab.turn();
    answers_nothing(&mut lab);
    let from_peer = Frame::udp("10.77.0.9:5000", 8, b"\x01hello");
    assert_eq!((0..6).map(|_| answers(&mut lab, &from_peer).len()).sum::<usize>(), 4);
    assert_eq!(finish(lab)[Counter::SourceRate], 1 + 2);
}

fn keeper() -> Lab<Keeper> {
    Lab::with(Keeper::default(), |config| config.udp_ports = [OWN].into_iter().collect())
}

#[test]
fn who_has_not_shown_himself_is_sent_three_times_what_he_sent() {
    let mut lab = keeper();
    assert!(answers(&mut lab, &wanting(CLIENT, 9, 28)).is_empty());
    assert_eq!(lab.counters()[Counter::TxAmplification], 1);
    // What was not sent is left: 27 and 27 more.
    assert_eq!(answers(&mut lab, &wanting(CLIENT, 9, 52)).len(), 1);
    assert!(answers(&mut lab, &wanting(CLIENT, 1, 8)).is_empty(), "2 and 3 are less than 8");
    assert_eq!(
        answers(&mut lab, &wanting("10.77.0.2:4661", 4, 12)).len(),
        1,
        "another port is another source"
    );
    let counters = finish(lab);
    assert_eq!((counters[Counter::TxAmplification], counters[Counter::Replied]), (2, 4));
}

#[test]
fn who_sends_his_cookie_back_has_shown_himself() {
    for client in [CLIENT, "[fd00:77::2]:4660"] {
        let mut lab = keeper();
        let [given] = &answers(&mut lab, &Frame::udp(client, OWN, b"cookie, please"))[..] else {
            panic!("a cookie")
        };
        let cookie = given.udp().2.to_vec();
        // Somebody else's is none, and neither is one that was changed.
        answers(&mut lab, &Frame::udp("10.77.0.3:4660", OWN, &cookie));
        let mut changed = cookie.clone();
        changed[0] ^= 1;
        answers(&mut lab, &Frame::udp(client, OWN, &changed));
        assert_eq!(lab.service().validated, 0);
        answers(&mut lab, &Frame::udp(client, OWN, &cookie));
        assert_eq!(lab.service().validated, 1);
        for _ in 0..5 {
            assert_eq!(answers(&mut lab, &wanting(client, 1, 1000)).len(), 1);
            lab.advance(Duration::from_secs(599));
        }
        lab.advance(Duration::from_secs(601));
        assert!(answers(&mut lab, &wanting(client, 1, 1000)).is_empty(), "he was silent for too long");
        finish(lab);
    }
}

#[test]
fn the_cap_holds_for_what_came_in_parts() {
    let mut lab = Lab::with(Keeper::default(), |config| {
        config.fragments = FragmentPolicy::Reassemble;
        config.guards.amplification = Some(1);
    });
    let asked = wanting(CLIENT, 100, 104);
    assert!(exchange(&mut lab, &asked.parts(64, 1)).is_empty());
    assert_eq!(exchange(&mut lab, &wanting(CLIENT, 100, 104).parts(64, 2)).len(), 1);
    assert_eq!(finish(lab)[Counter::TxAmplification], 1);
}

/// The same service but for its role.
struct Of<const STATEFUL: bool>(Keeper);

impl<const STATEFUL: bool> Service for Of<STATEFUL> {
    const ROLE: Role = if STATEFUL { Role::Stateful } else { Role::Stateless };

    fn on_datagram(&mut self, now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        self.0.on_datagram(now, datagram, outbox)
    }
}

#[test]
fn the_role_decides_what_is_on() {
    let mut lab = Lab::new(Of::<false>(Keeper::default()));
    assert_eq!(answers(&mut lab, &wanting(CLIENT, 1, 1000)).len(), 1);
    assert_eq!(answered(&mut lab, CLIENT, 600), 600);
    assert!(answers(&mut lab, &Frame::udp("10.77.0.2:53", OWN, b"\x01")).is_empty());
    finish(lab);
    let mut lab = Lab::new(Of::<true>(Keeper::default()));
    assert!(answers(&mut lab, &wanting(CLIENT, 1, 1000)).is_empty());
    assert_eq!(answered(&mut lab, CLIENT, 600), 499, "a tenth of a second's");
    assert!(answers(&mut lab, &Frame::udp("10.77.0.2:53", OWN, b"\x01")).is_empty());
    let counters = finish(lab);
    assert_eq!((counters[Counter::SourceRate], counters[Counter::ReflectorPort]), (101, 1));
}
