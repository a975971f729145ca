//! What an lcore counts and measures in one trial.

use hdrhistogram::Histogram;

/// The longest time that is told apart from longer ones, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;
/// Digits of each measured time.
const DIGITS: u8 = 3;

/// What an lcore counts and measures in one trial; sums of several are one too.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Datagrams that the engine was handed.
    pub(crate) sent: u64,
    /// Datagrams that were due and not sent in time: the generator was too slow.
    pub(crate) unsent: u64,
    /// Answers that are whole, each counted once.
    pub(crate) received: u64,
    /// Whole answers that had come before.
    pub(crate) duplicates: u64,
    /// Answers behind one that was asked for later; they count as received too.
    pub(crate) reordered: u64,
    /// Datagrams from a target that are none of ours or not as they were sent.
    pub(crate) corrupted: u64,
    /// Datagrams from others, and answers to earlier trials.
    pub(crate) strays: u64,
    /// How long it sent, in nanoseconds; of several the longest.
    pub(crate) nanos: u64,
    /// From the moment that a datagram was meant to leave to its answer, in nanoseconds.
    pub(crate) rtt: Histogram<u64>,
    /// From that moment to the one when the port had the datagram, in nanoseconds.
    pub(crate) lateness: Histogram<u64>,
    /// The sum of the differences between successive round trips, in nanoseconds.
    jitter_sum: u64,
    jitters: u64,
    last_rtt: Option<u64>,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants that are allowed")
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            sent: 0,
            unsent: 0,
            received: 0,
            duplicates: 0,
            reordered: 0,
            corrupted: 0,
            strays: 0,
            nanos: 0,
            rtt: histogram(),
            lateness: histogram(),
            jitter_sum: 0,
            jitters: 0,
            last_rtt: None,
        }
    }

    /// An answer came that long after its question was meant to leave, in nanoseconds.
    #[inline]
    pub(crate) fn measure(&mut self, rtt: u64) {
        self.rtt.saturating_record(rtt);
        if let Some(last) = self.last_rtt.replace(rtt) {
            self.jitter_sum = self.jitter_sum.saturating_add(rtt.abs_diff(last));
            self.jitters += 1;
        }
    }

    /// The mean difference between successive round trips of an lcore, in nanoseconds (the
    /// absolute D of RFC 3550, section 6.4.1, averaged evenly).
    pub(crate) fn jitter(&self) -> f64 {
        self.jitter_sum as f64 / self.jitters.max(1) as f64
    }

    /// Datagrams that were due and have no answer.
    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// The part of what was sent that has no answer, from 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.lost() as f64 / self.sent.max(1) as f64
    }

    /// The part of what was due that has no answer, from 0 to 1: what the generator owes counts
    /// against the rate.
    pub(crate) fn loss_of_offered(&self) -> f64 {
        (self.lost() + self.unsent) as f64 / (self.sent + self.unsent).max(1) as f64
    }

    /// The part of what was due that was not sent in time, from 0 to 1.
    pub(crate) fn unsent_of_offered(&self) -> f64 {
        self.unsent as f64 / (self.sent + self.unsent).max(1) as f64
    }

    /// Datagrams sent a second.
    pub(crate) fn tx_pps(&self) -> f64 {
        self.sent as f64 / self.seconds()
    }

    /// Answers a second, by the time that was sent in.
    pub(crate) fn rx_pps(&self) -> f64 {
        self.received as f64 / self.seconds()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.nanos.max(1) as f64 / 1e9
    }

    /// Adds another lcore's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.received += other.received;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
        self.strays += other.strays;
        self.nanos = self.nanos.max(other.nanos);
        for (sum, other) in [(&mut self.rtt, &other.rtt), (&mut self.lateness, &other.lateness)] {
            sum.add(other).expect("all have the same bounds");
        }
        self.jitter_sum = self.jitter_sum.saturating_add(other.jitter_sum);
        self.jitters += other.jitters;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_jitter() {
        let mut tally = Tally::new();
        [1_000, 3_000, 2_000, u64::MAX].iter().for_each(|&rtt| tally.measure(rtt));
        assert_eq!(tally.rtt.len(), 4);
        assert!(tally.rtt.value_at_quantile(0.5).abs_diff(2_000) <= 2);
        assert!(tally.rtt.max() >= LONGEST, "as long as any");
        let mut even = Tally::new();
        [1_000, 3_000, 2_000].iter().for_each(|&rtt| even.measure(rtt));
        assert!((even.jitter() - 1_500.0).abs() < 1e-9);
        let mut sum = Tally::new();
        (0..2).for_each(|_| sum.add(&even));
        assert!((sum.jitter() - 1_500.0).abs() < 1e-9, "not across lcores");
        assert_eq!(sum.rtt.len(), 6);
    }

    #[test]
    fn loss_counts_what_has_no_answer() {
        let mut tally = Tally::new();
        (tally.sent, tally.received, tally.unsent, tally.nanos) = (900, 810, 100, 500_000_000);
        assert_eq!((tally.lost(), tally.loss()), (90, 0.1));
        assert!((tally.loss_of_offered() - 0.19).abs() < 1e-12);
        assert!((tally.unsent_of_offered() - 0.1).abs() < 1e-12);
        assert_eq!((tally.tx_pps(), tally.rx_pps()), (1800.0, 1620.0));
        assert_eq!(Tally::new().loss(), 0.0);
    }
}
