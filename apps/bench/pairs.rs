//! Subjects measured in turn, so that what else the machine does hits all of them alike.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::failure::Failure;
use super::measure::Measure;
use super::stats::Summary;

/// What one run of a subject gave, the main thing first.
pub(crate) type Values = Vec<(Measure, f64)>;

/// How often a measurement over memif is made again.
const TRIES_AGAIN: u32 = 2;

/// Something that can be measured.
pub(crate) struct Subject<'a> {
    pub(crate) name: &'static str,
    pub(crate) measure: Box<dyn FnMut() -> Result<Values, Failure> + 'a>,
    is_over_memif: bool,
    /// Measurements that ended by SIGSEGV and were made again.
    fallen: u32,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(name: &'static str, measure: impl FnMut() -> Result<Values, Failure> + 'a) -> Self {
        Self { name, measure: Box::new(measure), is_over_memif: false, fallen: 0 }
    }

    /// One that is measured again if it falls: when the other end goes, DPDK's `net_memif` can take its
    /// process along, ours and the peer's alike.
    pub(crate) fn over_memif(self) -> Self {
        Self { is_over_memif: true, ..self }
    }
}

/// Subjects that do the same work.
pub(crate) struct Case<'a> {
    pub(crate) name: &'static str,
    pub(crate) subjects: Vec<Subject<'a>>,
    /// Which of them are compared, by name: how much better the first is than the second.
    pub(crate) ratios: Vec<(&'static str, &'static str)>,
    /// The one that is measured against itself first.
    pub(crate) noise: Option<&'static str>,
    /// How many times as many rounds it has as others: more than one where rounds differ much.
    pub(crate) times: u32,
}

/// A subject's values over all rounds.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) subject: &'static str,
    pub(crate) measure: Measure,
    pub(crate) summary: Summary,
}

/// How much better one subject is than another: the ratios of the rounds.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    pub(crate) of: &'static str,
    pub(crate) to: &'static str,
    pub(crate) measure: Measure,
    pub(crate) summary: Summary,
}

/// How many measurements of a subject fell and were made again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Repeated {
    pub(crate) subject: &'static str,
    pub(crate) count: u32,
}

/// What was not measured, and why.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) subject: &'static str,
    pub(crate) why: Failure,
}

/// What a case came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) measured: Vec<Measured>,
    pub(crate) compared: Vec<Compared>,
    pub(crate) noise: Vec<Compared>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) repeated: Vec<Repeated>,
    /// Rounds there were.
    pub(crate) pairs: u32,
}

/// The values of each round, by measure.
type Rounds = BTreeMap<Measure, Vec<f64>>;

/// Measures a case in `pairs` rounds of all its subjects, or its own multiple of that, after as many pairs of
/// one against itself. Once `is_stopped` says so, what is left fails.
pub(crate) fn run(lab: &str, mut case: Case<'_>, pairs: u32, is_stopped: &dyn Fn() -> bool) -> Outcome {
    let pairs = pairs * case.times;
    let mut outcome = Outcome { pairs, ..Outcome::default() };
    if let Some(name) = case.noise
        && let Some(subject) = case.subjects.iter_mut().find(|subject| subject.name == name)
    {
        say(format_args!("{lab}, {}: {name} against itself, {pairs} pairs", case.name));
        // Why it can't be measured shows in the rounds, too.
        if let Ok([first, second]) = against_itself(subject, pairs, is_stopped) {
            outcome.noise = compare(name, name, &first, &second);
        }
    }
    let mut rounds: Vec<_> = case.subjects.iter().map(|_| Ok(Rounds::new())).collect();
    for round in 1..=pairs {
        say(format_args!("{lab}, {}: round {round} of {pairs}", case.name));
        for (subject, rounds) in case.subjects.iter_mut().zip(&mut rounds) {
            if is_stopped() {
                *rounds = Err(stopped());
            }
            add(subject, rounds);
        }
    }
    collect(&case, rounds, &mut outcome);
    outcome
}

/// Measures once more, unless that failed before.
fn add(subject: &mut Subject<'_>, rounds: &mut Result<Rounds, Failure>) {
    let Ok(values) = rounds else { return };
    match measured(subject) {
        Ok(new) => {
            new.into_iter().for_each(|(measure, value)| values.entry(measure).or_default().push(value))
        }
        Err(why) => {
            say(format_args!("  {}: {why}", subject.name));
            *rounds = Err(why);
        }
    }
}

/// A run whose values make sense, made again where a fall is not of its own making.
fn measured(subject: &mut Subject<'_>) -> Result<Values, Failure> {
    let mut tries_left = if subject.is_over_memif { TRIES_AGAIN } else { 0 };
    loop {
        match measured_once(subject) {
            Err(Failure::Fell(why)) if tries_left > 0 => {
                say(format_args!("  {}: once more, since it fell: {why}", subject.name));
                tries_left -= 1;
                subject.fallen += 1;
            }
            done => return done,
        }
    }
}

fn measured_once(subject: &mut Subject<'_>) -> Result<Values, Failure> {
    let values = (subject.measure)()?;
    match values.iter().find(|(measure, value)| !measure.is_sane(*value)) {
        Some((measure, value)) => Err(Failure::Failed(format!("{} of {value}", measure.name()))),
        None => Ok(values),
    }
}

fn against_itself(
    subject: &mut Subject<'_>,
    pairs: u32,
    is_stopped: &dyn Fn() -> bool,
) -> Result<[Rounds; 2], Failure> {
    let mut both = [Rounds::new(), Rounds::new()];
    for _ in 0..pairs {
        for rounds in &mut both {
            if is_stopped() {
                return Err(stopped());
            }
            for (measure, value) in measured(subject)? {
                rounds.entry(measure).or_default().push(value);
            }
        }
    }
    Ok(both)
}

fn stopped() -> Failure {
    Failure::Failed("stopped by a signal".to_owned())
}

fn collect(case: &Case<'_>, rounds: Vec<Result<Rounds, Failure>>, outcome: &mut Outcome) {
    let mut done = BTreeMap::new();
    for (subject, rounds) in case.subjects.iter().zip(rounds) {
        match rounds {
            Ok(rounds) => _ = done.insert(subject.name, rounds),
            Err(why) => outcome.missing.push(Missing { subject: subject.name, why }),
        }
    }
    for subject in &case.subjects {
        let rounds = done.get(subject.name).into_iter().flatten();
        outcome.measured.extend(rounds.filter_map(|(&measure, values)| {
            Some(Measured { subject: subject.name, measure, summary: Summary::of(values)? })
        }));
    }
    let fallen = case.subjects.iter().filter(|subject| subject.fallen > 0);
    outcome.repeated.extend(fallen.map(|subject| Repeated { subject: subject.name, count: subject.fallen }));
    for &(of, to) in &case.ratios {
        if let (Some(first), Some(second)) = (done.get(of), done.get(to)) {
            outcome.compared.extend(compare(of, to, first, second));
        }
    }
}

/// The ratios, round by round, of the measures that both have.
fn compare(of: &'static str, to: &'static str, first: &Rounds, second: &Rounds) -> Vec<Compared> {
    let each = first.iter().filter_map(|(&measure, values)| {
        let pairs = values.iter().zip(second.get(&measure)?);
        // There is none to what is nothing.
        let ratios =
            pairs.map(|(&of, &to)| measure.ratio(of, to)).filter(|ratio| ratio.is_finite() && *ratio > 0.0);
        let ratios: Vec<_> = ratios.collect();
        Some(Compared { of, to, measure, summary: Summary::of(&ratios)? })
    });
    each.collect()
}

/// Where the benchmark is, on standard error, as it takes its time.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(name: &'static str, values: &'static [f64]) -> Subject<'static> {
        let mut turns = values.iter().cycle();
        Subject::new(name, move || {
            Ok(turns.next().map(|&value| (Measure::Ticks, value)).into_iter().collect())
        })
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let subjects = vec![fixed("ours", &[10.0, 20.0, 30.0]), fixed("peer", &[20.0, 80.0, 30.0])];
        let case = Case { name: "x", subjects, ratios: vec![("ours", "peer")], noise: None, times: 1 };
        let outcome = run("lab", case, 3, &|| false);
        assert_eq!(outcome.measured[0].summary.median, 20.0);
        assert_eq!(outcome.measured[1].summary.median, 30.0);
        // Fewer ticks are better; the ratios are 2, 4 and 1.
        assert_eq!(outcome.compared[0].summary.median, 2.0);
        assert!(outcome.missing.is_empty() && outcome.noise.is_empty());
    }

    #[test]
    fn a_case_may_have_more_rounds_than_others() {
        let subjects = vec![fixed("peer", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])];
        let case = Case { name: "x", subjects, ratios: vec![], noise: None, times: 3 };
        let outcome = run("lab", case, 2, &|| false);
        assert_eq!((outcome.pairs, outcome.measured[0].summary.median), (6, 3.5));
    }

    #[test]
    fn a_signal_ends_it_and_is_told() {
        let case = Case {
            name: "x",
            subjects: vec![fixed("peer", &[20.0])],
            ratios: vec![],
            noise: Some("peer"),
            times: 1,
        };
        let outcome = run("lab", case, 5, &|| true);
        assert!(outcome.measured.is_empty() && outcome.noise.is_empty());
        assert_eq!(outcome.missing[0].why, Failure::Failed("stopped by a signal".to_owned()));
    }

    #[test]
    fn the_peer_against_itself_is_the_noise() {
        let case = Case {
            name: "x",
            subjects: vec![fixed("peer", &[20.0, 10.0])],
            ratios: vec![],
            noise: Some("peer"),
            times: 1,
        };
        let outcome = run("lab", case, 5, &|| false);
        assert_eq!(outcome.noise[0].summary.median, 0.5);
    }

    /// Falls `falls` times, and is then measured, as often as it is asked.
    fn falling(falls: usize) -> Subject<'static> {
        let mut turns = (1..=falls + 1).cycle();
        Subject::new("ours", move || match turns.next() {
            Some(turn) if turn <= falls => Err(Failure::Fell("SIGSEGV".to_owned())),
            _ => Ok(vec![(Measure::Rate, 1.0)]),
        })
    }

    #[test]
    fn over_memif_what_fell_is_measured_again_twice() {
        let outcome = |subject, noise| {
            let case = Case { name: "x", subjects: vec![subject], ratios: vec![], noise, times: 1 };
            run("lab", case, 3, &|| false)
        };
        let twice = outcome(falling(2).over_memif(), None);
        assert_eq!((twice.measured.len(), twice.missing.len()), (1, 0));
        assert_eq!(twice.repeated, [Repeated { subject: "ours", count: 6 }]);
        let noise = outcome(falling(1).over_memif(), Some("ours"));
        assert_eq!((noise.noise.len(), noise.repeated[0].count), (1, 9), "six of the noise and three rounds");
        let thrice = outcome(falling(3).over_memif(), None);
        assert_eq!(thrice.missing[0].why, Failure::Fell("SIGSEGV".to_owned()));
        let elsewhere = outcome(falling(1), None);
        assert_eq!((elsewhere.missing.len(), elsewhere.repeated.len()), (1, 0));
        let else_failed = Subject::new("ours", || Err(Failure::Failed("no wire".to_owned()))).over_memif();
        assert_eq!(outcome(else_failed, None).repeated, []);
        assert_eq!(outcome(fixed("ours", &[1.0]).over_memif(), None).repeated, []);
    }

    #[test]
    fn what_fails_is_left_out_by_name() {
        let mut turns = 0;
        let broken = Subject::new("broken", || {
            turns += 1;
            if turns == 2 {
                Err(Failure::Skip("no wire".to_owned()))
            } else {
                Ok(vec![(Measure::Ticks, 1.0)])
            }
        });
        let zero = Subject::new("zero", || Ok(vec![(Measure::Rate, 0.0)]));
        let ratios = vec![("broken", "peer"), ("zero", "peer")];
        let case = Case {
            name: "x",
            subjects: vec![broken, fixed("peer", &[1.0]), zero],
            ratios,
            noise: None,
            times: 1,
        };
        let outcome = run("lab", case, 3, &|| false);
        assert_eq!(outcome.missing[0].why, Failure::Skip("no wire".to_owned()));
        assert_eq!(outcome.missing[1].why, Failure::Failed("rate of 0".to_owned()));
        assert_eq!(outcome.measured.len(), 1);
        assert!(outcome.compared.is_empty());
    }
}
