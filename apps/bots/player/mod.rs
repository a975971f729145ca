//! What a bot is in the game: it moves, hears what goes on around it, and checks all of it.

mod updates;

use std::net::SocketAddr;

use gannet::{Outbox, SendError};
use gannet_game::protocol::{Header, Move, PacketType, Ping, PlayerId, Token, Vector, Welcome};

use super::books::{Books, Habits, Rules};
use super::bot::Turn;
use super::fight::Fights;
use super::hearing::Hearing;
use super::moves::{Fate, Moves, Sent};
use super::naming::Naming;
use super::talk::Talk;
use super::walk::Walk;
use crate::r#gen::random::SplitMix64;

/// Each player is heard of within a second, so that something is lost where nothing comes for two.
const SILENCE: u64 = 2_000_000_000;
/// The longest step at once, in seconds.
const LONGEST_STEP: f64 = 1.0;

/// A bot's part in the game.
#[derive(Debug)]
pub(crate) struct Player {
    id: PlayerId,
    /// What it comes back with.
    token: Token,
    /// Set while it is in the game.
    rules: Option<Rules>,
    walk: Walk,
    moves: Moves,
    /// The place that the server has said last, and the time of the move that it said it of.
    confirmed: (u64, Vector),
    hearing: Hearing,
    naming: Naming,
    /// When its session began.
    started_at: u64,
    /// When it was welcomed last: moves before that are not in what it hears from then on.
    welcomed_at: u64,
    /// When an update came last.
    heard_at: u64,
    /// When it was put somewhere else than it went.
    displaced_at: u64,
    moved_at: u64,
    /// When it said something last, and when it pinged.
    said_at: u64,
    pinged_at: u64,
    is_dead: bool,
    /// The nearest player alive in the last update, and how far it is, squared.
    nearest: Option<(PlayerId, f32)>,
    fights: Fights,
    talk: Talk,
    leave_at: u64,
}

impl Player {
    /// Nobody yet, who will remember so many moves.
    pub(crate) fn nobody(number: u32, memory: usize) -> Self {
        Self {
            id: PlayerId::NOBODY,
            token: Token::default(),
            rules: None,
            walk: Walk::at(Vector::default()),
            moves: Moves::new(memory),
            confirmed: (0, Vector::default()),
            hearing: Hearing::default(),
            naming: Naming::default(),
            started_at: 0,
            welcomed_at: 0,
            heard_at: 0,
            displaced_at: 0,
            moved_at: 0,
            said_at: 0,
            pinged_at: 0,
            is_dead: false,
            nearest: None,
            fights: Fights::default(),
            talk: Talk::new(number),
            leave_at: u64::MAX,
        }
    }

    pub(crate) fn id(&self) -> PlayerId {
        self.id
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Whether it was told that it is dead.
    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// When its session is over.
    pub(crate) fn leave_at(&self) -> u64 {
        self.leave_at
    }

    /// It is in the game from now on.
    pub(crate) fn start(
        &mut self,
        now: u64,
        welcome: &Welcome,
        rules: Rules,
        random: &mut SplitMix64,
        habits: &Habits,
    ) {
        self.settle(now, welcome, rules);
        self.confirmed = (0, welcome.position);
        (self.started_at, self.is_dead) = (now, false);
        self.fights.start(now, habits.attacks, random);
        self.talk.start(now, habits.chats, random);
        self.leave_at = habits.session.map_or(u64::MAX, |session| {
            now.saturating_add(session / 2).saturating_add(random.below(session.max(1)))
        });
    }

    /// It is where the server has it, and hears of it from now on.
    fn settle(&mut self, now: u64, welcome: &Welcome, rules: Rules) {
        (self.id, self.token, self.rules) = (welcome.player, welcome.token, Some(rules));
        self.walk = Walk::at(welcome.position);
        (self.welcomed_at, self.heard_at, self.displaced_at, self.moved_at) = (now, now, now, now);
        (self.said_at, self.naming, self.nearest) = (now, Naming::default(), None);
    }

    /// It is the same player at another address. Results and words that were on their way may be lost; under
    /// another number, so are answers, and its new lcore counts ticks of its own.
    pub(crate) fn come_back(&mut self, now: u64, welcome: &Welcome, rules: Rules, books: &mut Books) {
        if welcome.player != self.id {
            books.tally.counts.moves_lost += self.moves.waiting();
            self.moves.clear();
            (self.hearing, self.started_at) = (Hearing::default(), now);
        }
        self.settle(now, welcome, rules);
        self.confirmed.1 = welcome.position;
        self.fights.forget();
        self.talk.end();
    }

    /// It is in the game no more; what is not answered by now never will be.
    pub(crate) fn end(&mut self, now: u64, books: &mut Books) {
        books.tally.counts.moves_lost += self.moves.waiting();
        self.moves.clear();
        self.hearing.end(&mut books.heard);
        self.fights.end(now, books);
        self.talk.end();
        self.rules = None;
    }

    /// The run is over, and what is not answered might have been.
    pub(crate) fn cut_short(&mut self, books: &mut Books) {
        books.tally.counts.moves_pending += self.moves.waiting();
        self.moves.clear();
    }

    /// Does what is due at the time `at`.
    ///
    /// # Errors
    /// [`SendError`]; nothing was done.
    #[inline]
    pub(crate) fn play(
        &mut self,
        at: u64,
        turn: Turn,
        from: SocketAddr,
        random: &mut SplitMix64,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        let said = books.tally.counts.said();
        self.act(at, turn, from, random, books, outbox)?;
        if books.tally.counts.said() > said {
            self.said_at = at;
        }
        self.stay(at, from, books, outbox)
    }

    /// Pings, if it has been silent for so long that the server might forget it.
    #[inline]
    fn stay(
        &mut self,
        at: u64,
        from: SocketAddr,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        if self.rules.is_none_or(|rules| at < self.said_at + rules.silence) {
            return Ok(());
        }
        let ping = Ping { player: self.id };
        let write = |room: &mut [u8]| {
            _ = room.first_chunk_mut().map(|room| ping.write(room, at));
        };
        outbox.send_with(from, books.habits.to, Ping::LEN, write)?;
        books.tally.counts.pings += 1;
        (self.said_at, self.pinged_at) = (at, at);
        Ok(())
    }

    /// Moves, fights and talks.
    #[inline]
    fn act(
        &mut self,
        at: u64,
        turn: Turn,
        from: SocketAddr,
        random: &mut SplitMix64,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        if turn.is_move && at > self.moved_at {
            self.walk(at, turn.now, from, random, books, outbox)?;
        }
        if at > self.heard_at + SILENCE {
            self.heard_at = at;
            Hearing::miss(&mut books.heard);
        }
        let rate = books.habits.attacks;
        if self.fights.is_due(at, rate, random) && !self.is_dead {
            self.fights.attack(at, self.id, self.nearest, from, books, outbox)?;
        }
        let rate = books.habits.chats;
        if self.talk.is_due(at, rate, random) {
            self.talk.say(at, self.id, from, books, outbox)?;
        }
        Ok(())
    }

    /// Sends the next move. Who is dead stands still, and says so.
    fn walk(
        &mut self,
        at: u64,
        now: u64,
        from: SocketAddr,
        random: &mut SplitMix64,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        let Some(rules) = &self.rules else { return Ok(()) };
        let mut walk = self.walk;
        if self.is_dead {
            walk.velocity = Vector::default();
        } else {
            let seconds = ((at - self.moved_at) as f64 / 1e9).min(LONGEST_STEP);
            walk.step(seconds, rules.speed, &rules.ground, random);
        }
        let message = Move { player: self.id, position: walk.position, velocity: walk.velocity };
        let write = |room: &mut [u8]| {
            _ = room.first_chunk_mut().map(|room| message.write(room, PacketType::PLAYER_MOVE, at));
        };
        outbox.send_with(from, books.habits.to, Move::LEN, write)?;
        (self.walk, self.moved_at) = (walk, at);
        let (position, velocity) = (walk.position, walk.velocity);
        let old = self.moves.push(Sent { timestamp: at, position, velocity, fate: Fate::Waiting });
        books.tally.counts.moves += 1;
        books.tally.counts.moves_lost += u64::from(old.is_some_and(|old| old.fate == Fate::Waiting));
        books.tally.lateness.saturating_record(now.saturating_sub(at));
        Ok(())
    }

    /// Takes in a message of the game. `None` if it is none.
    #[inline]
    pub(crate) fn hear(&mut self, now: u64, header: Header, payload: &[u8], books: &mut Books) -> Option<()> {
        match header.packet_type {
            PacketType::MOVE_ACK => self.acknowledged(now, header.timestamp, payload, books),
            PacketType::UPDATE => self.update(now, payload, books)?,
            PacketType::CORRECTION => self.corrected(now, header.timestamp, payload, books)?,
            PacketType::ATTACK_RESULT => {
                self.is_dead |= self.fights.hear(self.id, header.timestamp, payload, books)?;
            }
            PacketType::CHAT => self.talk.hear(self.id, payload, books)?,
            PacketType::PONG if header.timestamp == self.pinged_at && self.pinged_at != 0 => {
                books.tally.counts.pongs += 1;
                self.pinged_at = 0;
            }
            PacketType::WELCOME | PacketType::CHALLENGE | PacketType::PONG | PacketType::ERROR => {
                books.tally.counts.strays += 1;
            }
            _ => return None,
        }
        Some(())
    }

    #[inline]
    fn acknowledged(&mut self, now: u64, timestamp: u64, payload: &[u8], books: &mut Books) {
        let id = self.id;
        let counts = &mut books.tally.counts;
        let Some(sent) = self.moves.find(timestamp) else { return self.answered_unasked(timestamp, books) };
        if !sent.is_acknowledged_by(id, payload) {
            counts.wrong_acknowledgements += 1;
        } else if sent.fate == Fate::Answered {
            counts.late_acknowledgements += 1;
        } else {
            counts.acknowledged += 1;
            sent.fate = Fate::Answered;
            let position = sent.position;
            books.answered(now, now.saturating_sub(timestamp));
            self.confirm(timestamp, position);
            if timestamp >= self.welcomed_at {
                self.naming.acknowledged(timestamp);
            }
        }
    }

    /// An answer to a move that the bot knows nothing of: it was long ago, or never was.
    #[cold]
    fn answered_unasked(&self, timestamp: u64, books: &mut Books) {
        let is_late = timestamp < self.started_at || self.moves.is_forgotten(timestamp);
        books.tally.counts.late_acknowledgements += u64::from(is_late);
        books.tally.counts.wrong_acknowledgements += u64::from(!is_late);
    }

    /// The server has it elsewhere: there it is.
    fn corrected(&mut self, now: u64, timestamp: u64, payload: &[u8], books: &mut Books) -> Option<()> {
        let place = Move::parse(payload).ok().filter(|place| place.player == self.id)?;
        let counts = &mut books.tally.counts;
        if timestamp == 0 {
            counts.respawns += 1;
            self.is_dead = false;
            self.confirmed.1 = place.position;
        } else if let Some(sent) = self.moves.find(timestamp) {
            if sent.fate == Fate::Answered {
                counts.late_acknowledgements += 1;
                return Some(());
            }
            counts.corrected += 1;
            sent.fate = Fate::Answered;
            books.answered(now, now.saturating_sub(timestamp));
            self.confirm(timestamp, place.position);
        } else {
            self.answered_unasked(timestamp, books);
            return Some(());
        }
        self.walk = Walk::at(place.position);
        self.displaced_at = now;
        Some(())
    }

    fn confirm(&mut self, timestamp: u64, position: Vector) {
        if timestamp >= self.confirmed.0 {
            self.confirmed = (timestamp, position);
        }
    }

    /// Whether the server may have it there, by what the bot knows: where it was said to be last, or
    /// where it went since without an answer.
    pub(crate) fn may_be_at(&self, position: Vector) -> bool {
        let (timestamp, confirmed) = self.confirmed;
        let since = self.moves.newest_first().take_while(|sent| sent.timestamp > timestamp);
        confirmed == position
            || since.filter(|sent| sent.fate == Fate::Waiting).any(|sent| sent.position == position)
    }
}
