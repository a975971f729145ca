//! One bot: it joins, walks, fights and talks, and looks closely at what it is told.
//!
//! Its [`turn`](Bot::turn) comes on a schedule, [`hear`](Bot::hear) takes what the server says; how it
//! comes back from another address is in `returning`.
//! Times are nanoseconds of the engine's clock.

use std::net::SocketAddr;

use gannet::{Datagram, Outbox, SendError, Verdict};
use gannet_game::protocol::{
    Challenge, ErrorCode, Header, Join, Leave, Left, LeftReason, PacketType, Refusal, VERSION, Welcome,
};

use super::books::{Books, Rules};
use super::homes::Homes;
use super::player::Player;
use super::returning::Journey;
use crate::r#gen::random::SplitMix64;

/// How long a join or a leave waits for its first answer, in nanoseconds; each further one twice as long.
const PATIENCE: u64 = 250_000_000;
/// Doublings of that at most.
const DOUBLINGS: u32 = 4;
/// How often leaving is asked for.
const LEAVES: u32 = 5;
/// How long who was refused by a full server stays away at least, and who has left at most.
const PAUSE: u64 = 1_000_000_000;

/// A bot.
#[derive(Debug)]
pub(crate) struct Bot {
    number: u32,
    pub(super) homes: Homes,
    pub(super) journey: Journey,
    pub(super) random: SplitMix64,
    pub(super) phase: Phase,
    /// What it is in the game, while it is.
    pub(super) player: Player,
}

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It comes at that time.
    Away(u64),
    /// It asks for it again at that time, for the so many-th time.
    Joining(u64, u32),
    Playing,
    /// It asks from another address to be the same player; as joining.
    Returning(u64, u32),
    /// As joining.
    Leaving(u64, u32),
    /// It plays no more, or on another lcore.
    Over,
}

impl Bot {
    /// One that begins at `begin`.
    pub(crate) fn new(number: u32, homes: Box<[SocketAddr]>, begin: u64, books: &Books) -> Self {
        // Neighbours in number are none in what they do.
        let seed = books.habits.seed ^ u64::from(number).wrapping_mul(0xd134_2543_de82_ef95);
        let player = Player::nobody(number, books.habits.memory());
        let (homes, journey, random) = (Homes::new(homes), Journey::default(), SplitMix64::new(seed));
        Self { number, homes, journey, random, phase: Phase::Away(begin), player }
    }

    /// One that has asked to join, as another lcore found.
    pub(crate) fn joining(number: u32, homes: Box<[SocketAddr]>, now: u64, books: &Books) -> Self {
        Self { phase: Phase::Joining(now + PATIENCE, 1), ..Self::new(number, homes, now, books) }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it is this lcore's, whatever else comes: it does not wait for an answer to its join, nor is
    /// it over.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self.phase, Phase::Joining(..) | Phase::Over)
    }

    /// Whether it is a player, as far as it knows.
    pub(crate) fn is_playing(&self) -> bool {
        matches!(self.phase, Phase::Playing | Phase::Returning(..) | Phase::Leaving(..))
    }

    /// Another lcore has it.
    pub(crate) fn hand_over(&mut self) {
        self.phase = Phase::Over;
    }

    /// Does what is due at the time `at`. Where all are to leave, it does.
    ///
    /// # Errors
    /// [`SendError`]; nothing was done, and it is to be called again.
    #[inline]
    pub(crate) fn turn(
        &mut self,
        at: u64,
        turn: Turn,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        match self.phase {
            Phase::Playing if !turn.is_closing && at < self.player.leave_at() => {
                if self.homes.is_due(at) {
                    return self.set_out(at, turn, books, outbox);
                }
                self.player.play(at, turn, self.homes.here(), &mut self.random, books, outbox)
            }
            Phase::Returning(due, _) if at >= due || turn.leads_astray(&self.homes) => {
                self.ask_back(at, turn, books, outbox)
            }
            Phase::Playing => {
                self.phase = Phase::Leaving(at, 0);
                self.leave(at, books, outbox)
            }
            Phase::Leaving(due, _) if at >= due => self.leave(at, books, outbox),
            Phase::Away(_) | Phase::Joining(..) if turn.is_closing => {
                self.phase = Phase::Over;
                Ok(())
            }
            Phase::Away(due) | Phase::Joining(due, _) if at >= due => self.join(at, books, outbox),
            _ => Ok(()),
        }
    }

    fn join(&mut self, at: u64, books: &mut Books, outbox: &mut Outbox<'_>) -> Result<(), SendError> {
        let tries = if let Phase::Joining(_, tries) = self.phase { tries } else { 0 };
        let to = books.habits.to;
        outbox.send_with(self.homes.here(), to, Join::LEN, |room| write_join(room, &join_anew(), at))?;
        books.tally.counts.joins += 1;
        self.phase = Phase::Joining(at + again_after(tries), tries + 1);
        Ok(())
    }

    fn leave(&mut self, at: u64, books: &mut Books, outbox: &mut Outbox<'_>) -> Result<(), SendError> {
        let Phase::Leaving(_, tries) = self.phase else { return Ok(()) };
        if tries == LEAVES {
            books.tally.counts.left_unheard += 1;
            self.go(at, books);
            return Ok(());
        }
        let leave = Leave { player: self.player.id() };
        let write = |room: &mut [u8]| _ = room.first_chunk_mut().map(|room| leave.write(room, at));
        outbox.send_with(self.homes.here(), books.habits.to, Leave::LEN, write)?;
        self.phase = Phase::Leaving(at + again_after(tries), tries + 1);
        Ok(())
    }

    /// It is no player any more, and comes back if it comes and goes.
    pub(super) fn go(&mut self, now: u64, books: &mut Books) {
        self.player.end(now, books);
        books.part(self.player.id());
        self.phase = Phase::Away(now + self.random.below(PAUSE));
    }

    /// Takes in what the server says to one of its homes.
    #[inline]
    pub(crate) fn hear(
        &mut self,
        now: u64,
        home: usize,
        datagram: &mut Datagram<'_>,
        books: &mut Books,
    ) -> Verdict {
        let Ok(header) = Header::parse(datagram.payload()) else {
            books.tally.counts.malformed += 1;
            return Verdict::Drop;
        };
        if !self.homes.is_here(home) {
            return self.hear_elsewhere(now, (home, header), datagram, books);
        }
        let payload = datagram.payload();
        let understood = match (header.packet_type, self.phase) {
            (PacketType::CHALLENGE, Phase::Joining(..)) => return answer(join_anew(), now, datagram, books),
            (PacketType::WELCOME, Phase::Joining(..)) => self.start(now, payload, books),
            (PacketType::ERROR, Phase::Joining(..)) => self.refused(now, payload, books),
            (PacketType::LEFT, Phase::Leaving(..) | Phase::Playing | Phase::Returning(..)) => {
                self.left(now, payload, books)
            }
            (_, Phase::Playing | Phase::Returning(..) | Phase::Leaving(..)) => {
                self.player.hear(now, header, payload, books)
            }
            _ => {
                books.tally.counts.strays += 1;
                Some(())
            }
        };
        books.tally.counts.malformed += u64::from(understood.is_none());
        Verdict::Drop
    }

    fn start(&mut self, now: u64, payload: &[u8], books: &mut Books) -> Option<()> {
        let welcome = Welcome::parse(payload).ok().filter(|welcome| welcome.version == VERSION)?;
        let rules = Rules::new(&welcome, &books.habits)?;
        books.tally.counts.joined += 1;
        books.tally.tick_rate = welcome.tick_rate;
        books.meet(welcome.player);
        self.player.start(now, &welcome, rules, &mut self.random, &books.habits);
        self.homes.settle(now, books.habits.rejoins, &mut self.random);
        self.phase = Phase::Playing;
        Some(())
    }

    fn refused(&mut self, now: u64, payload: &[u8], books: &mut Books) -> Option<()> {
        let refusal = Refusal::parse(payload).ok()?;
        let counts = &mut books.tally.counts;
        match refusal.code {
            ErrorCode::FULL | ErrorCode::ADDRESS_FULL => {
                counts.refused_full += u64::from(refusal.code == ErrorCode::FULL);
                counts.refused_address += u64::from(refusal.code == ErrorCode::ADDRESS_FULL);
                self.phase = Phase::Joining(now + PAUSE + self.random.below(PAUSE), 0);
            }
            ErrorCode::VERSION => {
                counts.refused_version += 1;
                self.phase = Phase::Over;
            }
            _ => counts.refused_otherwise += 1,
        }
        Some(())
    }

    fn left(&mut self, now: u64, payload: &[u8], books: &mut Books) -> Option<()> {
        let left = Left::parse(payload).ok().filter(|left| left.player == self.player.id())?;
        let counts = &mut books.tally.counts;
        if left.reason == LeftReason::ASKED && matches!(self.phase, Phase::Leaving(..)) {
            counts.left += 1;
            let agrees = self.player.may_be_at(left.position);
            counts.places_agreed += u64::from(agrees);
            counts.places_disagreed += u64::from(!agrees);
        } else if left.reason == LeftReason::ELSEWHERE && matches!(self.phase, Phase::Returning(..)) {
            // The welcome at the new home is on its way, or lost.
            counts.moved_out += 1;
            return Some(());
        } else {
            counts.expelled += 1;
        }
        self.go(now, books);
        Some(())
    }

    /// The run is over, whether it is a player or not.
    pub(crate) fn cut_short(&mut self, books: &mut Books) {
        match self.phase {
            Phase::Playing | Phase::Returning(..) | Phase::Leaving(_, 0..2) => {
                books.tally.counts.unfinished += 1;
                self.player.cut_short(books);
            }
            // It has asked again and again.
            Phase::Leaving(due, _) => {
                books.tally.counts.left_unheard += 1;
                self.player.end(due, books);
            }
            Phase::Away(_) | Phase::Joining(..) | Phase::Over => {}
        }
    }

    /// Its number among all bots.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

/// What a turn is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// The present time, no earlier than that of the turn.
    pub(crate) now: u64,
    /// A move is due.
    pub(crate) is_move: bool,
    /// All are to leave.
    pub(crate) is_closing: bool,
    /// A bit for each home of the bot that has answers reach another lcore.
    pub(crate) astray: u8,
}

impl Turn {
    /// Whether the answers to the home that the bot is going to reach another lcore.
    #[inline]
    pub(super) fn leads_astray(&self, homes: &Homes) -> bool {
        self.astray != 0
            && (0..u8::BITS as usize).any(|home| self.astray >> home & 1 == 1 && homes.is_next(home))
    }
}

pub(super) fn again_after(tries: u32) -> u64 {
    PATIENCE << tries.min(DOUBLINGS)
}

/// Sends the cookie back with a join, in the challenge's place.
pub(super) fn answer(join: Join, now: u64, datagram: &mut Datagram<'_>, books: &mut Books) -> Verdict {
    let challenge = Challenge::parse(datagram.payload());
    let (Ok(challenge), Ok(())) = (challenge, datagram.resize(Join::LEN)) else {
        books.tally.counts.malformed += 1;
        return Verdict::Drop;
    };
    write_join(datagram.payload_mut(), &Join { cookie: challenge.cookie, ..join }, now);
    books.tally.counts.joins += 1;
    Verdict::Reply
}

/// The join of somebody new, without a cookie.
fn join_anew() -> Join {
    Join { version: VERSION, player: Default::default(), token: Default::default(), cookie: [0; 8] }
}

pub(super) fn write_join(room: &mut [u8], join: &Join, timestamp: u64) {
    // A room is as long as it was asked for.
    if let Some(room) = room.first_chunk_mut() {
        join.write(room, timestamp);
    }
}
