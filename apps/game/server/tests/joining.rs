//! How somebody becomes a player, comes back, and leaves.

use super::*;
use crate::protocol::{ErrorCode, LeftReason};

#[test]
fn who_shows_where_it_is_becomes_a_player() {
    let mut lab = lab(2, 300.0);
    let welcome = join(&mut lab, "10.77.0.2:4000");
    assert_eq!((welcome.version, welcome.tick_rate, welcome.timeout), (VERSION, 30, 10_000));
    assert_eq!((welcome.world, welcome.cell, welcome.top_speed), (300.0, 50.0, 10.0));
    assert!(lab.service().world.rules.contains(welcome.position));
    let again = join(&mut lab, "10.77.0.2:4000");
    assert_eq!(again, welcome, "the welcome may have been lost");
    let other = join(&mut lab, "[fd00:77::2]:4000");
    assert_ne!(other.player, welcome.player);
    assert_ne!(other.token, welcome.token);
    assert_eq!(lab.service().players(), 2);
    close(lab);
}

#[test]
fn the_player_after_the_last_is_refused() {
    let mut lab = lab(1, 300.0);
    let first = join(&mut lab, "10.77.0.2:4000");
    let refusal = join_as(&mut lab, "10.77.0.2:4001", PlayerId::NOBODY, Token::default());
    assert_eq!(Refusal::parse(&refusal), Ok(Refusal { code: ErrorCode::FULL, detail: 1 }));
    let leave: [u8; Leave::LEN] = message(|into| Leave { player: first.player }.write(into, 5));
    let left = ask(&mut lab, "10.77.0.2:4000", &leave).expect("a farewell");
    assert_eq!(Header::parse(&left).map(|header| header.timestamp), Ok(5));
    let expected = Left { player: first.player, position: first.position, reason: LeftReason::ASKED };
    assert_eq!(Left::parse(&left), Ok(expected));
    join(&mut lab, "10.77.0.2:4001");
    assert_eq!(
        (count(&lab, Event::Joined), count(&lab, Event::Refused), count(&lab, Event::Left)),
        (2, 1, 1)
    );
    close(lab);
}

#[test]
fn forged_sources_cost_nothing_and_are_sent_no_more_than_they_send() {
    let mut lab = lab(10, 300.0);
    for port in 1000..3000 {
        let from = format!("10.77.9.9:{port}");
        let answer = ask(&mut lab, &from, &join_message([7; 8], PlayerId::NOBODY, Token::default()));
        let answer = answer.expect("a challenge");
        assert!(answer.len() < Join::LEN);
        assert_eq!(packet_type(&answer), PacketType::CHALLENGE);
    }
    assert_eq!((lab.service().players(), count(&lab, Event::Challenged)), (0, 2000));
    assert!(tick(&mut lab).is_empty(), "nobody hears of anything");
    close(lab);
}

#[test]
fn a_cookie_is_good_for_one_source_only() {
    let mut lab = lab(10, 300.0);
    let cookie = cookie(&mut lab, "10.77.0.2:4000");
    let stolen = ask(&mut lab, "10.77.0.2:4001", &join_message(cookie, PlayerId::NOBODY, Token::default()));
    assert_eq!(packet_type(&stolen.expect("an answer")), PacketType::CHALLENGE);
    close(lab);
}

#[test]
fn a_join_of_another_length_is_told_our_version() {
    let mut lab = lab(10, 300.0);
    for len in [24, 63, 72] {
        let mut join = vec![9; len];
        Header { packet_type: PacketType::JOIN, timestamp: 1 }.write(&mut join, len);
        let refusal = ask(&mut lab, "10.77.0.2:4000", &join).expect("an answer");
        assert_eq!(Refusal::parse(&refusal).map(|refusal| refusal.code), Ok(ErrorCode::VERSION));
    }
    assert_eq!(count(&lab, Event::Refused), 3);
    close(lab);
}

#[test]
fn another_version_is_told_ours() {
    let mut lab = lab(10, 300.0);
    let join = Join { version: 9, player: PlayerId::NOBODY, token: Token::default(), cookie: [0; 8] };
    let refusal = ask(&mut lab, "10.77.0.2:4000", &message::<{ Join::LEN }>(|into| join.write(into, 1)));
    let expected = Refusal { code: ErrorCode::VERSION, detail: VERSION };
    assert_eq!(Refusal::parse(&refusal.expect("an answer")), Ok(expected));
    close(lab);
}

#[test]
fn a_player_comes_back_from_another_address_with_its_token() {
    let mut lab = lab(10, 300.0);
    let welcome = join(&mut lab, "10.77.0.2:4000");
    let wrong = join_as(&mut lab, "10.77.0.2:4001", welcome.player, Token(welcome.token.0 ^ 1));
    let unknown = Refusal { code: ErrorCode::UNKNOWN_PLAYER, detail: welcome.player.0 };
    assert_eq!(Refusal::parse(&wrong), Ok(unknown));
    let cookie = cookie(&mut lab, "10.77.0.2:4001");
    lab.send("10.77.0.2:4001", PORT, &join_message(cookie, welcome.player, welcome.token));
    lab.turn();
    let sent = everything(&mut lab);
    let to = |port: u16| {
        let of = sent.iter().filter(|received| received.to.port() == port);
        of.map(|received| received.payload.as_slice()).collect::<Vec<_>>()
    };
    assert_eq!(to(4001).len(), 1);
    assert_eq!(Welcome::parse(to(4001)[0]), Ok(welcome));
    let elsewhere =
        Left { player: welcome.player, position: welcome.position, reason: LeftReason::ELSEWHERE };
    assert_eq!(Left::parse(to(4000)[0]), Ok(elsewhere));
    let ping: [u8; Ping::LEN] = message(|into| Ping { player: welcome.player }.write(into, 3));
    assert_eq!(ask(&mut lab, "10.77.0.2:4000", &ping), None, "it is not there any more");
    let pong = ask(&mut lab, "10.77.0.2:4001", &ping).expect("a pong");
    assert_eq!(packet_type(&pong), PacketType::PONG);
    assert_eq!(pong[4..], ping[4..]);
    assert_eq!((lab.service().players(), count(&lab, Event::Rejoined)), (1, 1));
    close(lab);
}

#[test]
fn who_is_silent_too_long_is_gone_and_hears_so() {
    let mut lab = lab(10, 300.0);
    let welcome = join(&mut lab, "10.77.0.2:4000");
    let talker = join(&mut lab, "10.77.0.2:4001");
    let ping: [u8; Ping::LEN] = message(|into| Ping { player: talker.player }.write(into, 3));
    let mut farewells = Vec::new();
    for _ in 0..11 {
        lab.advance(Duration::from_secs(1));
        lab.send("10.77.0.2:4001", PORT, &ping);
        let sent = tick(&mut lab);
        farewells.extend(sent.into_iter().filter(|sent| packet_type(&sent.payload) == PacketType::LEFT));
    }
    assert_eq!(farewells.len(), 1);
    let silent = Left { player: welcome.player, position: welcome.position, reason: LeftReason::SILENT };
    assert_eq!(Left::parse(&farewells[0].payload), Ok(silent));
    assert_eq!((lab.service().players(), count(&lab, Event::TimedOut)), (1, 1));
    close(lab);
}

/// A lab in which two players of an address may be.
fn bounded_lab() -> Lab<Game> {
    let mut setup = setup(10, 300.0);
    setup.rules.seats_per_address = 2;
    Lab::with(setup.games(1).remove(0), unguarded)
}

#[test]
fn an_address_takes_so_many_seats_and_no_more() {
    let mut lab = bounded_lab();
    let [first, second] = ["10.77.0.2:4000", "10.77.0.2:4001"].map(|from| join(&mut lab, from));
    let full = Refusal { code: ErrorCode::ADDRESS_FULL, detail: 2 };
    let anew = |lab: &mut Lab<Game>, from| join_as(lab, from, PlayerId::NOBODY, Token::default());
    for from in ["10.77.0.2:4002", "10.77.0.2:4003"] {
        assert_eq!(Refusal::parse(&anew(&mut lab, from)), Ok(full));
    }
    assert_eq!(join(&mut lab, "10.77.0.2:4001"), second, "who is there is there");
    join(&mut lab, "10.77.0.3:4002");
    assert_eq!(
        (lab.service().players(), count(&lab, Event::AddressFull), count(&lab, Event::Refused)),
        (3, 2, 2)
    );
    let leave: [u8; Leave::LEN] = message(|into| Leave { player: first.player }.write(into, 5));
    assert!(ask(&mut lab, "10.77.0.2:4000", &leave).is_some());
    join(&mut lab, "10.77.0.2:4002");
    assert_eq!(Refusal::parse(&anew(&mut lab, "10.77.0.2:4000")), Ok(full));
    close(lab);
}

#[test]
fn who_comes_back_takes_a_seat_of_its_new_address_and_leaves_the_old_one() {
    let mut lab = bounded_lab();
    let mover = join(&mut lab, "10.77.0.2:4000");
    join(&mut lab, "10.77.0.2:4001");
    let back = |lab: &mut Lab<Game>, from| packet_type(&join_as(lab, from, mover.player, mover.token));
    assert_eq!(back(&mut lab, "10.77.0.2:4009"), PacketType::WELCOME, "another port of a full address");
    for from in ["10.77.0.3:4000", "10.77.0.3:4001"] {
        join(&mut lab, from);
    }
    assert_eq!(back(&mut lab, "10.77.0.3:4002"), PacketType::ERROR);
    let ping: [u8; Ping::LEN] = message(|into| Ping { player: mover.player }.write(into, 3));
    assert!(ask(&mut lab, "10.77.0.2:4009", &ping).is_some(), "it stays where it was");
    assert_eq!(back(&mut lab, "10.77.0.4:4000"), PacketType::WELCOME);
    join(&mut lab, "10.77.0.2:4002");
    assert_eq!(back(&mut lab, "10.77.0.2:4003"), PacketType::ERROR);
    close(lab);
}

#[test]
fn silence_gives_the_seats_of_an_address_back() {
    let mut lab = bounded_lab();
    let from = ["10.77.0.2:4000", "10.77.0.2:4001"];
    for _ in 0..3 {
        from.iter().for_each(|from| _ = join(&mut lab, from));
        lab.advance(Duration::from_secs(11));
        (0..2).for_each(|_| _ = tick(&mut lab));
        assert_eq!(lab.service().players(), 0);
    }
    assert_eq!((count(&lab, Event::Joined), count(&lab, Event::AddressFull)), (6, 0));
    close(lab);
}
