//! Every kernel says the same, of right frames and of wrong ones, and turns headers alike.

mod alike;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::turn::Fresh;
use super::*;
use crate::wire::checksum::udp_checksum;
use crate::wire::protocol::Protocol;

const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

fn expected(ports: &[u16]) -> Expected {
    let (own, other, broadcast) = ([10, 0, 0, 1].into(), [10, 0, 1, 1].into(), [10, 0, 0, 255].into());
    Expected::new(&Station {
        mac: OWN,
        addresses: &[own, other],
        impossible_sources: &[own, other, broadcast],
        ports,
        mtu: 1500,
        ttl: 64,
    })
}

/// The head of a datagram that is plain, its payload of so many bytes.
fn plain(payload_len: usize, filling: u8) -> Head {
    let mut head = [filling; size_of::<Head>()];
    let (source, destination) = ([192, 0, 2, filling].into(), [10, 0, 1, 1].into());
    let sender = MacAddress([0, 0, 0, 0, 0, 9]);
    let ether_type = ethernet::EtherType::IPV4;
    ethernet::write(head.first_chunk_mut().expect("long"), OWN, sender, ether_type);
    let len = (udp::HEADER_LEN + payload_len) as u16;
    let protocol = Protocol::UDP;
    ipv4::Header { differentiated_services: 8, ttl: 9, protocol, source, destination, payload_len: len }
        .write(head[14..].first_chunk_mut().expect("long"));
    udp::write(head[34..].first_chunk_mut().expect("long"), 4660, 7, len, [0, 0]);
    if payload_len <= SHORT {
        let pseudo = ipv4::pseudo_header(source, destination, protocol, len);
        let checksum = udp_checksum(pseudo + Sum::of(&head[34..HEADERS_LEN + payload_len]));
        head[40..42].copy_from_slice(&checksum);
    }
    head
}

/// As long as they say, and no shorter than a frame may be.
fn judged(expected: &Expected, heads: &[Head; AT_A_TIME]) -> Judged {
    let lens = heads.map(|head| u32::from(u16::from_be_bytes([head[16], head[17]])) + 14);
    judged_of(expected, heads, Eight(lens.map(|len| len.max(60))))
}

fn judged_of(expected: &Expected, heads: &[Head; AT_A_TIME], lens: Eight) -> Judged {
    let mut judged = Judged::default();
    expected.judge(&Frames { heads: heads.each_ref(), lens }, &mut judged);
    judged
}

#[test]
fn a_plain_frame_is_plain_to_every_kernel() {
    for kernel in Kernel::available() {
        let expected = expected(&[5000, 7]).with_kernel(kernel);
        for len in 0..=SHORT {
            let all = judged(&expected, &[plain(len, 5); AT_A_TIME]);
            assert_eq!((all.plain, all.verified), (0xff, 0xff), "{} {len}", kernel.name());
        }
        let long = judged(&expected, &[plain(SHORT + 1, 5); AT_A_TIME]);
        assert_eq!((long.plain, long.verified), (0xff, 0), "{}", kernel.name());
    }
}

#[test]
fn a_frame_is_as_long_as_its_packet_or_longer() {
    for kernel in Kernel::available() {
        let expected = expected(&[7]).with_kernel(kernel);
        // Packets that end at 59 to 64 bytes, in frames of 59 to 66.
        for payload in 17..=SHORT {
            let packet_end = (HEADERS_LEN + payload) as u32;
            let lens = Eight(std::array::from_fn(|index| 59 + index as u32));
            let judged = judged_of(&expected, &[plain(payload, 5); AT_A_TIME], lens);
            let set = |is: &dyn Fn(u32) -> bool| {
                (0..AT_A_TIME).fold(0, |set, index| set | u32::from(is(lens.0[index])) << index)
            };
            let is_there = set(&|len| len >= packet_end);
            assert_eq!((judged.plain, judged.verified), (is_there, is_there), "{} {payload}", kernel.name());
            let is_whole = set(&|len| len == packet_end && len >= 60);
            assert_eq!(judged.whole, is_whole, "{} {payload}", kernel.name());
        }
    }
}

/// With its IP header's sum made right again.
fn with_bytes(mut head: Head, at: usize, bytes: &[u8]) -> Head {
    head[at..at + bytes.len()].copy_from_slice(bytes);
    head[24..26].fill(0);
    let checksum = Sum::of(&head[14..34]).checksum();
    head[24..26].copy_from_slice(&checksum);
    head
}

#[test]
fn more_addresses_and_ports_than_a_few_are_known_too() {
    let addresses: [Ipv4Addr; 6] = std::array::from_fn(|index| [10, 0, 1, index as u8].into());
    let station = Station {
        mac: OWN,
        addresses: &addresses,
        impossible_sources: &addresses,
        ports: &[1, 2, 3, 7],
        mtu: 1500,
        ttl: 64,
    };
    let right = plain(3, 5);
    let heads = [
        right,
        with_bytes(right, 30, &[10, 0, 1, 5]),
        with_bytes(right, 30, &[10, 0, 1, 6]),
        with_bytes(right, 26, &[10, 0, 1, 5]),
        with_bytes(right, 26, &[10, 0, 1, 6]),
        with_bytes(right, 36, &[0, 3]),
        with_bytes(right, 36, &[0, 4]),
        right,
    ];
    for kernel in Kernel::available() {
        let expected = Expected::new(&station).with_kernel(kernel);
        assert_eq!(judged(&expected, &heads).plain, 0b1011_0011, "{}", kernel.name());
    }
}

#[test]
fn every_byte_counts_that_the_headers_sum_or_pattern_has() {
    let expected = expected(&[7]);
    // The sender's address, but for its group bit, and the UDP checksum are the host's to judge.
    let free = |at: usize| (6..12).contains(&at) || at >= 40;
    for at in 0..HEADERS_LEN {
        let mut heads = [plain(3, 5); AT_A_TIME];
        heads[5][at] ^= 0x01;
        let is_plain = judged(&expected, &heads).plain;
        let changes = !free(at) || at == 6 || matches!(at, 34..36);
        // A client's other port is as good.
        let is_right = !changes || matches!(at, 34..36);
        assert_eq!(is_plain, if is_right { 0xff } else { 0xdf }, "byte {at}");
        assert_eq!(judged(&expected, &heads).verified & 0x20 == 0, !(7..12).contains(&at), "byte {at}");
    }
}

/// Some bytes of some heads, changed. The sum of the IP header may be made right again.
fn heads() -> impl Strategy<Value = [Head; AT_A_TIME]> {
    let one = (
        0_usize..SHORT + 4,
        select(vec![0_u8, 1, 5, 254, 255]),
        proptest::option::of((any::<Index>(), any::<u8>(), any::<bool>())),
    );
    let one = one.prop_map(|(len, filling, change)| {
        let mut head = plain(len, filling);
        if let Some((at, byte, is_right)) = change {
            head[at.index(head.len())] = byte;
            if is_right {
                head[24..26].fill(0);
                let checksum = Sum::of(&head[14..34]).checksum();
                head[24..26].copy_from_slice(&checksum);
            }
        }
        head
    });
    proptest::collection::vec(one, AT_A_TIME).prop_map(|heads| heads.try_into().expect("eight"))
}

proptest! {
    #[test]
    fn kernels_agree(heads in heads(), ports in select(vec![vec![], vec![7], vec![5000, 7, 9]])) {
        let expected = expected(&ports);
        let portable = judged(&expected.clone().with_kernel(Kernel(Kind::Portable)), &heads);
        for kernel in Kernel::available() {
            let mut judged = judged(&expected.clone().with_kernel(kernel), &heads);
            // Of no short payload the sum is known.
            prop_assert_eq!(judged.verified & !judged.plain, 0);
            judged.udp_sums = portable.udp_sums;
            prop_assert_eq!(judged, portable, "{}", kernel.name());
        }
    }

    #[test]
    fn a_header_is_turned_as_it_is_byte_by_byte(heads in heads(), checksum in any::<u16>(), ttl in any::<u8>()) {
        let fresh = Fresh::new(OWN, ttl);
        for head in &heads {
            let mut turned: Headers = *head.first_chunk().expect("long");
            let mut by_bytes = turned;
            fresh.turn(&mut turned, checksum.into());
            fresh.turn_portable(&mut by_bytes, checksum.into());
            prop_assert_eq!(turned, by_bytes);
        }
    }
}
