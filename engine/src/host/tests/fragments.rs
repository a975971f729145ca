//! Packets in parts: put together on the way in, cut on the way out, and bounded whatever comes.

use std::time::Duration;

use super::packets::{CLIENT_MAC, Frame, HOST_MAC, Seen, join, pattern, read, skipped_options};
use super::{OVER_MTU, Obedient, arp, exchange, finish, names, sent};
use crate::Lab;
use crate::host::FragmentPolicy;
use crate::telemetry::Counter;

const CLIENTS: [&str; 2] = ["10.77.0.2:4660", "[fd00:77::2]:4660"];
const ADDRESSES: [&str; 2] = ["10.77.0.2", "fd00:77::2"];
/// The longest packet behind its header, in bytes.
const LONGEST: [usize; 2] = [65_515, 65_535];
/// How long fragments are held.
const TIMEOUT: Duration = Duration::from_secs(30);

fn lab() -> Lab<Obedient> {
    Lab::with(Obedient::default(), |config| config.fragments = FragmentPolicy::Reassemble)
}

/// Sends a packet in parts and joins those of its answer.
fn whole_answer(lab: &mut Lab<Obedient>, asked: &Frame) -> Seen {
    let answers = exchange(lab, &asked.parts(1440, 77));
    let whole = join(&answers);
    assert_eq!((whole.to, whole.from, whole.hops), (CLIENT_MAC, HOST_MAC, 64));
    assert_eq!((whole.source, whole.destination), (asked.destination, asked.source));
    whole
}

#[test]
fn fragments_are_dropped_unless_they_are_wanted() {
    for client in CLIENTS {
        let mut lab = Lab::new(Obedient::default());
        assert!(exchange(&mut lab, &Frame::udp(client, 7, &pattern(100)).parts(64, 1)).is_empty());
        let counters = finish(lab);
        assert_eq!(names(&counters), ["received", "fragment"]);
        assert_eq!(counters[Counter::Fragment], 2);
    }
}

#[test]
fn the_reply_to_a_long_datagram_is_cut() {
    for client in CLIENTS {
        let mut lab = lab();
        let payload = pattern(4000);
        let whole = whole_answer(&mut lab, &Frame { class: 0xb8, ..Frame::udp(client, 7, &payload) });
        assert_eq!((whole.udp(), whole.class), ((7, 4660, &payload[..]), 0xb8));
        let counters = finish(lab);
        assert_eq!((counters[Counter::FragmentJoined], counters[Counter::Reassembled]), (3, 1));
        assert_eq!(
            (counters[Counter::Replied], counters[Counter::FragmentsAdded], counters[Counter::Sent]),
            (1, 2, 3)
        );
    }
}

#[test]
fn a_reply_that_fits_is_whole() {
    for client in CLIENTS {
        let mut lab = lab();
        let payload = pattern(200);
        let mut parts = Frame::udp(client, 7, &payload).parts(64, 5);
        parts.reverse();
        let [answer] = &exchange(&mut lab, &parts)[..] else { panic!("one answer") };
        assert_eq!(answer.udp(), (7, 4660, &payload[..]), "out of order");
        assert_eq!(finish(lab)[Counter::FragmentsAdded], 0);
    }
}

#[test]
fn extension_headers_before_and_behind_the_cut_are_gone() {
    let mut lab = lab();
    let payload = pattern(300);
    let datagram = Frame::udp(CLIENTS[1], 7, &payload);
    let behind = [&[17], &skipped_options(16)[1..], &datagram.body].concat();
    let asked = Frame { protocol: 60, body: behind, extensions: vec![(0, skipped_options(8))], ..datagram };
    let [answer] = &exchange(&mut lab, &asked.parts(64, 5))[..] else { panic!("one answer") };
    assert_eq!(answer.udp(), (7, 4660, &payload[..]));
    finish(lab);
}

#[test]
fn the_longest_datagram_there_is_is_answered() {
    for (client, longest) in CLIENTS.into_iter().zip(LONGEST) {
        let mut lab = lab();
        let payload = pattern(longest - 8);
        assert_eq!(whole_answer(&mut lab, &Frame::udp(client, 7, &payload)).udp().2, payload);
        finish(lab);
    }
}

#[test]
fn the_longest_echo_request_there_is_is_answered() {
    for (client, longest) in ADDRESSES.into_iter().zip(LONGEST) {
        let mut lab = lab();
        let data = pattern(longest - 8);
        let whole = whole_answer(&mut lab, &Frame::ping(client, &data));
        let kind = if client == ADDRESSES[0] { 0 } else { 129 };
        assert_eq!(whole.icmp(), (kind, 0, [0x12, 0x34, 0, 1], &data[..]));
        let counters = finish(lab);
        assert_eq!((counters[Counter::EchoAnswered], counters[Counter::HostReplied]), (1, 1));
    }
}

#[test]
fn an_echo_request_longer_than_the_mtu_that_came_whole_is_told() {
    let mut lab = lab();
    let [told] = &exchange(&mut lab, &[Frame::ping(ADDRESSES[0], &pattern(1473))])[..] else {
        panic!("an error")
    };
    assert_eq!(told.icmp().0, 3);
    finish(lab);
}

#[test]
fn a_service_may_grow_its_reply_over_the_mtu() {
    for client in CLIENTS {
        let mut lab = lab();
        let whole = join(&exchange(&mut lab, &[Frame::udp(client, 7, b"grow")]));
        assert!(whole.udp().2.len() > if client == CLIENTS[0] { 1472 } else { 1452 });
        assert!(whole.udp().2.starts_with(b"grow\0\0"));
        // What came in parts has all the room there is.
        let whole = whole_answer(&mut lab, &Frame::udp(client, 7, &[b'g'; 2000]));
        let most = if client == CLIENTS[0] { 65_507 } else { 65_487 };
        assert_eq!(whole.udp().2.len(), most);
        assert!(
            whole.udp().2[..2000].iter().all(|&byte| byte == b'g')
                && whole.udp().2[2000..].iter().all(|&byte| byte == 0)
        );
        finish(lab);
    }
}

#[test]
fn what_the_service_sends_over_the_mtu_waits_and_is_cut() {
    let mut lab = lab();
    exchange_arp(&mut lab, &Frame::udp(CLIENTS[0], 7, b"o"));
    let letter = join(&sent(&mut lab).iter().map(|frame| read(frame)).collect::<Vec<_>>());
    assert_eq!(letter.udp(), (7, 5000, &[b'o'; OVER_MTU][..]));
    let counters = finish(lab);
    assert_eq!((counters[Counter::Originated], counters[Counter::FragmentsAdded]), (1, 1));
    assert_eq!(counters[Counter::SentLate], 2);
}

/// Has the host want a neighbour, who answers.
fn exchange_arp(lab: &mut Lab<Obedient>, asked: &Frame) {
    lab.send_frame(&asked.bytes());
    lab.turn();
    let question = lab.receive_frame().expect("an ARP request");
    assert_eq!(question[38..42], [10, 77, 0, 9]);
    lab.send_frame(&arp(2, [10, 77, 0, 9], [10, 77, 0, 1]));
    lab.turn();
}

#[test]
fn what_is_forwarded_over_the_mtu_is_cut() {
    let mut lab = lab();
    // It came whole, but longer than the MTU.
    let payload = [b'w'; OVER_MTU];
    exchange_arp(&mut lab, &Frame::udp(CLIENTS[0], 7, &payload));
    let forwarded = join(&sent(&mut lab).iter().map(|frame| read(frame)).collect::<Vec<_>>());
    assert_eq!((forwarded.udp(), forwarded.to), ((7, 5000, &payload[..]), CLIENT_MAC));
    let counters = finish(lab);
    assert_eq!((counters[Counter::Forwarded], counters[Counter::FragmentsAdded]), (1, 1));
}

#[test]
fn what_was_put_together_is_forwarded_if_it_fits_a_buffer() {
    let mut lab = lab();
    exchange_arp(&mut lab, &Frame::udp(CLIENTS[0], 7, b"s"));
    sent(&mut lab);
    let [forwarded] = &exchange(&mut lab, &Frame::udp(CLIENTS[0], 7, &[b'w'; 500]).parts(64, 1))[..] else {
        panic!("one frame")
    };
    assert_eq!(forwarded.udp(), (7, 5000, &[b'w'; 500][..]));
    assert!(exchange(&mut lab, &Frame::udp(CLIENTS[0], 7, &[b'w'; 3000]).parts(1440, 2)).is_empty());
    let counters = finish(lab);
    assert_eq!((counters[Counter::Forwarded], counters[Counter::ForwardNoRoom]), (1, 1));
}

#[test]
fn a_sender_is_told_once_that_the_rest_did_not_come() {
    for (client, kind, longest) in [(CLIENTS[0], 11, 128), (CLIENTS[1], 3, 128)] {
        let mut lab = lab();
        let parts = Frame::udp(client, 7, &pattern(3000)).parts(512, 9);
        assert!(exchange(&mut lab, &parts[..3]).is_empty());
        lab.advance(TIMEOUT - Duration::from_nanos(1));
        assert!(sent(&mut lab).is_empty());
        lab.advance(Duration::from_nanos(1));
        let question = sent(&mut lab);
        assert_eq!(question.len(), 1, "the sender's MAC address is asked for");
        lab.send_frame(&answer_to(client));
        lab.turn();
        let told: Vec<_> = sent(&mut lab).iter().map(|frame| read(frame)).collect();
        let [told] = &told[..] else { panic!("one error") };
        assert_eq!((told.icmp().0, told.icmp().1, told.icmp().2), (kind, 1, [0; 4]));
        assert_eq!(told.icmp().3, &parts[0].bytes()[14..14 + longest]);
        lab.advance(TIMEOUT * 10);
        assert!(sent(&mut lab).is_empty());
        let counters = finish(lab);
        assert_eq!((counters[Counter::FragmentTimeout], counters[Counter::IcmpErrorSent]), (3, 1));
    }
}

fn answer_to(client: &str) -> Vec<u8> {
    if client == CLIENTS[0] {
        return arp(2, [10, 77, 0, 2], [10, 77, 0, 1]);
    }
    Frame::ndp(ADDRESSES[1], "fd00:77::1", 136, ADDRESSES[1], &[2, 1, 2, 0, 0, 0, 0, 2]).bytes()
}

#[test]
fn nobody_is_told_without_the_first_fragment_or_of_an_icmp_error() {
    for (client, error) in ADDRESSES.into_iter().zip([3, 1]) {
        let mut lab = lab();
        let parts = Frame::ping(client, &pattern(1000)).parts(512, 9);
        assert!(exchange(&mut lab, &parts[1..]).is_empty());
        let mut about = Frame::ping(client, &pattern(1000));
        about.body[0] = error;
        about.fill_icmp_checksum();
        assert!(exchange(&mut lab, &about.parts(512, 10)[..1]).is_empty());
        lab.advance(TIMEOUT);
        assert!(sent(&mut lab).is_empty());
        assert_eq!(finish(lab)[Counter::FragmentTimeout], 2);
    }
}

#[test]
fn what_contradicts_itself_is_dropped_by_name() {
    for client in CLIENTS {
        let mut lab = lab();
        let parts = Frame::udp(client, 7, &pattern(1000)).parts(256, 9);
        // Twice the same does no harm.
        let [answer] = &exchange(&mut lab, &[&parts[..2], &parts[..1], &parts[2..]].concat())[..] else {
            panic!("one answer")
        };
        assert_eq!(answer.udp().2, pattern(1000));
        assert_eq!(lab.counters()[Counter::FragmentDuplicate], 1);
        // Another one in the same place takes all with it, and what comes later.
        let mut other = parts[1].clone();
        other.body[0] ^= 1;
        assert!(
            exchange(&mut lab, &[parts[0].clone(), parts[1].clone(), other, parts[2].clone()]).is_empty()
        );
        let counters = lab.counters();
        assert_eq!((counters[Counter::FragmentOverlap], counters[Counter::FragmentTooMany]), (3, 1));
        finish(lab);
    }
}

#[test]
fn too_many_fragments_are_too_many() {
    for client in CLIENTS {
        let mut lab = lab();
        let parts = Frame::udp(client, 7, &pattern(8 * 66)).parts(8, 9);
        assert!(exchange(&mut lab, &parts).is_empty());
        let counters = finish(lab);
        assert_eq!(
            (counters[Counter::FragmentTooMany], counters[Counter::Reassembled]),
            (parts.len() as u64, 0)
        );
    }
}

#[test]
fn what_is_no_fragment_of_anything_is_dropped() {
    for (client, longest) in CLIENTS.into_iter().zip(LONGEST) {
        let mut lab = lab();
        let parts = Frame::udp(client, 7, &pattern(100)).parts(64, 9);
        let mut odd = parts[0].clone();
        odd.body.pop();
        let mut empty = parts[1].clone();
        empty.body.clear();
        let mut beyond = parts[1].clone();
        beyond.part.as_mut().expect("a part").offset = longest / 8 * 8;
        beyond.body = pattern(9);
        let mut tiny = parts[0].clone();
        tiny.body.truncate(if client == CLIENTS[0] { 0 } else { 4 });
        assert!(exchange(&mut lab, &[odd, empty, beyond, tiny]).is_empty());
        let counters = finish(lab);
        assert_eq!(names(&counters), ["received", "fragment_malformed"]);
        assert_eq!(counters[Counter::FragmentMalformed], 4);
    }
}

#[test]
fn a_bomb_takes_no_more_than_there_is() {
    let mut lab = lab();
    let first = |source: [u8; 4], id| {
        let client = format!("{}:4660", std::net::Ipv4Addr::from(source));
        Frame::udp(&client, 7, &pattern(1000)).parts(512, id).remove(0)
    };
    // One source has its part of the places, all of them together have all.
    for id in 0..100 {
        exchange(&mut lab, &[first([10, 77, 0, 2], id)]);
    }
    assert_eq!(lab.counters()[Counter::FragmentEvicted], 100 - 16);
    for number in 0..1000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        exchange(&mut lab, &[first([10, 77, 1 + high, low], number)]);
    }
    assert_eq!(lab.counters()[Counter::FragmentEvicted], 100 + 1000 - 64);
    // Who comes next is served, and what does not come in parts is too.
    assert_eq!(exchange(&mut lab, &Frame::udp(CLIENTS[1], 7, &pattern(1000)).parts(512, 7)).len(), 1);
    assert_eq!(exchange(&mut lab, &[Frame::udp(CLIENTS[0], 7, b"hello")]).len(), 1);
    let counters = finish(lab);
    assert_eq!(counters[Counter::Stopping], 63, "what is held at the end");
}

#[test]
fn the_same_numbers_of_other_senders_and_links_do_not_mix() {
    let mut lab = lab();
    let asked =
        ["10.77.0.2:4660", "10.77.0.3:4660"].map(|client| Frame::udp(client, 7, &pattern(100)).parts(64, 9));
    let answers = exchange(&mut lab, &[&asked[0][..1], &asked[1][..]].concat());
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].destination, asked[1][0].source);
    assert_eq!(exchange(&mut lab, &asked[0][1..]).len(), 1);
    finish(lab);
}

#[test]
fn a_wrong_checksum_is_found_when_all_is_there() {
    for client in CLIENTS {
        let mut lab = lab();
        let mut asked = Frame::udp(client, 7, &pattern(1000));
        asked.body[900] ^= 1;
        assert!(exchange(&mut lab, &asked.parts(512, 9)).is_empty());
        let counted = ["received", "reassembled", "fragment_joined", "udp_checksum", "fragment_held"];
        assert_eq!(names(&finish(lab)), counted);
    }
}

#[test]
fn neighbour_discovery_does_not_come_in_fragments() {
    let mut lab = lab();
    let asked = Frame::ndp("fd00:77::2", "fd00:77::1", 135, "fd00:77::1", &[]);
    assert!(exchange(&mut lab, &asked.parts(16, 9)).is_empty());
    assert_eq!(finish(lab)[Counter::NdpMalformed], 1);
}
