//! Frames alike on x86-64 processors with AVX-512: the head of each is one register, and three hold
//! what is looked at in columns of eight of them. A reply is one permutation of its request.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512i, __mmask16, _mm512_add_epi32, _mm512_castsi512_si256, _mm512_cmplt_epu32_mask,
    _mm512_inserti64x4, _mm512_load_si512, _mm512_loadu_si512, _mm512_madd_epi16,
    _mm512_mask_cmpge_epu32_mask, _mm512_mask_cmpneq_epi32_mask, _mm512_mask_test_epi32_mask,
    _mm512_mask_testn_epi32_mask, _mm512_permutex2var_epi8, _mm512_permutex2var_epi32, _mm512_rol_epi32,
    _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_slli_epi32, _mm512_storeu_si512, _mm512_sub_epi32,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use super::{Alike, Bytes, MASK, Own, Sums, heads};
use crate::wire::plain::{AT_A_TIME, Head};

/// Whether the processor has all that is used here.
pub(in crate::wire::plain) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
}

/// As [`Alike::turn_front`].
#[inline]
pub(super) fn turn_front<P>(
    alike: &Alike,
    packets: &mut [P],
    head: impl Fn(&mut P) -> Option<&mut Head>,
) -> usize {
    // SAFETY: a kernel of this kind is only made where there are these.
    unsafe { turn_front_avx512(&alike.wide, packets, head) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn turn_front_avx512<P>(wide: &Wide, packets: &mut [P], head: impl Fn(&mut P) -> Option<&mut Head>) -> usize {
    let mut turned = 0;
    for packets in packets.as_chunks_mut::<AT_A_TIME>().0 {
        let Some([a, b, c, d, e, f, g, h]) = heads(packets, &head) else { break };
        let mut found = Found(_mm512_setzero_si512());
        let first = Four::of(found.look_at([a, b], wide), found.look_at([c, d], wide));
        let second = Four::of(found.look_at([e, f], wide), found.look_at([g, h], wide));
        let columns = Columns::of(&first, &second);
        if !columns.are_right(&found, wide) {
            break;
        }
        let fresh = columns.fresh(wide);
        let heads = [a, b, c, d, e, f, g, h].into_iter();
        heads.zip(&TURNS).for_each(|(head, turn)| turn_one(head, fresh, turn));
        turned += AT_A_TIME;
    }
    turned
}

/// Four numbers for some frames, four others, and both again for some other frames.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Lanes([u32; 16]);

impl Lanes {
    const fn of(first: u32, second: u32) -> Self {
        let mut lanes = [first; 16];
        let mut at = 0;
        while at < 4 {
            (lanes[4 + at], lanes[12 + at]) = (second, second);
            at += 1;
        }
        Self(lanes)
    }
}

/// What eight frames alike look like, as wide as they are looked at here.
#[derive(Clone, Debug)]
pub(super) struct Wide {
    template: Bytes,
    /// Which words of the upper halves of quarters are of the packet.
    factors: Lanes,
    /// What sums have beside the free words: that of an IP header, and that of a datagram and its pseudo header.
    sums: Lanes,
    /// What the sum of a reply's IP header has beside its destination, in the second place.
    reply_sums: Lanes,
    /// Bytes of a reply that are others than the request's: traffic class, identification and fragment field,
    /// and in the second place TTL and protocol, before ones.
    reply: Lanes,
    /// The impossible sources, one as a number, and the other in the second place as it is in memory.
    impossible_sources: [Lanes; 2],
    /// What is turned to zero: the first byte of loopback's addresses, and our port.
    excluded: Lanes,
}

/// Bits of a number that are turned in a template, read in the order of the network.
const TURNED: u32 = 0x0080_0080;
/// The least number that is right: of a source, and of a port with the checksum behind it.
const LEAST: Lanes = Lanes::of(1 << 24, 1024 << 16);
/// How many are right from there on.
const RANGE: Lanes = Lanes::of(223 << 24, 0xfc00 << 16);
/// The least numbers without what is excluded.
const LEAST_OTHER: Lanes = Lanes::of(1 << 24, 1 << 16);
/// Bits that are then not all zero: those of a source's first byte, and of a checksum.
const NEVER_ZERO: Lanes = Lanes::of(0xff << 24, 0xffff);
/// The least sum that is right, after one addition of its carries: its high half is all ones.
const RIGHT_SUM: Lanes = Lanes::of(0xffff_0000, 0xffff_0000);
/// Where replies have the checksums of their headers.
const CHECKSUMS: Lanes = Lanes::of(0, 0xffff_0000);
/// Factors of words of sources.
const OF_SOURCES: Lanes = Lanes::of(0, 0x0001_0001);
/// Factors of the lower halves of quarters: all but the first quarter is of the packet.
const OF_LOWER: Lanes = Lanes([
    0, 0, 0, 0, 0x1_0001, 0x1_0001, 0x1_0001, 0x1_0001, //
    0x1_0001, 0x1_0001, 0x1_0001, 0x1_0001, 0x1_0001, 0x1_0001, 0x1_0001, 0x1_0001,
]);
/// The upper halves of quarters of two frames, word by word; in place of the first one the source port and
/// the sender's last bytes.
const UPPER: Lanes = Lanes([8, 24, 2, 18, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31]);
/// From such ones of two and two frames: the sender's last bytes, sources, sources as numbers, and ports with the
/// checksum behind them as numbers.
const GATHERED: Bytes = gathered();
/// For each of eight frames how its reply is made of it (64 and more) and of what is fresh.
static TURNS: [Bytes; AT_A_TIME] = turns();

impl Wide {
    /// For frames of `len` bytes to us, of such a template; `reply` as [`Own::reply`] gives it.
    pub(super) fn new(own: &Own, len: usize, template: &Bytes, sums: &Sums, reply: &[u8; 18]) -> Self {
        let [one, other] = own.impossible_sources;
        let mut factors = OF_LOWER;
        factors.0[14..].fill(u32::from(len > 60) | u32::from(len > 62) << 16);
        Self {
            template: template.clone(),
            factors,
            sums: Lanes::of(sums.ip, sums.udp),
            reply_sums: Lanes::of(0, sums.reply),
            reply: Lanes::of(
                u32::from_le_bytes([reply[9], reply[12], reply[14], reply[15]]),
                u32::from_le_bytes([reply[16], reply[17], 0xff, 0xff]),
            ),
            impossible_sources: [
                Lanes::of(u32::from_be_bytes(one) ^ TURNED, 0),
                Lanes::of(0, u32::from_le_bytes(other) ^ TURNED.swap_bytes()),
            ],
            excluded: Lanes::of(127 << 24, u32::from(u16::from_be_bytes(own.port)) << 16 ^ TURNED),
        }
    }
}

/// What is found in all frames together that is not as in the template.
struct Found(__m512i);

/// What two frames have.
struct Two {
    /// Sums over the free words of IP headers, two to a frame, and of datagrams, four to a frame.
    sums: __m512i,
    /// As [`UPPER`] takes them.
    upper: __m512i,
}

impl Found {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn look_at(&mut self, [a, b]: [&Head; 2], wide: &Wide) -> Two {
        let (a, b) = (self.look_at_one(a, wide), self.look_at_one(b, wide));
        let lower = _mm512_unpacklo_epi32(a, b);
        let upper = _mm512_permutex2var_epi32(a, words(&UPPER), b);
        let sums_of_lower = _mm512_madd_epi16(lower, words(&OF_LOWER));
        let sums_of_upper = _mm512_madd_epi16(upper, words(&wide.factors));
        Two { sums: _mm512_add_epi32(sums_of_lower, sums_of_upper), upper }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn look_at_one(&mut self, head: &Head, wide: &Wide) -> __m512i {
        let found = _mm512_xor_si512(load(head), get(&wide.template.0));
        // Or, after and.
        self.0 = _mm512_ternarylogic_epi32::<0xf8>(self.0, found, get(&MASK.0));
        found
    }
}

/// What four frames have.
struct Four {
    /// A number to each in every quarter: in the second one sums of the IP header, in the others those of the datagram.
    sums: __m512i,
    /// As [`GATHERED`] takes them.
    gathered: __m512i,
}

impl Four {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn of(first: Two, second: Two) -> Self {
        let lower = _mm512_unpacklo_epi64(first.sums, second.sums);
        let upper = _mm512_unpackhi_epi64(first.sums, second.sums);
        Self {
            sums: _mm512_add_epi32(lower, upper),
            gathered: _mm512_permutex2var_epi8(first.upper, get(&GATHERED.0), second.upper),
        }
    }
}

/// Numbers of eight frames, two for each.
struct Columns {
    /// Of IP headers, and of datagrams.
    sums: __m512i,
    /// Those of sources, in the second place.
    source_sums: __m512i,
    /// The sender's last bytes, and the source.
    senders: __m512i,
    /// The source, and port and checksum.
    sources: __m512i,
}

impl Columns {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn of(first: &Four, second: &Four) -> Self {
        let begins = _mm512_shuffle_i64x2::<0b10_01_10_01>(first.sums, second.sums);
        // The first quarters are zero.
        let ends = _mm512_shuffle_i64x2::<0b11_00_11_00>(first.sums, second.sums);
        let senders = _mm512_inserti64x4::<1>(first.gathered, _mm512_castsi512_si256(second.gathered));
        let source_sums = _mm512_madd_epi16(senders, words(&OF_SOURCES));
        Self {
            sums: _mm512_add_epi32(_mm512_add_epi32(begins, ends), source_sums),
            source_sums,
            senders,
            sources: _mm512_shuffle_i64x2::<0b11_10_11_10>(first.gathered, second.gathered),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn are_right(&self, found: &Found, wide: &Wide) -> bool {
        let [one, other] = &wide.impossible_sources;
        let from_least = _mm512_sub_epi32(self.sources, words(&LEAST));
        let right = _mm512_cmplt_epu32_mask(from_least, words(&RANGE));
        let others = _mm512_xor_si512(self.sources, words(&wide.excluded));
        let right = _mm512_mask_cmpge_epu32_mask(right, others, words(&LEAST_OTHER));
        let right = _mm512_mask_test_epi32_mask(right, others, words(&NEVER_ZERO));
        let right = _mm512_mask_cmpneq_epi32_mask(right, self.sources, words(one));
        // A sender's address that ends with zeros is left to the judge.
        let right = _mm512_mask_cmpneq_epi32_mask(right, self.senders, words(other));
        let right = _mm512_mask_testn_epi32_mask(right, found.0, found.0);
        let sums = _mm512_add_epi32(self.sums, words(&wide.sums));
        let folded = _mm512_add_epi32(sums, _mm512_slli_epi32::<16>(sums));
        _mm512_mask_cmpge_epu32_mask(right, folded, words(&RIGHT_SUM)) == __mmask16::MAX
    }

    /// The bytes of replies that are not those of requests.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn fresh(&self, wide: &Wide) -> __m512i {
        let sums = _mm512_add_epi32(self.source_sums, words(&wide.reply_sums));
        let sums = _mm512_add_epi32(sums, _mm512_rol_epi32::<16>(sums));
        // Xor, after and.
        _mm512_ternarylogic_epi32::<0x78>(words(&wide.reply), sums, words(&CHECKSUMS))
    }
}

/// Makes a head that of the reply.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn turn_one(head: &mut Head, fresh: __m512i, turn: &Bytes) {
    let reply = _mm512_permutex2var_epi8(fresh, get(&turn.0), load(head));
    // SAFETY: room for 64 bytes; no alignment is asked for.
    unsafe { _mm512_storeu_si512(head.as_mut_ptr().cast(), reply) };
}

const fn gathered() -> Bytes {
    let mut bytes = [0; size_of::<Head>()];
    let mut frame = 0;
    while frame < 4 {
        // Two are in the first operand, and two in the second.
        let from = frame as u8 % 2 * 4 + frame as u8 / 2 * 64;
        let mut at = 0;
        while at < 4 {
            // The bytes of the source, behind the header checksum and before the destination.
            let source = from + [18, 19, 24, 25][at];
            let port_and_checksum = from + [2, 3, 32, 33][at];
            bytes[4 * frame + at] = from + 8 + at as u8;
            bytes[16 + 4 * frame + at] = source;
            bytes[32 + 4 * frame + 3 - at] = source;
            bytes[48 + 4 * frame + 3 - at] = port_and_checksum;
            at += 1;
        }
        frame += 1;
    }
    Bytes(bytes)
}

const fn turns() -> [Bytes; AT_A_TIME] {
    let mut turns = [const { Bytes([0; size_of::<Head>()]) }; AT_A_TIME];
    let mut frame = 0;
    while frame < AT_A_TIME {
        let protocol = 16 + frame / 4 * 32 + frame % 4 * 4;
        let mut at = 0;
        while at < size_of::<Head>() {
            turns[frame].0[at] = match at {
                0..6 => 64 + at + 6,
                6..12 => 64 + at - 6,
                15 => 0,
                18 | 19 => 1,
                20 | 21 => at - 18,
                22..26 => protocol + at - 22,
                26..30 => 64 + at + 4,
                30..34 => 64 + at - 4,
                34 | 35 => 64 + at + 2,
                36 | 37 => 64 + at - 2,
                _ => 64 + at,
            } as u8;
            at += 1;
        }
        frame += 1;
    }
    turns
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(head: &Head) -> __m512i {
    // SAFETY: the bytes are there; no alignment is asked for.
    unsafe { _mm512_loadu_si512(head.as_ptr().cast()) }
}

/// Those of [`Bytes`], which are aligned.
#[inline]
#[target_feature(enable = "avx512f")]
fn get(bytes: &Head) -> __m512i {
    debug_assert!(bytes.as_ptr().addr().is_multiple_of(64));
    // SAFETY: used for what is aligned, as `Bytes` are.
    unsafe { _mm512_load_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn words(lanes: &Lanes) -> __m512i {
    // SAFETY: 64 bytes, aligned as `Lanes` are.
    unsafe { _mm512_load_si512(lanes.0.as_ptr().cast()) }
}
