//! The sum over long inputs, 128 bytes a step, on x86-64 processors with AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_loadu_si256, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_srli_epi64,
};
use std::mem;

use super::Sum;
use crate::wire::plain::Kernel;

/// The sum over `bytes`, of any length and alignment; `None` without AVX2, and where it is not to
/// be used.
#[inline]
pub(super) fn sum(bytes: &[u8]) -> Option<Sum> {
    // SAFETY: a kernel has AVX2 only where the processor does.
    Kernel::best().has_avx2().then(|| unsafe { sum_avx2(bytes) })
}

#[target_feature(enable = "avx2")]
fn sum_avx2(bytes: &[u8]) -> Sum {
    let (blocks, rest) = bytes.as_chunks::<128>();
    let (vectors, tail) = rest.as_chunks::<32>();
    let mut sums = [_mm256_setzero_si256(); 4];
    for block in blocks {
        let (vectors, _) = block.as_chunks::<32>();
        for (sum, vector) in sums.iter_mut().zip(vectors) {
            *sum = add(*sum, vector);
        }
    }
    for (sum, vector) in sums.iter_mut().zip(vectors) {
        *sum = add(*sum, vector);
    }
    let [a, b, c, d] = sums;
    let all = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
    // SAFETY: both are 32 plain bytes.
    let lanes: [u64; 4] = unsafe { mem::transmute::<__m256i, [u64; 4]>(all) };
    lanes.into_iter().map(Sum).fold(Sum::scalar(tail), |sum, lane| sum + lane)
}

/// Adds the eight 32-bit words of `vector` to the four 64-bit lanes of `sum`, which would
/// overflow after 2^31 such steps: 64 GiB of input and more.
#[inline]
#[target_feature(enable = "avx2")]
fn add(sum: __m256i, vector: &[u8; 32]) -> __m256i {
    // SAFETY: the 32 bytes are there, and the load asks for no alignment.
    let words = unsafe { _mm256_loadu_si256(vector.as_ptr().cast()) };
    let even = _mm256_and_si256(words, _mm256_set1_epi64x(0xffff_ffff));
    let odd = _mm256_srli_epi64::<32>(words);
    _mm256_add_epi64(sum, _mm256_add_epi64(even, odd))
}
