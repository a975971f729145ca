//! `docs/game-protocol.md` says what the code says: its tables are read and held against messages
//! that the code writes.

use super::*;

const PAGE: &str = include_str!("../../../docs/game-protocol.md");

/// A table's rows below its head, as words.
type Rows = Vec<Vec<&'static str>>;

fn cells(line: &'static str) -> Vec<&'static str> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
}

/// The lines of the section with that heading.
fn section(heading: &str) -> impl Iterator<Item = &'static str> {
    let lines = PAGE.lines().skip_while(move |line| line.trim_start_matches('#').trim() != heading);
    lines.skip(1).take_while(|line| !line.starts_with('#'))
}

/// The table of a section whose first column has that name. `nth` counts those that have.
fn table(heading: &str, first: &str, nth: usize) -> Rows {
    let begins = |line: &&'static str| line.starts_with('|') && cells(line)[0] == first;
    let heads = section(heading).enumerate().filter(|(_, line)| begins(line));
    let (at, _) = heads.into_iter().nth(nth).unwrap_or_else(|| panic!("{heading}: no table of {first}"));
    section(heading).skip(at + 2).take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The bytes of a type; `None` where the field says it.
fn type_len(name: &str) -> Option<usize> {
    let types = table("Types of fields", "type", 0);
    let row = types.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("no type {name}"));
    row[1].parse().ok()
}

/// A field's name, its type and what the message has there.
type Field = (&'static str, &'static str, Vec<u8>);

/// Holds a table of fields against a message that was written with values of its own in each.
fn hold(heading: &str, nth: usize, message: &[u8], begin: usize, fields: &[Field]) {
    let rows = table(heading, "offset", nth);
    assert_eq!(rows.len(), fields.len(), "fields of {heading}");
    let mut at = begin;
    for (row, (name, kind, value)) in rows.iter().zip(fields) {
        let len = value.len();
        assert_eq!((row[3], row[2]), (*name, *kind), "{heading}");
        assert_eq!(row[0], at.to_string(), "the offset of {name} in {heading}");
        match type_len(kind) {
            Some(bytes) => assert_eq!((row[1], bytes), (&*len.to_string(), len), "{name} in {heading}"),
            None => assert!(row[1] == "any" || row[1] == len.to_string(), "{name} in {heading}"),
        }
        assert_eq!(message[at..at + len], value[..], "{name} in {heading}");
        at += len;
    }
    assert_eq!(at, message.len(), "bytes of {heading}");
}

fn word(name: &'static str, value: u32) -> Field {
    (name, "u32", value.to_le_bytes().into())
}

fn long(name: &'static str, value: u64) -> Field {
    (name, "u64", value.to_le_bytes().into())
}

fn number(name: &'static str, value: f32) -> Field {
    (name, "f32", value.to_le_bytes().into())
}

fn three(name: &'static str, vector: Vector) -> Field {
    let Vector { x, y, z } = vector;
    (name, "vector", [x, y, z].map(f32::to_le_bytes).concat())
}

/// A vector of numbers that are nowhere else.
const fn vector(from: u8) -> Vector {
    Vector { x: from as f32 + 0.25, y: from as f32 + 0.5, z: from as f32 + 0.75 }
}

const PLAYER: PlayerId = PlayerId(0x0102_0304);
const OTHER: PlayerId = PlayerId(0x0506_0708);

#[test]
fn the_header_is_as_on_the_page() {
    let mut message = [0; HEADER_LEN];
    Header { packet_type: PacketType(0x0a0b_0c0d), timestamp: 0x0102_0304_0506_0708 }.write(&mut message, 77);
    let fields =
        [word("packet_type", 0x0a0b_0c0d), word("packet_size", 77), long("timestamp", 0x0102_0304_0506_0708)];
    hold("Header", 0, &message, 0, &fields);
}

#[test]
fn what_players_say_is_as_on_the_page() {
    let step = Move { player: PLAYER, position: vector(1), velocity: vector(2) };
    let mut message = [0; Move::LEN];
    step.write(&mut message, PacketType::PLAYER_MOVE, 0);
    let fields = [word("player", PLAYER.0), three("position", vector(1)), three("velocity", vector(2))];
    hold("`PLAYER_MOVE`, `MOVE_ACK`, `CORRECTION`", 0, &message, HEADER_LEN, &fields);

    let mut message = [0; Attack::LEN];
    Attack { attacker: PLAYER, target: OTHER, weapon: 9 }.write(&mut message, 0);
    let fields = [word("attacker", PLAYER.0), word("target", OTHER.0), word("weapon", 9)];
    hold("`PLAYER_ATTACK`", 0, &message, HEADER_LEN, &fields);

    let chat = Chat { player: PLAYER, text: "words" };
    let mut message = vec![0; chat.len()];
    chat.write(&mut message, PacketType::CHAT_MESSAGE, 0);
    let fields = [word("player", PLAYER.0), word("length", 5), ("text", "text", b"words".into())];
    hold("`CHAT_MESSAGE`, `CHAT`", 0, &message, HEADER_LEN, &fields);

    let mut message = [0xff; Join::LEN];
    Join { version: VERSION, player: PLAYER, token: Token(77), cookie: *b"a cookie" }.write(&mut message, 0);
    let fields = [
        word("version", VERSION),
        word("player", PLAYER.0),
        long("token", 77),
        ("cookie", "bytes", b"a cookie".into()),
        ("reserved", "bytes", [0; 24].into()),
    ];
    hold("`JOIN`", 0, &message, HEADER_LEN, &fields);

    let mut message = [0; Leave::LEN];
    Leave { player: PLAYER }.write(&mut message, 0);
    hold("`LEAVE`", 0, &message, HEADER_LEN, &[word("player", PLAYER.0)]);
    Ping { player: PLAYER }.write(&mut message, 0);
    hold("`PING`, `PONG`", 0, &message, HEADER_LEN, &[word("player", PLAYER.0)]);
}

#[test]
fn what_the_server_says_is_as_on_the_page() {
    let mut message = [0; Challenge::LEN];
    Challenge { cookie: *b"a cookie" }.write(&mut message, 0);
    hold("`CHALLENGE`", 0, &message, HEADER_LEN, &[("cookie", "bytes", b"a cookie".into())]);

    let (position, token) = (vector(1), Token(77));
    let welcome = Welcome {
        version: 5,
        player: PLAYER,
        token,
        tick_rate: 6,
        position,
        world: 7.5,
        cell: 8.5,
        top_speed: 9.5,
        timeout: 10,
    };
    let mut message = [0; Welcome::LEN];
    welcome.write(&mut message, 0);
    let fields = [
        word("version", 5),
        word("player", PLAYER.0),
        long("token", 77),
        word("tick_rate", 6),
        three("position", position),
        number("world", 7.5),
        number("cell", 8.5),
        number("top_speed", 9.5),
        word("timeout", 10),
    ];
    hold("`WELCOME`", 0, &message, HEADER_LEN, &fields);

    let result =
        AttackResult { attacker: PLAYER, target: OTHER, weapon: 9, outcome: Outcome(10), health: 11 };
    let mut message = [0; AttackResult::LEN];
    result.write(&mut message, 0);
    let fields = [
        word("attacker", PLAYER.0),
        word("target", OTHER.0),
        word("weapon", 9),
        word("outcome", 10),
        word("health", 11),
    ];
    hold("`ATTACK_RESULT`", 0, &message, HEADER_LEN, &fields);

    let mut message = [0; Refusal::LEN];
    Refusal { code: ErrorCode(5), detail: 6 }.write(&mut message, 0);
    hold("`ERROR`", 0, &message, HEADER_LEN, &[word("code", 5), word("detail", 6)]);

    let mut message = [0; Left::LEN];
    Left { player: PLAYER, position, reason: LeftReason(5) }.write(&mut message, 0);
    let fields = [word("player", PLAYER.0), three("position", position), word("reason", 5)];
    hold("`LEFT`", 0, &message, HEADER_LEN, &fields);
}

#[test]
fn an_update_and_its_entries_are_as_on_the_page() {
    let two = |name: &'static str, value: u16| -> Field { (name, "u16", value.to_le_bytes().into()) };
    let one = |name: &'static str, value: u8| -> Field { (name, "u8", vec![value]) };
    let head = UpdateHead { tick: 0x0102_0304, previous: 5, cell: [0x0607, 0x0809], part: 10, parts: 11 };
    let mut message = [0; UpdateHead::LEN];
    head.write(&mut message, 12, 0);
    let fields = [
        word("tick", 0x0102_0304),
        word("previous", 5),
        two("cell_east", 0x0607),
        two("cell_north", 0x0809),
        one("part", 10),
        one("parts", 11),
        two("count", 12),
    ];
    hold("`UPDATE`", 0, &message, HEADER_LEN, &fields);

    let (position, velocity) = (vector(1), vector(2));
    let flags = EntryFlags(0x0506);
    let entry = Entry { player: PLAYER, stamp: 9, position, velocity, health: 0x0304, flags };
    let mut message = [0; Entry::LEN];
    entry.write(&mut message);
    let fields = [
        word("player", PLAYER.0),
        word("stamp", 9),
        three("position", position),
        three("velocity", velocity),
        two("health", 0x0304),
        two("flags", 0x0506),
    ];
    hold("`UPDATE`", 1, &message, 0, &fields);
    assert!(PAGE.contains(&format!("`count` entries of {} bytes", Entry::LEN)));
    assert!(PAGE.contains(&format!("at most {ENTRIES_MAX}")));
}

#[test]
fn every_message_is_on_the_page() {
    let shortest_chat = Chat { player: PLAYER, text: "a" }.len();
    let messages = [
        ("PLAYER_MOVE", PacketType::PLAYER_MOVE, "player", Move::LEN, Move::LEN),
        ("PLAYER_ATTACK", PacketType::PLAYER_ATTACK, "player", Attack::LEN, Attack::LEN),
        ("CHAT_MESSAGE", PacketType::CHAT_MESSAGE, "player", shortest_chat, Chat::MAX_LEN),
        ("JOIN", PacketType::JOIN, "player", Join::LEN, Join::LEN),
        ("LEAVE", PacketType::LEAVE, "player", Leave::LEN, Leave::LEN),
        ("PING", PacketType::PING, "player", Ping::LEN, Ping::LEN),
        ("MOVE_ACK", PacketType::MOVE_ACK, "server", Move::LEN, Move::LEN),
        ("ATTACK_RESULT", PacketType::ATTACK_RESULT, "server", AttackResult::LEN, AttackResult::LEN),
        ("CHAT", PacketType::CHAT, "server", shortest_chat, Chat::MAX_LEN),
        ("CHALLENGE", PacketType::CHALLENGE, "server", Challenge::LEN, Challenge::LEN),
        ("WELCOME", PacketType::WELCOME, "server", Welcome::LEN, Welcome::LEN),
        ("PONG", PacketType::PONG, "server", Ping::LEN, Ping::LEN),
        ("CORRECTION", PacketType::CORRECTION, "server", Move::LEN, Move::LEN),
        ("UPDATE", PacketType::UPDATE, "server", UpdateHead::LEN, UpdateHead::message_len(ENTRIES_MAX)),
        ("ERROR", PacketType::ERROR, "server", Refusal::LEN, Refusal::LEN),
        ("LEFT", PacketType::LEFT, "server", Left::LEN, Left::LEN),
    ];
    let rows = table("Messages", "number", 0);
    assert_eq!(rows.len(), messages.len());
    for (row, (name, packet_type, from, shortest, longest)) in rows.iter().zip(messages) {
        let bytes =
            if shortest == longest { shortest.to_string() } else { format!("{shortest} to {longest}") };
        assert_eq!(row[..4], [&*packet_type.0.to_string(), name, from, &bytes]);
    }
    let longest = messages.iter().map(|message| message.4).max().expect("some");
    assert!(PAGE.contains("longer than 1,184 bytes") && longest == 1184);
}

/// The numbers with a meaning in a section's table, and their names.
fn names(heading: &str, first: &str) -> Vec<(u32, &'static str)> {
    let rows = table(heading, first, 0);
    rows.iter().map(|row| (row[0].parse().expect("a number"), row[1])).collect()
}

#[test]
fn numbers_mean_what_the_page_says() {
    let outcomes = [
        (Outcome::HIT.0, "HIT"),
        (Outcome::KILLED.0, "KILLED"),
        (Outcome::OUT_OF_RANGE.0, "OUT_OF_RANGE"),
        (Outcome::TOO_EARLY.0, "TOO_EARLY"),
        (Outcome::NO_TARGET.0, "NO_TARGET"),
        (Outcome::DEAD.0, "DEAD"),
    ];
    assert_eq!(names("`ATTACK_RESULT`", "outcome"), outcomes);
    let codes = [
        (ErrorCode::VERSION.0, "VERSION"),
        (ErrorCode::FULL.0, "FULL"),
        (ErrorCode::UNKNOWN_PLAYER.0, "UNKNOWN_PLAYER"),
        (ErrorCode::ADDRESS_FULL.0, "ADDRESS_FULL"),
    ];
    assert_eq!(names("`ERROR`", "code"), codes);
    let reasons = [
        (LeftReason::ASKED.0, "ASKED"),
        (LeftReason::SILENT.0, "SILENT"),
        (LeftReason::ELSEWHERE.0, "ELSEWHERE"),
    ];
    assert_eq!(names("`LEFT`", "reason"), reasons);
    let flags = [(EntryFlags::FIGHTS.0.into(), "FIGHTS"), (EntryFlags::DEAD.0.into(), "DEAD")];
    assert_eq!(names("`UPDATE`", "bit"), flags);
    assert!(PAGE.contains(&format!("The version is {VERSION}.")));
    assert!(PAGE.contains(&format!("port {DEFAULT_PORT} unless")));
    assert!(PAGE.contains(&format!("bytes of the text, 1 to {MAX_TEXT_LEN};")));
}
