//! How somebody becomes a player. A source is answered no more than it sends until it has shown, by
//! a cookie, that it receives what it is sent; until then nothing of it is kept.

use gannet::{Datagram, Outbox, Time, Verdict};

use super::exchange::{Claim, Message};
use super::{Dropped, Game, reply};
use crate::counters::Event;
use crate::protocol::{Challenge, ErrorCode, Join, Left, LeftReason, PlayerId, Refusal, VERSION, Welcome};
use crate::world::{Player, lcore_of};

impl Game {
    pub(super) fn on_join(
        &mut self,
        now: Time,
        datagram: &mut Datagram<'_>,
        timestamp: u64,
        outbox: &mut Outbox<'_>,
    ) -> Result<Verdict, Dropped> {
        if Join::version_of(datagram.payload()).is_some_and(|version| version != VERSION) {
            self.count(Event::Refused);
            let refusal = Refusal { code: ErrorCode::VERSION, detail: VERSION };
            return reply(datagram, |message| refusal.write(message, timestamp));
        }
        let join = Join::parse(datagram.payload())?;
        let (source, own) = (datagram.source(), datagram.destination());
        if !outbox.is_cookie(source, own, &join.cookie) {
            self.count(Event::Challenged);
            let challenge = Challenge { cookie: outbox.cookie(source, own).0 };
            return reply(datagram, |message| challenge.write(message, timestamp));
        }
        outbox.validate(source);
        let claim =
            Claim { player: join.player, token: join.token, source, own, timestamp, lcore: self.lcore };
        match self.seat(now, &claim, outbox)? {
            Ok(welcome) => reply(datagram, |message| welcome.write(message, timestamp)),
            Err(refusal) => {
                self.count(Event::Refused);
                reply(datagram, |message| refusal.write(message, timestamp))
            }
        }
    }

    /// Finds a place for who has shown where it is.
    fn seat(
        &mut self,
        now: Time,
        claim: &Claim,
        outbox: &mut Outbox<'_>,
    ) -> Result<Result<Welcome, Refusal>, Dropped> {
        let unknown = Refusal { code: ErrorCode::UNKNOWN_PLAYER, detail: claim.player.0 };
        if let Some(player) = self.world.rejoined(claim.source) {
            // It has not heard that it is one, or has begun anew.
            player.seen = now;
            let player = player.clone();
            return Ok(Ok(self.welcome(&player)));
        }
        if claim.player == PlayerId::NOBODY {
            if !self.world.players.tenants.has_room(claim.source.ip(), None) {
                return Ok(Err(self.address_full()));
            }
            let full = Refusal { code: ErrorCode::FULL, detail: self.world.players.seats() };
            let joined = self.world.join(now, claim.source, claim.own);
            let joined = joined.and_then(|id| self.world.players.player(id)).map(|player| player.clone());
            self.counters.add(Event::Joined, u64::from(joined.is_some()));
            return Ok(joined.map(|player| self.welcome(&player)).ok_or(full));
        }
        let owner = lcore_of(claim.player);
        if owner != self.lcore {
            return match self.exchange.knows(owner) {
                false => Ok(Err(unknown)),
                true if !self.world.players.tenants.has_room(claim.source.ip(), None) => {
                    Ok(Err(self.address_full()))
                }
                true if self.exchange.tell(owner, Message::Claim(*claim)) => {
                    Err(Dropped(Event::JoinsPassedOn))
                }
                true => Err(Dropped(Event::DropExchangeFull)),
            };
        }
        let Some(player) = self.world.claimed(claim.player, claim.token) else { return Ok(Err(unknown)) };
        player.seen = now;
        let old = player.clone();
        if !self.world.players.tenants.has_room(claim.source.ip(), Some(old.source.ip())) {
            return Ok(Err(self.address_full()));
        }
        self.world.players.rebind(claim.player, claim.source, claim.own);
        self.say_farewell(&old, LeftReason::ELSEWHERE, outbox);
        self.count(Event::Rejoined);
        Ok(Ok(self.welcome(&old)))
    }

    /// The refusal of one more player of an address.
    #[cold]
    fn address_full(&self) -> Refusal {
        self.count(Event::AddressFull);
        Refusal { code: ErrorCode::ADDRESS_FULL, detail: self.world.players.tenants.most() }
    }

    /// What a player has to know.
    pub(super) fn welcome(&self, player: &Player) -> Welcome {
        let rules = &self.world.rules;
        Welcome {
            version: VERSION,
            player: player.id,
            token: player.token,
            tick_rate: rules.tick_rate,
            position: player.position,
            world: rules.world,
            cell: rules.cell,
            top_speed: rules.top_speed,
            timeout: u32::try_from(rules.timeout.as_millis()).unwrap_or(u32::MAX),
        }
    }

    /// Tells a player, where it was, that it is none there any more.
    pub(super) fn say_farewell(&self, player: &Player, reason: LeftReason, outbox: &mut Outbox<'_>) {
        let left = Left { player: player.id, position: player.position, reason };
        self.send(outbox, player.ends(), |message| left.write(message, 0));
    }
}
