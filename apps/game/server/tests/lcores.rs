//! Two lcores with players of one world: whose players they are, is for the NIC to say; the test says it.

use super::*;
use crate::protocol::{EntryFlags, ErrorCode, Outcome};

/// Two labs with a world between them.
fn labs(world: f32) -> [Lab<Game>; 2] {
    bounded_labs(world, 0)
}

/// Two in which so many players of an address may be on each lcore.
fn bounded_labs(world: f32, seats_per_address: u32) -> [Lab<Game>; 2] {
    let mut setup = setup(10, world);
    (setup.rules.top_speed, setup.rules.seats_per_address) = (1e5, seats_per_address);
    let mut games = setup.games(2).into_iter();
    std::array::from_fn(|_| Lab::with(games.next().expect("a game for each"), unguarded))
}

/// A tick of both. Gives what each sent.
fn tick_both(labs: &mut [Lab<Game>; 2]) -> [Vec<Received>; 2] {
    let [first, second] = labs;
    [tick(first), tick(second)]
}

const FIRST: &str = "10.77.0.2:4000";
const SECOND: &str = "10.77.0.2:5000";

/// A player on each, a few metres from each other and in two cells.
fn neighbours() -> ([Lab<Game>; 2], [Welcome; 2]) {
    let mut labs = labs(300.0);
    let welcomes = [join(&mut labs[0], FIRST), join(&mut labs[1], SECOND)];
    go(&mut labs[0], FIRST, welcomes[0].player, place(99.0, 75.0));
    go(&mut labs[1], SECOND, welcomes[1].player, place(101.0, 75.0));
    (labs, welcomes)
}

fn close_both(labs: [Lab<Game>; 2]) {
    labs.into_iter().for_each(close);
}

/// The ticks of two lcores are not in step: now and then one of them hears of two of the other's.
#[test]
fn of_two_ticks_of_another_lcore_the_later_one_is_told() {
    let (mut labs, [first, second]) = neighbours();
    (0..3).for_each(|_| _ = tick_both(&mut labs));
    let [quick, slow] = &mut labs;
    // It fights in the first tick, and goes to another cell in the second.
    let attack = Attack { attacker: first.player, target: PlayerId(1), weapon: 0 };
    ask(quick, FIRST, &message::<{ Attack::LEN }>(|into| attack.write(into, 6)));
    tick(quick);
    go(quick, FIRST, first.player, place(102.0, 75.0));
    tick(quick);
    let told = tick(slow);
    let of_first: Vec<_> =
        entries(&told, SECOND).into_iter().filter(|entry| entry.player == first.player).collect();
    assert_eq!(of_first.len(), 1, "{of_first:?}");
    assert_eq!(of_first[0].position, place(102.0, 75.0));
    assert_eq!(of_first[0].flags, EntryFlags::FIGHTS, "it did since the last update");
    let cells: Vec<_> = updates(&told, SECOND).iter().map(|update| update.head.cell).collect();
    assert_eq!(cells, [[2, 1]], "{second:?}");
    close_both(labs);
}

#[test]
fn numbers_say_the_lcore() {
    let (labs, [first, second]) = neighbours();
    assert_ne!(first.player, second.player);
    assert_eq!([labs[0].service().players(), labs[1].service().players()], [1, 1]);
    close_both(labs);
}

#[test]
fn who_is_on_another_lcore_is_heard_of_within_two_ticks() {
    let (mut labs, [first, second]) = neighbours();
    let mut heard = [false; 2];
    for _ in 0..2 {
        let [by_first, by_second] = tick_both(&mut labs);
        heard[0] |= entries(&by_first, FIRST).iter().any(|entry| entry.player == second.player);
        heard[1] |= entries(&by_second, SECOND).iter().any(|entry| entry.player == first.player);
    }
    assert_eq!(heard, [true, true]);
    close_both(labs);
}

#[test]
fn blows_and_words_cross_over() {
    let (mut labs, [first, second]) = neighbours();
    let attack = Attack { attacker: first.player, target: second.player, weapon: 0 };
    let blow: [u8; Attack::LEN] = message(|into| attack.write(into, 6));
    assert_eq!(ask(&mut labs[0], FIRST, &blow), None, "the other lcore knows what came of it");
    let chat = Chat { player: second.player, text: "au" };
    let mut words = vec![0; chat.len()];
    chat.write(&mut words, PacketType::CHAT_MESSAGE, 31);
    labs[1].send(SECOND, PORT, &words);
    let (mut results, mut heard) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let sent = tick_both(&mut labs);
        for sent in sent.iter().flatten() {
            match packet_type(&sent.payload) {
                PacketType::ATTACK_RESULT => {
                    results.push((sent.to.port(), AttackResult::parse(&sent.payload).expect("a result")));
                }
                PacketType::CHAT => heard.push(sent.to.port()),
                _ => {}
            }
        }
    }
    results.sort_by_key(|(port, _)| *port);
    let expected = AttackResult {
        attacker: first.player,
        target: second.player,
        weapon: 0,
        outcome: Outcome::HIT,
        health: 75,
    };
    assert_eq!(results, [(4000, expected), (5000, expected)]);
    heard.sort_unstable();
    assert_eq!(heard, [4000, 5000]);
    close_both(labs);
}

#[test]
fn a_player_moves_to_the_lcore_of_its_new_address() {
    let (mut labs, [first, _]) = neighbours();
    let cookie = cookie(&mut labs[1], "10.77.0.3:6000");
    let back = join_message(cookie, first.player, first.token);
    assert_eq!(ask(&mut labs[1], "10.77.0.3:6000", &back), None, "its lcore has to let it go first");
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.extend(tick_both(&mut labs).into_iter().flatten());
    }
    let of = |port: u16, what| {
        let mut of =
            answers.iter().filter(|sent| sent.to.port() == port && packet_type(&sent.payload) == what);
        of.next().map(|sent| sent.payload.clone())
    };
    let welcome = of(6000, PacketType::WELCOME).expect("a welcome");
    let welcome = Welcome::parse(&welcome).expect("a welcome");
    assert_ne!(welcome.player, first.player, "it has a number of its new lcore");
    assert_eq!((welcome.token, welcome.position), (first.token, place(99.0, 75.0)));
    assert!(of(4000, PacketType::LEFT).is_some());
    assert_eq!([labs[0].service().players(), labs[1].service().players()], [0, 2]);
    let ping: [u8; Ping::LEN] = message(|into| Ping { player: welcome.player }.write(into, 3));
    assert!(ask(&mut labs[1], "10.77.0.3:6000", &ping).is_some());
    close_both(labs);
}

#[test]
fn who_moves_to_another_lcore_leaves_its_seat_there_and_takes_one_here() {
    let mut labs = bounded_labs(300.0, 1);
    let mover = join(&mut labs[0], FIRST);
    let other = join(&mut labs[1], SECOND);
    let back = |labs: &mut [Lab<Game>; 2], from: &str| {
        let cookie = cookie(&mut labs[1], from);
        let answer = ask(&mut labs[1], from, &join_message(cookie, mover.player, mover.token));
        (0..3).for_each(|_| _ = tick_both(labs));
        answer
    };
    let refusal = back(&mut labs, "10.77.0.2:6000").expect("the address has its player here");
    assert_eq!(Refusal::parse(&refusal).map(|refusal| refusal.code), Ok(ErrorCode::ADDRESS_FULL));
    assert_eq!(back(&mut labs, "10.77.0.3:6000"), None, "it is on its way");
    assert_eq!([labs[0].service().players(), labs[1].service().players()], [0, 2]);
    join(&mut labs[0], "10.77.0.2:4001");
    let late = join_as(&mut labs[1], "10.77.0.3:6001", PlayerId::NOBODY, Token::default());
    assert_eq!(packet_type(&late), PacketType::ERROR, "its new address has a player");
    let leave: [u8; Leave::LEN] = message(|into| Leave { player: other.player }.write(into, 5));
    assert!(ask(&mut labs[1], SECOND, &leave).is_some());
    join(&mut labs[1], SECOND);
    close_both(labs);
}

#[test]
fn nobody_is_taken_over_with_a_wrong_token() {
    let (mut labs, [first, _]) = neighbours();
    let cookie = cookie(&mut labs[1], "10.77.0.3:6000");
    let back = join_message(cookie, first.player, Token(first.token.0 + 1));
    assert_eq!(ask(&mut labs[1], "10.77.0.3:6000", &back), None);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.extend(tick_both(&mut labs).into_iter().flatten());
    }
    let refusal = answers.iter().find(|sent| sent.to.port() == 6000).expect("a refusal");
    assert_eq!(Refusal::parse(&refusal.payload).map(|refusal| refusal.detail), Ok(first.player.0));
    assert_eq!([labs[0].service().players(), labs[1].service().players()], [1, 1]);
    close_both(labs);
}

#[test]
fn seats_are_the_worlds_and_not_the_lcores() {
    let mut labs = labs(300.0);
    for index in 0..10 {
        join(&mut labs[index % 2], &format!("10.77.0.2:{}", 4000 + index));
    }
    for (lab, from) in labs.iter_mut().zip(["10.77.0.2:6000", "10.77.0.2:6001"]) {
        let answer = join_as(lab, from, PlayerId::NOBODY, Token::default());
        assert_eq!(packet_type(&answer), PacketType::ERROR);
    }
    close_both(labs);
}

/// The other lcore stands still: what it is told piles up to the end of the ring, and no further.
#[test]
fn a_full_ring_is_counted() {
    let (mut labs, [first, second]) = neighbours();
    let [busy, _] = &mut labs;
    for round in 0..1100_u64 {
        busy.advance(Duration::from_millis(500));
        let attack = Attack { attacker: first.player, target: second.player, weapon: 0 };
        ask(busy, FIRST, &message::<{ Attack::LEN }>(|into| attack.write(into, round)));
        if round % 8 == 0 {
            tick(busy);
        }
    }
    assert!(count(busy, Event::DropExchangeFull) > 0);
    assert!(count(busy, Event::EntriesLost) > 0);
    close_both(labs);
}
