//! How much of a CPU's time is taken away: the gaps in a loop that does nothing but read the clock.
//!
//! On a virtual machine most of them are moments at which the hypervisor runs something else.

use std::iter;
use std::thread;
use std::time::Duration;

use gannet::Time;
use gannet::sys::{Clock, CpuSet};
use serde::Serialize;

use super::stats::Summary;

/// How long a CPU is looked at.
pub(crate) const LONG: Duration = Duration::from_secs(2);
/// Longer than the loop itself and a caught interrupt take.
const GAP: Duration = Duration::from_micros(10);
/// Gaps there is room for from the start, so that none is made by asking for more.
const ROOM: usize = 1 << 16;

/// What a CPU lost in gaps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Jitter {
    pub(crate) cpu: usize,
    /// `before` or `after` the labs.
    pub(crate) when: &'static str,
    pub(crate) seconds: f64,
    /// The share of that which went into gaps, up to 1.
    pub(crate) lost_share: f64,
    pub(crate) gaps: usize,
    pub(crate) median_us: f64,
    pub(crate) longest_us: f64,
    #[serde(skip)]
    lengths_us: Vec<f64>,
}

/// Looks at all these CPUs at the same time. One that a thread can't be bound to is left out.
pub(crate) fn measure(cpus: &[usize], when: &'static str, long: Duration) -> Vec<Jitter> {
    let clock = Clock::start();
    thread::scope(|scope| {
        let look = |&cpu| scope.spawn(move || on_cpu(cpu, when, clock, long));
        let threads: Vec<_> = cpus.iter().map(look).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect()
    })
}

fn on_cpu(cpu: usize, when: &'static str, clock: Clock, long: Duration) -> Option<Jitter> {
    CpuSet::from_iter([cpu]).pin_current_thread().ok()?;
    let begin = clock.now();
    let readings = iter::repeat_with(|| clock.now());
    Some(Jitter::of(cpu, when, begin, readings.take_while(|now| now.since(begin) < long)))
}

impl Jitter {
    /// Of ascending readings of a clock, from `begin` on.
    fn of(cpu: usize, when: &'static str, begin: Time, readings: impl Iterator<Item = Time>) -> Self {
        let mut lengths_us = Vec::with_capacity(ROOM);
        let mut last = begin;
        for now in readings {
            let gap = now.since(last);
            if gap > GAP {
                lengths_us.push(microseconds(gap));
            }
            last = now;
        }
        let seconds = last.since(begin).as_secs_f64();
        let mut jitter = Self {
            cpu,
            when,
            seconds,
            lost_share: 0.0,
            gaps: lengths_us.len(),
            median_us: Summary::of(&lengths_us).map_or(0.0, |summary| summary.median),
            longest_us: lengths_us.iter().copied().fold(0.0, f64::max),
            lengths_us,
        };
        jitter.lost_share = jitter.waiting_share(0.0);
        jitter
    }

    /// The share of all moments at which one waits for more than `us` microseconds until a gap is over.
    fn waiting_share(&self, us: f64) -> f64 {
        let waiting: f64 = self.lengths_us.iter().map(|length| (length - us).max(0.0)).sum();
        waiting / (self.seconds * 1e6).max(f64::MIN_POSITIVE)
    }
}

/// Of each look at a CPU the share of moments that wait for more than `us` microseconds, and of these the
/// least, so that it holds for whatever a case ran on, and when; none if nobody looked.
pub(crate) fn least_waiting_share(jitter: &[Jitter], us: f64) -> f64 {
    jitter.iter().map(|jitter| jitter.waiting_share(us)).min_by(f64::total_cmp).unwrap_or(0.0)
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Of readings at these microseconds.
    pub(crate) fn at(readings_us: &[u64]) -> Jitter {
        let time = |us: &u64| Time::from_nanos(1_000 * us);
        Jitter::of(1, "before", time(&readings_us[0]), readings_us.iter().map(time))
    }

    fn is_near(got: f64, wanted: f64) {
        assert!((got - wanted).abs() < 1e-9, "{got} {wanted}");
    }

    #[test]
    fn only_gaps_longer_than_ten_microseconds_count() {
        let even = at(&[100, 105, 115, 120]);
        assert_eq!((even.gaps, even.lost_share, even.median_us, even.longest_us), (0, 0.0, 0.0, 0.0));
        // Gaps of 11, 30 and 59 in 200.
        let torn = at(&[100, 111, 115, 145, 204, 214, 224, 234, 244, 254, 264, 274, 284, 294, 300]);
        assert_eq!(torn.gaps, 3);
        is_near(torn.seconds, 200e-6);
        is_near(torn.lost_share, 0.5);
        is_near(torn.median_us, 30.0);
        is_near(torn.longest_us, 59.0);
    }

    #[test]
    fn only_the_beginning_of_a_gap_waits_for_long() {
        let torn = at(&[0, 20, 30, 70, 80, 90, 100]);
        is_near(torn.waiting_share(0.0), 0.6);
        is_near(torn.waiting_share(15.0), 0.3);
        is_near(torn.waiting_share(40.0), 0.0);
    }

    #[test]
    fn the_look_that_lost_the_least_counts() {
        let (torn, even) = (at(&[0, 50, 60, 70, 80, 90, 100]), at(&[0, 20, 30, 40, 50, 60, 70, 80, 90, 100]));
        is_near(least_waiting_share(&[torn.clone(), even.clone()], 0.0), 0.2);
        is_near(least_waiting_share(&[torn.clone(), even], 30.0), 0.0);
        is_near(least_waiting_share(&[torn], 30.0), 0.2);
        is_near(least_waiting_share(&[], 0.0), 0.0);
        is_near(at(&[5]).lost_share, 0.0);
    }

    #[test]
    fn a_cpu_of_this_machine_is_looked_at() {
        let cpus: Vec<_> = CpuSet::current().expect("some").iter().collect();
        let long = Duration::from_millis(20);
        let jitter = measure(&[cpus[0], CpuSet::CAPACITY], "after", long);
        assert_eq!(jitter.len(), 1, "there is no such CPU");
        assert_eq!((jitter[0].cpu, jitter[0].when), (cpus[0], "after"));
        assert!(jitter[0].seconds <= 0.02 && (0.0..=1.0).contains(&jitter[0].lost_share));
    }
}
