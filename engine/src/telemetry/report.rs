//! What a run came to: for people, and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Balance, Counter, Kind, LcoreSnapshot, Snapshot};
use crate::port::{PoolBalance, PortDescription, PortId};

/// The end report of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The application's name.
    pub app: String,
    /// The library's version.
    pub version: &'static str,
    /// How long the workers ran, in seconds.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub elapsed: Duration,
    /// Every port.
    pub ports: Vec<PortReport>,
    /// Every queue.
    pub queues: Vec<QueueReport>,
    /// Every worker lcore.
    pub lcores: Vec<LcoreReport>,
    /// Sums over the queues.
    #[serde(serialize_with = "as_map")]
    pub totals: Snapshot,
    /// What `--capture` wrote down.
    pub capture: Option<CaptureReport>,
    /// What the program adds, each part under a name of its own.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
    /// What the sums leave unexplained.
    pub balance: Balance,
    /// Whether every buffer of every pool came back.
    pub pools_balanced: bool,
    /// Whether the counters of each queue explain every packet and the pools are balanced.
    pub balanced: bool,
}

/// A port's part of the report.
#[derive(Clone, Debug, Serialize)]
pub struct PortReport {
    /// What it is.
    #[serde(flatten)]
    pub description: PortDescription,
    /// Times that its link came up or went down, as far as was seen.
    pub link_changes: u64,
    /// Times that its device ceased to serve: it was removed, or reset.
    pub losses: u64,
    /// Times that it served again after that.
    pub renewals: u64,
    /// The device's own statistics, as its driver names them.
    pub extended_statistics: BTreeMap<String, u64>,
    /// Its pools at its close.
    pub pools: Vec<PoolBalance>,
}

/// A capture's part of the report.
#[derive(Clone, Debug, Serialize)]
pub struct CaptureReport {
    /// The file.
    pub file: String,
    /// Frames that are in it.
    pub captured: u64,
    /// Frames that were asked for and are not in it.
    pub missed: u64,
    /// Why the file was not written to the end.
    pub failure: Option<String>,
}

impl fmt::Display for CaptureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "capture {}: {} frames, {} missed", self.file, self.captured, self.missed)?;
        self.failure.iter().try_for_each(|failure| write!(f, ", ended early: {failure}"))
    }
}

/// A queue's part of the report.
#[derive(Clone, Debug, Serialize)]
pub struct QueueReport {
    /// The lcore that served it.
    pub lcore: u32,
    /// Its port.
    pub port: PortId,
    /// Its counters at the end.
    #[serde(serialize_with = "as_map")]
    pub counters: Snapshot,
}

/// An lcore's part of the report.
#[derive(Clone, Debug, Serialize)]
pub struct LcoreReport {
    /// Which one.
    pub lcore: u32,
    /// What it did with its time.
    #[serde(flatten)]
    pub figures: LcoreSnapshot,
    /// Ticks with work over all ticks, from 0 to 1.
    pub busy_ratio: f64,
}

impl LcoreReport {
    pub(crate) fn new(lcore: u32, figures: LcoreSnapshot) -> Self {
        Self { lcore, figures, busy_ratio: figures.busy_ratio() }
    }
}

impl Report {
    pub(crate) fn new(
        app: &str,
        elapsed: Duration,
        ports: Vec<PortReport>,
        queues: Vec<QueueReport>,
        lcores: Vec<LcoreReport>,
    ) -> Self {
        let mut totals = Snapshot::default();
        queues.iter().for_each(|queue| totals += &queue.counters);
        let pools_balanced = ports.iter().flat_map(|port| &port.pools).all(PoolBalance::is_balanced);
        Self {
            app: app.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            elapsed,
            balance: totals.balance(),
            pools_balanced,
            balanced: pools_balanced && queues.iter().all(|queue| queue.counters.balance().is_exact()),
            ports,
            queues,
            lcores,
            totals,
            capture: None,
            extra: BTreeMap::new(),
        }
    }

    /// Adds what a capture's writer says. What the hosts could not hand it was missed too.
    pub(crate) fn add_capture(&mut self, written: CaptureReport) {
        let missed = written.missed + self.totals[Counter::CaptureMissed];
        self.capture = Some(CaptureReport { missed, ..written });
    }
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Every counter by its name, those at zero too: a reader need not guess.
fn as_map<S: Serializer>(snapshot: &Snapshot, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Counter::ALL.iter().map(|&counter| (counter.name(), snapshot[counter])))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ran {:.1} s", self.app, self.elapsed.as_secs_f64())?;
        for (id, port) in self.ports.iter().enumerate() {
            let about = &port.description;
            let plural = if about.queues == 1 { "" } else { "s" };
            writeln!(f, "port {id}: {} ({}), {} queue{plural}", about.name, about.driver, about.queues)?;
            for pool in port.pools.iter().filter(|pool| !pool.is_balanced()) {
                writeln!(f, "  pool {}: {} of {} buffers came back", pool.name, pool.free, pool.size)?;
            }
        }
        for queue in &self.queues {
            let (received, sent) = (queue.counters.total(Kind::Received), queue.counters.total(Kind::Sent));
            writeln!(f, "lcore {} port {}: received {received}, sent {sent}", queue.lcore, queue.port)?;
            let Balance { rx_unexplained, tx_unexplained } = queue.counters.balance();
            if !queue.counters.balance().is_exact() {
                writeln!(f, "  NOT explained: {rx_unexplained} received, {tx_unexplained} to be sent")?;
            }
        }
        for LcoreReport { lcore, figures, .. } in &self.lcores {
            let LcoreSnapshot { waits, wakeups, .. } = figures;
            let usage = figures.usage(self.elapsed);
            writeln!(f, "lcore {lcore}: {usage}, {waits} waits, woken {wakeups} times")?;
        }
        for (counter, value) in self.totals.non_zero().filter(|(counter, _)| counter.kind() != Kind::Event) {
            writeln!(f, "  {value:>14}  {:<24} {}", counter.name(), counter.sentence())?;
        }
        self.capture.iter().try_for_each(|capture| writeln!(f, "{capture}"))?;
        match (self.balanced, self.pools_balanced) {
            (true, _) => write!(f, "balance: every packet is explained, every buffer is back"),
            (false, true) => write!(f, "balance: there are packets that no counter explains, see above"),
            (false, false) => write!(f, "balance: there are buffers that did not come back, see above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Counters;

    #[test]
    fn a_missing_buffer_or_packet_unbalances_the_report() {
        let queue =
            |counters: &Counters| QueueReport { lcore: 1, port: PortId(0), counters: counters.snapshot() };
        let counters = Counters::default();
        counters.add(Counter::Received, 1);
        let broken = Report::new("echo", Duration::from_secs(1), vec![], vec![queue(&counters)], vec![]);
        assert!(!broken.balanced && broken.to_string().contains("NOT explained: 1 received"));
        counters.add(Counter::Runt, 1);
        let report = Report::new("echo", Duration::from_secs(1), vec![], vec![queue(&counters)], vec![]);
        assert!(report.balanced && report.to_string().contains("every packet is explained"));
        let json = serde_json::to_value(&report).expect("serialisable");
        assert_eq!(json["totals"]["runt"], 1);
        assert_eq!(json["totals"]["replied"], 0);
        assert_eq!(json["seconds"], 1.0);
        assert_eq!(json["balance"]["rx_unexplained"], 0);
        assert!(json["capture"].is_null() && !report.to_string().contains("capture"));
    }

    #[test]
    fn an_lcore_says_how_busy_it_was() {
        let (ticks, cpu_ns) = (4000, 300_000_000);
        let figures =
            LcoreSnapshot { ticks, busy_ticks: 1000, asleep_ticks: 2000, waits: 7, wakeups: 5, cpu_ns };
        let lcores = vec![LcoreReport::new(2, figures)];
        let report = Report::new("echo", Duration::from_secs(1), vec![], vec![], lcores);
        let line = "lcore 2: busy 25.0 %, CPU 30.0 %, 7 waits, woken 5 times";
        assert!(report.to_string().lines().any(|said| said == line), "{report}");
        let json = serde_json::to_value(&report).expect("serialisable");
        let lcore = &json["lcores"][0];
        assert_eq!((&lcore["lcore"], &lcore["busy_ratio"]), (&2.into(), &0.25.into()));
        assert_eq!(
            (&lcore["ticks"], &lcore["busy_ticks"], &lcore["cpu_ns"]),
            (&4000.into(), &1000.into(), &cpu_ns.into())
        );
        assert_eq!((&lcore["waits"], &lcore["wakeups"]), (&7.into(), &5.into()));
    }

    #[test]
    fn a_capture_says_what_it_has_and_what_it_missed() {
        let counters = Counters::default();
        counters.add(Counter::CaptureMissed, 3);
        let queue = QueueReport { lcore: 1, port: PortId(0), counters: counters.snapshot() };
        let mut report = Report::new("echo", Duration::from_secs(1), vec![], vec![queue], vec![]);
        let file = "drops.pcapng".to_owned();
        let written = CaptureReport { file, captured: 5, missed: 2, failure: Some("disk full".to_owned()) };
        report.add_capture(written);
        let said = report.to_string();
        assert!(said.contains("capture drops.pcapng: 5 frames, 5 missed, ended early: disk full"), "{said}");
        assert!(said.lines().last().is_some_and(|line| line.starts_with("balance: ")), "{said}");
        assert_eq!(serde_json::to_value(&report).expect("serialisable")["capture"]["missed"], 5);
    }
}
