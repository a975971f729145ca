//! A trial on its way: what is due when, and its stamp.

use std::sync::Arc;
use std::time::Duration;

use gannet::{Outbox, SendError, Time};

use super::flows::Flow;
use super::generator::BURST;
use super::payload::Stamp;
use super::tally::Tally;
use super::trial::{Pace, Place, Trial};

/// Numbers of datagrams that are not measured begin here; below are those of probes.
const PROBES: u64 = 1 << 63;

/// A trial that is being sent.
pub(super) struct Sending {
    pub(super) trial: Arc<Trial>,
    pub(super) number: u8,
    pub(super) pace: Pace,
    pub(super) is_timed: bool,
    pub(super) start: Time,
    /// In nanoseconds from the start.
    pub(super) measured_from: u64,
    pub(super) end: u64,
    /// How many are measured at most.
    pub(super) count: u64,
    /// The number of the next datagram, measured or not.
    pub(super) sequence: u64,
    pub(super) warm_sequence: u64,
    /// When those are meant to leave that are due by a schedule and not sent, in nanoseconds from the start.
    pub(super) dues: Vec<u64>,
    /// When those of the last tick were meant to leave, in nanoseconds of the clock.
    pub(super) handed: Vec<u64>,
}

/// What became of a turn of sending.
pub(crate) enum Turn {
    /// Nothing is due before that moment.
    Until(Time),
    More,
    /// There is more, and no answer needs to be heard before it.
    Again,
    Over,
}

impl Sending {
    pub(super) fn new(now: Time, trial: Arc<Trial>, number: u8, place: Place) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (pace, measured_from) = (trial.pace(place), nanos(trial.warmup));
        Self {
            number,
            is_timed: pace.is_timed(),
            pace,
            start: now,
            measured_from,
            end: measured_from.saturating_add(nanos(trial.duration)),
            count: trial.count.map_or(u64::MAX, |count| place.share(count)),
            sequence: 0,
            warm_sequence: 0,
            dues: Vec::with_capacity(BURST),
            handed: Vec::with_capacity(BURST),
            trial,
        }
    }

    /// The port had what was sent in the last tick before this one began.
    #[inline]
    pub(super) fn account(&mut self, now: Time, tally: &mut Tally) {
        for intended in self.handed.drain(..) {
            tally.lateness.saturating_record(now.as_nanos().saturating_sub(intended));
        }
    }

    /// How many are due and were not sent, or are due before the end.
    pub(super) fn left(&self) -> u64 {
        self.dues.len() as u64 + self.pace.left(self.end)
    }

    /// Notes what is due by the schedule, `most` datagrams with those that were not sent before, where so many
    /// measured ones were sent.
    #[inline]
    pub(super) fn draw(&mut self, elapsed: u64, sent: u64, most: usize) {
        let mut sent = sent + self.dues.iter().filter(|&&due| due >= self.measured_from).count() as u64;
        while self.dues.len() < most
            && let Some(due) = self.next(elapsed, sent).filter(|&due| due <= elapsed)
        {
            sent += u64::from(due >= self.measured_from);
            self.dues.push(due);
            self.pace.advance();
        }
    }

    /// Those that are due and not sent, as far as they have a series of stamps.
    #[inline]
    pub(super) fn series(&self) -> &[u64] {
        let Some(&first) = self.dues.first() else { return &[] };
        let is_measured = |due| due >= self.measured_from;
        let is_beside = |due| is_measured(due) == is_measured(first) && due - first <= u64::from(u32::MAX);
        // Mostly all are.
        let count = match self.dues.last() {
            Some(&last) if is_beside(last) => self.dues.len(),
            _ => self.dues.iter().take_while(|&&due| is_beside(due)).count(),
        };
        &self.dues[..count]
    }

    /// So many of the first of those that are due were sent.
    #[inline]
    pub(super) fn note_sent(&mut self, count: usize) {
        let is_measured = self.dues.first().is_some_and(|&due| due >= self.measured_from);
        let start = self.start.as_nanos();
        let sent = self.dues.drain(..count).map(|due| start + due);
        if is_measured {
            self.sequence += count as u64;
            self.handed.extend(sent);
        } else {
            drop(sent);
            self.warm_sequence += count as u64;
        }
    }

    /// When the next datagram is due, in nanoseconds from the start; `None` after the last.
    #[inline]
    pub(super) fn next(&self, elapsed: u64, sent: u64) -> Option<u64> {
        self.pace
            .due(elapsed)
            .filter(|&due| due < self.end && (sent < self.count || due < self.measured_from))
    }

    /// Nothing is due before that; but when the port has the last ones is not known yet.
    pub(super) fn wait(&self, due: u64) -> Turn {
        if self.handed.is_empty() { Turn::Until(self.start + Duration::from_nanos(due)) } else { Turn::More }
    }

    pub(super) fn last_turn(&self) -> Turn {
        if self.handed.is_empty() { Turn::Over } else { Turn::More }
    }

    /// That of the next datagram, which is due at that time from the start.
    #[inline]
    pub(super) fn stamp(&self, due: u64, place: Place) -> Stamp {
        let is_measured = due >= self.measured_from;
        let (trial, sequence) =
            if is_measured { (self.number, self.sequence) } else { (0, self.warm_sequence | PROBES) };
        Stamp { stream: place.lcore as u8, trial, sequence, intended: self.start.as_nanos() + due }
    }

    /// Sends what a capture has next, which is due.
    #[inline]
    pub(super) fn replay(&mut self, due: u64, flow: Flow, outbox: &mut Outbox<'_>) -> Result<(), SendError> {
        let is_measured = due >= self.measured_from;
        outbox.send(flow.from, flow.to, self.pace.payload().unwrap_or_default())?;
        self.pace.advance();
        self.sequence += u64::from(is_measured);
        self.warm_sequence += u64::from(!is_measured);
        if self.is_timed && is_measured {
            self.handed.push(self.start.as_nanos() + due);
        }
        Ok(())
    }
}
