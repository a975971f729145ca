//! `gen`: how fast datagrams are made, against testpmd's `flowgen`, and how punctual they are.
//!
//! On `net_null` what is sent is gone. Over memif a testpmd in mode `rxonly` takes what either
//! sends, on the other core, and its count is the rate.

use std::process::Command;
use std::thread;
use std::time::Duration;

use super::echo::{LOAD, NEIGHBOUR};
use super::{Bench, needs_dpdk, unique};
use crate::bench::bars::{Bar, Of, Wanted};
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::pairs::{Case, Subject, Values};
use crate::bench::peer::testpmd::{Counted, Testpmd};
use crate::bench::process::{Scratch, Server, number, ourselves};

/// Memory of each EAL in MiB.
const MEMORY: u32 = 256;
const OURS: &str = "gannet gen";
const PEER: &str = "testpmd flowgen";
/// It sends only: what it receives would be of nobody.
const NULL: &str = "--vdev=net_null0,no-rx=1";
/// As many as flowgen has.
const FLOWS: &str = "1024";
/// What is not measured at the start.
const WARM_UP: Duration = Duration::from_millis(200);
/// Two memifs greet each other on threads that share their CPUs with loops which spin.
const MEMIF_WARM_UP: Duration = Duration::from_millis(1_500);
/// Longer than a sender over memif is needed.
const MARGIN: f64 = 20.0;

const TO_NULL: &str = "net_null";
const OVER_MEMIF: &str = "memif";
const PUNCTUAL: &str = "1 Mpps";

/// What is wanted.
pub(super) const BARS: &[Bar] = &[
    Bar {
        what: "flat out",
        case: TO_NULL,
        measure: Measure::Rate,
        of: Of::Ratio(OURS, PEER),
        wanted: Wanted::AtLeast(1.2),
    },
    Bar {
        what: "flat out",
        case: OVER_MEMIF,
        measure: Measure::Rate,
        of: Of::Ratio(OURS, PEER),
        wanted: Wanted::AtLeast(1.2),
    },
    Bar {
        what: "send lateness on a core of its own",
        case: PUNCTUAL,
        measure: Measure::LatenessP99,
        of: Of::Row(OURS),
        wanted: Wanted::AtMost(1.0),
    },
];

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    needs_dpdk()?;
    let flat_out = |name,
                    ours: fn(&Bench) -> Result<Values, Failure>,
                    peer: fn(&Bench) -> Result<Values, Failure>| Case {
        name,
        subjects: vec![Subject::new(OURS, move || ours(bench)), Subject::new(PEER, move || peer(bench))],
        ratios: vec![(OURS, PEER)],
        noise: Some(PEER),
        times: 1,
    };
    let mut memif = flat_out(OVER_MEMIF, |bench| over_memif(bench, ours), |bench| over_memif(bench, peer));
    memif.subjects = memif.subjects.into_iter().map(Subject::over_memif).collect();
    Ok(vec![
        flat_out(TO_NULL, ours_to_null, peer_to_null),
        memif,
        Case {
            name: PUNCTUAL,
            subjects: vec![Subject::new(OURS, || punctual(bench))],
            ratios: Vec::new(),
            noise: None,
            times: 1,
        },
    ])
}

fn ours_to_null(bench: &Bench) -> Result<Values, Failure> {
    Ok(vec![(Measure::Rate, number(&to_null(bench, "max")?, "/generator/tx_pps")? / 1e6)])
}

fn punctual(bench: &Bench) -> Result<Values, Failure> {
    let report = to_null(bench, "1M")?;
    let of = |measure, pointer| Ok((measure, number(&report, pointer)? / 1e3));
    Ok(vec![
        of(Measure::LatenessP50, "/generator/lateness_ns/p50")?,
        of(Measure::LatenessP99, "/generator/lateness_ns/p99")?,
    ])
}

/// The report of a generator on `net_null`.
fn to_null(bench: &Bench, rate: &str) -> Result<serde_json::Value, Failure> {
    let scratch = Scratch::new()?;
    let file = scratch.file("gen.json");
    let mut generator = generator(bench, NULL, rate, bench.seconds.as_secs_f64())?;
    generator.arg("--json").arg(&file);
    Server::start(&mut generator)?.end(bench.seconds + Duration::from_secs(30))?;
    scratch.report("gen.json")
}

/// `gannet gen` on the CPU that is measured.
fn generator(bench: &Bench, device: &str, rate: &str, seconds: f64) -> Result<Command, Failure> {
    let cpu = bench.cpus.worker;
    let eal = format!("--lcores 0@{cpu} --no-huge --no-pci -m {MEMORY} --file-prefix {}", unique());
    let to = format!("{}:{}", super::echo::ECHO, super::echo::PORT);
    let mut command = Command::new(ourselves()?);
    command.arg("gen").args(eal.split(' ')).args([device, "--", "--ip", LOAD, "--to", &to]);
    command.args(["--neighbour", NEIGHBOUR, "--no-replies", "--linger", "0s", "--idle", "spin"]);
    command.args(["--size", "64", "--flows", FLOWS, "--rate", rate, "--duration", &format!("{seconds}s")]);
    Ok(command)
}

fn testpmd(eal: &str, device: &str, mode: &str) -> Result<Testpmd, Failure> {
    let words = format!(
        "{eal} {device} -- -i --forward-mode={mode} --nb-cores=1 --disable-link-check --total-num-mbufs=8192"
    );
    let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
    let mut testpmd = Testpmd::start(Command::new("dpdk-testpmd"), &words)?;
    testpmd.command("start")?;
    Ok(testpmd)
}

fn peer_to_null(bench: &Bench) -> Result<Values, Failure> {
    let testpmd = testpmd(&bench.cpus.eal(MEMORY), NULL, "flowgen")?;
    thread::sleep(WARM_UP);
    Ok(vec![(Measure::Rate, testpmd.measure(Counted::Sent, bench.seconds)? / 1e6)])
}

/// Who sends over memif. It stops when it is dropped.
enum Sender {
    Ours { _server: Server },
    Peer { _testpmd: Box<Testpmd> },
}

fn ours(bench: &Bench, device: &str) -> Result<Sender, Failure> {
    let mut server =
        Server::start(&mut generator(bench, device, "max", bench.seconds.as_secs_f64() + MARGIN)?)?;
    server.ready()?;
    Ok(Sender::Ours { _server: server })
}

fn peer(bench: &Bench, device: &str) -> Result<Sender, Failure> {
    testpmd(&bench.cpus.eal(MEMORY), device, "flowgen")
        .map(|testpmd| Sender::Peer { _testpmd: Box::new(testpmd) })
}

/// What arrives of what `start` starts.
fn over_memif(bench: &Bench, start: fn(&Bench, &str) -> Result<Sender, Failure>) -> Result<Values, Failure> {
    let scratch = Scratch::new()?;
    let socket = scratch.file("memif.sock").display().to_string();
    let device = |role| format!("--vdev=net_memif0,role={role},socket-abstract=no,socket={socket}");
    let sink = testpmd(&bench.cpus.swapped().eal(MEMORY), &device("server"), "rxonly")?;
    let _sender = start(bench, &device("client"))?;
    thread::sleep(MEMIF_WARM_UP);
    Ok(vec![(Measure::Rate, sink.measure(Counted::Received, bench.seconds)? / 1e6)])
}
