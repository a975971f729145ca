//! What a lab is meant to come to, and whether it did.

use serde::Serialize;

use super::jitter::{Jitter, least_waiting_share};
use super::measure::Measure;
use super::report::{Lab, Ratio};
use super::tables::number;

/// Something that a lab's figures should reach, by its median.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) what: &'static str,
    pub(crate) case: &'static str,
    pub(crate) measure: Measure,
    pub(crate) of: Of,
    pub(crate) wanted: Wanted,
}

/// The figure that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    /// How many times better the first subject is than the second.
    Ratio(&'static str, &'static str),
    /// A subject's own value.
    Row(&'static str),
}

/// How good it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// It is to be told, whatever it is.
    Stated,
}

/// A bar and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) lab: &'static str,
    pub(crate) case: &'static str,
    pub(crate) what: &'static str,
    pub(crate) of: &'static str,
    /// For a ratio, what it is compared with.
    pub(crate) to: Option<&'static str>,
    pub(crate) measure: &'static str,
    /// `times`, or the unit of a subject's own value.
    pub(crate) unit: &'static str,
    pub(crate) wanted: String,
    pub(crate) measured: Option<f64>,
    /// `None` if it was not measured, or is only to be told.
    pub(crate) met: Option<bool>,
    /// For a ratio, the quartiles of the same measure of the second subject against itself, if that was
    /// measured.
    pub(crate) noise: Option<[f64; 2]>,
    /// Whether the second subject against itself would miss as much as this in a quarter of its pairs.
    pub(crate) is_within_noise: bool,
    /// Whether the machine takes its CPUs away for more of the time than is above the percentile that is
    /// held against it.
    pub(crate) is_beyond_jitter: bool,
    /// Why it was not measured.
    pub(crate) missing: Option<String>,
}

impl Wanted {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            Self::Stated => None,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::Stated => "to be told".to_owned(),
        }
    }
}

impl Bar {
    /// Holds it against what a lab came to, its noise and the machine's jitter; `None` if its case was not
    /// asked for.
    pub(crate) fn judge(&self, lab: &Lab, noise: &[Ratio], jitter: &[Jitter]) -> Option<Verdict> {
        let (of, to) = match self.of {
            Of::Ratio(of, to) => (of, Some(to)),
            Of::Row(of) => (of, None),
        };
        let measured = self.measured(lab);
        let missing = measured.is_none().then(|| self.missing(lab));
        let noise =
            to.and_then(|to| self.ratio(noise, to, to)).map(|found| [found.summary.p25, found.summary.p75]);
        let verdict = Verdict {
            lab: lab.name,
            case: self.case,
            what: self.what,
            of,
            to,
            measure: self.measure.name(),
            unit: to.map_or(self.measure.unit(), |_| "times"),
            wanted: self.wanted.words(),
            measured,
            met: measured.and_then(|value| self.wanted.is_met(value)),
            noise,
            is_within_noise: match (measured, noise, self.wanted) {
                (Some(value), Some([low, _]), Wanted::AtLeast(least)) => value >= least * low,
                _ => false,
            },
            is_beyond_jitter: self.is_beyond(jitter),
            missing: missing.clone().flatten(),
        };
        (missing != Some(None)).then_some(verdict)
    }

    /// Whether gaps alone make more of the values late than its percentile leaves above; for a time that is
    /// wanted, only such gaps that make them later than that.
    fn is_beyond(&self, jitter: &[Jitter]) -> bool {
        let late_us = match (self.of, self.wanted) {
            (Of::Row(_), Wanted::AtMost(most)) => most,
            _ => 0.0,
        };
        let waiting = least_waiting_share(jitter, late_us);
        self.measure.share_above().is_some_and(|above| waiting > above)
    }

    fn measured(&self, lab: &Lab) -> Option<f64> {
        match self.of {
            Of::Ratio(of, to) => self.ratio(&lab.ratios, of, to).map(|found| found.summary.median),
            Of::Row(of) => {
                let is_it = |case: &str, m, s| (case, m, s) == (self.case, self.measure.name(), of);
                let mut rows = lab.rows.iter();
                rows.find(|row| is_it(&row.case, row.measure, row.subject)).map(|found| found.summary.median)
            }
        }
    }

    /// What its case and measure came to between two subjects.
    fn ratio<'a>(&self, ratios: &'a [Ratio], of: &str, to: &str) -> Option<&'a Ratio> {
        let is_it = |ratio: &&Ratio| {
            (ratio.case.as_str(), ratio.measure, ratio.of, ratio.to)
                == (self.case, self.measure.name(), of, to)
        };
        ratios.iter().find(is_it)
    }

    /// Why there is no figure: a subject, the case or the lab was left out.
    fn missing(&self, lab: &Lab) -> Option<String> {
        let is_of_it = |subject: &str| match self.of {
            Of::Ratio(of, to) => [of, to].contains(&subject),
            Of::Row(of) => of == subject,
        };
        let mut left = lab.failed.iter().chain(&lab.skipped);
        let why = left.find(|left| {
            left.case.as_deref().is_none_or(|case| case == self.case) && left.subject.is_none_or(is_of_it)
        });
        why.map(|left| left.reason.replace('\n', " "))
    }
}

impl Verdict {
    /// What was measured, for people.
    pub(crate) fn figure(&self) -> String {
        self.measured.map_or("-".to_owned(), |value| {
            if self.to.is_some() { format!("{value:.3}") } else { number(value) }
        })
    }

    /// The noise, for people.
    pub(crate) fn noise(&self) -> String {
        self.noise.map_or("-".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}"))
    }

    /// Whether it is good enough, for people.
    pub(crate) fn word(&self) -> String {
        match (self.met, &self.missing) {
            (Some(true), _) => "yes".to_owned(),
            (Some(false), _) => {
                let noise = self.is_within_noise.then_some(", within the noise");
                let jitter = self.is_beyond_jitter.then_some(", beyond the machine's jitter");
                ["NO"].into_iter().chain(noise).chain(jitter).collect()
            }
            (None, Some(why)) => format!("not measured: {why}"),
            (None, None) => "-".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::Failure;
    use super::super::jitter;
    use super::super::report::tests::sample;
    use super::*;

    fn bar(case: &'static str, of: Of, wanted: Wanted) -> Bar {
        Bar { what: "speed", case, measure: Measure::Ticks, of, wanted }
    }

    /// Ten milliseconds with such gaps, in microseconds, and a reading every ten else.
    fn torn(gaps_us: &[u64]) -> Jitter {
        let even = std::iter::repeat_n(&10, 1_000);
        let steps = gaps_us.iter().chain(even);
        let readings = steps.scan(0, |at, step| {
            *at += step;
            Some(*at)
        });
        let readings = readings.take_while(|&at| at <= 10_000);
        let mut all = vec![0];
        all.extend(readings);
        jitter::tests::at(&all)
    }

    const RATIO: Of = Of::Ratio("gannet echo", "testpmd 5tswap");

    #[test]
    fn medians_are_held_against_what_is_wanted() {
        let report = sample();
        let judge = |of, wanted| {
            let verdict = bar("64 B", of, wanted).judge(&report.labs[0], &[], &[]).expect("measured");
            (verdict.measured, verdict.met, verdict.word())
        };
        assert_eq!(judge(RATIO, Wanted::AtLeast(2.0)), (Some(2.0), Some(true), "yes".to_owned()));
        assert_eq!(judge(RATIO, Wanted::AtLeast(2.01)), (Some(2.0), Some(false), "NO".to_owned()));
        assert_eq!(judge(RATIO, Wanted::Stated), (Some(2.0), None, "-".to_owned()));
        let row = Of::Row("gannet echo");
        assert_eq!(judge(row, Wanted::AtMost(9.5)), (Some(9.5), Some(true), "yes".to_owned()));
        assert_eq!(judge(row, Wanted::AtMost(9.0)), (Some(9.5), Some(false), "NO".to_owned()));
    }

    #[test]
    fn a_miss_no_further_than_the_peers_own_is_told_as_such() {
        let report = sample();
        // The noise of the sample is 0.9 to 1.1.
        let judge = |wanted| {
            let verdict =
                bar("64 B", RATIO, wanted).judge(&report.labs[0], &report.noise, &[]).expect("measured");
            (verdict.word(), verdict.noise())
        };
        let noise = "0.900 to 1.100".to_owned();
        assert_eq!(judge(Wanted::AtLeast(2.2)), ("NO, within the noise".to_owned(), noise.clone()));
        assert_eq!(judge(Wanted::AtLeast(2.3)), ("NO".to_owned(), noise.clone()));
        assert_eq!(judge(Wanted::AtLeast(2.0)), ("yes".to_owned(), noise));
        let row = bar("64 B", Of::Row("gannet echo"), Wanted::AtMost(9.0));
        let verdict = row.judge(&report.labs[0], &report.noise, &[]).expect("measured");
        assert_eq!((verdict.word(), verdict.noise()), ("NO".to_owned(), "-".to_owned()));
    }

    #[test]
    fn a_miss_on_a_percentile_beyond_the_machines_jitter_is_told_as_such() {
        let mut report = sample();
        // 1.2 % of the time is lost, in gaps of 60 us.
        let jitter = [torn(&[60, 60])];
        let mut word = |measure: Measure, of, wanted, jitter: &[Jitter]| {
            report.labs[0].rows[0].measure = measure.name();
            report.labs[0].ratios[0].measure = measure.name();
            let bar = Bar { measure, ..bar("64 B", of, wanted) };
            bar.judge(&report.labs[0], &[], jitter).expect("measured").word()
        };
        let (late, row) = ("NO, beyond the machine's jitter", Of::Row("gannet echo"));
        assert_eq!(word(Measure::RttP99, RATIO, Wanted::AtLeast(2.2), &jitter), late);
        assert_eq!(word(Measure::RttP99, RATIO, Wanted::AtLeast(2.2), &[torn(&[60, 35])]), "NO");
        assert_eq!(word(Measure::RttP999, RATIO, Wanted::AtLeast(2.2), &[torn(&[60, 35])]), late);
        assert_eq!(word(Measure::RttP99, RATIO, Wanted::AtLeast(2.0), &jitter), "yes");
        assert_eq!(word(Measure::RttP50, RATIO, Wanted::AtLeast(2.2), &jitter), "NO");
        assert_eq!(word(Measure::RttP99, RATIO, Wanted::AtLeast(2.2), &[]), "NO");
        // Of the time, 1.02 % is followed by more than 9 us of a gap.
        assert_eq!(word(Measure::LatenessP99, row, Wanted::AtMost(9.0), &jitter), late);
        assert_eq!(word(Measure::LatenessP99, row, Wanted::AtMost(9.0), &[torn(&[60, 55])]), "NO");
        let noise = [0.9, 1.1];
        let bar = Bar { measure: Measure::LatenessP99, ..bar("64 B", RATIO, Wanted::AtLeast(2.2)) };
        let verdict = bar.judge(&report.labs[0], &[], &jitter).expect("measured");
        let both = Verdict { noise: Some(noise), is_within_noise: true, ..verdict };
        assert_eq!(both.word(), "NO, within the noise, beyond the machine's jitter");
    }

    #[test]
    fn what_is_missing_is_told_with_its_reason_and_what_was_not_asked_for_is_not() {
        let mut report = sample();
        let missing = Of::Ratio("gannet echo", "testpmd io");
        let verdict =
            bar("64 B", missing, Wanted::AtLeast(1.0)).judge(&report.labs[0], &[], &[]).expect("a reason");
        assert_eq!((verdict.measured, verdict.met), (None, None));
        assert_eq!(verdict.word(), "not measured: no <testpmd> here");
        assert_eq!(bar("mix", RATIO, Wanted::Stated).judge(&report.labs[0], &[], &[]), None);
        report.labs[0].leave(None, None, Failure::Failed("no wire".to_owned()));
        let verdict = bar("mix", RATIO, Wanted::Stated).judge(&report.labs[0], &[], &[]).expect("a reason");
        assert_eq!(verdict.word(), "not measured: no wire");
    }
}
