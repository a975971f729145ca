//! What the bots of an lcore have in common: their habits, what they count, and who of them is whom.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use gannet::telemetry::Durations;
use gannet_game::protocol::{Entry, PlayerId, Welcome};

use super::delays::Delays;
use super::hearing::Heard;
use super::tally::Tally;
use super::walk::Ground;

/// Homes of a bot that changes its address. Where the bots are on several lcores, one of the others is most
/// likely on the same.
const HOMES: u32 = 4;
const _: () = assert!(HOMES <= u8::BITS, "the board has a bit for each");

/// How bots behave.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// The server.
    pub(crate) to: SocketAddr,
    /// Moves a second.
    pub(crate) rate: f64,
    /// Metres a second.
    pub(crate) speed: f64,
    /// The side of the square that they walk in, in metres.
    pub(crate) gather: Option<f64>,
    /// Attacks a second.
    pub(crate) attacks: f64,
    /// Lines of chat a second.
    pub(crate) chats: f64,
    /// Changes of address a second.
    pub(crate) rejoins: f64,
    /// How long they stay, in nanoseconds.
    pub(crate) session: Option<u64>,
    /// In how many nanoseconds they all join.
    pub(crate) ramp: u64,
    pub(crate) seed: u64,
}

impl Habits {
    /// Addresses and ports of each bot.
    pub(crate) fn homes(&self) -> u32 {
        if self.rejoins > 0.0 { HOMES } else { 1 }
    }

    /// Moves that a bot remembers: those of two seconds, the usual ones at least.
    pub(crate) fn memory(&self) -> usize {
        ((2.0 * self.rate) as usize).next_power_of_two().clamp(16, 1024)
    }
}

/// What the server says of its game.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Nanoseconds from tick to tick.
    pub(crate) tick: u64,
    /// The side of a cell in metres.
    pub(crate) cell: f32,
    /// Where bots walk.
    pub(crate) ground: Ground,
    /// How fast, in metres a second.
    pub(crate) speed: f32,
    /// After how many nanoseconds without a word the server is to be pinged: half of those that it waits.
    pub(crate) silence: u64,
}

impl Rules {
    /// `None` if no game can have them.
    pub(crate) fn new(welcome: &Welcome, habits: &Habits) -> Option<Self> {
        let is_game =
            welcome.tick_rate > 0 && welcome.cell > 0.0 && welcome.world > 0.0 && welcome.top_speed > 0.0;
        is_game.then(|| Self {
            tick: 1_000_000_000 / u64::from(welcome.tick_rate),
            cell: welcome.cell,
            ground: Ground::new(welcome.world, habits.gather),
            speed: (habits.speed as f32).min(0.9 * welcome.top_speed),
            silence: u64::from(welcome.timeout) * 1_000_000 / 2,
        })
    }
}

/// What was heard last of a bot of ours, by anybody.
#[derive(Clone, Copy, Debug, Default)]
struct Rumour {
    stamp: u32,
    /// The tick of the first update with that stamp.
    tick: u32,
}

/// Spreads a player's number, which the server made and not an enemy of ours, over a table.
#[derive(Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(self.0 as u32 ^ u32::from(byte)));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        // Fibonacci hashing; the high bits are the good ones, and the table looks at both ends.
        self.0 = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Rumours = HashMap<u32, Rumour, BuildHasherDefault<NumberHasher>>;

/// What the bots of an lcore write down.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) habits: Arc<Habits>,
    pub(crate) tally: Tally,
    pub(crate) heard: Heard,
    pub(crate) delays: Delays,
    rumours: Rumours,
    /// The same as the tally's, for the metrics.
    pub(crate) round_trips: Arc<Durations>,
    pub(crate) ages: Arc<Durations>,
}

impl Books {
    pub(crate) fn new(habits: Arc<Habits>, round_trips: Arc<Durations>, ages: Arc<Durations>) -> Self {
        let (tally, heard, delays) = (Tally::new(), Heard::default(), Delays::new());
        Self { habits, tally, heard, delays, rumours: Rumours::default(), round_trips, ages }
    }

    /// Somebody is a bot of ours.
    pub(crate) fn meet(&mut self, player: PlayerId) {
        self.rumours.insert(player.0, Rumour::default());
    }

    /// It is no player any more.
    pub(crate) fn part(&mut self, player: PlayerId) {
        self.rumours.remove(&player.0);
    }

    /// A move was answered that long after it was meant to leave.
    #[inline]
    pub(crate) fn answered(&mut self, now: u64, took: u64) {
        self.tally.round_trips.saturating_record(took);
        self.round_trips.record(took);
        self.tally.counts.late += self.delays.round_trip(now, took);
    }

    /// A bot heard of a player in the update of `tick`. What is new of a bot of ours is timed: the
    /// stamp tells when the move was meant to leave.
    #[inline]
    pub(crate) fn hear_of(&mut self, now: u64, tick: u32, tick_nanos: u64, entry: &Entry) {
        let Some(rumour) = self.rumours.get_mut(&entry.player.0).filter(|_| entry.stamp != 0) else { return };
        if rumour.stamp != entry.stamp {
            *rumour = Rumour { stamp: entry.stamp, tick };
        } else if rumour.tick != tick {
            return;
        }
        let age = u64::from((now as u32).wrapping_sub(entry.stamp));
        self.tally.counts.timed += 1;
        self.tally.ages.saturating_record(age);
        self.ages.record(age);
        self.judge(now, age, tick_nanos);
    }

    /// Something is so old: two ticks are allowed, and what a round trip takes.
    #[inline]
    pub(crate) fn judge(&mut self, now: u64, age: u64, tick_nanos: u64) {
        if age > 2 * tick_nanos {
            self.tally.counts.late += self.delays.exceed(now, age - 2 * tick_nanos);
        }
    }

    /// Nothing follows.
    pub(crate) fn close(&mut self) -> Tally {
        self.tally.counts.late += self.delays.end();
        self.tally.add_heard(&mut self.heard);
        std::mem::replace(&mut self.tally, Tally::new())
    }
}
