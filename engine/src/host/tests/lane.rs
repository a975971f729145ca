//! The fast lane does what taking frames in one by one does: the same frames come out in the same
//! order, the service sees the same datagrams, and the same is counted.

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::properties::mutated;
use super::{finish, frame, sent};
use crate::host::{Addressing, FragmentPolicy, Host, HostConfig, InterfaceAddress, UdpPorts};
use crate::packet::{RxChecksum, RxChecksums};
use crate::port::memory::{MemoryOffloads, MemoryQueue};
use crate::telemetry::Snapshot;
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::vlan::{VlanId, Vlans};
use crate::{Datagram, Lab, Outbox, Service, Time, Verdict};

/// Does what the payload's last byte says, and keeps what it saw.
#[derive(Default)]
struct Fickle(Vec<(SocketAddr, SocketAddr, Vec<u8>)>);

impl Service for Fickle {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let (source, own) = (datagram.source(), datagram.destination());
        self.0.push((source, own, datagram.payload().to_vec()));
        match datagram.payload().last().map_or(0, |last| last % 16) {
            1 => Verdict::Drop,
            2 => Verdict::Forward { port: datagram.port(), from: own, to: source },
            3 => {
                datagram.payload_mut().make_ascii_uppercase();
                Verdict::Reply
            }
            4 => {
                datagram.resize(1).expect("shorter");
                Verdict::Reply
            }
            5 => {
                datagram.resize(datagram.max_len()).expect("as long as may be");
                Verdict::Reply
            }
            6 => {
                // It may be full.
                let _ = outbox.send(own, source, b"one more");
                Verdict::Reply
            }
            _ => Verdict::Reply,
        }
    }
}

/// Everything that a lab does with some frames.
#[derive(Debug, PartialEq)]
struct Outcome {
    sent: Vec<Vec<u8>>,
    seen: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    counted: Snapshot,
}

/// `said` is what the port says of the checksums of each frame.
fn outcome(mut lab: Lab<Fickle>, frames: &[Vec<u8>], said: &[RxChecksum]) -> Outcome {
    for (frame, &udp) in frames.iter().zip(said.iter().cycle()) {
        lab.say(RxChecksums { ipv4: RxChecksum::Unknown, udp });
        assert!(lab.send_frame(frame), "the wire takes it");
    }
    while lab.turn() > 0 {}
    let sent = sent(&mut lab);
    let seen = lab.service().0.clone();
    Outcome { sent, seen, counted: finish(lab) }
}

/// Ports that a host listens on: few enough to be compared with, more, and all.
fn ports() -> impl Strategy<Value = UdpPorts> {
    prop_oneof![
        Just([7].into_iter().collect()),
        Just([7, 5000].into_iter().collect()),
        Just((1..10).chain([5000]).collect()),
        Just(UdpPorts::all()),
    ]
}

/// Two addresses of the link without tags, one of them on a network of two hosts, and one in a VLAN.
fn several_addresses() -> Addressing {
    let own =
        |address: [u8; 4], prefix_len, vlans| InterfaceAddress { address: address.into(), prefix_len, vlans };
    let vlan = Vlans::one(VlanId::new(300).expect("an identifier"));
    let own = vec![
        own([10, 77, 0, 1], 24, Vlans::NONE),
        own([192, 0, 2, 0], 31, Vlans::NONE),
        own([10, 77, 0, 9], 24, vlan),
    ];
    Addressing::new(own, Vec::new()).expect("no gateway")
}

/// What a port may have been granted.
fn offloads() -> impl Strategy<Value = MemoryOffloads> {
    let grant = || proptest::bool::weighted(0.3);
    (grant(), grant(), grant(), grant()).prop_map(|(ipv4, udp, tx_udp_checksum, unmarked)| MemoryOffloads {
        tx_shared: false,
        rx_ipv4_checksum: ipv4,
        rx_udp_checksum: udp,
        tx_udp_checksum,
        unmarked_unfilled_checksums: unmarked,
    })
}

fn said() -> impl Strategy<Value = RxChecksum> {
    select(vec![RxChecksum::Unknown, RxChecksum::Good, RxChecksum::Bad, RxChecksum::Unfilled])
}

/// A datagram that is plain or nearly so: some bytes of the headers may be others, and then the
/// header's sum may be right all the same.
fn nearly_plain() -> impl Strategy<Value = Vec<u8>> {
    let ends = (
        select(vec![
            [10, 77, 0, 2],
            [192, 0, 2, 1],
            [10, 77, 0, 255],
            [10, 77, 0, 1],
            [127, 0, 0, 1],
            [224, 0, 0, 1],
        ]),
        select(vec![[10, 77, 0, 1], [10, 77, 0, 1], [192, 0, 2, 0], [10, 77, 0, 9]]),
        select(vec![4660_u16, 1024, 1023, 7, 5000, 53, 0]),
        select(vec![7_u16, 5000, 9, 0]),
    );
    let payload = vec(any::<u8>(), 0..80);
    let change = (0_usize..42, any::<u8>(), any::<bool>());
    let length = prop_oneof![4 => Just(0_i32), 1 => -4..30_i32];
    let is_summed = prop_oneof![4 => Just(true), 1 => Just(false)];
    (ends, payload, proptest::option::weighted(0.4, change), length, is_summed).prop_map(
        |((source, own, from, to), payload, change, length, is_summed)| {
            let mut frame = frame(&payload, |ip| {
                ip[12..16].copy_from_slice(&source);
                ip[16..20].copy_from_slice(&own);
            });
            frame[34..36].copy_from_slice(&from.to_be_bytes());
            frame[36..38].copy_from_slice(&to.to_be_bytes());
            fill_udp_checksum(&mut frame, is_summed);
            if let Some((at, byte, is_right)) = change {
                frame[at] = byte;
                if is_right {
                    frame[24..26].fill(0);
                    let checksum = Sum::of(&frame[14..34]).checksum();
                    frame[24..26].copy_from_slice(&checksum);
                }
            }
            let len = frame.len().saturating_add_signed(length as isize);
            frame.resize(len, 0xee);
            frame
        },
    )
}

fn fill_udp_checksum(frame: &mut [u8], is_summed: bool) {
    frame[40..42].fill(0);
    if is_summed {
        let pseudo = Sum::of(&frame[26..34]) + Sum::of(&[0, 17]) + Sum::of(&frame[38..40]);
        let checksum = udp_checksum(pseudo + Sum::of(&frame[34..]));
        frame[40..42].copy_from_slice(&checksum);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_lane_does_what_is_done_one_by_one(
        frames in vec(prop_oneof![4 => nearly_plain(), 1 => mutated()], 1..80),
        ports in ports(),
        burst in 1_usize..40,
        reassembles in any::<bool>(),
        refuses_reflectors in any::<bool>(),
        offloads in offloads(),
        said in vec(said(), 1..8),
    ) {
        let change = |config: &mut HostConfig| {
            (config.udp_ports, config.burst) = (ports.clone(), burst);
            config.addressing = several_addresses();
            config.guards.source_port = refuses_reflectors;
            if reassembles {
                config.fragments = FragmentPolicy::Reassemble;
            }
        };
        let lab = |finish: fn(Host<MemoryQueue>) -> Host<MemoryQueue>| {
            Lab::granted(offloads, Fickle::default(), change, finish)
        };
        let lane = outcome(lab(|host| host), &frames, &said);
        let one_by_one = outcome(lab(Host::without_lane), &frames, &said);
        prop_assert_eq!(lane, one_by_one);
    }
}

/// Datagrams of one length to our one address and port, one of them in a while another than it was.
fn alike() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let one = (any::<u8>(), any::<u16>(), any::<[u8; 22]>());
    let change = proptest::option::weighted(0.05, (0_usize..64, any::<u8>()));
    (select(vec![18_usize, 20, 22]), vec((one, change), 1..80)).prop_map(|(len, all)| {
        let frames = all.into_iter().map(|((host, port, payload), change)| {
            let mut frame = frame(&payload[..len], |ip| ip[15] = host);
            frame[34..36].copy_from_slice(&port.to_be_bytes());
            fill_udp_checksum(&mut frame, true);
            if let Some((at, byte)) = change
                && at < frame.len()
            {
                frame[at] = byte;
            }
            frame
        });
        frames.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn frames_alike_are_answered_as_one_by_one(frames in alike(), burst in 8_usize..40) {
        let change = |config: &mut HostConfig| (config.udp_ports, config.burst) = ([7].into_iter().collect(), burst);
        let lab = |finish: fn(Host<MemoryQueue>) -> Host<MemoryQueue>| {
            Lab::of(Fickle::default(), change, finish)
        };
        let lane = outcome(lab(|host| host), &frames, &[RxChecksum::Unknown]);
        let one_by_one = outcome(lab(Host::without_lane), &frames, &[RxChecksum::Unknown]);
        prop_assert_eq!(lane, one_by_one);
    }
}

/// Panics at the datagram whose payload begins with `!`.
struct Fragile;

impl Service for Fragile {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        assert!(!datagram.payload().starts_with(b"!"), "as it was asked to");
        Verdict::Reply
    }
}

#[test]
fn a_panic_in_the_middle_of_a_burst_leaves_exact_books() {
    let counted = |finish: fn(Host<_>) -> Host<_>, payloads: &[&[u8]]| {
        let mut lab = Lab::of(Fragile, |config| config.udp_ports = [7].into_iter().collect(), finish);
        for payload in payloads {
            assert!(lab.send_frame(&frame(payload, |_| ())));
        }
        let turn = std::panic::AssertUnwindSafe(|| lab.turn());
        std::panic::catch_unwind(turn).expect_err("the service panics");
        let (counters, pool) = lab.close();
        assert!(counters.balance().is_exact() && pool.is_balanced(), "{counters:?} {pool:?}");
        counters.non_zero().map(|(counter, value)| (counter.name(), value)).collect::<Vec<_>>()
    };
    let payloads = [&b"one"[..], b"two", b"!", b"four", b"five"];
    let lane = counted(|host| host, &payloads);
    assert_eq!(lane, counted(|host| host.without_lane(), &payloads));
    assert_eq!(lane, [("received", 5), ("delivered", 3), ("stopping", 2), ("replied", 2), ("sent", 2)]);
    // The same for frames alike.
    let mut payloads = [&[b'.'; 22][..]; 16];
    payloads[10] = b"!---------------------";
    let lane = counted(|host| host, &payloads);
    assert_eq!(lane, counted(|host| host.without_lane(), &payloads));
    assert_eq!(lane, [("received", 16), ("delivered", 11), ("stopping", 5), ("replied", 10), ("sent", 10)]);
}
