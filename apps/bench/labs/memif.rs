//! `memif`: two processes over shared memory, an echo on one core and the load on the other.
//! memif copies each packet once a way, which is the limit.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::echo::{self, Echo, Load, Outcome};
use super::{Bench, needs_dpdk, unique};
use crate::bench::bars::{Bar, Of, Wanted};
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::pairs::{Case, Subject, Values};
use crate::bench::process::{Scratch, Server, ourselves};

/// Memory of each EAL in MiB.
const MEMORY: u32 = 256;
const OURS: &str = "gannet echo";
const PEER: &str = "testpmd 5tswap";

/// Who echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Ours,
    Peer,
}

/// Its rounds differ much, and are long.
const LOSS_TIMES: u32 = 2;
const SATURATED: &str = "saturated";
const LOSS: &str = "0.5 % loss";
const HALF: &str = "half of the peer's load";

/// What is wanted.
pub(super) const BARS: &[Bar] = &[
    Bar {
        what: "throughput",
        case: LOSS,
        measure: Measure::Rate,
        of: Of::Ratio(OURS, PEER),
        wanted: Wanted::AtLeast(0.97),
    },
    Bar {
        what: "no more busy ticks a packet",
        case: SATURATED,
        measure: Measure::BusyTicks,
        of: Of::Ratio(OURS, PEER),
        wanted: Wanted::AtLeast(1.0),
    },
    Bar {
        what: "round trips",
        case: HALF,
        measure: Measure::RttP50,
        of: Of::Row(OURS),
        wanted: Wanted::AtMost(5.0),
    },
    Bar {
        what: "round trips no worse",
        case: HALF,
        measure: Measure::RttP999,
        of: Of::Ratio(OURS, PEER),
        wanted: Wanted::AtLeast(1.0),
    },
];

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    needs_dpdk()?;
    let subjects = |measure: fn(&Bench, Who) -> Result<Values, Failure>| {
        vec![
            Subject::new(OURS, move || measure(bench, Who::Ours)).over_memif(),
            Subject::new(PEER, move || measure(bench, Who::Peer)).over_memif(),
        ]
    };
    let ratios = vec![(OURS, PEER)];
    let found = |bench: &Bench, who| Ok(vec![(Measure::Rate, run(bench, who, Load::Search)?.found()? / 1e6)]);
    let saturated = |bench: &Bench, who| run(bench, who, Load::FlatOut)?.saturated(bench);
    let half = |bench: &Bench, who| run(bench, who, Load::Rate(half_of_the_peers(bench)?))?.round_trips();
    let case =
        |name, subjects, times| Case { name, subjects, ratios: ratios.clone(), noise: Some(PEER), times };
    Ok(vec![
        case(SATURATED, subjects(saturated), 1),
        case(LOSS, subjects(found), LOSS_TIMES),
        case(HALF, subjects(half), 1),
    ])
}

/// Half of the rate at which the peer loses 0.5 %, searched for once.
fn half_of_the_peers(bench: &Bench) -> Result<f64, Failure> {
    if let Some(rate) = bench.memif_half.get() {
        return Ok(*rate);
    }
    let rate = run(bench, Who::Peer, Load::Search)?.found()? / 2.0;
    Ok(*bench.memif_half.get_or_init(|| rate))
}

/// Flat out over memif, for a lab that compares it with other wires.
pub(super) fn flat_out(bench: &Bench) -> Result<Outcome, Failure> {
    needs_dpdk()?;
    run(bench, Who::Ours, Load::FlatOut)
}

fn run(bench: &Bench, who: Who, load: Load) -> Result<Outcome, Failure> {
    let scratch = Scratch::new()?;
    let socket = scratch.file("memif.sock").display().to_string();
    let rsize = ring_size(load);
    let device =
        |role| format!("--vdev=net_memif0,role={role},socket-abstract=no,rsize={rsize},socket={socket}");
    let echo = match who {
        Who::Ours => {
            let mut command = Command::new(ourselves()?);
            command.arg("echo").args(lone(bench.cpus.worker, MEMORY, &device("server")).split(' ')).arg("--");
            command.args(echo::echo_words(&scratch, "10.77.0.1/24"));
            let server = Server::start(&mut command)?;
            // It is ready when the other end is there, and that can come when there is a socket.
            wait_for(&scratch.file("memif.sock"))?;
            Echo::Ours(server)
        }
        Who::Peer => {
            let eal = format!("{} {}", bench.cpus.eal(MEMORY), device("server"));
            echo::testpmd(Command::new("dpdk-testpmd"), &eal)?
        }
    };
    let mut generator = Command::new(ourselves()?);
    generator.arg("gen").args(lone(bench.cpus.main, MEMORY, &device("client")).split(' ')).arg("--");
    echo::run(bench, &scratch, echo, load, generator)
}

/// Slots of a ring, as a power of two: DPDK's default, and for a search so many that a core which is gone for
/// some hundred microseconds costs no packets.
fn ring_size(load: Load) -> u32 {
    if matches!(load, Load::Search) { 13 } else { 10 }
}

/// Waits for a socket, and until somebody listens on it.
pub(super) fn wait_for(socket: &Path) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !socket.exists() {
        if Instant::now() >= deadline {
            return Err(Failure::Failed(format!("nobody made the socket {}", socket.display())));
        }
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(50));
    Ok(())
}

/// EAL arguments of a process with one lcore and so many MiB.
pub(super) fn lone(cpu: usize, memory: u32, device: &str) -> String {
    format!("--lcores 0@{cpu} --no-huge --no-pci -m {memory} --file-prefix {} {device}", unique())
}
