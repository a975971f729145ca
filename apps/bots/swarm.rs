//! The service of one lcore: many bots, whose turns come on a schedule that nothing changes.
//!
//! A wheel of all bots' numbers turns evenly, so that the moves of an lcore are spread over time.
//! Which lcore the server's answers to a bot reach is the port's business; the one that they reach
//! takes the bot.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_channel::Sender;
use gannet::{Datagram, Outbox, Role, Service, Tick, Time, Verdict};
use gannet_game::protocol::{Header, PacketType};

use super::addresses::Addresses;
use super::board::{Board, Line};
use super::books::{Books, Habits};
use super::bot::{Bot, Phase, Turn};
use super::tally::Tally;

/// How often an lcore that rests looks for something to do.
const REST: Duration = Duration::from_millis(1);
/// Turns of bots at a time at most: what comes back has its turn between them.
const BURST: usize = 64;
/// What a bot sends in a turn at most.
const LETTERS: usize = 3;
/// A bot has so many turns a second at least, whether it moves or not.
const TURNS: f64 = 10.0;
/// No bot of this lcore.
const NONE: u32 = u32::MAX;

/// What a swarm is made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) lcore: usize,
    pub(crate) lcores: usize,
    pub(crate) board: Arc<Board>,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) habits: Arc<Habits>,
}

/// One lcore's bots.
#[derive(Debug)]
pub(crate) struct Swarm {
    parts: Parts,
    results: Sender<Box<Tally>>,
    bots: Vec<Bot>,
    /// Where in `bots` each of all bots is.
    slots: Vec<u32>,
    wheel: Wheel,
    books: Books,
    has_begun: bool,
    is_closing: bool,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
struct Wheel {
    count: u32,
    /// Nanoseconds of a round.
    period: u64,
    /// A move is due in each so many-th round.
    rounds_per_move: u64,
    next: u32,
    round: u64,
    round_start: u64,
}

impl Wheel {
    fn new(count: u32, rate: f64) -> Self {
        let rounds_per_move = (TURNS / rate).ceil().max(1.0);
        let period = (1e9 / (rate * rounds_per_move)) as u64;
        Self { count, period, rounds_per_move: rounds_per_move as u64, next: 0, round: 0, round_start: 0 }
    }

    /// When the next turn is.
    #[inline]
    fn due(&self) -> u64 {
        self.round_start + self.period * u64::from(self.next) / u64::from(self.count)
    }

    fn is_move(&self) -> bool {
        self.round.is_multiple_of(self.rounds_per_move)
    }

    /// Goes on to the next turn. Gives whether that begins a round.
    #[inline]
    fn advance(&mut self) -> bool {
        self.next += 1;
        let is_new = self.next == self.count;
        if is_new {
            self.next = 0;
            self.round += 1;
            self.round_start += self.period;
        }
        is_new
    }

    /// Gives up what is behind `now`. Gives how many turns of each bot that were.
    fn catch_up(&mut self, now: u64) -> u64 {
        let behind = now.saturating_sub(self.due()) / self.period;
        self.round_start += behind * self.period;
        behind
    }
}

impl Swarm {
    pub(crate) fn new(parts: Parts, results: Sender<Box<Tally>>) -> Self {
        let count = parts.addresses.count();
        let line = &parts.board.lines[parts.lcore];
        let (round_trips, ages) = (Arc::clone(&line.round_trips), Arc::clone(&line.ages));
        let books = Books::new(Arc::clone(&parts.habits), round_trips, ages);
        let wheel = Wheel::new(count, parts.habits.rate);
        let slots = vec![NONE; count as usize];
        let (has_begun, is_closing) = (false, false);
        Self { parts, results, bots: Vec::new(), slots, wheel, books, has_begun, is_closing }
    }

    /// Has its share of the bots join, one after the other.
    fn begin(&mut self, now: u64) {
        let Parts { lcore, lcores, ref addresses, ref habits, .. } = self.parts;
        let count = addresses.count();
        for number in (lcore as u32..count).step_by(lcores) {
            let begin = now + habits.ramp / u64::from(count) * u64::from(number);
            self.slots[number as usize] = self.bots.len() as u32;
            self.bots.push(Bot::new(number, addresses.homes_of(number), begin, &self.books));
        }
        self.wheel.round_start = now;
        self.has_begun = true;
    }

    fn line(&self) -> &Line {
        &self.parts.board.lines[self.parts.lcore]
    }

    /// Shows how it goes, and looks whether it is to end.
    #[cold]
    fn look(&mut self, now: u64) {
        let playing = self.bots.iter().filter(|bot| bot.is_playing()).count() as u64;
        let (line, counts) = (self.line(), &self.books.tally.counts);
        line.playing.store(playing, Relaxed);
        line.joined.store(counts.joined, Relaxed);
        line.refused.store(counts.refused(), Relaxed);
        line.moves.store(counts.moves, Relaxed);
        line.answered.store(counts.acknowledged + counts.corrected, Relaxed);
        line.updates.store(counts.updates, Relaxed);
        if self.is_closing {
            let is_over = self.bots.iter().all(|bot| bot.phase() == Phase::Over);
            line.is_over.store(is_over, Relaxed);
        } else if self.parts.board.closes.load(Relaxed) {
            self.is_closing = true;
            let behind = self.wheel.catch_up(now) / self.wheel.rounds_per_move;
            self.books.tally.counts.moves_unsent += behind * playing;
        }
    }

    /// Gives the bot of the present turn its turn. `false` if there was no room for what it sends.
    #[inline]
    fn turn(&mut self, at: u64, now: u64, outbox: &mut Outbox<'_>) -> bool {
        let slot = self.slots[self.wheel.next as usize];
        let Some(bot) = self.bots.get_mut(slot as usize) else { return true };
        if let Phase::Joining(..) = bot.phase()
            && self.parts.board.is_elsewhere(bot.number(), self.parts.lcore)
        {
            bot.hand_over();
        }
        let astray = self.parts.board.astray(bot.number());
        let turn = Turn { now, is_move: self.wheel.is_move(), is_closing: self.is_closing, astray };
        bot.turn(at, turn, &mut self.books, outbox).is_ok()
    }

    /// The slot of the bot that a datagram is for, and to which of its homes, if it is this lcore's; who is
    /// challenged here is.
    #[inline]
    fn addressee(&mut self, now: u64, datagram: &Datagram<'_>) -> Option<(usize, usize)> {
        if datagram.source() != self.parts.habits.to || !self.has_begun {
            return None;
        }
        let (number, home) = self.parts.addresses.resident(datagram.destination())?;
        let slot = self.slots[number as usize];
        let is_settled = self.bots.get(slot as usize).is_some_and(Bot::is_settled);
        if is_settled || self.claim(number, home, datagram) {
            return Some((self.slot_of(number, now), home));
        }
        // What is no challenge may go on to who joins here.
        (slot != NONE && !is_challenge(datagram)).then_some((slot as usize, home))
    }

    /// Whether a challenge makes the bot this lcore's. If another one has it, that hears nothing there.
    #[cold]
    fn claim(&self, number: u32, home: usize, datagram: &Datagram<'_>) -> bool {
        let is_challenge = is_challenge(datagram);
        let is_ours = is_challenge && self.parts.board.claim(number, self.parts.lcore);
        if is_challenge && !is_ours {
            self.parts.board.lead_astray(number, home);
        }
        is_ours
    }

    /// The slot of a bot of this lcore, made anew if another one has asked for it.
    #[inline]
    fn slot_of(&mut self, number: u32, now: u64) -> usize {
        let slot = &mut self.slots[number as usize];
        if *slot == NONE {
            *slot = self.bots.len() as u32;
            let homes = self.parts.addresses.homes_of(number);
            self.bots.push(Bot::joining(number, homes, now, &self.books));
        }
        *slot as usize
    }
}

fn is_challenge(datagram: &Datagram<'_>) -> bool {
    let header = Header::parse(datagram.payload());
    header.is_ok_and(|header| header.packet_type == PacketType::CHALLENGE)
}

impl Service for Swarm {
    const ROLE: Role = Role::Client;

    #[inline]
    fn on_datagram(&mut self, now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        let now = now.as_nanos();
        let Some((slot, home)) = self.addressee(now, datagram) else {
            self.books.tally.counts.strays += 1;
            return Verdict::Drop;
        };
        self.bots[slot].hear(now, home, datagram, &mut self.books)
    }

    #[inline]
    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        let nanos = now.as_nanos();
        if !self.has_begun {
            if !self.parts.board.begins.load(Relaxed) {
                return Tick::Done(now + REST);
            }
            self.begin(nanos);
        }
        for _ in 0..BURST {
            let due = self.wheel.due();
            if due > nanos {
                return Tick::Done(Time::from_nanos(due));
            }
            if outbox.free() < LETTERS || !self.turn(due, nanos, outbox) {
                return Tick::More;
            }
            if self.wheel.advance() {
                self.look(nanos);
            }
        }
        Tick::More
    }
}

impl Drop for Swarm {
    /// A run that is cut short has a tally too.
    fn drop(&mut self) {
        self.bots.iter_mut().for_each(|bot| bot.cut_short(&mut self.books));
        // Whoever does not want it any more is gone.
        let _ = self.results.send(Box::new(self.books.close()));
    }
}
