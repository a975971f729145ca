//! How a bot fights: now and then it attacks who is nearest, with what reaches that far.

use std::net::SocketAddr;

use gannet::{Outbox, SendError};
use gannet_game::protocol::{Attack, AttackResult, Outcome, PlayerId};

use super::books::Books;
use crate::r#gen::random::SplitMix64;

/// The weapons of the game, the shortest first: number and reach in metres.
const WEAPONS: [(u32, f32); 3] = [(0, 3.0), (2, 15.0), (1, 40.0)];
/// How long a result may take, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// The most health that there is.
const HEALTH: u32 = 100;

/// The attacks of a bot.
#[derive(Debug, Default)]
pub(crate) struct Fights {
    /// When the next one is due.
    due: u64,
    /// The last one that was made.
    last: Option<(u64, Attack)>,
    is_waiting: bool,
    /// When the one before that was made, whose result may still come.
    before: u64,
}

impl Fights {
    /// A new session, with so many attacks a second.
    pub(crate) fn start(&mut self, now: u64, rate: f64, random: &mut SplitMix64) {
        *self = Self { due: next(now, rate, random), ..Self::default() };
    }

    /// Nothing more comes. A result of just now may have been on its way, from another lcore of the server's.
    pub(crate) fn end(&mut self, now: u64, books: &mut Books) {
        books.tally.counts.attacks_lost += u64::from(self.is_waiting && !self.is_pending(now));
        self.is_waiting = false;
    }

    /// The result of the last attack may go where nobody is any more.
    pub(crate) fn forget(&mut self) {
        self.is_waiting = false;
    }

    /// Whether the result of the last attack may still come.
    fn is_pending(&self, now: u64) -> bool {
        self.is_waiting && self.last.is_some_and(|(at, _)| now.saturating_sub(at) <= PATIENCE)
    }

    /// Whether it is time for one; then the next one's is set.
    #[inline]
    pub(crate) fn is_due(&mut self, at: u64, rate: f64, random: &mut SplitMix64) -> bool {
        let is_due = at >= self.due;
        if is_due {
            self.due = next(at, rate, random);
        }
        is_due
    }

    /// Attacks the nearest player if it is in reach. One attack at a time: the result of the last has time.
    pub(crate) fn attack(
        &mut self,
        at: u64,
        own: PlayerId,
        nearest: Option<(PlayerId, f32)>,
        from: SocketAddr,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        let Some((target, square)) = nearest.filter(|_| !self.is_pending(at)) else { return Ok(()) };
        let weapon = WEAPONS.iter().find(|(_, reach)| square <= reach * reach);
        let Some(&(weapon, _)) = weapon else { return Ok(()) };
        let attack = Attack { attacker: own, target, weapon };
        let write = |room: &mut [u8]| _ = room.first_chunk_mut().map(|room| attack.write(room, at));
        outbox.send_with(from, books.habits.to, Attack::LEN, write)?;
        books.tally.counts.attacks += 1;
        books.tally.counts.attacks_lost += u64::from(self.is_waiting);
        self.before = self.last.map_or(0, |(at, _)| at);
        (self.last, self.is_waiting) = (Some((at, attack)), true);
        Ok(())
    }

    /// A result came. Gives whether the bot is dead of it.
    pub(crate) fn hear(
        &mut self,
        own: PlayerId,
        timestamp: u64,
        payload: &[u8],
        books: &mut Books,
    ) -> Option<bool> {
        let result = AttackResult::parse(payload).ok()?;
        let counts = &mut books.tally.counts;
        let is_hit = matches!(result.outcome, Outcome::HIT | Outcome::KILLED);
        if result.attacker != own {
            let is_ours = result.target == own && is_hit && result.health <= HEALTH;
            counts.hits_taken += u64::from(is_ours);
            counts.wrong_attack_results += u64::from(!is_ours);
            return Some(is_ours && result.outcome == Outcome::KILLED);
        }
        let is_last = self.last.is_some_and(|(at, _)| at == timestamp);
        let matches = self.last.is_some_and(|(_, attack)| is_of(&result, &attack));
        if is_last && matches && self.is_waiting {
            self.is_waiting = false;
            counts.attack_results += 1;
            counts.hits += u64::from(is_hit);
            counts.kills += u64::from(result.outcome == Outcome::KILLED);
        } else if is_last && matches || timestamp == self.before && timestamp != 0 {
            counts.strays += 1;
        } else {
            counts.wrong_attack_results += 1;
        }
        Some(false)
    }
}

fn is_of(result: &AttackResult, attack: &Attack) -> bool {
    let is_known = result.outcome.0 <= Outcome::DEAD.0 && result.health <= HEALTH;
    is_known
        && (result.attacker, result.target, result.weapon) == (attack.attacker, attack.target, attack.weapon)
}

/// When something comes next that comes so often a second, at random.
pub(super) fn next(now: u64, rate: f64, random: &mut SplitMix64) -> u64 {
    let gap = if rate > 0.0 { random.exponential() / rate * 1e9 } else { f64::INFINITY };
    // A cast of what is too long gives the longest.
    now.saturating_add(gap as u64)
}
