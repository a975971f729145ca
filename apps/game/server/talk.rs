//! What is said in a tick, until it is told.

use crate::protocol::{Chat, MAX_TEXT_LEN, PlayerId};

/// What can be said in a tick.
const MOST: usize = 1024;

/// Words of a player, and where they are heard.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) cell: u32,
    player: PlayerId,
    pub(super) timestamp: u64,
    len: u8,
    text: [u8; MAX_TEXT_LEN],
}

const _: () = assert!(MAX_TEXT_LEN <= u8::MAX as usize);

impl Said {
    pub(super) fn new(cell: u32, chat: &Chat<'_>, timestamp: u64) -> Self {
        let mut text = [0; MAX_TEXT_LEN];
        let bytes = &chat.text.as_bytes()[..chat.text.len().min(MAX_TEXT_LEN)];
        text[..bytes.len()].copy_from_slice(bytes);
        Self { cell, player: chat.player, timestamp, len: bytes.len() as u8, text }
    }

    pub(super) fn chat(&self) -> Chat<'_> {
        let text = self.text.get(..self.len.into()).unwrap_or_default();
        // It was text when it came.
        Chat { player: self.player, text: std::str::from_utf8(text).unwrap_or_default() }
    }
}

/// What was said, and is told with the next tick; and what is being told.
#[derive(Debug)]
pub(super) struct Talk {
    heard: Vec<Said>,
    pub(super) told: Vec<Said>,
}

impl Talk {
    pub(super) fn new() -> Self {
        Self { heard: Vec::with_capacity(MOST), told: Vec::with_capacity(MOST) }
    }

    /// Whether more can be said in this tick.
    pub(super) fn has_room(&self) -> bool {
        self.heard.len() < MOST
    }

    /// Takes it in. `false` if there is no room.
    pub(super) fn hear(&mut self, said: Said) -> bool {
        let has_room = self.has_room();
        if has_room {
            self.heard.push(said);
        }
        has_room
    }

    /// A tick begins: what was heard is to be told, and what was told is forgotten.
    pub(super) fn turn(&mut self) {
        std::mem::swap(&mut self.heard, &mut self.told);
        self.heard.clear();
    }
}
