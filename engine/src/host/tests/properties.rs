//! Properties of the host over random frames: an answer is its question turned round, and
//! whatever comes, nothing panics, nothing is lost and nothing is answered twice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::packets::{Frame, Part, Seen, UDP, read, skipped_options, udp_bytes};
use super::{arp, finish, sent};
use crate::host::{Addressing, FragmentPolicy, HostConfig, InterfaceAddress};
use crate::wire::vlan::{VlanId, Vlans};
use crate::{Datagram, Lab, Outbox, Service, Time, Verdict};

struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

/// Tags that a client may send, and the VLANs that they mean.
const TAGS: [(&[u8], [u16; 2]); 6] = [
    (&[], [0, 0]),
    (&[0x81, 0, 0xa0, 0], [0, 0]),
    (&[0x81, 0, 0x60, 5], [5, 0]),
    (&[0x81, 0, 0, 0, 0x81, 0, 0x10, 5], [5, 0]),
    (&[0x88, 0xa8, 0x20, 100, 0x81, 0, 0xe0, 200], [100, 200]),
    (&[0x81, 0, 0, 100, 0x81, 0, 0, 200], [100, 200]),
];

/// Has the same addresses in every link, as no host would, so that tags and addresses are free
/// of each other.
fn addressed(config: &mut HostConfig) {
    let id = |number| VlanId::new(number).expect("usable");
    let links = [Vlans::NONE, Vlans::one(id(5)), Vlans::two(id(100), id(200))];
    let own = |vlans| {
        let at = |address: IpAddr, prefix_len| InterfaceAddress { address, prefix_len, vlans };
        [at(Lab::<Echo>::ADDRESS.into(), 24), at(Lab::<Echo>::ADDRESS_V6.into(), 64)]
    };
    config.addressing =
        Addressing::new(links.into_iter().flat_map(own).collect(), vec![]).expect("no gateway");
}

fn lab(fragments: FragmentPolicy) -> Lab<Echo> {
    Lab::with(Echo, |config| {
        addressed(config);
        config.fragments = fragments;
    })
}

fn source() -> impl Strategy<Value = IpAddr> {
    let v4 = (1_u8..=9, 2_u8..=250).prop_map(|(net, host)| Ipv4Addr::new(10, 70 + net, net, host).into());
    let v6 = any::<[u8; 12]>().prop_map(|low| {
        let mut octets = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        octets[4..].copy_from_slice(&low);
        Ipv6Addr::from(octets).into()
    });
    prop_oneof![v4, v6]
}

/// Extension headers whose packets are answered: of fragment headers one at most.
fn extensions() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let one = (select(vec![60_u8, 44]), 1_usize..8).prop_map(|(number, units)| match number {
        44 => (44, vec![0; 8]),
        number => (number, skipped_options(units * 8)),
    });
    (proptest::option::of(1_usize..4), vec(one, 0..4)).prop_map(|(hop_by_hop, rest)| {
        let first = hop_by_hop.map(|units| (0, skipped_options(units * 8)));
        let mut headers: Vec<_> = first.into_iter().chain(rest).collect();
        let fragment = headers.iter().position(|(number, _)| *number == 44);
        let mut index = 0..;
        headers.retain(|(number, _)| index.next() == fragment || *number != 44);
        headers
    })
}

/// A valid question with any options, tags, traffic class and hop limit.
fn question() -> impl Strategy<Value = Frame> {
    let around = (select(TAGS.to_vec()), any::<u8>(), any::<u8>(), extensions(), 0_usize..=10);
    (source(), around, is_ping_and_ports(), vec(any::<u8>(), 0..1200)).prop_map(
        |(source, ((tags, _), class, hops, extensions, options), (is_ping, from, to), payload)| {
            let mut frame = if is_ping {
                Frame::ping(&source.to_string(), &payload)
            } else {
                let mut frame = Frame::new(source, UDP, Vec::new());
                frame.body = udp_bytes((source, from).into(), (frame.destination, to).into(), &payload);
                frame
            };
            (frame.tags, frame.class, frame.hops) = (tags.to_vec(), class, hops);
            if source.is_ipv4() {
                frame.options = vec![1; options * 4];
            } else {
                frame.extensions = extensions;
            }
            frame
        },
    )
}

/// Ports that are no reflectors' and not the same.
fn is_ping_and_ports() -> impl Strategy<Value = (bool, u16, u16)> {
    (prop::bool::weighted(0.25), 1024..=u16::MAX, 1_u16..1024)
}

/// Asserts that `answer` is the question turned round.
fn is_turned_round(asked: &Frame, answer: &Seen) {
    assert_eq!((answer.to, answer.from, &answer.tags), (asked.from, asked.to, &asked.tags));
    assert_eq!((answer.source, answer.destination), (asked.destination, asked.source));
    assert_eq!((answer.class, answer.hops, answer.protocol), (asked.class & !3, 64, asked.protocol));
    assert_eq!((answer.part, answer.body.len()), (None, asked.body.len()));
    if asked.protocol == UDP {
        assert_eq!((&answer.body[..2], &answer.body[2..4]), (&asked.body[2..4], &asked.body[..2]), "ports");
        assert_eq!(answer.body[8..], asked.body[8..]);
    } else {
        let kind = if asked.source.is_ipv4() { 0 } else { 129 };
        assert_eq!(answer.body[..2], [kind, 0]);
        assert_eq!(answer.body[4..], asked.body[4..]);
    }
}

proptest! {
    /// `read` checks the sums, the lengths and the padding of an answer on the way.
    #[test]
    fn an_answer_is_its_question_turned_round(asked in question()) {
        let mut lab = lab(FragmentPolicy::Drop);
        let bytes = asked.bytes();
        prop_assert!(lab.send_frame(&bytes));
        lab.turn();
        let answers = sent(&mut lab);
        let [answer] = &answers[..] else { panic!("{} answers", answers.len()) };
        prop_assert!(answer.len() <= bytes.len().max(60), "{} bytes for {}", answer.len(), bytes.len());
        is_turned_round(&asked, &read(answer));
        finish(lab);
    }

    /// In whatever order its parts come: the answer to a whole is the same.
    #[test]
    fn the_answer_to_parts_is_that_to_the_whole(
        asked in question(), pieces in 2_usize..30, order in any::<prop::sample::Index>(),
    ) {
        let asked = Frame { options: vec![], extensions: vec![], ..asked };
        let mut parts = asked.parts((asked.body.len() / pieces).next_multiple_of(8).max(8), 7);
        prop_assume!(parts.len() > 1);
        let by = order.index(parts.len());
        parts.rotate_left(by);
        let mut lab = lab(FragmentPolicy::Reassemble);
        for part in &parts {
            prop_assert!(sent(&mut lab).is_empty());
            lab.send_frame(&part.bytes());
            lab.turn();
        }
        let answers = sent(&mut lab);
        let [answer] = &answers[..] else { panic!("{} answers", answers.len()) };
        is_turned_round(&asked, &read(answer));
        finish(lab);
    }

    #[test]
    fn whatever_comes_is_answered_once_at_most(frames in vec(mutated(), 1..20)) {
        let mut lab = lab(FragmentPolicy::Drop);
        for frame in &frames {
            lab.send_frame(frame);
            lab.turn();
            let answers = sent(&mut lab);
            prop_assert!(answers.len() <= 1, "{} answers to {frame:02x?}", answers.len());
        }
        finish(lab);
    }

    #[test]
    fn whatever_comes_in_parts_is_accounted_for(
        frames in vec((mutated(), 0_u64..20_000), 1..40), announces in any::<bool>(),
    ) {
        let mut lab = Lab::with(Echo, |config| {
            addressed(config);
            config.fragments = FragmentPolicy::Reassemble;
            config.announces = announces;
        });
        for (frame, millis) in &frames {
            lab.send_frame(frame);
            lab.advance(Duration::from_millis(*millis));
            sent(&mut lab);
        }
        finish(lab);
    }
}

/// A frame of any kind that the host knows.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let part = (question(), 0_usize..4, any::<bool>(), 0_u32..3).prop_map(|(mut frame, offset, more, id)| {
        frame.part = Some(Part { offset: offset * 64, more, id });
        frame.body.resize(64, 0);
        frame.bytes()
    });
    let ndp = (
        select(vec![133_u8, 134, 135, 136, 137]),
        select(vec!["::", "fd00:77::2", "fe80::2"]),
        any::<bool>(),
    )
        .prop_map(|(kind, from, with_option)| {
            let option: &[u8] = if with_option { &[1 + (kind & 1 ^ 1), 1, 2, 0, 0, 0, 0, 2] } else { &[] };
            let to = if kind == 135 { "ff02::1:ff00:1" } else { "ff02::1" };
            Frame::ndp(from, to, kind, "fd00:77::1", option).bytes()
        });
    let arp =
        (1_u8..3, 1_u8..4).prop_map(|(operation, last)| arp(operation, [10, 77, 0, last], [10, 77, 0, 1]));
    let anything = vec(any::<u8>(), 0..200);
    prop_oneof![4 => question().prop_map(|frame| frame.bytes()), 4 => part, 2 => ndp, 1 => arp, 1 => anything]
}

/// A frame in which some bytes are others, or which is cut or has more behind it.
pub(super) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let near = vec((0_usize..80, any::<u8>()), 0..3);
    (any_frame(), changes, near, proptest::option::of(any::<prop::sample::Index>()), 0_usize..4).prop_map(
        |(mut frame, changes, near, cut, behind)| {
            let len = frame.len();
            let anywhere = changes.into_iter().filter(|_| len > 0).map(|(at, byte)| (at.index(len), byte));
            for (at, byte) in anywhere.collect::<Vec<_>>().into_iter().chain(near) {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            if let Some(cut) = cut.filter(|_| len > 0 && behind == 0) {
                frame.truncate(cut.index(len));
            }
            frame.extend(std::iter::repeat_n(0xee, behind));
            frame
        },
    )
}
