use proptest::collection::vec;
use proptest::prelude::*;
use smoltcp::wire::checksum as oracle;

use super::*;

/// RFC 1071, section 1, word by word.
fn naive(bytes: &[u8]) -> [u8; 2] {
    let word = |pair: &[u8]| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    let mut sum: u64 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (sum as u16).to_be_bytes()
}

/// Bytes without a pattern, with runs of ones that make carries.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| if next() & 1 == 0 { 0xff } else { next() }).collect()
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let random = vec(any::<u8>(), 0..4096);
    let constant = |byte| (0..4096_usize).prop_map(move |len| vec![byte; len]);
    prop_oneof![4 => random, 1 => constant(0), 1 => constant(0xff)]
}

#[test]
fn the_example_of_rfc_1071() {
    let sum = Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    assert_eq!(sum.fold(), [0xdd, 0xf2]);
    assert_eq!(sum.checksum(), [0x22, 0x0d]);
    assert!((sum + Sum::of_u16(0x220d)).is_valid());
    assert!(!(sum + Sum::of_u16(0x220c)).is_valid());
}

#[test]
fn every_length_and_alignment_through_every_kernel() {
    let bytes = noise(2100 + 32);
    for len in 0..=2100 {
        for offset in 0..32 {
            let piece = &bytes[offset..offset + len];
            let expected = naive(piece);
            assert_eq!(Sum::scalar(piece).fold(), expected, "scalar, {len} bytes at {offset}");
            assert_eq!(Sum::of(piece).fold(), expected, "chosen kernel, {len} bytes at {offset}");
            #[cfg(target_arch = "x86_64")]
            if let Some(sum) = avx2::sum(piece) {
                assert_eq!(sum.fold(), expected, "avx2, {len} bytes at {offset}");
            }
        }
    }
}

#[test]
fn zeros_give_zero_and_ones_do_not() {
    for len in [2, 8, 64, 1472, 65536] {
        assert_eq!(Sum::of(&vec![0; len]).checksum(), [0xff, 0xff]);
        assert_eq!(Sum::of(&vec![0xff; len]).checksum(), [0x00, 0x00]);
        assert_eq!(udp_checksum(Sum::of(&vec![0xff; len])), [0xff, 0xff]);
    }
    assert_eq!(Sum::ZERO.fold(), [0, 0]);
    assert!(!Sum::ZERO.is_valid());
}

#[test]
fn the_example_of_rfc_1624() {
    assert_eq!(update([0xdd, 0x2f], [0x55, 0x55], [0x32, 0x85]), [0x00, 0x00]);
}

#[test]
fn an_update_to_zeros_alone_gives_the_other_zero() {
    let before = Sum::of(&[0, 5]).checksum();
    assert_eq!(update(before, [0, 5], [0, 0]), [0x00, 0x00]);
    assert_eq!(update(Sum::of(&[0, 0]).checksum(), [0, 0], [0, 5]), before);
}

proptest! {
    #[test]
    fn data_sums_as_smoltcp_sums_it(bytes in contents()) {
        prop_assert_eq!(Sum::of(&bytes).fold(), oracle::data(&bytes).to_be_bytes());
    }

    #[test]
    fn pieces_sum_as_the_whole(bytes in contents(), cut in any::<prop::sample::Index>()) {
        let (first, last) = bytes.split_at(cut.index(bytes.len() + 1) & !1);
        let sum = Sum::of(first) + Sum::of(last);
        prop_assert_eq!(sum.fold(), Sum::of(&bytes).fold());
        let combined = oracle::combine(&[oracle::data(first), oracle::data(last)]);
        prop_assert_eq!(sum.fold(), combined.to_be_bytes());
    }

    #[test]
    fn a_pseudo_header_sums_as_its_bytes(
        source: [u8; 4], destination: [u8; 4], protocol: u8, len: u16,
    ) {
        let [high, low] = len.to_be_bytes();
        let header = [&source[..], &destination, &[0, protocol, high, low]].concat();
        let sum = Sum::pseudo_header_v4(source, destination, protocol, len);
        prop_assert_eq!(sum.fold(), oracle::data(&header).to_be_bytes());
        let theirs = oracle::pseudo_header_v4(
            &source.into(), &destination.into(), protocol.into(), len.into(),
        );
        prop_assert_eq!(sum.fold(), theirs.to_be_bytes());
    }

    #[test]
    fn a_pseudo_header_of_ipv6_sums_as_its_bytes(
        source: [u8; 16], destination: [u8; 16], protocol: u8, len: u32,
    ) {
        let header = [&source[..], &destination, &len.to_be_bytes(), &[0, 0, 0, protocol]].concat();
        let sum = Sum::pseudo_header_v6(source, destination, protocol, len);
        prop_assert_eq!(sum.fold(), oracle::data(&header).to_be_bytes());
        // smoltcp takes a length of 16 bits only.
        let short = Sum::pseudo_header_v6(source, destination, protocol, len >> 16);
        let theirs = oracle::pseudo_header_v6(
            &source.into(), &destination.into(), protocol.into(), len >> 16,
        );
        prop_assert_eq!(short.fold(), theirs.to_be_bytes());
    }

    #[test]
    fn data_with_its_checksum_is_valid(mut bytes in vec(any::<u8>(), 2..2000)) {
        bytes[..2].fill(0);
        let checksum = Sum::of(&bytes).checksum();
        bytes[..2].copy_from_slice(&checksum);
        prop_assert!(Sum::of(&bytes).is_valid());
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        prop_assert!(!Sum::of(&bytes).is_valid());
    }

    #[test]
    fn an_update_gives_what_a_new_sum_gives(
        mut bytes in vec(any::<u8>(), 8..64), word in any::<prop::sample::Index>(),
        new in prop_oneof![any::<[u8; 4]>(), Just([0; 4]), Just([0xff; 4])],
    ) {
        bytes[0] |= 1; // zeros alone are a case of their own
        let at = 2 + 2 * word.index((bytes.len() - 4) / 2);
        let before = Sum::of(&bytes).checksum();
        let old: [u8; 4] = [bytes[at], bytes[at + 1], bytes[at + 2], *bytes.get(at + 3).unwrap_or(&0)];
        bytes[at..at + 2].copy_from_slice(&new[..2]);
        let once = update(before, [old[0], old[1]], [new[0], new[1]]);
        prop_assert_eq!(once, Sum::of(&bytes).checksum());
        if at + 4 <= bytes.len() {
            bytes[at + 2..at + 4].copy_from_slice(&new[2..]);
            prop_assert_eq!(update32(before, old, new), Sum::of(&bytes).checksum());
        }
    }
}

proptest! {
    #[test]
    fn words_sum_as_their_bytes_do(long: u64, short: u32) {
        prop_assert_eq!(Sum::of_u64(long).fold(), Sum::of(&long.to_be_bytes()).fold());
        prop_assert_eq!(Sum::of_u32(short).fold(), Sum::of(&short.to_be_bytes()).fold());
    }
}
