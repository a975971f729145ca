//! The world that the game's targets play in, and its messages read by hand.

use gannet_game::rules::HEIGHT;

use crate::bytes::Bytes;

/// Where the server listens.
pub(crate) const PORT: u16 = 8080;
/// A cell's side in metres; the world has three of them each way.
pub(crate) const CELL: f32 = 20.0;
pub(crate) const WORLD: f32 = 3.0 * CELL;

/// A world that an input happens in.
pub(crate) trait Played: Sized {
    /// Steps in one run at most.
    const LIMIT: usize;
    /// All that was sent.
    type Transcript: PartialEq;

    /// What it is, an input's first byte says.
    fn new(mode: u8) -> Self;

    fn step(&mut self, bytes: &mut Bytes<'_>);

    /// Everything is looked at that holds at the end.
    fn close(self) -> Self::Transcript;

    /// One in which all of the input has happened.
    fn played(data: &[u8]) -> Self {
        let mut bytes = Bytes::new(data);
        let mut world = Self::new(bytes.byte());
        for _ in 0..Self::LIMIT {
            if bytes.is_empty() {
                break;
            }
            world.step(&mut bytes);
        }
        world
    }

    /// Plays an input. The same packets at the same times are the same bytes out; every eighth input pays for
    /// that.
    fn play(data: &[u8]) {
        let first = Self::played(data).close();
        if data.first().is_some_and(|mode| mode >> 5 == 7) {
            assert!(first == Self::played(data).close(), "another run of the same input");
        }
    }
}

/// A message from a player.
pub(crate) fn message(kind: u32, timestamp: u64, body: &[u8]) -> Vec<u8> {
    let size = 16 + body.len() as u32;
    [&kind.to_le_bytes()[..], &size.to_le_bytes(), &timestamp.to_le_bytes(), body].concat()
}

/// The four bytes there, little-endian.
pub(crate) fn word(message: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]])
}

/// The eight bytes there.
pub(crate) fn eight(message: &[u8], at: usize) -> [u8; 8] {
    std::array::from_fn(|index| message[at + index])
}

/// The three numbers there.
pub(crate) fn vector(message: &[u8], at: usize) -> [f32; 3] {
    [0, 4, 8].map(|axis| f32::from_bits(word(message, at + axis)))
}

/// How long it is.
pub(crate) fn length(vector: [f32; 3]) -> f32 {
    vector.iter().map(|part| part * part).sum::<f32>().sqrt()
}

/// Whether it is in the world.
pub(crate) fn is_inside([east, up, north]: [f32; 3]) -> bool {
    let world = 0.0..=WORLD;
    world.contains(&east) && world.contains(&north) && (0.0..=HEIGHT).contains(&up)
}

/// The players whom an update names: all of them are in the world, and in cells around its own.
pub(crate) fn judge_entries(payload: &[u8]) -> Vec<u32> {
    let cell = |at: usize| usize::from(u16::from_le_bytes([payload[at], payload[at + 1]]));
    assert!(word(payload, 20) <= word(payload, 16), "the update before that");
    let of = |entry: &[u8]| {
        let place = vector(entry, 8);
        assert!(is_inside(place) && word(entry, 32) as u16 <= 100, "{entry:02x?}");
        for (axis, at) in [(place[0], 24), (place[2], 26)] {
            let own = ((axis / CELL) as usize).min(2);
            assert!(own.abs_diff(cell(at)) <= 1, "{entry:02x?} in an update of {payload:02x?}");
        }
        word(entry, 0)
    };
    payload[32..].chunks_exact(36).map(of).collect()
}
