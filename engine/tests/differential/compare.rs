//! The comparison: where the two answers to a case differ, a table has to say why.

use std::collections::BTreeMap;

use super::frames::{Case, suite};
use super::kernel::Kernel;
use super::lab::{say, skip};
use super::meaning::{late_quote, meanings};
use super::ours::Ours;
use super::reasons::{REASONS, Reason};

/// Differences of a kind that are printed.
const SHOWN: usize = 3;

#[test]
fn our_answers_differ_from_the_kernels_for_written_reasons_only() {
    let name = "our_answers_differ_from_the_kernels_for_written_reasons_only";
    let mut kernel = match Kernel::new() {
        Ok(kernel) => kernel,
        Err(reason) => return skip(name, &reason),
    };
    let mut ours = Ours::new();
    let asked = |case: Case| {
        let [kernel, ours] =
            [kernel.answers(&case.name, &case.frames), ours.answers(&case.name, &case.frames)];
        Answered { case, kernel, ours }
    };
    let mut answered: Vec<_> = suite().into_iter().map(asked).collect();
    kernel.late_answers().into_iter().for_each(|late| hand_to_its_case(late, &mut answered));
    ours.finish();
    let mut tally = Tally::default();
    for Answered { case, kernel, ours } in answered {
        tally.frames += case.frames.len();
        let [kernel, ours] = [kernel, ours].map(|answers| meanings(&case.name, &case.frames, &answers));
        tally.compare(Outcome { name: case.name, kernel, ours });
    }
    tally.report();
}

/// A case and what was answered to it.
struct Answered {
    case: Case,
    kernel: Vec<Vec<u8>>,
    ours: Vec<Vec<u8>>,
}

/// A late answer is the kernel's to the case that has the frame which it quotes.
fn hand_to_its_case(late: Vec<u8>, answered: &mut [Answered]) {
    let quote = late_quote(&late).unwrap_or_default();
    let is_quoted = |frame: &Vec<u8>| frame.get(14..).is_some_and(|packet| packet.starts_with(quote));
    let found = answered.iter_mut().find(|answered| answered.case.frames.iter().any(is_quoted));
    found.unwrap_or_else(|| panic!("about nothing that was sent: {late:02x?}")).kernel.push(late);
}

/// What became of a case.
struct Outcome {
    name: String,
    kernel: String,
    ours: String,
}

impl Reason {
    fn explains(&self, outcome: &Outcome) -> bool {
        matches(self.kernel, &outcome.kernel) && matches(self.ours, &outcome.ours)
    }
}

#[derive(Default)]
struct Tally {
    frames: usize,
    cases: usize,
    answered_alike: usize,
    silent_alike: usize,
    /// How often each pattern of each reason held.
    explained: BTreeMap<(usize, usize), usize>,
    unexplained: Vec<Outcome>,
}

impl Tally {
    fn compare(&mut self, outcome: Outcome) {
        self.cases += 1;
        if outcome.kernel != outcome.ours {
            return self.explain(outcome);
        }
        if outcome.ours == "silence" {
            self.silent_alike += 1;
        } else {
            self.answered_alike += 1;
        }
    }

    /// By the first reason that holds.
    fn explain(&mut self, outcome: Outcome) {
        let found = REASONS.iter().enumerate().find_map(|(index, reason)| {
            let pattern = reason.frames.iter().position(|pattern| matches(pattern, &outcome.name))?;
            reason.explains(&outcome).then_some((index, pattern))
        });
        match found {
            Some(place) => *self.explained.entry(place).or_default() += 1,
            None => self.unexplained.push(outcome),
        }
    }

    fn report(self) {
        let alike = self.answered_alike + self.silent_alike;
        say(&format!(
            "differential: {} frames in {} cases, {alike} answered alike ({} with an answer), {} differ for {} \
             written reasons, {} without one",
            self.frames,
            self.cases,
            self.answered_alike,
            self.explained.values().sum::<usize>(),
            REASONS.len(),
            self.unexplained.len(),
        ));
        let mut faults: Vec<_> = self.unwritten();
        faults.extend(self.stale());
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    /// Differences without a reason, those of the same kind together.
    fn unwritten(&self) -> Vec<String> {
        let mut kinds: BTreeMap<_, Vec<&Outcome>> = BTreeMap::new();
        for outcome in &self.unexplained {
            kinds.entry((kind(&outcome.kernel), kind(&outcome.ours))).or_default().push(outcome);
        }
        let line = |((kernel, ours), outcomes): (_, Vec<&Outcome>)| {
            let shown = outcomes
                .iter()
                .take(SHOWN)
                .map(|outcome| format!("\n    `{}`: `{}`, `{}`", outcome.name, outcome.kernel, outcome.ours));
            let shown: String = shown.collect();
            format!(
                "no reason is written: {kernel} of the kernel, {ours} of ours, {} cases:{shown}",
                outcomes.len()
            )
        };
        kinds.into_iter().map(line).collect()
    }

    /// Patterns that explain nothing any more.
    fn stale(&self) -> Vec<String> {
        let patterns = REASONS.iter().enumerate().flat_map(|(index, reason)| {
            reason.frames.iter().enumerate().map(move |(pattern, frames)| (index, pattern, frames, reason))
        });
        patterns
            .filter(|&(index, pattern, ..)| !self.explained.contains_key(&(index, pattern)))
            .map(|(_, _, frames, reason)| format!("stale: `{frames}`: {}", reason.why))
            .collect()
    }
}

/// An answer without the addresses and bytes in it.
fn kind(answer: &str) -> &str {
    let end = answer.find([',', '(', ':']).unwrap_or(answer.len());
    answer[..end].trim_end()
}

/// Whether a text is as a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[test]
fn patterns_hold() {
    for (pattern, text) in
        [("a", "a"), ("*", ""), ("a*", "abc"), ("*c", "abc"), ("a*c*", "abcd"), ("*bc", "abcbc")]
    {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("a", "ab"), ("", "a"), ("*b", "abc"), ("a*c", "bc"), ("a*b*c", "acb")] {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
}

#[test]
fn new_differences_and_stale_reasons_are_faults() {
    let mut tally = Tally::default();
    let outcome = |ours: &str| Outcome {
        name: "a new case".to_owned(),
        kernel: "silence".to_owned(),
        ours: ours.to_owned(),
    };
    tally.compare(outcome("silence"));
    assert_eq!((tally.silent_alike, tally.unwritten().len()), (1, 0));
    tally.compare(outcome("UDP 7 to 7"));
    tally.compare(outcome("UDP 7 to 9"));
    assert_eq!(tally.unwritten().len(), 2);
    let patterns: usize = REASONS.iter().map(|reason| reason.frames.len()).sum();
    assert_eq!(tally.stale().len(), patterns);
    tally.explained.insert((0, 0), 1);
    assert_eq!(tally.stale().len(), patterns - 1);
}

#[test]
fn the_suite_is_large_enough() {
    let frames: usize = suite().iter().map(|case| case.frames.len()).sum();
    assert!(frames >= 2000, "{frames} frames");
}
