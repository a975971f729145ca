//! What players say, and what they are answered.

use gannet::{Datagram, Outbox, Time, Verdict};

use super::exchange::Message;
use super::talk::Said;
use super::{Dropped, Game, header, reply};
use crate::counters::Event;
use crate::protocol::{
    Attack, AttackResult, Chat, Leave, Left, LeftReason, Move, Outcome, PacketType, Ping, set_type,
};
use crate::world::{Step, Strike, lcore_of, weapon};

impl Game {
    /// Answers a datagram, or says what it is dropped for.
    #[inline]
    pub(super) fn answer(
        &mut self,
        now: Time,
        datagram: &mut Datagram<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<Verdict, Dropped> {
        let header = header(datagram)?;
        match header.packet_type {
            PacketType::PLAYER_MOVE => self.on_move(now, datagram, header.timestamp),
            PacketType::PLAYER_ATTACK => self.on_attack(now, datagram, header.timestamp, outbox),
            PacketType::CHAT_MESSAGE => self.on_chat(now, datagram, header.timestamp),
            PacketType::JOIN => self.on_join(now, datagram, header.timestamp, outbox),
            PacketType::LEAVE => self.on_leave(now, datagram, header.timestamp),
            PacketType::PING => self.on_ping(now, datagram),
            _ => Err(Dropped(Event::DropUnknownType)),
        }
    }

    /// The way of nearly every datagram: the move goes back as it came, with another type.
    #[inline]
    fn on_move(
        &mut self,
        now: Time,
        datagram: &mut Datagram<'_>,
        timestamp: u64,
    ) -> Result<Verdict, Dropped> {
        let step = Move::parse(datagram.payload())?;
        let rules = self.world.rules;
        let player = self.world.known(step.player, datagram.source()).ok_or(Dropped(Event::DropStranger))?;
        player.seen = now;
        match player.step(now, &step, timestamp, &rules) {
            Step::Taken => {
                self.count(Event::Moved);
                set_type(datagram.payload_mut(), PacketType::MOVE_ACK);
                Ok(Verdict::Reply)
            }
            Step::Again => {
                set_type(datagram.payload_mut(), PacketType::MOVE_ACK);
                Ok(Verdict::Reply)
            }
            Step::Overtaken => Err(Dropped(Event::DropOvertaken)),
            Step::Refused => {
                let correction = player.correction();
                self.count(Event::Corrected);
                reply(datagram, |message| correction.write(message, PacketType::CORRECTION, timestamp))
            }
        }
    }

    fn on_attack(
        &mut self,
        now: Time,
        datagram: &mut Datagram<'_>,
        timestamp: u64,
        outbox: &mut Outbox<'_>,
    ) -> Result<Verdict, Dropped> {
        let attack = Attack::parse(datagram.payload())?;
        let weapon = weapon(attack.weapon).ok_or(Dropped(Event::DropUnknownWeapon))?;
        let attacker =
            self.world.known(attack.attacker, datagram.source()).ok_or(Dropped(Event::DropStranger))?;
        attacker.seen = now;
        let strike = Strike { attack, from: attacker.position, timestamp };
        let swung = attacker.swing(now, weapon);
        let owner = lcore_of(attack.target);
        let result = match swung {
            Err(outcome) => none_of(&attack, outcome),
            Ok(()) if owner == self.lcore => self.strike(now, &strike, outbox),
            Ok(()) if self.exchange.knows(owner) => {
                let told = self.exchange.tell(owner, Message::Strike(strike));
                // The answer comes from there.
                return if told { Ok(Verdict::Drop) } else { Err(Dropped(Event::DropExchangeFull)) };
            }
            Ok(()) => none_of(&attack, Outcome::NO_TARGET),
        };
        self.count(Event::Attacked);
        reply(datagram, |message| result.write(message, timestamp))
    }

    /// One of our players is attacked, and hears of it if that hurts.
    pub(super) fn strike(&mut self, now: Time, strike: &Strike, outbox: &mut Outbox<'_>) -> AttackResult {
        let result = self.world.suffer(now, strike);
        if result.outcome == Outcome::HIT || result.outcome == Outcome::KILLED {
            self.count(Event::Hit);
            self.counters.add(Event::Killed, u64::from(result.outcome == Outcome::KILLED));
            if let Some(ends) = self.world.players.player(result.target).map(|player| player.ends()) {
                self.send(outbox, ends, |message| result.write(message, strike.timestamp));
            }
        }
        result
    }

    fn on_chat(&mut self, now: Time, datagram: &Datagram<'_>, timestamp: u64) -> Result<Verdict, Dropped> {
        let chat = Chat::parse(datagram.payload())?;
        let rules = self.world.rules;
        let player = self.world.known(chat.player, datagram.source()).ok_or(Dropped(Event::DropStranger))?;
        player.seen = now;
        if !self.talk.has_room() {
            return Err(Dropped(Event::DropChatFull));
        }
        if !player.speak(now) {
            return Err(Dropped(Event::DropTooTalkative));
        }
        let said = Said::new(rules.cell_of(player.position), &chat, timestamp);
        self.counters.add(Event::MessagesLost, self.exchange.tell_all(&said));
        self.talk.hear(said);
        self.count(Event::Said);
        // They are told, the speaker among them, in the next tick.
        Ok(Verdict::Drop)
    }

    fn on_leave(
        &mut self,
        now: Time,
        datagram: &mut Datagram<'_>,
        timestamp: u64,
    ) -> Result<Verdict, Dropped> {
        let Leave { player } = Leave::parse(datagram.payload())?;
        self.world.known(player, datagram.source()).ok_or(Dropped(Event::DropStranger))?.seen = now;
        datagram.resize(Left::LEN).map_err(|_| Dropped(Event::DropNoRoom))?;
        let gone = self.world.players.remove(player).ok_or(Dropped(Event::DropStranger))?;
        self.count(Event::Left);
        let left = Left { player, position: gone.position, reason: LeftReason::ASKED };
        reply(datagram, |message| left.write(message, timestamp))
    }

    fn on_ping(&mut self, now: Time, datagram: &mut Datagram<'_>) -> Result<Verdict, Dropped> {
        let Ping { player } = Ping::parse(datagram.payload())?;
        self.world.known(player, datagram.source()).ok_or(Dropped(Event::DropStranger))?.seen = now;
        self.count(Event::Pinged);
        set_type(datagram.payload_mut(), PacketType::PONG);
        Ok(Verdict::Reply)
    }
}

/// The result of an attack of which nothing came.
fn none_of(attack: &Attack, outcome: Outcome) -> AttackResult {
    let Attack { attacker, target, weapon } = *attack;
    AttackResult { attacker, target, weapon, outcome, health: 0 }
}
