//! What the server says to one player.

use super::fields::{f32_at, put, put_vector, u32_at, u64_at, vector_at, whole};
use super::{HEADER_LEN, Header, Malformed, PacketType, PlayerId, Token, Vector};

/// What stands behind the header.
const FIRST: usize = HEADER_LEN;

/// The answer to a [`Join`](super::Join) without a cookie: send it again with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The cookie, good for a minute at least, for the address and port that it was sent to.
    pub cookie: [u8; 8],
}

impl Challenge {
    /// Bytes in all.
    pub const LEN: usize = 24;

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`].
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let message = whole::<{ Self::LEN }>(payload)?;
        Ok(Self { cookie: u64_at(message, FIRST).to_le_bytes() })
    }

    /// Writes it.
    pub fn write(&self, into: &mut [u8; Self::LEN], timestamp: u64) {
        Header { packet_type: PacketType::CHALLENGE, timestamp }.write(into, Self::LEN);
        put(into, FIRST, self.cookie);
    }
}

/// The answer to a [`Join`](super::Join) with a cookie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welcome {
    /// The version of the protocol that is spoken.
    pub version: u32,
    /// Who the player is from now on. Who comes back may be somebody else than before.
    pub player: PlayerId,
    /// What to come back with from another address.
    pub token: Token,
    /// Updates a second.
    pub tick_rate: u32,
    /// Where the player is.
    pub position: Vector,
    /// The side of the world in metres: it goes from 0 to that, east and north.
    pub world: f32,
    /// The side of a cell in metres: who is in the same or one of the eight around it is nearby.
    pub cell: f32,
    /// The most metres a second that a player makes.
    pub top_speed: f32,
    /// Milliseconds of silence after which a player has left.
    pub timeout: u32,
}

impl Welcome {
    /// Bytes in all.
    pub const LEN: usize = 64;
    const PLAYER: usize = 20;
    const TOKEN: usize = 24;
    const TICK_RATE: usize = 32;
    const POSITION: usize = 36;
    const WORLD: usize = 48;
    const CELL: usize = 52;
    const TOP_SPEED: usize = 56;
    const TIMEOUT: usize = 60;

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`], [`Malformed::NotFinite`].
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let message = whole::<{ Self::LEN }>(payload)?;
        Ok(Self {
            version: u32_at(message, FIRST),
            player: PlayerId(u32_at(message, Self::PLAYER)),
            token: Token(u64_at(message, Self::TOKEN)),
            tick_rate: u32_at(message, Self::TICK_RATE),
            position: vector_at(message, Self::POSITION)?,
            world: f32_at(message, Self::WORLD)?,
            cell: f32_at(message, Self::CELL)?,
            top_speed: f32_at(message, Self::TOP_SPEED)?,
            timeout: u32_at(message, Self::TIMEOUT),
        })
    }

    /// Writes it.
    pub fn write(&self, into: &mut [u8; Self::LEN], timestamp: u64) {
        Header { packet_type: PacketType::WELCOME, timestamp }.write(into, Self::LEN);
        put(into, FIRST, self.version.to_le_bytes());
        put(into, Self::PLAYER, self.player.0.to_le_bytes());
        put(into, Self::TOKEN, self.token.0.to_le_bytes());
        put(into, Self::TICK_RATE, self.tick_rate.to_le_bytes());
        put_vector(into, Self::POSITION, self.position);
        put(into, Self::WORLD, self.world.to_le_bytes());
        put(into, Self::CELL, self.cell.to_le_bytes());
        put(into, Self::TOP_SPEED, self.top_speed.to_le_bytes());
        put(into, Self::TIMEOUT, self.timeout.to_le_bytes());
    }
}

/// What came of an attack: a number from the wire, of which these are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome(pub u32);

impl Outcome {
    /// The target is hurt.
    pub const HIT: Self = Self(0);
    /// The target is hurt and dead of it.
    pub const KILLED: Self = Self(1);
    /// The weapon does not reach that far.
    pub const OUT_OF_RANGE: Self = Self(2);
    /// It is too early for the next attack.
    pub const TOO_EARLY: Self = Self(3);
    /// There is no such target, or it is dead.
    pub const NO_TARGET: Self = Self(4);
    /// The attacker is dead.
    pub const DEAD: Self = Self(5);
}

/// The answer to an [`Attack`](super::Attack); a target that was hit gets it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttackResult {
    /// Who attacked.
    pub attacker: PlayerId,
    /// Whom.
    pub target: PlayerId,
    /// With what.
    pub weapon: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// What health the target has left where it was hit, else 0.
    pub health: u32,
}

impl AttackResult {
    /// Bytes in all.
    pub const LEN: usize = 36;
    const TARGET: usize = 20;
    const WEAPON: usize = 24;
    const OUTCOME: usize = 28;
    const HEALTH: usize = 32;

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`].
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let message = whole::<{ Self::LEN }>(payload)?;
        Ok(Self {
            attacker: PlayerId(u32_at(message, FIRST)),
            target: PlayerId(u32_at(message, Self::TARGET)),
            weapon: u32_at(message, Self::WEAPON),
            outcome: Outcome(u32_at(message, Self::OUTCOME)),
            health: u32_at(message, Self::HEALTH),
        })
    }

    /// Writes it.
    pub fn write(&self, into: &mut [u8; Self::LEN], timestamp: u64) {
        Header { packet_type: PacketType::ATTACK_RESULT, timestamp }.write(into, Self::LEN);
        put(into, FIRST, self.attacker.0.to_le_bytes());
        put(into, Self::TARGET, self.target.0.to_le_bytes());
        put(into, Self::WEAPON, self.weapon.to_le_bytes());
        put(into, Self::OUTCOME, self.outcome.0.to_le_bytes());
        put(into, Self::HEALTH, self.health.to_le_bytes());
    }
}

/// Why somebody is no player: a number from the wire, of which these are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// The server speaks another version, which the detail names.
    pub const VERSION: Self = Self(1);
    /// The server has as many players as it takes, which the detail names.
    pub const FULL: Self = Self(2);
    /// There is no player with that token.
    pub const UNKNOWN_PLAYER: Self = Self(3);
    /// The address has as many players as the server takes of one, which the detail names.
    pub const ADDRESS_FULL: Self = Self(4);
}

/// The answer to a [`Join`](super::Join) that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: ErrorCode,
    /// A number that goes with it.
    pub detail: u32,
}

impl Refusal {
    /// Bytes in all.
    pub const LEN: usize = 24;
    const DETAIL: usize = 20;

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`].
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let message = whole::<{ Self::LEN }>(payload)?;
        Ok(Self { code: ErrorCode(u32_at(message, FIRST)), detail: u32_at(message, Self::DETAIL) })
    }

    /// Writes it.
    pub fn write(&self, into: &mut [u8; Self::LEN], timestamp: u64) {
        Header { packet_type: PacketType::ERROR, timestamp }.write(into, Self::LEN);
        put(into, FIRST, self.code.0.to_le_bytes());
        put(into, Self::DETAIL, self.detail.to_le_bytes());
    }
}

/// Why somebody is a player no more: a number from the wire, of which these are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftReason(pub u32);

impl LeftReason {
    /// It asked for that.
    pub const ASKED: Self = Self(0);
    /// Nothing came from it for too long.
    pub const SILENT: Self = Self(1);
    /// It came back from another address, and this went to the old one.
    pub const ELSEWHERE: Self = Self(2);
}

/// The answer to a [`Leave`](super::Leave), and the last word to who is no player for another reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// Who it was.
    pub player: PlayerId,
    /// Where it was, by the server.
    pub position: Vector,
    /// Why.
    pub reason: LeftReason,
}

impl Left {
    /// Bytes in all.
    pub const LEN: usize = 36;
    const POSITION: usize = 20;
    const REASON: usize = 32;

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`], [`Malformed::NotFinite`].
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let message = whole::<{ Self::LEN }>(payload)?;
        Ok(Self {
            player: PlayerId(u32_at(message, FIRST)),
            position: vector_at(message, Self::POSITION)?,
            reason: LeftReason(u32_at(message, Self::REASON)),
        })
    }

    /// Writes it.
    pub fn write(&self, into: &mut [u8; Self::LEN], timestamp: u64) {
        Header { packet_type: PacketType::LEFT, timestamp }.write(into, Self::LEN);
        put(into, FIRST, self.player.0.to_le_bytes());
        put_vector(into, Self::POSITION, self.position);
        put(into, Self::REASON, self.reason.0.to_le_bytes());
    }
}
