//! VLAN tags: what has none of ours is dropped, and a reply has those that its question had.

use std::net::SocketAddr;
use std::time::Duration;

use super::packets::{Frame, join, pattern, udp_bytes};
use super::{Obedient, dropped_as, exchange, finish, hello, one};
use crate::Lab;
use crate::host::{Addressing, FragmentPolicy, InterfaceAddress};
use crate::telemetry::Counter;
use crate::wire::vlan::{VlanId, Vlans};

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

/// A host with addresses in no VLAN, in VLAN 5, and in VLAN 200 of the provider's 100.
fn lab() -> Lab<Obedient> {
    Lab::with(Obedient::default(), |config| {
        let id = |number| VlanId::new(number).expect("usable");
        let own = |address: &str, prefix_len, vlans| InterfaceAddress {
            address: address.parse().expect("valid"),
            prefix_len,
            vlans,
        };
        let (one, two) = (Vlans::one(id(5)), Vlans::two(id(100), id(200)));
        let addresses = vec![
            own("10.77.0.1", 24, Vlans::NONE),
            own("10.78.0.1", 24, one),
            own("fd00:78::1", 64, one),
            own("10.79.0.1", 24, two),
            own("fd00:79::1", 64, two),
        ];
        config.addressing = Addressing::new(addresses, vec![]).expect("no gateway");
        config.udp_ports = [7].into_iter().collect();
        config.fragments = FragmentPolicy::Reassemble;
    })
}

const ONE: [u8; 4] = [0x81, 0, 0x60, 5];
const TWO: [u8; 8] = [0x88, 0xa8, 0x60, 100, 0x81, 0, 0xa0, 200];

/// A datagram to an address of ours, with tags.
fn tagged(tags: &[u8], from: &str, own: &str, port: u16, payload: &[u8]) -> Frame {
    let mut frame = Frame::udp(from, port, payload);
    let (source, destination) =
        (from.parse().expect("valid"), SocketAddr::new(own.parse().expect("valid"), port));
    (frame.tags, frame.destination) = (tags.to_vec(), destination.ip());
    frame.body = udp_bytes(source, destination, payload);
    frame
}

#[test]
fn every_answer_has_the_tags_of_its_question() {
    let links: [(&[u8], &str, &str); 4] = [
        (&ONE, "10.78.0.2:4660", "10.78.0.1"),
        (&ONE, "[fd00:78::2]:4660", "fd00:78::1"),
        (&TWO, "10.79.0.2:4660", "10.79.0.1"),
        (&TWO, "[fd00:79::2]:4660", "fd00:79::1"),
    ];
    for (tags, client, own) in links {
        let mut lab = lab();
        let payload = pattern(3000);
        let reply = exchange(&mut lab, &[tagged(tags, client, own, 7, b"hello")]);
        let error = exchange(&mut lab, &[tagged(tags, client, own, 8, b"hello")]);
        let parts = exchange(&mut lab, &tagged(tags, client, own, 7, &payload).parts(1440, 3));
        let answers = [&reply[..], &error, &[join(&parts)]].concat();
        assert!(answers.iter().all(|answer| answer.tags == tags), "{answers:?}");
        assert_eq!((answers[0].udp().2, answers[2].udp().2), (&b"hello"[..], &payload[..]));
        let wrong = if tags == ONE { &TWO[..] } else { &ONE };
        assert!(exchange(&mut lab, &[tagged(wrong, client, own, 7, b"hello")]).is_empty());
        assert_eq!(finish(lab)[Counter::NotOurIp], 1);
    }
}

#[test]
fn a_neighbour_is_asked_for_in_his_link() {
    let links: [(&[u8], &str, &str); 2] = [
        (&[0x81, 0, 0, 5], "10.78.0.2:4660", "10.78.0.1"),
        (&[0x88, 0xa8, 0, 100, 0x81, 0, 0, 200], "10.79.0.2:4660", "10.79.0.1"),
    ];
    for (tags, client, own) in links {
        let mut lab = lab();
        // The first part of something, whose sender is to be told that the rest did not come.
        assert!(
            exchange(&mut lab, &tagged(tags, client, own, 7, &pattern(100)).parts(64, 3)[..1]).is_empty()
        );
        lab.advance(Duration::from_secs(30));
        let question = lab.receive_frame().expect("an ARP request");
        assert_eq!(question[12..12 + tags.len() + 2], [tags, &[8, 6]].concat());
        finish(lab);
    }
}

/// Fragments of one link are none of another's.
#[test]
fn the_parts_of_a_datagram_come_by_one_link() {
    let mut lab = lab();
    let mut parts = tagged(&ONE, "10.78.0.2:4660", "10.78.0.1", 7, &pattern(100)).parts(64, 3);
    parts[1].tags = vec![0x81, 0, 0, 0, 0x81, 0, 0, 5];
    assert_eq!(exchange(&mut lab, &parts).len(), 1, "another priority is no other link");
    parts[1].tags = TWO.to_vec();
    assert!(exchange(&mut lab, &parts).is_empty());
    finish(lab);
}
