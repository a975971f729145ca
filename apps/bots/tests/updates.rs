//! What updates say, and what is found wrong with it.

use super::*;

#[test]
fn updates_of_what_is_nearby_are_in_order() {
    let mut stage = Stage::playing(habits());
    for tick in 1..=10 {
        let message = stage.next_move();
        let (header, moved) = (Header::parse(&message).expect("one"), Move::parse(&message).expect("one"));
        stage.acknowledge(&message);
        let near = Vector { x: 149.9, y: 0.0, z: 0.1 };
        let entries = [entry(PLAYER, header.timestamp as u32, moved.position), entry(PlayerId(5), 9, near)];
        stage.say(&update(head(tick, tick - 1), &entries));
    }
    let tally = stage.end();
    let counts = &tally.counts;
    assert_eq!((counts.updates, counts.updates_expected, counts.entries), (10, 10, 20));
    assert_eq!((counts.timed, counts.late, counts.updates_lost), (10, 0, 0));
    assert_eq!(violations(&tally), "");
}

#[test]
fn a_position_out_of_range_is_counted() {
    let mut stage = Stage::playing(habits());
    let mut far = head(1, 1);
    far.cell = [1, 0];
    let places = [(1.0, 99.0), (1.0, 101.0), (151.0, 1.0)];
    let entries = places.map(|(x, z)| entry(PlayerId(5), 1, Vector { x, y: 0.0, z }));
    stage.wait(1_500);
    stage.said();
    stage.say(&update(far, &entries));
    let tally = stage.end();
    assert_eq!((tally.counts.entries_out_of_range, tally.counts.updates_misplaced), (2, 1));
    let said = violations(&tally);
    assert!(said.contains("2 positions in updates are out of range"), "{said}");
    assert!(said.contains("1 updates are for a cell"), "{said}");
}

/// Hears of its own move that long after it was meant to leave.
fn heard_after(milliseconds: u64) -> Tally {
    let mut stage = Stage::playing(habits());
    let message = stage.next_move();
    let timestamp = Header::parse(&message).expect("a header").timestamp;
    stage.acknowledge(&message);
    let gone = stage.lab.now().as_nanos() - timestamp;
    stage.lab.advance(Duration::from_nanos(milliseconds * MS - gone));
    let entries = [entry(PLAYER, timestamp as u32, START)];
    stage.say(&update(head(1, 1), &entries));
    // An old stamp in a later update is a repetition.
    stage.lab.advance(Duration::from_millis(900));
    stage.say(&update(head(20, 1), &entries));
    stage.end()
}

#[test]
fn a_late_update_is_counted() {
    // Two ticks are 100 ms.
    let good = heard_after(99);
    assert_eq!((good.counts.timed, good.counts.late), (1, 0));
    let late = heard_after(130);
    assert_eq!((late.counts.timed, late.counts.late), (1, 1));
    assert!(late.ages.max() >= 129 * MS);
    let said = violations(&late);
    assert!(said.contains("1 of 1 positions came later than two ticks"), "{said}");
}

#[test]
fn a_slow_round_trip_excuses_a_late_update() {
    let mut stage = Stage::playing(habits());
    let message = stage.next_move();
    let timestamp = Header::parse(&message).expect("a header").timestamp;
    stage.lab.advance(Duration::from_millis(200));
    stage.say(&update(head(1, 1), &[entry(PLAYER, timestamp as u32, START)]));
    stage.acknowledge(&message);
    assert_eq!(stage.counts().late, 0);
}

#[test]
fn lost_parts_and_lost_ticks_are_counted() {
    let mut stage = Stage::playing(habits());
    let message = stage.next_move();
    stage.acknowledge(&message);
    let entries = [entry(PLAYER, 0, START)];
    for tick in (1..100).step_by(2) {
        stage.say(&update(UpdateHead { parts: 2, ..head(tick, tick - 1) }, &entries));
    }
    stage.board.closes.store(true, Relaxed);
    stage.close();
    stage.say(&left(START, LeftReason::ASKED));
    let tally = stage.end();
    // The second part of each of 50, and one at least between each two.
    assert_eq!((tally.counts.updates_lost, tally.counts.updates_expected), (99, 149));
    let said = violations(&Tally { counts: Counts { moves: 1_000, ..tally.counts.clone() }, ..tally });
    assert!(said.contains("99 of 149 updates were lost"), "{said}");
}

/// Updates each tick of somebody else, and of the bot itself if it is named.
fn named_in_updates(is_named: bool) -> Tally {
    let mut stage = Stage::playing(habits());
    for tick in 1..=60 {
        let message = stage.next_move();
        let (header, moved) = (Header::parse(&message).expect("one"), Move::parse(&message).expect("one"));
        stage.acknowledge(&message);
        let own = entry(PLAYER, header.timestamp as u32, moved.position);
        let entries = [entry(PlayerId(5), 9, START), own];
        stage.say(&update(head(tick, tick - 1), &entries[..1 + usize::from(is_named)]));
    }
    stage.end()
}

#[test]
fn a_server_that_never_names_the_bot_itself_is_found() {
    assert_eq!(violations(&named_in_updates(true)), "");
    let said = violations(&named_in_updates(false));
    assert!(said.contains("of 75 updates were lost"), "{said}");
}

#[test]
fn an_update_with_an_older_move_than_the_last_is_found() {
    let mut stage = Stage::playing(habits());
    let moves = [stage.next_move(), stage.next_move()];
    moves.iter().for_each(|message| stage.acknowledge(message));
    for (tick, message) in [(1, &moves[0]), (2, &moves[1]), (3, &moves[0])] {
        let (header, moved) = (Header::parse(message).expect("one"), Move::parse(message).expect("one"));
        let own = entry(PLAYER, header.timestamp as u32, moved.position);
        stage.say(&update(head(tick, tick - 1), &[own]));
    }
    let tally = stage.end();
    assert_eq!(tally.counts.updates_stepped_back, 1);
    assert!(violations(&tally).contains("1 updates moved their bot back"));
}

#[test]
fn silence_is_a_loss() {
    let mut stage = Stage::playing(habits());
    (0..45).for_each(|_| stage.wait(100));
    assert_eq!(stage.counts().updates_lost, 2);
}

#[test]
fn what_is_no_message_is_counted() {
    let mut stage = Stage::playing(habits());
    let mut bad = update(head(1, 1), &[entry(PLAYER, 0, START)]);
    bad[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
    stage.say(&bad);
    stage.say(b"nonsense");
    let mut unknown = welcome();
    set_type(&mut unknown, PacketType(999));
    stage.say(&unknown);
    assert!(stage.lab.send("10.77.0.9:8080", PORT, &welcome()));
    stage.lab.turn();
    let tally = stage.end();
    assert_eq!((tally.counts.malformed, tally.counts.strays), (3, 1));
    assert!(violations(&tally).contains("3 messages from the server are malformed"));
}

/// Updates that lose nothing and never name the bot, in so many parts.
fn unnamed_in(parts: u8) -> u64 {
    let mut stage = Stage::playing(habits());
    for tick in 1..=10 {
        let message = stage.next_move();
        stage.acknowledge(&message);
        for part in 0..parts {
            stage.say(&update(UpdateHead { part, parts, ..head(tick, tick - 1) }, &[]));
        }
    }
    stage.counts().updates_lost
}

#[test]
fn a_crowd_need_not_name_the_bot_and_others_do() {
    assert_eq!(unnamed_in(8), 0);
    assert!(unnamed_in(1) > 0 && unnamed_in(7) > 0);
}
