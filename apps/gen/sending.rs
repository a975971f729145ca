//! A trial on its way: what is due when, and its stamp.

use std::sync::Arc;
use std::time::Duration;

use gannet::{Outbox, SendError, Time};

use super::flows::Flow;
use super::generator::{BURST, Parts};
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

    /// Sends the next datagram, which is due.
    #[inline]
    pub(super) fn send_one(
        &mut self,
        due: u64,
        flow: Flow,
        parts: &mut Parts,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        let is_measured = due >= self.measured_from;
        let intended = self.start.as_nanos() + due;
        if let Some(payload) = self.pace.payload() {
            outbox.send(flow.from, flow.to, payload)?;
        } else {
            let stamp = self.stamp(due, parts.place);
            let len = parts.lengths[usize::from(!flow.to.is_ipv4())].next();
            outbox.send_with(flow.from, flow.to, len, |room| parts.codec.write(stamp, room))?;
        }
        self.pace.advance();
        self.sequence += u64::from(is_measured);
        self.warm_sequence += u64::from(!is_measured);
        if self.is_timed && is_measured {
            self.handed.push(intended);
        }
        Ok(())
    }
}
