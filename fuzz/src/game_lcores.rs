//! The game's server on several lcores under any sequence of packets: players on all of them, who fight, talk
//! and come back across, with rings between that run full while an lcore stands still.
//!
//! Input: how many lcores and places there are, then steps of a byte each and what they need.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use gannet::{GuardConfig, Lab, Received, Role};
use gannet_game::counters::Event;
use gannet_game::rules::Rules;
use gannet_game::server::{Game, Setup, Sum};

use crate::bytes::Bytes;
use crate::game_arena::{CELL, PORT, Played, WORLD, eight, is_inside, judge_entries, message, vector, word};
use crate::game_protocol::is_right;

/// How many steps are storms at most.
const STORMS: usize = 3;
/// More than a ring between lcores holds.
const FULL: usize = if cfg!(fuzzing) { 20 } else { 1100 };
/// Turns after which a tick of so few players is over.
const TURNS: usize = 24;
const TIMEOUT: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_nanos(33_333_334);
/// By how much a step moves the clock.
const STEPS: [Duration; 4] =
    [Duration::from_millis(10), TICK, Duration::from_millis(600), Duration::from_secs(3)];
/// Who sends: the lcore that a source reaches is its place here, in turn.
const SOURCES: [&str; 8] = [
    "10.77.0.2:4000",
    "10.77.0.2:4001",
    "10.77.0.3:4000",
    "10.77.0.3:4001",
    "10.77.0.4:4000",
    "[fd00:77::2]:4000",
    "10.77.0.5:4000",
    "10.77.0.5:4001",
];

/// A source as one lcore has it.
#[derive(Clone, Copy, Debug, Default)]
struct Guest {
    cookie: [u8; 8],
    /// Who it is there; zero is nobody.
    player: u32,
    token: [u8; 8],
    /// Bytes of payload to the lcore, and from it while it was no player. What it asked for may come when it has
    /// been somebody else meanwhile.
    sent: usize,
    received: usize,
}

/// What an update was told to, and as which: an lcore's tick.
type Told = (SocketAddr, usize, u32);

struct World {
    labs: Vec<Lab<Game>>,
    /// How far each lcore's clock is behind.
    behind: Vec<Duration>,
    /// The lcore that what a source sends reaches.
    reached: [usize; SOURCES.len()],
    capacity: u32,
    clock: u64,
    storms: usize,
    /// By source and lcore.
    guests: [Vec<Guest>; SOURCES.len()],
    /// All numbers that were ever given, and where each player is by its token.
    given: HashSet<u32>,
    places: HashMap<[u8; 8], [f32; 3]>,
    /// Who was named to whom, in the last tick of each.
    named: HashMap<Told, HashSet<u32>>,
    transcript: Vec<(usize, SocketAddr, Vec<u8>)>,
}

/// The target.
pub fn game_lcores(data: &[u8]) {
    World::play(data);
}

impl Played for World {
    const LIMIT: usize = 160;
    type Transcript = Vec<(usize, SocketAddr, Vec<u8>)>;

    fn new(mode: u8) -> Self {
        let lcores = 2 + usize::from(mode & 1);
        let capacity = 2 + u32::from(mode >> 1 & 3);
        let mut rules = Rules::new(capacity, Some(WORLD), CELL).expect("a world");
        (rules.timeout, rules.top_speed) = (TIMEOUT, 1000.0);
        rules.seats_per_address = u32::from(mode >> 3 & 1);
        let setup = Setup { rules, players: capacity, seed: [2, mode.into()], lateness: Sum::default() };
        // Storms are faster than any rate.
        let lab = |game| Lab::with(game, |config| config.guards = GuardConfig::OFF.resolve(Role::Stateful));
        Self {
            labs: setup.games(lcores as u32).into_iter().map(lab).collect(),
            behind: vec![Duration::ZERO; lcores],
            reached: std::array::from_fn(|source| source % lcores),
            capacity,
            clock: 0,
            storms: STORMS,
            guests: std::array::from_fn(|_| vec![Guest::default(); lcores]),
            given: HashSet::new(),
            places: HashMap::new(),
            named: HashMap::new(),
            transcript: Vec::new(),
        }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let choice = bytes.byte();
        let who = usize::from(choice >> 3) % SOURCES.len();
        match choice & 7 {
            0 => self.join_as(who, (0, [0; 8])),
            1 => self.walk(who, bytes),
            2 => self.attack(who, bytes),
            3 => self.talk(who, bytes),
            4 => self.advance(STEPS[usize::from(choice >> 3 & 3)], choice >> 5),
            5 => self.come_back(who, bytes),
            6 => self.storm(who, bytes),
            _ => self.leave_or_turn(who, bytes.byte()),
        }
    }

    /// The books at the end: who came is there or has gone, and every seat is somebody's or free.
    fn close(mut self) -> Self::Transcript {
        self.settle();
        let sum = |event| {
            let counts = self.labs.iter().map(|lab| lab.service().counters().count(event));
            counts.sum::<u64>()
        };
        let gone = sum(Event::Left) + sum(Event::TimedOut) + sum(Event::Forsaken);
        assert_eq!(sum(Event::Joined) - gone, u64::from(self.players()), "who came and went");
        self.fill();
        for lab in self.labs {
            let (counters, pool) = lab.close();
            assert!(counters.balance().is_exact(), "{:?}", counters.non_zero().collect::<Vec<_>>());
            assert!(pool.is_balanced(), "{pool:?}");
        }
        self.transcript
    }
}

impl World {
    /// Joins, as somebody or as nobody yet.
    fn join_as(&mut self, who: usize, was: (u32, [u8; 8])) {
        self.ask_to_join(who, [0; 8], was);
        let cookie = self.guest(who).cookie;
        self.ask_to_join(who, cookie, was);
    }

    fn ask_to_join(&mut self, who: usize, cookie: [u8; 8], (player, token): (u32, [u8; 8])) {
        let body = [&1_u32.to_le_bytes()[..], &player.to_le_bytes(), &token, &cookie, &[0; 24]].concat();
        self.say(who, 4, &body);
    }

    /// Whoever another source is, on any lcore; with the wrong token now and then.
    fn come_back(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let (other, how) = (bytes.below(SOURCES.len()), bytes.byte());
        let lcore = usize::from(how) % self.labs.len();
        let Guest { player, mut token, .. } = self.guests[other][lcore];
        token[0] ^= u8::from(how > 0xf0);
        self.join_as(who, (player, token));
    }

    /// Asks for a player of another lcore again and again, which fills the ring to it.
    fn storm(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let (other, how) = (bytes.below(SOURCES.len()), bytes.byte());
        let Some(left) = self.storms.checked_sub(1) else { return };
        self.storms = left;
        let lcore = usize::from(how >> 2) % self.labs.len();
        let Guest { player, token, .. } = self.guests[other][lcore];
        self.ask_to_join(who, [0; 8], (player, token));
        let cookie = self.guest(who).cookie;
        for _ in 0..[4, 8, 12, FULL][usize::from(how & 3)] {
            self.ask_to_join(who, cookie, (player, token));
        }
    }

    fn walk(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let guest = *self.guest(who);
        let place = self.places.get(&guest.token).copied().unwrap_or_default();
        let mut by = || f32::from(bytes.byte() as i8) * 0.2;
        let to = [place[0] + by(), place[1], place[2] + by(), 0.0, 0.0, 0.0];
        let numbers: Vec<_> = to.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.say(who, 1, &[&guest.player.to_le_bytes()[..], &numbers].concat());
    }

    fn attack(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let (other, how) = (bytes.below(SOURCES.len()), bytes.byte());
        let target = self.guests[other][usize::from(how >> 2) % self.labs.len()].player;
        let weapon = u32::from(how & 3);
        let body = [self.guest(who).player, target, weapon].map(u32::to_le_bytes).concat();
        self.say(who, 2, &body);
    }

    fn talk(&mut self, who: usize, bytes: &mut Bytes<'_>) {
        let text = bytes.slice(3);
        let length = (text.len() as u32).to_le_bytes();
        self.say(who, 3, &[&self.guest(who).player.to_le_bytes()[..], &length, text].concat());
    }

    /// Leaves, or pings; or the NIC has its datagrams reach another lcore from now on.
    fn leave_or_turn(&mut self, who: usize, how: u8) {
        let player = self.guest(who).player.to_le_bytes();
        match how % 4 {
            0 => self.say(who, 5, &player),
            1 | 2 => self.say(who, 6, &player),
            _ => self.reached[who] = usize::from(how >> 2) % self.labs.len(),
        }
    }

    fn guest(&self, who: usize) -> &Guest {
        &self.guests[who][self.reached[who]]
    }

    fn say(&mut self, who: usize, kind: u32, body: &[u8]) {
        self.clock += 1;
        let (lcore, payload) = (self.reached[who], message(kind, self.clock, body));
        if self.labs[lcore].send(SOURCES[who], PORT, &payload) {
            self.guests[who][lcore].sent += payload.len();
        }
        self.labs[lcore].turn();
        self.hear(lcore);
    }

    /// Time passes. Some lcores may stand still meanwhile, and catch up later.
    fn advance(&mut self, by: Duration, resting: u8) {
        self.behind.iter_mut().for_each(|behind| *behind += by);
        for lcore in 0..self.labs.len() {
            if resting >> lcore & 1 == 0 {
                self.catch_up(lcore);
            }
        }
    }

    fn catch_up(&mut self, lcore: usize) {
        self.labs[lcore].advance(std::mem::take(&mut self.behind[lcore]));
        for _ in 0..TURNS {
            self.hear(lcore);
            self.labs[lcore].turn();
        }
        self.hear(lcore);
    }

    /// Holds everything that came out of an lcore against the rules.
    fn hear(&mut self, lcore: usize) {
        while let Some(received) = self.labs[lcore].receive() {
            self.judge(lcore, &received);
            self.transcript.push((lcore, received.to, received.payload));
        }
        let there = self.guests.iter().filter(|guests| guests[lcore].player != 0).count();
        assert_eq!(there, self.labs[lcore].service().players() as usize, "players of {lcore}");
        assert!(self.players() <= self.capacity, "{} players of {}", self.players(), self.capacity);
    }

    fn players(&self) -> u32 {
        self.labs.iter().map(|lab| lab.service().players()).sum()
    }

    fn judge(&mut self, lcore: usize, received: &Received) {
        let payload = &received.payload;
        let is_its = |name: &&str| name.parse() == Ok(received.to);
        let who = SOURCES.iter().position(is_its).expect("one of the sources");
        assert!(is_right(payload), "{payload:02x?}");
        let guest = &mut self.guests[who][lcore];
        let kind = word(payload, 0);
        let is_answer = matches!(kind, 104 | 105 | 109);
        assert!(is_answer && payload.len() <= 64 || guest.player != 0, "{payload:02x?} to a stranger");
        if guest.player == 0 {
            guest.received += payload.len();
            assert!(guest.received <= guest.sent, "{} for {} bytes", guest.received, guest.sent);
        }
        match kind {
            101 | 107 => self.moved((who, lcore), payload),
            102 => assert!(word(payload, 28) <= 5 && word(payload, 32) <= 100, "{payload:02x?}"),
            104 => guest.cookie = eight(payload, 16),
            105 => self.welcomed((who, lcore), payload),
            108 => self.updated((received.to, lcore), payload),
            110 => self.left((who, lcore), payload),
            _ => {}
        }
    }

    fn welcomed(&mut self, (who, lcore): (usize, usize), payload: &[u8]) {
        let (player, token, place) = (word(payload, 20), eight(payload, 24), vector(payload, 36));
        assert!(player != 0 && is_inside(place), "{payload:02x?}");
        assert_eq!((player >> 20 & 63) as usize, lcore, "it is this lcore's");
        let before = self.places.insert(token, place);
        assert!(before.is_none_or(|before| before == place), "who comes back is where it was");
        self.given.insert(player);
        let guest = &mut self.guests[who][lcore];
        (guest.player, guest.token) = (player, token);
        let bearers = self.guests.iter().flatten().filter(|guest| guest.player != 0 && guest.token == token);
        assert!(bearers.count() <= 2, "the old address has not heard its farewell at most");
    }

    /// Where the server has it from now on.
    fn moved(&mut self, (who, lcore): (usize, usize), payload: &[u8]) {
        let (guest, place) = (&self.guests[who][lcore], vector(payload, 20));
        assert!(word(payload, 16) == guest.player && is_inside(place), "{payload:02x?}");
        let is_answer = word(payload, 0) == 107 && eight(payload, 8) != [0; 8];
        let before = self.places.insert(guest.token, place);
        assert!(!is_answer || before == Some(place), "a correction says where it is");
    }

    fn left(&mut self, (who, lcore): (usize, usize), payload: &[u8]) {
        let guest = &mut self.guests[who][lcore];
        assert_eq!(word(payload, 16), guest.player, "{payload:02x?}");
        assert_eq!(self.places.get(&guest.token), Some(&vector(payload, 20)));
        guest.player = 0;
    }

    /// In all parts of a tick a player is named once.
    fn updated(&mut self, (to, lcore): (SocketAddr, usize), payload: &[u8]) {
        let tick = word(payload, 16);
        assert!(payload[29] <= 8 && payload[28] < payload[29], "{payload:02x?}");
        self.named.retain(|told, _| (told.0, told.1) != (to, lcore) || told.2 == tick);
        let named = self.named.entry((to, lcore, tick)).or_default();
        for player in judge_entries(payload) {
            assert!(self.given.contains(&player), "{payload:02x?}");
            assert!(named.insert(player), "{player:08x} twice in tick {tick}: {payload:02x?}");
        }
    }

    /// All that is on its way arrives.
    fn settle(&mut self) {
        for _ in 0..4 {
            (0..self.labs.len()).for_each(|lcore| {
                self.behind[lcore] += TICK;
                self.catch_up(lcore);
            });
        }
    }

    /// Strangers take the seats that are left: so many there are.
    fn fill(&mut self) {
        for stranger in 0..=self.capacity {
            let from = format!("10.77.1.{stranger}:4000");
            let lab = &mut self.labs[0];
            let mut cookie = [0; 8];
            for _ in 0..2 {
                let body = [&1_u32.to_le_bytes()[..], &[0; 12], &cookie, &[0; 24]].concat();
                lab.send(&from, PORT, &message(4, 1, &body));
                lab.turn();
                let received = std::iter::from_fn(|| lab.receive());
                let challenge = received.map(|received| received.payload).find(|said| word(said, 0) == 104);
                cookie = challenge.map_or(cookie, |challenge| eight(&challenge, 16));
            }
        }
        assert_eq!(self.players(), self.capacity, "a seat is lost");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_reach_what_lcores_say_to_each_other() {
        let worlds: Vec<_> = crate::seeds::of::game_lcores().iter().map(|seed| World::played(seed)).collect();
        for event in [
            Event::JoinsPassedOn,
            Event::Rejoined,
            Event::Refused,
            Event::AddressFull,
            Event::Forsaken,
            Event::Hit,
            Event::Told,
            Event::DropExchangeFull,
            Event::EntriesLost,
            Event::MessagesLost,
        ] {
            let count = |lab: &Lab<Game>| lab.service().counters().count(event);
            assert!(
                worlds.iter().flat_map(|world| &world.labs).any(|lab| count(lab) > 0),
                "{}",
                event.name()
            );
        }
        worlds.into_iter().for_each(|world| _ = world.close());
    }
}
