//! What a run came to: whether the checks hold, for people, and as JSON.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::tally::{Counts, Tally};

/// All results of a run.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) tally: Tally,
    pub(crate) seconds: f64,
    /// The checks that failed, in a sentence each.
    pub(crate) violations: Vec<String>,
}

impl Default for Results {
    fn default() -> Self {
        Self { tally: Tally::new(), seconds: 0.0, violations: Vec::new() }
    }
}

/// What is no failure yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Loss beyond that of acknowledgements, from 0 to 1.
    pub(crate) loss: f64,
    /// The part of what is timed that may be late, from 0 to 1.
    pub(crate) late: f64,
}

impl Limits {
    /// How much of `count` datagrams may be lost where so much of the moves went without an answer: as
    /// large a part of them, and three standard deviations of what both counts can be by chance.
    fn losses(&self, count: u64, counts: &Counts) -> u64 {
        let (count, moves) = (count as f64, counts.moves.max(1) as f64);
        // One more than was lost, since none lost of so many does not say that none ever is.
        let expected = count * (counts.moves_lost + 1) as f64 / moves;
        let by_chance = 3.0 * (expected * (1.0 + count / moves)).sqrt();
        (expected + by_chance + count * self.loss) as u64
    }

    /// The checks that failed.
    pub(crate) fn violations(&self, tally: &Tally) -> Vec<String> {
        let counts = &tally.counts;
        let wrong = [
            (counts.wrong_acknowledgements, "acknowledgements are not their move"),
            (counts.malformed, "messages from the server are malformed"),
            (counts.entries_out_of_range, "positions in updates are out of range"),
            (counts.updates_misplaced, "updates are for a cell that their bot was not in"),
            (counts.updates_stepped_back, "updates moved their bot back to an older place"),
            (counts.wrong_attack_results, "attack results match no attack"),
            (counts.wrong_chats, "lines came back with other words"),
            (counts.expelled, "players were sent away"),
            (counts.rejoined_as_another, "bots came back as somebody else"),
            (counts.updates_left_behind, "updates went on at an address that their bot had left"),
        ];
        let wrong = wrong.into_iter().filter(|(count, _)| *count > 0);
        let wrong = wrong.map(|(count, what)| format!("{count} {what}"));
        wrong.chain(self.late(tally)).chain(self.lost(counts)).collect()
    }

    fn late(&self, tally: &Tally) -> Option<String> {
        let counts = &tally.counts;
        let allowed = (counts.timed as f64 * self.late) as u64;
        (counts.late > allowed).then(|| {
            format!(
                "{} of {} positions came later than two ticks and a round trip; {allowed} may",
                counts.late, counts.timed
            )
        })
    }

    fn lost(&self, counts: &Counts) -> Vec<String> {
        let results = counts.attack_results + counts.attacks_lost;
        let lines = counts.chats_returned + counts.chats_lost;
        let left = counts.left + counts.left_unheard;
        let losses = [
            (counts.updates_lost, counts.updates_expected, "updates were lost"),
            (counts.attacks_lost, results, "attacks had no result"),
            (counts.chats_lost, lines, "lines did not come back"),
            (counts.left_unheard, left, "bots left and heard nothing"),
            (counts.rejoins_failed, counts.rejoined + counts.rejoins_failed, "bots could not come back"),
        ];
        let mut found = Vec::new();
        for (lost, of, what) in losses {
            let allowed = self.losses(of, counts);
            if lost > allowed {
                found.push(format!("{lost} of {of} {what}; by the loss of moves {allowed} may"));
            }
        }
        // Without loss there is no excuse.
        let places = [
            (counts.places_disagreed, left, "bots are elsewhere than the server says"),
            (counts.rejoined_elsewhere, counts.rejoined, "bots came back to another place"),
        ];
        for (disagreed, of, what) in places {
            let allowed = if counts.moves_lost == 0 { 0 } else { self.losses(of, counts) };
            if disagreed > allowed {
                found.push(format!("{disagreed} of {of} {what}"));
            }
        }
        found
    }
}

#[derive(Serialize)]
struct Json<'a> {
    seconds: f64,
    tick_rate: u32,
    #[serde(flatten)]
    counts: &'a Counts,
    move_loss: f64,
    update_loss: f64,
    round_trip_ns: Option<Times>,
    update_age_ns: Option<Times>,
    sent_late_ns: Option<Times>,
    violations: &'a [String],
}

#[derive(Serialize)]
struct Times {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    p9999: u64,
    max: u64,
}

impl Times {
    fn of(times: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| times.value_at_quantile(quantile);
        (!times.is_empty()).then(|| Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: times.max(),
        })
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |nanos: u64| format!("{:.3}", nanos as f64 / 1e6);
        let [p50, p90, p99, p999] = [self.p50, self.p90, self.p99, self.p999].map(ms);
        let [p9999, max] = [self.p9999, self.max].map(ms);
        write!(f, "p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  p99.99 {p9999}  max {max} ms")
    }
}

fn part(of: u64, all: u64) -> f64 {
    of as f64 / all.max(1) as f64
}

impl Results {
    fn losses(&self) -> (f64, f64) {
        let counts = &self.tally.counts;
        (part(counts.moves_lost, counts.moves), part(counts.updates_lost, counts.updates_expected))
    }

    /// The `bots` part of the report.
    pub(crate) fn json(&self) -> serde_json::Value {
        let (move_loss, update_loss) = self.losses();
        let json = Json {
            seconds: self.seconds,
            tick_rate: self.tally.tick_rate,
            counts: &self.tally.counts,
            move_loss,
            update_loss,
            round_trip_ns: Times::of(&self.tally.round_trips),
            update_age_ns: Times::of(&self.tally.ages),
            sent_late_ns: Times::of(&self.tally.lateness),
            violations: &self.violations,
        };
        // Numbers and structs of numbers: nothing in it can fail.
        serde_json::to_value(json).unwrap_or_default()
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.tally.counts;
        let (move_loss, update_loss) = self.losses();
        writeln!(f, "joined     {} times, {} refused, {} joins sent", c.joined, c.refused(), c.joins)?;
        write!(f, "moves      {}: {} acknowledged, {} corrected, ", c.moves, c.acknowledged, c.corrected)?;
        writeln!(f, "{} lost ({:.4} %), {} not sent", c.moves_lost, move_loss * 100.0, c.moves_unsent)?;
        if let Some(times) = Times::of(&self.tally.round_trips) {
            writeln!(f, "round trip {times}")?;
        }
        let (lost, percent) = (c.updates_lost, update_loss * 100.0);
        writeln!(f, "updates    {}: {} positions, {lost} lost ({percent:.4} %)", c.updates, c.entries)?;
        if let Some(times) = Times::of(&self.tally.ages) {
            writeln!(f, "age        {times}")?;
        }
        writeln!(f, "late       {} of {} positions, beyond two ticks and a round trip", c.late, c.timed)?;
        write!(
            f,
            "attacks    {}: {} results, {} hits, {} kills; ",
            c.attacks, c.attack_results, c.hits, c.kills
        )?;
        writeln!(f, "{} hits taken, {} respawns", c.hits_taken, c.respawns)?;
        writeln!(
            f,
            "chat       {} lines, {} came back, {} of others heard",
            c.chats, c.chats_returned, c.chats_heard
        )?;
        write!(f, "left       {}: {} agree on the place, ", c.left + c.left_unheard, c.places_agreed)?;
        writeln!(f, "{} do not, {} heard nothing", c.places_disagreed, c.left_unheard)?;
        if c.rejoins > 0 {
            write!(f, "came back  {} times from another address, {} under ", c.rejoined, c.renumbered)?;
            writeln!(f, "another number, {} stayed, {} failed", c.rejoins_abandoned, c.rejoins_failed)?;
        }
        if c.unfinished > 0 {
            writeln!(
                f,
                "cut short  {} bots are players yet, {} moves unanswered",
                c.unfinished, c.moves_pending
            )?;
        }
        if let Some(times) = Times::of(&self.tally.lateness) {
            writeln!(f, "own error  sent late {times}")?;
        }
        match &self.violations[..] {
            [] => write!(f, "checks     all hold"),
            found => write!(f, "checks     FAILED: {}", found.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { loss: 0.0, late: 0.001 };

    #[test]
    fn as_much_may_be_lost_as_of_the_moves_and_what_chance_does() {
        let counts = |moves, moves_lost| Counts { moves, moves_lost, ..Counts::default() };
        assert_eq!(LIMITS.losses(10_000, &counts(10_000, 0)), 5);
        assert_eq!(LIMITS.losses(100, &counts(10_000, 0)), 0);
        let some = LIMITS.losses(10_000, &counts(10_000, 300));
        assert!((301..=380).contains(&some), "{some}");
        let few = LIMITS.losses(100, &counts(10_000, 600));
        assert!((12..=14).contains(&few), "{few}");
        let more = Limits { loss: 0.01, ..LIMITS };
        assert_eq!(more.losses(10_000, &counts(10_000, 0)), 105);
    }

    #[test]
    fn what_is_late_is_a_part_of_what_is_timed() {
        let mut tally = Tally::new();
        (tally.counts.timed, tally.counts.late) = (10_000, 10);
        assert!(LIMITS.violations(&tally).is_empty());
        tally.counts.late += 1;
        assert!(LIMITS.violations(&tally)[0].contains("11 of 10000 positions came later"));
    }

    #[test]
    fn the_json_has_what_other_programs_read() {
        let mut results = Results::default();
        (results.tally.counts.moves, results.tally.counts.moves_lost) = (1_000, 10);
        (1..=1_000).for_each(|micros| results.tally.round_trips.saturating_record(micros * 1_000));
        let json = results.json();
        assert_eq!((&json["moves"], &json["move_loss"]), (&1_000.into(), &0.01.into()));
        let p50 = json["round_trip_ns"]["p50"].as_u64().expect("a number");
        assert!(p50.abs_diff(500_000) < 1_000, "{p50}");
        assert!(json["update_age_ns"].is_null() && json["violations"].as_array().is_some_and(Vec::is_empty));
        assert!(results.to_string().ends_with("checks     all hold"));
    }
}
