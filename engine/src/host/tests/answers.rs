//! What the host answers itself: ARP, echo requests, neighbour solicitations.

use super::{arp, dropped_as, frame, one};
use crate::wire::checksum::Sum;

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

pub(in crate::host) fn ping() -> Vec<u8> {
    ping_with(b"ping")
}

pub(in crate::host) fn ping_with(data: &[u8]) -> Vec<u8> {
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
