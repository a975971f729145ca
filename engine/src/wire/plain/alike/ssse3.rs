//! Frames alike on x86-64 processors with SSSE3: the head of each is four vector registers, and four
//! of them are columns.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cmpeq_epi32,
    _mm_cmpgt_epi32, _mm_hadd_epi32, _mm_load_si128, _mm_loadu_si128, _mm_madd_epi16, _mm_min_epu8,
    _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi16, _mm_set1_epi32, _mm_setr_epi8, _mm_setzero_si128,
    _mm_shuffle_epi8, _mm_slli_epi32, _mm_srai_epi32, _mm_srli_epi32, _mm_storeu_si128, _mm_unpackhi_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm_xor_si128,
};

use super::{Alike, MASK, SENDER_AT};
use crate::wire::plain::{Eight, Head};

/// Frames that are turned at a time.
const FOUR: usize = 4;

/// The bytes of the first 16 that are the sender's MAC address.
const SENDER_BITS: i32 = 0b1111_1100_0000;

/// As [`Alike::turn_front`].
#[inline]
pub(super) fn turn_front<P>(
    alike: &Alike,
    packets: &mut [P],
    head: impl Fn(&mut P) -> Option<&mut Head>,
) -> usize {
    // SAFETY: a kernel of this kind is only made where there is SSSE3.
    unsafe { turn_front_ssse3(alike, packets, head) }
}

/// Not inlined on a build for such processors either: its caller would need a large frame for the other kernels, too.
#[inline(never)]
#[target_feature(enable = "ssse3")]
fn turn_front_ssse3<P>(
    alike: &Alike,
    packets: &mut [P],
    head: impl Fn(&mut P) -> Option<&mut Head>,
) -> usize {
    let mut turned = 0;
    for [a, b, c, d] in packets.as_chunks_mut::<FOUR>().0 {
        let Some(a) = head(a) else { break };
        let Some(b) = head(b) else { break };
        let Some(c) = head(c) else { break };
        let Some(d) = head(d) else { break };
        let mut found = Found::none();
        let columns = Columns::of(found.look_at([a, b], alike), found.look_at([c, d], alike));
        let wrong = _mm_or_si128(found.wrong(alike), columns.wrong(alike));
        if zero_bytes(wrong) != 0xffff || !found.has_senders() {
            break;
        }
        let protocols = columns.reply_protocols(alike);
        let heads = [a, b, c, d].into_iter();
        heads.zip(protocols).for_each(|(head, protocol)| turn_one(head, protocol, alike));
        turned += FOUR;
    }
    turned
}

/// What was found in all frames together.
struct Found {
    /// The bits of all first quarters.
    links: __m128i,
    /// The least of each of their bytes.
    least: __m128i,
    /// What is not as in the second and third quarter of the template, and what is free.
    quarters: [__m128i; 2],
}

/// What two frames have, next to each other.
struct Pair {
    /// Sums over the free words of IP headers, two to a frame.
    ip_sums: __m128i,
    /// Sums over the free words of datagrams, two to a frame.
    udp_sums: __m128i,
    /// Behind the header checksums the sources.
    sources: __m128i,
    /// Source ports in the high halves.
    ports: __m128i,
    /// UDP checksums in the low halves.
    checksums: __m128i,
}

impl Found {
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn none() -> Self {
        let (links, least) = (_mm_setzero_si128(), _mm_set1_epi32(-1));
        Self { links, least, quarters: [_mm_setzero_si128(); 2] }
    }

    #[inline]
    #[target_feature(enable = "ssse3")]
    fn look_at(&mut self, [a, b]: [&Head; 2], alike: &Alike) -> Pair {
        let (a, b) = (self.look_at_one(a, alike), self.look_at_one(b, alike));
        let ones = _mm_set1_epi16(1);
        Pair {
            // Of the IP header all free words are in there, and nothing else.
            ip_sums: _mm_hadd_epi32(_mm_madd_epi16(a.ip, ones), _mm_madd_epi16(b.ip, ones)),
            udp_sums: _mm_hadd_epi32(a.sums, b.sums),
            sources: _mm_unpackhi_epi32(a.ip, b.ip),
            ports: _mm_unpacklo_epi32(a.udp, b.udp),
            checksums: _mm_unpackhi_epi32(a.udp, b.udp),
        }
    }

    #[inline]
    #[target_feature(enable = "ssse3")]
    fn look_at_one(&mut self, head: &Head, alike: &Alike) -> Frame {
        let quarter = |at| _mm_xor_si128(load(head, at), get(&alike.template.0, at));
        let (link, ip, udp, payload) = (load(head, 0), quarter(16), quarter(32), quarter(48));
        self.links = _mm_or_si128(self.links, link);
        self.least = _mm_min_epu8(self.least, link);
        let [second, third] = self.quarters;
        self.quarters = [_mm_or_si128(second, ip), _mm_or_si128(third, udp)];
        let sums = _mm_madd_epi16(udp, get(&alike.factors.0, 16));
        let payload_sums = _mm_madd_epi16(payload, get(&alike.factors.0, 24));
        Frame { ip, udp, sums: _mm_add_epi32(sums, payload_sums) }
    }

    /// Not zero where something is not as in the template.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn wrong(&self, alike: &Alike) -> __m128i {
        let [second, third] = self.quarters;
        // Bytes of which all bits together and the least one are what they are to be are that, all of them.
        let link = get(&alike.template.0, 0);
        let first = _mm_or_si128(_mm_xor_si128(self.links, link), _mm_xor_si128(self.least, link));
        let first = _mm_and_si128(first, get(&MASK.0, 0));
        let second = _mm_and_si128(second, get(&MASK.0, 16));
        _mm_or_si128(_mm_or_si128(first, second), _mm_and_si128(third, get(&MASK.0, 32)))
    }

    /// Whether no sender's MAC address is zero: a byte of it is nowhere. Where none is, for senders
    /// that have little in common, the judge looks at each.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn has_senders(&self) -> bool {
        zero_bytes(self.least) & SENDER_BITS != SENDER_BITS
    }
}

/// What is looked at of a frame: its quarters, but for what they are to be.
struct Frame {
    ip: __m128i,
    udp: __m128i,
    /// Sums of pairs of words from there on, as far as they are of the frame.
    sums: __m128i,
}

/// A number for each frame.
struct Columns {
    ip_sums: __m128i,
    udp_sums: __m128i,
    sources: __m128i,
    source_sums: __m128i,
    ports: __m128i,
    checksums: __m128i,
}

impl Columns {
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn of(first: Pair, second: Pair) -> Self {
        // The two halves of a source are in two words.
        let begins = _mm_unpacklo_epi64(first.sources, second.sources);
        let ends = _mm_unpackhi_epi64(first.sources, second.sources);
        let sources = _mm_or_si128(_mm_srli_epi32::<16>(begins), _mm_slli_epi32::<16>(ends));
        let source_sums = _mm_madd_epi16(sources, _mm_set1_epi16(1));
        let udp_sums = _mm_hadd_epi32(first.udp_sums, second.udp_sums);
        Self {
            ip_sums: _mm_hadd_epi32(first.ip_sums, second.ip_sums),
            udp_sums: _mm_add_epi32(udp_sums, source_sums),
            sources,
            source_sums,
            ports: _mm_unpacklo_epi64(first.ports, second.ports),
            checksums: _mm_unpacklo_epi64(first.checksums, second.checksums),
        }
    }

    /// Not zero where something is wrong.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn wrong(&self, alike: &Alike) -> __m128i {
        let sums = _mm_and_si128(
            folded(_mm_add_epi32(self.ip_sums, all(&alike.ip_sum))),
            folded(_mm_add_epi32(self.udp_sums, all(&alike.udp_sum))),
        );
        // That of right words has all ones after one addition of its carries.
        let are_sums_right = _mm_srai_epi32::<16>(sums);
        // The first byte, 1 to 223 of it, as the highest byte of a number with a sign that begins with 1.
        let first = _mm_slli_epi32::<24>(self.sources);
        let shifted = _mm_add_epi32(first, _mm_set1_epi32(0x7f00_0000));
        let is_unicast = _mm_cmpgt_epi32(_mm_set1_epi32((223 << 24) ^ i32::MIN), shifted);
        let is_loopback = _mm_cmpeq_epi32(first, _mm_set1_epi32(127 << 24));
        let [one, other] = &alike.impossible_sources;
        let is_impossible =
            _mm_or_si128(_mm_cmpeq_epi32(self.sources, all(one)), _mm_cmpeq_epi32(self.sources, all(other)));
        // The high byte of a system's port is below 4.
        let high = _mm_and_si128(self.ports, _mm_set1_epi32(0xfc_0000));
        let is_port_wrong = _mm_or_si128(
            _mm_cmpeq_epi32(high, _mm_setzero_si128()),
            _mm_cmpeq_epi32(self.ports, all(&alike.port)),
        );
        let checksum = _mm_slli_epi32::<16>(self.checksums);
        let is_missing = _mm_cmpeq_epi32(checksum, _mm_set1_epi32(i32::MIN));
        let is_wrong =
            _mm_or_si128(_mm_or_si128(is_loopback, is_impossible), _mm_or_si128(is_port_wrong, is_missing));
        let right = _mm_andnot_si128(is_wrong, _mm_and_si128(are_sums_right, is_unicast));
        _mm_xor_si128(right, _mm_set1_epi32(-1))
    }

    /// TTL, protocol and header checksum of each reply.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn reply_protocols(&self, alike: &Alike) -> [u32; FOUR] {
        let sums = _mm_add_epi32(self.source_sums, all(&alike.reply_sum));
        // Both halves, and what is carried out of their sum, in the high half.
        let order = _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
        let sums = _mm_add_epi32(sums, _mm_shuffle_epi8(sums, order));
        let sums = _mm_and_si128(sums, _mm_set1_epi32(0xffff_0000_u32.cast_signed()));
        let mut protocols = [0; FOUR];
        // SAFETY: room for 16 bytes.
        unsafe {
            let into = protocols.as_mut_ptr().cast();
            _mm_storeu_si128(into, _mm_xor_si128(sums, all(&alike.reply_protocol)));
        }
        protocols
    }
}

/// Makes a head that of the reply. `protocol` is four bytes from the TTL on.
#[inline]
#[target_feature(enable = "ssse3")]
fn turn_one(head: &mut Head, protocol: u32, alike: &Alike) {
    let ends = _mm_shuffle_epi8(load(head, 26), load(&alike.swapped, 0));
    let at = head.as_mut_ptr();
    // SAFETY: all of it is within the head; the later stores put right what the first one wrote too much.
    unsafe {
        at.cast::<u64>().write_unaligned(at.add(SENDER_AT).cast::<u64>().read_unaligned());
        _mm_storeu_si128(at.add(SENDER_AT).cast(), load(&alike.reply, 0));
        at.add(22).cast::<u32>().write_unaligned(protocol);
        _mm_storeu_si128(at.add(26).cast(), ends);
    }
}

/// A bit for each byte that is zero.
#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn zero_bytes(bytes: __m128i) -> i32 {
    _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()))
}

/// The sum of both halves of each word, in its high half.
#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn folded(sums: __m128i) -> __m128i {
    _mm_add_epi32(sums, _mm_slli_epi32::<16>(sums))
}

/// The 16 bytes from `at` on.
#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn load<const LEN: usize>(from: &[u8; LEN], at: usize) -> __m128i {
    // SAFETY: the bytes are there; no alignment is asked for.
    unsafe { _mm_loadu_si128(from.as_ptr().add(at.min(LEN - 16)).cast()) }
}

/// The 16 bytes from element `at` on, of what is aligned.
#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn get<T, const LEN: usize>(from: &[T; LEN], at: usize) -> __m128i {
    let from = from.as_ptr().cast::<u8>().wrapping_add(at * size_of::<T>());
    debug_assert!(from.addr().is_multiple_of(16) && at * size_of::<T>() + 16 <= LEN * size_of::<T>());
    // SAFETY: used for the aligned quarters of `Bytes` and `Factors`.
    unsafe { _mm_load_si128(from.cast()) }
}

#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn all(from: &Eight) -> __m128i {
    // SAFETY: 16 bytes, aligned as `Eight` is.
    unsafe { _mm_load_si128(from.0.as_ptr().cast()) }
}
