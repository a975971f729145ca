//! `veth`: the kernel's end of a wire between two namespaces. The load comes from our native
//! port on the other core, whoever echoes.

use std::process::Command;

use super::echo::{self, Echo, Load, Outcome};
use super::{Bench, needs_dpdk, unique};
use crate::bench::bars::{Bar, Of, Wanted};
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::network::{Namespace, Wire};
use crate::bench::pairs::{Case, Subject, Values};
use crate::bench::process::{Scratch, Server, ourselves};

/// Memory of the EAL in MiB.
const MEMORY: u32 = 256;
/// Datagrams a second at which round trips are timed: far below what any of them can do.
const LIGHT: f64 = 20_000.0;
/// Enough for two queues to have as many of them.
const FLOWS: &str = "64";
const NATIVE: &str = "gannet echo, af_packet";
const DPDK: &str = "gannet echo, net_af_packet";
const PEER: &str = "testpmd 5tswap, net_af_packet";

/// Who echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Our native port.
    Native,
    /// Our native port on two lcores.
    NativePair,
    /// DPDK's port, with us.
    Dpdk,
    /// DPDK's port, with testpmd.
    Peer,
    /// Our port on the kernel's UDP sockets.
    Sockets,
    /// The server of the textbooks.
    Classical,
}

const SATURATED: &str = "saturated";
const LIGHTLY: &str = "20,000 a second";

/// What is wanted.
pub(super) const BARS: &[Bar] = &[
    Bar {
        what: "busy ticks a packet",
        case: SATURATED,
        measure: Measure::BusyTicks,
        of: Of::Ratio(NATIVE, PEER),
        wanted: Wanted::AtLeast(1.3),
    },
    Bar {
        what: "round trips no worse",
        case: LIGHTLY,
        measure: Measure::RttP50,
        of: Of::Ratio(NATIVE, PEER),
        wanted: Wanted::AtLeast(1.0),
    },
    Bar {
        what: "round trips no worse",
        case: LIGHTLY,
        measure: Measure::RttP99,
        of: Of::Ratio(NATIVE, PEER),
        wanted: Wanted::AtLeast(1.0),
    },
];

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    // What a machine can't do is told before anything takes its time.
    drop(Wire::new()?);
    let subjects = |measure: fn(&Bench, Who) -> Result<Values, Failure>| {
        vec![
            Subject::new(NATIVE, move || measure(bench, Who::Native)),
            Subject::new(PEER, move || measure(bench, Who::Peer)),
            Subject::new(DPDK, move || measure(bench, Who::Dpdk)),
        ]
    };
    let ratios = vec![(NATIVE, PEER), (DPDK, PEER)];
    let saturated = |bench: &Bench, who| run(bench, who, Load::FlatOut)?.saturated(bench);
    let light = |bench: &Bench, who| run(bench, who, Load::Rate(LIGHT))?.round_trips();
    Ok(vec![
        Case {
            name: SATURATED,
            subjects: subjects(saturated),
            ratios: ratios.clone(),
            noise: Some(PEER),
            times: 1,
        },
        Case { name: LIGHTLY, subjects: subjects(light), ratios, noise: Some(PEER), times: 1 },
    ])
}

/// Loads one of them on a wire of its own.
pub(super) fn run(bench: &Bench, who: Who, load: Load) -> Result<Outcome, Failure> {
    let wire = Wire::new()?;
    let scratch = Scratch::new()?;
    let echo = echo(bench, who, &wire.near, &scratch)?;
    let mut generator = wire.far.command(ourselves()?);
    let lcore = format!("0@{}", bench.cpus.main);
    generator.args(["gen", "--lcores", &lcore, "--", "--io", "af_packet:far0", "--flows", FLOWS]);
    echo::run(bench, &scratch, echo, load, generator)
}

fn echo(bench: &Bench, who: Who, near: &Namespace, scratch: &Scratch) -> Result<Echo, Failure> {
    let ours = |words: &str, ip| {
        let mut command = near.command(ourselves()?);
        command.args(words.split(' ')).args(echo::echo_words(scratch, ip));
        ready(command).map(Echo::Ours)
    };
    let worker = bench.cpus.worker;
    let device = "--vdev=net_af_packet0,iface=near0";
    match who {
        Who::Native => ours(&format!("echo --lcores 0@{worker} -- --io af_packet:near0"), "10.77.0.1/24"),
        Who::NativePair => {
            let (main, second) = (bench.cpus.main, bench.cpus.second.unwrap_or(worker));
            let lcores = format!("0@{main},1@{worker},2@{second}");
            ours(&format!("echo --lcores {lcores} -- --io af_packet:near0"), "10.77.0.1/24")
        }
        Who::Dpdk => {
            needs_dpdk()?;
            let memory = format!("--no-huge --no-pci -m {MEMORY} --file-prefix {}", unique());
            ours(&format!("echo --lcores 0@{worker} {memory} {device} --"), "10.77.0.1/24")
        }
        Who::Peer => {
            echo::testpmd(near.command("dpdk-testpmd"), &format!("{} {device}", bench.cpus.eal(MEMORY)))
        }
        Who::Sockets => {
            near.ip("addr add 10.77.0.1/24 dev near0")?;
            ours(&format!("echo --lcores 0@{worker} -- --io socket"), echo::ECHO)
        }
        Who::Classical => {
            near.ip("addr add 10.77.0.1/24 dev near0")?;
            let mut command = near.command(ourselves()?);
            let listen = format!("{}:{}", echo::ECHO, echo::PORT);
            command.args(["bench", "subject", "classical", "--listen", &listen]);
            command.args(["--cpu", &worker.to_string()]);
            ready(command).map(Echo::Bare)
        }
    }
}

fn ready(mut command: Command) -> Result<Server, Failure> {
    let mut server = Server::start(&mut command)?;
    server.ready()?;
    Ok(server)
}
