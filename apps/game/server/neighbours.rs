//! What other lcores ask for.

use gannet::{Outbox, Time};

use super::Game;
use super::exchange::{Claim, Message};
use super::fan_out::Progress;
use crate::counters::Event;
use crate::protocol::{ErrorCode, LeftReason, Refusal};
use crate::world::{Player, lcore_of};

/// Messages that one of theirs may have us send.
const ANSWERS: usize = 1;

impl Game {
    /// Does what other lcores ask for, as far as the outbox goes.
    pub(super) fn heed(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Progress {
        while outbox.free() >= ANSWERS {
            let Some(message) = self.exchange.hear() else { return Progress::Done };
            self.obey(now, message, outbox);
        }
        Progress::More
    }

    fn obey(&mut self, now: Time, message: Message, outbox: &mut Outbox<'_>) {
        match message {
            Message::Said(said) => {
                let heard = self.talk.hear(said);
                self.counters.add(Event::MessagesLost, u64::from(!heard));
            }
            Message::Strike(strike) => {
                let result = self.strike(now, &strike, outbox);
                let back = Message::Struck(result, strike.timestamp);
                self.pass(lcore_of(result.attacker), back);
            }
            Message::Struck(result, timestamp) => {
                self.count(Event::Attacked);
                if let Some(ends) = self.world.players.player(result.attacker).map(|player| player.ends()) {
                    self.send(outbox, ends, |message| result.write(message, timestamp));
                }
            }
            Message::Claim(claim) => self.hand_over(now, claim, outbox),
            Message::Handover(player, claim) => self.take_over(now, player, claim, outbox),
            Message::Unknown(claim) => {
                self.count(Event::Refused);
                let refusal = Refusal { code: ErrorCode::UNKNOWN_PLAYER, detail: claim.player.0 };
                let ends = (claim.own, claim.source);
                self.send(outbox, ends, |message| refusal.write(message, claim.timestamp));
            }
        }
    }

    /// A player of ours comes back from an address that is another lcore's.
    fn hand_over(&mut self, now: Time, claim: Claim, outbox: &mut Outbox<'_>) {
        // Nobody is taken out who could get lost on the way. It will ask again.
        if !self.exchange.has_room(claim.lcore) {
            return self.count(Event::MessagesLost);
        }
        let is_ours = self.world.claimed(claim.player, claim.token).map(|player| player.seen = now).is_some();
        let player = is_ours.then(|| self.world.players.take_out(claim.player)).flatten();
        match player {
            None => self.pass(claim.lcore, Message::Unknown(claim)),
            Some(player) => {
                self.say_farewell(&player, LeftReason::ELSEWHERE, outbox);
                self.pass(claim.lcore, Message::Handover(player, claim));
            }
        }
    }

    /// A player of another lcore's is ours from now on, under a number of ours.
    fn take_over(&mut self, now: Time, player: Player, claim: Claim, outbox: &mut Outbox<'_>) {
        if self.world.players.of_source(claim.source).is_some() {
            // It did not wait and is somebody else by now.
            return self.forsake();
        }
        let (source, own) = (claim.source, claim.own);
        let adopted = self.world.players.place(|id| player.settle(now, id, (source, own)));
        let Some(player) = adopted.and_then(|id| self.world.players.player(id)).map(|player| player.clone())
        else {
            return self.forsake();
        };
        self.count(Event::Rejoined);
        let welcome = self.welcome(&player);
        self.send(outbox, player.ends(), |message| welcome.write(message, claim.timestamp));
    }

    /// A player that was handed over has no place here.
    fn forsake(&mut self) {
        self.count(Event::Forsaken);
        self.world.players.give_up_seat();
    }

    fn pass(&mut self, lcore: u32, message: Message) {
        if !self.exchange.tell(lcore, message) {
            self.count(Event::MessagesLost);
        }
    }
}
