//! ICMP errors: who is told what, and who is not.

use std::time::Duration;

use super::packets::{CLIENT_MAC, Frame, HOST_MAC, pattern, skipped_options};
use super::{Obedient, exchange, finish, frame, names, one};
use crate::Lab;
use crate::host::FragmentPolicy;
use crate::telemetry::Counter;

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

const CLIENTS: [&str; 2] = ["10.77.0.2:4660", "[fd00:77::2]:4660"];

/// A lab whose service listens on port 7 only.
fn lab() -> Lab<Obedient> {
    Lab::with(Obedient::default(), |config| config.udp_ports = [7].into_iter().collect())
}

#[test]
fn the_sender_to_a_closed_port_is_told() {
    for (client, kind, code, longest) in [(CLIENTS[0], 3, 3, 548), (CLIENTS[1], 1, 4, 1232)] {
        let mut lab = lab();
        for len in [0, 5, 1400] {
            let asked = Frame { class: 0xbb, ..Frame::udp(client, 8, &pattern(len)) };
            let [told] = &exchange(&mut lab, std::slice::from_ref(&asked))[..] else { panic!("one answer") };
            assert_eq!((told.to, told.from), (CLIENT_MAC, HOST_MAC));
            assert_eq!((told.source, told.destination), (asked.destination, asked.source));
            assert_eq!((told.class, told.hops), (0, 64));
            let packet = &asked.bytes()[14..];
            assert_eq!(told.icmp(), (kind, code, [0; 4], &packet[..packet.len().min(longest)]));
        }
        assert_eq!(names(&finish(lab)), ["received", "udp_port_closed", "icmp_error_sent", "sent"]);
    }
}

#[test]
fn the_sender_of_an_unknown_protocol_is_told() {
    for (client, kind, code, pointer) in [(CLIENTS[0], 3, 2, 0), (CLIENTS[1], 4, 1, 6)] {
        let mut lab = lab();
        let asked = Frame { protocol: 132, ..Frame::udp(client, 8, b"hello") };
        let [told] = &exchange(&mut lab, std::slice::from_ref(&asked))[..] else { panic!("one answer") };
        assert_eq!(told.icmp(), (kind, code, [0, 0, 0, pointer], &asked.bytes()[14..]));
        assert_eq!(names(&finish(lab)), ["received", "protocol_unknown", "icmp_error_sent", "sent"]);
    }
    // The pointer is to the last header that names the next.
    let mut lab = lab();
    let mut asked = Frame { protocol: 132, ..Frame::udp(CLIENTS[1], 8, b"hello") };
    asked.extensions = vec![(0, skipped_options(16)), (60, skipped_options(8))];
    let [told] = &exchange(&mut lab, std::slice::from_ref(&asked))[..] else { panic!("one answer") };
    assert_eq!(told.icmp(), (4, 1, [0, 0, 0, 56], &asked.bytes()[14..]));
    assert_eq!(asked.bytes()[14 + 56], 132);
    finish(lab);
}

#[test]
fn errors_are_bounded_by_a_rate() {
    let closed = Frame::udp(CLIENTS[0], 8, b"hello");
    let mut lab = lab();
    let told: usize = (0..50).map(|_| exchange(&mut lab, std::slice::from_ref(&closed)).len()).sum();
    assert_eq!(told, 32, "a burst");
    lab.advance(Duration::from_millis(100));
    let told: usize = (0..50).map(|_| exchange(&mut lab, std::slice::from_ref(&closed)).len()).sum();
    assert_eq!(told, 10, "a hundred a second");
    let counters = finish(lab);
    assert_eq!((counters[Counter::IcmpErrorSent], counters[Counter::IcmpErrorLimited]), (42, 58));
    assert_eq!(counters[Counter::UdpPortClosed], 100);
}

#[test]
fn errors_can_be_off() {
    let mut lab = Lab::with(Obedient::default(), |config| {
        config.udp_ports = [7].into_iter().collect();
        config.guards.icmp_rate = None;
    });
    assert!(exchange(&mut lab, &CLIENTS.map(|client| Frame::udp(client, 8, b"hello"))).is_empty());
    assert_eq!(names(&finish(lab)), ["received", "udp_port_closed", "icmp_error_limited"]);
}

#[test]
fn nobody_is_told_of_errors_groups_and_fragments() {
    let mut lab = lab();
    for client in CLIENTS {
        let closed = Frame::udp(client, 8, b"hello, closed port");
        let group = if closed.source.is_ipv4() { "10.77.0.255" } else { "ff02::1" };
        let to_group = Frame { destination: group.parse().expect("valid"), ..closed.clone() };
        let in_group_frame = Frame { to: [0xff; 6], ..closed.clone() };
        let from_nobody = Frame {
            source: if closed.source.is_ipv4() { [0; 4].into() } else { [0; 16].into() },
            ..closed.clone()
        };
        for frame in [to_group, in_group_frame, from_nobody] {
            assert!(exchange(&mut lab, &[frame]).is_empty());
        }
        assert!(exchange(&mut lab, &closed.parts(16, 1)).is_empty());
        // Errors that came in answer to what we never sent, each about a datagram to a closed port.
        let kinds: &[u8] = if closed.source.is_ipv4() { &[3, 4, 5, 11, 12] } else { &[1, 2, 3, 4, 127] };
        for &kind in kinds {
            let mut error = Frame::ping(&closed.source.to_string(), &closed.bytes()[14..]);
            error.body[0] = kind;
            error.fill_icmp_checksum();
            assert!(exchange(&mut lab, &[error]).is_empty());
        }
    }
    assert_eq!(finish(lab)[Counter::IcmpErrorSent], 0);
}

#[test]
fn nobody_is_told_of_what_was_put_together() {
    let mut lab = Lab::with(Obedient::default(), |config| {
        config.udp_ports = [7].into_iter().collect();
        config.fragments = FragmentPolicy::Reassemble;
    });
    for client in CLIENTS {
        let closed = Frame::udp(client, 8, &pattern(100));
        let unknown = Frame { protocol: 99, ..closed.clone() };
        assert!(exchange(&mut lab, &closed.parts(64, 1)).is_empty());
        assert!(exchange(&mut lab, &unknown.parts(64, 2)).is_empty());
    }
    let counters = finish(lab);
    let dropped = (counters[Counter::UdpPortClosed], counters[Counter::ProtocolUnknown]);
    assert_eq!((counters[Counter::Reassembled], dropped), (4, (2, 2)));
}
