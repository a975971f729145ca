//! Bots on the virtual clock, with a server whose every message the test makes by hand; in [`play`]
//! with the real one.

mod play;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use gannet::Lab;
use gannet_game::protocol::{
    Attack, AttackResult, Challenge, Chat, Entry, EntryFlags, ErrorCode, Header, Join, Left, LeftReason,
    Move, Outcome, PacketType, PlayerId, Refusal, Token, Update, UpdateHead, VERSION, Vector, Welcome,
    set_type,
};

use super::addresses::Addresses;
use super::board::Board;
use super::books::Habits;
use super::output::Limits;
use super::swarm::{Parts, Swarm};
use super::tally::{Counts, Tally};

const SERVER: &str = "10.77.0.2:8080";
const PORT: u16 = 49_152;
const PLAYER: PlayerId = PlayerId(77);
/// Where the server puts the player: in the cell [1, 1].
const START: Vector = Vector { x: 75.0, y: 1.0, z: 75.0 };
const MS: u64 = 1_000_000;
const STRICT: Limits = Limits { loss: 0.0, late: 0.0 };

fn habits() -> Habits {
    Habits {
        to: SERVER.parse().expect("valid"),
        rate: 10.0,
        speed: 5.0,
        gather: Some(10.0),
        attacks: 0.0,
        chats: 0.0,
        session: None,
        ramp: 0,
        seed: 1,
    }
}

/// A bot, and its server in the test's hands.
struct Stage {
    lab: Lab<Swarm>,
    board: Arc<Board>,
    results: Receiver<Box<Tally>>,
}

impl Stage {
    fn new(habits: Habits) -> Self {
        let board = Arc::new(Board::new(1, 1));
        let own = [Lab::<Swarm>::ADDRESS.into()];
        let addresses = Addresses::new(habits.to, &own, 1, Some(PORT)).expect("room");
        let parts = Parts {
            lcore: 0,
            lcores: 1,
            board: Arc::clone(&board),
            addresses: Arc::new(addresses),
            habits: Arc::new(habits),
        };
        let (sender, results) = unbounded();
        let mut stage = Self { lab: Lab::new(Swarm::new(parts, sender)), board, results };
        stage.board.begins.store(true, Relaxed);
        stage.wait(1);
        // The server's MAC address was asked for.
        stage.said();
        stage
    }

    /// One that plays, at 1 ms of the clock and a turn of the wheel each 100 ms.
    fn playing(habits: Habits) -> Self {
        let mut stage = Self::new(habits);
        stage.say(&challenge(0));
        stage.said();
        stage.say(&welcome());
        stage
    }

    fn wait(&mut self, milliseconds: u64) {
        self.lab.advance(Duration::from_millis(milliseconds));
        self.lab.turn();
    }

    fn say(&mut self, message: &[u8]) {
        assert!(self.lab.send(SERVER, PORT, message));
        self.lab.turn();
    }

    /// What the bot has said.
    fn said(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.lab.receive()).map(|received| received.payload).collect()
    }

    /// The next move, 100 ms later.
    fn next_move(&mut self) -> Vec<u8> {
        self.wait(100);
        let said = self.said();
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(packet_type(&said[0]), PacketType::PLAYER_MOVE);
        said[0].clone()
    }

    fn acknowledge(&mut self, message: &[u8]) {
        let mut answer = message.to_vec();
        set_type(&mut answer, PacketType::MOVE_ACK);
        self.say(&answer);
    }

    /// Has it leave, and gives what it says last.
    fn close(&mut self) -> Vec<u8> {
        self.board.closes.store(true, Relaxed);
        // One round to hear of it, one to leave.
        (0..3).for_each(|_| self.wait(100));
        self.said().into_iter().find(|message| packet_type(message) == PacketType::LEAVE).expect("a leave")
    }

    fn end(self) -> Tally {
        let Self { lab, results, .. } = self;
        let (counters, pool) = lab.close();
        assert!(counters.balance().is_exact() && pool.is_balanced());
        *results.try_recv().expect("a tally")
    }

    fn counts(self) -> Counts {
        self.end().counts
    }
}

fn packet_type(message: &[u8]) -> PacketType {
    Header::parse(message).expect("a header").packet_type
}

fn challenge(timestamp: u64) -> [u8; Challenge::LEN] {
    let mut message = [0; Challenge::LEN];
    Challenge { cookie: *b"a cookie" }.write(&mut message, timestamp);
    message
}

fn welcome() -> [u8; Welcome::LEN] {
    let mut message = [0; Welcome::LEN];
    let welcome = Welcome {
        version: VERSION,
        player: PLAYER,
        token: Token(5),
        tick_rate: 20,
        position: START,
        world: 150.0,
        cell: 50.0,
        top_speed: 10.0,
        timeout: 10_000,
    };
    welcome.write(&mut message, 0);
    message
}

fn head(tick: u32, previous: u32) -> UpdateHead {
    UpdateHead { tick, previous, cell: [1, 1], part: 0, parts: 1 }
}

fn entry(player: PlayerId, stamp: u32, position: Vector) -> Entry {
    Entry { player, stamp, position, health: 100, ..Entry::default() }
}

fn update(head: UpdateHead, entries: &[Entry]) -> Vec<u8> {
    let mut message = vec![0; UpdateHead::message_len(entries.len())];
    let (front, rest) = message.split_first_chunk_mut().expect("a head");
    head.write(front, entries.len(), 0);
    rest.as_chunks_mut().0.iter_mut().zip(entries).for_each(|(place, entry)| entry.write(place));
    assert!(Update::parse(&message).is_ok());
    message
}

fn left(position: Vector, reason: LeftReason) -> [u8; Left::LEN] {
    let mut message = [0; Left::LEN];
    Left { player: PLAYER, position, reason }.write(&mut message, 0);
    message
}

/// What the strictest checks say of a tally.
fn violations(tally: &Tally) -> String {
    STRICT.violations(tally).join("; ")
}

// ---- coming ------------------------------------------------------------------------------

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

// ---- moves -------------------------------------------------------------------------------

#[test]
fn moves_leave_on_schedule_and_their_answers_are_timed_from_it() {
    let mut stage = Stage::playing(habits());
    let mut place = START;
    // The clock is behind the schedule by 7 ms from now on.
    stage.wait(7);
    for number in 1..=20 {
        let message = stage.next_move();
        let header = Header::parse(&message).expect("a header");
        assert_eq!(header.timestamp, (1 + 100 * number) * MS);
        let moved = Move::parse(&message).expect("a move");
        assert!((moved.position - place).square().sqrt() <= 0.501 && moved.position.y == 1.0);
        assert!((moved.velocity.square().sqrt() - 5.0).abs() < 0.01);
        place = moved.position;
        stage.acknowledge(&message);
    }
    let tally = stage.end();
    assert_eq!((tally.counts.moves, tally.counts.acknowledged), (20, 20));
    assert!(tally.round_trips.min() >= 6 * MS && tally.lateness.min() >= 6 * MS, "{:?}", tally.round_trips);
}

#[test]
fn an_acknowledgement_of_another_move_is_counted() {
    let mut stage = Stage::playing(habits());
    let mut message = stage.next_move();
    message[24] ^= 1;
    stage.acknowledge(&message);
    let mut unknown = stage.next_move();
    unknown[8] ^= 1;
    stage.acknowledge(&unknown);
    let tally = stage.end();
    assert_eq!((tally.counts.wrong_acknowledgements, tally.counts.acknowledged), (2, 0));
    assert!(violations(&tally).contains("2 acknowledgements are not their move"));
}

#[test]
fn one_that_comes_twice_counts_once() {
    let mut stage = Stage::playing(habits());
    let message = stage.next_move();
    (0..2).for_each(|_| stage.acknowledge(&message));
    let counts = stage.counts();
    assert_eq!((counts.acknowledged, counts.late_acknowledgements, counts.wrong_acknowledgements), (1, 1, 0));
}

#[test]
fn a_corrected_bot_goes_on_from_where_the_server_has_it() {
    let mut stage = Stage::playing(habits());
    let message = stage.next_move();
    let place = Vector { x: 80.0, y: 2.0, z: 70.0 };
    let correction = Move { player: PLAYER, position: place, velocity: Vector::default() };
    let mut answer = [0; Move::LEN];
    let timestamp = Header::parse(&message).expect("a header").timestamp;
    correction.write(&mut answer, PacketType::CORRECTION, timestamp);
    stage.say(&answer);
    let next = Move::parse(&stage.next_move()).expect("a move");
    assert!((next.position - place).square().sqrt() <= 0.501);
    let counts = stage.counts();
    assert_eq!((counts.corrected, counts.respawns, counts.moves_pending), (1, 0, 1));
}

// ---- updates -----------------------------------------------------------------------------

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

// ---- fights and words --------------------------------------------------------------------

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

// ---- leaving -----------------------------------------------------------------------------

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
