//! Who is told what in a tick: all players are sorted by cell, and what is new in nine cells is
//! told to everybody in the middle one. The work is cut into slices, each small.

use std::ops::Range;

use super::nearby::{Rows, Sorted};
use crate::protocol::{ENTRIES_MAX, Entry, EntryFlags, PARTS_MAX, UpdateHead};
use crate::rules::Rules;
use crate::world::{lcore_of, slot_of};

/// Cells that a slice clears or sums up.
const CELLS_PER_SLICE: usize = 65_536;
/// Players that a slice puts in their places.
const PLACED_PER_SLICE: usize = 4_096;
/// News of a tick for one cell.
const MOST: usize = PARTS_MAX * ENTRIES_MAX;

/// What is new and who is to hear it, in the order in which it was found and by cells.
#[derive(Debug)]
pub(super) struct FanOut {
    side: usize,
    /// News as they stand in an update.
    news: Vec<[u8; Entry::LEN]>,
    news_by_cell: Sorted,
    /// The places of players.
    listeners: Vec<u32>,
    listeners_by_cell: Sorted,
    /// The tick of each cell's last update.
    previous: Vec<u32>,
    /// News that it has room for.
    capacity: usize,
    /// For each player of other lcores, by lcore and place: the tick in which it was heard of last, and
    /// which of that tick's news that is. Zeros, so that what is not used takes no memory.
    heard: Vec<(u32, u32)>,
    /// Places of each lcore's players.
    players: usize,
    /// How far the present step has come.
    cursor: usize,
}

/// How far a slice came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
}

/// An update in the making, for a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellNews {
    pub(super) cell: usize,
    rows: Rows,
    /// All that is new.
    total: usize,
    /// How many are told, from which on; behind the last comes the first.
    told: usize,
    first: usize,
    pub(super) parts: usize,
}

impl FanOut {
    /// Room for so many players on each of the lcores, and for so many news of them. Alone it hears of
    /// nobody.
    pub(super) fn new(rules: &Rules, lcores: usize, players: usize, capacity: usize) -> Self {
        let heard = if lcores > 1 { lcores * players } else { 0 };
        let side = rules.cells() as usize;
        Self {
            side,
            news: Vec::with_capacity(capacity),
            news_by_cell: Sorted::new(side * side, capacity),
            listeners: Vec::with_capacity(players),
            listeners_by_cell: Sorted::new(side * side, players),
            previous: vec![0; side * side],
            capacity,
            heard: vec![(0, 0); heard],
            players,
            cursor: 0,
        }
    }

    /// Begins a tick: a slice of forgetting the last.
    pub(super) fn clear(&mut self) -> Progress {
        self.news.clear();
        self.listeners.clear();
        self.slice(self.side * self.side, CELLS_PER_SLICE, |fan_out, cells| {
            fan_out.news_by_cell.clear(cells.clone());
            fan_out.listeners_by_cell.clear(cells);
        })
    }

    /// Somebody is in a cell.
    #[inline]
    pub(super) fn add_listener(&mut self, cell: u32, place: u32) {
        self.listeners.push(place);
        self.listeners_by_cell.add(cell);
    }

    /// There is news of somebody in a cell. `false` if there is no room for it.
    #[inline]
    pub(super) fn add_news(&mut self, cell: u32, entry: &Entry) -> bool {
        if self.news.len() == self.capacity {
            return false;
        }
        let mut bytes = [0; Entry::LEN];
        entry.write(&mut bytes);
        self.news.push(bytes);
        self.news_by_cell.add(cell);
        true
    }

    /// There is news of another lcore's player. If there was some in this tick, which is of an earlier one of
    /// that lcore's, this takes its place. `false` if there is no room for it.
    #[inline]
    pub(super) fn add_heard(&mut self, tick: u32, cell: u32, entry: &Entry) -> bool {
        let place = lcore_of(entry.player) as usize * self.players + slot_of(entry.player);
        let known = self.heard.get(place).filter(|(heard, _)| *heard == tick).copied();
        if known.is_some_and(|(_, index)| self.renew(index as usize, cell, entry)) {
            return true;
        }
        let index = self.news.len() as u32;
        if let Some(heard) = self.heard.get_mut(place) {
            *heard = (tick, index);
        }
        self.add_news(cell, entry)
    }

    /// Has newer news of a player take the place of older ones, if they are of the same one.
    fn renew(&mut self, index: usize, cell: u32, entry: &Entry) -> bool {
        let Some(bytes) = self.news.get_mut(index) else { return false };
        let Some(old) = Entry::parse(bytes).ok().filter(|old| old.player == entry.player) else {
            return false;
        };
        // What happened is told once, and happened in either.
        let fought = EntryFlags(old.flags.0 & EntryFlags::FIGHTS.0);
        Entry { flags: entry.flags.with(fought), ..*entry }.write(bytes);
        self.news_by_cell.move_to(index, cell);
        true
    }

    /// A slice of finding where each cell's begin.
    pub(super) fn sum(&mut self) -> Progress {
        self.slice(self.side * self.side, CELLS_PER_SLICE, |fan_out, cells| {
            fan_out.news_by_cell.sum(cells.clone());
            fan_out.listeners_by_cell.sum(cells);
        })
    }

    /// A slice of putting all in their places.
    pub(super) fn sort(&mut self) -> Progress {
        let len = self.news.len().max(self.listeners.len());
        self.slice(len, PLACED_PER_SLICE, |fan_out, items| {
            fan_out.news_by_cell.place(items.clone());
            fan_out.listeners_by_cell.place(items);
        })
    }

    /// Does the next slice of `len` pieces of work.
    fn slice(&mut self, len: usize, most: usize, work: impl FnOnce(&mut Self, Range<usize>)) -> Progress {
        let end = (self.cursor + most).min(len);
        let range = self.cursor..end;
        work(self, range);
        self.cursor = if end == len { 0 } else { end };
        if end == len { Progress::Done } else { Progress::More }
    }

    /// How many there are to hear something.
    #[inline]
    pub(super) fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// The cell of the listener that is `index`th by cells.
    #[inline]
    pub(super) fn cell_of_listener(&self, index: usize) -> Option<usize> {
        self.listeners_by_cell.cell(index)
    }

    /// Where in the order by cells a cell's listeners stand.
    #[inline]
    pub(super) fn listeners_in(&self, cell: usize) -> Range<usize> {
        self.listeners_by_cell.range(cell, cell)
    }

    /// The place of the listener that is `index`th by cells.
    #[inline]
    pub(super) fn listener(&self, index: usize) -> Option<u32> {
        let found = self.listeners_by_cell.item(index)?;
        self.listeners.get(found).copied()
    }

    /// Where in the order by cells the listeners around a cell stand.
    pub(super) fn listeners_around(&self, cell: usize) -> Rows {
        Rows::around(cell, self.side, |first, last| self.listeners_by_cell.range(first, last))
    }

    /// What is new around a cell. Where that is more than is told in a tick, each tick has a turn of its own.
    pub(super) fn news_around(&self, cell: usize, tick: u32) -> CellNews {
        let rows = Rows::around(cell, self.side, |first, last| self.news_by_cell.range(first, last));
        let total = rows.len();
        let told = total.min(MOST);
        let first = if told < total { turn(tick, total) } else { 0 };
        CellNews { cell, rows, total, told, first, parts: told.div_ceil(ENTRIES_MAX) }
    }

    /// Entries of a part of an update.
    #[inline]
    pub(super) fn entries(&self, news: &CellNews, part: usize) -> usize {
        news.told.saturating_sub(part * ENTRIES_MAX).min(ENTRIES_MAX)
    }

    /// Bytes of a part of an update.
    pub(super) fn part_len(&self, news: &CellNews, part: usize) -> usize {
        UpdateHead::message_len(self.entries(news, part))
    }

    /// Writes a part of an update into its place, which is as long as it.
    pub(super) fn write(&self, news: &CellNews, (tick, timestamp): (u32, u64), part: usize, into: &mut [u8]) {
        let Some((front, rest)) = into.split_first_chunk_mut() else { return };
        let head = UpdateHead {
            tick,
            previous: Some(self.previous[news.cell]).filter(|&tick| tick != 0).unwrap_or(tick),
            cell: [(news.cell % self.side) as u16, (news.cell / self.side) as u16],
            part: part as u8,
            parts: news.parts as u8,
        };
        head.write(front, self.entries(news, part), timestamp);
        let start = (news.first + part * ENTRIES_MAX) % news.total.max(1);
        let found = news.rows.skip(start).chain(news.rows.skip(0));
        for (place, index) in rest.as_chunks_mut().0.iter_mut().zip(found) {
            if let Some(entry) = self.news_by_cell.item(index).and_then(|found| self.news.get(found)) {
                *place = *entry;
            }
        }
    }

    /// A cell was told; gives how many news did not fit its updates.
    pub(super) fn told(&mut self, news: &CellNews, tick: u32) -> usize {
        self.previous[news.cell] = tick;
        news.total - news.told
    }
}

/// Where a tick begins among so many. Multiples of the golden ratio spread evenly over a circle, every
/// thirtieth of them too: whoever is told of now and then only is not always left out.
fn turn(tick: u32, total: usize) -> usize {
    let part = u64::from(tick.wrapping_mul(0x9e37_79b9));
    ((part * total as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::protocol::{PlayerId, Update};

    /// A crowd of so many in the middle of nine cells.
    fn crowd(count: u32) -> FanOut {
        let rules = Rules::new(count, Some(150.0), 50.0).expect("a world");
        let mut fan_out = FanOut::new(&rules, 1, 0, count as usize);
        while fan_out.clear() == Progress::More {}
        for player in 1..=count {
            assert!(fan_out.add_news(player % 9, &Entry { player: PlayerId(player), ..Entry::default() }));
        }
        while fan_out.sum() == Progress::More {}
        while fan_out.sort() == Progress::More {}
        fan_out
    }

    /// Whom the parts of a tick name.
    fn named(fan_out: &FanOut, tick: u32) -> Vec<u32> {
        let news = fan_out.news_around(4, tick);
        let of = |part| {
            let mut message = vec![0; fan_out.part_len(&news, part)];
            fan_out.write(&news, (tick, 0), part, &mut message);
            let update = Update::parse(&message).expect("an update");
            assert_eq!((usize::from(update.head.part), usize::from(update.head.parts)), (part, news.parts));
            update.entries().map(|entry| entry.expect("an entry").player.0).collect::<Vec<_>>()
        };
        (0..news.parts).flat_map(of).collect()
    }

    #[test]
    fn a_crowd_is_told_of_in_turn_and_nobody_starves() {
        for count in [257, 512, 1000, 4096] {
            let mut fan_out = crowd(count);
            let within = |ticks: &mut dyn Iterator<Item = u32>| {
                ticks.fold(HashSet::new(), |mut heard, tick| {
                    let named = named(&fan_out, tick);
                    let distinct: HashSet<_> = named.iter().copied().collect();
                    assert_eq!((named.len(), distinct.len()), (MOST, MOST));
                    heard.extend(distinct);
                    heard
                })
            };
            let rounds = 3 * count.div_ceil(MOST as u32);
            assert_eq!(within(&mut (7..7 + rounds)).len(), count as usize, "in {rounds} ticks");
            assert_eq!(within(&mut (7..).step_by(30).take(2 * rounds as usize)).len(), count as usize);
            let news = fan_out.news_around(4, 1);
            assert_eq!(fan_out.told(&news, 1), count as usize - MOST);
        }
    }

    #[test]
    fn who_are_few_enough_are_all_told_of() {
        for count in [1, 32, 33, 256] {
            let fan_out = crowd(count);
            let named: HashSet<_> = named(&fan_out, 12_345).into_iter().collect();
            assert_eq!(named.len(), count as usize);
        }
    }
}
