//! `--search`: the highest rate without loss (NDR) and with little (PDR), by bisection over
//! timed trials as RFC 2544, section 26.1, and FD.io CSIT have it; then the latency at parts of
//! the first. A trial that loses too much is repeated, as in the "binary search with loss verification" of
//! ETSI GS NFV-TST 009: what disturbs the machine for a moment says nothing of a rate.

use serde::Serialize;

/// Parts of NDR at which latency is measured.
pub(crate) const LOADS: [f64; 3] = [0.1, 0.5, 0.9];
/// Trials at most, so that a path whose loss has nothing to do with the rate ends.
const MAX_TRIALS: usize = 100;
/// The lowest rate that is tried, in datagrams a second.
const LOWEST: f64 = 10.0;
/// With more loss than this a trial is not repeated: so much is no passing disturbance.
const OVERLOAD: f64 = 0.1;

/// A trial that was run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    /// Datagrams a second that were offered.
    pub(crate) pps: f64,
    /// The part of them that has no answer, from 0 to 1.
    pub(crate) loss: f64,
    /// The part of them that was not even sent in time: the generator was too slow.
    pub(crate) unsent: f64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Try this rate.
    Try(f64),
    /// The rates are found.
    Found,
}

/// The search, as far as it has come.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// Loss that PDR allows, from 0 to 1.
    goal: f64,
    /// How near both ends of the bracket come, as a part of the upper one.
    precision: f64,
    /// How often a trial with too much loss is repeated.
    repeats: usize,
    points: Vec<Point>,
}

impl Search {
    pub(crate) fn new(goal: f64, precision: f64, repeats: usize) -> Self {
        Self { goal, precision, repeats, points: Vec::new() }
    }

    /// Takes a trial in; the first one is that of the highest rate.
    pub(crate) fn add(&mut self, point: Point) {
        self.points.push(point);
    }

    /// What was tried.
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    /// The highest rate without loss, in datagrams a second; 0 if there is none.
    pub(crate) fn ndr(&self) -> f64 {
        self.bracket(0.0).0
    }

    /// The highest rate with as little loss as PDR allows.
    pub(crate) fn pdr(&self) -> f64 {
        self.bracket(self.goal).0
    }

    /// Whether the generator, and not what answers, is why PDR is no higher: at the rate above it more was not
    /// sent in time than may be lost, or nothing was lost flat out (`is_flat_out`: the first trial was that).
    pub(crate) fn is_own_limit(&self, is_flat_out: bool) -> bool {
        self.bracket(self.goal).1.map_or(is_flat_out, |bad| bad.unsent > self.goal)
    }

    /// What to try next, when a first trial is there.
    pub(crate) fn next(&self) -> Step {
        let next = [self.goal, 0.0].into_iter().find_map(|goal| self.between(goal));
        next.filter(|_| self.points.len() < MAX_TRIALS).map_or(Step::Found, Step::Try)
    }

    /// A rate that tells more of the highest one with that loss; `None` if it is known.
    fn between(&self, goal: f64) -> Option<f64> {
        let (good, bad) = self.bracket(goal);
        let bad = bad?;
        if self.is_doubtful(bad) {
            return Some(bad.pps);
        }
        if bad.pps - good <= self.precision * bad.pps || bad.pps <= LOWEST {
            return None;
        }
        if good > 0.0 {
            return Some((good + bad.pps) / 2.0);
        }
        // What came back at too high a rate is about what can be had.
        let answered = bad.pps * (1.0 - bad.loss);
        Some(if answered < bad.pps * 0.9 { answered } else { bad.pps / 2.0 }.max(LOWEST.min(bad.pps / 2.0)))
    }

    /// Whether a trial at that rate that loses less could still come.
    fn is_doubtful(&self, bad: Point) -> bool {
        bad.loss <= OVERLOAD && self.trials_of(bad.pps).count() <= self.repeats
    }

    /// The highest rate that is good and below all bad ones, and the lowest bad one, with the least that was
    /// lost there.
    fn bracket(&self, goal: f64) -> (f64, Option<Point>) {
        let is_bad = |point: &Point| point.loss > goal;
        let best = self.points.iter().map(|point| self.best_of(*point));
        let bad = best.clone().filter(is_bad).min_by(|a, b| a.pps.total_cmp(&b.pps));
        let limit = bad.map_or(f64::INFINITY, |bad| bad.pps);
        let good = best.filter(|point| point.loss <= goal && point.pps < limit);
        (good.map(|point| point.pps).fold(0.0, f64::max), bad)
    }

    /// The trial at a point's rate that lost least.
    fn best_of(&self, point: Point) -> Point {
        self.trials_of(point.pps).fold(point, |best, other| if other.loss < best.loss { other } else { best })
    }

    fn trials_of(&self, pps: f64) -> impl Iterator<Item = Point> {
        self.points.iter().copied().filter(move |point| point.pps == pps)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Searches on a path that loses what is over `capacity`, and beside that `steady` once half
    /// of it is offered.
    fn search(max: f64, capacity: f64, steady: f64) -> Search {
        let mut search = Search::new(0.005, 0.01, 2);
        let mut rate = max;
        loop {
            let over = ((rate - capacity) / rate).max(0.0);
            let loss = if rate > capacity / 2.0 { over.max(steady) } else { 0.0 };
            search.add(Point { pps: rate, loss, unsent: 0.0 });
            match search.next() {
                Step::Try(next) => rate = next,
                Step::Found => return search,
            }
        }
    }

    #[test]
    fn a_path_that_takes_all_is_tried_once() {
        let found = search(1e6, 2e6, 0.0);
        assert_eq!((found.points().len(), found.ndr(), found.pdr()), (1, 1e6, 1e6));
    }

    #[test]
    fn a_little_loss_parts_the_two_rates() {
        let found = search(1e6, 4e5, 0.001);
        assert!((1.98e5..=2e5).contains(&found.ndr()), "{found:?}");
        assert!((3.97e5..=4.03e5).contains(&found.pdr()), "{found:?}");
    }

    #[test]
    fn a_path_that_loses_at_any_rate_ends() {
        let mut search = Search::new(0.005, 0.01, 2);
        search.add(Point { pps: 1e6, loss: 1.0, unsent: 0.0 });
        while let Step::Try(pps) = search.next() {
            search.add(Point { pps, loss: 1.0, unsent: 0.0 });
        }
        assert_eq!((search.ndr(), search.pdr()), (0.0, 0.0));
        assert!(search.points().len() < MAX_TRIALS);
    }

    /// Searches where a path that takes all is disturbed in some trials, by their numbers.
    fn disturbed(repeats: usize, is_disturbed: impl Fn(usize) -> bool) -> Search {
        let mut search = Search::new(0.005, 0.01, repeats);
        let mut rate = 1e6;
        loop {
            let loss = if is_disturbed(search.points().len()) { 0.02 } else { 0.0 };
            search.add(Point { pps: rate, loss, unsent: 0.0 });
            match search.next() {
                Step::Try(next) => rate = next,
                Step::Found => return search,
            }
        }
    }

    #[test]
    fn a_passing_disturbance_says_nothing() {
        for last in 0..2 {
            let found = disturbed(2, |trial| trial <= last);
            assert_eq!((found.points().len(), found.ndr(), found.pdr()), (last + 2, 1e6, 1e6));
        }
        assert!(disturbed(2, |trial| trial <= 2).pdr() < 1e6, "it did not pass");
        assert!(disturbed(0, |trial| trial == 0).pdr() < 1e6, "nothing is repeated");
    }

    #[test]
    fn a_generator_that_is_too_slow_is_told_from_a_path_that_loses() {
        let mut search = Search::new(0.005, 0.01, 0);
        search.add(Point { pps: 1e6, loss: 0.3, unsent: 0.3 });
        assert!(search.is_own_limit(true));
        search.add(Point { pps: 7e5, loss: 0.02, unsent: 0.0 });
        assert!(!search.is_own_limit(true), "the lowest rate at which too much was lost counts");
        search.add(Point { pps: 7e5, loss: 0.0, unsent: 0.0 });
        assert!(search.is_own_limit(true), "and the best trial there");
        let mut none = Search::new(0.005, 0.01, 0);
        none.add(Point { pps: 1e6, loss: 0.0, unsent: 0.0 });
        assert!(none.is_own_limit(true), "as fast as it goes");
        assert!(!none.is_own_limit(false), "no more was wanted");
    }

    proptest! {
        #[test]
        fn both_rates_are_found_within_the_precision(max in 1e4..1e8_f64, part in 0.001..0.99_f64) {
            let capacity = max * part;
            let found = search(max, capacity, 0.0);
            prop_assert!(found.points().len() < 60);
            prop_assert!(found.ndr() <= capacity && found.ndr() >= capacity * 0.98, "{:?}", found);
            prop_assert!(found.pdr() >= found.ndr() && found.pdr() <= capacity / 0.995 * 1.0001);
        }
    }
}
