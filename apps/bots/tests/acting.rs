//! Fights and words.

use super::*;

#[test]
fn results_have_to_match_the_attack() {
    let mut stage = Stage::playing(Habits { attacks: 100.0, ..habits() });
    let near = Vector { x: START.x + 9.0, ..START };
    stage.say(&update(head(1, 1), &[entry(PLAYER, 0, START), entry(PlayerId(5), 0, near)]));
    stage.wait(100);
    let said = stage.said();
    let attack = said.iter().find(|message| packet_type(message) == PacketType::PLAYER_ATTACK).expect("one");
    let timestamp = Header::parse(attack).expect("a header").timestamp;
    let attack = Attack::parse(attack).expect("an attack");
    assert_eq!((attack.attacker, attack.target, attack.weapon), (PLAYER, PlayerId(5), 2), "a staff's reach");
    let result =
        AttackResult { attacker: PLAYER, target: PlayerId(5), weapon: 2, outcome: Outcome::HIT, health: 60 };
    let mut say = |result: AttackResult, timestamp| {
        let mut message = [0; AttackResult::LEN];
        result.write(&mut message, timestamp);
        stage.say(&message);
    };
    say(AttackResult { weapon: 1, ..result }, timestamp);
    say(AttackResult { target: PlayerId(6), ..result }, timestamp);
    say(result, timestamp + 1);
    say(result, timestamp);
    say(result, timestamp);
    say(AttackResult { attacker: PlayerId(5), target: PLAYER, ..result }, 3);
    say(AttackResult { attacker: PlayerId(5), target: PlayerId(6), ..result }, 3);
    let counts = stage.counts();
    assert_eq!((counts.attacks, counts.attack_results, counts.hits), (1, 1, 1));
    assert_eq!((counts.wrong_attack_results, counts.strays, counts.hits_taken), (4, 1, 1));
}

/// Leaves that long after an attack that nothing came for.
fn lost_attacks(milliseconds: u64) -> u64 {
    let mut stage = Stage::playing(Habits { attacks: 100.0, ..habits() });
    stage.say(&update(head(1, 1), &[entry(PlayerId(5), 0, START)]));
    stage.wait(100);
    stage.say(&update(head(2, 1), &[]));
    stage.wait(milliseconds);
    stage.close();
    stage.say(&left(START, LeftReason::ASKED));
    let counts = stage.counts();
    assert_eq!(counts.attacks, 1);
    counts.attacks_lost
}

#[test]
fn it_waits_for_a_result_before_it_attacks_again() {
    let mut stage = Stage::playing(Habits { attacks: 100.0, ..habits() });
    stage.say(&update(head(1, 1), &[entry(PlayerId(5), 0, START)]));
    (0..15).for_each(|_| stage.wait(100));
    let counts = stage.counts();
    assert_eq!((counts.attacks, counts.attacks_lost), (2, 1));
}

#[test]
fn a_result_that_was_on_its_way_at_the_end_is_not_lost() {
    assert_eq!((lost_attacks(100), lost_attacks(2_000)), (0, 1));
}

#[test]
fn the_dead_stand_still_and_attack_nobody() {
    let mut stage = Stage::playing(Habits { attacks: 100.0, ..habits() });
    let dead = Entry { flags: EntryFlags::DEAD, health: 0, ..entry(PLAYER, 0, START) };
    stage.say(&update(head(1, 1), &[dead, entry(PlayerId(5), 0, START)]));
    let moved = Move::parse(&stage.next_move()).expect("a move, and no attack");
    assert_eq!((moved.position, moved.velocity), (START, Vector::default()));
    let mut respawn = [0; Move::LEN];
    let place = Vector { x: 10.0, y: 1.0, z: 10.0 };
    let message = Move { player: PLAYER, position: place, velocity: Vector::default() };
    message.write(&mut respawn, PacketType::CORRECTION, 0);
    stage.say(&respawn);
    stage.wait(100);
    let next = stage.said().iter().find_map(|message| Move::parse(message).ok()).expect("a move");
    assert!(next.velocity.square() > 1.0 && (next.position - place).square().sqrt() <= 0.501);
    assert_eq!(stage.counts().respawns, 1);
}

#[test]
fn its_own_words_come_back_as_they_were() {
    let mut stage = Stage::playing(Habits { chats: 100.0, ..habits() });
    stage.wait(100);
    let said = stage.said();
    let said = said.iter().find(|message| packet_type(message) == PacketType::CHAT_MESSAGE).expect("words");
    assert_eq!(Chat::parse(said).map(|chat| chat.text), Ok("bot 0 says line 1"));
    let mut say = |player, text: &str| {
        let chat = Chat { player, text };
        let mut message = vec![0; chat.len()];
        chat.write(&mut message, PacketType::CHAT, 0);
        stage.say(&message);
    };
    say(PlayerId(5), "hello");
    say(PLAYER, "bot 0 says line 2");
    say(PLAYER, "bot 0 says line 1");
    say(PLAYER, "bot 0 says line 1");
    let counts = stage.counts();
    assert_eq!((counts.chats, counts.chats_returned, counts.chats_heard), (1, 1, 1));
    assert_eq!((counts.wrong_chats, counts.strays), (1, 1));
}

#[test]
fn who_has_nothing_to_say_pings() {
    // A move every ten seconds, which is as long as the server waits; the first after that time.
    let mut stage = Stage::playing(Habits { rate: 0.1, ..habits() });
    let mut pings = Vec::new();
    for _ in 0..97 {
        stage.wait(100);
        pings.extend(stage.said());
    }
    assert_eq!(pings.len(), 1, "{pings:?}");
    assert_eq!(packet_type(&pings[0]), PacketType::PING);
    set_type(&mut pings[0], PacketType::PONG);
    (0..2).for_each(|_| stage.say(&pings[0]));
    let counts = stage.counts();
    assert_eq!((counts.moves, counts.pings, counts.pongs, counts.strays), (0, 1, 1, 1));
}
