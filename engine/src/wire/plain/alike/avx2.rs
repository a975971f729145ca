//! Frames alike on x86-64 processors with AVX2: the headers and the payload of each are a wide
//! register.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_setr_epi8, _mm_setzero_si128, _mm_shuffle_epi8,
    _mm_storeu_si128, _mm_testc_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_castsi256_si128, _mm256_cmpeq_epi32, _mm256_cmpgt_epi32, _mm256_hadd_epi32, _mm256_load_si256,
    _mm256_madd_epi16, _mm256_min_epu8, _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srai_epi32,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_testz_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::{Alike, Bytes, MASK, SENDER, SENDER_AT, heads};
use crate::wire::plain::{AT_A_TIME, Eight, Head};

/// As [`Alike::turn_front`].
#[inline]
pub(super) fn turn_front<P>(
    alike: &Alike,
    packets: &mut [P],
    head: impl Fn(&mut P) -> Option<&mut Head>,
) -> usize {
    // SAFETY: a kernel of this kind is only made where there is AVX2.
    unsafe { turn_front_avx2(alike, packets, head) }
}

#[target_feature(enable = "avx2")]
fn turn_front_avx2<P>(alike: &Alike, packets: &mut [P], head: impl Fn(&mut P) -> Option<&mut Head>) -> usize {
    let mut turned = 0;
    for packets in packets.as_chunks_mut::<AT_A_TIME>().0 {
        let Some([a, b, c, d, e, f, g, h]) = heads(packets, &head) else { break };
        let mut found = Found::none();
        let first = found.look_at([a, b], [e, f], alike);
        let [begin, end] = &mut found.halves;
        settle([begin, end, &mut found.least]);
        let second = found.look_at([c, d], [g, h], alike);
        let columns = Columns::of(first, second);
        // One branch on nearly all of it: with more, registers run out.
        if !is_zero(_mm256_or_si256(found.wrong(), columns.wrong(alike))) || !found.has_senders() {
            break;
        }
        let protocols = columns.reply_protocols(alike);
        let heads = [a, b, c, d, e, f, g, h].into_iter();
        heads.zip(protocols.0).for_each(|(head, protocol)| turn_one(head, protocol, alike));
        turned += AT_A_TIME;
    }
    turned
}

/// What was found in all frames together.
struct Found {
    /// What is not as in the halves of the template, and what is free.
    halves: [__m256i; 2],
    /// The least of each of the first bytes.
    least: __m256i,
}

/// What four frames have in parts, the first two of them in the lower halves of columns, and the
/// others in the upper ones.
#[derive(Clone, Copy)]
struct Part {
    /// Sums over the free words of IP headers, two to a frame.
    ip_sums: __m256i,
    /// Sums over the free words of datagrams, of the two and the two, two to a frame in each half.
    udp_sums: [__m256i; 2],
    /// Behind the header checksums the sources.
    sources: __m256i,
    /// Source ports in the high halves.
    ports: __m256i,
    /// UDP checksums in the low halves.
    checksums: __m256i,
}

impl Found {
    #[target_feature(enable = "avx2")]
    fn none() -> Self {
        Self { halves: [_mm256_setzero_si256(); 2], least: _mm256_set1_epi32(-1) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_at(&mut self, [a, b]: [&Head; 2], [e, f]: [&Head; 2], alike: &Alike) -> Part {
        let (a, e) = (self.look_at_one(a, alike), self.look_at_one(e, alike));
        let (b, f) = (self.look_at_one(b, alike), self.look_at_one(f, alike));
        // Of the IP header all free words are in there, and nothing else.
        let (ip_ae, ip_bf) = (upper(a.begin, e.begin), upper(b.begin, f.begin));
        let (udp_ae, udp_bf) = (lower(a.end, e.end), lower(b.end, f.end));
        let ones = _mm256_set1_epi16(1);
        Part {
            ip_sums: _mm256_hadd_epi32(_mm256_madd_epi16(ip_ae, ones), _mm256_madd_epi16(ip_bf, ones)),
            udp_sums: [_mm256_hadd_epi32(a.sums, b.sums), _mm256_hadd_epi32(e.sums, f.sums)],
            sources: _mm256_unpackhi_epi32(ip_ae, ip_bf),
            ports: _mm256_unpacklo_epi32(udp_ae, udp_bf),
            checksums: _mm256_unpackhi_epi32(udp_ae, udp_bf),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn look_at_one(&mut self, head: &Head, alike: &Alike) -> Frame {
        let [begin, end] = differences(head, &alike.template);
        self.halves[0] = _mm256_or_si256(self.halves[0], begin);
        self.halves[1] = _mm256_or_si256(self.halves[1], end);
        self.least = _mm256_min_epu8(self.least, begin);
        Frame { begin, end, sums: _mm256_madd_epi16(end, get(&alike.factors.0, 16)) }
    }

    /// Not zero where something is not as in the template.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn wrong(&self) -> __m256i {
        let [begin, end] = self.halves;
        let begin = _mm256_and_si256(begin, get(&MASK.0, 0));
        _mm256_or_si256(begin, _mm256_and_si256(end, get(&MASK.0, 32)))
    }

    /// Whether no sender's MAC address is zero: a byte of it is nowhere. Where none is, for senders
    /// that have little in common, the judge looks at each.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn has_senders(&self) -> bool {
        let least = _mm256_castsi256_si128(self.least);
        // SAFETY: 16 bytes that are there.
        let sender = unsafe { _mm_loadu_si128(SENDER.as_ptr().cast()) };
        _mm_testc_si128(_mm_cmpeq_epi8(least, _mm_setzero_si128()), sender) == 0
    }
}

/// What is looked at of a frame: its halves, but for what they are to be.
struct Frame {
    begin: __m256i,
    end: __m256i,
    /// Sums of pairs of words of the second one, as far as they are of the frame.
    sums: __m256i,
}

/// A number for each frame.
struct Columns {
    ip_sums: __m256i,
    udp_sums: __m256i,
    sources: __m256i,
    source_sums: __m256i,
    ports: __m256i,
    checksums: __m256i,
}

impl Columns {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(first: Part, second: Part) -> Self {
        let udp_first = _mm256_hadd_epi32(first.udp_sums[0], second.udp_sums[0]);
        let udp_other = _mm256_hadd_epi32(first.udp_sums[1], second.udp_sums[1]);
        let udp_sums = _mm256_add_epi32(lower(udp_first, udp_other), upper(udp_first, udp_other));
        // The two halves of a source are in two words.
        let begins = _mm256_unpacklo_epi64(first.sources, second.sources);
        let ends = _mm256_unpackhi_epi64(first.sources, second.sources);
        let sources = _mm256_or_si256(_mm256_srli_epi32::<16>(begins), _mm256_slli_epi32::<16>(ends));
        let source_sums = _mm256_madd_epi16(sources, _mm256_set1_epi16(1));
        Self {
            ip_sums: _mm256_hadd_epi32(first.ip_sums, second.ip_sums),
            udp_sums: _mm256_add_epi32(udp_sums, source_sums),
            sources,
            source_sums,
            ports: _mm256_unpacklo_epi64(first.ports, second.ports),
            checksums: _mm256_unpacklo_epi64(first.checksums, second.checksums),
        }
    }

    /// Not zero where something is wrong.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn wrong(&self, alike: &Alike) -> __m256i {
        let sums = _mm256_and_si256(
            folded(_mm256_add_epi32(self.ip_sums, all(&alike.ip_sum))),
            folded(_mm256_add_epi32(self.udp_sums, all(&alike.udp_sum))),
        );
        // That of right words has all ones after one addition of its carries.
        let are_sums_right = _mm256_srai_epi32::<16>(sums);
        // The first byte, 1 to 223 of it, as the highest byte of a number with a sign that begins with 1.
        let first = _mm256_slli_epi32::<24>(self.sources);
        let shifted = _mm256_add_epi32(first, _mm256_set1_epi32(0x7f00_0000));
        let is_unicast = _mm256_cmpgt_epi32(_mm256_set1_epi32((223 << 24) ^ i32::MIN), shifted);
        let is_loopback = _mm256_cmpeq_epi32(first, _mm256_set1_epi32(127 << 24));
        let [one, other] = &alike.impossible_sources;
        let is_impossible = _mm256_or_si256(
            _mm256_cmpeq_epi32(self.sources, all(one)),
            _mm256_cmpeq_epi32(self.sources, all(other)),
        );
        // The high byte of a system's port is below 4.
        let high = _mm256_and_si256(self.ports, _mm256_set1_epi32(0xfc_0000));
        let is_port_wrong = _mm256_or_si256(
            _mm256_cmpeq_epi32(high, _mm256_setzero_si256()),
            _mm256_cmpeq_epi32(self.ports, all(&alike.port)),
        );
        let checksum = _mm256_slli_epi32::<16>(self.checksums);
        let is_missing = _mm256_cmpeq_epi32(checksum, _mm256_set1_epi32(i32::MIN));
        let is_wrong = _mm256_or_si256(
            _mm256_or_si256(is_loopback, is_impossible),
            _mm256_or_si256(is_port_wrong, is_missing),
        );
        let right = _mm256_and_si256(are_sums_right, is_unicast);
        _mm256_or_si256(is_wrong, _mm256_xor_si256(right, _mm256_set1_epi32(-1)))
    }

    /// TTL, protocol and header checksum of each reply.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn reply_protocols(&self, alike: &Alike) -> Eight {
        let sum = with_carries(_mm256_add_epi32(self.source_sums, all(&alike.reply_sum)));
        let sum = _mm256_and_si256(sum, _mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
        let mut protocols = Eight::default();
        // SAFETY: room for 32 bytes.
        unsafe {
            let into = protocols.0.as_mut_ptr().cast();
            _mm256_storeu_si256(into, _mm256_xor_si256(sum, all(&alike.reply_protocol)));
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

/// What was found so far is put together now: else the compiler keeps all frames for another
/// order, and runs out of registers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn settle([a, b, c]: [&mut __m256i; 3]) {
    // SAFETY: no instruction at all.
    unsafe {
        asm!(
            "/* {0} {1} {2} */",
            inout(ymm_reg) * a,
            inout(ymm_reg) * b,
            inout(ymm_reg) * c,
            options(nomem, nostack, preserves_flags)
        );
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn is_zero(wide: __m256i) -> bool {
    _mm256_testz_si256(wide, wide) == 1
}

/// The sum of both halves of each word, in its high half.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn folded(sums: __m256i) -> __m256i {
    _mm256_add_epi32(sums, _mm256_slli_epi32::<16>(sums))
}

/// The same, and what is carried out of it added at its low end.
#[inline]
#[target_feature(enable = "avx2")]
fn with_carries(sums: __m256i) -> __m256i {
    let order = _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    _mm256_add_epi32(sums, _mm256_shuffle_epi8(sums, _mm256_broadcastsi128_si256(order)))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn lower(a: __m256i, b: __m256i) -> __m256i {
    _mm256_permute2x128_si256::<0x20>(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn upper(a: __m256i, b: __m256i) -> __m256i {
    _mm256_permute2x128_si256::<0x31>(a, b)
}

/// The halves of a head, but for what they are to be. Written out, since a compiler that does not know the
/// processor takes two instructions for an unaligned load, or one of its own.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn differences(head: &Head, template: &Bytes) -> [__m256i; 2] {
    let (begin, end): (__m256i, __m256i);
    // SAFETY: both halves are there, and are only read.
    unsafe {
        asm!(
            "vpxor {begin}, {to_be}, ymmword ptr [{head}]",
            begin = lateout(ymm_reg) begin,
            to_be = in(ymm_reg) get(&template.0, 0),
            head = in(reg) head,
            options(pure, readonly, nostack, preserves_flags)
        );
        asm!(
            "vpxor {end}, {to_be}, ymmword ptr [{head} + 32]",
            end = lateout(ymm_reg) end,
            to_be = in(ymm_reg) get(&template.0, 32),
            head = in(reg) head,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    [begin, end]
}

/// The 32 bytes from element `at` on, of what is aligned.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn get<T, const LEN: usize>(from: &[T; LEN], at: usize) -> __m256i {
    let from = from.as_ptr().cast::<u8>().wrapping_add(at * size_of::<T>());
    debug_assert!(from.addr().is_multiple_of(32) && at * size_of::<T>() + 32 <= LEN * size_of::<T>());
    // SAFETY: used for the aligned halves of `Bytes` and `Factors`.
    unsafe { _mm256_load_si256(from.cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn all(from: &Eight) -> __m256i {
    // SAFETY: 32 bytes, aligned as `Eight` is.
    unsafe { _mm256_load_si256(from.0.as_ptr().cast()) }
}

/// The 16 bytes from `at` on.
#[inline]
#[target_feature(enable = "avx2")]
fn load_half<const LEN: usize>(from: &[u8; LEN], at: usize) -> __m128i {
    let at = at.min(LEN - 16);
    // SAFETY: the bytes are there; no alignment is asked for.
    unsafe { _mm_loadu_si128(from.as_ptr().add(at).cast()) }
}
