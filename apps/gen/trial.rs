//! What an lcore is told to do: its share of a trial.

use std::sync::Arc;
use std::time::Duration;

use super::random::SplitMix64;
use super::replay::Replay;
use super::schedule::{Gaps, Schedule};

/// How fast a trial sends.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    /// Datagrams a second, over all lcores.
    Rate(f64),
    /// As fast as it goes.
    Max,
    /// A capture's payloads, at its times divided by the speed; without one as fast as it goes.
    Replay(Arc<Replay>, Option<f64>),
}

/// A trial, for all lcores.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) load: Load,
    pub(crate) gaps: Gaps,
    pub(crate) ramp: Duration,
    /// How long it sends before what it sends counts.
    pub(crate) warmup: Duration,
    /// How long it sends what counts.
    pub(crate) duration: Duration,
    /// How much it sends of that at most.
    pub(crate) count: Option<u64>,
    /// How long it waits for the last answers.
    pub(crate) linger: Duration,
    pub(crate) seed: u64,
}

/// One lcore among several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) lcore: usize,
    pub(crate) lcores: usize,
}

impl Place {
    /// Its part of `count` things that are dealt out in turn.
    pub(crate) fn share(self, count: u64) -> u64 {
        let (lcore, lcores) = (self.lcore as u64, self.lcores as u64);
        count / lcores + u64::from(lcore < count % lcores)
    }
}

/// When the datagrams of one lcore leave.
#[derive(Clone, Debug)]
pub(crate) enum Pace {
    At(Schedule),
    Max,
    Replay(Replaying),
}

/// A capture on its way: the payloads of one lcore's turn, over and over.
#[derive(Clone, Debug)]
pub(crate) struct Replaying {
    replay: Arc<Replay>,
    speed: Option<f64>,
    next: usize,
    step: usize,
    /// How long the rounds before this one took, in nanoseconds.
    begun: u64,
    /// One round and then the end.
    is_once: bool,
}

impl Trial {
    /// The pace of one lcore.
    pub(crate) fn pace(&self, place: Place) -> Pace {
        let Place { lcore, lcores } = place;
        match &self.load {
            Load::Max => Pace::Max,
            Load::Rate(rate) => {
                let mut seeds = SplitMix64::new(self.seed);
                let seed = (0..=lcore).fold(0, |_, _| seeds.next());
                let phase = lcore as f64 / lcores as f64;
                Pace::At(Schedule::new(rate / lcores as f64, self.gaps, self.ramp, phase, seed))
            }
            Load::Replay(replay, speed) => Pace::Replay(Replaying {
                replay: Arc::clone(replay),
                speed: *speed,
                next: lcore,
                step: lcores,
                begun: 0,
                is_once: self.duration == Duration::MAX && self.count.is_none(),
            }),
        }
    }
}

impl Pace {
    /// When the next datagram leaves, in nanoseconds from the start, which was `elapsed` ago;
    /// `None` if there is no further one.
    #[inline]
    pub(crate) fn due(&self, elapsed: u64) -> Option<u64> {
        match self {
            Self::At(schedule) => Some(schedule.due()),
            Self::Max => Some(elapsed),
            Self::Replay(replaying) => replaying.due(elapsed),
        }
    }

    /// Goes on to the next one.
    #[inline]
    pub(crate) fn advance(&mut self) {
        match self {
            Self::At(schedule) => schedule.advance(),
            Self::Max => {}
            Self::Replay(replaying) => replaying.advance(),
        }
    }

    /// Whether datagrams leave at times of their own, so that they can be late.
    pub(crate) fn is_timed(&self) -> bool {
        match self {
            Self::At(_) => true,
            Self::Max => false,
            Self::Replay(replaying) => replaying.speed.is_some(),
        }
    }

    /// How many should still leave before `end`.
    pub(crate) fn left(&self, end: u64) -> u64 {
        match self {
            Self::At(schedule) => schedule.left(end),
            Self::Max | Self::Replay(_) => 0,
        }
    }

    /// The payload that is replayed next.
    pub(crate) fn payload(&self) -> Option<&[u8]> {
        match self {
            Self::Replay(replaying) => replaying.replay.payload(replaying.next),
            _ => None,
        }
    }
}

impl Replaying {
    fn due(&self, elapsed: u64) -> Option<u64> {
        if self.next >= self.replay.len() {
            return None;
        }
        Some(match self.speed {
            Some(speed) => self.begun + (self.replay.at(self.next) as f64 / speed) as u64,
            None => elapsed,
        })
    }

    fn advance(&mut self) {
        self.next += self.step;
        if self.next >= self.replay.len() && !self.is_once {
            self.next %= self.replay.len();
            self.begun += self.speed.map_or(0, |speed| (self.replay.period() as f64 / speed) as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lcores_share_a_count() {
        let shares = |count| [0, 1, 2].map(|lcore| Place { lcore, lcores: 3 }.share(count));
        assert_eq!((shares(10), shares(2), shares(0)), ([4, 3, 3], [1, 1, 0], [0, 0, 0]));
    }

    fn trial(load: Load, duration: Duration) -> Trial {
        let (gaps, ramp, warmup) = (Gaps::Fixed, Duration::ZERO, Duration::ZERO);
        Trial { load, gaps, ramp, warmup, duration, count: None, linger: Duration::ZERO, seed: 1 }
    }

    fn dues(mut pace: Pace, count: usize) -> Vec<Option<u64>> {
        let mut next = || {
            let due = pace.due(77);
            if due.is_some() {
                pace.advance();
            }
            due
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn lcores_take_turns_at_a_rate() {
        let trial = trial(Load::Rate(1000.0), Duration::MAX);
        let of = |lcore| dues(trial.pace(Place { lcore, lcores: 2 }), 2);
        assert_eq!(of(0), [Some(0), Some(2_000_000)]);
        assert_eq!(of(1), [Some(1_000_000), Some(3_000_000)]);
    }

    #[test]
    fn a_replay_keeps_its_times_and_goes_round() {
        let replay = Arc::new(Replay::of(&[(1_000, b"a"), (2_000, b"b"), (4_000, b"c")]));
        let alone = Place { lcore: 0, lcores: 1 };
        let pace = |speed, duration| trial(Load::Replay(Arc::clone(&replay), speed), duration).pace(alone);
        let once = dues(pace(Some(1.0), Duration::MAX), 4);
        assert_eq!(once, [Some(0), Some(1_000), Some(3_000), None]);
        let fast = dues(pace(Some(2.0), Duration::from_secs(1)), 5);
        assert_eq!(fast, [0, 500, 1_500, 2_250, 2_750].map(Some));
        assert_eq!(dues(pace(None, Duration::MAX), 4), [Some(77), Some(77), Some(77), None]);
    }
}
