//! Messages as bytes, as the byte map of `docs/game-protocol.md` has them.

use proptest::prelude::*;

use super::*;

/// A move of player 0x01020304 at 7: 1.0, 2.0, 3.0, going 0.5, 0.0, -0.5.
const MOVE: [u8; Move::LEN] = [
    1, 0, 0, 0, 44, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, // type, size, timestamp
    4, 3, 2, 1, // player
    0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, // position
    0, 0, 0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xbf, // velocity
];

#[test]
fn a_move_is_44_bytes_in_their_places() {
    let header = Header::parse(&MOVE).expect("a header");
    assert_eq!(header, Header { packet_type: PacketType::PLAYER_MOVE, timestamp: 7 });
    let parsed = Move::parse(&MOVE).expect("a move");
    assert_eq!(parsed.player, PlayerId(0x0102_0304));
    assert_eq!(parsed.position, Vector { x: 1.0, y: 2.0, z: 3.0 });
    assert_eq!(parsed.velocity, Vector { x: 0.5, y: 0.0, z: -0.5 });
    let mut written = [0xff; Move::LEN];
    parsed.write(&mut written, PacketType::PLAYER_MOVE, 7);
    assert_eq!(written, MOVE);
}

#[test]
fn an_acknowledgement_is_the_move_with_another_type() {
    let mut message = MOVE;
    set_type(&mut message, PacketType::MOVE_ACK);
    assert_eq!(message[..4], [101, 0, 0, 0]);
    assert_eq!(message[4..], MOVE[4..]);
}

#[test]
fn the_size_is_the_datagrams() {
    assert_eq!(Header::parse(&MOVE[..15]), Err(Malformed::Short));
    assert_eq!(Header::parse(&[]), Err(Malformed::Short));
    assert_eq!(Header::parse(&MOVE[..43]), Err(Malformed::Size));
    let mut longer = MOVE.to_vec();
    longer.push(0);
    assert_eq!(Header::parse(&longer), Err(Malformed::Size));
    assert_eq!(Move::parse(&longer), Err(Malformed::Size));
}

#[test]
fn numbers_are_finite() {
    for at in (20..Move::LEN).step_by(4) {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut message = MOVE;
            message[at..at + 4].copy_from_slice(&bad.to_le_bytes());
            assert_eq!(Move::parse(&message), Err(Malformed::NotFinite), "{bad} at {at}");
        }
    }
}

fn chat(text: &[u8], length: u32) -> Vec<u8> {
    let mut message = vec![0; HEADER_LEN];
    Header { packet_type: PacketType::CHAT_MESSAGE, timestamp: 0 }.write(&mut message, 24 + text.len());
    message.extend(5_u32.to_le_bytes());
    message.extend(length.to_le_bytes());
    message.extend(text);
    message
}

#[test]
fn what_is_said_is_text() {
    let message = chat("grüß dich".as_bytes(), 11);
    assert_eq!(Chat::parse(&message), Ok(Chat { player: PlayerId(5), text: "grüß dich" }));
    let longest = [b'a'; MAX_TEXT_LEN];
    assert!(Chat::parse(&chat(&longest, 200)).is_ok());
    for (text, why) in [
        (&b""[..], Malformed::Text),
        (&[b'a'; MAX_TEXT_LEN + 1], Malformed::Text),
        (b"\xff", Malformed::Text),
        (b"a\x1b[31mb", Malformed::Text),
        ("a\u{85}b".as_bytes(), Malformed::Text),
    ] {
        assert_eq!(Chat::parse(&chat(text, text.len() as u32)), Err(why), "{text:?}");
    }
    assert_eq!(Chat::parse(&chat(b"abc", 2)), Err(Malformed::Size));
    assert_eq!(Chat::parse(&chat(b"abc", u32::MAX)), Err(Malformed::Size));
    assert_eq!(Chat::parse(&chat(b"", 0)[..23]), Err(Malformed::Size));
}

#[test]
fn nothing_is_longer_than_the_join_that_asks_for_it() {
    for len in [Challenge::LEN, Welcome::LEN, Refusal::LEN] {
        assert!(len <= Join::LEN, "{len}");
    }
}

#[test]
fn reserved_bytes_are_zero_in_this_version() {
    let join = Join { version: VERSION, player: PlayerId(1), token: Token(2), cookie: *b"12345678" };
    let mut message = [0xff; Join::LEN];
    join.write(&mut message, 9);
    assert_eq!(Join::parse(&message), Ok(join));
    message[63] = 1;
    assert_eq!(Join::parse(&message), Err(Malformed::Reserved));
    message[16] = 2;
    assert_eq!(Join::version_of(&message), Some(2));
    assert_eq!(Join::version_of(&message[..24]), Some(2), "another version may have another length");
    assert_eq!(Join::version_of(&message[..23]), None, "no answer is longer than its question");
}

#[test]
fn an_update_fits_everywhere_and_says_what_it_is_of() {
    assert_eq!(UpdateHead::message_len(ENTRIES_MAX), 1184);
    let head = UpdateHead { tick: 3, previous: 2, cell: [4, 5], part: 1, parts: 2 };
    let entry = Entry {
        player: PlayerId(6),
        stamp: 7,
        position: Vector { x: 8.0, y: 9.0, z: 10.0 },
        velocity: Vector { x: -1.0, y: 0.0, z: 1.0 },
        health: 11,
        flags: EntryFlags::FIGHTS,
    };
    let mut message = vec![0; UpdateHead::message_len(2)];
    let (front, rest) = message.split_first_chunk_mut().expect("a head");
    head.write(front, 2, 12);
    for place in rest.as_chunks_mut().0 {
        entry.write(place);
    }
    assert_eq!(message[16..32], [3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 5, 0, 1, 2, 2, 0]);
    assert_eq!(message[32..40], [6, 0, 0, 0, 7, 0, 0, 0]);
    let update = Update::parse(&message).expect("an update");
    assert_eq!(update.head, head);
    assert_eq!(update.entries().collect::<Vec<_>>(), [Ok(entry); 2]);
    assert!(matches!(Update::parse(&message[..message.len() - 1]), Err(Malformed::Size)));
    message[29] = 1;
    assert!(matches!(Update::parse(&message), Err(Malformed::Unknown)));
}

proptest! {
    #[test]
    fn what_is_written_is_read(words in any::<[u32; 12]>(), token: u64, timestamp: u64) {
        let finite = |word: u32| f32::from_bits(word & 0xbfff_ffff);
        let vector = |at: usize| {
            Vector { x: finite(words[at]), y: finite(words[at + 1]), z: finite(words[at + 2]) }
        };
        let player = PlayerId(words[0]);

        let welcome = Welcome {
            version: words[1], player, token: Token(token), tick_rate: words[2], position: vector(3),
            world: finite(words[6]), cell: finite(words[7]), top_speed: finite(words[8]), timeout: words[9],
        };
        let mut message = [0; Welcome::LEN];
        welcome.write(&mut message, timestamp);
        prop_assert_eq!(Welcome::parse(&message), Ok(welcome));
        prop_assert_eq!(Header::parse(&message), Ok(Header { packet_type: PacketType::WELCOME, timestamp }));

        let result = AttackResult {
            attacker: player, target: PlayerId(words[1]), weapon: words[2], outcome: Outcome(words[3]), health: words[4],
        };
        let mut message = [0; AttackResult::LEN];
        result.write(&mut message, timestamp);
        prop_assert_eq!(AttackResult::parse(&message), Ok(result));

        let left = Left { player, position: vector(3), reason: LeftReason(words[1]) };
        let mut message = [0; Left::LEN];
        left.write(&mut message, timestamp);
        prop_assert_eq!(Left::parse(&message), Ok(left));

        let refusal = Refusal { code: ErrorCode(words[0]), detail: words[1] };
        let mut message = [0; Refusal::LEN];
        refusal.write(&mut message, timestamp);
        prop_assert_eq!(Refusal::parse(&message), Ok(refusal));

        let challenge = Challenge { cookie: token.to_le_bytes() };
        let mut message = [0; Challenge::LEN];
        challenge.write(&mut message, timestamp);
        prop_assert_eq!(Challenge::parse(&message), Ok(challenge));

        let attack = Attack { attacker: player, target: PlayerId(words[1]), weapon: words[2] };
        let mut message = [0; Attack::LEN];
        attack.write(&mut message, timestamp);
        prop_assert_eq!(Attack::parse(&message), Ok(attack));
    }

    #[test]
    fn nothing_makes_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (Header::parse(&bytes), Move::parse(&bytes), Attack::parse(&bytes), Chat::parse(&bytes));
        let _ = (Join::parse(&bytes), Leave::parse(&bytes), Ping::parse(&bytes), Welcome::parse(&bytes));
        if let Ok(update) = Update::parse(&bytes) {
            prop_assert!(update.entries().count() <= ENTRIES_MAX);
        }
    }
}
