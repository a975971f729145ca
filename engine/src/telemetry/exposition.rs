//! Metrics as text: OpenMetrics 1.0, and the text format 0.0.4 of Prometheus for readers without that.

use std::fmt::{Display, Write as _};

use super::{DurationsSnapshot, Family, FamilyKind};

/// Which of the two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// As HTTP names it.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Names and values.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a dyn Display)];

/// A text in the making.
pub(crate) struct Exposition {
    text: String,
    format: Format,
}

impl Exposition {
    pub(crate) fn new(format: Format) -> Self {
        Self { text: String::new(), format }
    }

    /// Begins a family. Its samples follow, and none of another's among them.
    pub(crate) fn family<'a>(&'a mut self, family: &Family) -> Samples<'a> {
        let name = family.sample_name();
        let (announced, kind) = match (self.format, family.kind) {
            (Format::OpenMetrics, kind) => (&*family.name, kind.name()),
            (Format::Prometheus, FamilyKind::Info) => (&*name, "gauge"),
            (Format::Prometheus, FamilyKind::Unknown) => (&*name, "untyped"),
            (Format::Prometheus, kind) => (&*name, kind.name()),
        };
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {announced} {}\n# TYPE {announced} {kind}", family.help);
        Samples { text: &mut self.text, name }
    }

    /// The text.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

/// The samples of a family.
pub(crate) struct Samples<'a> {
    text: &'a mut String,
    name: String,
}

impl Samples<'_> {
    /// Adds one.
    pub(crate) fn add(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Adds a histogram, in seconds.
    pub(crate) fn add_durations(&mut self, labels: Labels<'_>, durations: &DurationsSnapshot) {
        for (bound, count) in durations.cumulated() {
            self.line("_bucket", labels, Some(&seconds(bound)), count);
        }
        self.line("_bucket", labels, Some(&"+Inf"), durations.count());
        self.line("_sum", labels, None, seconds(durations.nanos()));
        self.line("_count", labels, None, durations.count());
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&dyn Display>, value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let bound = bound.map(|bound| ("le", bound));
        let mut separator = '{';
        for (name, value) in labels.iter().copied().chain(bound) {
            let _ = write!(self.text, "{separator}{name}=\"{}\"", escaped(value));
            separator = ',';
        }
        let end = if separator == '{' { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}

/// Nanoseconds as the unit that metrics have.
pub(crate) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A label's value as it stands between quotes. A byte that is no text came in as a replacement sign.
fn escaped(value: &dyn Display) -> String {
    value.to_string().replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Durations;

    const RX: Family = Family::new("gannet_rx", FamilyKind::Counter, &["port"], "Packets.");

    #[test]
    fn a_counter_is_announced_as_each_format_wants() {
        let text = |format| {
            let mut text = Exposition::new(format);
            text.family(&RX).add(&[("port", &"a\\b\"c\nd"), ("lcore", &1)], 7);
            text.finish()
        };
        let sample = "gannet_rx_total{port=\"a\\\\b\\\"c\\nd\",lcore=\"1\"} 7\n# EOF\n";
        assert_eq!(
            text(Format::OpenMetrics),
            format!("# HELP gannet_rx Packets.\n# TYPE gannet_rx counter\n{sample}")
        );
        assert_eq!(
            text(Format::Prometheus),
            format!("# HELP gannet_rx_total Packets.\n# TYPE gannet_rx_total counter\n{sample}")
        );
    }

    #[test]
    fn a_histogram_has_buckets_a_sum_and_a_count() {
        let durations = Durations::default();
        [100, 150, u64::MAX].iter().for_each(|&nanos| durations.record(nanos));
        let mut text = Exposition::new(Format::OpenMetrics);
        let family = Family::new("gannet_turn_seconds", FamilyKind::Histogram, &[], "Turns.");
        text.family(&family).add_durations(&[], &durations.snapshot());
        let text = text.finish();
        for line in [
            "# TYPE gannet_turn_seconds histogram",
            "gannet_turn_seconds_bucket{le=\"0.000000128\"} 1",
            "gannet_turn_seconds_bucket{le=\"0.000000192\"} 2",
            "gannet_turn_seconds_bucket{le=\"17.179869184\"} 2",
            "gannet_turn_seconds_bucket{le=\"+Inf\"} 3",
            "gannet_turn_seconds_count 3",
        ] {
            assert!(text.lines().any(|said| said == line), "no '{line}': {text}");
        }
    }
}
