//! Moves and their answers.

use super::*;

#[test]
fn moves_leave_on_schedule_and_their_answers_are_timed_from_it() {
    let mut stage = Stage::playing(habits());
    let mut place = START;
    // The clock is behind the schedule by 7 ms from now on.
    stage.wait(7);
    for number in 1..=20 {
        let message = stage.next_move();
        let header = Header::parse(&message).expect("a header");
        assert_eq!(header.timestamp, (1 + 100 * number) * MS);
        let moved = Move::parse(&message).expect("a move");
        assert!((moved.position - place).square().sqrt() <= 0.501 && moved.position.y == 1.0);
        assert!((moved.velocity.square().sqrt() - 5.0).abs() < 0.01);
        place = moved.position;
        stage.acknowledge(&message);
    }
    let tally = stage.end();
    assert_eq!((tally.counts.moves, tally.counts.acknowledged), (20, 20));
    assert!(tally.round_trips.min() >= 6 * MS && tally.lateness.min() >= 6 * MS, "{:?}", tally.round_trips);
}

#[test]
fn an_acknowledgement_of_another_move_is_counted() {
    let mut stage = Stage::playing(habits());
    let mut message = stage.next_move();
    message[24] ^= 1;
    stage.acknowledge(&message);
    let mut unknown = stage.next_move();
    unknown[8] ^= 1;
    stage.acknowledge(&unknown);
    let tally = stage.end();
    assert_eq!((tally.counts.wrong_acknowledgements, tally.counts.acknowledged), (2, 0));
    assert!(violations(&tally).contains("2 acknowledgements are not their move"));
}

#[test]
fn one_that_comes_twice_counts_once() {
    let mut stage = Stage::playing(habits());
    let message = stage.next_move();
    (0..2).for_each(|_| stage.acknowledge(&message));
    let counts = stage.counts();
    assert_eq!((counts.acknowledged, counts.late_acknowledgements, counts.wrong_acknowledgements), (1, 1, 0));
}

#[test]
fn a_corrected_bot_goes_on_from_where_the_server_has_it() {
    let mut stage = Stage::playing(habits());
    let message = stage.next_move();
    let place = Vector { x: 80.0, y: 2.0, z: 70.0 };
    let correction = Move { player: PLAYER, position: place, velocity: Vector::default() };
    let mut answer = [0; Move::LEN];
    let timestamp = Header::parse(&message).expect("a header").timestamp;
    correction.write(&mut answer, PacketType::CORRECTION, timestamp);
    stage.say(&answer);
    let next = Move::parse(&stage.next_move()).expect("a move");
    assert!((next.position - place).square().sqrt() <= 0.501);
    let counts = stage.counts();
    assert_eq!((counts.corrected, counts.respawns, counts.moves_pending), (1, 0, 1));
}
