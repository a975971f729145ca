//! `gannet game` and a client that was written from `docs/game-protocol.md` alone (`game_client.py`):
//! it looks whether all is as the page says, on sockets and on frames. And the picture of the world.
//!
//! The test on frames takes root. Without it it prints `skipped: NAME: REASON` and passes, but for
//! `CI=true`, where a skip is a failure.

mod common;

use std::net::UdpSocket;
use std::process::Command;

use common::program::gannet;
use common::report::number;
use common::{Ended, Lab, Program, Scratch, one_lcore, turn};
use serde_json::Value;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/tests/game_client.py");
const TERMINAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/tests/terminal.py");
const PLAYERS: u32 = 3;

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A server for three players in a world of one cell, in which nobody may be silent for long.
fn arguments(io: &str, place: &str) -> String {
    let world = format!("--players {PLAYERS} --world 20 --cell 50 --timeout 2s --seed 1");
    format!("game {} -- --io {io} {place} {world} --json report.json", one_lcore())
}

#[test]
fn all_is_as_the_page_says_on_sockets() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let free = free_port();
    let place = format!("--ip 127.0.0.1 --udp-port {free} --map world.png");
    let mut server = Program::start(&mut scratch.run_in(gannet(&arguments("socket", &place))));
    assert_eq!(server.ready(), format!("ready: game on socket, 1 queue, 127.0.0.1:{free}"));
    let output = Command::new("python3")
        .args([CLIENT, "127.0.0.1", &free.to_string(), &PLAYERS.to_string()])
        .output()
        .expect("python3");
    assert!(output.status.success(), "{output:#?}");
    counted(&scratch, &server.stop("TERM"));
    let picture = std::fs::read(scratch.path().join("world.png")).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n") && picture.len() > 1000, "{} bytes", picture.len());
}

#[test]
fn the_world_is_drawn_in_a_terminal_that_is_given_back() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let place = format!("--ip 127.0.0.1 --udp-port {} --map term --duration 1s", free_port());
    let server = gannet(&arguments("socket", &place));
    let mut terminal = Command::new("python3");
    terminal.arg(TERMINAL).arg(server.get_program()).args(server.get_args());
    let output = scratch.run_in(terminal).output().expect("python3");
    assert!(output.status.success(), "{output:#?}");
    let said = String::from_utf8_lossy(&output.stdout);
    // Its own screen comes behind the start, and the shell's again before the report.
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("no {text:?} in {said}"));
    let order = ["ready: game", "\x1b[?1049h", "▀", "\x1b[?1049l", "balance: "].map(at);
    assert!(order.is_sorted(), "{order:?} in {said}");
    assert_eq!(said.matches("\x1b[?1049l").count(), 1, "{said}");
}

#[test]
fn a_picture_for_a_terminal_needs_one() {
    let place = format!("--ip 127.0.0.1 --udp-port {} --map term", free_port());
    let output = gannet(&arguments("socket", &place)).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("standard output is no terminal"), "{said}");
}

#[test]
fn all_is_as_the_page_says_on_frames() {
    Lab::with("all_is_as_the_page_says_on_frames", |lab| {
        let arguments = arguments("af_packet:near0", "--ip 10.77.0.1/24");
        let mut server = Program::start(&mut lab.engine(&gannet(&arguments)));
        assert_eq!(server.ready(), "ready: game on af_packet near0, 1 queue, 10.77.0.1:8080", "the port");
        lab.far.run("python3", [CLIENT, "10.77.0.1", "8080", &PLAYERS.to_string()]);
        counted(&lab.scratch, &server.stop("INT"));
    });
}

/// The server counted what the client did, each bad packet under its name, and nothing is missing.
#[track_caller]
fn counted(scratch: &Scratch, ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let report = scratch.json("report.json");
    assert!(report["balanced"] == true && report["pools_balanced"] == true, "{report:#}");
    let events = &report["game"]["events"];
    let exactly = [
        ("joined", 4),
        ("rejoined", 1),
        ("left", 3),
        ("timed_out", 1),
        ("hit", 4),
        ("killed", 1),
        ("revived", 1),
        ("said", 2),
        ("told", 4),
        ("drop_short", 3),
        ("drop_not_finite", 2),
        ("drop_text", 5),
        ("drop_reserved", 1),
        ("drop_unknown_type", 5),
        ("drop_unknown_weapon", 1),
        ("drop_too_talkative", 1),
        ("drop_overtaken", 3),
        ("drop_stranger", 9),
    ];
    for (event, times) in exactly {
        assert_eq!(number(&events[event]), times, "{event}: {events:#}");
    }
    assert!(lost(events) == 0 && number(&events["corrected"]) >= 6, "{events:#}");
}

/// What found no room.
fn lost(events: &Value) -> u64 {
    let events = ["outbox_full", "entries_cut", "entries_lost", "messages_lost", "drop_chat_full"]
        .map(|event| number(&events[event]));
    events.iter().sum()
}
