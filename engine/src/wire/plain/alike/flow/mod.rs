//! Frames of one flow: those alike that come from one socket, too.
//!
//! What eight such frames have in common is their source as well, which was found right when the first
//! ones of them were judged as [frames alike](super). So what is left to be looked at is whether they
//! are of the flow, and their sums; and the headers of all their replies are the same.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod ssse3;

use super::{AT_A_TIME, Alike, BIAS, Bytes, Factors, words};
use crate::wire::plain::{Eight, Head};

/// What is compared of a head. Free are identification and checksum of the IP header, the UDP checksum
/// and the payload.
const MASK: Bytes = Bytes([
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
    0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
/// The least words of heads' second halves where a UDP checksum is missing: what is zero is the least number with
/// a sign where the highest bit is turned. Elsewhere what no word is, since zero is among those compared.
const MISSING: Bytes = {
    let mut bytes = [0x7f; size_of::<Head>()];
    (bytes[8], bytes[9]) = (0, 0x80);
    Bytes(bytes)
};
/// Where the free words of the IP header are.
const FREE: [usize; 2] = [18, 24];
/// Where the free words of the datagram begin: those from there on have the highest bits turned, as
/// biased words do.
const DATAGRAM_AT: usize = 40;
/// Bytes of a reply's headers that are the same in all of a flow: all but the UDP checksum.
const REPLY_LEN: usize = DATAGRAM_AT;
/// Where a few bytes tell most flows apart: the end of the source, our address and the source port.
const KEY_AT: usize = 28;

/// What eight frames of one flow look like.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Flow {
    /// A head of it, zero where it is free but for the bits that are turned.
    template: Bytes,
    /// [`MASK`], where the generated code reads it: of a constant the compiler makes instructions that valgrind
    /// does not know.
    mask: Bytes,
    /// [`MISSING`], likewise.
    missing: Bytes,
    /// Which words are of the IP packet.
    factors: Factors,
    /// What the sum of an IP header has beside its free words.
    ip_sum: Eight,
    /// What the sum of a datagram and its pseudo header has beside its free words.
    udp_sum: Eight,
    /// The headers of a reply, up to [`REPLY_LEN`].
    reply: Bytes,
}

impl Flow {
    /// That of a right frame alike and of the reply that it was turned into.
    pub(super) fn new(alike: &Alike, head: &Head, reply: &Head) -> Self {
        let mut fixed = *head;
        FREE.into_iter().for_each(|at| fixed[at..at + 2].fill(0));
        fixed[DATAGRAM_AT..].fill(0);
        let mut template = fixed;
        let biased = FREE.into_iter().chain((DATAGRAM_AT..template.len()).step_by(2));
        biased.for_each(|at| template[at + 1] = 0x80);
        let udp_words = (alike.kind.len() - DATAGRAM_AT) as u32 / 2;
        let pseudo = words(&fixed[26..34]) + words(&[0, 17]) + words(&fixed[38..40]);
        Self {
            template: Bytes(template),
            mask: MASK,
            missing: MISSING,
            factors: alike.factors.clone(),
            ip_sum: Eight::all(words(&fixed[14..34]) + 2 * BIAS),
            udp_sum: Eight::all(pseudo + words(&fixed[34..40]) + udp_words * BIAS),
            reply: Bytes(*reply),
        }
    }

    /// The last eight bytes of what is the same in all replies.
    #[inline]
    fn reply_end(&self) -> u64 {
        let mut end = [0; 8];
        end.copy_from_slice(&self.reply.0[REPLY_LEN - 8..REPLY_LEN]);
        u64::from_ne_bytes(end)
    }

    /// Whether a frame seems to be of the flow.
    #[inline]
    pub(super) fn may_have(&self, head: &Head) -> bool {
        key(head) == key(&self.template.0)
    }
}

/// Whether the frames of these heads seem to be of one flow: some of them do.
#[inline]
pub(super) fn are_one(heads: &[&mut Head; AT_A_TIME]) -> bool {
    [3, AT_A_TIME - 1].iter().all(|&other| key(heads[other]) == key(heads[0]))
}

/// What tells most flows apart.
#[inline]
fn key(head: &Head) -> u64 {
    let mut key = [0; 8];
    key.copy_from_slice(&head[KEY_AT..KEY_AT + 8]);
    u64::from_ne_bytes(key)
}
