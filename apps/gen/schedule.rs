//! When datagrams are meant to leave: open loop, so nothing that happens changes it.

use std::time::Duration;

use super::random::SplitMix64;

/// How the gaps between datagrams are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Gaps {
    /// All alike.
    #[default]
    Fixed,
    /// At random, as independent clients make them (a Poisson process).
    Poisson,
}

/// The moments of one lcore's datagrams, in nanoseconds from the start of a trial.
///
/// They are computed from the number of the datagram and not from the one before, so that no
/// rounding adds up.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Datagrams until now, by the rate's measure; with random gaps no whole number.
    position: f64,
    /// Nanoseconds between datagrams at the full rate.
    gap: f64,
    /// How long the rate rises from nothing, in nanoseconds.
    ramp: f64,
    /// Datagrams until the full rate is there.
    ramp_position: f64,
    random: Option<SplitMix64>,
}

impl Schedule {
    /// Datagrams at `rate` a second, after a rise of that long. `phase` in gaps, below 1, is when
    /// the first one leaves: lcores that share a rate take turns.
    pub(crate) fn new(rate: f64, gaps: Gaps, ramp: Duration, phase: f64, seed: u64) -> Self {
        let (gap, ramp) = (1e9 / rate, ramp.as_nanos() as f64);
        let mut random = (gaps == Gaps::Poisson).then(|| SplitMix64::new(seed));
        let position = random.as_mut().map_or(phase, SplitMix64::exponential);
        Self { position, gap, ramp, ramp_position: ramp / gap / 2.0, random }
    }

    /// When the next one leaves, in nanoseconds from the start.
    #[inline]
    pub(crate) fn due(&self) -> u64 {
        let nanos = if self.position < self.ramp_position {
            // The rate grows with the time, and so the number with its square.
            self.ramp * (self.position / self.ramp_position).sqrt()
        } else {
            self.ramp + (self.position - self.ramp_position) * self.gap
        };
        nanos as u64
    }

    /// How many more leave before `end`, in nanoseconds from the start, on average where gaps
    /// are random.
    pub(crate) fn left(&self, end: u64) -> u64 {
        (end.saturating_sub(self.due()) as f64 / self.gap).ceil() as u64
    }

    /// Goes on to the next one.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.position += self.random.as_mut().map_or(1.0, SplitMix64::exponential);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut schedule: Schedule, count: usize) -> Vec<u64> {
        let next = || {
            let due = schedule.due();
            schedule.advance();
            due
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn fixed_gaps_do_not_drift() {
        let schedule = |phase| Schedule::new(3.0, Gaps::Fixed, Duration::ZERO, phase, 1);
        assert_eq!(moments(schedule(0.0), 4), [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(moments(schedule(0.5), 2), [166_666_666, 500_000_000]);
        let far = Schedule::new(1e6 / 3.0, Gaps::Fixed, Duration::ZERO, 0.0, 1);
        assert_eq!(moments(far.clone(), 3_000_001)[3_000_000], 9_000_000_000);
        assert_eq!([far.left(0), far.left(1), far.left(3000), far.left(3001)], [0, 1, 1, 2]);
    }

    #[test]
    fn a_ramp_rises_to_the_rate_and_goes_on() {
        let ramped = moments(Schedule::new(1000.0, Gaps::Fixed, Duration::from_secs(2), 0.0, 1), 2001);
        assert_eq!([ramped[0], ramped[250], ramped[1000]], [0, 1_000_000_000, 2_000_000_000]);
        assert_eq!(ramped[2000], 3_000_000_000, "a thousand in the second behind it");
        assert!(ramped.is_sorted());
    }

    #[test]
    fn random_gaps_have_the_rate_and_the_spread_of_a_poisson_process() {
        let schedule = |seed| Schedule::new(1e6, Gaps::Poisson, Duration::ZERO, 0.0, seed);
        let moments_of = moments(schedule(7), 100_001);
        assert_eq!(moments(schedule(7), 100), moments_of[..100], "a seed fixes it");
        assert_ne!(moments(schedule(8), 100), moments_of[..100]);
        let gaps: Vec<_> = moments_of.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!(
            (mean - 1000.0).abs() < 20.0 && (variance.sqrt() / mean - 1.0).abs() < 0.02,
            "{mean} {variance}"
        );
    }
}
