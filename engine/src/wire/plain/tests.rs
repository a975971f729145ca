//! Every kernel says the same, of right frames and of wrong ones, and turns headers alike.

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

/// To one address and port of ours, from which and from a broadcast nothing comes.
fn alone() -> Expected {
    Expected::new(&Station {
        mac: OWN,
        addresses: &[[10, 0, 1, 1].into()],
        impossible_sources: &[[10, 0, 1, 1].into(), [10, 0, 1, 255].into()],
        ports: &[7],
        mtu: 1500,
        ttl: 64,
    })
}

/// What frames alike of such a length and class look like, to the kernel of `expected`.
fn alike(expected: &Expected, len: usize, class: u8) -> Alike {
    expected.alike(AlikeKind::new(len, class)).expect("such a length")
}

/// The same, after eight frames of one flow.
fn alike_after_flow(expected: &Expected, len: usize, class: u8) -> Alike {
    let mut alike = alike(expected, len, class);
    let mut flow = [with_bytes(plain(len - HEADERS_LEN, 5), 15, &[class]); AT_A_TIME];
    assert_eq!(alike.turn_front(&mut flow, |head| Some(head)), AT_A_TIME);
    alike
}

/// Turns those at the front as frames alike of such a length and class, and says how many. What came before makes
/// no difference.
fn turned_alike(expected: &Expected, heads: &mut [Head; AT_A_TIME], len: usize, class: u8) -> usize {
    let mut after_flow = *heads;
    let turned = alike(expected, len, class).turn_front(heads, |head| Some(head));
    let again = alike_after_flow(expected, len, class).turn_front(&mut after_flow, |head| Some(head));
    assert_eq!((again, &after_flow), (turned, &*heads));
    turned
}

/// Turns those at the front one by one that the judge finds right and whole, and says how many.
fn turned_one_by_one(expected: &Expected, heads: &mut [Head; AT_A_TIME], len: usize) -> usize {
    let judged = judged_of(expected, heads, Eight::all(len as u32));
    let count = (judged.verified & judged.whole).trailing_ones() as usize;
    for (head, checksum) in heads.iter_mut().zip(judged.checksums.0).take(count) {
        expected.turn(head.first_chunk_mut().expect("long"), checksum);
    }
    count
}

#[test]
fn frames_alike_are_turned_as_one_by_one() {
    for kernel in Kernel::available().into_iter().filter(|kernel| kernel.turns_alike()) {
        let expected = alone().with_kernel(kernel);
        for len in ALIKE_LENS.step_by(2) {
            for class in [0, 8, 0xb8, 0xbb] {
                let frame = |filling| with_bytes(plain(len - HEADERS_LEN, filling), 15, &[class]);
                let mut alike = [1, 2, 5, 253, 254, 77, 128, 31].map(frame);
                let mut one_by_one = alike;
                assert_eq!(
                    turned_alike(&expected, &mut alike, len, class),
                    8,
                    "{} {len} {class}",
                    kernel.name()
                );
                assert_eq!(turned_one_by_one(&expected, &mut one_by_one, len), 8);
                assert_eq!(alike, one_by_one, "{} {len}", kernel.name());
            }
        }
    }
}

#[test]
fn frames_of_one_flow_are_known_again() {
    for kernel in Kernel::available().into_iter().filter(|kernel| kernel.turns_alike()) {
        let expected = alone().with_kernel(kernel);
        for len in ALIKE_LENS.step_by(2) {
            let right = [1, 2, 5, 253, 254, 77, 128, 31].map(|filling| {
                let mut head = plain(len - HEADERS_LEN, 5);
                head[HEADERS_LEN..].fill(filling);
                with_udp_checksum(head, len)
            });
            let numbered = std::array::from_fn(|index| with_bytes(right[index], 18, &[index as u8, 0x80]));
            let turns = |heads: [Head; AT_A_TIME]| {
                let (mut flow, mut one_by_one) = (heads, heads);
                let count = alike_after_flow(&expected, len, 8).turn_flow(&mut flow, |head| Some(head));
                turned_one_by_one(&expected, &mut one_by_one, len);
                assert_eq!(&flow[..count], &one_by_one[..count], "{} {len}", kernel.name());
                assert_eq!(&flow[count..], &heads[count..]);
                count
            };
            assert_eq!([right, numbered].map(turns), [8, 8], "{} {len}", kernel.name());
            // From another socket, with another TTL, with another class: right ones, but of other flows.
            for (at, byte) in [(11, 99), (27, 99), (35, 99), (22, 3), (15, 0), (20, 0)] {
                let other = with_udp_checksum(with_bytes(right[6], at, &[byte]), len);
                let places = [0, 3, 7].map(|place| {
                    let mut heads = right;
                    heads[place] = other;
                    turns(heads)
                });
                assert_eq!(places, [0; 3], "{} {len} {at}", kernel.name());
                assert_eq!(alike(&expected, len, 8).turn_flow(&mut [other; 8], |head| Some(head)), 0);
            }
        }
    }
}

/// The UDP checksum made right again.
fn with_udp_checksum(mut head: Head, len: usize) -> Head {
    head[40..42].fill(0);
    let [source, destination] = [26, 30].map(|at| <[u8; 4]>::try_from(&head[at..at + 4]).expect("four"));
    let udp_len = (len - 34) as u16;
    let pseudo = ipv4::pseudo_header(source.into(), destination.into(), Protocol::UDP, udp_len);
    let checksum = udp_checksum(pseudo + Sum::of(&head[34..len]));
    head[40..42].copy_from_slice(&checksum);
    head
}

#[test]
fn one_that_is_not_right_ends_it() {
    let sources: [[u8; 4]; 8] = [
        [0, 0, 0, 9],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
        [240, 1, 1, 1],
        [10, 0, 1, 1],
        [10, 0, 1, 255],
        [128, 0, 0, 0],
    ];
    let right = plain(22, 5);
    let mut wrong: Vec<Head> = sources[..7].iter().map(|source| with_bytes(right, 26, source)).collect();
    for port in [0_u16, 7, 1, 1023] {
        wrong.push(with_bytes(right, 34, &port.to_be_bytes()));
    }
    for port in [0_u16, 8, 0x8007, 0x0087] {
        wrong.push(with_bytes(right, 36, &port.to_be_bytes()));
    }
    for fragment in [[0x20, 0], [0, 1], [0, 0x80], [0x1f, 0xff]] {
        wrong.push(with_bytes(right, 20, &fragment));
    }
    wrong = wrong.into_iter().map(|head| with_udp_checksum(head, 64)).collect();
    wrong.push(with_bytes(right, 40, &[0, 0]));
    wrong.push(with_bytes(right, 6, &[0; 6]));
    for kernel in Kernel::available().into_iter().filter(|kernel| kernel.turns_alike()) {
        let expected = alone().with_kernel(kernel);
        for (number, &wrong) in wrong.iter().enumerate() {
            for place in 0..AT_A_TIME {
                let mut heads = [right; AT_A_TIME];
                heads[place] = wrong;
                let before = heads;
                let turned = turned_alike(&expected, &mut heads, 64, 8);
                assert!(turned <= place, "{} {number}", kernel.name());
                assert_eq!(heads[turned..], before[turned..]);
            }
        }
        let good = with_udp_checksum(with_bytes(right, 26, &sources[7]), 64);
        assert_eq!(turned_alike(&expected, &mut [good; AT_A_TIME], 64, 8), 8, "{}", kernel.name());
    }
}

#[test]
fn a_missing_checksum_is_none_where_zero_would_be_right() {
    let right = plain(22, 5);
    let words = (0..=u16::MAX).map(|word| {
        let mut head = right;
        head[44..46].copy_from_slice(&word.to_be_bytes());
        with_udp_checksum(head, 64)
    });
    // In the sum all ones and zero are the same.
    let ones = words.into_iter().find(|head| head[40..42] == [0xff; 2]).expect("one of them has it");
    let mut missing = ones;
    missing[40..42].fill(0);
    for kernel in Kernel::available().into_iter().filter(|kernel| kernel.turns_alike()) {
        let expected = alone().with_kernel(kernel);
        for place in 0..AT_A_TIME {
            let mut heads = [right; AT_A_TIME];
            heads[place] = ones;
            assert_eq!(turned_alike(&expected, &mut heads, 64, 8), 8, "{}", kernel.name());
            heads = [right; AT_A_TIME];
            heads[place] = missing;
            assert!(turned_alike(&expected, &mut heads, 64, 8) <= place, "{} {place}", kernel.name());
        }
    }
}

#[test]
fn every_byte_that_counts_is_looked_at_of_each_frame_alike() {
    for kernel in Kernel::available().into_iter().filter(|kernel| kernel.turns_alike()) {
        let expected = alone().with_kernel(kernel);
        for len in ALIKE_LENS.step_by(2) {
            for (place, at, bit) in
                (0..AT_A_TIME).flat_map(|place| (0..64).map(move |at| (place, at, at % 8)))
            {
                let mut heads = [plain(len - HEADERS_LEN, 5); AT_A_TIME];
                heads[place][at] ^= 1 << bit;
                if at == 6 {
                    heads[place][at] = 1;
                }
                // The sender's address is free, but for its group bit; behind the end is nobody's.
                let is_free = (7..12).contains(&at) || at >= len;
                let before = heads;
                let turned = turned_alike(&expected, &mut heads, len, 8);
                assert_eq!(turned > place, is_free, "{} {len} {place} {at}", kernel.name());
                assert_eq!(heads[turned..], before[turned..]);
            }
        }
    }
}

/// Two bytes of one of eight frames alike, changed; the sums may be made right again.
fn frames_alike() -> impl Strategy<Value = ([Head; AT_A_TIME], usize)> {
    let change = (0..AT_A_TIME, 0..64_usize, any::<u8>(), any::<bool>(), any::<bool>());
    // Of eight sources, or of one flow.
    let fillings = prop_oneof![any::<[u8; AT_A_TIME]>(), Just([5; AT_A_TIME])];
    (select(vec![60_usize, 62, 64]), fillings, proptest::collection::vec(change, 0..3)).prop_map(
        |(len, fillings, changes)| {
            let mut heads = fillings.map(|filling| plain(len - HEADERS_LEN, filling));
            for (place, at, byte, ip, udp) in changes {
                heads[place][at] = byte;
                if ip {
                    heads[place] = with_bytes(heads[place], 24, &[0, 0]);
                }
                if udp {
                    heads[place] = with_udp_checksum(heads[place], len);
                }
            }
            (heads, len)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn frames_alike_are_what_the_judge_finds_right((heads, len) in frames_alike()) {
        for kernel in Kernel::available().into_iter().filter(|kernel| kernel.turns_alike()) {
            let expected = alone().with_kernel(kernel);
            let (mut alike, mut one_by_one) = (heads, heads);
            let turned = turned_alike(&expected, &mut alike, len, 8);
            prop_assert_eq!(&alike[turned..], &heads[turned..]);
            let right = turned_one_by_one(&expected, &mut one_by_one, len);
            prop_assert!(turned <= right, "{}", kernel.name());
            prop_assert_eq!(&alike[..turned], &one_by_one[..turned]);
            // Those of another class are left to the judge, and those whose sender's address ends with zeros.
            let are_usual = heads.iter().all(|head| head[15] == 8 && head[8..12] != [0; 4]);
            prop_assert!(right < AT_A_TIME || !are_usual || turned == right, "{}", kernel.name());
        }
    }
}
