//! Frames alike on x86-64 processors with AVX2: the headers and the payload of each are a wide
//! register.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_or_si128, _mm_set1_epi8,
    _mm_setr_epi8, _mm_setzero_si128, _mm_shuffle_epi8, _mm_storeu_si128, _mm_testc_si128, _mm_testz_si128,
    _mm_xor_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_broadcastsi128_si256,
    _mm256_cmpeq_epi32, _mm256_cmpgt_epi32, _mm256_hadd_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_storeu_si256, _mm256_testc_si256, _mm256_testz_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

use super::{Alike, LAST_AT, LINK_MASK, SENDER, SENDER_AT, SUMMED, TEMPLATE_AT, TEMPLATE_MASK};
use crate::wire::plain::{AT_A_TIME, Eight, Head};

/// As [`Alike::turn`].
#[inline]
pub(super) fn turn(alike: &Alike, heads: &mut [&mut Head; AT_A_TIME]) -> bool {
    // SAFETY: a kernel of this kind is only made where there is AVX2.
    unsafe { turn_avx2(alike, heads) }
}

#[target_feature(enable = "avx2")]
fn turn_avx2(alike: &Alike, heads: &mut [&mut Head; AT_A_TIME]) -> bool {
    let [h0, h1, h2, h3, h4, h5, h6, h7] = &*heads;
    let mut found = Found::none();
    let first = found.look_at([h0, h1], [h4, h5], alike);
    let second = found.look_at([h2, h3], [h6, h7], alike);
    let columns = Columns::of(first, second);
    if !found.is_right() || !columns.are_right(alike) {
        return false;
    }
    let protocols = columns.reply_protocols(alike);
    heads.iter_mut().zip(protocols.0).for_each(|(head, protocol)| turn_one(head, protocol, alike));
    true
}

/// What was found in all frames together.
struct Found {
    /// What is not as in the begin of the template.
    link: __m128i,
    /// What is not as in the template, and free bytes.
    rest: __m256i,
    /// The least of each of the first bytes.
    least: __m128i,
}

/// What four frames have in parts, the first two of them in the lower halves of columns, and the
/// others in the upper ones.
#[derive(Clone, Copy)]
struct Part {
    /// Sums over the IP headers, but for their addresses, two to a frame.
    ip_sums: __m256i,
    /// Sums over the whole of the first two frames, two to a frame in each half.
    first_sums: __m256i,
    other_sums: __m256i,
    /// Sources of the two and the two.
    sources: __m256i,
    /// Their ports, and behind them UDP lengths and checksums.
    ports: __m256i,
}

impl Found {
    #[target_feature(enable = "avx2")]
    fn none() -> Self {
        Self { link: _mm_setzero_si128(), rest: _mm256_setzero_si256(), least: _mm_set1_epi8(-1) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_at(&mut self, [a, b]: [&Head; 2], [e, f]: [&Head; 2], alike: &Alike) -> Part {
        let (a, e) = (self.look_at_one(a, alike), self.look_at_one(e, alike));
        let (b, f) = (self.look_at_one(b, alike), self.look_at_one(f, alike));
        let (ae, bf) = (upper(a.free, e.free), upper(b.free, f.free));
        Part {
            ip_sums: _mm256_hadd_epi32(lower(a.sums, e.sums), lower(b.sums, f.sums)),
            first_sums: _mm256_hadd_epi32(a.all, b.all),
            other_sums: _mm256_hadd_epi32(e.all, f.all),
            sources: _mm256_unpacklo_epi32(ae, bf),
            ports: _mm256_unpackhi_epi32(ae, bf),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_at_one(&mut self, head: &Head, alike: &Alike) -> Frame {
        let link = _mm_xor_si128(load_half(head, 0), load_half(&alike.link, 0));
        let free = _mm256_xor_si256(load(head, TEMPLATE_AT), load(&alike.template, 0));
        self.link = _mm_or_si128(self.link, link);
        self.rest = _mm256_or_si256(self.rest, free);
        self.least = _mm_min_epu8(self.least, link);
        let payload = _mm256_and_si256(load(head, LAST_AT), load(&alike.payload, 0));
        let payload = _mm256_xor_si256(payload, _mm256_set1_epi16(i16::MIN));
        let sums = _mm256_madd_epi16(free, summed());
        Frame { free, sums, all: _mm256_add_epi32(sums, _mm256_madd_epi16(payload, _mm256_set1_epi16(1))) }
    }

    /// Whether all is as in the template, and no sender's address is zero: a byte of it is
    /// nowhere. Where none is, for senders that have little in common, the judge looks at each.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn is_right(&self) -> bool {
        let is_zero = _mm_cmpeq_epi8(self.least, _mm_setzero_si128());
        _mm_testz_si128(self.link, load_half(&LINK_MASK, 0)) == 1
            && _mm256_testz_si256(self.rest, load(&TEMPLATE_MASK, 0)) == 1
            && _mm_testc_si128(is_zero, load_half(&SENDER, 0)) == 0
    }
}

/// What is looked at of a frame.
struct Frame {
    /// The bytes from [`TEMPLATE_AT`] on, but for what they are to be.
    free: __m256i,
    /// Sums of their pairs of words, as far as they are summed.
    sums: __m256i,
    /// Those and sums of the payload.
    all: __m256i,
}

/// A number for each frame.
struct Columns {
    ip_sums: __m256i,
    all_sums: __m256i,
    sources: __m256i,
    ports: __m256i,
    udp_checksums: __m256i,
}

impl Columns {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(first: Part, second: Part) -> Self {
        let all_first = _mm256_hadd_epi32(first.first_sums, second.first_sums);
        let all_other = _mm256_hadd_epi32(first.other_sums, second.other_sums);
        let sources = _mm256_unpacklo_epi64(first.sources, second.sources);
        // The words of an address have a bias as everywhere.
        let source_sums = _mm256_madd_epi16(sources, _mm256_set1_epi16(1));
        let ip_sums = _mm256_hadd_epi32(first.ip_sums, second.ip_sums);
        let all_sums = _mm256_add_epi32(lower(all_first, all_other), upper(all_first, all_other));
        Self {
            ip_sums: _mm256_add_epi32(ip_sums, source_sums),
            all_sums: _mm256_add_epi32(all_sums, source_sums),
            sources,
            ports: _mm256_unpacklo_epi64(first.ports, second.ports),
            udp_checksums: _mm256_unpackhi_epi64(first.ports, second.ports),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn are_right(&self, alike: &Alike) -> bool {
        let right = _mm256_and_si256(
            is_sum_right(self.ip_sums, alike.ip_sum),
            is_sum_right(self.all_sums, alike.udp_sum),
        );
        // The first byte, 1 to 223 of it, as the highest byte of a number with a sign that begins with 1.
        let first = _mm256_slli_epi32::<24>(self.sources);
        let shifted = _mm256_add_epi32(first, _mm256_set1_epi32(0x7f00_0000));
        let is_unicast = _mm256_cmpgt_epi32(_mm256_set1_epi32((223 << 24) ^ i32::MIN), shifted);
        let is_loopback = _mm256_cmpeq_epi32(first, _mm256_set1_epi32(127 << 24));
        let [one, other] = alike.impossible_sources.map(|source| all_of(source));
        let is_impossible =
            _mm256_or_si256(_mm256_cmpeq_epi32(self.sources, one), _mm256_cmpeq_epi32(self.sources, other));
        // The high byte of a system's port is below 4.
        let high = _mm256_and_si256(self.ports, _mm256_set1_epi32(0xfc));
        let is_port_wrong = _mm256_or_si256(
            _mm256_cmpeq_epi32(high, _mm256_setzero_si256()),
            _mm256_cmpeq_epi32(self.ports, all_of(alike.port)),
        );
        // Biased, and next to the length, of which nothing is left.
        let is_missing = _mm256_cmpeq_epi32(self.udp_checksums, _mm256_set1_epi32(i32::MIN));
        let is_wrong = _mm256_or_si256(
            _mm256_or_si256(is_loopback, is_impossible),
            _mm256_or_si256(is_port_wrong, is_missing),
        );
        let right = _mm256_andnot_si256(is_wrong, _mm256_and_si256(right, is_unicast));
        _mm256_testc_si256(right, _mm256_set1_epi32(-1)) == 1
    }

    /// TTL, protocol and header checksum of each reply.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn reply_protocols(&self, alike: &Alike) -> Eight {
        let source_sums = _mm256_madd_epi16(self.sources, _mm256_set1_epi16(1));
        let sum = twice_folded(_mm256_add_epi32(source_sums, all_of(alike.reply_sum)));
        let sum = _mm256_and_si256(sum, _mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
        let mut protocols = Eight::default();
        // SAFETY: room for 32 bytes.
        unsafe {
            let into = protocols.0.as_mut_ptr().cast();
            _mm256_storeu_si256(into, _mm256_xor_si256(sum, all_of(alike.reply_protocol)));
        }
        protocols
    }
}

/// Makes a head that of the reply. `protocol` is four bytes from the TTL on.
#[inline]
#[target_feature(enable = "avx2")]
fn turn_one(head: &mut Head, protocol: u32, alike: &Alike) {
    let swapped = _mm_setr_epi8(4, 5, 6, 7, 0, 1, 2, 3, 10, 11, 8, 9, 12, 13, 14, 15);
    let ends = _mm_shuffle_epi8(load_half(head, 26), swapped);
    let at = head.as_mut_ptr();
    // SAFETY: all of it is within the head; the later stores put right what the first one wrote too much.
    unsafe {
        at.cast::<u64>().write_unaligned(at.add(SENDER_AT).cast::<u64>().read_unaligned());
        _mm_storeu_si128(at.add(SENDER_AT).cast(), load_half(&alike.reply, 0));
        at.add(22).cast::<u32>().write_unaligned(protocol);
        _mm_storeu_si128(at.add(26).cast(), ends);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn summed() -> __m256i {
    // SAFETY: 32 bytes that are there.
    unsafe { _mm256_loadu_si256(SUMMED.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn all_of(value: u32) -> __m256i {
    _mm256_set1_epi32(value.cast_signed())
}

/// The sum of both halves of each word, in its high half.
#[inline]
#[target_feature(enable = "avx2")]
fn twice_folded(sum: __m256i) -> __m256i {
    let order =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    _mm256_add_epi32(sum, _mm256_shuffle_epi8(sum, order))
}

/// All ones where a sum is that of right words, which has all ones after one addition of its carries.
#[inline]
#[target_feature(enable = "avx2")]
fn is_sum_right(sums: __m256i, rest: u32) -> __m256i {
    let sums = twice_folded(_mm256_add_epi32(sums, all_of(rest)));
    _mm256_cmpeq_epi32(sums, _mm256_set1_epi32(-1))
}

#[inline]
#[target_feature(enable = "avx2")]
fn lower(a: __m256i, b: __m256i) -> __m256i {
    _mm256_permute2x128_si256::<0x20>(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn upper(a: __m256i, b: __m256i) -> __m256i {
    _mm256_permute2x128_si256::<0x31>(a, b)
}

/// The 32 bytes from `at` on.
#[inline]
#[target_feature(enable = "avx2")]
fn load<const LEN: usize>(from: &[u8; LEN], at: usize) -> __m256i {
    let at = at.min(LEN - 32);
    // SAFETY: the bytes are there; no alignment is asked for.
    unsafe { _mm256_loadu_si256(from.as_ptr().add(at).cast()) }
}

/// The 16 bytes from `at` on.
#[inline]
#[target_feature(enable = "avx2")]
fn load_half<const LEN: usize>(from: &[u8; LEN], at: usize) -> __m128i {
    let at = at.min(LEN - 16);
    // SAFETY: as in `load`.
    unsafe { _mm_loadu_si128(from.as_ptr().add(at).cast()) }
}
