//! How bots come back from another address with their token.

use super::*;

/// As often as it can be, which is about every 1.6 s.
fn roaming() -> Habits {
    Habits { rejoins: 10.0, ..habits() }
}

impl Stage {
    /// Plays until the bot asks from another address to be the same player. Gives that port.
    fn until_it_asks(&mut self) -> u16 {
        for _ in 0..100 {
            self.wait(100);
            for (from, message) in self.heard() {
                if packet_type(&message) == PacketType::JOIN {
                    let join = Join::parse(&message).expect("a join");
                    assert_eq!((join.player, join.token, join.cookie), (PLAYER, TOKEN, [0; 8]));
                    return from;
                }
                self.acknowledge(&message);
            }
        }
        panic!("it stays");
    }

    /// What the bot has said, and from which port.
    fn heard(&mut self) -> Vec<(u16, Vec<u8>)> {
        let received = std::iter::from_fn(|| self.lab.receive());
        received.map(|received| (received.from.port(), received.payload)).collect()
    }

    fn say_to(&mut self, port: u16, message: &[u8]) {
        assert!(self.lab.send(SERVER, port, message));
        self.lab.turn();
    }

    /// It is challenged at a port and sends the cookie back from there.
    fn challenge_at(&mut self, port: u16) {
        self.say_to(port, &challenge(0));
        let said = self.heard();
        let join = Join::parse(&said[0].1).expect("a join");
        assert_eq!((said.len(), said[0].0), (1, port));
        assert_eq!((join.player, join.token, join.cookie), (PLAYER, TOKEN, *b"a cookie"));
    }
}

fn welcome_at(player: PlayerId, token: Token, position: Vector) -> [u8; Welcome::LEN] {
    let mut message = [0; Welcome::LEN];
    let welcome = Welcome::parse(&welcome()).expect("a welcome");
    Welcome { player, token, position, ..welcome }.write(&mut message, 0);
    message
}

/// Comes back to a place, under a number and a token, and gives what it thinks of that.
fn came_back(player: PlayerId, token: Token, at: impl FnOnce(Vector) -> Vector) -> Tally {
    let mut stage = Stage::playing(roaming());
    let moved = stage.next_move();
    stage.acknowledge(&moved);
    let port = stage.until_it_asks();
    assert_eq!(port, PORT + 1);
    stage.challenge_at(port);
    let mut last = Vector::default();
    let mut confirm = |message: &[u8]| last = Move::parse(message).expect("a move").position;
    confirm(&moved);
    stage.last_move.iter().for_each(|message| confirm(message));
    stage.say(&left(last, LeftReason::ELSEWHERE));
    stage.say_to(port, &welcome_at(player, token, at(last)));
    stage.wait(100);
    let said = stage.heard();
    assert!(said.iter().all(|(from, _)| *from == port), "{said:?}");
    let next = said.iter().find_map(|(_, message)| Move::parse(message).ok()).expect("a move");
    assert_eq!(next.player, player);
    stage.end()
}

#[test]
fn it_is_the_same_player_in_the_same_place() {
    let tally = came_back(PLAYER, TOKEN, |place| place);
    let counts = &tally.counts;
    assert_eq!((counts.rejoins, counts.rejoined, counts.renumbered, counts.moved_out), (1, 1, 0, 1));
    assert_eq!((counts.rejoined_elsewhere, counts.moves_lost, counts.expelled), (0, 0, 0), "{counts:#?}");
    assert_eq!(violations(&tally), "");
}

#[test]
fn it_may_have_another_number_but_no_other_place_or_token() {
    let renumbered = came_back(PlayerId(99), TOKEN, |place| place);
    assert_eq!((renumbered.counts.rejoined, renumbered.counts.renumbered), (1, 1));
    assert_eq!(violations(&renumbered), "");
    let moved = came_back(PLAYER, TOKEN, |place| Vector { x: place.x + 1.0, ..place });
    let counts = Counts { moves_lost: 0, ..moved.counts.clone() };
    assert_eq!(violations(&Tally { counts, ..moved }), "1 of 1 bots came back to another place");
    let other = came_back(PLAYER, Token(6), |place| place);
    assert_eq!(violations(&other), "1 bots came back as somebody else");
}

#[test]
fn updates_may_not_go_on_at_the_old_address() {
    let mut stage = Stage::playing(roaming());
    let port = stage.until_it_asks();
    stage.challenge_at(port);
    stage.say_to(port, &welcome_at(PLAYER, TOKEN, START));
    let mut late = |milliseconds| {
        (0..milliseconds / 100).for_each(|_| stage.wait(100));
        stage.say_to(PORT, &update(head(1, 1), &[]));
    };
    late(900);
    late(200);
    let counts = stage.counts();
    assert_eq!((counts.updates_left_behind, counts.updates), (1, 1));
}

#[test]
fn where_nothing_comes_back_it_tries_the_next_home_and_then_stays() {
    let mut stage = Stage::playing(roaming());
    let mut ports = vec![stage.until_it_asks()];
    // Another lcore has heard of the third.
    stage.board.lead_astray(0, 2);
    let mut moves_again = false;
    for _ in 0..60 {
        stage.wait(100);
        for (from, message) in stage.heard() {
            moves_again |= packet_type(&message) == PacketType::PLAYER_MOVE && from == PORT;
            if packet_type(&message) == PacketType::JOIN {
                ports.push(from);
            }
        }
        if moves_again {
            break;
        }
    }
    assert_eq!(ports, [1, 1, 1, 3, 3, 3].map(|home| PORT + home));
    assert!(moves_again);
    let counts = stage.counts();
    assert_eq!((counts.rejoins_abandoned, counts.rejoined, counts.rejoins_failed), (1, 0, 0));
}

#[test]
fn who_is_unknown_asks_again_and_gives_up() {
    let mut stage = Stage::playing(roaming());
    let port = stage.until_it_asks();
    stage.challenge_at(port);
    let mut unknown = [0; Refusal::LEN];
    Refusal { code: ErrorCode::UNKNOWN_PLAYER, detail: PLAYER.0 }.write(&mut unknown, 0);
    for _ in 0..160 {
        stage.wait(100);
        for (from, message) in stage.heard() {
            if from == port && packet_type(&message) == PacketType::JOIN {
                stage.say_to(port, &unknown);
            }
        }
    }
    let tally = stage.end();
    assert_eq!((tally.counts.rejoins_failed, tally.counts.refused_otherwise), (1, 5));
    assert!(violations(&tally).contains("1 of 1 bots could not come back"));
}
