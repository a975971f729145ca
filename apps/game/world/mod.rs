//! The world as one lcore has it: its players, and what they can do. Nothing here sends anything.

mod player;
pub(crate) mod slab;
mod tenants;

use std::net::SocketAddr;

use gannet::Time;
use gannet::host::HashKey;

pub(crate) use player::{Player, Step};
pub(crate) use slab::{MAX_LCORES, MAX_PLAYERS, Seats, Slab, lcore_of, slot_of};

use tenants::Tenants;

use crate::protocol::{Attack, AttackResult, Outcome, PlayerId, Token, Vector};
use crate::random::Random;
use crate::rules::{Rules, WEAPONS, Weapon};

/// The players of an lcore and the rules that they live by.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) players: Slab,
    random: Random,
}

/// An attack that the attacker was free to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Strike {
    pub(crate) attack: Attack,
    /// Where the attacker stands.
    pub(crate) from: Vector,
    /// Of the attack, for its result.
    pub(crate) timestamp: u64,
}

impl World {
    pub(crate) fn new(lcore: u32, rules: Rules, seats: Seats, seed: HashKey) -> Self {
        let mut random = Random::new(seed, lcore);
        let key = HashKey([random.next(), random.next()]);
        let tenants = Tenants::new(key, seats.on_an_lcore(), rules.seats_per_address);
        Self { rules, players: Slab::new(lcore, seats, tenants, key), random }
    }

    /// A new player, somewhere in the world. `None` if it is full.
    pub(crate) fn join(&mut self, now: Time, source: SocketAddr, own: SocketAddr) -> Option<PlayerId> {
        let (token, place) = (Token(self.random.next()), self.somewhere());
        self.players.add(|id| Player::new(now, (id, token), (source, own), place))
    }

    /// The player of that number, if it is from there that it sends.
    #[inline]
    pub(crate) fn known(&mut self, id: PlayerId, source: SocketAddr) -> Option<&mut Player> {
        self.players.player(id).filter(|player| player.source == source)
    }

    /// The player that sends from there, which may have another clock from now on.
    pub(crate) fn rejoined(&mut self, source: SocketAddr) -> Option<&mut Player> {
        let (id, own) = self.players.of_source(source).map(|player| (player.id, player.own))?;
        let player = self.players.player(id)?;
        player.rebind(source, own);
        Some(player)
    }

    /// The player of that number, for who has its token.
    pub(crate) fn claimed(&mut self, id: PlayerId, token: Token) -> Option<&mut Player> {
        self.players.player(id).filter(|player| player.token == token)
    }

    /// An attacked player of ours suffers what it has to. Gives what came of it.
    pub(crate) fn suffer(&mut self, now: Time, strike: &Strike) -> AttackResult {
        let Attack { attacker, target, weapon } = strike.attack;
        let (mut outcome, mut health) = (Outcome::NO_TARGET, 0);
        let means = self::weapon(weapon);
        let player = self.players.player(target).filter(|_| target != attacker);
        if let (Some(player), Some(means)) = (player, means) {
            outcome = player.suffer(now, strike.from, means);
            if outcome == Outcome::HIT || outcome == Outcome::KILLED {
                health = player.health.into();
            }
        }
        AttackResult { attacker, target, weapon, outcome, health }
    }

    /// Somewhere in the world, on its ground.
    pub(crate) fn somewhere(&mut self) -> Vector {
        let (x, z) = (self.random.unit(), self.random.unit());
        Vector { x: x * self.rules.world, y: 0.0, z: z * self.rules.world }
    }
}

/// The weapon of that number.
pub(crate) fn weapon(number: u32) -> Option<&'static Weapon> {
    WEAPONS.get(number as usize)
}

#[cfg(test)]
mod tests;
