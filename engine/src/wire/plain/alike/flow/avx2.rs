//! Frames of one flow on x86-64 processors with AVX2: a head is two registers.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_cmpeq_epi16, _mm256_hadd_epi32, _mm256_madd_epi16, _mm256_min_epi16,
    _mm256_or_si256, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_ps,
};

use super::Flow;
use crate::wire::plain::alike::avx2::{all, differences, folded, get, is_zero, lower, settle, upper};
use crate::wire::plain::alike::heads;
use crate::wire::plain::{AT_A_TIME, Head};

/// As [`Alike::turn_flow`](crate::wire::plain::Alike).
#[inline]
pub(in crate::wire::plain::alike) fn turn_flow<P>(
    flow: &Flow,
    packets: &mut [P],
    head: impl Fn(&mut P) -> Option<&mut Head>,
) -> usize {
    // SAFETY: a kernel of this kind is only made where there is AVX2.
    unsafe { turn_flow_avx2(flow, packets, head) }
}

#[target_feature(enable = "avx2")]
fn turn_flow_avx2<P>(flow: &Flow, packets: &mut [P], head: impl Fn(&mut P) -> Option<&mut Head>) -> usize {
    let mut turned = 0;
    for packets in packets.as_chunks_mut::<AT_A_TIME>().0 {
        let Some(heads) = heads(packets, &head) else { break };
        let flow = read_anew(flow);
        if !are_of(flow, &heads) {
            break;
        }
        let (begin, end) = (get(&flow.reply.0, 0), flow.reply_end());
        heads.into_iter().for_each(|head| turn_one(head, begin, end));
        turned += AT_A_TIME;
    }
    turned
}

/// The same flow, of which nothing is known: else the compiler reads all of it before the loop, and keeps it on
/// the stack.
#[inline]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "only where it is passes through")]
fn read_anew(flow: &Flow) -> &Flow {
    let mut at: *const Flow = flow;
    // SAFETY: no instruction at all, so it is still the same.
    unsafe {
        asm!("/* {0} */", inout(reg) at, options(nomem, nostack, preserves_flags));
        &*at
    }
}

/// Whether all of the frames are of the flow, and right.
#[inline]
#[target_feature(enable = "avx2")]
fn are_of(flow: &Flow, [a, b, c, d, e, f, g, h]: &[&mut Head; AT_A_TIME]) -> bool {
    let mut found = Found::none();
    let first = found.look_at([a, b], [e, f], flow);
    let [begin, end] = &mut found.halves;
    settle([begin, end, &mut found.least]);
    let second = found.look_at([c, d], [g, h], flow);
    let udp_first = _mm256_hadd_epi32(first.udp_sums[0], second.udp_sums[0]);
    let udp_other = _mm256_hadd_epi32(first.udp_sums[1], second.udp_sums[1]);
    let udp_sums = _mm256_add_epi32(lower(udp_first, udp_other), upper(udp_first, udp_other));
    let ones = _mm256_set1_epi16(1);
    let [ip_first, ip_second] = [first.ip, second.ip].map(|words| _mm256_madd_epi16(words, ones));
    let ip_sums = _mm256_hadd_epi32(ip_first, ip_second);
    let sums = _mm256_and_si256(
        folded(_mm256_add_epi32(ip_sums, all(&flow.ip_sum))),
        folded(_mm256_add_epi32(udp_sums, all(&flow.udp_sum))),
    );
    // The high half of a right one has all ones after one addition of its carries.
    let not_right = _mm256_andnot_si256(sums, _mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
    is_zero(_mm256_or_si256(found.wrong(flow), not_right))
}

/// What was found in all frames together.
struct Found {
    /// What is not as in the halves of the template, and what is free.
    halves: [__m256i; 2],
    /// The least of each of the words of the second half, and zero.
    least: __m256i,
}

/// What is to be summed of four frames, the first two of them and the others.
struct Part {
    /// The free words of IP headers, among zeros.
    ip: __m256i,
    /// Sums over the free words of datagrams, of the two and the two, two to a frame in each half.
    udp_sums: [__m256i; 2],
}

/// What is looked at of a frame: its halves, but for what they are to be.
struct Frame {
    begin: __m256i,
    /// Sums of pairs of words of the second one, as far as they are of the frame.
    sums: __m256i,
}

impl Found {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn none() -> Self {
        Self { halves: [_mm256_setzero_si256(); 2], least: _mm256_setzero_si256() }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_at(&mut self, [a, b]: [&Head; 2], [e, f]: [&Head; 2], flow: &Flow) -> Part {
        let (a, e) = (self.look_at_one(a, flow), self.look_at_one(e, flow));
        let (b, f) = (self.look_at_one(b, flow), self.look_at_one(f, flow));
        Part {
            ip: upper(free_words(a.begin, b.begin), free_words(e.begin, f.begin)),
            udp_sums: [_mm256_hadd_epi32(a.sums, b.sums), _mm256_hadd_epi32(e.sums, f.sums)],
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_at_one(&mut self, head: &Head, flow: &Flow) -> Frame {
        let [begin, end] = differences(head, &flow.template);
        self.halves[0] = _mm256_or_si256(self.halves[0], begin);
        self.halves[1] = _mm256_or_si256(self.halves[1], end);
        self.least = _mm256_min_epi16(self.least, end);
        Frame { begin, sums: _mm256_madd_epi16(end, get(&flow.factors.0, 16)) }
    }

    /// Not zero where something is not as in the template, or a UDP checksum is missing.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn wrong(&self, flow: &Flow) -> __m256i {
        let [begin, end] = self.halves;
        let begin = _mm256_and_si256(begin, get(&flow.mask.0, 0));
        let end = _mm256_and_si256(end, get(&flow.mask.0, 32));
        let is_missing = _mm256_cmpeq_epi16(self.least, get(&flow.missing.0, 0));
        _mm256_or_si256(_mm256_or_si256(begin, end), is_missing)
    }
}

/// The free words of two IP headers, from the upper halves of frames' first ones: pairs of which the other word is
/// zero in right ones.
#[inline]
#[target_feature(enable = "avx2")]
fn free_words(a: __m256i, b: __m256i) -> __m256i {
    let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
    _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(a, b))
}

/// Makes a head that of the reply: its first half, and what of the other one is before the UDP checksum.
#[inline]
#[target_feature(enable = "avx2")]
fn turn_one(head: &mut Head, begin: __m256i, end: u64) {
    // SAFETY: all of it is within the head. Written out: a compiler that does not know the processor takes
    // two instructions for an unaligned store.
    unsafe {
        asm!(
            "vmovdqu ymmword ptr [{head}], {begin}",
            "mov qword ptr [{head} + 32], {end}",
            head = in(reg) head,
            begin = in(ymm_reg) begin,
            end = in(reg) end,
            options(nostack, preserves_flags)
        );
    }
}
