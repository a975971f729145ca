//! IPv6: replies, extension headers, echo, neighbours.

use std::net::IpAddr;
use std::time::Duration;

use super::packets::{CLIENT_MAC, FRAGMENT, Frame, HOST_MAC, ICMPV6, UDP, pattern, read, skipped_options};
use super::{Obedient, PEER6, exchange, finish, names, sent};
use crate::Lab;
use crate::telemetry::Counter;

const CLIENT: &str = "[fd00:77::2]:4660";

fn lab() -> Lab<Obedient> {
    Lab::new(Obedient::default())
}

/// The one counter beside `received` of a frame that has no answer.
fn dropped_as(frame: &Frame) -> &'static str {
    let mut lab = lab();
    assert!(exchange(&mut lab, std::slice::from_ref(frame)).is_empty());
    let counted = names(&finish(lab));
    let ["received", reason] = counted[..] else { panic!("{counted:?}") };
    reason
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_reply_is_a_fresh_packet_turned_round() {
    let mut asked = Frame::udp(CLIENT, 7, b"hello over IPv6");
    (asked.class, asked.hops) = (0xbb, 3);
    let mut lab = lab();
    let [answer] = &exchange(&mut lab, std::slice::from_ref(&asked))[..] else { panic!("one answer") };
    assert_eq!((answer.to, answer.from), (CLIENT_MAC, HOST_MAC));
    assert_eq!((answer.source, answer.destination), (asked.destination, asked.source));
    assert_eq!((answer.class, answer.hops, answer.protocol), (0xb8, 64, UDP));
    assert_eq!(answer.udp(), (7, 4660, &b"hello over IPv6"[..]));
    assert_eq!(names(&finish(lab)), ["received", "delivered", "replied", "sent"]);
}

#[test]
fn a_changed_or_grown_payload_gets_a_new_checksum() {
    let mut lab = lab();
    let asked = [Frame::udp(CLIENT, 7, b"upper"), Frame::udp(CLIENT, 7, b"grow")];
    let [upper, grown] = &exchange(&mut lab, &asked)[..] else { panic!("two answers") };
    assert_eq!(upper.udp().2, b"UPPER");
    assert_eq!((&grown.udp().2[..4], grown.udp().2.len()), (&b"grow"[..], 1452));
    finish(lab);
}

#[test]
fn extension_headers_are_cut_out_of_the_reply() {
    let mut lab = lab();
    let whole = (FRAGMENT, vec![0; 8]);
    for extensions in [
        vec![(0, skipped_options(8))],
        vec![(0, skipped_options(16)), (60, skipped_options(24))],
        vec![whole.clone()],
        vec![(0, skipped_options(8)), whole, (60, skipped_options(8))],
    ] {
        let mut asked = Frame::udp(CLIENT, 7, b"hello");
        asked.extensions = extensions;
        let [answer] = &exchange(&mut lab, &[asked])[..] else { panic!("one answer") };
        assert_eq!((answer.protocol, answer.udp()), (UDP, (7, 4660, &b"hello"[..])));
    }
    finish(lab);
}

#[test]
fn what_is_not_valid_has_its_name() {
    let with = |change: fn(&mut Frame)| {
        let mut frame = Frame::udp(CLIENT, 7, b"hello");
        change(&mut frame);
        frame
    };
    assert_eq!(dropped_as(&with(|frame| frame.destination = ip("fd00:77::5"))), "not_our_ip");
    assert_eq!(dropped_as(&with(|frame| frame.destination = ip("ff02::1"))), "group_ip");
    assert_eq!(dropped_as(&with(|frame| frame.source = ip("::1"))), "source_ip");
    assert_eq!(dropped_as(&with(|frame| frame.source = ip("fd00:77::1"))), "source_ip");
    assert_eq!(dropped_as(&with(|frame| frame.source = ip("ff02::5"))), "source_ip");
    assert_eq!(dropped_as(&with(|frame| frame.to = [0xff; 6])), "group_mac");
    assert_eq!(dropped_as(&with(|frame| frame.body[6..8].fill(0))), "udp_checksum");
    assert_eq!(dropped_as(&with(|frame| frame.body[9] ^= 1)), "udp_checksum");
    assert_eq!(
        dropped_as(&with(|frame| frame.extensions = vec![(60, vec![0, 9, 0, 0, 0, 0, 0, 0])])),
        "ipv6_extension"
    );
    assert_eq!(dropped_as(&with(|frame| frame.protocol = 59)), "protocol_unknown");
}

#[test]
fn who_wants_a_packet_sent_on_is_told() {
    let mut lab = lab();
    let asked = Frame { extensions: vec![(43, vec![0; 8])], ..Frame::udp(CLIENT, 7, b"hello") };
    let [told] = &exchange(&mut lab, std::slice::from_ref(&asked))[..] else { panic!("one answer") };
    assert_eq!((told.icmp().0, told.icmp().1, told.icmp().2), (4, 0, [0, 0, 0, 42]));
    assert_eq!(names(&finish(lab)), ["received", "ipv6_routing_header", "icmp_error_sent", "sent"]);
}

#[test]
fn an_echo_request_is_answered_by_the_host() {
    let mut lab = lab();
    let asked = Frame::ping("fd00:77::2", &pattern(1452));
    let [answer] = &exchange(&mut lab, std::slice::from_ref(&asked))[..] else { panic!("one answer") };
    assert_eq!((answer.source, answer.destination, answer.hops), (asked.destination, asked.source, 64));
    assert_eq!(answer.icmp(), (129, 0, [0x12, 0x34, 0, 1], &pattern(1452)[..]));
    assert_eq!(names(&finish(lab)), ["received", "echo_answered", "host_replied", "sent"]);
    let mut broken = asked;
    broken.body[20] ^= 1;
    assert_eq!(dropped_as(&broken), "icmp_malformed");
}

#[test]
fn our_link_local_address_is_ours_too() {
    let mut lab = lab();
    let mut asked = Frame::ping("fe80::2", b"ping");
    asked.destination = ip("fe80::ff:fe00:1");
    asked.fill_icmp_checksum();
    let [answer] = &exchange(&mut lab, &[asked])[..] else { panic!("one answer") };
    assert_eq!(answer.source, ip("fe80::ff:fe00:1"));
    finish(lab);
}

#[test]
fn a_solicitation_for_our_address_is_answered() {
    let option = [&[1, 1][..], &CLIENT_MAC].concat();
    let mut lab = lab();
    let asked = Frame::ndp("fd00:77::2", "ff02::1:ff00:1", 135, "fd00:77::1", &option);
    let probe = Frame::ndp("::", "ff02::1:ff00:1", 135, "fd00:77::1", &[]);
    let [answer, to_all] = &exchange(&mut lab, &[asked, probe])[..] else { panic!("two answers") };
    let own = ip("fd00:77::1");
    assert_eq!((answer.to, answer.source, answer.destination), (CLIENT_MAC, own, ip("fd00:77::2")));
    assert_eq!((answer.hops, answer.icmp().0, answer.icmp().2), (255, 136, [0x60, 0, 0, 0]));
    assert_eq!(answer.body[8..], [&own_octets()[..], &[2, 1], &HOST_MAC].concat());
    assert_eq!((to_all.to, to_all.destination), ([0x33, 0x33, 0, 0, 0, 1], ip("ff02::1")));
    assert_eq!((to_all.source, to_all.icmp().2), (own, [0x20, 0, 0, 0]));
    assert_eq!(names(&finish(lab)), ["received", "ndp_answered", "host_replied", "sent"]);
    let other = Frame::ndp("fd00:77::2", "ff02::1:ff00:1", 135, "fd00:78::1", &option);
    assert_eq!(dropped_as(&other), "ndp_not_ours");
}

fn own_octets() -> [u8; 16] {
    Lab::<Obedient>::ADDRESS_V6.octets()
}

/// The answer to our question for [`PEER6`].
fn peer_answers() -> Frame {
    Frame::ndp("fd00:77::9", "fd00:77::1", 136, "fd00:77::9", &[2, 1, 2, 0, 0, 0, 0, 9])
}

#[test]
fn what_the_service_sends_waits_for_the_neighbour_and_leaves_in_order() {
    let mut lab = lab();
    let [question] = &exchange(&mut lab, &vec![Frame::udp(CLIENT, 7, b"s"); 2])[..] else {
        panic!("one question")
    };
    assert_eq!((question.to, question.destination), ([0x33, 0x33, 0xff, 0, 0, 9], ip("ff02::1:ff00:9")));
    assert_eq!((question.source, question.hops, question.icmp().0), (ip("fd00:77::1"), 255, 135));
    assert_eq!(question.body[24..], [&[1, 1][..], &HOST_MAC].concat());
    // It is believed of who was asked for, and of nobody else.
    let mut other = peer_answers();
    other.body[23] = 8;
    other.fill_icmp_checksum();
    assert!(exchange(&mut lab, &[other]).is_empty());
    let letters = exchange(&mut lab, &[peer_answers()]);
    assert_eq!(letters.len(), 2);
    for letter in &letters {
        assert_eq!((letter.to, letter.destination), ([2, 0, 0, 0, 0, 9], ip("fd00:77::9")));
        assert_eq!(letter.udp(), (7, 5000, &b"to a peer"[..]));
    }
    // From now on nothing waits, and who was not asked any more is not believed.
    let letters = exchange(&mut lab, &[Frame::udp(CLIENT, 7, b"s"), peer_answers()]);
    assert_eq!(letters.len(), 1);
    let counters = finish(lab);
    let ndp =
        (counters[Counter::NdpSolicited], counters[Counter::NdpLearned], counters[Counter::NdpUnsolicited]);
    assert_eq!(ndp, (1, 1, 2));
    assert_eq!((counters[Counter::Originated], counters[Counter::SentLate]), (3, 2));
}

#[test]
fn the_lab_answers_for_everybody() {
    let mut lab = lab();
    lab.send(CLIENT, 7, b"s");
    lab.turn();
    let received = lab.receive().expect("a datagram");
    assert_eq!((received.to, &received.payload[..]), (PEER6.parse().expect("valid"), &b"to a peer"[..]));
    finish(lab);
}

#[test]
fn a_silent_neighbour_is_asked_three_times() {
    let mut lab = lab();
    exchange(&mut lab, &[Frame::udp(CLIENT, 7, b"s")]);
    let mut asked = 1;
    for _ in 0..10 {
        lab.advance(Duration::from_secs(1));
        asked +=
            sent(&mut lab).iter().map(|frame| read(frame)).filter(|seen| seen.protocol == ICMPV6).count();
    }
    assert_eq!(asked, 3);
    let counters = finish(lab);
    assert_eq!((counters[Counter::NdpSolicited], counters[Counter::TxUnreachable]), (3, 1));
}
