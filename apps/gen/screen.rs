//! How a run is shown while it goes: a bar on a terminal, a line a second elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::rate;
use super::trial::{Load, Trial};

/// How often a line is printed.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// How a run is shown.
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
    expected: Option<Duration>,
    begin: Instant,
    last: Instant,
    /// Sent and received until the last look.
    before: (u64, u64),
}

impl Screen {
    /// Of a run that takes that long, if that is known.
    pub(crate) fn new(expected: Option<Duration>) -> Self {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
        Self { bar, expected, begin: now, last: now, before: (0, 0) }
    }

    /// A trial begins.
    pub(crate) fn begin(&mut self, trial: &Trial) {
        (self.begin, self.last, self.before) = (Instant::now(), Instant::now(), (0, 0));
        if let (Some(bar), Some(expected)) = (&self.bar, self.expected) {
            bar.set_length(expected.as_millis() as u64);
            // The template is a constant, and a wrong one would leave the plain bar.
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
                bar.set_style(style);
            }
        }
        if self.expected.is_none() && self.bar.is_none() {
            match trial.load {
                Load::Rate(pps) if trial.duration != Duration::MAX => say(&format!("trial at {}", rate(pps))),
                _ => {}
            }
        }
    }

    /// So many were sent and came back until now.
    pub(crate) fn show(&mut self, (sent, received): (u64, u64)) {
        let elapsed = self.begin.elapsed();
        let since = self.last.elapsed();
        if let Some(bar) = &self.bar {
            bar.set_position(elapsed.as_millis() as u64);
        }
        if since < LINE_INTERVAL {
            return;
        }
        let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / since.as_secs_f64();
        let line = format!(
            "{:.0} s, sent {sent} ({}), received {received} ({})",
            elapsed.as_secs_f64(),
            rate(each(sent, self.before.0)),
            rate(each(received, self.before.1)),
        );
        (self.last, self.before) = (Instant::now(), (sent, received));
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => say(&format!("gen: {line}")),
        }
    }

    /// The trial is over.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            bar.reset();
        }
    }
}

/// Prints a line. A reader that went away is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
