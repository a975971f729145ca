//! Several queues that share an interface by addresses alone, and frames to groups.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use gannet::packet::{Burst, Packet as _};
use gannet::port::{FrameQueue as _, PortConfig, RssFields, RssKey};

use super::{NEAR_MAC, Port, in_lab};

/// What is behind the addresses of a packet. The last two are fragments: neither has the flow's ports
/// where a whole datagram has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    /// A datagram from that port.
    Whole(u16),
    First,
    Last,
}

const SHAPES: [Shape; 6] =
    [Shape::Whole(1), Shape::Whole(2), Shape::Whole(999), Shape::Whole(40_000), Shape::First, Shape::Last];

/// No tag, one, and two, of which the kernel takes the outer one out.
const TAGS: [&[u8]; 4] = [&[], &[0x81, 0, 0, 7], &[0x88, 0xa8, 0, 7], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8]];

/// An IPv4 frame from host `pair` of a network, with the number as its last byte.
fn ipv4(pair: u8, shape: Shape, tags: &[u8]) -> Vec<u8> {
    let (port, fragment) = match shape {
        Shape::Whole(port) => (port, [0, 0]),
        Shape::First => (0x5555, [0x20, 0]),
        Shape::Last => (0x7777, [0, 2]),
    };
    let mut frame = [&NEAR_MAC[..], &[2, 0, 0, 0, 0, 9], tags, &[8, 0, 0x45, 0, 0, 29, 0, 1]].concat();
    frame.extend(fragment);
    frame.extend([64, 17, 0, 0, 10, 9, 7, pair, 10, 9, 0, 1]);
    frame.extend(port.to_be_bytes());
    frame.extend([0, 7, 0, 9, 0, 0, pair]);
    frame
}

/// The same of IPv6, with a fragment header for the fragments (RFC 8200, 4.5).
fn ipv6(pair: u8, shape: Shape, tags: &[u8]) -> Vec<u8> {
    let mut frame = [&NEAR_MAC[..], &[2, 0, 0, 0, 0, 9], tags, &[0x86, 0xdd, 0x60, 0, 0, 0, 0]].concat();
    let (len, next_header) = if matches!(shape, Shape::Whole(_)) { (9, 17) } else { (17, 44) };
    frame.extend([len, next_header, 64]);
    frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, pair]);
    frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let port = match shape {
        Shape::Whole(port) => port,
        Shape::First => {
            frame.extend([17, 0, 0, 1, 0, 0, 0, 1]);
            0x5555
        }
        Shape::Last => {
            frame.extend([17, 0, 0, 16, 0, 0, 0, 1]);
            0x7777
        }
    };
    frame.extend(port.to_be_bytes());
    frame.extend([0, 7, 0, 9, 0, 0, pair]);
    frame
}

/// Receives `count` frames, and gives for each pair (their last byte) the queues that they came to.
fn queues_of_pairs(near: &mut Port, count: usize) -> HashMap<u8, HashSet<usize>> {
    let (mut seen, mut received) = (HashMap::<_, HashSet<_>>::new(), 0);
    super::poll_until(|| {
        for (index, queue) in near.queues.iter_mut().enumerate() {
            let mut burst = Burst::with_capacity(32);
            queue.rx_burst(&mut burst);
            received += burst.len();
            for packet in burst.iter() {
                let pair = *packet.frame().last().expect("a frame");
                seen.entry(pair).or_default().insert(index);
            }
            queue.free_burst(&mut burst);
        }
        received >= count
    });
    near.expect_silence();
    seen
}

fn by_addresses(queues: usize, rss_key: Option<RssKey>) -> PortConfig {
    PortConfig { queues, rss: RssFields::Addresses, rss_key, ..PortConfig::default() }
}

#[test]
fn all_between_two_hosts_meets_in_one_queue() {
    in_lab("all_between_two_hosts_meets_in_one_queue", |lab| {
        const PAIRS: u8 = 40;
        const QUEUES: usize = 3;
        let mut far = lab.far_port();
        let key = RssKey(std::array::from_fn(|index| (index as u8).wrapping_mul(151) ^ 0x6d));
        let mut placed = HashSet::new();
        for key in [None, Some(key)] {
            let mut near = lab.near_port(&by_addresses(QUEUES, key));
            let granted = near.control.description().granted.join("\n");
            assert!(
                granted.contains("3 queues: the kernel splits frames by a hash of their addresses"),
                "{granted}"
            );
            for build in [ipv4, ipv6] {
                let frames = (0..PAIRS).map(|pair| {
                    let of_shape = |shape| TAGS.map(|tags| build(pair, shape, tags));
                    SHAPES.map(of_shape).concat()
                });
                let mut count = 0;
                for frames in frames {
                    far.send(&frames);
                    count += frames.len();
                }
                let seen = queues_of_pairs(&mut near, count);
                assert_eq!(seen.len(), usize::from(PAIRS));
                assert!(seen.values().all(|queues| queues.len() == 1), "{seen:?}");
                let of_queue = |queue| seen.values().filter(|queues| queues.contains(&queue)).count();
                let shares: [usize; QUEUES] = std::array::from_fn(of_queue);
                assert!(shares.iter().all(|&share| share >= 5), "every queue has its share: {shares:?}");
                let mut places: Vec<_> =
                    seen.into_iter().map(|(pair, queues)| (pair, queues.contains(&0))).collect();
                places.sort_unstable();
                placed.insert(places);
            }
            near.finish();
        }
        assert_eq!(placed.len(), 4, "the key decides, and the version's own words");
        far.finish();
    });
}

#[test]
fn what_has_no_addresses_goes_to_the_first_queue() {
    in_lab("what_has_no_addresses_goes_to_the_first_queue", |lab| {
        let (mut near, mut far) = (lab.near_port(&by_addresses(4, None)), lab.far_port());
        let arp = |number| [&NEAR_MAC[..], &[2, 0, 0, 0, 0, 9, 8, 6], &[number; 46]].concat();
        let tagged =
            |number| [&NEAR_MAC[..], &[2, 0, 0, 0, 0, 9, 0x81, 0, 0, 7, 8, 6], &[number; 42]].concat();
        // Headers that end within or before the addresses.
        let cut = |number: u8, len: usize| {
            let mut frame = ipv4(number, Shape::First, &[]);
            frame.truncate(len);
            frame
        };
        let frames: Vec<_> = (0..16).flat_map(|number| [arp(number), tagged(number)]).collect();
        far.send(&frames);
        let seen = queues_of_pairs(&mut near, frames.len());
        assert!(seen.values().all(|queues| *queues == HashSet::from([0])), "{seen:?}");
        let frames: Vec<_> =
            (0..16).flat_map(|number| [cut(number, 14), cut(number, 20), cut(number, 31)]).collect();
        far.send(&frames);
        let seen = queues_of_pairs(&mut near, frames.len());
        assert!(seen.values().all(|queues| *queues == HashSet::from([0])), "{seen:?}");
        near.finish();
        far.finish();
    });
}

#[test]
fn frames_to_groups_only_on_request() {
    in_lab("frames_to_groups_only_on_request", |lab| {
        for all_multicast in [false, true] {
            let near = lab.near_port(&PortConfig { all_multicast, ..PortConfig::default() });
            let expected = format!("allmulti {} ", u8::from(all_multicast));
            assert!(lab.near.says("-d link show near0", &expected));
            let granted = near.control.description().granted.join("\n");
            assert_eq!(granted.contains("all multicast"), all_multicast, "{granted}");
            near.finish();
        }
        assert!(lab.near.says("-d link show near0", "allmulti 0 "));
    });
}

#[test]
fn the_link_is_seen_to_go_and_come() {
    in_lab("the_link_is_seen_to_go_and_come", |lab| {
        let mut near = lab.near_port(&PortConfig::default());
        // The state follows the kernel's work queue.
        let mut becomes = |up| {
            super::poll_until(|| {
                thread::sleep(Duration::from_millis(5));
                near.control.is_link_up() == up
            });
        };
        becomes(true);
        for (namespace, link) in [(&lab.far, "far0"), (&lab.near, "near0")] {
            namespace.ip(&format!("link set {link} down"));
            becomes(false);
            namespace.ip(&format!("link set {link} up"));
            becomes(true);
        }
        lab.far.ip("link del far0");
        becomes(false);
        near.finish();
    });
}
