//! Frames of one flow on x86-64 processors with SSSE3: a head is four registers.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi16, _mm_hadd_epi32, _mm_madd_epi16,
    _mm_min_epi16, _mm_or_si128, _mm_set1_epi16, _mm_set1_epi32, _mm_setzero_si128, _mm_storeu_si128,
    _mm_xor_si128,
};

use super::Flow;
use crate::wire::plain::alike::heads;
use crate::wire::plain::alike::ssse3::{all, folded, get, load, zero_bytes};
use crate::wire::plain::{AT_A_TIME, Head};

/// As [`Alike::turn_flow`](crate::wire::plain::Alike). Not inlined: its caller would need a large frame for the
/// other kernels, too.
#[inline(never)]
pub(in crate::wire::plain::alike) fn turn_flow<P>(
    flow: &Flow,
    packets: &mut [P],
    head: impl Fn(&mut P) -> Option<&mut Head>,
) -> usize {
    // SAFETY: a kernel of this kind is only made where there is SSSE3.
    unsafe { turn_flow_ssse3(flow, packets, head) }
}

#[target_feature(enable = "ssse3")]
fn turn_flow_ssse3<P>(flow: &Flow, packets: &mut [P], head: impl Fn(&mut P) -> Option<&mut Head>) -> usize {
    let mut turned = 0;
    for packets in packets.as_chunks_mut::<AT_A_TIME>().0 {
        let Some(heads) = heads(packets, &head) else { break };
        let [a, b, c, d, e, f, g, h] = heads.map(placed);
        let mut found = Found::none();
        let first = Sums::of(found.look_at([a, b], flow), found.look_at([c, d], flow)).right(flow);
        let other = Sums::of(found.look_at([e, f], flow), found.look_at([g, h], flow)).right(flow);
        // The high half of a right one has all ones after one addition of its carries.
        let high = _mm_set1_epi32(0xffff_0000_u32.cast_signed());
        let not_right = _mm_andnot_si128(_mm_and_si128(first, other), high);
        if zero_bytes(_mm_or_si128(found.wrong(flow), not_right)) != 0xffff {
            break;
        }
        [a, b, c, d, e, f, g, h].into_iter().for_each(|head| turn_one(head, flow));
        turned += AT_A_TIME;
    }
    turned
}

/// The same head: where it is is worked out now, once, and kept in one register.
#[inline]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "only where it is passes through")]
fn placed(head: &mut Head) -> &mut Head {
    let mut at: *mut Head = head;
    // SAFETY: no instruction at all, so it is still the same.
    unsafe {
        asm!("/* {0} */", inout(reg) at, options(nomem, nostack, preserves_flags));
        &mut *at
    }
}

/// What was found in all frames together.
struct Found {
    /// What is not as in the first three quarters of the template, and what is free.
    quarters: [__m128i; 3],
    /// The least of each of the words of the third quarter, and zero.
    least: __m128i,
}

/// Sums over the free words of frames: of some of them to a frame.
struct Sums {
    ip: __m128i,
    udp: __m128i,
}

impl Sums {
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn of(first: Self, second: Self) -> Self {
        Self { ip: _mm_hadd_epi32(first.ip, second.ip), udp: _mm_hadd_epi32(first.udp, second.udp) }
    }

    /// All ones in the high halves of those that are right.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn right(&self, flow: &Flow) -> __m128i {
        _mm_and_si128(
            folded(_mm_add_epi32(self.ip, all(&flow.ip_sum))),
            folded(_mm_add_epi32(self.udp, all(&flow.udp_sum))),
        )
    }
}

impl Found {
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn none() -> Self {
        Self { quarters: [_mm_setzero_si128(); 3], least: _mm_setzero_si128() }
    }

    /// The sums of two frames, two of each.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn look_at(&mut self, [a, b]: [&Head; 2], flow: &Flow) -> Sums {
        Sums::of(self.look_at_one(a, flow), self.look_at_one(b, flow))
    }

    /// The sums of a frame, four of each.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn look_at_one(&mut self, head: &Head, flow: &Flow) -> Sums {
        let quarter = |at| _mm_xor_si128(load(head, at), get(&flow.template.0, at));
        let (link, ip, udp, payload) = (quarter(0), quarter(16), quarter(32), quarter(48));
        let [first, second, third] = self.quarters;
        self.quarters = [_mm_or_si128(first, link), _mm_or_si128(second, ip), _mm_or_si128(third, udp)];
        self.least = _mm_min_epi16(self.least, udp);
        let sums = _mm_madd_epi16(udp, get(&flow.factors.0, 16));
        let payload_sums = _mm_madd_epi16(payload, get(&flow.factors.0, 24));
        // The free words of the IP header are in its quarter, and nothing else.
        Sums { ip: _mm_madd_epi16(ip, _mm_set1_epi16(1)), udp: _mm_add_epi32(sums, payload_sums) }
    }

    /// Not zero where something is not as in the template, or a UDP checksum is missing.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn wrong(&self, flow: &Flow) -> __m128i {
        let [first, second, third] = self.quarters;
        let second = _mm_and_si128(second, get(&flow.mask.0, 16));
        let third = _mm_and_si128(third, get(&flow.mask.0, 32));
        let is_missing = _mm_cmpeq_epi16(self.least, get(&flow.missing.0, 0));
        _mm_or_si128(_mm_or_si128(first, second), _mm_or_si128(third, is_missing))
    }
}

/// Makes a head that of the reply.
#[inline]
#[target_feature(enable = "ssse3")]
fn turn_one(head: &mut Head, flow: &Flow) {
    let at = head.as_mut_ptr();
    // SAFETY: all of it is within the head.
    unsafe {
        _mm_storeu_si128(at.cast(), get(&flow.reply.0, 0));
        _mm_storeu_si128(at.add(16).cast(), get(&flow.reply.0, 16));
        at.add(32).cast::<u64>().write_unaligned(flow.reply_end());
    }
}
