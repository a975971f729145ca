//! What a benchmark came to: as JSON, and as tables for people (`tables`).

use std::fmt::Write;

use serde::Serialize;

use super::bars::Verdict;
use super::failure::Failure;
use super::machine::Machine;
use super::pairs::{Compared, Outcome, Repeated};
use super::stats::Summary;
use super::tables;

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The version of the program.
    pub(crate) version: String,
    pub(crate) machine: Machine,
    pub(crate) pairs: u32,
    /// Of each measurement.
    pub(crate) seconds: f64,
    /// What is wanted, and whether it was reached.
    pub(crate) bars: Vec<Verdict>,
    /// The peer against itself.
    pub(crate) noise: Vec<Ratio>,
    pub(crate) labs: Vec<Lab>,
}

/// A lab's part of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Lab {
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<Row>,
    pub(crate) ratios: Vec<Ratio>,
    /// What this machine or build can't do.
    pub(crate) skipped: Vec<Left>,
    /// What should have worked.
    pub(crate) failed: Vec<Left>,
    /// How many rounds each case had.
    pub(crate) pairs: Vec<Pairs>,
    /// What fell, and was measured again.
    pub(crate) repeated: Vec<Again>,
}

/// A subject's value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) subject: &'static str,
    pub(crate) measure: &'static str,
    pub(crate) unit: &'static str,
    #[serde(flatten)]
    pub(crate) summary: Summary,
}

/// How many times better `of` is than `to`, pair by pair.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) lab: &'static str,
    pub(crate) case: String,
    pub(crate) measure: &'static str,
    pub(crate) of: &'static str,
    pub(crate) to: &'static str,
    #[serde(flatten)]
    pub(crate) summary: Summary,
}

/// Something that was not measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Left {
    /// The case; `None` for the whole lab.
    pub(crate) case: Option<String>,
    pub(crate) subject: Option<&'static str>,
    pub(crate) reason: String,
}

/// The rounds of a case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pairs {
    pub(crate) case: String,
    pub(crate) pairs: u32,
}

/// Measurements that ended by SIGSEGV and were made again.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Again {
    pub(crate) case: String,
    pub(crate) subject: &'static str,
    pub(crate) count: u32,
}

impl Lab {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Notes why the whole lab was not run.
    pub(crate) fn leave(&mut self, case: Option<&str>, subject: Option<&'static str>, why: Failure) {
        let case = case.map(str::to_owned);
        match why {
            Failure::Skip(reason) => self.skipped.push(Left { case, subject, reason }),
            Failure::Failed(reason) | Failure::Fell(reason) => {
                self.failed.push(Left { case, subject, reason })
            }
        }
    }

    /// Adds a case, and gives its noise.
    pub(crate) fn add(&mut self, case: &str, outcome: Outcome) -> Vec<Ratio> {
        let lab = self.name;
        let ratio = |Compared { of, to, measure, summary }| Ratio {
            lab,
            case: case.to_owned(),
            measure: measure.name(),
            of,
            to,
            summary,
        };
        self.rows.extend(outcome.measured.into_iter().map(|measured| Row {
            case: case.to_owned(),
            subject: measured.subject,
            measure: measured.measure.name(),
            unit: measured.measure.unit(),
            summary: measured.summary,
        }));
        self.ratios.extend(outcome.compared.into_iter().map(ratio));
        for missing in outcome.missing {
            self.leave(Some(case), Some(missing.subject), missing.why);
        }
        self.pairs.push(Pairs { case: case.to_owned(), pairs: outcome.pairs });
        let again = |Repeated { subject, count }| Again { case: case.to_owned(), subject, count };
        self.repeated.extend(outcome.repeated.into_iter().map(again));
        outcome.noise.into_iter().map(ratio).collect()
    }
}

impl Report {
    /// Whether nothing at all was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.labs.iter().all(|lab| lab.rows.is_empty())
    }

    pub(crate) fn has_failures(&self) -> bool {
        self.labs.iter().any(|lab| !lab.failed.is_empty())
    }

    pub(crate) fn has_skips(&self) -> bool {
        self.labs.iter().any(|lab| !lab.skipped.is_empty())
    }

    /// The tables, in Markdown that reads well as it is.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "{}\n\n{}. Medians of {} pairs of {} s each, with the quartiles. A ratio is how many times better the \
             first is, pair by pair.\n",
            self.version,
            self.machine.line(),
            self.pairs,
            self.seconds
        );
        text += &tables::jitter(&self.machine.jitter);
        if !self.bars.is_empty() {
            text += "\n### bars: what is wanted, and what it came to\n";
            text += &tables::bars(&self.bars);
        }
        for lab in &self.labs {
            let _ = write!(text, "\n### {}\n", lab.name);
            text += &tables::rows(&lab.rows);
            text += &tables::ratios(&lab.ratios);
            text += &tables::left("skipped", &lab.skipped);
            text += &tables::left("FAILED", &lab.failed);
            text += &tables::pairs(&lab.pairs, self.pairs);
            text += &tables::repeated(&lab.repeated);
        }
        if !self.noise.is_empty() {
            text += "\n### noise: the peer against itself\n";
            text += &tables::ratios(&self.noise);
        }
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::bars::{Bar, Of, Wanted};
    use super::super::jitter;
    use super::super::measure::Measure;
    use super::super::pairs::{Measured, Missing};
    use super::*;

    pub(crate) fn sample() -> Report {
        let summary = |median: f64| Summary { median, p25: median * 0.9, p75: median * 1.1 };
        let measured =
            |subject, median| Measured { subject, measure: Measure::Ticks, summary: summary(median) };
        let compared =
            |of, to, median| Compared { of, to, measure: Measure::Ticks, summary: summary(median) };
        let outcome = Outcome {
            measured: vec![measured("gannet echo", 9.5), measured("testpmd 5tswap", 19.0)],
            compared: vec![compared("gannet echo", "testpmd 5tswap", 2.0)],
            noise: vec![compared("testpmd 5tswap", "testpmd 5tswap", 1.0)],
            missing: vec![Missing {
                subject: "testpmd io",
                why: Failure::Skip("no <testpmd>\nhere".to_owned()),
            }],
            repeated: vec![
                Repeated { subject: "gannet echo", count: 1 },
                Repeated { subject: "testpmd 5tswap", count: 2 },
            ],
            pairs: 30,
        };
        let mut lab = Lab::new("ring");
        let noise = lab.add("64 B", outcome);
        let bar = Bar {
            what: "speed",
            case: "64 B",
            measure: Measure::Ticks,
            of: Of::Ratio("gannet echo", "testpmd 5tswap"),
            wanted: Wanted::AtLeast(2.5),
        };
        let bars = bar.judge(&lab, &noise, &[]).into_iter().collect();
        let mut broken = Lab::new("veth");
        broken.leave(None, None, Failure::Failed("no wire".to_owned()));
        let version = "gannet 0.1.0".to_owned();
        let jitter = vec![jitter::tests::at(&[0, 10, 30, 50, 90, 100])];
        Report {
            version,
            machine: Machine { jitter, ..Machine::here() },
            pairs: 10,
            seconds: 1.0,
            bars,
            noise,
            labs: vec![lab, broken],
        }
    }

    #[test]
    fn the_json_has_the_agreed_shape() {
        let json = serde_json::to_value(sample()).expect("serialisable");
        for key in ["cpu", "cores", "tsc_hz", "kernel", "dpdk", "hypervisor"] {
            assert!(json["machine"].get(key).is_some(), "{key}");
        }
        let jitter = &json["machine"]["jitter"][0];
        assert_eq!(
            (&jitter["cpu"], &jitter["when"], &jitter["gaps"]),
            (&1.into(), &"before".into(), &3.into())
        );
        assert!(jitter["lost_share"] == 0.8 && jitter["median_us"] == 20.0 && jitter["longest_us"] == 40.0);
        let row = &json["labs"][0]["rows"][0];
        assert_eq!((&row["subject"], &row["unit"]), (&"gannet echo".into(), &"ticks/packet".into()));
        assert!(row["median"] == 9.5 && row["p25"].is_f64() && row["p75"].is_f64());
        let ratio = &json["labs"][0]["ratios"][0];
        assert_eq!((&ratio["of"], &ratio["to"]), (&"gannet echo".into(), &"testpmd 5tswap".into()));
        assert!(ratio["median"] == 2.0 && json["noise"][0]["median"] == 1.0);
        let bar = &json["bars"][0];
        assert_eq!((&bar["wanted"], &bar["met"]), (&">= 2.5".into(), &false.into()));
        assert_eq!((&bar["measured"], &bar["of"], &bar["to"]), (&2.0.into(), &ratio["of"], &ratio["to"]));
        assert_eq!(json["labs"][0]["skipped"][0]["subject"], "testpmd io");
        assert_eq!(json["labs"][0]["repeated"][1]["subject"], "testpmd 5tswap");
        assert_eq!(json["labs"][0]["repeated"][1]["count"], 2);
        assert_eq!((&json["pairs"], &json["labs"][0]["pairs"][0]["pairs"]), (&10.into(), &30.into()));
        assert_eq!(json["labs"][1]["failed"][0]["reason"], "no wire");
    }

    #[test]
    fn the_tables_say_all_of_it() {
        let text = sample().markdown();
        for line in [
            "| 1   | before the labs | 80.00 %           | 3    | 20.0 us | 40.0 us |",
            "| 64 B | gannet echo    | ticks   | ticks/packet | 9.50   | 8.55 | 10.5 |",
            "| ring, 64 B: speed | gannet echo over testpmd 5tswap | ticks   | >= 2.5 | 2.000 times | 0.900 to 1.100 | NO  |",
            "- skipped: 64 B, testpmd io: no <testpmd> here",
            "- 64 B: medians of 30 pairs",
            "- 64 B: 1 measurement of gannet echo ended by SIGSEGV and was made again",
            "- 64 B: 2 measurements of testpmd 5tswap ended by SIGSEGV and were made again",
            "- FAILED: the whole lab: no wire",
            "### noise: the peer against itself",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(sample().has_failures() && sample().has_skips() && !sample().is_empty());
    }
}
