//! How often how long: durations counted in buckets, by one writer, for readers that never stop it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Two buckets for each doubling of the time.
const PER_OCTAVE: usize = 2;
/// The bound of the first bucket in nanoseconds, as a power of two: 128 ns.
const FIRST_POWER: usize = 7;
/// That of the last but one, which is the last bound: 17 s.
const LAST_POWER: usize = 34;
const BUCKETS: usize = PER_OCTAVE * (LAST_POWER - FIRST_POWER) + 2;

/// Durations, counted in buckets that are half as wide as their beginning: relaxed atomic words with one
/// writer, on cache lines of their own.
#[derive(Debug)]
#[repr(align(64))]
pub struct Durations {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Default for Durations {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], nanos: AtomicU64::new(0) }
    }
}

impl Durations {
    /// Counts a duration of so many nanoseconds. Only the thread that owns it may call this: it is no
    /// atomic addition, so that it costs no locked instruction.
    #[inline]
    pub fn record(&self, nanos: u64) {
        self.record_equal(1, nanos);
    }

    /// Counts so many equal durations, of so many nanoseconds together. For its owner, too.
    #[inline]
    pub fn record_equal(&self, count: u64, nanos: u64) {
        add(&self.buckets[bucket(nanos / count.max(1))], count);
        add(&self.nanos, nanos);
    }

    /// The present values.
    pub fn snapshot(&self) -> DurationsSnapshot {
        DurationsSnapshot {
            buckets: std::array::from_fn(|index| self.buckets[index].load(Relaxed)),
            nanos: self.nanos.load(Relaxed),
        }
    }
}

#[inline]
fn add(word: &AtomicU64, count: u64) {
    word.store(word.load(Relaxed).wrapping_add(count), Relaxed);
}

/// The first bucket whose bound is no less.
#[inline]
fn bucket(nanos: u64) -> usize {
    // One less, so that a bound lies in the bucket that it ends; never zero, which has no logarithm.
    let below = nanos.saturating_sub(1).max(1 << (FIRST_POWER - 1));
    let power = below.ilog2() as usize;
    let half = below >> (power - 1) & 1;
    (PER_OCTAVE * power + half as usize).saturating_sub(PER_OCTAVE * FIRST_POWER - 1).min(BUCKETS - 1)
}

/// How durations were spread at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationsSnapshot {
    buckets: [u64; BUCKETS],
    nanos: u64,
}

impl DurationsSnapshot {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum in nanoseconds.
    pub fn nanos(&self) -> u64 {
        self.nanos
    }

    /// The bound of each bucket in nanoseconds, ascending, and how many durations were no longer. Those
    /// beyond the last are in [`count`](Self::count) alone.
    pub fn cumulated(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let bound = |index: usize| {
            let whole = 1_u64 << (FIRST_POWER + index / PER_OCTAVE);
            if index.is_multiple_of(PER_OCTAVE) { whole } else { whole + whole / 2 }
        };
        let counts = self.buckets[..BUCKETS - 1].iter();
        counts.enumerate().scan(0, move |sum, (index, count)| {
            *sum += count;
            Some((bound(index), *sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound_of(nanos: u64) -> Option<u64> {
        let durations = Durations::default();
        durations.record(nanos);
        let snapshot = durations.snapshot();
        assert_eq!((snapshot.count(), snapshot.nanos()), (1, nanos));
        snapshot.cumulated().find(|&(_, count)| count == 1).map(|(bound, _)| bound)
    }

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let bounds: Vec<_> = Durations::default().snapshot().cumulated().map(|(bound, _)| bound).collect();
        assert!(bounds.is_sorted() && bounds[..4] == [128, 192, 256, 384], "{bounds:?}");
        assert_eq!(bounds.last(), Some(&(1 << LAST_POWER)));
        let near = bounds.iter().flat_map(|&bound| [bound - 1, bound, bound + 1]);
        for nanos in near.chain([0, 1, 2, 63, 64, 100, 1_000_000, u64::MAX]) {
            assert_eq!(bound_of(nanos), bounds.iter().copied().find(|&bound| nanos <= bound), "{nanos}");
        }
    }

    #[test]
    fn counts_cumulate() {
        let durations = Durations::default();
        [100, 150, 150, 1_000, u64::MAX / 2].iter().for_each(|&nanos| durations.record(nanos));
        let snapshot = durations.snapshot();
        let counts: Vec<_> = snapshot.cumulated().map(|(_, count)| count).collect();
        assert_eq!((&counts[..2], counts.last(), snapshot.count()), (&[1, 3][..], Some(&4), 5));
    }
}
