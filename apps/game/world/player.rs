//! A player, and what it may do.

use std::net::SocketAddr;

use gannet::Time;

use crate::map::Dot;
use crate::protocol::{Entry, EntryFlags, Move, Outcome, PlayerId, Token, Vector};
use crate::rules::{DEATH, HEALTH, Rules, SILENCE, Weapon};

/// What the server knows of a player.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    pub(crate) id: PlayerId,
    pub(crate) token: Token,
    /// Where it sends from.
    pub(crate) source: SocketAddr,
    /// Which of our addresses it sends to.
    pub(crate) own: SocketAddr,
    pub(crate) position: Vector,
    pub(crate) velocity: Vector,
    /// The timestamp of the last move that counts, on the player's clock; 0 before there was one.
    moved_at: u64,
    pub(crate) health: u16,
    /// What became of it since the last update.
    pub(crate) flags: EntryFlags,
    /// Something of it is to be told.
    pub(crate) is_changed: bool,
    /// Metres that it may move at once, up to the moment `moved`.
    credit: f32,
    moved: Time,
    /// When it was last heard of.
    pub(crate) seen: Time,
    may_attack: Time,
    may_talk: Time,
    /// When it is alive again, while it is dead.
    revives: Time,
    /// The cell that it was in when the present tick began.
    pub(crate) cell: u32,
}

/// What stands for it in the slab; with its entry, its places in the tick's lists and in the index of
/// addresses, that is to stay below 256 bytes.
const _: () = assert!(size_of::<Player>() <= 168);

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Taken,
    /// It is the last one once more.
    Again,
    /// It was overtaken by another.
    Overtaken,
    /// It stays where the server has it.
    Refused,
}

impl Player {
    pub(crate) fn new(
        now: Time,
        (id, token): (PlayerId, Token),
        (source, own): (SocketAddr, SocketAddr),
        position: Vector,
    ) -> Self {
        Self {
            id,
            token,
            source,
            own,
            position,
            velocity: Vector::default(),
            moved_at: 0,
            health: HEALTH,
            flags: EntryFlags::default(),
            is_changed: true,
            credit: 0.0,
            moved: now,
            seen: now,
            may_attack: now,
            may_talk: now,
            revives: Time::NEVER,
            cell: u32::MAX,
        }
    }

    /// The same player on another lcore, and from another address.
    pub(crate) fn settle(self, now: Time, id: PlayerId, (source, own): (SocketAddr, SocketAddr)) -> Self {
        // It is in no cell of this lcore's present tick.
        Self { id, source, own, seen: now, is_changed: true, moved_at: 0, cell: u32::MAX, ..self }
    }

    /// It sends from another address from now on, and may have another clock.
    pub(crate) fn rebind(&mut self, source: SocketAddr, own: SocketAddr) {
        (self.source, self.own, self.moved_at) = (source, own, 0);
    }

    /// Our end and its end, to send from and to.
    #[inline]
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        (self.own, self.source)
    }

    /// Where it stands, for who says otherwise.
    pub(crate) fn correction(&self) -> Move {
        Move { player: self.id, position: self.position, velocity: Vector::default() }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.health == 0
    }

    /// Moves, if it can have come so far.
    #[inline]
    pub(crate) fn step(&mut self, now: Time, step: &Move, timestamp: u64, rules: &Rules) -> Step {
        if timestamp <= self.moved_at && self.moved_at != 0 {
            let is_last = timestamp == self.moved_at
                && (step.position, step.velocity) == (self.position, self.velocity);
            return if is_last { Step::Again } else { Step::Overtaken };
        }
        let passed = now.as_nanos().saturating_sub(self.moved.as_nanos()) as f32 * 1e-9;
        self.credit = (self.credit + passed * rules.top_speed).min(rules.longest_way());
        self.moved = now;
        let way = (step.position - self.position).square();
        let is_possible = way <= self.credit * self.credit
            && step.velocity.square() <= rules.top_speed * rules.top_speed
            && rules.contains(step.position)
            && !self.is_dead();
        if !is_possible {
            return Step::Refused;
        }
        self.credit -= way.sqrt();
        self.position = step.position;
        self.velocity = step.velocity;
        self.moved_at = timestamp;
        self.is_changed = true;
        Step::Taken
    }

    /// Whether it may attack now; if so, it can't again until the weapon's time has passed.
    ///
    /// # Errors
    /// What came of the attack that is none.
    pub(crate) fn swing(&mut self, now: Time, weapon: &Weapon) -> Result<(), Outcome> {
        if self.is_dead() {
            return Err(Outcome::DEAD);
        }
        if now < self.may_attack {
            return Err(Outcome::TOO_EARLY);
        }
        self.may_attack = now + weapon.cooldown;
        self.mark(EntryFlags::FIGHTS);
        Ok(())
    }

    /// Is attacked from a place. Gives what came of it.
    pub(crate) fn suffer(&mut self, now: Time, from: Vector, weapon: &Weapon) -> Outcome {
        if self.is_dead() {
            return Outcome::NO_TARGET;
        }
        if (self.position - from).square() > weapon.range * weapon.range {
            return Outcome::OUT_OF_RANGE;
        }
        self.health = self.health.saturating_sub(weapon.damage);
        self.mark(EntryFlags::FIGHTS);
        if !self.is_dead() {
            return Outcome::HIT;
        }
        self.revives = now + DEATH;
        self.velocity = Vector::default();
        Outcome::KILLED
    }

    /// Whether it is alive again by now.
    pub(crate) fn may_revive(&self, now: Time) -> bool {
        self.is_dead() && now >= self.revives
    }

    /// Lives again, elsewhere, and has saved up nothing there.
    pub(crate) fn revive(&mut self, now: Time, position: Vector) {
        self.health = HEALTH;
        self.revives = Time::NEVER;
        self.position = position;
        (self.credit, self.moved) = (0.0, now);
        self.is_changed = true;
    }

    /// Whether it may say something now; if so, it can't again for a while.
    pub(crate) fn speak(&mut self, now: Time) -> bool {
        let may = now >= self.may_talk;
        if may {
            self.may_talk = now + SILENCE;
        }
        may
    }

    fn mark(&mut self, flags: EntryFlags) {
        self.flags = self.flags.with(flags);
        self.is_changed = true;
    }

    /// What is seen of it from above.
    pub(crate) fn dot(&self, rules: &Rules) -> Dot {
        Dot {
            x: self.position.x / rules.world,
            z: self.position.z / rules.world,
            fights: self.flags.has(EntryFlags::FIGHTS),
            dead: self.is_dead(),
        }
    }

    /// What those nearby are told, once.
    pub(crate) fn tell(&mut self) -> Entry {
        let flags = std::mem::take(&mut self.flags);
        self.is_changed = false;
        let Self { id: player, moved_at, position, velocity, health, .. } = *self;
        let flags = if self.is_dead() { flags.with(EntryFlags::DEAD) } else { flags };
        Entry { player, stamp: moved_at as u32, position, velocity, health, flags }
    }
}
