//! A generator on the virtual clock, with the answers in the test's hands.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, unbounded};
use gannet::Lab;

use super::board::Board;
use super::flows::{Flow, Turns};
use super::generator::{Generator, Order, Parts};
use super::payload::Codec;
use super::schedule::Gaps;
use super::sizes::{Lengths, Size};
use super::tally::Tally;
use super::trial::{Load, Place, Trial};

const TARGET: &str = "10.77.0.2:7";

fn trial(load: Load) -> Trial {
    Trial {
        load,
        gaps: Gaps::Fixed,
        ramp: Duration::ZERO,
        warmup: Duration::ZERO,
        duration: Duration::from_millis(10),
        count: None,
        linger: Duration::from_millis(5),
        seed: 1,
    }
}

/// A generator that has begun a trial, after the target's MAC address was found out.
fn begun(trial: Trial) -> (Lab<Generator>, Receiver<Box<Tally>>) {
    let board = Arc::new(Board::new(1));
    let (orders, taken) = bounded(2);
    let (results, tallies) = unbounded();
    let lengths = Lengths::new(Some(Size::Fixed(100)), true, 1).expect("long enough");
    let to = TARGET.parse().expect("valid");
    let parts = Parts {
        place: Place { lcore: 0, lcores: 1 },
        board: Arc::clone(&board),
        flows: Turns::new(vec![Flow { from: (Lab::<Generator>::ADDRESS, 49_152).into(), to }]),
        probes: 1,
        codec: Codec::new(9, vec![7; 100].into()),
        lengths: [lengths.clone(), lengths],
        remotes: vec![to],
        is_replay: false,
    };
    let mut lab = Lab::new(Generator::new(parts, taken, results));
    orders.send(Order::Probe).expect("room");
    lab.turn();
    lab.advance(Duration::from_millis(1));
    let probe = lab.receive().expect("a probe").payload;
    lab.send(TARGET, 49_152, &probe);
    lab.turn();
    assert!(board.all_answered(1));
    board.begin(1);
    orders.send(Order::Run(1, Arc::new(trial))).expect("room");
    lab.advance(Duration::from_millis(1));
    (lab, tallies)
}

/// Lets time go on in steps, with every answer `delay` steps behind its question, until the
/// tally is there.
fn run(trial: Trial, step: Duration, delay: usize) -> Tally {
    let (mut lab, tallies) = begun(trial);
    let mut waiting = std::collections::VecDeque::new();
    for turn in 0..100_000 {
        while let Some(received) = lab.receive() {
            waiting.push_back((turn + delay, received.payload));
        }
        while waiting.front().is_some_and(|(due, _)| *due <= turn) {
            let (_, payload) = waiting.pop_front().expect("it is there");
            assert!(lab.send(TARGET, 49_152, &payload));
        }
        if let Ok(tally) = tallies.try_recv() {
            let (counters, pool) = lab.close();
            assert!(counters.balance().is_exact() && pool.is_balanced());
            return *tally;
        }
        lab.advance(step);
    }
    panic!("the trial did not end");
}

#[test]
fn the_rate_and_the_round_trip_are_what_the_clock_says() {
    let step = Duration::from_micros(10);
    let tally = run(trial(Load::Rate(100_000.0)), step, 5);
    assert_eq!((tally.sent, tally.received, tally.unsent, tally.nanos), (1000, 1000, 0, 10_000_000));
    let [p50, max] = [tally.rtt.value_at_quantile(0.5), tally.rtt.max()];
    assert!((40_000..=70_000).contains(&p50) && max <= 80_000, "{p50} {max}");
    assert_eq!((tally.duplicates, tally.reordered, tally.corrupted, tally.strays), (0, 0, 0, 0));
}

#[test]
fn a_stall_is_caught_up_with_and_counts_from_the_intended_moments() {
    let (mut lab, tallies) = begun(trial(Load::Rate(10_000.0)));
    // Nobody polled for 5 milliseconds: 50 datagrams are due, and sent at once.
    lab.advance(Duration::from_millis(5));
    lab.turn();
    let mut answered = 0;
    while answered < 51 {
        let Some(received) = lab.receive() else {
            lab.turn();
            continue;
        };
        lab.send(TARGET, 49_152, &received.payload);
        lab.turn();
        answered += 1;
    }
    (0..20).for_each(|_| lab.advance(Duration::from_millis(1)));
    let tally = tallies.try_recv().expect("it ended");
    assert_eq!((tally.sent, tally.received), (100, 51));
    let longest = tally.rtt.max();
    assert!((4_900_000..=5_100_000).contains(&longest), "not from when it left: {longest}");
    assert!(tally.lateness.max() >= 4_900_000 && tally.lost() == 49);
}

#[test]
fn warming_up_does_not_count() {
    let warm = Trial { warmup: Duration::from_millis(10), ..trial(Load::Rate(10_000.0)) };
    let tally = run(warm, Duration::from_micros(50), 1);
    assert_eq!((tally.sent, tally.received, tally.nanos, tally.rtt.len()), (100, 100, 10_000_000, 100));
}

#[test]
fn what_is_due_together_is_measured_from_its_moment_on_and_no_more_than_counted() {
    // Some 27 are due each turn. The first hundred warm up, and 110 count: both end within a turn.
    let (warmup, count) = (Duration::from_millis(1), Some(110));
    let trial = Trial { warmup, count, duration: Duration::MAX, ..trial(Load::Rate(100_000.0)) };
    let tally = run(trial, Duration::from_micros(270), 1);
    assert_eq!((tally.sent, tally.received, tally.unsent), (110, 110, 0));
    assert_eq!((tally.rtt.len(), tally.lateness.len(), tally.strays), (110, 110, 0));
    // Those of a turn were meant to leave one after the other.
    let spread = tally.rtt.max() - tally.rtt.min();
    assert!((250_000..=270_000).contains(&spread), "{spread}");
}

#[test]
fn a_count_ends_a_trial_and_flat_out_keeps_no_times() {
    let counted = Trial { count: Some(500), duration: Duration::MAX, ..trial(Load::Max) };
    let tally = run(counted, Duration::from_micros(50), 1);
    assert_eq!((tally.sent, tally.received, tally.lateness.len()), (500, 500, 0));
}

#[test]
fn a_rate_that_is_too_high_is_owed_and_not_sent() {
    // 32 datagrams a turn at most, and a turn takes a millisecond.
    let tally = run(trial(Load::Rate(1e6)), Duration::from_millis(1), 1);
    assert!(tally.sent < 4000, "{} {}", tally.sent, tally.unsent);
    assert_eq!(tally.sent + tally.unsent, 10_000);
    assert!(tally.loss_of_offered() > 0.5);
}
