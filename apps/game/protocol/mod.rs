//! What players and the server say to each other: little-endian, packed, one message to a
//! datagram. `docs/game-protocol.md` is the same page for people who write clients.
//!
//! Each message is a type with a length, `parse`, and `write` into its place. `parse` is given a
//! datagram whose [`Header`] was read, so that it knows type and size, and refuses what no honest
//! client sends: numbers that are not finite, text that is none, reserved bytes that are not zero.
//!
//! - `fields`: numbers in their places.
//! - `player`: from players. `server`: from the server. `update`: what goes on around a player.

mod fields;
#[cfg(test)]
mod page_tests;
mod player;
mod server;
#[cfg(test)]
mod tests;
mod update;

pub use player::{Attack, Chat, Join, Leave, MAX_TEXT_LEN, Move, Ping};
pub use server::{AttackResult, Challenge, ErrorCode, Left, LeftReason, Outcome, Refusal, Welcome};
pub use update::{ENTRIES_MAX, Entry, EntryFlags, PARTS_MAX, Update, UpdateHead};

use fields::{u32_at, u64_at};

/// The version of this protocol; [`Join`] says which one the player speaks.
pub const VERSION: u32 = 1;
/// Where the server listens unless it is told otherwise.
pub const DEFAULT_PORT: u16 = 8080;
/// Bytes of a [`Header`].
pub const HEADER_LEN: usize = 16;

/// Where the header's fields stand, in bytes from the payload's start.
mod at {
    pub(super) const TYPE: usize = 0;
    pub(super) const SIZE: usize = 4;
    pub(super) const TIMESTAMP: usize = 8;
}

/// What a message is: a number from the wire, of which these are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketType(pub u32);

impl PacketType {
    /// A player moves: [`Move`].
    pub const PLAYER_MOVE: Self = Self(1);
    /// A player attacks: [`Attack`].
    pub const PLAYER_ATTACK: Self = Self(2);
    /// A player says something: [`Chat`].
    pub const CHAT_MESSAGE: Self = Self(3);
    /// Somebody wants to be a player, or to be one again: [`Join`].
    pub const JOIN: Self = Self(4);
    /// A player leaves: [`Leave`].
    pub const LEAVE: Self = Self(5);
    /// A player asks how far the server is: [`Ping`].
    pub const PING: Self = Self(6);
    /// The move counts: the [`Move`] in the same buffer.
    pub const MOVE_ACK: Self = Self(101);
    /// What came of an attack: [`AttackResult`].
    pub const ATTACK_RESULT: Self = Self(102);
    /// Somebody nearby says something: [`Chat`].
    pub const CHAT: Self = Self(103);
    /// The cookie to join with: [`Challenge`].
    pub const CHALLENGE: Self = Self(104);
    /// Somebody is a player now: [`Welcome`].
    pub const WELCOME: Self = Self(105);
    /// The ping in the same buffer.
    pub const PONG: Self = Self(106);
    /// The player is elsewhere than it says: a [`Move`] with where the server has it.
    pub const CORRECTION: Self = Self(107);
    /// Who is nearby and where: [`Update`].
    pub const UPDATE: Self = Self(108);
    /// Why somebody is no player: [`Refusal`].
    pub const ERROR: Self = Self(109);
    /// Somebody is a player no more: [`Left`].
    pub const LEFT: Self = Self(110);
}

/// What every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub packet_type: PacketType,
    /// Nanoseconds on the clock of who made the message; an answer has that of what it answers.
    pub timestamp: u64,
}

impl Header {
    /// Reads the header of a whole payload.
    ///
    /// # Errors
    /// [`Malformed::Short`] if there is no whole header, [`Malformed::Size`] if the size that it
    /// says is not the payload's.
    #[inline]
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let header = payload.first_chunk::<HEADER_LEN>().ok_or(Malformed::Short)?;
        if u32_at(header, at::SIZE) as usize != payload.len() {
            return Err(Malformed::Size);
        }
        Ok(Self {
            packet_type: PacketType(u32_at(header, at::TYPE)),
            timestamp: u64_at(header, at::TIMESTAMP),
        })
    }

    /// Writes it in front of a message that has `size` bytes with it.
    ///
    /// # Panics
    /// If there is no room for it.
    #[inline]
    pub fn write(&self, message: &mut [u8], size: usize) {
        message[at::TYPE..at::SIZE].copy_from_slice(&self.packet_type.0.to_le_bytes());
        message[at::SIZE..at::TIMESTAMP].copy_from_slice(&(size as u32).to_le_bytes());
        message[at::TIMESTAMP..HEADER_LEN].copy_from_slice(&self.timestamp.to_le_bytes());
    }
}

/// Makes a message another one of the same form, in its place.
///
/// # Panics
/// If it is shorter than a type.
#[inline]
pub fn set_type(message: &mut [u8], packet_type: PacketType) {
    message[at::TYPE..at::SIZE].copy_from_slice(&packet_type.0.to_le_bytes());
}

/// Who a player is, as the server names it. Zero is nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayerId(pub u32);

impl PlayerId {
    /// No player.
    pub const NOBODY: Self = Self(0);
}

/// What shows that its bearer is a player. It is known to the player and the server, and is to be
/// kept from everybody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token(pub u64);

/// Three numbers in metres, or metres a second: east, up, north.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vector {
    /// East.
    pub x: f32,
    /// Up.
    pub y: f32,
    /// North.
    pub z: f32,
}

impl Vector {
    /// Bytes on the wire.
    pub const LEN: usize = 12;

    /// Whether none of the three is infinite or no number.
    #[inline]
    pub fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.z.is_finite()
    }

    /// The square of its length.
    #[inline]
    pub fn square(self) -> f32 {
        self.x * self.x + self.y * self.y + self.z * self.z
    }
}

impl std::ops::Sub for Vector {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y, z: self.z - other.z }
    }
}

/// Why a payload is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is no whole header.
    #[error("shorter than a header")]
    Short,
    /// Its header says another size than the datagram has, or than its type has.
    #[error("another size than its header or its type says")]
    Size,
    /// A number that is not finite.
    #[error("a number that is not finite")]
    NotFinite,
    /// No UTF-8, nothing at all, too much, or control characters.
    #[error("text that is none")]
    Text,
    /// A reserved byte that is not zero.
    #[error("a reserved byte that is not zero")]
    Reserved,
    /// A number with a meaning that has none.
    #[error("a number that has no meaning")]
    Unknown,
}
