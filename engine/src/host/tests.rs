//! The host on the memory port: one frame in, its answer or its counter out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::telemetry::Counter;
use crate::wire::checksum::{Sum, udp_checksum};
use crate::{Datagram, Lab, Outbox, Service, Tick, Time, Verdict};

/// Does what the payload's first byte says.
#[derive(Default)]
struct Obedient {
    ticks: u64,
}

const PEER: ([u8; 4], u16) = ([10, 77, 0, 9], 5000);
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
                outbox.send(own, SocketAddr::from(PEER), b"to a peer").expect("room");
                Verdict::Drop
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
fn hello() -> Vec<u8> {
    frame(b"hello", |_| ())
}

/// A datagram whose IPv4 header `change` has its way with before the checksums are made.
fn frame(payload: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let len = 28 + payload.len();
    let mut ip = vec![
        0x45,
        0,
        (len >> 8) as u8,
        len as u8,
        0x12,
        0x34,
        0,
        0,
        33,
        17,
        0,
        0,
        10,
        77,
        0,
        2,
        10,
        77,
        0,
        1,
    ];
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

/// Sends one frame and gives what came back and what was counted beside the polls.
fn one(frame: &[u8]) -> (Option<Vec<u8>>, Vec<&'static str>) {
    let mut lab = Lab::new(Obedient::default());
    assert!(lab.send_frame(frame));
    lab.turn();
    let reply = lab.receive_frame();
    assert_eq!(lab.receive_frame(), None, "one frame has one answer");
    let (counters, pool) = lab.close();
    assert!(counters.balance().is_exact(), "{:?}", counters.balance());
    assert!(pool.is_balanced(), "{pool:?}");
    let counted =
        counters.non_zero().map(|(counter, _)| counter.name()).filter(|name| !name.contains("poll"));
    (reply, counted.collect())
}

fn dropped_as(frame: &[u8]) -> &'static str {
    let (reply, counted) = one(frame);
    assert_eq!(reply, None);
    let [received, reason] = counted[..] else { panic!("{counted:?}") };
    assert_eq!(received, "received");
    reason
}

#[test]
fn a_reply_is_a_fresh_packet_turned_round() {
    let sent = frame(b"hello, more than a short frame", |ip| ip[1] = 0xb8 | 0x03);
    let (reply, counted) = one(&sent);
    let reply = reply.expect("an answer");
    assert_eq!(counted, ["received", "delivered", "replied", "sent"]);
    assert_eq!(reply.len(), sent.len());
    assert_eq!((&reply[..6], &reply[6..12]), (&sent[6..12], &sent[..6]));
    assert_eq!(reply[15], 0xb8, "the congestion bits are cleared");
    assert_eq!(reply[18..22], [0, 0, 0x40, 0], "identification 0, don't fragment");
    assert_eq!(reply[22], 64, "a fresh TTL");
    assert_eq!((&reply[26..30], &reply[30..34]), (&sent[30..34], &sent[26..30]));
    assert_eq!((&reply[34..36], &reply[36..38]), (&sent[36..38], &sent[34..36]));
    assert_eq!(reply[40..], sent[40..], "the checksum and the payload stay");
    assert!(Sum::of(&reply[14..34]).is_valid());
}

#[test]
fn a_short_reply_is_padded_with_zeros() {
    let mut sent = hello();
    sent.resize(60, 0xee);
    let reply = one(&sent).0.expect("an answer");
    assert_eq!((reply.len(), &reply[42..47], &reply[47..]), (60, &b"hello"[..], &[0; 13][..]));
}

#[test]
fn options_are_cut_out_of_the_reply() {
    let mut sent = hello();
    sent[14] = 0x47;
    sent.splice(34..34, [1, 1, 1, 1, 7, 3, 4, 0]);
    sent[17] += 8;
    sent[24..26].fill(0);
    let checksum = Sum::of(&sent[14..42]).checksum();
    sent[24..26].copy_from_slice(&checksum);
    let reply = one(&sent).0.expect("an answer");
    assert_eq!(reply[..47], one(&hello()).0.expect("an answer")[..47]);
}

#[test]
fn a_changed_or_grown_payload_gets_a_new_checksum() {
    for payload in [&b"upper"[..], b"grow"] {
        let reply = one(&frame(payload, |_| ())).0.expect("an answer");
        let packet = crate::wire::ipv4::Packet::parse(&reply[14..]).expect("valid");
        let datagram = crate::wire::udp::Datagram::parse(packet.payload()).expect("valid");
        let pseudo_header = crate::wire::ipv4::pseudo_header(
            packet.source(),
            packet.destination(),
            packet.protocol(),
            datagram.len(),
        );
        assert!(datagram.is_checksum_valid(pseudo_header));
        match payload[0] {
            b'u' => assert_eq!(datagram.payload(), b"UPPER"),
            _ => assert_eq!(datagram.payload().len(), 1472, "the MTU's worth"),
        }
    }
}

#[test]
fn a_missing_checksum_is_accepted_and_completed() {
    let mut sent = hello();
    sent[40..42].fill(0);
    let (reply, _) = one(&sent);
    assert_eq!(reply, one(&hello()).0);
}

#[test]
fn every_broken_frame_has_its_name() {
    let with = |index: usize, value: u8| {
        let mut frame = hello();
        frame[index] = value;
        frame
    };
    assert_eq!(dropped_as(&hello()[..13]), "runt");
    assert_eq!(dropped_as(&with(5, 9)), "not_our_mac");
    assert_eq!(dropped_as(&with(0, 3)), "group_mac");
    assert_eq!(dropped_as(&with(6, 3)), "source_mac");
    assert_eq!(dropped_as(&with(12, 0x86)), "ether_type_unknown");
    assert_eq!(dropped_as(&with(14, 0x55)), "ipv4_malformed");
    assert_eq!(dropped_as(&with(17, 200)), "ipv4_malformed");
    assert_eq!(dropped_as(&with(22, 9)), "ipv4_checksum");
    assert_eq!(dropped_as(&with(39, 7)), "udp_malformed");
    assert_eq!(dropped_as(&with(45, b'L')), "udp_checksum");
    assert_eq!(dropped_as(&frame(b"x", |ip| ip[6] = 0x20)), "fragment");
    assert_eq!(dropped_as(&frame(b"x", |ip| ip[7] = 1)), "fragment");
    assert_eq!(dropped_as(&frame(b"x", |ip| ip[19] = 3)), "not_our_ip");
    assert_eq!(dropped_as(&frame(b"x", |ip| ip[19] = 255)), "group_ip");
    assert_eq!(dropped_as(&frame(b"x", |ip| ip[16] = 224)), "group_ip");
    assert_eq!(dropped_as(&frame(b"x", |ip| ip[15] = 1)), "source_ip");
    assert_eq!(dropped_as(&frame(b"x", |ip| ip[12] = 127)), "source_ip");
}

#[test]
fn every_truncation_is_dropped_by_name() {
    let whole = hello();
    for len in 0..whole.len() {
        let reason = dropped_as(&whole[..len]);
        assert!(["runt", "ipv4_malformed"].contains(&reason), "{len} bytes: {reason}");
    }
}

#[test]
fn a_tag_of_no_vlan_of_ours_is_dropped_and_a_priority_tag_answered() {
    let tagged = |tag: [u8; 4]| {
        let mut frame = hello();
        frame.splice(12..12, tag);
        frame
    };
    assert_eq!(dropped_as(&tagged([0x81, 0, 0, 5])), "vlan_not_ours");
    assert_eq!(dropped_as(&tagged([0x88, 0xa8, 0, 0])), "vlan_not_ours");
    let reply = one(&tagged([0x81, 0, 0x60, 0])).0.expect("an answer");
    assert_eq!(reply[12..18], [0x81, 0, 0x60, 0, 8, 0], "the tag it came with");
}

fn ping() -> Vec<u8> {
    ping_with(b"ping")
}

fn ping_with(data: &[u8]) -> Vec<u8> {
    let mut icmp = [&[8, 0, 0, 0, 0x12, 0x34, 0, 1][..], data].concat();
    let checksum = Sum::of(&icmp).checksum();
    icmp[2..4].copy_from_slice(&checksum);
    let mut frame = frame(data, |ip| ip[9] = 1);
    frame.truncate(34);
    [frame, icmp].concat()
}

#[test]
fn an_echo_reply_keeps_to_the_mtu() {
    let (reply, _) = one(&ping_with(&[7; 1472]));
    assert_eq!(reply.map(|reply| reply.len()), Some(1514));
    let (reply, counted) = one(&ping_with(&[7; 1473]));
    assert_eq!(counted[1..], ["echo_answered", "host_replied", "icmp_error_sent", "sent", "tx_oversize"]);
    let told = reply.expect("an error");
    assert_eq!((told[34..36].to_vec(), told[38..42].to_vec()), (vec![3, 4], vec![0, 0, 0x05, 0xdc]));
}

#[test]
fn an_echo_request_is_answered_by_the_host() {
    let (reply, counted) = one(&ping());
    let reply = reply.expect("an answer");
    assert_eq!(counted, ["received", "echo_answered", "host_replied", "sent"]);
    assert_eq!((reply[34], reply[23]), (0, 1));
    assert!(Sum::of(&reply[34..46]).is_valid() && Sum::of(&reply[14..34]).is_valid());
    let mut broken = ping();
    broken[45] ^= 1;
    assert_eq!(dropped_as(&broken), "icmp_malformed");
    let mut other = ping();
    other[34] = 13;
    assert_eq!(dropped_as(&other), "icmp_other");
}

#[test]
fn a_packet_shorter_than_a_quote_is_quoted_whole() {
    for len in [0, 1, 7, 8] {
        let mut sent = frame(&vec![7; len], |ip| {
            (ip[3], ip[9]) = (20 + len as u8, 99);
        });
        sent.drain(34..42);
        let (reply, counted) = one(&sent);
        assert_eq!(counted, ["received", "protocol_unknown", "icmp_error_sent", "sent"], "{len} bytes");
        let reply = reply.expect("an error");
        assert_eq!((&reply[34..36], &reply[42..62 + len]), (&[3, 2][..], &sent[14..]), "{len} bytes");
    }
}

fn arp(operation: u8, sender_ip: [u8; 4], target_ip: [u8; 4]) -> Vec<u8> {
    let destination = if operation == 1 { [0xff; 6] } else { [2, 0, 0, 0, 0, 1] };
    let mac = [2, 0, 0, 0, 0, 2];
    [&destination[..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation], &mac, &sender_ip, &[0; 6], &target_ip]
        .concat()
}

#[test]
fn arp_is_answered_for_our_address_only() {
    let (reply, counted) = one(&arp(1, [10, 77, 0, 2], [10, 77, 0, 1]));
    let reply = reply.expect("an answer");
    assert_eq!(counted, ["received", "arp_answered", "host_replied", "sent"]);
    assert_eq!(reply[..12], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    assert_eq!(reply[20..42], [0, 2, 2, 0, 0, 0, 0, 1, 10, 77, 0, 1, 2, 0, 0, 0, 0, 2, 10, 77, 0, 2]);
    assert_eq!(dropped_as(&arp(1, [10, 77, 0, 2], [10, 77, 0, 3])), "arp_not_ours");
    assert_eq!(dropped_as(&arp(2, [10, 77, 0, 2], [10, 77, 0, 1])), "arp_unsolicited");
    let mut forged = arp(1, [10, 77, 0, 2], [10, 77, 0, 1]);
    forged[27] = 9;
    assert_eq!(dropped_as(&forged), "arp_malformed");
}

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
    let (counters, pool) = lab.close();
    assert!(counters.balance().is_exact() && pool.is_balanced());
    assert_eq!((counters[Counter::Originated], counters[Counter::SentLate]), (2, 2));
}

#[test]
fn the_longest_datagram_of_the_mtu_leaves() {
    let mut lab = Lab::new(Obedient::default());
    assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"l").map(|payload| payload.len()), Some(1472));
    let (counters, pool) = lab.close();
    assert!(counters.balance().is_exact() && pool.is_balanced());
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
    let (counters, pool) = lab.close();
    assert!(counters.balance().is_exact() && pool.is_balanced());
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
    let (counters, pool) = lab.close();
    assert!(counters.balance().is_exact() && pool.is_balanced());
}

#[test]
fn a_stop_while_packets_wait_loses_none_of_the_buffers() {
    let mut lab = Lab::new(Obedient::default());
    lab.send("10.77.0.2:4660", 7, b"s");
    lab.turn();
    lab.send("10.77.0.2:4660", 7, b"hello");
    let (counters, pool) = lab.close();
    assert_eq!((counters[Counter::TxStopping], counters[Counter::Stopping]), (1, 1));
    assert!(counters.balance().is_exact() && pool.is_balanced());
}

#[test]
fn a_datagram_from_an_address_of_nobody_is_counted() {
    let mut lab = Lab::new(Obedient::default());
    lab.send("10.77.0.2:4660", 7, b"x");
    lab.turn();
    let (counters, pool) = lab.close();
    assert_eq!(counters[Counter::ForwardNoPort], 1);
    assert!(counters.balance().is_exact() && pool.is_balanced());
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
    let (counters, pool) = lab.close();
    assert!(counters.balance().is_exact() && pool.is_balanced());
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
