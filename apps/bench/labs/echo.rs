//! An echo under load: one process that answers, ours or a peer's, and `gannet gen` that asks.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::Bench;
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::pairs::Values;
use crate::bench::peer::testpmd::Testpmd;
use crate::bench::process::{Scratch, Server, number};

/// Where the echo is.
pub(super) const ECHO: &str = "10.77.0.1";
pub(super) const PORT: u16 = 9_000;
/// Where the load comes from.
pub(super) const LOAD: &str = "10.77.0.2/24";
/// The address of an echo that answers no ARP, and looks at no address either.
pub(super) const NEIGHBOUR: &str = "10.77.0.1=02:00:00:00:00:01";

/// How long the generator waits for the last answers.
const LINGER: Duration = Duration::from_secs(1);
/// How long it may take in all: a search has some dozens of trials.
const LONGEST: Duration = Duration::from_secs(3_600);

/// What answers.
pub(super) enum Echo {
    /// Ours, whose end report is `echo.json`.
    Ours(Server),
    /// A server of ours without a report.
    Bare(Server),
    Testpmd(Box<Testpmd>),
}

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// As fast as it goes.
    FlatOut,
    /// Datagrams in a second.
    Rate(f64),
    /// Whatever loses 0.5 % and no more.
    Search,
}

/// What came of it.
pub(super) struct Outcome {
    /// The generator's own report.
    generator: Value,
    /// Of the echoing loop, where it says so.
    busy_ticks: Option<f64>,
    /// Time that the echo's CPU was at work, interrupts included, in seconds; `None` where it always is,
    /// since the echo polls.
    core_seconds: Option<f64>,
}

/// The words of an echo of ours behind its `--`.
pub(super) fn echo_words(scratch: &Scratch, ip: &str) -> Vec<String> {
    let report = scratch.file("echo.json").display().to_string();
    let words = format!("--ip {ip} --udp-port {PORT} --idle spin --json {report}");
    words.split(' ').map(str::to_owned).collect()
}

/// testpmd's words for its five-tuple swap on one port, behind the EAL's.
pub(super) const SWAP: &str = "-- -i --forward-mode=5tswap --nb-cores=1 --record-core-cycles --disable-link-check --total-num-mbufs=8192";

/// Starts testpmd with words of the EAL's and those of [`SWAP`].
pub(super) fn testpmd(command: Command, eal: &str) -> Result<Echo, Failure> {
    let words: Vec<_> = eal.split(' ').chain(SWAP.split(' ')).map(str::to_owned).collect();
    let mut testpmd = Testpmd::start(command, &words)?;
    testpmd.command("start")?;
    Ok(Echo::Testpmd(Box::new(testpmd)))
}

/// Has `generator` (the program, with its port's words in front of the `--` and behind it) ask
/// an echo, and ends that.
pub(super) fn run(
    bench: &Bench,
    scratch: &Scratch,
    mut echo: Echo,
    load: Load,
    mut generator: Command,
) -> Result<Outcome, Failure> {
    let file = scratch.file("gen.json");
    let seconds = bench.seconds.as_secs_f64();
    if matches!((&echo, load), (Echo::Testpmd(_), Load::FlatOut)) {
        generator.args(["--linger", &format!("{}s", LINGER.as_secs())]);
    }
    generator.args(["--ip", LOAD, "--to", &format!("{ECHO}:{PORT}"), "--size", "64", "--idle", "spin"]);
    generator.arg("--json").arg(&file);
    if matches!(echo, Echo::Testpmd(_)) {
        generator.args(["--neighbour", NEIGHBOUR]);
    }
    match load {
        Load::FlatOut => generator.args(["--rate", "max", "--duration", &format!("{seconds}s")]),
        Load::Rate(rate) => {
            generator.args(["--rate", &format!("{rate:.0}"), "--duration", &format!("{seconds}s")])
        }
        // It has some twenty trials.
        Load::Search => {
            generator.args(["--search", "--linger", "200ms", "--trial", &format!("{}s", seconds / 2.0)])
        }
    };
    let before = core_time(bench.cpus.worker)?;
    generate(&mut generator, load, bench.seconds, &mut echo)?;
    let after = core_time(bench.cpus.worker)?;
    let core_seconds = matches!(echo, Echo::Bare(_)).then_some(after - before);
    let report = scratch.report("gen.json")?;
    let busy_ticks = end(echo, scratch)?;
    let generator = report.get("generator").cloned();
    let generator =
        generator.ok_or_else(|| Failure::Failed("the generator's report has no figures".to_owned()))?;
    Ok(Outcome { generator, busy_ticks, core_seconds })
}

/// Runs the generator to its end. A memif forgets its counts when the other end goes, so testpmd is
/// asked for them when all is sent and the generator still waits for the last answers.
fn generate(generator: &mut Command, load: Load, seconds: Duration, echo: &mut Echo) -> Result<(), Failure> {
    let mut generator = Server::start(generator)?;
    if let (Echo::Testpmd(testpmd), Load::FlatOut) = (echo, load) {
        generator.ready()?;
        thread::sleep(seconds + LINGER / 2);
        testpmd.command("show fwd stats all")?;
    }
    generator.end(LONGEST)
}

/// Ends an echo. Gives the ticks of its busy turns for a packet, where it says so.
fn end(echo: Echo, scratch: &Scratch) -> Result<Option<f64>, Failure> {
    match echo {
        Echo::Bare(server) => server.stop().map(|()| None),
        Echo::Testpmd(testpmd) => Ok(Testpmd::ticks_per_packet(&testpmd.quit()?)),
        Echo::Ours(server) => {
            server.stop()?;
            let report = scratch.report("echo.json")?;
            let packets = number(&report, "/totals/received")?;
            // A socket's report or an older one may not have it.
            let ticks = report.pointer("/lcores/0/busy_ticks").and_then(Value::as_f64);
            Ok(ticks.filter(|_| packets > 0.0).map(|ticks| ticks / packets))
        }
    }
}

/// Time that a CPU was at work since the machine started, in seconds.
fn core_time(cpu: usize) -> Result<f64, Failure> {
    let text = fs::read_to_string("/proc/stat").map_err(Failure::of("/proc/stat"))?;
    parse_core_time(&text, cpu)
        .ok_or_else(|| Failure::Failed(format!("/proc/stat says nothing of CPU {cpu}")))
}

/// user, nice, system, idle, iowait, irq, softirq, steal, in hundredths of a second: what a CPU
/// did not rest, nor its hypervisor take away.
fn parse_core_time(text: &str, cpu: usize) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cpu{cpu} ")))?;
    let fields: Vec<f64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _, _, irq, softirq, ..] = fields[..] else { return None };
    Some((user + nice + system + irq + softirq) / 100.0)
}

impl Outcome {
    /// What a saturated echo does: packets in a second, ticks of its core for each, and of its
    /// loop where that is known.
    pub(super) fn saturated(&self, bench: &Bench) -> Result<Values, Failure> {
        let rate = number(&self.generator, "/rx_pps")?;
        let mut values = vec![(Measure::Rate, rate / 1e6)];
        values.extend(self.busy_ticks.map(|ticks| (Measure::BusyTicks, ticks)));
        values.extend(self.core_ticks(bench, rate)?.map(|ticks| (Measure::CoreTicks, ticks)));
        Ok(values)
    }

    fn core_ticks(&self, bench: &Bench, rate: f64) -> Result<Option<f64>, Failure> {
        let Some(hz) = bench.tsc_hz else { return Ok(None) };
        let Some(seconds) = self.core_seconds else { return Ok(Some(hz / rate)) };
        Ok(Some(seconds * hz / number(&self.generator, "/received")?))
    }

    /// Round trip times in microseconds.
    pub(super) fn round_trips(&self) -> Result<Values, Failure> {
        let of = |measure, pointer| Ok((measure, number(&self.generator, pointer)? / 1e3));
        Ok(vec![
            of(Measure::RttP50, "/rtt_ns/p50")?,
            of(Measure::RttP99, "/rtt_ns/p99")?,
            of(Measure::RttP999, "/rtt_ns/p999")?,
        ])
    }

    /// Packets in a second that lose 0.5 % and no more.
    pub(super) fn found(&self) -> Result<f64, Failure> {
        number(&self.generator, "/search/pdr_pps")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_cpu_is_read() {
        let text =
            "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 40 5 6 7 8 1 0\ncpu1 1 0 0 0 0 0 0 0 0 0\ncpu10 5 5\n";
        assert_eq!(parse_core_time(text, 0), Some(0.19));
        assert_eq!(parse_core_time(text, 2), None);
        assert_eq!(parse_core_time(text, 10), None, "cut short");
        assert!(core_time(super::super::Cpus::here().expect("a CPU").worker).is_ok());
    }

    #[test]
    fn a_report_of_the_agreed_shape_is_read() {
        let generator = serde_json::json!({
            "rx_pps": 2e6,
            "received": 1e6,
            "rtt_ns": {"p50": 4000, "p99": 9000, "p999": 20_000},
            "search": {"pdr_pps": 8e6},
        });
        let outcome = Outcome { generator, busy_ticks: Some(90.0), core_seconds: Some(0.25) };
        let machine = crate::bench::machine::Machine::here();
        let mut bench = Bench::new(Duration::from_secs(1), &machine).expect("a CPU");
        bench.tsc_hz = Some(2e9);
        let saturated = outcome.saturated(&bench).expect("complete");
        let wanted = vec![(Measure::Rate, 2.0), (Measure::BusyTicks, 90.0), (Measure::CoreTicks, 500.0)];
        assert_eq!(saturated, wanted);
        let polling = Outcome { core_seconds: None, busy_ticks: None, ..outcome };
        let saturated = polling.saturated(&bench).expect("complete");
        assert_eq!(saturated, [(Measure::Rate, 2.0), (Measure::CoreTicks, 1000.0)]);
        let outcome = polling;
        let trips = outcome.round_trips().expect("complete");
        assert_eq!(trips, [(Measure::RttP50, 4.0), (Measure::RttP99, 9.0), (Measure::RttP999, 20.0)]);
        assert_eq!(outcome.found(), Ok(8e6));
    }
}
