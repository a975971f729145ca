//! Things sorted by the cell that they are in, so that those in three cells of a row stand together.

use std::ops::Range;

/// Numbers of things, sorted by cell: counted as they are found, summed up, and placed.
#[derive(Debug)]
pub(super) struct Sorted {
    /// The cell of each thing, in the order in which they were found.
    cells: Vec<u32>,
    /// How many things are in a cell; after the sum, where the next of it goes; at the end, where
    /// those of the next cell begin.
    ends: Vec<u32>,
    /// The things, by cells.
    order: Vec<u32>,
    sum: u32,
}

impl Sorted {
    /// For so many cells and things.
    pub(super) fn new(cells: usize, capacity: usize) -> Self {
        Self {
            cells: Vec::with_capacity(capacity),
            ends: vec![0; cells],
            order: Vec::with_capacity(capacity),
            sum: 0,
        }
    }

    /// Forgets all things, and how many were in these cells.
    pub(super) fn clear(&mut self, cells: Range<usize>) {
        self.cells.clear();
        self.order.clear();
        self.sum = 0;
        self.ends[cells].fill(0);
    }

    /// The next thing is in that cell.
    #[inline]
    pub(super) fn add(&mut self, cell: u32) {
        self.cells.push(cell);
        self.ends[cell as usize] += 1;
    }

    /// A thing that was added is in another cell, before any sum.
    pub(super) fn move_to(&mut self, thing: usize, cell: u32) {
        let old = std::mem::replace(&mut self.cells[thing], cell);
        self.ends[old as usize] -= 1;
        self.ends[cell as usize] += 1;
    }

    /// Makes counts beginnings, for some cells behind the others.
    pub(super) fn sum(&mut self, cells: Range<usize>) {
        for end in &mut self.ends[cells] {
            let count = std::mem::replace(end, self.sum);
            self.sum += count;
        }
        self.order.resize(self.cells.len(), 0);
    }

    /// Puts those of the things in their places that there are.
    pub(super) fn place(&mut self, things: Range<usize>) {
        let end = things.end.min(self.cells.len());
        for thing in things.start.min(end)..end {
            let next = &mut self.ends[self.cells[thing] as usize];
            self.order[*next as usize] = thing as u32;
            *next += 1;
        }
    }

    /// Where the things of the cells from `first` to `last` stand, when all are placed.
    #[inline]
    pub(super) fn range(&self, first: usize, last: usize) -> Range<usize> {
        let start = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[last] as usize
    }

    /// The thing that stands there.
    #[inline]
    pub(super) fn item(&self, index: usize) -> Option<usize> {
        self.order.get(index).map(|&thing| thing as usize)
    }

    /// The cell of the thing that stands there.
    #[inline]
    pub(super) fn cell(&self, index: usize) -> Option<usize> {
        self.item(index).map(|thing| self.cells[thing] as usize)
    }
}

/// Where what is around a cell stands: three rows of three cells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rows([(usize, usize); 3]);

impl Rows {
    /// The rows around a cell in a square of `side` cells, each where `range` has it.
    pub(super) fn around(cell: usize, side: usize, range: impl Fn(usize, usize) -> Range<usize>) -> Self {
        let (row, column) = (cell / side, cell % side);
        let (west, east) = (column.saturating_sub(1), (column + 1).min(side - 1));
        let (south, north) = (row.saturating_sub(1), (row + 1).min(side - 1));
        let mut rows = Self::default();
        for (place, row) in rows.0.iter_mut().zip(south..=north) {
            let found = range(row * side + west, row * side + east);
            *place = (found.start, found.end);
        }
        rows
    }

    /// How many things that are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Where they stand, without the first ones.
    pub(super) fn skip(self, mut count: usize) -> impl Iterator<Item = usize> {
        let rows = self.0.map(|(start, end)| {
            let skipped = count.min(end - start);
            count -= skipped;
            start + skipped..end
        });
        rows.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each thing was elsewhere first.
    fn sorted(side: usize, cells: &[u32]) -> Sorted {
        let mut sorted = Sorted::new(side * side, cells.len());
        sorted.clear(0..side * side);
        cells.iter().for_each(|&cell| sorted.add((cell + 1) % (side * side) as u32));
        cells.iter().enumerate().for_each(|(thing, &cell)| sorted.move_to(thing, cell));
        let middle = side * side / 2;
        sorted.sum(0..middle);
        sorted.sum(middle..side * side);
        sorted.place(0..cells.len() / 2);
        sorted.place(cells.len() / 2..cells.len() + 7);
        sorted
    }

    proptest! {
        #[test]
        fn around_a_cell_is_who_is_not_further_than_one_cell_away(
            side in 1_usize..9,
            seeds in proptest::collection::vec(any::<u32>(), 0..60),
            skip in 0_usize..70,
        ) {
            let cells: Vec<_> = seeds.iter().map(|seed| seed % (side * side) as u32).collect();
            let sorted = sorted(side, &cells);
            for cell in 0..side * side {
                let rows = Rows::around(cell, side, |first, last| sorted.range(first, last));
                let mut found: Vec<_> = rows.skip(0).filter_map(|index| sorted.item(index)).collect();
                prop_assert_eq!(found.len(), rows.len());
                prop_assert!(rows.skip(skip).eq(rows.skip(0).skip(skip)));
                found.sort_unstable();
                let is_near = |&other: &u32| {
                    let other = other as usize;
                    (other / side).abs_diff(cell / side) <= 1 && (other % side).abs_diff(cell % side) <= 1
                };
                let near: Vec<_> = (0..cells.len()).filter(|&thing| is_near(&cells[thing])).collect();
                prop_assert_eq!(found, near);
                prop_assert!(sorted.range(cell, cell).all(|index| sorted.cell(index) == Some(cell)));
            }
        }
    }
}
