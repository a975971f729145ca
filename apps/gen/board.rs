//! What the lcores show while they run: relaxed words, a cache line each, that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use gannet::telemetry::Durations;

/// What one lcore shows.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Line {
    /// Datagrams of the present trial that it sent.
    pub(crate) sent: AtomicU64,
    /// Answers of the present trial that came to it.
    pub(crate) received: AtomicU64,
    /// It has something to send yet.
    pub(crate) is_sending: AtomicBool,
    /// Which of its probes were answered, a bit for each target; any lcore may hear that.
    pub(crate) answered: AtomicU64,
    /// The round trips of all trials, for the metrics.
    pub(crate) round_trips: Arc<Durations>,
}

impl Line {
    /// The probe of that number was answered. Numbers that are no probe's are passed over.
    pub(crate) fn hear_probe(&self, number: u64) {
        let bit = u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number));
        if let Some(bit) = bit {
            self.answered.fetch_or(bit, Relaxed);
        }
    }
}

/// What all of them show, and the number of the present trial.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) lines: Box<[Line]>,
    pub(crate) trial: AtomicU8,
    /// A payload that did not fit, in bytes, and the longest that does; 0 if all did.
    pub(crate) too_long: [AtomicU64; 2],
}

impl Board {
    pub(crate) fn new(lcores: usize) -> Self {
        let lines = std::iter::repeat_with(Line::default).take(lcores).collect();
        Self { lines, trial: AtomicU8::new(0), too_long: [AtomicU64::new(0), AtomicU64::new(0)] }
    }

    /// Begins a trial: all lcores will send.
    pub(crate) fn begin(&self, trial: u8) {
        self.trial.store(trial, Relaxed);
        for line in &self.lines {
            line.sent.store(0, Relaxed);
            line.received.store(0, Relaxed);
            line.is_sending.store(true, Relaxed);
        }
    }

    /// Datagrams sent and answers received, by all lcores in the present trial.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let sum = |(sent, received), line: &Line| {
            (sent + line.sent.load(Relaxed), received + line.received.load(Relaxed))
        };
        self.lines.iter().fold((0, 0), sum)
    }

    /// Whether all was sent and all was answered.
    pub(crate) fn is_complete(&self) -> bool {
        let (sent, received) = self.totals();
        sent == received && !self.lines.iter().any(|line| line.is_sending.load(Relaxed))
    }

    /// Whether any probe was answered.
    pub(crate) fn any_answered(&self) -> bool {
        self.lines.iter().any(|line| line.answered.load(Relaxed) != 0)
    }

    /// Whether the first `probes` probes of each lcore were answered.
    pub(crate) fn all_answered(&self, probes: usize) -> bool {
        let all = if probes < 64 { (1_u64 << probes) - 1 } else { u64::MAX };
        self.lines.iter().all(|line| line.answered.load(Relaxed) & all == all)
    }
}
