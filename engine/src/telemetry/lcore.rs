//! How busy an lcore is: its ticks, its waits and its CPU time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::{Durations, DurationsSnapshot};
use crate::sys::CpuClock;

/// What an lcore's worker did with its time: relaxed atomic words with one writer, on a cache
/// line of their own. Readers never stop the writer.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct LcoreCounters {
    ticks: AtomicU64,
    busy_ticks: AtomicU64,
    asleep_ticks: AtomicU64,
    waits: AtomicU64,
    wakeups: AtomicU64,
    cpu: Mutex<CpuTime>,
    turns: Durations,
}

/// The CPU time of the worker's thread, touched by the worker at its begin and end only.
#[derive(Clone, Copy, Debug, Default)]
enum CpuTime {
    #[default]
    Unknown,
    /// Since the thread had used so much.
    Since(CpuClock, Duration),
    Ended(Duration),
}

/// An lcore's worker runs as long as this lives.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a LcoreCounters);

impl LcoreCounters {
    /// The calling thread is the worker's from now on.
    pub(crate) fn begin(&self) -> Running<'_> {
        let clock = CpuClock::of_this_thread().and_then(|clock| Ok((clock, clock.elapsed()?)));
        self.set_cpu(clock.map_or(CpuTime::Unknown, |(clock, before)| CpuTime::Since(clock, before)));
        Running(self)
    }

    /// So many turns of the loop took so many ticks, their rest included, and, which is the same, so many
    /// nanoseconds. They count as equally long. Only the thread that owns it may call this: it is no atomic
    /// addition.
    #[inline]
    pub fn turns(&self, count: u64, ticks: u64, nanos: u64, are_busy: bool) {
        add(&self.ticks, ticks);
        if are_busy {
            add(&self.busy_ticks, ticks);
            self.turns.record_equal(count, nanos);
        }
    }

    /// How long the turns with work took.
    pub fn busy_turns(&self) -> DurationsSnapshot {
        self.turns.snapshot()
    }

    /// A number that moves as long as the worker does: its ticks.
    pub(crate) fn pulse(&self) -> u64 {
        self.ticks.load(Relaxed)
    }

    /// The worker waited for so many ticks; a descriptor woke it, or the time was up.
    pub(crate) fn waited(&self, ticks: u64, was_woken: bool) {
        add(&self.asleep_ticks, ticks);
        add(&self.waits, 1);
        add(&self.wakeups, u64::from(was_woken));
    }

    /// The present values.
    pub fn snapshot(&self) -> LcoreSnapshot {
        let cpu = match *self.cpu.lock().unwrap_or_else(PoisonError::into_inner) {
            CpuTime::Unknown => Duration::ZERO,
            CpuTime::Since(clock, before) => clock.elapsed().unwrap_or(before).saturating_sub(before),
            CpuTime::Ended(used) => used,
        };
        LcoreSnapshot {
            ticks: self.ticks.load(Relaxed),
            busy_ticks: self.busy_ticks.load(Relaxed),
            asleep_ticks: self.asleep_ticks.load(Relaxed),
            waits: self.waits.load(Relaxed),
            wakeups: self.wakeups.load(Relaxed),
            cpu_ns: u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    fn set_cpu(&self, cpu: CpuTime) {
        *self.cpu.lock().unwrap_or_else(PoisonError::into_inner) = cpu;
    }
}

impl Drop for Running<'_> {
    /// A thread that is gone can't be asked.
    fn drop(&mut self) {
        let used = Duration::from_nanos(self.0.snapshot().cpu_ns);
        self.0.set_cpu(CpuTime::Ended(used));
    }
}

/// It has one writer, so this is no atomic addition.
#[inline]
fn add(word: &AtomicU64, count: u64) {
    word.store(word.load(Relaxed).wrapping_add(count), Relaxed);
}

/// An lcore's figures at one moment, or what came to them between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LcoreSnapshot {
    /// Ticks of the time-stamp counter (nanoseconds where there is none) since the worker's start.
    pub ticks: u64,
    /// Those of turns that received frames or had a tick of the service due.
    pub busy_ticks: u64,
    /// Those of waits.
    pub asleep_ticks: u64,
    /// Times that the worker waited.
    pub waits: u64,
    /// Waits that a descriptor ended: a frame came, or the stop.
    pub wakeups: u64,
    /// CPU time of the thread in nanoseconds, in the kernel too.
    pub cpu_ns: u64,
}

impl LcoreSnapshot {
    /// Ticks with work over all ticks.
    pub fn busy_ratio(&self) -> f64 {
        self.busy_ticks as f64 / (self.ticks as f64).max(1.0)
    }

    /// For people: how busy the lcore was, and how much of a CPU it used in the time that passed.
    pub(crate) fn usage(&self, elapsed: Duration) -> String {
        let cpu_ratio = self.cpu_ns as f64 / (elapsed.as_nanos() as f64).max(1.0);
        format!("busy {:.1} %, CPU {:.1} %", 100.0 * self.busy_ratio(), 100.0 * cpu_ratio)
    }

    /// What came to the figures since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            ticks: self.ticks - before.ticks,
            busy_ticks: self.busy_ticks - before.busy_ticks,
            asleep_ticks: self.asleep_ticks - before.asleep_ticks,
            waits: self.waits - before.waits,
            wakeups: self.wakeups - before.wakeups,
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_waits_add_up() {
        let counters = LcoreCounters::default();
        counters.turns(1, 100, 50, true);
        counters.turns(1, 300, 150, false);
        counters.waited(250, true);
        counters.waited(10, false);
        let now = counters.snapshot();
        assert_eq!((now.ticks, now.busy_ticks, now.asleep_ticks), (400, 100, 260));
        assert_eq!((now.waits, now.wakeups, now.busy_ratio()), (2, 1, 0.25));
        assert_eq!(
            (counters.busy_turns().count(), counters.busy_turns().nanos()),
            (1, 50),
            "those with work"
        );
        counters.turns(3, 600, 300, true);
        assert_eq!((counters.busy_turns().count(), counters.busy_turns().nanos()), (4, 350));
        assert_eq!(counters.snapshot().since(&now).busy_ratio(), 1.0);
        assert_eq!(LcoreSnapshot::default().busy_ratio(), 0.0);
    }

    #[test]
    fn cpu_time_counts_from_the_begin_and_stays_after_the_end() {
        let counters = LcoreCounters::default();
        let running = counters.begin();
        while counters.snapshot().cpu_ns == 0 {}
        drop(running);
        let used = counters.snapshot().cpu_ns;
        assert!(used > 0 && counters.snapshot().cpu_ns == used);
    }
}
