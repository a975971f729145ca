//! When ticks begin, and how late.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gannet::Time;
use gannet::telemetry::Durations;
use hdrhistogram::Histogram;

/// Nanoseconds that a histogram tells apart up to a minute, with three digits.
const LONGEST: u64 = 60_000_000_000;

/// How late ticks began and ended, behind the moment at which they were due, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Lateness {
    /// How late they began.
    pub begin: Histogram<u64>,
    /// How late the last of their updates was given to the port.
    pub end: Histogram<u64>,
}

impl Lateness {
    /// None yet.
    pub fn new() -> Self {
        // Three digits up to a minute are a range that it takes.
        let histogram = || Histogram::new_with_max(LONGEST, 3).unwrap_or_else(|_| unreachable!());
        Self { begin: histogram(), end: histogram() }
    }

    /// Adds those of another lcore.
    pub fn add(&mut self, other: &Self) {
        // They have the same range.
        let _ = self.begin.add(&other.begin);
        let _ = self.end.add(&other.end);
    }
}

impl Default for Lateness {
    fn default() -> Self {
        Self::new()
    }
}

/// What all lcores found, when they have ended.
pub type Sum = Arc<Mutex<Lateness>>;

/// The ticks of an lcore.
#[derive(Debug)]
pub(super) struct Ticks {
    period: Duration,
    /// When the present or the next one is due.
    pub(super) due: Time,
    /// When the present one began.
    pub(super) began: Time,
    /// Which one it is. The first is 1.
    pub(super) number: u32,
    lateness: Lateness,
    /// How late they ended, for the metrics.
    pub(super) shown: Arc<Durations>,
    sum: Sum,
}

impl Ticks {
    pub(super) fn new(period: Duration, sum: Sum) -> Self {
        let lateness = Lateness::new();
        let (due, began) = (Time::ZERO, Time::ZERO);
        Self { period, due, began, number: 0, lateness, shown: Arc::default(), sum }
    }

    /// Begins the tick that is due.
    pub(super) fn begin(&mut self, now: Time) {
        if self.number == 0 {
            self.due = now;
        }
        self.began = now;
        self.number = self.number.wrapping_add(1).max(1);
        self.lateness.begin.saturating_record(nanos(now, self.due));
    }

    /// Ends it. Gives how many ticks are left out since it took too long.
    pub(super) fn end(&mut self, now: Time) -> u64 {
        let late = nanos(now, self.due);
        self.lateness.end.saturating_record(late);
        self.shown.record(late);
        let skipped = late / self.period.as_nanos().max(1) as u64;
        let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
        self.due = self.due + self.period * skipped.saturating_add(1);
        // They count, so that the lcores' numbers stay together.
        self.number = self.number.wrapping_add(skipped);
        skipped.into()
    }
}

fn nanos(now: Time, due: Time) -> u64 {
    now.as_nanos().saturating_sub(due.as_nanos())
}

impl Drop for Ticks {
    fn drop(&mut self) {
        self.sum.lock().unwrap_or_else(PoisonError::into_inner).add(&self.lateness);
    }
}
