//! Datagrams over IPv4: replies, and what is dropped.

use super::{dropped_as, frame, hello, one};
use crate::wire::checksum::Sum;

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
