//! `gannet game` and `gannet bots` as processes, with a wire or the kernel's sockets between them: the
//! bots check what they are told, and what both count has to be the same.
//!
//! Tests on wires take root. Without it they print `skipped: NAME: REASON` and pass, but for
//! `CI=true`, where a skip is a failure.

mod common;

use std::process::Command;

use common::echo::several_lcores;
use common::program::gannet;
use common::report::{count, number, ports};
use common::scrape::{address, wait_until};
use common::{Ended, Lab, Program, Scratch, cpus, one_lcore, turn};
use serde_json::Value;

/// Bounds by sources take bots, which are many behind one address, for an attack.
const GUARDS: &str = "--guard rate=off,global-rate=off --seats-per-address 0";
/// They fight and talk more than people do, in a place with little room. Other programs run beside the
/// tests, so that now and then a ring is full for a moment.
const LIVELY: &str = "--gather 60 --attacks 1 --chats 0.3 --check-loss 1";

fn server(lcores: &str, io: &str, arguments: &str) -> Command {
    gannet(&format!("game {lcores} -- {io} {GUARDS} {arguments} --json game.json"))
}

fn bots(lcores: &str, io: &str, arguments: &str) -> Command {
    gannet(&format!("bots {lcores} -- {io} {LIVELY} {arguments} --json bots.json"))
}

/// The first CPU, which leaves the last to the server.
fn first_lcore() -> String {
    format!("-l {}", cpus()[0])
}

/// What both sides say of a game.
struct Played {
    bots: Value,
    game: Value,
    /// Datagrams that both sides' ports and the kernel say they dropped.
    dropped: u64,
}

/// Lets bots play in a lab until they end by themselves, and then stops the server. Gives what both say.
fn played(lab: &Lab, game: &str, play: &str) -> Played {
    let arguments = format!("--ip 10.77.0.1/24 {game}");
    let mut server =
        Program::start(&mut lab.engine(&server(&one_lcore(), "--io af_packet:near0 --rxd 4096", &arguments)));
    server.ready();
    let arguments = format!("--ip 10.77.0.3/24 --to 10.77.0.1:8080 {play}");
    let bots = bots(&first_lcore(), "--io af_packet:far0 --rxd 4096", &arguments);
    let ended = Program::start(&mut lab.client(&bots)).end();
    both(&lab.scratch, server, &ended)
}

/// What both say, when all went well.
#[track_caller]
fn both(scratch: &Scratch, server: Program, bots: &Ended) -> Played {
    assert_eq!(bots.code, Some(0), "{bots:#?}");
    assert!(bots.stdout.contains("checks     all hold"), "{bots:#?}");
    let server = server.stop("TERM");
    assert_eq!(server.code, Some(0), "{server:#?}");
    let [bots, game] = ["bots.json", "game.json"].map(|file| scratch.json(file));
    assert!(bots["balanced"] == true && game["balanced"] == true, "{bots:#}{game:#}");
    let dropped = dropped(&bots) + dropped(&game);
    Played { bots: bots["bots"].clone(), game: game["game"]["events"].clone(), dropped }
}

/// What the ports of a report lost before it was received, or behind their sending.
fn dropped(report: &Value) -> u64 {
    let is_drop = |name: &str| name.ends_with("_dropped") || name.ends_with("_ring_drops");
    let by_ports =
        ports(report).flat_map(|port| port["extended_statistics"].as_object().expect("statistics"));
    let by_ports: u64 = by_ports.filter(|(name, _)| is_drop(name)).map(|(_, value)| number(value)).sum();
    by_ports + count(report, "rx_missed") + count(report, "tx_rejected")
}

/// What bots and server have to agree on, but for what the ports say they dropped.
#[track_caller]
fn agree(Played { bots, game, dropped }: &Played) {
    let said = |name: &str| number(&bots[name]);
    for (name, event) in [("joined", "joined"), ("left", "left"), ("acknowledged", "moved")] {
        let apart = said(name).abs_diff(number(&game[event]));
        assert!(apart <= *dropped, "{name}, {dropped} dropped: {bots:#}{game:#}");
    }
    assert!(said("left") - said("places_agreed") <= *dropped, "{dropped} dropped: {bots:#}");
    for lost in ["moves_lost", "updates_lost"] {
        assert!(said(lost) <= *dropped, "{lost}, {dropped} dropped: {bots:#}");
    }
    assert_eq!(said("unfinished"), 0, "{bots:#}");
    assert!(said("hits") > 0 && said("chats_returned") > 0 && said("chats_heard") > 0, "{bots:#}");
    assert!(number(&bots["round_trip_ns"]["p50"]) > 0 && number(&bots["update_age_ns"]["p50"]) > 0);
}

#[test]
fn bots_play_on_a_wire() {
    Lab::with("bots_play_on_a_wire", |lab| {
        let played = played(lab, "--players 100 --world 300", "--bots 60 --duration 4s");
        agree(&played);
        let bots = &played.bots;
        assert_eq!(
            (number(&bots["joined"]), number(&bots["left"]) + number(&bots["left_unheard"])),
            (60, 60)
        );
        // Thirty a second for three seconds at least, on a machine that does other things too.
        assert!(number(&bots["moves"]) > 60 * 30 * 2, "{bots:#}");
        assert!(number(&bots["updates"]) > 60 * 30 * 2, "{bots:#}");
    });
}

#[test]
fn bots_come_and_go_on_a_wire_that_loses() {
    Lab::with("bots_come_and_go_on_a_wire_that_loses", |lab| {
        let play = "--bots 60 --duration 4s --session 1s --fault loss=3%,seed=2";
        let Played { bots, .. } = played(lab, "--players 100 --world 300 --fault loss=3%,seed=1", play);
        assert!(number(&bots["joined"]) > 100 && number(&bots["moves_lost"]) > 50, "{bots:#}");
        assert!(number(&bots["updates_lost"]) > 50, "{bots:#}");
    });
}

/// Plays over the kernel's sockets on loopback.
fn on_sockets(port: u16, lcores: [&str; 2], play: &str) -> Played {
    let _turn = turn();
    let scratch = Scratch::new();
    let io = "--io socket --ip 127.0.0.1";
    let game = format!("--udp-port {port} --players 100 --world 300");
    let mut server = Program::start(&mut scratch.run_in(server(lcores[0], io, &game)));
    server.ready();
    let play = format!("--to 127.0.0.1:{port} --source-port {} {play}", port + 1);
    let ended = Program::start(&mut scratch.run_in(bots(lcores[1], io, &play))).end();
    both(&scratch, server, &ended)
}

#[test]
fn bots_play_over_sockets() {
    agree(&on_sockets(28_100, [&one_lcore(), &first_lcore()], "--bots 40 --duration 3s"));
}

#[test]
fn two_lcores_have_the_bots_that_answers_reach() {
    let two = several_lcores(2);
    let played = on_sockets(28_200, [&two, &two], "--bots 40 --duration 3s");
    agree(&played);
    assert_eq!(number(&played.bots["joined"]), 40, "{:#}", played.bots);
}

/// Both the server's lcore and the bots' one follow from the address, so that many change the server's and each
/// looks for an address that keeps its own.
#[test]
fn bots_come_back_from_other_addresses_on_two_lcores() {
    let two = several_lcores(2);
    let played = on_sockets(28_600, [&two, &two], "--bots 40 --duration 5s --rejoins 0.5");
    agree(&played);
    let Played { bots, game, .. } = &played;
    let said = |name: &str| number(&bots[name]);
    assert!(said("rejoined") > 20 && said("renumbered") > 5, "{bots:#}");
    assert!(said("renumbered") < said("rejoined"), "{bots:#}");
    assert_eq!((said("rejoined"), said("rejoins_failed")), (number(&game["rejoined"]), 0), "{bots:#}");
    assert_eq!((said("rejoined_elsewhere"), said("updates_left_behind")), (0, 0), "{bots:#}");
    assert!(number(&game["joins_passed_on"]) >= said("renumbered"), "{game:#}");
}

#[test]
fn bots_come_back_from_other_addresses_on_a_wire() {
    Lab::with("bots_come_back_from_other_addresses_on_a_wire", |lab| {
        let play = "--ip 10.77.0.4/24 --bots 60 --duration 4s --rejoins 0.5";
        let played = played(lab, "--players 100 --world 300", play);
        agree(&played);
        let bots = &played.bots;
        assert!(number(&bots["rejoined"]) > 30, "{bots:#}");
        assert_eq!((number(&bots["renumbered"]), number(&bots["rejoins_failed"])), (0, 0), "{bots:#}");
    });
}

#[test]
fn a_signal_leaves_players_behind_and_says_so() {
    let _turn = turn();
    let scratch = Scratch::new();
    let io = "--io socket --ip 127.0.0.1";
    let game = server(&one_lcore(), io, "--udp-port 28300 --players 100 --world 300");
    let mut server = Program::start(&mut scratch.run_in(game));
    server.ready();
    let play = "--to 127.0.0.1:28300 --source-port 28301 --bots 10 --metrics 127.0.0.1:0";
    let mut program = Program::start(&mut scratch.run_in(bots(&first_lcore(), io, play)));
    let metrics = address(&mut program);
    program.ready();
    wait_until(&metrics, "gannet_bots_playing{", |count| count == 10.0);
    wait_until(&metrics, "gannet_bots_round_trip_seconds_count{", |count| count > 100.0);
    let ended = program.stop("INT");
    assert!(ended.stdout.contains("cut short  10 bots are players yet"), "{ended:#?}");
    let Played { bots, .. } = both(&scratch, server, &ended);
    assert_eq!((number(&bots["unfinished"]), number(&bots["left"])), (10, 0), "{bots:#}");
}

#[test]
fn nobody_joins_where_no_game_is_or_it_is_full() {
    let _turn = turn();
    let scratch = Scratch::new();
    let io = "--io socket --ip 127.0.0.1";
    let run =
        |arguments: &str| Program::start(&mut scratch.run_in(bots(&first_lcore(), io, arguments))).end();
    let ended = run("--to 127.0.0.1:28400 --source-port 28401 --bots 2 --ramp 0s");
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let reason = "nobody could join: 127.0.0.1:28400 sent no welcome";
    assert!(ended.stderr.contains(&format!("error: {reason}")), "{ended:#?}");
    assert!(ended.stdout.contains(&format!("checks     FAILED: {reason}")), "{ended:#?}");
    let report = scratch.json("bots.json");
    assert!(
        report["bots"]["violations"][0].as_str().is_some_and(|said| said.starts_with(reason)),
        "{report:#}"
    );
    let game = server(&one_lcore(), io, "--udp-port 28400 --players 1 --world 300");
    let mut server = Program::start(&mut scratch.run_in(game));
    server.ready();
    let ended = run("--to 127.0.0.1:28400 --source-port 28401 --bots 2 --duration 1s");
    assert_eq!(ended.code, Some(0), "one of them plays: {ended:#?}");
    let report = scratch.json("bots.json");
    assert_eq!(number(&report["bots"]["joined"]), 1, "{report:#}");
    assert!(number(&report["bots"]["refused_full"]) > 0, "{report:#}");
    assert_eq!(server.stop("TERM").code, Some(0));
}
