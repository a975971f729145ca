//! The `af_packet` port on real interfaces: veth pairs between network namespaces of the
//! test's own, with the kernel's sockets or a second port at the far end.
//!
//! These tests take root. Without it they print `skipped: NAME: REASON` and pass, but for
//! `CI=true`, where a skip is a failure.

mod spread;

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gannet::packet::{Burst, Packet as _, RxChecksum};
use gannet::port::af_packet::{self, AfPacketError, AfPacketPacket, AfPacketQueue};
use gannet::port::{FrameQueue as _, HEADROOM, OpenPort, PortConfig, PortControl};
use gannet::telemetry::Counter;

const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Local experimental EtherType (IEEE 802): no stack answers it.
const EXPERIMENTAL: [u8; 2] = [0x88, 0xb5];

#[test]
fn raw_frames_are_echoed_byte_for_byte_and_may_grow() {
    in_lab("raw_frames_are_echoed_byte_for_byte_and_may_grow", |lab| {
        let (mut near, mut far) = (lab.near_port(&PortConfig::default()), lab.far_port());
        for len in [14, 15, 60, 64, 1000, 1513, 1514] {
            far.send(&[frame(NEAR_MAC, len)]);
            let mut received = near.receive(1);
            assert_eq!(received[0].frame(), frame(NEAR_MAC, len));
            assert_eq!(received[0].rx_checksums().udp, RxChecksum::Unknown);
            received[0].set_frame_len(1514);
            let room = received[0].room_mut();
            room[..6].copy_from_slice(&FAR_MAC);
            room[len..1514].fill(0xee);
            near.queue().tx_burst(&mut received);
            assert!(received.is_empty());
            let mut expected = frame(FAR_MAC, len);
            expected.resize(1514, 0xee);
            far.expect(&expected);
        }
        assert_eq!(near.counter(Counter::Received), 7);
        assert_eq!(near.counter(Counter::Sent), 7);
        near.finish();
        far.finish();
    });
}

#[test]
fn a_kernel_datagram_comes_unfilled_and_its_reply_is_accepted() {
    in_lab("a_kernel_datagram_comes_unfilled_and_its_reply_is_accepted", |lab| {
        let mut near = lab.near_port(&PortConfig::default());
        let socket = lab.far.socket("10.9.0.2:0");
        for len in [1, 2, 3, 100, 1471, 1472] {
            let payload: Vec<u8> = (0..len).map(|index| index as u8 ^ 0x5a).collect();
            socket.send_to(&payload, "10.9.0.1:7").expect("sent");
            let mut received = near.receive(1);
            assert_eq!(received[0].rx_checksums().udp, RxChecksum::Unfilled);
            echo_datagram(&mut received[0]);
            near.queue().tx_burst(&mut received);
            let mut answer = [0; 2000];
            let (answered, from) = socket.recv_from(&mut answer).expect("an answer");
            assert_eq!((&answer[..answered], from.to_string().as_str()), (&payload[..], "10.9.0.1:7"));
        }
        near.finish();
    });
}

#[test]
fn jumbo_datagrams_come_and_go_whole() {
    in_lab("jumbo_datagrams_come_and_go_whole", |lab| {
        lab.near.ip("link set near0 mtu 9000");
        lab.far.ip("link set far0 mtu 9000");
        let mut near = lab.near_port(&PortConfig { mtu: Some(9000), ..PortConfig::default() });
        assert_eq!(near.queues[0].capabilities().mtu, 9000);
        let socket = lab.far.socket("10.9.0.2:0");
        // The last is the longest: 9,000 less the headers of IP and UDP.
        for len in [1473, 4096, 8900, 8972] {
            let payload: Vec<u8> = (0..len).map(|index: usize| (index / 256 + index) as u8).collect();
            socket.send_to(&payload, "10.9.0.1:7").expect("sent");
            let mut received = near.receive(1);
            assert_eq!(received[0].frame_len(), 14 + 20 + 8 + len, "in one frame");
            echo_datagram(&mut received[0]);
            near.queue().tx_burst(&mut received);
            let mut answer = [0; 10_000];
            let answered = socket.recv(&mut answer).expect("an answer");
            assert_eq!(answer[..answered], payload);
        }
        // Originated, from a buffer of the pool.
        let mut far = lab.far.port("far0", &PortConfig::default());
        near.send(&[frame(FAR_MAC, 9014)]);
        far.expect(&frame(FAR_MAC, 9014));
        assert_eq!(near.counter(Counter::RxTruncated), 0);
        near.finish();
        far.finish();
    });
}

#[test]
fn vlan_tags_are_put_back_and_the_reply_keeps_them() {
    in_lab("vlan_tags_are_put_back_and_the_reply_keeps_them", |lab| {
        let (mut near, mut far) = (lab.near_port(&PortConfig::default()), lab.far_port());
        let tagged = |destination, tags: &[u8], len: usize| {
            let plain = frame(destination, len);
            [&plain[..12], tags, &plain[12..]].concat()
        };
        // One tag; one with a priority; two, of which the kernel takes the outer one out. The
        // first tag comes on top of the MTU.
        let cases: [(&[u8], usize); 4] = [
            (&[0x81, 0, 0, 7], 60),
            (&[0x81, 0, 0x60, 7], 1514),
            (&[0x88, 0xa8, 0x0f, 0xff], 16),
            (&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2], 100),
        ];
        for (tags, len) in cases {
            far.send(&[tagged(NEAR_MAC, tags, len)]);
            let mut received = near.receive(1);
            assert_eq!(received[0].frame(), tagged(NEAR_MAC, tags, len));
            assert!(received[0].grow_front(HEADROOM));
            received[0].trim_front(HEADROOM);
            received[0].room_mut()[..6].copy_from_slice(&FAR_MAC);
            near.queue().tx_burst(&mut received);
            let mut expected = tagged(NEAR_MAC, tags, len);
            expected[..6].copy_from_slice(&FAR_MAC);
            far.expect(&expected);
        }
        near.finish();
        far.finish();
    });
}

#[test]
fn outgoing_frames_are_not_received() {
    in_lab("outgoing_frames_are_not_received", |lab| {
        lab.near.ip("addr add 10.9.0.1/24 dev near0");
        lab.near.ip("neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev near0 nud permanent");
        for queues in [1, 2] {
            let mut near = lab.near_port(&PortConfig { queues, ..PortConfig::default() });
            let far_socket = lab.far.socket("10.9.0.2:7");
            // Of the kernel, and of our own.
            lab.near.socket("10.9.0.1:0").send_to(b"out", "10.9.0.2:7").expect("sent");
            assert_eq!(far_socket.recv(&mut [0; 9]).expect("arrived"), 3);
            near.send(&[frame(FAR_MAC, 60)]);
            near.expect_silence();
            near.finish();
        }
    });
}

#[test]
fn two_queues_share_the_flows_and_keep_each_in_one_place() {
    in_lab("two_queues_share_the_flows_and_keep_each_in_one_place", |lab| {
        // Odd, so that dealing frames out in turn would not look like keeping flows together.
        const FLOWS: usize = 25;
        const EACH: usize = 10;
        let mut near = lab.near_port(&PortConfig { queues: 2, ..PortConfig::default() });
        assert_eq!((near.queues.len(), near.control.description().queues), (2, 2));
        let sockets: Vec<_> = (0..FLOWS).map(|_| lab.far.socket("10.9.0.2:0")).collect();
        for _ in 0..EACH {
            sockets
                .iter()
                .for_each(|socket| assert_eq!(socket.send_to(b"flow", "10.9.0.1:7").expect("sent"), 4));
        }
        let mut seen: HashMap<[u8; 2], (HashSet<usize>, usize)> = HashMap::new();
        poll_until(|| {
            for (index, queue) in near.queues.iter_mut().enumerate() {
                let mut burst = Burst::with_capacity(32);
                queue.rx_burst(&mut burst);
                for packet in burst.iter() {
                    let port = [packet.frame()[34], packet.frame()[35]];
                    let (queues, count) = seen.entry(port).or_default();
                    queues.insert(index);
                    *count += 1;
                }
                queue.free_burst(&mut burst);
            }
            seen.values().map(|(_, count)| count).sum::<usize>() >= FLOWS * EACH
        });
        near.expect_silence();
        assert_eq!(seen.len(), FLOWS);
        assert!(seen.values().all(|(queues, count)| queues.len() == 1 && *count == EACH), "{seen:?}");
        assert_eq!(seen.values().flat_map(|(queues, _)| queues).collect::<HashSet<_>>().len(), 2, "{seen:?}");
        near.finish();
    });
}

#[test]
fn a_frame_longer_than_a_slot_is_counted_and_freed() {
    in_lab("a_frame_longer_than_a_slot_is_counted_and_freed", |lab| {
        let mut near = lab.near_port(&PortConfig { rx_descriptors: Some(4), ..PortConfig::default() });
        lab.near.ip("link set near0 mtu 9000");
        lab.far.ip("link set far0 mtu 9000");
        let mut far = lab.far_port();
        for round in 1..=6 {
            far.send(&[frame(NEAR_MAC, 4000), frame(NEAR_MAC, 100)]);
            near.expect(&frame(NEAR_MAC, 100));
            assert_eq!(near.counter(Counter::RxTruncated), round);
            assert_eq!(near.counter(Counter::Received), 2 * round);
        }
        near.finish();
        far.finish();
    });
}

#[test]
fn super_frames_of_every_kind_are_counted_and_what_follows_arrives() {
    const NAME: &str = "super_frames_of_every_kind_are_counted_and_what_follows_arrives";
    in_lab(NAME, |lab| {
        let flags = libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        let Ok(tap) = lab.near.inside(|| open_tap("tap0", flags)) else {
            return skip(NAME, "no TAP devices here");
        };
        lab.near.ip("link set tap0 up");
        let config = PortConfig { rx_descriptors: Some(4), ..PortConfig::default() };
        let mut port = lab.near.port("tap0", &config);
        let mut sent = 0;
        // `VIRTIO_NET_HDR_GSO_*`: TCPV4, UDP (whole datagrams, as guests may send them), UDP_L4 over
        // both versions of IP, TCPV6.
        for (kind, is_ipv6) in [(1, false), (3, false), (5, false), (5, true), (4, true)].repeat(3) {
            // As few bytes as fit a slot, and more.
            for payload in [1000, 4000] {
                // The kernel of before 6.2 takes no UDP_L4.
                sent += u64::from((&tap).write(&super_frame(kind, is_ipv6, payload)).is_ok());
                let behind = frame([2; 6], 60);
                (&tap).write_all(&[&[0; 10], &behind[..]].concat()).expect("sent");
                port.expect(&behind);
                assert_eq!(port.counter(Counter::RxSuperFrame), sent, "kind {kind}, IPv6: {is_ipv6}");
            }
        }
        assert!(sent >= 18);
        assert_eq!(port.counter(Counter::Received), sent + 30);
        assert_eq!(port.counter(Counter::RxTruncated), 0);
        port.finish();
    });
}

#[test]
fn without_the_right_to_tell_super_frames_that_is_said() {
    const NAME: &str = "without_the_right_to_tell_super_frames_that_is_said";
    in_lab(NAME, |lab| {
        let everybody = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled");
        if everybody.is_ok_and(|value| value.trim() == "0") {
            return skip(NAME, "every user may load filters here");
        }
        let opened = lab.near.inside(|| {
            keep_only_net_raw();
            af_packet::open("near0", &PortConfig::default())
        });
        let OpenPort { queues, control } = opened.unwrap_or_else(|error| panic!("{error}"));
        let granted = control.description().granted.join("\n");
        assert!(granted.contains("super-frames") && granted.contains("CAP_BPF"), "{granted}");
        let (mut near, mut far) = (Port { queues, control }, lab.far_port());
        far.send(&[frame(NEAR_MAC, 60)]);
        near.expect(&frame(NEAR_MAC, 60));
        near.finish();
        far.finish();
        let granted = lab.near_port(&PortConfig::default()).control.description().granted.join("\n");
        assert!(!granted.contains("super-frames"), "{granted}");
    });
}

#[test]
fn a_refused_frame_does_not_block_the_next() {
    in_lab("a_refused_frame_does_not_block_the_next", |lab| {
        let (mut near, mut far) = (lab.near_port(&PortConfig::default()), lab.far_port());
        // Too long for the interface, and too short for a header.
        let frames = [60, 1700, 61, 13, 1700, 62].map(|len| frame(FAR_MAC, len));
        near.send(&frames);
        for index in [0, 2, 5] {
            far.expect(&frames[index]);
        }
        assert_eq!(near.counter(Counter::Sent), 3);
        assert_eq!(near.counter(Counter::TxRejected), 3);
        far.expect_silence();
        near.finish();
        far.finish();
    });
}

#[test]
fn a_device_that_takes_nothing_leaves_all_with_the_caller() {
    in_lab("a_device_that_takes_nothing_leaves_all_with_the_caller", |lab| {
        let (mut near, mut far) = (lab.near_port(&PortConfig::default()), lab.far_port());
        for (namespace, link) in [(&lab.far, "far0"), (&lab.near, "near0")] {
            namespace.ip(&format!("link set {link} down"));
            let mut burst = near.fill(&[frame(FAR_MAC, 60), frame(FAR_MAC, 61)]);
            near.queue().tx_burst(&mut burst);
            let left: Vec<_> = burst.iter().map(|packet| packet.frame_len()).collect();
            assert_eq!(left, [60, 61]);
            near.queue().free_burst(&mut burst);
            namespace.ip(&format!("link set {link} up"));
        }
        assert_eq!(near.counter(Counter::Sent) + near.counter(Counter::TxRejected), 0);
        poll_until(|| {
            lab.near.says("link show near0", "LOWER_UP") && lab.far.says("link show far0", "LOWER_UP")
        });
        near.drain();
        far.drain();
        near.send(&[frame(FAR_MAC, 62)]);
        far.expect(&frame(FAR_MAC, 62));
        far.send(&[frame(NEAR_MAC, 63)]);
        near.expect(&frame(NEAR_MAC, 63));
        near.finish();
        far.finish();
    });
}

#[test]
fn a_device_that_fills_up_takes_a_prefix() {
    in_lab("a_device_that_fills_up_takes_a_prefix", |lab| {
        // A TAP device holds as many frames as its queue is long, until its program reads them.
        let Ok(tap) = lab.near.inside(|| open_tap("tap0", libc::IFF_NO_PI)) else {
            return skip("a_device_that_fills_up_takes_a_prefix", "no TAP devices here");
        };
        lab.near.ip("link set tap0 txqueuelen 5");
        lab.near.ip("link set tap0 up");
        let mut port = lab.near.port("tap0", &PortConfig::default());
        let frames: Vec<_> = (60..70).map(|len| frame(FAR_MAC, len)).collect();
        let mut burst = port.fill(&frames);
        port.queue().tx_burst(&mut burst);
        let sent = frames.len() - burst.len();
        assert!((1..frames.len()).contains(&sent), "{sent} sent");
        assert_eq!(port.counter(Counter::Sent), sent as u64);
        assert!(burst.iter().zip(&frames[sent..]).all(|(packet, frame)| packet.frame() == frame));
        let mut bytes = [0; 2000];
        for frame in &frames[..sent] {
            let len = io::Read::read(&mut &tap, &mut bytes).expect("a frame");
            assert_eq!(&bytes[..len], frame);
        }
        port.queue().tx_burst(&mut burst);
        assert!(burst.len() < frames.len() - sent, "traffic resumes");
        port.queue().free_burst(&mut burst);
        port.finish();
    });
}

#[test]
fn a_full_ring_drops_counts_and_resumes() {
    in_lab("a_full_ring_drops_counts_and_resumes", |lab| {
        let config = PortConfig { rx_descriptors: Some(8), burst: 4, held: 4, ..PortConfig::default() };
        let (mut near, mut far) = (lab.near_port(&config), lab.far_port());
        let lengths = |burst: &Burst<AfPacketPacket>| burst.iter().map(|p| p.frame_len()).collect::<Vec<_>>();
        far.send(&(60..72).map(|len| frame(NEAR_MAC, len)).collect::<Vec<_>>());
        let mut received = near.receive(8);
        assert_eq!(lengths(&received), (60..68).collect::<Vec<_>>());
        // All slots are out: nothing more is received, and no slot twice.
        near.expect_silence();
        let statistics: HashMap<_, _> = near.control.extended_statistics().into_iter().collect();
        assert_eq!((statistics["rx_q0_ring_packets"], statistics["rx_q0_ring_drops"]), (12, 4));
        // The kernel goes in order: with the first slot out, the others do not help it.
        let mut others = Burst::with_capacity(8);
        received.drain_prefix(1).for_each(|first| others.push(first).expect("room"));
        near.queue().free_burst(&mut received);
        far.send(&[frame(NEAR_MAC, 80)]);
        near.expect_silence();
        // A copy frees the slot.
        let first = others.pop().expect("the first");
        let held = near.queue().hold(first).expect("a buffer");
        assert_eq!(held.frame(), frame(NEAR_MAC, 60));
        far.send(&[frame(NEAR_MAC, 81)]);
        near.expect(&frame(NEAR_MAC, 81));
        others.push(held).expect("room");
        near.queue().free_burst(&mut others);
        let statistics: HashMap<_, _> = near.control.extended_statistics().into_iter().collect();
        assert_eq!((statistics["rx_q0_ring_packets"], statistics["rx_q0_ring_drops"]), (14, 5));
        near.finish();
        far.finish();
    });
}

#[test]
fn an_empty_pool_gives_the_packet_back() {
    in_lab("an_empty_pool_gives_the_packet_back", |lab| {
        let config = PortConfig { burst: 4, held: 2, ..PortConfig::default() };
        let (mut near, mut far) = (lab.near_port(&config), lab.far_port());
        let mut lent = Burst::with_capacity(100);
        near.queue().alloc_burst(&mut lent);
        assert_eq!(lent.len(), 10);
        for packet in lent.iter_mut() {
            assert!(packet.frame_len() == 0 && packet.room_mut().len() >= 14 + 8 + 1500);
            assert!(packet.grow_front(HEADROOM));
        }
        far.send(&[frame(NEAR_MAC, 60)]);
        let received = near.receive(1).pop().expect("a frame");
        let received = near.queue().hold(received).expect_err("no buffer");
        assert_eq!(received.frame(), frame(NEAR_MAC, 60));
        // What is in a buffer may be held as it is.
        let buffer = near.queue().hold(lent.pop().expect("a buffer")).expect("held already");
        lent.push(buffer).expect("room");
        lent.push(received).expect("room");
        near.queue().free_burst(&mut lent);
        near.finish();
        far.finish();
    });
}

#[test]
fn a_packet_leaves_by_another_port_and_its_place_finds_home() {
    in_lab("a_packet_leaves_by_another_port_and_its_place_finds_home", |lab| {
        let config = PortConfig { rx_descriptors: Some(4), burst: 2, held: 0, ..PortConfig::default() };
        let (mut near, mut far) = (lab.near_port(&config), lab.far_port());
        for round in 0..20 {
            far.send(&[frame(NEAR_MAC, 60 + round)]);
            let mut packets = near.receive(1);
            let mut originated = near.fill(&[frame(NEAR_MAC, 200)]);
            packets.append(&mut originated);
            // Another queue, on another thread, sends and frees them.
            thread::scope(|scope| {
                scope.spawn(|| {
                    if round % 2 == 0 {
                        far.queue().tx_burst(&mut packets);
                    } else {
                        far.queue().free_burst(&mut packets);
                    }
                });
            });
            if round % 2 == 0 {
                near.expect(&frame(NEAR_MAC, 60 + round));
                near.expect(&frame(NEAR_MAC, 200));
            }
        }
        near.finish();
        far.finish();
    });
}

#[test]
fn memory_survives_a_queue_that_is_dropped_before_its_packets() {
    in_lab("memory_survives_a_queue_that_is_dropped_before_its_packets", |lab| {
        let (near, mut far) = (lab.near_port(&PortConfig::default()), lab.far_port());
        let Port { mut queues, control } = near;
        far.send(&[frame(NEAR_MAC, 60)]);
        let mut burst = Burst::with_capacity(2);
        poll_until(|| {
            queues[0].rx_burst(&mut burst);
            !burst.is_empty()
        });
        let mut lent = Burst::with_capacity(1);
        queues[0].alloc_burst(&mut lent);
        burst.append(&mut lent);
        drop(queues);
        let balances = control.close();
        let missing: Vec<_> =
            balances.iter().map(|pool| (pool.name.as_str(), pool.size - pool.free)).collect();
        assert_eq!(missing, [("near0 rx slots", 1), ("near0 buffers", 1)]);
        assert_eq!(burst[0].frame(), frame(NEAR_MAC, 60));
        burst[1].room_mut().fill(0xaa);
        far.queue().free_burst(&mut burst);
        far.finish();
    });
}

#[test]
fn an_interface_that_is_down_works_once_it_is_up() {
    in_lab("an_interface_that_is_down_works_once_it_is_up", |lab| {
        let mut far = lab.far_port();
        lab.near.ip("link set near0 down");
        let mut near = lab.near_port(&PortConfig::default());
        let granted = near.control.description().granted.join("\n");
        assert!(granted.contains("ip link set near0 up"), "{granted}");
        lab.near.ip("link set near0 up");
        poll_until(|| lab.far.says("link show far0", "LOWER_UP"));
        // The kernel reports the fall of the link to the socket once more, which costs no frame.
        far.send(&[frame(NEAR_MAC, 60)]);
        near.expect(&frame(NEAR_MAC, 60));
        near.finish();
        far.finish();
    });
}

#[test]
fn promiscuous_only_on_request() {
    in_lab("promiscuous_only_on_request", |lab| {
        for promiscuous in [false, true] {
            let near = lab.near_port(&PortConfig { promiscuous, ..PortConfig::default() });
            let expected = format!("promiscuity {} ", u8::from(promiscuous));
            assert!(lab.near.says("-d link show near0", &expected));
            near.finish();
        }
        assert!(lab.near.says("-d link show near0", "promiscuity 0 "));
    });
}

#[test]
fn the_interface_describes_itself() {
    in_lab("the_interface_describes_itself", |lab| {
        lab.near.ip("link set near0 mtu 9000");
        let near = lab.near_port(&PortConfig { mtu: Some(1400), ..PortConfig::default() });
        let description = near.control.description();
        assert_eq!((description.name.as_str(), description.driver.as_str()), ("near0", "af_packet"));
        assert_eq!((description.mac.0, description.mtu), (NEAR_MAC, 1400));
        let capabilities = near.queues[0].capabilities();
        assert_eq!((capabilities.mac.0, capabilities.mtu), (NEAR_MAC, 1400));
        assert!(capabilities.rx_udp_checksum && !capabilities.tx_udp_checksum);
        near.finish();
    });
}

#[test]
fn the_own_statistics_of_the_interface_are_read() {
    in_lab("the_own_statistics_of_the_interface_are_read", |lab| {
        let (mut near, mut far) = (lab.near_port(&PortConfig::default()), lab.far_port());
        far.send(&[frame(NEAR_MAC, 60), frame(NEAR_MAC, 60)]);
        let mut received = near.receive(2);
        near.queue().free_burst(&mut received);
        let statistics = lab.near.inside(|| {
            show_own_sysfs();
            near.control.extended_statistics()
        });
        let statistics: HashMap<_, _> = statistics.into_iter().collect();
        assert_eq!((statistics["rx_packets"], statistics["rx_bytes"]), (2, 120));
        assert_eq!((statistics["rx_q0_ring_packets"], statistics["rx_q0_ring_drops"]), (2, 0));
        near.finish();
        far.finish();
    });
}

#[test]
fn several_queues_of_an_interface_that_is_down_open_or_say_what_to_do() {
    in_lab("several_queues_of_an_interface_that_is_down_open_or_say_what_to_do", |lab| {
        lab.near.ip("link set near0 down");
        let config = PortConfig { queues: 2, ..PortConfig::default() };
        // It depends on the kernel: newer ones open them.
        match lab.near.inside(|| af_packet::open("near0", &config)) {
            Ok(OpenPort { queues, control }) => Port { queues, control }.finish(),
            Err(error) => assert!(error.to_string().contains("`ip link set near0 up`"), "{error}"),
        }
    });
}

#[test]
fn what_cannot_be_opened_says_why() {
    in_lab("what_cannot_be_opened_says_why", |lab| {
        let refused = |interface: &str, config: &PortConfig| {
            lab.near.inside(|| af_packet::open(interface, config)).err().expect("refused")
        };
        let config = PortConfig::default();
        assert!(matches!(refused("far0", &config), AfPacketError::NoSuchInterface { .. }));
        assert!(matches!(refused("lo", &config), AfPacketError::Loopback { .. }));
        let longer = PortConfig { mtu: Some(1501), ..PortConfig::default() };
        assert!(refused("near0", &longer).to_string().contains("ip link set near0 mtu 1501"));
        let error = lab.near.inside(|| {
            give_up_rights();
            af_packet::open("near0", &PortConfig::default()).err()
        });
        let error = error.expect("refused").to_string();
        assert!(error.contains("near0") && error.contains("setcap cap_net_raw+ep"), "{error}");
    });
}

// ---- frames ------------------------------------------------------------------

/// A datagram or segment of `payload` bytes to be cut every 500, as a program at a TAP
/// device writes it: a `virtio_net_hdr` of that kind of segmentation in front.
fn super_frame(kind: u8, is_ipv6: bool, payload: u16) -> Vec<u8> {
    let is_tcp = matches!(kind, 1 | 4);
    let (protocol, header_len, checksum_offset) = if is_tcp { (6, 20, 16) } else { (17, 8, 6) };
    let udp_at = if is_ipv6 { 54 } else { 34 };
    let words = [udp_at + header_len, 500, udp_at, checksum_offset].map(u16::to_ne_bytes);
    let mut frame = [&[1, kind], words.as_flattened(), &[2; 12]].concat();
    let [a, b] = (header_len + payload).to_be_bytes();
    if is_ipv6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, a, b, protocol, 64]);
        frame.extend([[0xfd; 16], [0xfe; 16]].as_flattened());
    } else {
        let [c, d] = (20 + header_len + payload).to_be_bytes();
        frame.extend([8, 0, 0x45, 0, c, d, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1]);
    }
    frame.extend([0, 7, 0, 7]);
    // The data offset and flags of TCP, or a datagram's length.
    if is_tcp {
        frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
    } else {
        frame.extend([a, b, 0, 0]);
    }
    frame.resize(frame.len() + usize::from(payload), 0);
    frame
}

/// A frame of `len` bytes to `destination`, with a pattern for a payload.
fn frame(destination: [u8; 6], len: usize) -> Vec<u8> {
    let pattern = (0..).map(|index: usize| (index * 7 + len) as u8);
    let header = destination.into_iter().chain([2, 0, 0, 0, 0, 9]).chain(EXPERIMENTAL);
    header.chain(pattern).take(len).collect()
}

/// Turns a UDP datagram round in place, by hand.
fn echo_datagram(packet: &mut AfPacketPacket) {
    let len = packet.frame_len();
    let frame = &mut packet.room_mut()[..len];
    let swap = |bytes: &mut [u8], half: usize| (0..half).for_each(|index| bytes.swap(index, index + half));
    swap(&mut frame[..12], 6);
    let ip = &mut frame[14..];
    assert_eq!((ip[0], ip[9]), (0x45, 17), "IPv4 with no options, UDP");
    swap(&mut ip[12..20], 4);
    swap(&mut ip[20..24], 2);
    let end = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let checksum = udp_checksum(&ip[12..20], &mut ip.to_vec()[20..end]);
    ip[26..28].copy_from_slice(&checksum.to_be_bytes());
}

/// RFC 768, over the pseudo header and a datagram, whose checksum field it clears.
fn udp_checksum(addresses: &[u8], datagram: &mut [u8]) -> u16 {
    datagram[6..8].fill(0);
    let words = |bytes: &[u8]| -> u32 {
        bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
            .sum()
    };
    let sum = words(addresses) + 17 + datagram.len() as u32 + words(datagram);
    let folded = (sum >> 16) + (sum & 0xffff);
    match !(((folded >> 16) + folded) as u16) {
        0 => 0xffff,
        checksum => checksum,
    }
}

// ---- ports -------------------------------------------------------------------

/// An open port, with what these tests do with one.
struct Port {
    queues: Vec<AfPacketQueue>,
    control: Box<dyn PortControl>,
}

impl Port {
    fn queue(&mut self) -> &mut AfPacketQueue {
        &mut self.queues[0]
    }

    fn counter(&self, counter: Counter) -> u64 {
        self.queues.iter().map(|queue| queue.counters().snapshot()[counter]).sum()
    }

    /// Originated packets with these bytes.
    fn fill(&mut self, frames: &[Vec<u8>]) -> Burst<AfPacketPacket> {
        let mut burst = Burst::with_capacity(frames.len());
        self.queue().alloc_burst(&mut burst);
        assert_eq!(burst.len(), frames.len(), "buffers for all");
        for (packet, frame) in burst.iter_mut().zip(frames) {
            packet.set_frame_len(frame.len());
            packet.room_mut()[..frame.len()].copy_from_slice(frame);
        }
        burst
    }

    fn send(&mut self, frames: &[Vec<u8>]) {
        let mut burst = self.fill(frames);
        self.queue().tx_burst(&mut burst);
        assert!(burst.is_empty(), "{} left", burst.len());
    }

    /// Waits for `count` frames on the first queue.
    fn receive(&mut self, count: usize) -> Burst<AfPacketPacket> {
        let mut burst = Burst::with_capacity(count);
        let queue = self.queue();
        poll_until(|| {
            queue.rx_burst(&mut burst);
            burst.is_full()
        });
        // Room for what a test adds.
        let mut roomy = Burst::with_capacity(count + 1);
        roomy.append(&mut burst);
        roomy
    }

    fn expect(&mut self, frame: &[u8]) {
        let mut burst = self.receive(1);
        assert_eq!(burst[0].frame(), frame);
        self.queue().free_burst(&mut burst);
    }

    /// Nothing comes for a moment.
    fn expect_silence(&mut self) {
        thread::sleep(Duration::from_millis(50));
        let mut burst = Burst::with_capacity(32);
        for queue in &mut self.queues {
            queue.rx_burst(&mut burst);
            let frames: Vec<_> = burst.iter().map(|packet| packet.frame().to_vec()).collect();
            queue.free_burst(&mut burst);
            assert!(frames.is_empty(), "{frames:02x?}");
        }
    }

    fn drain(&mut self) {
        thread::sleep(Duration::from_millis(50));
        let mut burst = Burst::with_capacity(1024);
        self.queue().rx_burst(&mut burst);
        self.queue().free_burst(&mut burst);
    }

    /// Closes the port, to which everything has come back.
    fn finish(self) {
        drop(self.queues);
        let balances = self.control.close();
        assert_eq!(balances.len(), 2);
        assert!(balances.iter().all(|pool| pool.size > 0 && pool.is_balanced()), "{balances:?}");
    }
}

fn poll_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !done() {
        assert!(Instant::now() < deadline, "nothing came for 5 seconds");
        thread::yield_now();
    }
}

// ---- the lab -----------------------------------------------------------------

/// Two namespaces, `near0` of the one wired to `far0` of the other. The kernel has an
/// address, 10.9.0.2, at the far end only.
struct Lab {
    near: Namespace,
    far: Namespace,
}

/// Runs a test in a lab of its own, or skips it by name.
fn in_lab(name: &str, test: impl FnOnce(&Lab)) {
    let near = match Namespace::new() {
        Ok(near) => near,
        Err(reason) => return skip(name, &reason),
    };
    let far = Namespace::new().expect("a second namespace");
    near.ip(&format!("link add near0 type veth peer name far0 netns {}", far.0));
    near.ip("link set near0 address 02:00:00:00:00:01 up");
    far.ip("link set far0 address 02:00:00:00:00:02 up");
    far.ip("addr add 10.9.0.2/24 dev far0");
    far.ip("neigh replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev far0 nud permanent");
    poll_until(|| near.says("link show near0", "LOWER_UP"));
    test(&Lab { near, far });
}

fn skip(name: &str, reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} can't run: {reason}");
    // Past the test harness, which keeps what passing tests print to itself.
    // On a line of its own, whatever the harness is writing.
    writeln!(io::stdout(), "\nskipped: {name}: {reason}").expect("standard output");
}

impl Lab {
    fn near_port(&self, config: &PortConfig) -> Port {
        self.near.port("near0", config)
    }

    fn far_port(&self) -> Port {
        self.far.port("far0", &PortConfig::default())
    }
}

/// A network namespace, gone with its value.
struct Namespace(String);

impl Namespace {
    /// A new one with no IPv6, so that its kernel says nothing of its own accord.
    fn new() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gannet-afp-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let output = Command::new("ip").args(["netns", "add", &name]).output();
        let output = output.map_err(|error| format!("the program ip: {error}"))?;
        if !output.status.success() {
            return Err(format!("ip netns add: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let namespace = Self(name);
        namespace.inside(|| {
            for conf in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv6/conf/{conf}/disable_ipv6");
                if std::path::Path::new(&path).exists() {
                    std::fs::write(path, "1").expect("root may write this");
                }
            }
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("root may write this");
        });
        Ok(namespace)
    }

    fn ip_output(&self, arguments: &str) -> std::process::Output {
        let mut command = Command::new("ip");
        command.args(["-n", &self.0]).args(arguments.split(' ')).output().expect("ip is there")
    }

    fn ip(&self, arguments: &str) {
        let output = self.ip_output(arguments);
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn says(&self, arguments: &str, part: &str) -> bool {
        String::from_utf8_lossy(&self.ip_output(arguments).stdout).contains(part)
    }

    /// Runs `work` on a thread in the namespace. Sockets that it opens stay there.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.0)).expect("the namespace");
        let run = || {
            // SAFETY: the call takes a descriptor that is open, and moves this thread only.
            let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(entered, 0, "setns: {}", io::Error::last_os_error());
            work()
        };
        thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
    }

    fn socket(&self, address: &str) -> UdpSocket {
        let socket = self.inside(|| UdpSocket::bind(address)).expect(address);
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        socket
    }

    fn port(&self, interface: &str, config: &PortConfig) -> Port {
        let opened = self.inside(|| af_packet::open(interface, config));
        let OpenPort { queues, control } = opened.unwrap_or_else(|error| panic!("{error}"));
        Port { queues, control }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// Makes the calling thread an ordinary user's. The system call, unlike the function of
/// libc, leaves the other threads as they are.
fn give_up_rights() {
    const NOBODY: libc::c_long = 65534;
    // SAFETY: the call takes three numbers.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
    assert_eq!(result, 0, "setresuid: {}", io::Error::last_os_error());
}

/// Leaves the calling thread, which is root's, only the right to open packet sockets.
fn keep_only_net_raw() {
    const VERSION_3: u32 = 0x2008_0522;
    const CAP_NET_RAW: u32 = 1 << 13;
    // Version and thread; then effective, permitted and inheritable rights, in two halves.
    let (header, rights) = ([VERSION_3, 0], [CAP_NET_RAW, CAP_NET_RAW, 0, 0, 0, 0]);
    // SAFETY: both live through the call, which reads them and changes this thread only.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), rights.as_ptr()) };
    assert_eq!(result, 0, "capset: {}", io::Error::last_os_error());
}

/// Mounts sysfs anew for the calling thread alone: it shows the interfaces of the network
/// namespace in which it was mounted.
fn show_own_sysfs() {
    let check = |result| assert_eq!(result, 0, "{}", io::Error::last_os_error());
    // SAFETY: the call takes numbers, and changes this thread only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) });
    let mount = |kind: Option<&CStr>, at: &CStr, flags| {
        let kind = kind.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: the names live through the call, and the others may be null.
        check(unsafe { libc::mount(c"none".as_ptr(), at.as_ptr(), kind, flags, ptr::null()) });
    };
    mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE);
    mount(Some(c"sysfs"), c"/sys", 0);
}

/// A TAP interface, and the program's end of it.
fn open_tap(name: &str, flags: libc::c_int) -> io::Result<File> {
    let tap = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: an ifreq is numbers and bytes, for which zeros are values.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from.cast_signed());
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | flags) as i16;
    // SAFETY: the call reads an ifreq that lives through it.
    match unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw const request) } {
        0 => Ok(tap),
        _ => Err(io::Error::last_os_error()),
    }
}
