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
use crate::bench::measure::Measure;
use crate::bench::pairs::{Case, Subject, Values};
use crate::bench::process::{Scratch, Server, json_of, number, ourselves};

/// Memory of each EAL in MiB: rings have room for a move or an update of every player.
const MEMORY: u32 = 1_024;
const OURS: &str = "gannet game";
const MEMIF: &str = "gannet game, memif";
const SOCKET: &str = "gannet game, socket";
const PLAYERS: u32 = 10_000;
const RING: &str = "moves, 2 nearby";
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
        what: "ticks begin in time",
        case: FAST,
        measure: Measure::LatenessP999,
        of: Of::Row(MEMIF),
        wanted: Wanted::AtMost(1_000.0),
    },
    Bar {
        what: "all are told of a tick",
        case: FAST,
        measure: Measure::EndP999,
        of: Of::Row(MEMIF),
        wanted: Wanted::Stated,
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
        times: 1,
    };
    let bots = |name, rate| Case {
        name,
        subjects: vec![
            Subject::new(MEMIF, move || over_memif(bench, rate)).over_memif(),
            Subject::new(SOCKET, move || on_sockets(bench, rate)),
        ],
        ratios: vec![(MEMIF, SOCKET)],
        noise: None,
        times: 1,
    };
    Ok(vec![
        // Two hundred cells each way: two others nearby.
        alone(RING, |bench| on_rings(bench, &["--cells", "200"])),
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
    let (moved, received) = (number(&said, "/moved")?, number(&said, "/received")?);
    // The two are not read at the same moment.
    if moved > 1.01 * received {
        return Err(Failure::Failed(format!("{moved} moves were counted in {received} frames")));
    }
    let rate = moved / number(&said, "/seconds")?;
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
        format!("--vdev=net_memif0,role={role},socket-abstract=no,rsize=14,socket={}", socket.display())
    };
    let mut server = program("game", &lone(bench.cpus.worker, MEMORY, &device("server")))?;
    server.args(["--ip", "10.77.0.1/16"]);
    let server = serve(server, &scratch)?;
    wait_for(&socket)?;
    let mut bots = program("bots", &lone(bench.cpus.main, MEMORY, &device("client")))?;
    bots.args(["--ip", "10.77.0.2/16", "--to", "10.77.0.1:8080", "--idle", "spin", "--json"]);
    bots.arg(scratch.file("bots.json"));
    play(bench, server, bots, rate)?;
    values(&scratch)
}

/// The same on sockets of the kernel's.
fn on_sockets(bench: &Bench, rate: f64) -> Result<Values, Failure> {
    let scratch = Scratch::new()?;
    let mut server = program("game", &format!("-l {}", bench.cpus.worker))?;
    server.args(["--io", "socket", "--ip", "127.0.0.1"]);
    let mut server = serve(server, &scratch)?;
    server.ready()?;
    let mut bots = program("bots", &format!("-l {}", bench.cpus.main))?;
    bots.args(["--io", "socket", "--ip", "127.0.0.2", "--to", "127.0.0.1:8080", "--idle", "spin", "--json"]);
    bots.arg(scratch.file("bots.json"));
    // They are too slow for this load, which the bots find wrong.
    let _ = play(bench, server, bots, rate);
    values(&scratch)
}

/// Ours, with these EAL arguments.
fn program(name: &str, eal: &str) -> Result<Command, Failure> {
    let mut command = Command::new(ourselves()?);
    command.arg(name).args(eal.split(' ')).arg("--");
    Ok(command)
}

fn serve(mut server: Command, scratch: &Scratch) -> Result<Server, Failure> {
    // All bots have one address.
    server.args([
        "--players",
        &PLAYERS.to_string(),
        "--guard",
        "rate=off,global-rate=off",
        "--seats-per-address",
        "0",
        "--idle",
        "spin",
    ]);
    server.arg("--json").arg(scratch.file("game.json"));
    Server::start(&mut server)
}

/// Has the bots play, and ends the server. Bots that find something wrong fail, but what is lost or late
/// is told by figures.
fn play(bench: &Bench, server: Server, mut bots: Command, rate: f64) -> Result<(), Failure> {
    let seconds = (RAMP + bench.seconds).as_secs_f64();
    bots.args(["--bots", &PLAYERS.to_string(), "--rate", &rate.to_string(), "--source-port", "20000"]);
    bots.args(["--duration", &format!("{seconds}s"), "--check-loss", "100", "--check-late", "100"]);
    let played = Server::start(&mut bots)?.end(LONGEST);
    server.stop()?;
    played
}

/// What the server and the bots say.
fn values(scratch: &Scratch) -> Result<Values, Failure> {
    let (game, bots) = (scratch.report("game.json")?, scratch.report("bots.json")?);
    let acknowledged = number(&bots, "/bots/acknowledged")?;
    let us = |report, pointer| Ok::<_, Failure>(number(report, pointer)? / 1e3);
    let mut values = vec![
        (Measure::RttP99, us(&bots, "/bots/round_trip_ns/p99")?),
        (Measure::RttP50, us(&bots, "/bots/round_trip_ns/p50")?),
        (Measure::LatenessP999, us(&game, "/game/tick_begin_lateness_ns/p99_9")?),
        (Measure::EndP999, us(&game, "/game/tick_end_lateness_ns/p99_9")?),
        (Measure::Rate, acknowledged / number(&bots, "/bots/seconds")? / 1e6),
        (Measure::Loss, 100.0 * number(&bots, "/bots/update_loss")?),
    ];
    // A report may not have it.
    let ticks = game.pointer("/lcores/0/busy_ticks").and_then(Value::as_f64);
    values.extend(ticks.map(|ticks| (Measure::BusyTicks, ticks / acknowledged)));
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_the_agreed_shape_are_read() {
        let scratch = Scratch::new().expect("a folder");
        let game = serde_json::json!({
            "lcores": [{"busy_ticks": 5_000}],
            "game": {"tick_begin_lateness_ns": {"p99_9": 2_000}, "tick_end_lateness_ns": {"p99_9": 3_000}},
        });
        let times = serde_json::json!({"p50": 1_000, "p99": 4_000});
        let bots = serde_json::json!({
            "bots": {"acknowledged": 50, "seconds": 2.0, "update_loss": 0.25, "round_trip_ns": times},
        });
        for (name, report) in [("game.json", game), ("bots.json", bots)] {
            std::fs::write(scratch.file(name), report.to_string()).expect("written");
        }
        let wanted = vec![
            (Measure::RttP99, 4.0),
            (Measure::RttP50, 1.0),
            (Measure::LatenessP999, 2.0),
            (Measure::EndP999, 3.0),
            (Measure::Rate, 25e-6),
            (Measure::Loss, 25.0),
            (Measure::BusyTicks, 100.0),
        ];
        assert_eq!(values(&scratch), Ok(wanted));
    }
}
