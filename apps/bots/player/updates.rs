//! What an update says to a bot, and whether that can be.

use gannet_game::protocol::{Entry, EntryFlags, PARTS_MAX, Update, Vector};

use super::{Books, Hearing, Player, Rules};

/// Metres by which sums of numbers of 24 bits may be off.
const ROUNDING: f32 = 0.05;
/// After it was put elsewhere a bot knows its place again within this time.
const CONFUSION: u64 = 1_000_000_000;

impl Player {
    #[inline]
    pub(super) fn update(&mut self, now: u64, payload: &[u8], books: &mut Books) -> Option<()> {
        let Some(rules) = self.rules else { return Some(()) };
        let update = Update::parse(payload).ok()?;
        let head = update.head;
        books.tally.counts.updates += 1;
        self.heard_at = now;
        let lost = books.heard.lost;
        self.hearing.hear(&head, &mut books.heard);
        // Of a crowd some are named in each tick, which may be this bot or not.
        let is_crowd = usize::from(head.parts) >= PARTS_MAX;
        if books.heard.lost > lost || is_crowd {
            self.naming.excuse();
        }
        self.check_cell(now, head.cell, &rules, books);
        let around = Square::around(head.cell, rules.cell);
        self.nearest = None;
        for entry in update.entries() {
            let entry = entry.ok()?;
            books.tally.counts.entries += 1;
            books.tally.counts.entries_out_of_range += u64::from(!around.has(entry.position));
            self.look_at(head.tick, &entry, books);
            if !is_crowd {
                books.hear_of(now, head.tick, rules.tick, &entry);
            }
        }
        if self.naming.hear(head.tick) {
            Hearing::miss(&mut books.heard);
        }
        Some(())
    }

    #[inline]
    fn look_at(&mut self, tick: u32, entry: &Entry, books: &mut Books) {
        let is_dead = entry.flags.has(EntryFlags::DEAD);
        if entry.player == self.id {
            self.is_dead = is_dead;
            let sent = self.moves.newest_first().find(|sent| sent.timestamp as u32 == entry.stamp);
            let is_back = sent.is_some_and(|sent| self.naming.named(tick, sent.timestamp));
            books.tally.counts.updates_stepped_back += u64::from(is_back);
        } else if !is_dead {
            let square = self.walk.square_to(entry.position);
            if self.nearest.is_none_or(|(_, nearest)| square < nearest) {
                self.nearest = Some((entry.player, square));
            }
        }
    }

    /// An update is for the cell that the bot is in, or was in a moment ago.
    #[inline]
    fn check_cell(&mut self, now: u64, cell: [u16; 2], rules: &Rules, books: &mut Books) {
        let square = Square::of(cell, rules.cell);
        if square.has(self.walk.position) {
            return;
        }
        if self.is_dead {
            self.displaced_at = now;
        }
        if now.saturating_sub(self.displaced_at) < CONFUSION {
            return;
        }
        let mut left_at = now;
        for sent in self.moves.newest_first() {
            if square.has(sent.position) {
                return books.judge(now, now.saturating_sub(left_at), rules.tick);
            }
            left_at = sent.timestamp;
        }
        books.tally.counts.updates_misplaced += 1;
    }
}

/// A part of the world, from above.
#[derive(Clone, Copy, Debug)]
struct Square {
    low: [f32; 2],
    high: [f32; 2],
}

impl Square {
    /// A cell.
    fn of(cell: [u16; 2], side: f32) -> Self {
        Self::grown(cell, side, 0.0)
    }

    /// A cell and the eight around it.
    fn around(cell: [u16; 2], side: f32) -> Self {
        Self::grown(cell, side, 1.0)
    }

    fn grown(cell: [u16; 2], side: f32, by: f32) -> Self {
        let cell = cell.map(f32::from);
        Self {
            low: cell.map(|cell| (cell - by) * side - ROUNDING),
            high: cell.map(|cell| (cell + 1.0 + by) * side + ROUNDING),
        }
    }

    #[inline]
    fn has(&self, position: Vector) -> bool {
        let is_between = |number: f32, axis: usize| self.low[axis] <= number && number <= self.high[axis];
        is_between(position.x, 0) && is_between(position.z, 1)
    }
}
