//! What a run came to: for people, as JSON, and as HdrHistogram's percentile file.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::search::Point;
use super::tally::Tally;

/// Lines of the percentile file for each halving of what is left.
const TICKS_PER_HALF: u32 = 5;

/// All results of a run.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// The trial, or the last of a search.
    pub(crate) main: Option<Box<Tally>>,
    pub(crate) own: OwnError,
    pub(crate) points: Option<SearchResult>,
}

/// The round trip of the generator itself, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct OwnError {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

/// What a search found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SearchResult {
    pub(crate) ndr_pps: f64,
    pub(crate) pdr_pps: f64,
    /// PDR is no higher because the generator is too slow.
    pub(crate) is_own_limit: bool,
    pub(crate) trials: Vec<Point>,
    pub(crate) latency: Vec<LoadLatency>,
}

/// Round trips at a part of NDR, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct LoadLatency {
    load: f64,
    p50: u64,
    p99: u64,
    p999: u64,
}

impl LoadLatency {
    pub(crate) fn new(load: f64, tally: &Tally) -> Self {
        let at = |quantile| tally.rtt.value_at_quantile(quantile);
        Self { load, p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

#[derive(Serialize)]
struct Json<'a> {
    sent: u64,
    unsent: u64,
    received: u64,
    lost: u64,
    loss: f64,
    duplicates: u64,
    reordered: u64,
    corrupted: u64,
    strays: u64,
    tx_pps: f64,
    rx_pps: f64,
    seconds: f64,
    rtt_ns: Option<Times>,
    lateness_ns: Option<Lateness>,
    self_rtt_ns: OwnError,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<&'a SearchResult>,
}

#[derive(Serialize)]
struct Times {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    p9999: u64,
    p99999: u64,
    max: u64,
    mean: f64,
    jitter: f64,
}

#[derive(Serialize)]
struct Lateness {
    p50: u64,
    p99: u64,
    max: u64,
}

impl Times {
    fn of(tally: &Tally) -> Option<Self> {
        let rtt = &tally.rtt;
        let at = |quantile| rtt.value_at_quantile(quantile);
        (!rtt.is_empty()).then(|| Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            p99999: at(0.99999),
            max: rtt.max(),
            mean: rtt.mean(),
            jitter: tally.jitter(),
        })
    }
}

impl Lateness {
    fn of(late: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| late.value_at_quantile(quantile);
        (!late.is_empty()).then(|| Self { p50: at(0.5), p99: at(0.99), max: late.max() })
    }
}

impl Results {
    /// The `generator` part of the report.
    pub(crate) fn json(&self) -> serde_json::Value {
        let nothing = Tally::new();
        let main = self.main.as_deref().unwrap_or(&nothing);
        let json = Json {
            sent: main.sent,
            unsent: main.unsent,
            received: main.received,
            lost: main.lost(),
            loss: main.loss(),
            duplicates: main.duplicates,
            reordered: main.reordered,
            corrupted: main.corrupted,
            strays: main.strays,
            tx_pps: main.tx_pps(),
            rx_pps: main.rx_pps(),
            seconds: main.seconds(),
            rtt_ns: Times::of(main),
            lateness_ns: Lateness::of(&main.lateness),
            self_rtt_ns: self.own,
            search: self.points.as_ref(),
        };
        // Numbers and structs of numbers: nothing in it can fail.
        serde_json::to_value(json).unwrap_or_default()
    }

    /// Writes the percentile file, in place of what was in it.
    pub(crate) fn write_hgrm(&self, file: &File) -> io::Result<()> {
        let nothing = Tally::new();
        // A pipe can't be cut, and need not be.
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        let mut file = BufWriter::new(file);
        write_hgrm(&mut file, &self.main.as_deref().unwrap_or(&nothing).rtt)?;
        file.flush()
    }
}

/// The format of HdrHistogram's `outputPercentileDistribution`, in microseconds.
fn write_hgrm(into: &mut impl Write, rtt: &Histogram<u64>) -> io::Result<()> {
    let micros = |nanos: f64| nanos / 1e3;
    writeln!(into, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    let mut total = 0;
    for step in rtt.iter_quantiles(TICKS_PER_HALF) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (micros(step.value_iterated_to() as f64), step.quantile_iterated_to());
        write!(into, "{value:>12.3} {quantile:>14.12} {total:>10}")?;
        if quantile < 1.0 { writeln!(into, " {:>14.2}", 1.0 / (1.0 - quantile))? } else { writeln!(into)? }
    }
    let (mean, deviation) = (micros(rtt.mean()), micros(rtt.stdev()));
    writeln!(into, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]")?;
    let max = micros(rtt.max() as f64);
    writeln!(into, "#[Max     = {max:>12.3}, Total count    = {:>12}]", rtt.len())?;
    writeln!(into, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", rtt.buckets(), 2048)
}

/// Datagrams a second, for people.
pub(crate) fn rate(pps: f64) -> String {
    match pps {
        pps if pps >= 1e6 => format!("{:.3} Mpps", pps / 1e6),
        pps if pps >= 1e3 => format!("{:.2} kpps", pps / 1e3),
        pps => format!("{pps:.1} pps"),
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(main) = self.main.as_deref() else { return write!(f, "nothing was measured") };
        let seconds = main.seconds();
        writeln!(f, "sent       {} in {seconds:.3} s, {}", main.sent, rate(main.tx_pps()))?;
        if main.unsent > 0 {
            writeln!(f, "NOT sent   {}: the generator is too slow for this rate", main.unsent)?;
        }
        writeln!(f, "received   {}, {}", main.received, rate(main.rx_pps()))?;
        writeln!(f, "lost       {} ({:.4} %)", main.lost(), main.loss() * 100.0)?;
        let Tally { duplicates, reordered, corrupted, strays, .. } = main;
        writeln!(
            f,
            "of these   {duplicates} duplicates, {reordered} reordered, {corrupted} corrupted, {strays} strays"
        )?;
        if let Some(times) = Times::of(main) {
            write!(f, "{times}")?;
        }
        self.points.iter().try_for_each(|search| write!(f, "{search}"))?;
        match Lateness::of(&main.lateness) {
            Some(late) => write!(
                f,
                "own error  sent late p50 {} p99 {} max {}; ",
                us(late.p50),
                us(late.p99),
                us(late.max)
            ),
            None => write!(f, "own error  no times of its own to be late for; "),
        }?;
        write!(f, "own round trip p50 {} p99 {} us", us(self.own.p50), us(self.own.p99))
    }
}

/// Nanoseconds as microseconds.
fn us(nanos: u64) -> String {
    format!("{:.2}", nanos as f64 / 1e3)
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, p9999, p99999, max, mean, jitter } = self;
        let [p50, p90, p99, p999, p9999, p99999, max] =
            [p50, p90, p99, p999, p9999, p99999, max].map(|&n| us(n));
        writeln!(
            f,
            "round trip p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  p99.99 {p9999}  p99.999 {p99999}  max {max} us"
        )?;
        writeln!(f, "           mean {:.2}  jitter {:.2} us", mean / 1e3, jitter / 1e3)
    }
}

impl fmt::Display for SearchResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Point { pps, loss, unsent } in &self.trials {
            write!(f, "trial      {:>14}  loss {:.4} %", rate(*pps), loss * 100.0)?;
            if *unsent > 0.0 {
                write!(f, ", {:.4} % NOT sent in time", unsent * 100.0)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "NDR        {}", rate(self.ndr_pps))?;
        writeln!(f, "PDR        {}", rate(self.pdr_pps))?;
        if self.is_own_limit {
            writeln!(f, "limit      this generator: it is too slow for more, give it more --lcores")?;
        }
        for LoadLatency { load, p50, p99, p999 } in &self.latency {
            let part = load * 100.0;
            writeln!(f, "at {part:>3.0} %   p50 {}  p99 {}  p99.9 {} us", us(*p50), us(*p99), us(*p999))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Results {
        let mut tally = Tally::new();
        (tally.sent, tally.received, tally.nanos) = (1001, 1000, 1_000_000_000);
        (1..=1000).for_each(|micros| tally.measure(micros * 1000));
        Results { main: Some(Box::new(tally)), own: OwnError { p50: 300, p99: 900 }, points: None }
    }

    #[test]
    fn the_json_has_what_other_programs_read() {
        let json = measured().json();
        assert_eq!(
            (&json["sent"], &json["lost"], &json["tx_pps"]),
            (&1001.into(), &1.into(), &1001.0.into())
        );
        let p50 = json["rtt_ns"]["p50"].as_u64().expect("a number");
        assert!(p50.abs_diff(500_000) < 1000, "{p50}");
        assert_eq!(json["rtt_ns"]["jitter"], 1000.0);
        assert_eq!(json["self_rtt_ns"]["p99"], 900);
        assert!(json["lateness_ns"].is_null() && json.get("search").is_none());
        assert!(Results::default().json()["rtt_ns"].is_null());
    }

    #[test]
    fn the_percentile_file_ends_with_everything() {
        let results = measured();
        let mut text = Vec::new();
        write_hgrm(&mut text, &results.main.as_ref().expect("measured").rtt).expect("written");
        let text = String::from_utf8(text).expect("text");
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|number| number.parse().expect("a number")).collect())
            .collect();
        assert!(rows.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2]));
        let last = rows.last().expect("rows");
        assert_eq!((last[1], last[2]), (1.0, 1000.0));
        assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"), "{text}");
    }

    #[test]
    fn people_read_rates() {
        assert_eq!([999.0, 1500.0, 2e6].map(rate), ["999.0 pps", "1.50 kpps", "2.000 Mpps"]);
    }
}
