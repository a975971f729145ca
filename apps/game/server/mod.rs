//! The service of one lcore. [`Game::on_datagram`] answers at once; [`Game::on_tick`] tells everybody
//! what is new around it, a slice at a time, so that no answer waits for the whole of it.
//!
//! - `answers`: what players say, and what they are answered. `join`: how they become players.
//! - `round`: the steps of a tick; `fan_out` and `nearby` say who is told what, `talk` holds
//!   what was said; `ticks` says when.
//! - `exchange`: what lcores tell each other; `neighbours` does what they ask for.

mod answers;
mod exchange;
mod fan_out;
mod join;
mod nearby;
mod neighbours;
mod round;
mod talk;
#[cfg(test)]
mod tests;
mod ticks;

use std::net::SocketAddr;
use std::sync::Arc;

use gannet::host::HashKey;
use gannet::telemetry::Durations;
use gannet::{Datagram, Outbox, Role, Service, Tick, Time, Verdict};

pub use ticks::{Lateness, Sum};

use exchange::Exchange;
use fan_out::FanOut;
use round::Round;
use talk::Talk;
use ticks::Ticks;

use crate::counters::{Counters, Event};
use crate::map::Board;
use crate::protocol::{Header, Malformed};
use crate::rules::Rules;
use crate::world::{MAX_LCORES, Seats, World};

/// News that a ring to another lcore holds at least.
const LEAST_IN_A_RING: usize = if cfg!(fuzzing) { 4 } else { 64 };

/// The game on one lcore.
#[derive(Debug)]
pub struct Game {
    lcore: u32,
    world: World,
    fan_out: FanOut,
    exchange: Exchange,
    talk: Talk,
    ticks: Ticks,
    round: Round,
    counters: Arc<Counters>,
    /// Where its players are shown, if somebody wants to see them.
    board: Option<Arc<Board>>,
}

/// A world, before its lcores take their parts of it.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What holds in it.
    pub rules: Rules,
    /// Players in all.
    pub players: u32,
    /// What tokens and places are made of.
    pub seed: [u64; 2],
    /// Where the lateness of ticks is put at the end.
    pub lateness: Sum,
}

impl Setup {
    /// The game on each of `lcores` lcores.
    ///
    /// # Panics
    /// If there are more than 64.
    pub fn games(&self, lcores: u32) -> Vec<Game> {
        assert!(lcores <= MAX_LCORES, "a player's number has 6 bits for the lcore");
        let (seats, seed) = (Seats::new(self.players), HashKey(self.seed));
        let players = self.players as usize;
        // Of another lcore's players there may be the news of two of its ticks.
        let news = if lcores > 1 { 2 * players } else { players };
        // Two ticks of an even share of the players: what does not fit is counted.
        let in_a_ring = (2 * players).div_ceil(lcores.max(1) as usize).max(LEAST_IN_A_RING);
        let exchanges = Exchange::wire(lcores, in_a_ring).into_iter();
        let game = |(lcore, exchange)| Game {
            lcore,
            world: World::new(lcore, self.rules, seats.clone(), seed),
            fan_out: FanOut::new(&self.rules, lcores as usize, players, news),
            exchange,
            talk: Talk::new(),
            ticks: Ticks::new(self.rules.period(), Arc::clone(&self.lateness)),
            round: Round::default(),
            counters: Arc::default(),
            board: None,
        };
        (0..lcores).zip(exchanges).map(game).collect()
    }
}

impl Game {
    /// Its counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Shows its players on a board, which has a line for each lcore, once a tick.
    pub fn show_on(&mut self, board: Arc<Board>) {
        // Made now, not in the first tick.
        board.line(self.lcore as usize);
        self.board = Some(board);
    }

    /// How late its ticks end.
    pub fn lateness(&self) -> &Arc<Durations> {
        &self.ticks.shown
    }

    /// How many players it has.
    pub fn players(&self) -> u32 {
        self.world.players.len()
    }

    fn count(&self, event: Event) {
        self.counters.add(event, 1);
    }

    /// Sends a message that is no answer, from an address of ours to a player's.
    fn send<const N: usize>(
        &self,
        outbox: &mut Outbox<'_>,
        (own, source): (SocketAddr, SocketAddr),
        write: impl FnOnce(&mut [u8; N]),
    ) {
        let sent = outbox.send_with(own, source, N, |room| {
            if let Some(message) = room.first_chunk_mut() {
                write(message);
            }
        });
        self.counters.add(Event::OutboxFull, u64::from(sent.is_err()));
    }
}

impl Service for Game {
    const ROLE: Role = Role::Stateful;
    const SHARED: usize = round::SHARED;

    fn on_datagram(&mut self, now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        match self.answer(now, datagram, outbox) {
            Ok(verdict) => verdict,
            Err(Dropped(event)) => {
                self.count(event);
                Verdict::Drop
            }
        }
    }

    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        self.go_round(now, outbox)
    }
}

/// A datagram that is dropped and counted, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dropped(Event);

impl From<Malformed> for Dropped {
    fn from(malformed: Malformed) -> Self {
        Self(malformed.into())
    }
}

/// A datagram's header and what it is the header of.
fn header(datagram: &Datagram<'_>) -> Result<Header, Dropped> {
    Ok(Header::parse(datagram.payload())?)
}

/// Answers with a message in the datagram's place.
fn reply<const N: usize>(
    datagram: &mut Datagram<'_>,
    write: impl FnOnce(&mut [u8; N]),
) -> Result<Verdict, Dropped> {
    datagram.resize(N).map_err(|_| Dropped(Event::DropNoRoom))?;
    datagram.payload_mut().first_chunk_mut().map(write).ok_or(Dropped(Event::DropNoRoom))?;
    Ok(Verdict::Reply)
}
