//! The game's server under any sequence of packets: sources that join, move, fight, talk, leave, come
//! back, fall silent and lie, on a clock that jumps. What is sent is held against what was said.
//!
//! Input: what the world is, then steps of a byte each and what they need.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use gannet::{Lab, Received};
use gannet_game::rules::Rules;
use gannet_game::server::{Game, Setup, Sum};

use crate::bytes::Bytes;
use crate::game_arena::{
    CELL, PORT, Played, WORLD, eight, is_inside, judge_entries, length, message, vector, word,
};
use crate::game_protocol::{TYPES, is_right, repair_size};

/// Turns after which a tick of so few players is over.
const TURNS: usize = 24;
/// How long a player may be silent.
const TIMEOUT: Duration = Duration::from_secs(2);
/// By how much a step moves the clock.
const STEPS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_micros(1),
    Duration::from_millis(10),
    Duration::from_millis(33),
    Duration::from_millis(250),
    Duration::from_millis(600),
    Duration::from_millis(1500),
    Duration::from_secs(4),
];
/// Who sends: two ports of each address, and one that is another family's.
const SOURCES: [&str; 6] = [
    "10.77.0.2:4000",
    "10.77.0.2:4001",
    "10.77.0.3:4000",
    "10.77.0.4:8080",
    "192.0.2.7:4000",
    "[fd00:77::2]:4000",
];

/// A source, and what it was told.
#[derive(Clone, Debug, Default)]
struct Source {
    cookie: [u8; 8],
    /// Who it is, while it is a player; zero else.
    player: u32,
    /// Who it was last, and what shows that.
    was: (u32, [u8; 8]),
    /// That player has left, or is another source now.
    is_gone: bool,
    /// Bytes of payload to the server and from it, since it last was no player.
    sent: usize,
    received: usize,
    /// Where the server has it.
    place: [f32; 3],
    /// When it became a player or lives again, and the metres that it went since.
    since: Duration,
    way: f32,
    /// The last move that it sent.
    sent_move: Step,
    /// The last one that counts, since it became a player here; before that none.
    last_move: Option<Step>,
}

/// A move: what of it has to come back, and when the player made it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Step {
    timestamp: u64,
    /// All that is behind the header.
    body: Vec<u8>,
}

/// The lab, and everybody in it.
struct World {
    lab: Lab<Game>,
    now: Duration,
    /// The timestamp of the last message; each has a later one, and none has zero, which is the server's.
    clock: u64,
    capacity: u32,
    /// An address has one player at most.
    is_bounded: bool,
    top_speed: f32,
    sources: [Source; SOURCES.len()],
    /// All numbers of players that were ever given.
    given: HashSet<u32>,
    /// All that was sent, to be compared with another run.
    transcript: Vec<(SocketAddr, Vec<u8>)>,
}

/// The target.
pub fn game_world(data: &[u8]) {
    World::play(data);
}

impl Played for World {
    const LIMIT: usize = 200;
    type Transcript = Vec<(SocketAddr, Vec<u8>)>;

    fn new(mode: u8) -> Self {
        let capacity = 1 + u32::from(mode & 3);
        let mut rules = Rules::new(capacity, Some(WORLD), CELL).expect("a world");
        rules.timeout = TIMEOUT;
        rules.top_speed = if mode & 4 == 0 { 10.0 } else { 1000.0 };
        rules.seats_per_address = u32::from(mode >> 3 & 1);
        let setup = Setup { rules, players: capacity, seed: [1, mode.into()], lateness: Sum::default() };
        let lab = Lab::new(setup.games(1).remove(0));
        let (top_speed, now, clock, given) = (rules.top_speed, Duration::ZERO, 0, HashSet::new());
        let is_bounded = rules.seats_per_address == 1;
        let (sources, transcript) = (Default::default(), Vec::new());
        Self { lab, now, clock, capacity, is_bounded, top_speed, sources, given, transcript }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let choice = bytes.byte();
        let who = usize::from(choice >> 3) % SOURCES.len();
        match choice & 7 {
            0 => self.join(who),
            1 => self.walk(who, bytes),
            2 => self.attack(who, bytes),
            3 => self.talk(who, bytes),
            4 => self.advance(STEPS[usize::from(choice >> 3) % STEPS.len()]),
            5 => self.leave_or_return(who, bytes.byte()),
            6 => self.lie(who, bytes),
            _ => self.say(who, bytes.short()),
        }
    }

    fn close(self) -> Self::Transcript {
        let (counters, pool) = self.lab.close();
        let all: Vec<_> = counters.non_zero().collect();
        assert!(counters.balance().is_exact(), "{:?} in {all:?}", counters.balance());
        assert!(pool.is_balanced(), "{pool:?}");
        self.transcript
    }
}

impl World {
    /// Joins as the page says, with the cookie.
    fn join(&mut self, who: usize) {
        self.ask_to_join(who, [0; 8], (0, [0; 8]));
        self.ask_to_join(who, self.sources[who].cookie, (0, [0; 8]));
    }

    fn ask_to_join(&mut self, who: usize, cookie: [u8; 8], (player, token): (u32, [u8; 8])) {
        let body = [&1_u32.to_le_bytes()[..], &player.to_le_bytes(), &token, &cookie, &[0; 24]].concat();
        self.say_next(who, 4, &body);
    }

    /// Moves from where it is, by as much as the input says; somewhere near it, mostly. Or says its last
    /// move once more, or one that the last has overtaken.
    fn walk(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let how = bytes.byte();
        let scale = [0.01, 0.1, 0.5, 5.0][usize::from(how & 3)];
        let last = self.sources[who].last_move.clone().unwrap_or_default();
        if how >= 0xf0 && last != Step::default() {
            return self.say(who, &message(1, last.timestamp, &last.body));
        }
        let mut by = || f32::from(bytes.byte() as i8) * scale;
        let place = self.sources[who].place;
        let step = [place[0] + by(), place[1], place[2] + by()];
        let velocity = [by() * 0.1, 0.0, 0.0];
        let numbers = [step, velocity].concat();
        let numbers: Vec<_> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let body = [&self.player(who)[..], &numbers].concat();
        match how {
            0xe0.. => self.say(who, &message(1, last.timestamp.max(1), &body)),
            0xd0.. => self.say(who, &message(1, last.timestamp.saturating_sub(1).max(1), &body)),
            _ => self.say_next(who, 1, &body),
        }
    }

    fn attack(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let (target, weapon) = (bytes.below(SOURCES.len()), u32::from(bytes.byte() % 4));
        let body = [self.player(who), self.player(target), weapon.to_le_bytes()].concat();
        self.say_next(who, 2, &body);
    }

    fn talk(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let text = bytes.short();
        let length = (text.len() as u32).to_le_bytes();
        self.say_next(who, 3, &[&self.player(who)[..], &length, text].concat());
    }

    fn leave_or_return(&mut self, who: usize, how: u8) {
        match how % 4 {
            0 => self.say_next(who, 5, &self.player(who)),
            1 => self.say_next(who, 6, &self.player(who)),
            // As whoever another source is or was.
            _ => {
                let other = usize::from(how >> 2) % SOURCES.len();
                self.ask_to_join(who, [0; 8], (0, [0; 8]));
                self.ask_to_join(who, self.sources[who].cookie, self.sources[other].was);
            }
        }
    }

    /// A message of any type with any body, often in the name of a player.
    fn lie(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let (kind, how) = (TYPES[bytes.below(TYPES.len())], bytes.byte());
        let mut body = bytes.short().to_vec();
        if how & 1 != 0 {
            let player = self.player(usize::from(how >> 1) % SOURCES.len());
            body.iter_mut().zip(player).for_each(|(place, byte)| *place = byte);
        }
        let mut message = message(kind, self.tick(), &body);
        if how & 0x80 == 0 {
            repair_size(&mut message);
        }
        self.say(who, &message);
    }

    fn player(&self, who: usize) -> [u8; 4] {
        self.sources[who].player.to_le_bytes()
    }

    /// The next timestamp.
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Says something later than all before.
    fn say_next(&mut self, who: usize, kind: u32, body: &[u8]) {
        let message = message(kind, self.tick(), body);
        self.say(who, &message);
    }

    fn say(&mut self, who: usize, payload: &[u8]) {
        if let Some(step) = step_of(payload) {
            self.sources[who].sent_move = step;
        }
        if self.lab.send(SOURCES[who], PORT, payload) {
            self.sources[who].sent += payload.len();
        }
        self.lab.turn();
        self.hear();
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.lab.advance(by);
        for _ in 0..TURNS {
            self.hear();
            self.lab.turn();
        }
        self.hear();
    }

    /// Holds everything that came out against the rules.
    fn hear(&mut self) {
        while let Some(received) = self.lab.receive() {
            self.judge(&received);
            self.transcript.push((received.to, received.payload));
        }
        let there = self.sources.iter().filter(|source| source.player != 0).count();
        assert!(there <= self.capacity as usize, "{there} players of {}", self.capacity);
        assert_eq!(there, self.lab.service().players() as usize, "players");
        let players = SOURCES.iter().zip(&self.sources).filter(|(_, source)| source.player != 0);
        let addresses: HashSet<_> =
            players.filter_map(|(from, _)| from.rsplit_once(':')).map(|(address, _)| address).collect();
        assert!(!self.is_bounded || addresses.len() == there, "{there} players of {addresses:?}");
    }

    fn judge(&mut self, received: &Received) {
        let payload = &received.payload;
        let is_its = |name: &&str| name.parse() == Ok(received.to);
        let who = SOURCES.iter().position(is_its).expect("one of the sources");
        assert_eq!(received.from.port(), PORT);
        assert!(is_right(payload), "{payload:02x?}");
        let source = &mut self.sources[who];
        source.received += payload.len();
        let kind = word(payload, 0);
        match kind {
            // Answers to a join are for everybody, and no longer than it.
            104 | 105 | 109 => assert!(payload.len() <= 64),
            _ => assert!(source.player != 0, "{payload:02x?} to a stranger"),
        }
        if source.player == 0 {
            assert!(source.received <= source.sent, "{} for {} bytes", source.received, source.sent);
        }
        match kind {
            101 => self.moved(who, payload),
            107 => self.corrected(who, payload),
            102 => assert!(word(payload, 28) <= 5 && word(payload, 32) <= 100, "{payload:02x?}"),
            104 => self.sources[who].cookie = eight(payload, 16),
            105 => self.welcomed(who, payload),
            108 => self.updated(payload),
            110 => self.left(who, payload),
            _ => {}
        }
    }

    fn welcomed(&mut self, who: usize, payload: &[u8]) {
        let (player, token, place) = (word(payload, 20), eight(payload, 24), vector(payload, 36));
        assert!(player != 0 && is_inside(place), "{payload:02x?}");
        let now = self.now;
        let is_it = |source: &Source| source.was.0 == player && !source.is_gone;
        let before = self.sources.iter().find(|source| is_it(source));
        let (since, way) = before.map_or((now, 0.0), |before| (before.since, before.way));
        if let Some(before) = before {
            assert_eq!(place, before.place, "who comes back is where it was");
        }
        self.given.insert(player);
        // It is one source's from now on.
        self.sources
            .iter_mut()
            .filter(|source| source.was.0 == player)
            .for_each(|source| source.is_gone = true);
        let source = &mut self.sources[who];
        let was = (player, token);
        // Its clock begins anew.
        *source =
            Source { player, was, is_gone: false, place, since, way, last_move: None, ..source.clone() };
    }

    fn left(&mut self, who: usize, payload: &[u8]) {
        let source = &mut self.sources[who];
        assert_eq!((word(payload, 16), vector(payload, 20)), (source.player, source.place));
        // Two is elsewhere.
        assert!(word(payload, 32) <= 2);
        source.is_gone |= word(payload, 32) != 2;
        (source.player, source.sent, source.received) = (0, 0, 0);
    }

    fn moved(&mut self, who: usize, payload: &[u8]) {
        let (now, top_speed) = (self.now, self.top_speed);
        let source = &mut self.sources[who];
        let place = vector(payload, 20);
        assert_eq!(word(payload, 16), source.player, "{payload:02x?}");
        assert_eq!(Step::of(payload), source.sent_move, "the move that it sent");
        if !source.is_later() {
            // It is acknowledged once more, and moves nobody.
            let is_last = source.last_move.as_ref().is_some_and(|last| last.is(&source.sent_move));
            assert!(is_last, "a move that was overtaken: {payload:02x?}");
            return assert_eq!(place, source.place, "where it is");
        }
        source.last_move = Some(source.sent_move.clone());
        assert!(is_inside(place) && length(vector(payload, 32)) <= top_speed * 1.001, "{payload:02x?}");
        source.way += length([0, 1, 2].map(|axis| place[axis] - source.place[axis]));
        source.place = place;
        let passed = (now - source.since).as_secs_f32();
        assert!(source.way <= top_speed * passed * 1.001 + 0.1, "{} m in {passed} s", source.way);
    }

    fn corrected(&mut self, who: usize, payload: &[u8]) {
        let now = self.now;
        let source = &mut self.sources[who];
        let place = vector(payload, 20);
        assert!(word(payload, 16) == source.player && is_inside(place), "{payload:02x?}");
        let answered = u64::from_le_bytes(eight(payload, 8));
        if answered != 0 {
            assert_eq!(answered, source.sent_move.timestamp, "the move that it sent");
            assert!(source.is_later(), "a move that was overtaken is corrected");
        } else if place != source.place {
            (source.place, source.since, source.way) = (place, now, 0.0);
        }
        assert_eq!(place, source.place, "where it is");
    }

    /// Entries are of players that there are or were, in cells around that of the update.
    fn updated(&self, payload: &[u8]) {
        let mut players = judge_entries(payload);
        let len = players.len();
        players.sort_unstable();
        players.dedup();
        assert!(players.len() == len && len <= self.capacity as usize, "{payload:02x?}");
        assert!(players.iter().all(|player| self.given.contains(player)), "{payload:02x?}");
    }
}

impl Source {
    /// Whether the move that it sent is later than the last one that counts; a time of zero is none.
    fn is_later(&self) -> bool {
        let last = self.last_move.as_ref().map_or(0, |last| last.timestamp);
        last == 0 || self.sent_move.timestamp > last
    }
}

impl Step {
    /// That of a message of the length of one.
    fn of(payload: &[u8]) -> Self {
        Self { timestamp: u64::from_le_bytes(eight(payload, 8)), body: payload[16..].to_vec() }
    }

    /// Whether it is the same move of the same time; there are two zeros.
    fn is(&self, other: &Self) -> bool {
        let [own, its] = [self, other].map(|step| [4, 16].map(|at| vector(&step.body, at)));
        self.timestamp == other.timestamp && own == its
    }
}

/// The move, if that is one.
fn step_of(payload: &[u8]) -> Option<Step> {
    (payload.len() == 44 && word(payload, 0) == 1).then(|| Step::of(payload))
}

#[cfg(test)]
mod tests {
    use gannet_game::counters::Event;

    use super::*;

    #[test]
    fn a_move_counts_once_and_never_behind_a_later_one() {
        let (join, walk, later) = (0, 1, 4 | 5 << 3);
        let (again, overtaken, another) = ([walk, 0xf0], [walk, 0xd0, 9, 9, 9], [walk, 0xe0, 9, 9, 9]);
        let steps = [&again[..], &overtaken, &another, &[walk, 0, 0, 0, 0]].concat();
        let world = World::played(&[&[6, join, later, walk, 0, 20, 20, 5][..], &steps].concat());
        let answers: Vec<_> = world.transcript.iter().filter(|(_, said)| word(said, 0) == 101).collect();
        assert_eq!(answers.len(), 3, "{answers:02x?}");
        assert!(answers[0] == answers[1] && answers[1] != answers[2], "{answers:02x?}");
        let count = |event| world.lab.service().counters().count(event);
        assert_eq!((count(Event::Moved), count(Event::DropOvertaken)), (2, 2));
    }

    #[test]
    fn the_seeds_reach_what_the_game_is_about() {
        let worlds: Vec<_> = crate::seeds::of::game_world().iter().map(|seed| World::played(seed)).collect();
        for event in [
            Event::Joined,
            Event::Rejoined,
            Event::Refused,
            Event::AddressFull,
            Event::Left,
            Event::TimedOut,
            Event::Moved,
            Event::Corrected,
            Event::Hit,
            Event::Killed,
            Event::Revived,
            Event::Told,
            Event::Updates,
            Event::DropStranger,
            Event::DropOvertaken,
            Event::DropTooTalkative,
            Event::DropUnknownType,
        ] {
            let count = |world: &World| world.lab.service().counters().count(event);
            assert!(worlds.iter().any(|world| count(world) > 0), "{}", event.name());
        }
    }
}
