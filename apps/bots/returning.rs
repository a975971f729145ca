//! How a bot comes back from another address with its token, and what it thinks of what still comes to the
//! old one.

use gannet::{Datagram, Outbox, SendError, Verdict};
use gannet_game::protocol::{
    ErrorCode, Header, Join, Left, LeftReason, PacketType, Refusal, VERSION, Welcome,
};

use super::books::{Books, Rules};
use super::bot::{Bot, Phase, Turn, again_after, answer, write_join};
use super::homes::Forwarding;

/// How often a bot asks from a home that nothing comes back to, before it tries another one.
const KNOCKS: u32 = 3;
/// How often it asks from one where it was answered.
const TRIES: u32 = 6;

/// A bot on its way to another home.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Journey {
    /// The next home's cookie came.
    is_challenged: bool,
}

impl Bot {
    /// Leaves for another home, if one is left: from there it asks to be the same player.
    pub(super) fn set_out(
        &mut self,
        at: u64,
        turn: Turn,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        if !self.homes.pick(turn.astray) {
            self.homes.settle(at, books.habits.rejoins, &mut self.random);
            return Ok(());
        }
        self.journey = Journey::default();
        self.phase = Phase::Returning(at, 0);
        self.ask_back(at, turn, books, outbox)
    }

    /// Asks from the next home, or from the one behind it where nothing comes back to this.
    pub(super) fn ask_back(
        &mut self,
        at: u64,
        turn: Turn,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        let Phase::Returning(_, mut tries) = self.phase else { return Ok(()) };
        if self.journey.is_challenged && tries >= TRIES {
            books.tally.counts.rejoins_failed += 1;
            self.go(at, books);
            return Ok(());
        }
        if !self.journey.is_challenged && (tries >= KNOCKS || turn.leads_astray(&self.homes)) {
            if !self.homes.pick(turn.astray) {
                return self.stay_here(at, books);
            }
            tries = 0;
        }
        let join = self.join_back();
        outbox
            .send_with(self.homes.next(), books.habits.to, Join::LEN, |room| write_join(room, &join, at))?;
        books.tally.counts.rejoins += 1;
        self.phase = Phase::Returning(at + again_after(tries), tries + 1);
        Ok(())
    }

    /// No other home can be reached, so it plays on where it was.
    fn stay_here(&mut self, at: u64, books: &mut Books) -> Result<(), SendError> {
        books.tally.counts.rejoins_abandoned += 1;
        self.homes.settle(at, books.habits.rejoins, &mut self.random);
        self.phase = Phase::Playing;
        Ok(())
    }

    /// The join of who it is, without a cookie.
    fn join_back(&self) -> Join {
        Join { version: VERSION, player: self.player.id(), token: self.player.token(), cookie: [0; 8] }
    }

    /// Takes in what comes to a home where it is not, or not yet.
    #[cold]
    pub(super) fn hear_elsewhere(
        &mut self,
        now: u64,
        (home, header): (usize, Header),
        datagram: &mut Datagram<'_>,
        books: &mut Books,
    ) -> Verdict {
        let is_next = matches!(self.phase, Phase::Returning(..)) && self.homes.is_next(home);
        let understood = match header.packet_type {
            PacketType::CHALLENGE if is_next => {
                self.journey.is_challenged = true;
                return answer(self.join_back(), now, datagram, books);
            }
            PacketType::WELCOME if is_next => self.come_back(now, datagram.payload(), books),
            PacketType::ERROR if is_next => self.refused_back(datagram.payload(), books),
            _ if is_next => {
                books.tally.counts.strays += 1;
                Some(())
            }
            _ => self.hear_behind(now, (home, header), datagram.payload(), books),
        };
        books.tally.counts.malformed += u64::from(understood.is_none());
        Verdict::Drop
    }

    /// It is the same player, here: where it was, with the same token.
    fn come_back(&mut self, now: u64, payload: &[u8], books: &mut Books) -> Option<()> {
        let welcome = Welcome::parse(payload).ok().filter(|welcome| welcome.version == VERSION)?;
        let rules = Rules::new(&welcome, &books.habits)?;
        let before = self.player.id();
        let agrees = self.player.is_dead() || self.player.may_be_at(welcome.position);
        let counts = &mut books.tally.counts;
        counts.rejoined += 1;
        counts.renumbered += u64::from(welcome.player != before);
        counts.rejoined_elsewhere += u64::from(!agrees);
        counts.rejoined_as_another += u64::from(welcome.token != self.player.token());
        if welcome.player != before {
            books.part(before);
            books.meet(welcome.player);
        }
        self.player.come_back(now, &welcome, rules, books);
        self.homes.arrive(now, before);
        self.homes.settle(now, books.habits.rejoins, &mut self.random);
        self.phase = Phase::Playing;
        Some(())
    }

    /// The player's lcore may not have let it go yet, so that it asks again; and an address that is full is
    /// no place to go to.
    fn refused_back(&mut self, payload: &[u8], books: &mut Books) -> Option<()> {
        let refusal = Refusal::parse(payload).ok()?;
        let counts = &mut books.tally.counts;
        let is_address = refusal.code == ErrorCode::ADDRESS_FULL;
        counts.refused_address += u64::from(is_address);
        counts.refused_otherwise += u64::from(!is_address);
        Some(())
    }

    /// Something comes to an old home: what was on its way counts, and an update much later does not belong
    /// there.
    fn hear_behind(
        &mut self,
        now: u64,
        (home, header): (usize, Header),
        payload: &[u8],
        books: &mut Books,
    ) -> Option<()> {
        let counts = &mut books.tally.counts;
        let forwarding = self.homes.forwarding(now, home);
        match (header.packet_type, forwarding) {
            (PacketType::LEFT, _) => {
                let left = Left::parse(payload).ok()?;
                let is_its = left.reason == LeftReason::ELSEWHERE;
                counts.moved_out += u64::from(is_its);
                counts.strays += u64::from(!is_its);
            }
            (PacketType::UPDATE, Forwarding::Stale) => counts.updates_left_behind += 1,
            (_, Forwarding::Fresh(player)) if player == self.player.id() && self.is_playing() => {
                return self.player.hear(now, header, payload, books);
            }
            _ => counts.strays += 1,
        }
        Some(())
    }
}
