//! How bots leave, and come again.

use super::*;

/// Leaves after two moves, of which the first was acknowledged.
fn left_at(place: impl FnOnce(&[Vector]) -> Vector) -> Tally {
    let mut stage = Stage::playing(habits());
    let moves = [stage.next_move(), stage.next_move()];
    stage.acknowledge(&moves[0]);
    stage.board.closes.store(true, Relaxed);
    let leave = stage.close();
    assert_eq!(leave[16..20], PLAYER.0.to_le_bytes());
    let places = moves.map(|message| Move::parse(&message).expect("a move").position);
    stage.say(&left(place(&places), LeftReason::ASKED));
    assert!(stage.said().is_empty());
    (0..2).for_each(|_| stage.wait(100));
    assert!(stage.board.is_over());
    stage.end()
}

#[test]
fn the_last_place_is_the_last_that_both_know() {
    let acknowledged = left_at(|places| places[0]);
    assert_eq!((acknowledged.counts.places_agreed, acknowledged.counts.moves_lost), (1, 2));
    assert_eq!(left_at(|places| places[1]).counts.places_agreed, 1, "its acknowledgement was lost");
    let elsewhere = left_at(|_| START);
    assert_eq!((elsewhere.counts.left, elsewhere.counts.places_disagreed), (1, 1));
    let counts = Counts { moves_lost: 0, ..elsewhere.counts.clone() };
    let said = violations(&Tally { counts, ..elsewhere });
    assert!(said.contains("1 of 1 bots are elsewhere"), "{said}");
}

#[test]
fn leaving_is_asked_for_again_and_given_up() {
    let mut stage = Stage::playing(habits());
    stage.board.closes.store(true, Relaxed);
    stage.close();
    let mut leaves = 1;
    for _ in 0..150 {
        stage.wait(100);
        leaves += stage.said().len();
    }
    assert_eq!(leaves, 5);
    assert!(stage.board.is_over());
    let counts = stage.counts();
    assert_eq!((counts.left_unheard, counts.left), (1, 0));
}

#[test]
fn who_is_sent_away_comes_back() {
    let mut stage = Stage::playing(habits());
    stage.next_move();
    stage.say(&left(START, LeftReason::SILENT));
    (0..11).for_each(|_| stage.wait(100));
    assert!(stage.said().iter().any(|message| packet_type(message) == PacketType::JOIN));
    let tally = stage.end();
    assert_eq!((tally.counts.expelled, tally.counts.moves_lost), (1, 1));
    assert!(violations(&tally).contains("1 players were sent away"));
}

#[test]
fn sessions_end_and_begin_again() {
    let mut stage = Stage::playing(Habits { session: Some(1_000_000_000), ..habits() });
    let mut leaves = 0;
    for _ in 0..100 {
        stage.wait(100);
        for message in stage.said() {
            match packet_type(&message) {
                PacketType::JOIN if Join::parse(&message).expect("one").cookie == [0; 8] => {
                    stage.say(&challenge(0))
                }
                PacketType::JOIN => stage.say(&welcome()),
                PacketType::LEAVE => {
                    leaves += 1;
                    stage.say(&left(START, LeftReason::ASKED));
                }
                _ => stage.acknowledge(&message),
            }
        }
    }
    let counts = stage.counts();
    assert!((3..=10).contains(&leaves), "{leaves}");
    assert_eq!(counts.left, leaves);
    assert!(counts.joined >= leaves);
}
