//! Bots and the real server, joined in memory, on the virtual clock.

use gannet::host::{Addressing, Host, HostConfig, InterfaceAddress};
use gannet::port::fault::{Fault, FaultConfig};
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
use gannet::wire::vlan::Vlans;
use gannet::{DatagramQueue as _, GuardConfig, Role, Service, Time, Worker};
use gannet_game::rules::Rules;
use gannet_game::server::{Game, Setup, Sum};

use super::*;

const BOTS: u32 = 40;
/// The addresses of the server and of the bots.
const FAR: [u8; 4] = [10, 77, 0, 2];
const NEAR: [u8; 4] = [10, 77, 0, 1];
/// What they do on the virtual clock: eight seconds, and two to leave.
const PLAY: u64 = 8_000;
const CLOSE: u64 = 2_000;

type Wired<S> = Worker<Host<Fault<MemoryQueue>>, S>;

fn worker<S: Service>(queue: MemoryQueue, address: [u8; 4], faults: &str, service: S) -> Wired<S> {
    let own = InterfaceAddress { address: address.into(), prefix_len: 24, vlans: Vlans::NONE };
    let mut config = HostConfig::new(Addressing::new(vec![own], Vec::new()).expect("no gateways"));
    config.guards = GuardConfig::OFF.resolve(Role::Client);
    config.shared = S::SHARED;
    let faults: FaultConfig = faults.parse().expect("faults");
    Worker::new(vec![Host::new(Fault::new(queue, faults), config)], service, 0)
}

/// Has bots play for a while, on a wire that does this harm at both ends. Gives what they found.
fn played(habits: Habits, players: u32, faults: &str) -> Tally {
    played_with(habits, players, faults, |server, now| {
        server.poll_once(now);
    })
}

/// As [`played`], with a server that looks at its port when `serve` lets it: three times a millisecond
/// that is asked.
fn played_with(
    habits: Habits,
    players: u32,
    faults: &str,
    serve: impl FnMut(&mut Wired<Game>, Time),
) -> Tally {
    let mut rules = Rules::new(players, Some(300.0), 50.0).expect("a world");
    rules.tick_rate = 20;
    played_by(rules, habits, players, faults, serve)
}

/// As [`played_with`], in a world with such rules.
fn played_by(
    rules: Rules,
    habits: Habits,
    players: u32,
    faults: &str,
    mut serve: impl FnMut(&mut Wired<Game>, Time),
) -> Tally {
    let config = MemoryConfig { ring: 4096, buffers: 16_384, ..MemoryConfig::default() };
    let (near, far) = memory::pair(&config);
    let setup = Setup { rules, players, seed: [1, 2], lateness: Sum::default() };
    let game: Game = setup.games(1).pop().expect("one lcore's");
    let board = Arc::new(Board::new(1, BOTS));
    board.begins.store(true, Relaxed);
    let addresses = Addresses::new(habits.to, &[NEAR.into()], (BOTS, habits.homes()), None).expect("room");
    let parts = Parts {
        lcore: 0,
        lcores: 1,
        board: Arc::clone(&board),
        addresses: Arc::new(addresses),
        habits: Arc::new(habits),
    };
    let (sender, results) = unbounded();
    let mut bots = worker(near, NEAR, faults, Swarm::new(parts, sender));
    let mut server = worker(far, FAR, faults, game);
    for milliseconds in 0..PLAY + CLOSE {
        board.closes.store(milliseconds > PLAY, Relaxed);
        for micros in [0, 300, 600] {
            let now = Time::from_nanos(milliseconds * MS + micros * 1_000);
            bots.poll_once(now);
            serve(&mut server, now);
        }
    }
    // What one still sends, the other takes back.
    bots.drain();
    server.drain();
    for counters in [bots.queues()[0].counters(), server.queues()[0].counters()] {
        assert!(counters.snapshot().balance().is_exact());
    }
    drop((bots, server));
    *results.try_recv().expect("a tally")
}

/// Bots that do all that there is to do.
fn lively() -> Habits {
    let ramp = 500 * MS;
    Habits { rate: 30.0, attacks: 2.0, chats: 0.5, gather: Some(80.0), ramp, ..habits() }
}

#[test]
fn on_a_good_wire_all_checks_hold() {
    let tally = played(lively(), BOTS, "loss=0%");
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert_eq!((counts.joined, counts.places_agreed, counts.left), (40, 40, 40));
    assert_eq!((counts.moves_lost, counts.updates_lost, counts.updates_duplicate), (0, 0, 0), "{counts:#?}");
    assert_eq!(counts.acknowledged + counts.corrected, counts.moves);
    assert!(counts.moves > 40 * 30 * 7 && counts.corrected < counts.moves / 5, "{counts:#?}");
    assert!(counts.updates > 40 * 20 * 7 && counts.timed > counts.entries / 2, "{counts:#?}");
    assert!(counts.hits > 0 && counts.kills > 0 && counts.respawns > 0, "{counts:#?}");
    assert!(counts.chats_returned > 40 && counts.chats_heard > counts.chats_returned, "{counts:#?}");
    let waits = tally.ages.max();
    assert!(waits > 40 * MS && waits < 100 * MS, "a tick, and never two: {waits}");
}

#[test]
fn the_same_seed_plays_the_same_game() {
    let [first, second] = [1, 1].map(|seed| played(Habits { seed, ..lively() }, BOTS, "loss=0%").counts);
    assert_eq!(first, second);
    assert_ne!(first, played(Habits { seed: 2, ..lively() }, BOTS, "loss=0%").counts);
}

#[test]
fn on_a_lossy_wire_no_more_is_lost_than_the_wire_loses() {
    let tally = played(lively(), BOTS, "loss=5%,seed=3");
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert!(counts.moves_lost > 100 && counts.updates_lost > 100, "{counts:#?}");
}

#[test]
fn what_comes_twice_or_out_of_order_fools_nobody() {
    let tally = played(lively(), BOTS, "duplicate=3%,reorder=3%,seed=4");
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert!(counts.updates_duplicate > 50 && counts.late_acknowledgements > 50, "{counts:#?}");
}

/// The moves of a player come ten at a time, with few of others between them, and change places.
#[test]
fn moves_that_are_overtaken_move_nobody() {
    let habits = Habits { rate: 100.0, session: Some(500 * MS), ..lively() };
    let tally = played_with(habits, 4, "duplicate=3%,reorder=10%,seed=5", |server, now| {
        if now.as_nanos() % (100 * MS) == 0 {
            (0..100).for_each(|_| _ = server.poll_once(now));
        }
    });
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert!(counts.left > 20 && counts.moves_lost > 50, "{counts:#?}");
    assert_eq!((counts.places_disagreed, counts.updates_stepped_back), (0, 0), "{counts:#?}");
}

#[test]
fn bots_come_and_go() {
    let tally = played(Habits { session: Some(1_500 * MS), ..lively() }, BOTS, "loss=0%");
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert!(counts.joined > 100 && counts.left == counts.joined, "{counts:#?}");
}

#[test]
fn a_server_without_room_refuses_the_rest() {
    let tally = played(lively(), 10, "loss=0%");
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert_eq!(counts.joined, 10);
    assert!(counts.refused_full >= 30, "{counts:#?}");
}

/// Each changes its address about every two seconds, and is where it was.
fn roaming() -> Habits {
    Habits { rejoins: 2.0, ..lively() }
}

#[test]
fn bots_come_back_from_other_addresses() {
    let tally = played(roaming(), BOTS, "loss=0%");
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert!(counts.rejoined > 2 * 40 && counts.rejoined == counts.rejoins, "{counts:#?}");
    assert_eq!((counts.renumbered, counts.rejoins_abandoned, counts.rejoins_failed), (0, 0, 0));
    assert_eq!(counts.moved_out, counts.rejoined, "the old address hears of it");
    assert_eq!((counts.joined, counts.left, counts.places_agreed), (40, 40, 40));
    assert_eq!((counts.moves_lost, counts.updates_lost), (0, 0), "{counts:#?}");
}

#[test]
fn bots_come_back_and_come_and_go_on_a_lossy_wire() {
    let habits = Habits { session: Some(4_000 * MS), ..roaming() };
    let tally = played(habits, BOTS, "loss=3%,duplicate=2%,reorder=2%,seed=6");
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert!(counts.rejoined > 40 && counts.rejoins > counts.rejoined, "{counts:#?}");
}

#[test]
fn an_address_that_is_full_is_no_failure_of_the_bots() {
    let mut rules = Rules::new(BOTS, Some(300.0), 50.0).expect("a world");
    rules.seats_per_address = 10;
    let serve = |server: &mut Wired<Game>, now| _ = server.poll_once(now);
    let tally = played_by(rules, lively(), BOTS, "loss=0%", serve);
    let counts = &tally.counts;
    assert_eq!(violations(&tally), "", "{counts:#?}");
    assert_eq!((counts.joined, counts.refused_full, counts.refused()), (10, 0, counts.refused_address));
    assert!(counts.refused_address >= 30, "{counts:#?}");
}
