//! How late what is heard may be: two ticks, and what a round trip took at that time.

use hdrhistogram::Histogram;

/// How long a window is in nanoseconds: what round trips took in one, and in those beside it, excuses
/// what was late in it.
const WINDOW: u64 = 1_000_000_000;
/// The longest time that is told apart from longer ones: a minute.
const LONGEST: u64 = 60_000_000_000;

/// A window of time.
#[derive(Debug)]
struct Window {
    number: u64,
    /// The longest round trip in it.
    round_trip: u64,
    /// By how much things were beyond two ticks in it.
    excess: Histogram<u64>,
}

impl Window {
    fn new() -> Self {
        let excess = Histogram::new_with_bounds(1, LONGEST, 2);
        Self { number: 0, round_trip: 0, excess: excess.expect("the bounds are constants that are allowed") }
    }
}

/// What was late, judged when the round trips around it are known.
#[derive(Debug)]
pub(crate) struct Delays {
    /// The present one and the one before.
    windows: [Window; 2],
    /// The longest round trip of the one before those.
    before: u64,
}

impl Delays {
    pub(crate) fn new() -> Self {
        Self { windows: [Window::new(), Window::new()], before: 0 }
    }

    /// A round trip took so long. Gives how much of what came before was late.
    #[inline]
    pub(crate) fn round_trip(&mut self, now: u64, took: u64) -> u64 {
        let late = self.turn(now);
        self.windows[0].round_trip = self.windows[0].round_trip.max(took);
        late
    }

    /// Something was beyond two ticks by so much. Gives how much of what came before was late.
    pub(crate) fn exceed(&mut self, now: u64, excess: u64) -> u64 {
        let late = self.turn(now);
        self.windows[0].excess.saturating_record(excess.max(1));
        late
    }

    /// Nothing follows. Gives how much of the rest was late.
    pub(crate) fn end(&mut self) -> u64 {
        self.advance(0) + self.advance(0)
    }

    #[inline]
    fn turn(&mut self, now: u64) -> u64 {
        let number = now / WINDOW;
        if number == self.windows[0].number { 0 } else { self.advance(number) }
    }

    /// Begins with a window, and judges the last but one.
    #[cold]
    fn advance(&mut self, number: u64) -> u64 {
        let [present, last] = &mut self.windows;
        let allowed = self.before.max(last.round_trip).max(present.round_trip);
        let late = last.excess.len() - last.excess.count_between(0, allowed);
        self.before = last.round_trip;
        (last.number, last.round_trip) = (number, 0);
        last.excess.reset();
        self.windows.swap(0, 1);
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn what_a_round_trip_around_it_took_is_excused() {
        let mut delays = Delays::new();
        let mut late = delays.exceed(100 * MS, 30 * MS);
        late += delays.exceed(200 * MS, 80 * MS);
        late += delays.round_trip(1_100 * MS, 50 * MS);
        assert_eq!(late, 0, "it is not known yet");
        late += delays.round_trip(2_100 * MS, MS);
        assert_eq!(late, 1, "the one of 80 ms");
        late += delays.exceed(5_000 * MS, 2 * MS);
        assert_eq!(late + delays.end(), 2, "long after");
    }
}
