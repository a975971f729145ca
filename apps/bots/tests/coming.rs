//! How bots join.

use super::*;

#[test]
fn it_asks_until_it_is_challenged_and_sends_the_cookie_back() {
    let mut stage = Stage::new(habits());
    let mut asked = 1;
    for _ in 0..10 {
        stage.wait(100);
        for message in stage.said() {
            assert_eq!(Join::parse(&message).expect("a join").cookie, [0; 8]);
            asked += 1;
        }
    }
    assert_eq!(asked, 3, "after 250 ms, and after 500 more");
    stage.say(&challenge(9));
    let said = stage.said();
    let join = Join::parse(&said[0]).expect("a join");
    assert_eq!((said.len(), join.cookie, join.version), (1, *b"a cookie", VERSION));
    stage.say(&welcome());
    let moved = stage.next_move();
    assert_eq!(Move::parse(&moved).expect("a move").player, PLAYER);
    let counts = stage.counts();
    assert_eq!((counts.joins, counts.joined, counts.unfinished, counts.moves_pending), (4, 1, 1, 1));
}

#[test]
fn a_full_server_is_asked_again_later_and_one_of_another_version_never() {
    let refusal = |code| {
        let mut message = [0; Refusal::LEN];
        Refusal { code, detail: 2 }.write(&mut message, 0);
        message
    };
    let mut stage = Stage::new(habits());
    stage.say(&refusal(ErrorCode::FULL));
    stage.wait(900);
    assert!(stage.said().is_empty());
    (0..12).for_each(|_| stage.wait(100));
    assert!(!stage.said().is_empty());
    stage.say(&refusal(ErrorCode::VERSION));
    (0..50).for_each(|_| stage.wait(100));
    assert!(stage.said().is_empty());
    let counts = stage.counts();
    assert_eq!((counts.refused_full, counts.refused_version, counts.joined), (1, 1, 0));
}
