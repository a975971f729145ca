//! What the lcores and the control plane show each other: relaxed words that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed};

use gannet::telemetry::Durations;

/// What one lcore shows, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Line {
    /// Bots that are players.
    pub(crate) playing: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) moves: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) updates: AtomicU64,
    /// All of its bots have left.
    pub(crate) is_over: AtomicBool,
    /// For the metrics.
    pub(crate) round_trips: Arc<Durations>,
    pub(crate) ages: Arc<Durations>,
}

/// What all of them show.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) lines: Box<[Line]>,
    /// The lcore that has each bot, by its place plus one: the one that the server's answers reach.
    owners: Box<[AtomicU16]>,
    /// A bit for each home of each bot, if the answers to it reach another lcore than the bot's.
    astray: Box<[AtomicU8]>,
    /// The bots may begin.
    pub(crate) begins: AtomicBool,
    /// The bots are to leave.
    pub(crate) closes: AtomicBool,
}

/// Sums over the lcores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) playing: u64,
    pub(crate) joined: u64,
    pub(crate) refused: u64,
    pub(crate) moves: u64,
    pub(crate) answered: u64,
    pub(crate) updates: u64,
}

impl Board {
    pub(crate) fn new(lcores: usize, bots: u32) -> Self {
        Self {
            lines: std::iter::repeat_with(Line::default).take(lcores).collect(),
            owners: std::iter::repeat_with(AtomicU16::default).take(bots as usize).collect(),
            astray: std::iter::repeat_with(AtomicU8::default).take(bots as usize).collect(),
            begins: AtomicBool::new(false),
            closes: AtomicBool::new(false),
        }
    }

    /// Takes a bot for the lcore at that place, if nobody else has it. Gives whether it is its own now.
    pub(crate) fn claim(&self, number: u32, lcore: usize) -> bool {
        let own = lcore as u16 + 1;
        let claimed = self.owners[number as usize].compare_exchange(0, own, Relaxed, Relaxed);
        claimed.is_ok() || claimed == Err(own)
    }

    /// Whether another lcore than the one at that place has the bot.
    pub(crate) fn is_elsewhere(&self, number: u32, lcore: usize) -> bool {
        let owner = self.owners[number as usize].load(Relaxed);
        owner != 0 && owner != lcore as u16 + 1
    }

    /// What the server said to a home of a bot of another lcore came here.
    pub(crate) fn lead_astray(&self, number: u32, home: usize) {
        self.astray[number as usize].fetch_or(1 << home, Relaxed);
    }

    /// A bit for each home of a bot where nothing is heard on its lcore.
    #[inline]
    pub(crate) fn astray(&self, number: u32) -> u8 {
        self.astray[number as usize].load(Relaxed)
    }

    pub(crate) fn totals(&self) -> Totals {
        let add = |sum: Totals, line: &Line| Totals {
            playing: sum.playing + line.playing.load(Relaxed),
            joined: sum.joined + line.joined.load(Relaxed),
            refused: sum.refused + line.refused.load(Relaxed),
            moves: sum.moves + line.moves.load(Relaxed),
            answered: sum.answered + line.answered.load(Relaxed),
            updates: sum.updates + line.updates.load(Relaxed),
        };
        self.lines.iter().fold(Totals::default(), add)
    }

    /// Whether no bot is a player any more.
    pub(crate) fn is_over(&self) -> bool {
        self.lines.iter().all(|line| line.is_over.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_is_one_lcore_s() {
        let board = Board::new(2, 3);
        assert!(!board.is_elsewhere(2, 0) && board.claim(2, 1) && board.claim(2, 1));
        assert!(!board.claim(2, 0) && board.is_elsewhere(2, 0) && !board.is_elsewhere(2, 1));
        assert!(board.claim(1, 0));
        [2, 0].into_iter().for_each(|home| board.lead_astray(1, home));
        assert_eq!((board.astray(0), board.astray(1)), (0, 0b101));
    }
}
