//! Frames alike, and those of one flow, against the judge's findings one by one.

use super::*;

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
