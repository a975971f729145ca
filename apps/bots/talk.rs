//! How a bot talks: now and then a line, which it hears itself.

use std::io::Write as _;
use std::net::SocketAddr;

use gannet::{Outbox, SendError};
use gannet_game::protocol::{Chat, PacketType, PlayerId};

use super::books::Books;
use super::fight::next;
use crate::r#gen::random::SplitMix64;

/// The server takes no two lines within half a second; on the way they may come nearer to each other.
const GAP: u64 = 1_000_000_000;
/// Bytes of the longest line.
const LONGEST: usize = 48;

/// The lines of a bot.
#[derive(Debug)]
pub(crate) struct Talk {
    number: u32,
    due: u64,
    /// How many lines it has said in all.
    lines: u64,
    is_waiting: bool,
}

/// A line, and how much of it is one.
struct Line([u8; LONGEST], usize);

impl Line {
    /// The so many-th line of a bot.
    fn new(number: u32, line: u64) -> Self {
        let mut bytes = [0; LONGEST];
        let mut rest = &mut bytes[..];
        // It has room for the longest numbers.
        let _ = write!(rest, "bot {number} says line {line}");
        let len = LONGEST - rest.len();
        Self(bytes, len)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0[..self.1]).unwrap_or_default()
    }
}

impl Talk {
    pub(crate) fn new(number: u32) -> Self {
        Self { number, due: u64::MAX, lines: 0, is_waiting: false }
    }

    /// A new session, with so many lines a second.
    pub(crate) fn start(&mut self, now: u64, rate: f64, random: &mut SplitMix64) {
        self.due = next(now, rate, random);
    }

    /// What was said last may not come back any more.
    pub(crate) fn end(&mut self) {
        self.is_waiting = false;
    }

    /// Whether it is time for a line; then the next one's is set.
    #[inline]
    pub(crate) fn is_due(&mut self, at: u64, rate: f64, random: &mut SplitMix64) -> bool {
        let is_due = at >= self.due;
        if is_due {
            self.due = next(at.saturating_add(GAP), rate, random);
        }
        is_due
    }

    /// Says a line.
    pub(crate) fn say(
        &mut self,
        at: u64,
        own: PlayerId,
        from: SocketAddr,
        books: &mut Books,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), SendError> {
        let line = Line::new(self.number, self.lines + 1);
        let chat = Chat { player: own, text: line.text() };
        let write = |room: &mut [u8]| chat.write(room, PacketType::CHAT_MESSAGE, at);
        outbox.send_with(from, books.habits.to, chat.len(), write)?;
        books.tally.counts.chats += 1;
        books.tally.counts.chats_lost += u64::from(self.is_waiting);
        self.lines += 1;
        self.is_waiting = true;
        Ok(())
    }

    /// Somebody said something.
    pub(crate) fn hear(&mut self, own: PlayerId, payload: &[u8], books: &mut Books) -> Option<()> {
        let chat = Chat::parse(payload).ok()?;
        let counts = &mut books.tally.counts;
        if chat.player != own {
            counts.chats_heard += 1;
        } else if chat.text == Line::new(self.number, self.lines).text() {
            counts.chats_returned += u64::from(self.is_waiting);
            counts.strays += u64::from(!self.is_waiting);
            self.is_waiting = false;
        } else if self.lines > 1 && chat.text == Line::new(self.number, self.lines - 1).text() {
            counts.strays += 1;
        } else {
            counts.wrong_chats += 1;
        }
        Some(())
    }
}
