//! What goes on around a player: who is where, made once for all players of a cell.

use super::fields::{put, put_vector, u16_at, u32_at, vector_at};
use super::{HEADER_LEN, Header, Malformed, PacketType, PlayerId, Vector};

/// Entries of an update at most: it fits the 1,200 bytes that every path carries (RFC 9000, section 14).
pub const ENTRIES_MAX: usize = 32;
/// Updates of a tick for one cell.
pub const PARTS_MAX: usize = 8;

/// What stands in front of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateHead {
    /// The tick that it is of, counted from the server's start.
    pub tick: u32,
    /// The tick of the last update before that went to this cell; the tick itself if there was
    /// none. Who was in the cell then, and has not heard that one, has lost it.
    pub previous: u32,
    /// The cell that it is for, counted in cells from the world's corner: east, north.
    pub cell: [u16; 2],
    /// Which of the tick's updates for the cell it is, from 0.
    pub part: u8,
    /// How many there are.
    pub parts: u8,
}

impl UpdateHead {
    /// Bytes up to the entries.
    pub const LEN: usize = 32;
    const TICK: usize = HEADER_LEN;
    const PREVIOUS: usize = 20;
    const CELL: usize = 24;
    const PART: usize = 28;
    const PARTS: usize = 29;
    const COUNT: usize = 30;

    /// Bytes of an update with so many entries.
    pub const fn message_len(entries: usize) -> usize {
        Self::LEN + entries * Entry::LEN
    }

    /// Writes it in front of `count` entries, at most [`ENTRIES_MAX`].
    pub fn write(&self, into: &mut [u8; Self::LEN], count: usize, timestamp: u64) {
        let header = Header { packet_type: PacketType::UPDATE, timestamp };
        header.write(into, Self::message_len(count));
        put(into, Self::TICK, self.tick.to_le_bytes());
        put(into, Self::PREVIOUS, self.previous.to_le_bytes());
        put(into, Self::CELL, self.cell[0].to_le_bytes());
        put(into, Self::CELL + 2, self.cell[1].to_le_bytes());
        put(into, Self::PART, [self.part]);
        put(into, Self::PARTS, [self.parts]);
        put(into, Self::COUNT, (count as u16).to_le_bytes());
    }
}

/// An update that was received.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// What stands in front of the entries.
    pub head: UpdateHead,
    entries: &'a [[u8; Entry::LEN]],
}

impl<'a> Update<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed::Size`], [`Malformed::Unknown`] if its part is none of its parts.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let (head, rest) = payload.split_first_chunk::<{ UpdateHead::LEN }>().ok_or(Malformed::Size)?;
        let (entries, odd) = rest.as_chunks();
        let count = usize::from(u16_at(head, UpdateHead::COUNT));
        if !odd.is_empty() || count != entries.len() || count > ENTRIES_MAX {
            return Err(Malformed::Size);
        }
        let head = UpdateHead {
            tick: u32_at(head, UpdateHead::TICK),
            previous: u32_at(head, UpdateHead::PREVIOUS),
            cell: [u16_at(head, UpdateHead::CELL), u16_at(head, UpdateHead::CELL + 2)],
            part: head[UpdateHead::PART],
            parts: head[UpdateHead::PARTS],
        };
        if head.part < head.parts { Ok(Self { head, entries }) } else { Err(Malformed::Unknown) }
    }

    /// Who is where.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Result<Entry, Malformed>> + 'a {
        self.entries.iter().map(Entry::parse)
    }
}

/// What became of a player since the last update, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryFlags(pub u16);

impl EntryFlags {
    /// It attacked or was attacked.
    pub const FIGHTS: Self = Self(1);
    /// It is dead, for now.
    pub const DEAD: Self = Self(2);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A player, as those nearby see it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Entry {
    /// Who.
    pub player: PlayerId,
    /// The low 32 bits of the timestamp of the last move that counts: the player itself knows by it
    /// which one that is.
    pub stamp: u32,
    /// Where, in metres.
    pub position: Vector,
    /// How fast, in metres a second.
    pub velocity: Vector,
    /// What health it has, of 100.
    pub health: u16,
    /// What became of it.
    pub flags: EntryFlags,
}

impl Entry {
    /// Bytes on the wire.
    pub const LEN: usize = 36;
    const STAMP: usize = 4;
    const POSITION: usize = 8;
    const VELOCITY: usize = 20;
    const HEALTH: usize = 32;
    const FLAGS: usize = 34;

    pub(crate) fn parse(bytes: &[u8; Self::LEN]) -> Result<Self, Malformed> {
        Ok(Self {
            player: PlayerId(u32_at(bytes, 0)),
            stamp: u32_at(bytes, Self::STAMP),
            position: vector_at(bytes, Self::POSITION)?,
            velocity: vector_at(bytes, Self::VELOCITY)?,
            health: u16_at(bytes, Self::HEALTH),
            flags: EntryFlags(u16_at(bytes, Self::FLAGS)),
        })
    }

    /// Writes it.
    #[inline]
    pub fn write(&self, into: &mut [u8; Self::LEN]) {
        put(into, 0, self.player.0.to_le_bytes());
        put(into, Self::STAMP, self.stamp.to_le_bytes());
        put_vector(into, Self::POSITION, self.position);
        put_vector(into, Self::VELOCITY, self.velocity);
        put(into, Self::HEALTH, self.health.to_le_bytes());
        put(into, Self::FLAGS, self.flags.0.to_le_bytes());
    }
}
