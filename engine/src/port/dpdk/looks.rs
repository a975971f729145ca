//! What tells whether an mbuf is plain: its references, segments and flags, of many in one look.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use dpdk_sys as sys;

/// One reference and one segment.
const PLAIN_COUNTS: u32 = 0x0001_0001;
/// The data buffer is another mbuf's or no pool's at all.
pub(super) const FOREIGN_BUFFER: u64 = sys::DPDK_SYS_RTE_MBUF_F_INDIRECT | sys::DPDK_SYS_RTE_MBUF_F_EXTERNAL;

/// Where the fields are that tell whether an mbuf is plain: the start of its data, references, segments
/// and port, 16 bits each, and its flags.
pub(super) const LOOKS_AT: usize = sys::DPDK_SYS_MBUF_data_off;

const _: () = assert!(sys::DPDK_SYS_MBUF_refcnt == LOOKS_AT + 2);
const _: () = assert!(sys::DPDK_SYS_MBUF_nb_segs == LOOKS_AT + 4);
const _: () = assert!(sys::DPDK_SYS_MBUF_ol_flags == LOOKS_AT + 8);
const _: () = assert!(LOOKS_AT.is_multiple_of(16) && align_of::<sys::rte_mbuf>().is_multiple_of(16));

/// Whether any mbuf came with flags or got some. Until then there are none that a port must not see, and nobody
/// looks: drivers without offloads set none.
static HAVE_FLAGS: AtomicBool = AtomicBool::new(false);

/// There are mbufs with flags from now on.
#[inline]
pub(super) fn note_flags() {
    if !HAVE_FLAGS.load(Relaxed) {
        HAVE_FLAGS.store(true, Relaxed);
    }
}

/// Whether there may be mbufs with flags.
#[inline]
pub(super) fn have_flags() -> bool {
    HAVE_FLAGS.load(Relaxed)
}

/// Those fields of an mbuf, or what was made of those of several.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Looks(Register);

/// A vector register, where the compiler would take two others.
#[cfg(target_arch = "x86_64")]
type Register = std::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
type Register = [u64; 2];

impl Looks {
    #[inline]
    fn of([counts, flags]: [u64; 2]) -> Self {
        // SAFETY: 16 bytes either way, of which any are right.
        Self(unsafe { mem::transmute::<[u64; 2], Register>([counts, flags]) })
    }

    /// Adds how `other` differs from `plain`.
    #[inline]
    fn or_difference(self, other: Self, plain: Self) -> Self {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: SSE2, which every x86-64 processor has.
        return Self(unsafe {
            use std::arch::x86_64::{_mm_or_si128, _mm_xor_si128};
            _mm_or_si128(self.0, _mm_xor_si128(other.0, plain.0))
        });
        #[cfg(not(target_arch = "x86_64"))]
        Self([0, 1].map(|index| self.0[index] | (other.0[index] ^ plain.0[index])))
    }

    /// Adds each of its words, no further than to the greatest one.
    #[inline]
    fn plus(self, other: Self) -> Self {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: SSE2, which every x86-64 processor has.
        return Self(unsafe { std::arch::x86_64::_mm_adds_epu16(self.0, other.0) });
        #[cfg(not(target_arch = "x86_64"))]
        {
            // SAFETY: 16 bytes each way, of which any are right.
            let words = [self, other].map(|looks| unsafe { mem::transmute::<Register, [u16; 8]>(looks.0) });
            let sums: [u16; 8] = std::array::from_fn(|index| words[0][index].saturating_add(words[1][index]));
            // SAFETY: as above.
            Self(unsafe { mem::transmute::<[u16; 8], Register>(sums) })
        }
    }

    /// Whether all are those of plain mbufs without flags. They have a reference and a segment at least, as live
    /// ones do.
    #[inline]
    pub(super) fn are_unmarked(all: impl ExactSizeIterator<Item = Self>) -> bool {
        let count = all.len();
        let [counts, flags] = all.fold(Self::of([0; 2]), Self::plus).words();
        // What reached the greatest word is no sum.
        flags == 0 && count < usize::from(u16::MAX) && (counts >> 16) as u32 == PLAIN_COUNTS * count as u32
    }

    /// Whether all are those of plain mbufs.
    #[inline]
    pub(super) fn are_plain(all: impl Iterator<Item = Self>) -> bool {
        let plain = Self::of([u64::from(PLAIN_COUNTS) << 16, 0]);
        let differences = all.fold(Self::of([0; 2]), |sum, looks| sum.or_difference(looks, plain));
        if differences.words()[1] != 0 {
            note_flags();
        }
        differences.are_none()
    }

    /// Whether there is no difference that counts: in references and segments, which are in the middle in
    /// either byte order, and in what tells of a foreign buffer.
    #[inline]
    fn are_none(self) -> bool {
        let [counts, flags] = self.words();
        (counts >> 16) as u32 == 0 && flags & FOREIGN_BUFFER == 0
    }

    #[inline]
    fn words(self) -> [u64; 2] {
        // SAFETY: as in `of`.
        unsafe { mem::transmute::<Register, [u64; 2]>(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: u64 = (PLAIN_COUNTS as u64) << 16;

    fn is_right(all: &[[u64; 2]]) -> (bool, bool) {
        let looks = || all.iter().map(|&words| Looks::of(words));
        (Looks::are_unmarked(looks()), Looks::are_plain(looks()))
    }

    #[test]
    fn what_one_of_many_has_is_seen() {
        let plain = [COUNTS | 128 | 7 << 48, 0];
        let foreign = sys::DPDK_SYS_RTE_MBUF_F_EXTERNAL;
        let wrong = [[COUNTS + (1 << 16), 0], [COUNTS + (1 << 32), 0], [COUNTS, foreign]];
        for count in [1, 8, 32, 64] {
            assert_eq!(is_right(&vec![plain; count]), (true, true), "{count}");
            for other in wrong {
                let mut all = vec![plain; count];
                all[count - 1] = other;
                assert_eq!(is_right(&all), (false, false), "{count} {other:x?}");
                // All of them: no sum comes round to that of plain ones.
                assert_eq!(is_right(&vec![other; count]), (false, false), "{count} {other:x?}");
            }
            assert_eq!(
                is_right(&vec![[COUNTS, 1]; count]),
                (false, true),
                "flags that count for nothing here"
            );
        }
    }

    #[test]
    fn references_without_end_are_not_few() {
        // Three references in 16 bits.
        let all = [0x8001, 0x8001, 1].map(|references| [references << 16 | 1 << 32, 0]);
        assert_eq!(is_right(&all), (false, false));
    }
}
