//! Four frames in a column, on x86-64 processors with SSSE3: all of x86-64-v2.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_and_si128, _mm_castsi128_ps, _mm_cmpeq_epi32, _mm_cmpgt_epi8,
    _mm_cmpgt_epi32, _mm_hadd_epi32, _mm_load_si128, _mm_loadu_si128, _mm_madd_epi16, _mm_movemask_ps,
    _mm_or_si128, _mm_set1_epi8, _mm_set1_epi16, _mm_set1_epi32, _mm_setr_epi8, _mm_shuffle_epi8,
    _mm_srli_epi32, _mm_store_si128, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32,
    _mm_unpacklo_epi64, _mm_xor_si128,
};

use super::judge::Pattern;
use super::lanes::Lanes;
use super::{AT_A_TIME, Eight, Frames, Head, Judged};

/// As [`super::judge::judge`].
#[inline]
pub(super) fn judge(frames: &Frames<'_>, pattern: &Pattern, judged: &mut Judged) {
    // SAFETY: a kernel of this kind is only made where there is SSSE3.
    unsafe {
        if pattern.has_many() {
            judge_ssse3::<true>(frames, pattern, judged);
        } else {
            judge_ssse3::<false>(frames, pattern, judged);
        }
    }
}

#[target_feature(enable = "ssse3")]
fn judge_ssse3<const MANY: bool>(frames: &Frames<'_>, pattern: &Pattern, judged: &mut Judged) {
    super::judge::judge::<Four, MANY>(frames, pattern, judged)
}

/// Four words. Used within `judge_ssse3` only, where there is SSSE3.
#[derive(Clone, Copy)]
struct Four(__m128i);

impl Lanes for Four {
    const COUNT: usize = 4;

    #[inline(always)]
    fn load(from: &Eight, at: usize) -> Self {
        // SAFETY: `at` is 0 or 4, so the 16 bytes are there and aligned as `Eight` is.
        Self(unsafe { _mm_load_si128(from.0.as_ptr().add(at & 4).cast()) })
    }

    #[inline(always)]
    fn store(self, into: &mut Eight, at: usize) {
        // SAFETY: as in `load`.
        unsafe { _mm_store_si128(into.0.as_mut_ptr().add(at & 4).cast(), self.0) }
    }

    #[inline(always)]
    fn columns(heads: &[&Head; AT_A_TIME], at: usize, from: usize) -> [Self; 4] {
        let (at, from) = (at & 4, from.min(LAST_ROW));
        // SAFETY: 16 bytes from there on are within the head; no alignment is asked for.
        let row = |index| unsafe {
            let head: &Head = heads[at + index];
            _mm_loadu_si128(head.as_ptr().add(from).cast())
        };
        transposed([row(0), row(1), row(2), row(3)]).map(Self)
    }

    #[inline(always)]
    fn payload_sums(heads: &[&Head; AT_A_TIME], at: usize) -> Self {
        let [h0, h1, h2, h3, h4, h5, h6, h7] = *heads;
        let [a, b, c, d] = if at == 0 { [h0, h1, h2, h3] } else { [h4, h5, h6, h7] };
        // SAFETY: as said at `Four`; so below.
        Self(unsafe {
            let ab = _mm_hadd_epi32(short_sums(a), short_sums(b));
            let cd = _mm_hadd_epi32(short_sums(c), short_sums(d));
            _mm_add_epi32(_mm_hadd_epi32(ab, cd), _mm_set1_epi32(BIAS))
        })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm_and_si128(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm_or_si128(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm_xor_si128(self.0, other.0) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn eq(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm_cmpeq_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn gt(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm_cmpgt_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn high(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm_srli_epi32::<16>(self.0) })
    }

    #[inline(always)]
    fn low_swapped(self) -> Self {
        // SAFETY: as above.
        Self(unsafe {
            let order = _mm_setr_epi8(1, 0, -1, -1, 5, 4, -1, -1, 9, 8, -1, -1, 13, 12, -1, -1);
            _mm_shuffle_epi8(self.0, order)
        })
    }

    #[inline(always)]
    fn bits(self) -> u32 {
        // SAFETY: as above.
        unsafe { _mm_movemask_ps(_mm_castsi128_ps(self.0)) }.cast_unsigned()
    }
}

/// Where the last 16 bytes of a head begin.
const LAST_ROW: usize = size_of::<Head>() - 16;

/// What 16 words that were taken for numbers with a sign, less 2^15, lack.
const BIAS: i32 = 16 << 15;

/// The begin of the last 32 bytes of a head, in which all of a short payload is.
const SHORT_AT: usize = size_of::<Head>() - 32;

/// Four sums over words of a short payload, less what [`BIAS`] adds.
#[inline(always)]
fn short_sums(head: &Head) -> __m128i {
    let at = head.as_ptr();
    // SAFETY: as said at `Four`; the loads of 16 bytes end within the head, the last with it.
    unsafe {
        let len = _mm_shuffle_epi8(_mm_loadu_si128(at.add(26).cast()), _mm_set1_epi8(13));
        // A byte counts if the UDP length is greater than its place, and it is of the payload.
        let first = _mm_setr_epi8(127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 8, 9, 10, 11, 12, 13);
        let second = _mm_setr_epi8(14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
        let begin = _mm_loadu_si128(at.add(SHORT_AT).cast());
        let end = _mm_loadu_si128(at.add(SHORT_AT + 16).cast());
        let begin = _mm_and_si128(begin, _mm_cmpgt_epi8(len, first));
        let end = _mm_and_si128(end, _mm_cmpgt_epi8(len, second));
        _mm_add_epi32(pair_sums(begin), pair_sums(end))
    }
}

/// The sum of each pair of words, taken for numbers with a sign, less 2^15.
#[inline(always)]
fn pair_sums(words: __m128i) -> __m128i {
    // SAFETY: as said at `Four`.
    unsafe { _mm_madd_epi16(_mm_xor_si128(words, _mm_set1_epi16(i16::MIN)), _mm_set1_epi16(1)) }
}

/// Four rows of four words, as four columns.
#[inline(always)]
fn transposed([a, b, c, d]: [__m128i; 4]) -> [__m128i; 4] {
    // SAFETY: SSE2, which every x86-64 processor has.
    unsafe {
        let (ab_low, cd_low) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
        let (ab_high, cd_high) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
        [
            _mm_unpacklo_epi64(ab_low, cd_low),
            _mm_unpackhi_epi64(ab_low, cd_low),
            _mm_unpacklo_epi64(ab_high, cd_high),
            _mm_unpackhi_epi64(ab_high, cd_high),
        ]
    }
}
