//! One bot: it joins, walks, fights and talks, and looks closely at what it is told.
//!
//! Its [`turn`](Bot::turn) comes on a schedule, [`hear`](Bot::hear) takes what the server says.
//! Times are nanoseconds of the engine's clock.

use std::net::SocketAddr;

use gannet::{Datagram, Outbox, SendError, Verdict};
use gannet_game::protocol::{
    Challenge, ErrorCode, Header, Join, Leave, Left, LeftReason, PacketType, Refusal, VERSION, Welcome,
};

use super::books::{Books, Rules};
use super::player::Player;
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
    /// Where it lives.
    from: SocketAddr,
    random: SplitMix64,
    phase: Phase,
    /// What it is in the game, while it is.
    player: Player,
}

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It comes at that time.
    Away(u64),
    /// It asks for it again at that time, for the so many-th time.
    Joining(u64, u32),
    Playing,
    /// As joining.
    Leaving(u64, u32),
    /// It plays no more, or on another lcore.
    Over,
}

impl Bot {
    /// One that begins at `begin`.
    pub(crate) fn new(number: u32, from: SocketAddr, begin: u64, books: &Books) -> Self {
        // Neighbours in number are none in what they do.
        let seed = books.habits.seed ^ u64::from(number).wrapping_mul(0xd134_2543_de82_ef95);
        let player = Player::nobody(number, books.habits.memory());
        Self { number, from, random: SplitMix64::new(seed), phase: Phase::Away(begin), player }
    }

    /// One that has asked to join, as another lcore found.
    pub(crate) fn joining(number: u32, from: SocketAddr, now: u64, books: &Books) -> Self {
        Self { phase: Phase::Joining(now + PATIENCE, 1), ..Self::new(number, from, now, books) }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it waits for an answer to its join.
    pub(crate) fn is_joining(&self) -> bool {
        matches!(self.phase, Phase::Joining(..))
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
                self.player.play(at, turn, self.from, &mut self.random, books, outbox)
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
        outbox.send_with(self.from, to, Join::LEN, |room| write_join(room, [0; 8], at))?;
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
        outbox.send_with(self.from, books.habits.to, Leave::LEN, write)?;
        self.phase = Phase::Leaving(at + again_after(tries), tries + 1);
        Ok(())
    }

    /// It is no player any more, and comes back if it comes and goes.
    fn go(&mut self, now: u64, books: &mut Books) {
        self.player.end(now, books);
        books.part(self.player.id());
        self.phase = Phase::Away(now + self.random.below(PAUSE));
    }

    /// Takes in what the server says.
    #[inline]
    pub(crate) fn hear(&mut self, now: u64, datagram: &mut Datagram<'_>, books: &mut Books) -> Verdict {
        let Ok(header) = Header::parse(datagram.payload()) else {
            books.tally.counts.malformed += 1;
            return Verdict::Drop;
        };
        let payload = datagram.payload();
        let understood = match (header.packet_type, self.phase) {
            (PacketType::CHALLENGE, Phase::Joining(..)) => return self.answer(now, datagram, books),
            (PacketType::WELCOME, Phase::Joining(..)) => self.start(now, payload, books),
            (PacketType::ERROR, Phase::Joining(..)) => self.refused(now, payload, books),
            (PacketType::LEFT, Phase::Leaving(..) | Phase::Playing) => self.left(now, payload, books),
            (_, Phase::Playing | Phase::Leaving(..)) => self.player.hear(now, header, payload, books),
            _ => {
                books.tally.counts.strays += 1;
                Some(())
            }
        };
        books.tally.counts.malformed += u64::from(understood.is_none());
        Verdict::Drop
    }

    /// Sends the cookie back, in the challenge's place.
    fn answer(&mut self, now: u64, datagram: &mut Datagram<'_>, books: &mut Books) -> Verdict {
        let challenge = Challenge::parse(datagram.payload());
        let (Ok(challenge), Ok(())) = (challenge, datagram.resize(Join::LEN)) else {
            books.tally.counts.malformed += 1;
            return Verdict::Drop;
        };
        write_join(datagram.payload_mut(), challenge.cookie, now);
        books.tally.counts.joins += 1;
        Verdict::Reply
    }

    fn start(&mut self, now: u64, payload: &[u8], books: &mut Books) -> Option<()> {
        let welcome = Welcome::parse(payload).ok().filter(|welcome| welcome.version == VERSION)?;
        let rules = Rules::new(&welcome, &books.habits)?;
        books.tally.counts.joined += 1;
        books.tally.tick_rate = welcome.tick_rate;
        books.meet(welcome.player);
        self.player.start(now, &welcome, rules, &mut self.random, &books.habits);
        self.phase = Phase::Playing;
        Some(())
    }

    fn refused(&mut self, now: u64, payload: &[u8], books: &mut Books) -> Option<()> {
        let refusal = Refusal::parse(payload).ok()?;
        let counts = &mut books.tally.counts;
        match refusal.code {
            ErrorCode::FULL => {
                counts.refused_full += 1;
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
        } else {
            counts.expelled += 1;
        }
        self.go(now, books);
        Some(())
    }

    /// The run is over, whether it is a player or not.
    pub(crate) fn cut_short(&mut self, books: &mut Books) {
        match self.phase {
            Phase::Playing | Phase::Leaving(_, 0..2) => {
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
}

fn again_after(tries: u32) -> u64 {
    PATIENCE << tries.min(DOUBLINGS)
}

fn write_join(room: &mut [u8], cookie: [u8; 8], timestamp: u64) {
    let join = Join { version: VERSION, player: Default::default(), token: Default::default(), cookie };
    // A room is as long as it was asked for.
    if let Some(room) = room.first_chunk_mut() {
        join.write(room, timestamp);
    }
}
