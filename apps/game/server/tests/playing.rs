//! Moves, attacks and words, and what is none of them.

use super::*;
use crate::protocol::{EntryFlags, Outcome, set_type};
use crate::rules::{DEATH, HEALTH};

#[test]
fn a_move_comes_back_as_it_went_with_another_type() {
    let mut lab = lab(10, 300.0);
    let welcome = join(&mut lab, "10.77.0.2:4000");
    lab.advance(Duration::from_millis(100));
    everything(&mut lab);
    let x = if welcome.position.x < 150.0 { welcome.position.x + 0.9 } else { welcome.position.x - 0.9 };
    let step = move_message(welcome.player, Vector { x, ..welcome.position }, 99);
    let mut expected = step;
    set_type(&mut expected, PacketType::MOVE_ACK);
    assert_eq!(ask(&mut lab, "10.77.0.2:4000", &step), Some(expected.to_vec()));
    assert_eq!(count(&lab, Event::Moved), 1);
    close(lab);
}

#[test]
fn what_comes_twice_or_too_late_moves_nobody() {
    let mut lab = fast_lab(10, 300.0);
    let player = join(&mut lab, "10.77.0.2:4000").player;
    lab.advance(Duration::from_millis(40));
    everything(&mut lab);
    let [first, second] = [(10.0, 100), (20.0, 200)].map(|(x, at)| move_message(player, place(x, 10.0), at));
    let elsewhere = move_message(player, place(30.0, 10.0), 200);
    let mut answers = [first, second, second, first, elsewhere].into_iter().map(|step| {
        let answer = ask(&mut lab, "10.77.0.2:4000", &step);
        lab.advance(Duration::from_millis(1));
        everything(&mut lab);
        answer
    });
    assert!(answers.next().flatten().is_some());
    let acknowledged = answers.next().flatten();
    assert!(acknowledged.is_some());
    assert_eq!(answers.next().flatten(), acknowledged, "its answer may have been lost");
    assert_eq!(answers.next().flatten(), None, "it was overtaken");
    assert_eq!(answers.next().flatten(), None, "there is one of that time already");
    drop(answers);
    assert_eq!(join(&mut lab, "10.77.0.2:4000").player, player);
    assert!(ask(&mut lab, "10.77.0.2:4000", &second).is_some(), "with a welcome, its clock begins anew");
    assert_eq!(lab.service().world.players.at(0).map(|player| player.position), Some(place(20.0, 10.0)));
    assert_eq!((count(&lab, Event::Moved), count(&lab, Event::DropOvertaken)), (3, 2));
    close(lab);
}

#[test]
fn who_is_too_fast_is_put_back() {
    let mut lab = lab(10, 300.0);
    let welcome = join(&mut lab, "10.77.0.2:4000");
    let step = move_message(welcome.player, place(150.0, 150.0), 99);
    let correction = ask(&mut lab, "10.77.0.2:4000", &step).expect("an answer");
    assert_eq!(Header::parse(&correction), Ok(Header { packet_type: PacketType::CORRECTION, timestamp: 99 }));
    let expected = Move { player: welcome.player, position: welcome.position, velocity: Vector::default() };
    assert_eq!(Move::parse(&correction), Ok(expected));
    assert_eq!((count(&lab, Event::Moved), count(&lab, Event::Corrected)), (0, 1));
    close(lab);
}

/// Every way in which a datagram of a player is no message, and how it is counted.
#[test]
fn what_is_no_message_is_counted_and_nothing_else() {
    let mut lab = lab(10, 300.0);
    let from = "10.77.0.2:4000";
    let player = join(&mut lab, from).player;
    let step = move_message(player, place(1.0, 1.0), 0);
    let with = |at: usize, bytes: &[u8]| {
        let mut message = step.to_vec();
        message[at..at + bytes.len()].copy_from_slice(bytes);
        message
    };
    let chat = |text: &[u8]| {
        let mut message = vec![0; 24 + text.len()];
        Header { packet_type: PacketType::CHAT_MESSAGE, timestamp: 0 }.write(&mut message, 24 + text.len());
        message[16..20].copy_from_slice(&player.0.to_le_bytes());
        message[20..24].copy_from_slice(&(text.len() as u32).to_le_bytes());
        message[24..].copy_from_slice(text);
        message
    };
    let attack = |attacker, weapon| {
        let attack = Attack { attacker, target: player, weapon };
        message::<{ Attack::LEN }>(|into| attack.write(into, 0)).to_vec()
    };
    let mut reserved = join_message([0; 8], PlayerId::NOBODY, Token::default()).to_vec();
    reserved[50] = 1;
    let stranger = |player| message::<{ Ping::LEN }>(|into| Ping { player }.write(into, 0)).to_vec();
    let gone = message::<{ Leave::LEN }>(|into| Leave { player: PlayerId(u32::MAX) }.write(into, 0)).to_vec();
    let cases = [
        (vec![], Event::DropShort),
        (step[..15].to_vec(), Event::DropShort),
        (step[..40].to_vec(), Event::DropSize),
        (with(4, &[45]), Event::DropSize),
        (with(0, &[6]), Event::DropSize),
        (with(0, &[3]), Event::DropSize),
        (with(0, &[101]), Event::DropUnknownType),
        (with(0, &[0xff, 0xff, 0xff, 0xff]), Event::DropUnknownType),
        (with(20, &f32::NAN.to_le_bytes()), Event::DropNotFinite),
        (with(40, &f32::INFINITY.to_le_bytes()), Event::DropNotFinite),
        (with(16, &[0xff]), Event::DropStranger),
        (stranger(PlayerId::NOBODY), Event::DropStranger),
        (gone, Event::DropStranger),
        (attack(player, 3), Event::DropUnknownWeapon),
        (attack(PlayerId(9), 0), Event::DropStranger),
        (chat(b""), Event::DropText),
        (chat(b"\xc3"), Event::DropText),
        (chat(&[b'x'; 201]), Event::DropText),
        (reserved, Event::DropReserved),
    ];
    for (payload, event) in &cases {
        let before = count(&lab, *event);
        assert_eq!(ask(&mut lab, from, payload), None, "{event:?}");
        assert_eq!(count(&lab, *event), before + 1, "{event:?} of {payload:?}");
    }
    let not_its_own = ask(&mut lab, "10.77.0.2:4001", &step);
    assert_eq!(not_its_own, None, "a player's number is good from its address only");
    let dropped: u64 = Event::ALL
        .iter()
        .filter(|event| event.name().starts_with("drop_"))
        .map(|&event| count(&lab, event))
        .sum();
    assert_eq!(dropped, cases.len() as u64 + 1, "each is counted once");
    assert_eq!(lab.service().players(), 1);
    close(lab);
}

/// Two players two metres apart.
fn duel() -> (Lab<Game>, [Welcome; 2]) {
    let mut lab = fast_lab(10, 60.0);
    let first = join(&mut lab, "10.77.0.2:4000");
    let second = join(&mut lab, "10.77.0.2:4001");
    go(&mut lab, "10.77.0.2:4000", first.player, place(10.0, 10.0));
    go(&mut lab, "10.77.0.2:4001", second.player, place(12.0, 10.0));
    (lab, [first, second])
}

fn attack(lab: &mut Lab<Game>, who: &Welcome, whom: PlayerId) -> Vec<(u16, AttackResult)> {
    let attack = Attack { attacker: who.player, target: whom, weapon: 0 };
    lab.send("10.77.0.2:4000", PORT, &message::<{ Attack::LEN }>(|into| attack.write(into, 6)));
    lab.turn();
    let results = everything(lab).into_iter();
    let results = results.filter(|sent| packet_type(&sent.payload) == PacketType::ATTACK_RESULT);
    let mut results: Vec<_> =
        results.map(|sent| (sent.to.port(), AttackResult::parse(&sent.payload).expect("a result"))).collect();
    results.sort_by_key(|(port, _)| *port);
    results
}

#[test]
fn a_fight_has_a_winner_and_the_dead_come_back() {
    let (mut lab, [first, second]) = duel();
    for health in [75, 50, 25, 0] {
        let results = attack(&mut lab, &first, second.player);
        let outcome = if health > 0 { Outcome::HIT } else { Outcome::KILLED };
        let expected =
            AttackResult { attacker: first.player, target: second.player, weapon: 0, outcome, health };
        assert_eq!(results, [(4000, expected), (4001, expected)]);
        let too_early = attack(&mut lab, &first, second.player);
        assert_eq!(too_early[0].1.outcome, Outcome::TOO_EARLY);
        assert_eq!(too_early.len(), 1, "only who attacked hears of that");
        lab.advance(Duration::from_millis(500));
        everything(&mut lab);
    }
    assert_eq!(attack(&mut lab, &first, second.player)[0].1.outcome, Outcome::NO_TARGET);
    let step = move_message(second.player, place(12.0, 10.1), u64::MAX);
    lab.send("10.77.0.2:4001", PORT, &step);
    lab.turn();
    let answers = everything(&mut lab);
    assert!(answers.iter().any(|sent| packet_type(&sent.payload) == PacketType::CORRECTION), "the dead stay");
    lab.advance(DEATH);
    let mut sent = everything(&mut lab);
    sent.extend(tick(&mut lab));
    let revived = sent.iter().find(|sent| packet_type(&sent.payload) == PacketType::CORRECTION);
    let revived = revived.expect("where it lives again");
    assert_eq!(Header::parse(&revived.payload).map(|header| header.timestamp), Ok(0));
    let position = Move::parse(&revived.payload).expect("a place").position;
    assert!(lab.service().world.rules.contains(position));
    let entry = entries(&sent, "10.77.0.2:4001").into_iter().rfind(|entry| entry.player == second.player);
    let entry = entry.expect("news of it");
    assert_eq!((entry.health, entry.position), (HEALTH, position));
    assert!(!entry.flags.has(EntryFlags::DEAD));
    assert_eq!((count(&lab, Event::Hit), count(&lab, Event::Killed), count(&lab, Event::Revived)), (4, 1, 1));
    close(lab);
}

#[test]
fn words_are_heard_by_those_nearby_and_not_too_often() {
    let mut lab = fast_lab(10, 500.0);
    let first = join(&mut lab, "10.77.0.2:4000");
    let second = join(&mut lab, "10.77.0.2:4001");
    let third = join(&mut lab, "10.77.0.2:4002");
    go(&mut lab, "10.77.0.2:4000", first.player, place(75.0, 75.0));
    go(&mut lab, "10.77.0.2:4001", second.player, place(140.0, 140.0));
    go(&mut lab, "10.77.0.2:4002", third.player, place(151.0, 75.0));
    tick(&mut lab);
    let chat = Chat { player: first.player, text: "wer da?" };
    let mut words = vec![0; chat.len()];
    chat.write(&mut words, PacketType::CHAT_MESSAGE, 31);
    lab.send("10.77.0.2:4000", PORT, &words);
    lab.send("10.77.0.2:4000", PORT, &words);
    let heard = tick(&mut lab);
    let heard: Vec<_> = heard.iter().filter(|sent| packet_type(&sent.payload) == PacketType::CHAT).collect();
    let mut ports: Vec<_> = heard.iter().map(|sent| sent.to.port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [4000, 4001]);
    set_type(&mut words, PacketType::CHAT);
    assert!(heard.iter().all(|sent| sent.payload == words));
    assert_eq!((count(&lab, Event::Said), count(&lab, Event::DropTooTalkative)), (1, 1));
    close(lab);
}
