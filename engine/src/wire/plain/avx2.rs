//! Wide frames in a column, on x86-64 processors with AVX2: all of x86-64-v2.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm_setr_epi8, _mm256_add_epi32, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_cmpgt_epi8, _mm256_cmpgt_epi32, _mm256_hadd_epi32,
    _mm256_lddqu_si256, _mm256_load_si256, _mm256_loadu2_m128i, _mm256_madd_epi16, _mm256_movemask_ps,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_srli_epi32, _mm256_store_si256, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::judge::Pattern;
use super::lanes::Lanes;
use super::{AT_A_TIME, Eight, Frames, Head, Judged};

/// As [`super::judge::judge`].
#[inline]
pub(super) fn judge(frames: &Frames<'_>, pattern: &Pattern, judged: &mut Judged) {
    // SAFETY: a kernel of this kind is only made where there is AVX2.
    unsafe {
        if pattern.has_many() {
            judge_avx2::<true>(frames, pattern, judged);
        } else {
            judge_avx2::<false>(frames, pattern, judged);
        }
    }
}

#[target_feature(enable = "avx2")]
fn judge_avx2<const MANY: bool>(frames: &Frames<'_>, pattern: &Pattern, judged: &mut Judged) {
    super::judge::judge::<Wide, MANY>(frames, pattern, judged)
}

/// Wide words. Used within `judge_avx2` only, where there is AVX2.
#[derive(Clone, Copy)]
struct Wide(__m256i);

impl Lanes for Wide {
    const COUNT: usize = 8;

    #[inline(always)]
    fn load(from: &Eight, _at: usize) -> Self {
        // SAFETY: the 32 bytes are there and aligned as `Eight` is.
        Self(unsafe { _mm256_load_si256(from.0.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, into: &mut Eight, _at: usize) {
        // SAFETY: as in `load`.
        unsafe { _mm256_store_si256(into.0.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn columns(heads: &[&Head; AT_A_TIME], _at: usize, from: usize) -> [Self; 4] {
        let from = from.min(LAST_ROW);
        // Frames 0 to 3 are in the lower halves of the rows, frames 4 to 7 in the upper ones.
        // SAFETY: 16 bytes from there on are within the head; no alignment is asked for.
        let row = |index: usize| unsafe {
            let (lower, upper): (&Head, &Head) = (heads[index], heads[index + 4]);
            let (lower, upper) = (lower.as_ptr().add(from), upper.as_ptr().add(from));
            _mm256_loadu2_m128i(upper.cast(), lower.cast())
        };
        transposed([row(0), row(1), row(2), row(3)]).map(Self)
    }

    #[inline(always)]
    fn payload_sums(heads: &[&Head; AT_A_TIME], _at: usize) -> Self {
        let [h0, h1, h2, h3, h4, h5, h6, h7] = *heads;
        let (a, b) = (four_sums(h0, h1, h2, h3), four_sums(h4, h5, h6, h7));
        // SAFETY: as said at `Wide`; so below.
        Self(unsafe {
            let lower = _mm256_permute2x128_si256::<0x20>(a, b);
            let upper = _mm256_permute2x128_si256::<0x31>(a, b);
            _mm256_add_epi32(_mm256_add_epi32(lower, upper), _mm256_set1_epi32(BIAS))
        })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_or_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn eq(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_cmpeq_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn gt(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_cmpgt_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn high(self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_srli_epi32::<16>(self.0) })
    }

    #[inline(always)]
    fn low_swapped(self) -> Self {
        // SAFETY: as above.
        Self(unsafe {
            let order = _mm256_broadcastsi128_si256(_mm_setr_epi8(
                1, 0, -1, -1, 5, 4, -1, -1, 9, 8, -1, -1, 13, 12, -1, -1,
            ));
            _mm256_shuffle_epi8(self.0, order)
        })
    }

    #[inline(always)]
    fn bits(self) -> u32 {
        // SAFETY: as above.
        unsafe { _mm256_movemask_ps(_mm256_castsi256_ps(self.0)) }.cast_unsigned()
    }
}

/// Where the last 16 bytes of a head begin.
const LAST_ROW: usize = size_of::<Head>() - 16;

/// What 16 words that were taken for numbers with a sign, less 2^15, lack.
const BIAS: i32 = 16 << 15;

/// The begin of the last 32 bytes of a head, in which all of a short payload is.
const SHORT_AT: usize = size_of::<Head>() - 32;

/// Where the low byte of the UDP length is.
const LEN_AT: usize = 39;

/// Eight sums over words of a short payload, less what [`BIAS`] adds.
#[inline(always)]
fn short_sums(head: &Head) -> __m256i {
    let at = head.as_ptr();
    // SAFETY: as said at `Wide`; the loads end within the head, the last with it.
    unsafe {
        let len = _mm256_set1_epi8(head[LEN_AT].cast_signed());
        // A byte counts if the UDP length is greater than its place, and it is of the payload.
        let places = _mm256_setr_epi8(
            127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
            20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
        );
        let payload = _mm256_lddqu_si256(at.add(SHORT_AT).cast());
        let masked = _mm256_and_si256(payload, _mm256_cmpgt_epi8(len, places));
        _mm256_madd_epi16(_mm256_xor_si256(masked, _mm256_set1_epi16(i16::MIN)), _mm256_set1_epi16(1))
    }
}

/// The sums of four heads, in parts: first the lower halves of [`short_sums`], then the upper ones.
#[inline(always)]
fn four_sums(a: &Head, b: &Head, c: &Head, d: &Head) -> __m256i {
    // SAFETY: as said at `Wide`.
    unsafe {
        let (ab, cd) = (
            _mm256_hadd_epi32(short_sums(a), short_sums(b)),
            _mm256_hadd_epi32(short_sums(c), short_sums(d)),
        );
        _mm256_hadd_epi32(ab, cd)
    }
}

/// Four rows of four words, as four columns.
#[inline(always)]
fn transposed([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    // SAFETY: as said at `Wide`.
    unsafe {
        let (ab_low, cd_low) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
        [
            _mm256_unpacklo_epi64(ab_low, cd_low),
            _mm256_unpackhi_epi64(ab_low, cd_low),
            _mm256_unpacklo_epi64(ab_high, cd_high),
            _mm256_unpackhi_epi64(ab_high, cd_high),
        ]
    }
}
