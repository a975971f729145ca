//! What players say.

use super::fields::{put, put_vector, u32_at, u64_at, vector_at, whole};
use super::{HEADER_LEN, Header, Malformed, PacketType, PlayerId, Refusal, Token, Vector};

/// The player whom a message is about stands first.
const PLAYER: usize = HEADER_LEN;

/// A move, what acknowledges it, and what corrects it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    /// Who moves.
    pub player: PlayerId,
    /// Where it is, in metres.
    pub position: Vector,
    /// How fast it goes there, in metres a second.
    pub velocity: Vector,
}

impl Move {
    /// Bytes in all.
    pub const LEN: usize = 44;
    const POSITION: usize = 20;
    const VELOCITY: usize = 32;

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`], [`Malformed::NotFinite`].
    #[inline]
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let message = whole::<{ Self::LEN }>(payload)?;
        Ok(Self {
            player: PlayerId(u32_at(message, PLAYER)),
            position: vector_at(message, Self::POSITION)?,
            velocity: vector_at(message, Self::VELOCITY)?,
        })
    }

    /// Writes it, as `packet_type`: a move, an acknowledgement or a correction.
    #[inline]
    pub fn write(&self, into: &mut [u8; Self::LEN], packet_type: PacketType, timestamp: u64) {
        Header { packet_type, timestamp }.write(into, Self::LEN);
        put(into, PLAYER, self.player.0.to_le_bytes());
        put_vector(into, Self::POSITION, self.position);
        put_vector(into, Self::VELOCITY, self.velocity);
    }
}

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attack {
    /// Who attacks.
    pub attacker: PlayerId,
    /// Whom.
    pub target: PlayerId,
    /// With what: a number of the game's rules.
    pub weapon: u32,
}

impl Attack {
    /// Bytes in all.
    pub const LEN: usize = 28;
    const TARGET: usize = 20;
    const WEAPON: usize = 24;

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`].
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let message = whole::<{ Self::LEN }>(payload)?;
        Ok(Self {
            attacker: PlayerId(u32_at(message, PLAYER)),
            target: PlayerId(u32_at(message, Self::TARGET)),
            weapon: u32_at(message, Self::WEAPON),
        })
    }

    /// Writes it.
    pub fn write(&self, into: &mut [u8; Self::LEN], timestamp: u64) {
        Header { packet_type: PacketType::PLAYER_ATTACK, timestamp }.write(into, Self::LEN);
        put(into, PLAYER, self.attacker.0.to_le_bytes());
        put(into, Self::TARGET, self.target.0.to_le_bytes());
        put(into, Self::WEAPON, self.weapon.to_le_bytes());
    }
}

/// Where the words of a [`Chat`] stand.
const TEXT: usize = 24;
/// Bytes that a player may say at once.
pub const MAX_TEXT_LEN: usize = 200;

/// Words of a player, to the server and from it to those nearby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chat<'a> {
    /// Who says it.
    pub player: PlayerId,
    /// What: 1 to [`MAX_TEXT_LEN`] bytes with no control characters.
    pub text: &'a str,
}

impl<'a> Chat<'a> {
    const LENGTH: usize = 20;
    /// Bytes of the longest.
    pub const MAX_LEN: usize = TEXT + MAX_TEXT_LEN;

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`], [`Malformed::Text`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let (head, text) = payload.split_first_chunk::<TEXT>().ok_or(Malformed::Size)?;
        if u32_at(head, Self::LENGTH) as usize != text.len() {
            return Err(Malformed::Size);
        }
        let text = std::str::from_utf8(text).ok().filter(|text| is_text(text)).ok_or(Malformed::Text)?;
        Ok(Self { player: PlayerId(u32_at(head, PLAYER)), text })
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        TEXT + self.text.len()
    }

    /// Whether nothing is said, which no server takes.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Writes it, as `packet_type`: from a player or from the server.
    ///
    /// # Panics
    /// If `into` has not its [`len`](Self::len).
    pub fn write(&self, into: &mut [u8], packet_type: PacketType, timestamp: u64) {
        Header { packet_type, timestamp }.write(into, self.len());
        into[PLAYER..Self::LENGTH].copy_from_slice(&self.player.0.to_le_bytes());
        into[Self::LENGTH..TEXT].copy_from_slice(&(self.text.len() as u32).to_le_bytes());
        into[TEXT..].copy_from_slice(self.text.as_bytes());
    }
}

fn is_text(text: &str) -> bool {
    (1..=MAX_TEXT_LEN).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// The wish to be a player. It is as long as the longest answer to it, so that nobody can have the
/// server send more to a victim than is sent to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// The version of the protocol that is spoken.
    pub version: u32,
    /// Who it was, if it comes back from another address; else nobody.
    pub player: PlayerId,
    /// What shows that it was.
    pub token: Token,
    /// The cookie of a [`Challenge`](super::Challenge); zeros before there was one.
    pub cookie: [u8; 8],
}

impl Join {
    /// Bytes in all.
    pub const LEN: usize = 64;
    const VERSION: usize = 16;
    const PLAYER: usize = 20;
    const TOKEN: usize = 24;
    const COOKIE: usize = 32;
    const RESERVED: usize = 40;

    /// The version that is spoken: of all versions it stands here, in messages of any length that
    /// holds the answer to it. `None` for shorter ones.
    pub fn version_of(payload: &[u8]) -> Option<u32> {
        payload.first_chunk::<{ Refusal::LEN }>().map(|message| u32_at(message, Self::VERSION))
    }

    /// Reads it. What follows the version is another version's business where that is another.
    ///
    /// # Errors
    /// [`Malformed::Size`], [`Malformed::Reserved`].
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let message = whole::<{ Self::LEN }>(payload)?;
        let version = u32_at(message, Self::VERSION);
        if version == super::VERSION && message[Self::RESERVED..].iter().any(|&byte| byte != 0) {
            return Err(Malformed::Reserved);
        }
        Ok(Self {
            version,
            player: PlayerId(u32_at(message, Self::PLAYER)),
            token: Token(u64_at(message, Self::TOKEN)),
            cookie: u64_at(message, Self::COOKIE).to_le_bytes(),
        })
    }

    /// Writes it.
    pub fn write(&self, into: &mut [u8; Self::LEN], timestamp: u64) {
        Header { packet_type: PacketType::JOIN, timestamp }.write(into, Self::LEN);
        put(into, Self::VERSION, self.version.to_le_bytes());
        put(into, Self::PLAYER, self.player.0.to_le_bytes());
        put(into, Self::TOKEN, self.token.0.to_le_bytes());
        put(into, Self::COOKIE, self.cookie);
        into[Self::RESERVED..].fill(0);
    }
}

/// A message that has nothing but a player.
macro_rules! of_a_player {
    ($(#[$doc:meta])* $name:ident, $packet_type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            /// Who says it.
            pub player: PlayerId,
        }

        impl $name {
            /// Bytes in all.
            pub const LEN: usize = 20;

            /// Reads it.
            ///
            /// # Errors
            /// [`Malformed::Size`].
            pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
                let message = whole::<{ Self::LEN }>(payload)?;
                Ok(Self { player: PlayerId(u32_at(message, PLAYER)) })
            }

            /// Writes it.
            pub fn write(&self, into: &mut [u8; Self::LEN], timestamp: u64) {
                Header { packet_type: PacketType::$packet_type, timestamp }.write(into, Self::LEN);
                put(into, PLAYER, self.player.0.to_le_bytes());
            }
        }
    };
}

of_a_player! {
    /// The wish to be a player no more.
    Leave, LEAVE
}
of_a_player! {
    /// How far is the server? It comes back as [`PacketType::PONG`].
    Ping, PING
}
