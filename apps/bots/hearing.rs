//! Which updates a bot has heard, and which it has lost.

use gannet_game::protocol::UpdateHead;

/// What became of updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Datagrams of updates that were sent to the bot, as far as it knows.
    pub(crate) expected: u64,
    /// Those of them that never came.
    pub(crate) lost: u64,
    /// Those that came twice.
    pub(crate) duplicates: u64,
    /// Those that came behind a later one.
    pub(crate) reordered: u64,
}

/// An update of which a part was heard.
#[derive(Clone, Copy, Debug)]
struct Hearsay {
    tick: u32,
    cell: [u16; 2],
    parts: u8,
    /// A bit for each part.
    heard: [u64; 4],
}

impl Hearsay {
    fn new(head: &UpdateHead) -> Self {
        Self { tick: head.tick, cell: head.cell, parts: head.parts, heard: [0; 4] }
    }

    fn is(&self, head: &UpdateHead) -> bool {
        (self.tick, self.cell) == (head.tick, head.cell)
    }

    /// Marks a part. Gives whether it is new.
    fn mark(&mut self, part: u8) -> bool {
        let (word, bit) = (usize::from(part / 64), 1 << (part % 64));
        let is_new = self.heard[word] & bit == 0;
        self.heard[word] |= bit;
        is_new
    }

    fn missing(&self) -> u64 {
        let heard: u32 = self.heard.iter().map(|word| word.count_ones()).sum();
        u64::from(u32::from(self.parts).saturating_sub(heard))
    }
}

/// The last two updates that a bot heard of. Parts of them may still come.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    last: Option<Hearsay>,
    before: Option<Hearsay>,
}

/// Whether tick `a` is behind tick `b`, on a counter that wraps round.
fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

impl Hearing {
    /// Takes an update in.
    #[inline]
    pub(crate) fn hear(&mut self, head: &UpdateHead, counts: &mut Heard) {
        for known in [&mut self.last, &mut self.before].into_iter().flatten() {
            if known.is(head) {
                counts.duplicates += u64::from(!known.mark(head.part));
                return;
            }
        }
        if self.last.is_some_and(|last| is_after(last.tick, head.tick)) {
            return self.hear_late(head, counts);
        }
        if self.last.is_some_and(|last| last.cell == head.cell && is_after(head.previous, last.tick)) {
            // One at least: how many more there were between the two nobody says.
            counts.expected += 1;
            counts.lost += 1;
        }
        retire(std::mem::replace(&mut self.before, self.last.take()), counts);
        let last = self.last.insert(Hearsay::new(head));
        last.mark(head.part);
        counts.expected += u64::from(head.parts);
    }

    /// An update behind a later one: if that one said that it was lost, it was not.
    fn hear_late(&mut self, head: &UpdateHead, counts: &mut Heard) {
        counts.reordered += 1;
        let was_missed = self.before.is_none_or(|before| is_after(head.tick, before.tick));
        if was_missed && self.last.is_some_and(|last| last.cell == head.cell) {
            counts.lost = counts.lost.saturating_sub(1);
        }
    }

    /// Nothing was heard for so long that there must have been something.
    pub(crate) fn miss(counts: &mut Heard) {
        counts.expected += 1;
        counts.lost += 1;
    }

    /// No further part comes.
    pub(crate) fn end(&mut self, counts: &mut Heard) {
        retire(self.before.take(), counts);
        retire(self.last.take(), counts);
    }
}

fn retire(known: Option<Hearsay>, counts: &mut Heard) {
    counts.lost += known.map_or(0, |known| known.missing());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(tick: u32, previous: u32, part: u8, parts: u8) -> UpdateHead {
        UpdateHead { tick, previous, cell: [1, 1], part, parts }
    }

    fn heard(heads: &[UpdateHead]) -> Heard {
        let (mut hearing, mut counts) = (Hearing::default(), Heard::default());
        heads.iter().for_each(|head| hearing.hear(head, &mut counts));
        hearing.end(&mut counts);
        counts
    }

    #[test]
    fn a_chain_without_gaps_loses_nothing() {
        let chain = [head(u32::MAX, u32::MAX, 0, 1), head(0, u32::MAX, 0, 2), head(0, u32::MAX, 1, 2)];
        let later = [head(9, 0, 1, 2), head(9, 0, 0, 2)];
        let counts = heard(&[&chain[..], &later].concat());
        assert_eq!(counts, Heard { expected: 5, ..Heard::default() });
    }

    #[test]
    fn lost_parts_and_lost_ticks_are_counted() {
        let part = heard(&[head(1, 1, 0, 3), head(1, 1, 2, 3), head(2, 1, 0, 1)]);
        assert_eq!((part.expected, part.lost), (4, 1));
        let tick = heard(&[head(1, 1, 0, 1), head(3, 2, 0, 1)]);
        assert_eq!((tick.expected, tick.lost), (3, 1));
        let last = heard(&[head(1, 1, 0, 2)]);
        assert_eq!((last.expected, last.lost), (2, 1));
    }

    #[test]
    fn another_cell_has_a_chain_of_its_own() {
        let other = UpdateHead { cell: [1, 2], ..head(3, 2, 0, 1) };
        assert_eq!(heard(&[head(1, 1, 0, 1), other]).lost, 0);
    }

    #[test]
    fn what_comes_twice_or_late_is_not_lost() {
        let counts = heard(&[head(1, 1, 0, 1), head(1, 1, 0, 1), head(3, 2, 0, 1), head(2, 1, 0, 1)]);
        assert_eq!(counts, Heard { expected: 3, lost: 0, duplicates: 1, reordered: 1 });
        let parts = heard(&[head(1, 1, 0, 2), head(2, 1, 0, 1), head(1, 1, 1, 2)]);
        assert_eq!((parts.lost, parts.expected), (0, 3));
    }
}
