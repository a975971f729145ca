//! `game`: the game's server. On rings, players do nothing but move, each as soon as its last move
//! is acknowledged; over memif and on sockets of the kernel's, `gannet bots` walk, fight and talk.
//!
//! Ten thousand players with twenty others nearby, on one core; the load is on the other.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::memif::{lone, wait_for};
use super::{Bench, needs_dpdk};
use crate::bench::bars::{Bar, Of, Wanted};
use crate::bench::failure::Failure;
use crate::bench::pairs::{Case, Measure, Subject, Values};
use crate::bench::process::{Scratch, Server, json_of, number, ourselves};

/// Memory for the EAL in MiB: each player has a move on its way on the rings.
const MEMORY: u32 = 512;
const OURS: &str = "gannet game";
const MEMIF: &str = "gannet game, memif";
const SOCKET: &str = "gannet game, socket";
const PLAYERS: u32 = 10_000;
const RING: &str = "moves, few nearby";
const RING_NEARBY: &str = "moves, 20 nearby";
const SLOW: &str = "20,000 moves/s";
const FAST: &str = "300,000 moves/s";
const TEN_THOUSAND: &str = "10,000 players";
const MILLION: &str = "1,000,000 players";
/// Before what is measured: all join.
const RAMP: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(120);

/// What is wanted.
pub(super) const BARS: &[Bar] = &[
    Bar {
        what: "moves: read, checked, done and acknowledged",
        case: RING,
        measure: Measure::Rate,
        of: Of::Row(OURS),
        wanted: Wanted::AtLeast(5.0),
    },
    Bar {
        what: "the same with updates for 20 others nearby",
        case: RING_NEARBY,
        measure: Measure::Rate,
        of: Of::Row(OURS),
        wanted: Wanted::Stated,
    },
    Bar {
        what: "acknowledgements",
        case: SLOW,
        measure: Measure::RttP99,
        of: Of::Row(MEMIF),
        wanted: Wanted::AtMost(500.0),
    },
    Bar {
        what: "acknowledgements, against sockets",
        case: SLOW,
        measure: Measure::RttP99,
        of: Of::Ratio(MEMIF, SOCKET),
        wanted: Wanted::Stated,
    },
    Bar {
        what: "work, against sockets",
        case: SLOW,
        measure: Measure::BusyTicks,
        of: Of::Ratio(MEMIF, SOCKET),
        wanted: Wanted::Stated,
    },
    Bar {
        what: "ticks end in time",
        case: FAST,
        measure: Measure::LatenessP999,
        of: Of::Row(MEMIF),
        wanted: Wanted::AtMost(1_000.0),
    },
    Bar {
        what: "acknowledgements",
        case: FAST,
        measure: Measure::RttP99,
        of: Of::Row(MEMIF),
        wanted: Wanted::Stated,
    },
    Bar {
        what: "memory",
        case: TEN_THOUSAND,
        measure: Measure::Memory,
        of: Of::Row(OURS),
        wanted: Wanted::Stated,
    },
    Bar {
        what: "memory",
        case: MILLION,
        measure: Measure::Memory,
        of: Of::Row(OURS),
        wanted: Wanted::Stated,
    },
];

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    needs_dpdk()?;
    let alone = |name, measure: fn(&Bench) -> Result<Values, Failure>| Case {
        name,
        subjects: vec![Subject::new(OURS, move || measure(bench))],
        ratios: Vec::new(),
        noise: None,
    };
    let bots = |name, rate| Case {
        name,
        subjects: vec![
            Subject::new(MEMIF, move || over_memif(bench, rate)),
            Subject::new(SOCKET, move || on_sockets(bench, rate)),
        ],
        ratios: vec![(MEMIF, SOCKET)],
        noise: None,
    };
    Ok(vec![
        // A thousand cells each way: one in a hundred has somebody in it.
        alone(RING, |bench| on_rings(bench, &["--cells", "1000"])),
        alone(RING_NEARBY, |bench| on_rings(bench, &[])),
        bots(SLOW, 2.0),
        bots(FAST, 30.0),
        alone(TEN_THOUSAND, |_| memory(10_000)),
        alone(MILLION, |_| memory(1_000_000)),
    ])
}

/// Moves in a second on rings, in a process of its own, since DPDK starts once per process.
fn on_rings(bench: &Bench, words: &[&str]) -> Result<Values, Failure> {
    let eal = format!("--eal={} --no-shconf", bench.cpus.eal(MEMORY));
    let mut command = Command::new(ourselves()?);
    command.args(["bench", "subject", "game", "--players", &PLAYERS.to_string(), &eal]).args(words);
    command.args(["--seconds", &bench.seconds.as_secs_f64().to_string()]);
    let said = json_of(&mut command)?;
    let rate = number(&said, "/moved")? / number(&said, "/seconds")?;
    Ok(vec![(Measure::Rate, rate / 1e6), (Measure::Ticks, bench.ticks(rate)?)])
}

/// What players take of memory: that of the whole process, in MiB.
fn memory(players: u32) -> Result<Values, Failure> {
    let mut command = Command::new(ourselves()?);
    command.args(["bench", "subject", "players", "--players", &players.to_string()]);
    let said = json_of(&mut command)?;
    Ok(vec![(Measure::Memory, number(&said, "/grown")? / (1 << 20) as f64)])
}

/// A server on one core and bots on the other, each with `rate` moves a second.
fn over_memif(bench: &Bench, rate: f64) -> Result<Values, Failure> {
    let scratch = Scratch::new()?;
    let socket = scratch.file("memif.sock");
    let device = |role| {
        format!("--vdev=net_memif0,role={role},socket-abstract=no,rsize=12,socket={}", socket.display())
    };
    let mut server = program("game", &lone(bench.cpus.worker, &device("server")))?;
    server.args(["--ip", "10.77.0.1/16"]);
    let server = serve(server, &scratch)?;
    wait_for(&socket)?;
    let mut bots = program("bots", &lone(bench.cpus.main, &device("client")))?;
    bots.args(["--ip", "10.77.0.2/16", "--to", "10.77.0.1:8080"]);
    play(bench, &scratch, server, bots, rate)
}

/// The same on sockets of the kernel's.
fn on_sockets(bench: &Bench, rate: f64) -> Result<Values, Failure> {
    let scratch = Scratch::new()?;
    let mut server = program("game", &format!("-l {}", bench.cpus.worker))?;
    server.args(["--io", "socket", "--ip", "127.0.0.1"]);
    let mut server = serve(server, &scratch)?;
    server.ready()?;
    let mut bots = program("bots", &format!("-l {}", bench.cpus.main))?;
    bots.args(["--io", "socket", "--ip", "127.0.0.2", "--to", "127.0.0.1:8080"]);
    play(bench, &scratch, server, bots, rate)
}

/// Ours, with these EAL arguments.
fn program(name: &str, eal: &str) -> Result<Command, Failure> {
    let mut command = Command::new(ourselves()?);
    command.arg(name).args(eal.split(' ')).arg("--");
    Ok(command)
}

fn serve(mut server: Command, scratch: &Scratch) -> Result<Server, Failure> {
    // All bots have one address.
    server.args(["--players", &PLAYERS.to_string(), "--guard", "rate=off,global-rate=off", "--idle", "spin"]);
    server.arg("--json").arg(scratch.file("game.json"));
    Server::start(&mut server)
}

/// Has the bots play, ends the server, and reads what both say.
fn play(
    bench: &Bench,
    scratch: &Scratch,
    server: Server,
    mut bots: Command,
    rate: f64,
) -> Result<Values, Failure> {
    let seconds = (RAMP + bench.seconds).as_secs_f64();
    bots.args(["--bots", &PLAYERS.to_string(), "--rate", &rate.to_string(), "--source-port", "20000"]);
    bots.args(["--duration", &format!("{seconds}s"), "--idle", "spin"]);
    bots.arg("--json").arg(scratch.file("bots.json"));
    let played = Server::start(&mut bots)?.end(LONGEST);
    server.stop()?;
    values(&scratch.report("game.json")?, &scratch.report("bots.json")?, played)
}

/// What came of it. Bots that find something wrong fail the measurement, but where it is too much for
/// the server: then fewer moves are acknowledged than were made, which is told.
fn values(game: &Value, bots: &Value, played: Result<(), Failure>) -> Result<Values, Failure> {
    let acknowledged = number(bots, "/bots/acknowledged")?;
    let is_lossy = acknowledged < 0.99 * number(bots, "/bots/moves")?;
    if !is_lossy {
        played?;
    }
    let us = |report: &Value, pointer| Ok(number(report, pointer)? / 1e3);
    let mut values = vec![
        (Measure::RttP99, us(bots, "/bots/round_trip_ns/p99")?),
        (Measure::RttP50, us(bots, "/bots/round_trip_ns/p50")?),
        (Measure::LatenessP999, us(game, "/game/tick_end_lateness_ns/p99_9")?),
        (Measure::Rate, acknowledged / number(bots, "/bots/seconds")? / 1e6),
    ];
    let ticks = game.pointer("/lcores/0/busy_ticks").and_then(Value::as_f64);
    values.extend(ticks.map(|ticks| (Measure::BusyTicks, ticks / acknowledged)));
    Ok(values)
}
