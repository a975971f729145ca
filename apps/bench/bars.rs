//! What a lab is meant to come to, and whether it did.

use serde::Serialize;

use super::pairs::Measure;
use super::report::{Lab, Ratio, number};

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
    /// Holds it against what a lab came to, and its noise; `None` if its case was not asked for.
    pub(crate) fn judge(&self, lab: &Lab, noise: &[Ratio]) -> Option<Verdict> {
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
            missing: missing.clone().flatten(),
        };
        (missing != Some(None)).then_some(verdict)
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
            (Some(false), _) if self.is_within_noise => "NO, within the noise".to_owned(),
            (Some(false), _) => "NO".to_owned(),
            (None, Some(why)) => format!("not measured: {why}"),
            (None, None) => "-".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::Failure;
    use super::super::report::tests::sample;
    use super::*;

    fn bar(case: &'static str, of: Of, wanted: Wanted) -> Bar {
        Bar { what: "speed", case, measure: Measure::Ticks, of, wanted }
    }

    const RATIO: Of = Of::Ratio("gannet echo", "testpmd 5tswap");

    #[test]
    fn medians_are_held_against_what_is_wanted() {
        let report = sample();
        let judge = |of, wanted| {
            let verdict = bar("64 B", of, wanted).judge(&report.labs[0], &[]).expect("measured");
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
            let verdict = bar("64 B", RATIO, wanted).judge(&report.labs[0], &report.noise).expect("measured");
            (verdict.word(), verdict.noise())
        };
        let noise = "0.900 to 1.100".to_owned();
        assert_eq!(judge(Wanted::AtLeast(2.2)), ("NO, within the noise".to_owned(), noise.clone()));
        assert_eq!(judge(Wanted::AtLeast(2.3)), ("NO".to_owned(), noise.clone()));
        assert_eq!(judge(Wanted::AtLeast(2.0)), ("yes".to_owned(), noise));
        let row = bar("64 B", Of::Row("gannet echo"), Wanted::AtMost(9.0));
        let verdict = row.judge(&report.labs[0], &report.noise).expect("measured");
        assert_eq!((verdict.word(), verdict.noise()), ("NO".to_owned(), "-".to_owned()));
    }

    #[test]
    fn what_is_missing_is_told_with_its_reason_and_what_was_not_asked_for_is_not() {
        let mut report = sample();
        let missing = Of::Ratio("gannet echo", "testpmd io");
        let verdict =
            bar("64 B", missing, Wanted::AtLeast(1.0)).judge(&report.labs[0], &[]).expect("a reason");
        assert_eq!((verdict.measured, verdict.met), (None, None));
        assert_eq!(verdict.word(), "not measured: no <testpmd> here");
        assert_eq!(bar("mix", RATIO, Wanted::Stated).judge(&report.labs[0], &[]), None);
        report.labs[0].leave(None, None, Failure::Failed("no wire".to_owned()));
        let verdict = bar("mix", RATIO, Wanted::Stated).judge(&report.labs[0], &[]).expect("a reason");
        assert_eq!(verdict.word(), "not measured: no wire");
    }
}
