//! Which numbers of a stream have come: what comes twice, and what comes out of order.

/// Numbers behind the highest that are known one by one; a power of two. What is further behind
/// counts as out of order, and can't be told from a duplicate.
const SPAN: u64 = 1 << 16;
const WORDS: usize = (SPAN / 64) as usize;

/// What an arrival was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Higher than all before.
    InOrder,
    /// After one that was sent later (RFC 4737, section 3: its number is below the next expected).
    Reordered,
    /// It has come before.
    Duplicate,
}

/// The last 65,536 numbers of a stream, a bit each.
#[derive(Debug)]
pub(crate) struct Window {
    /// One more than the highest that came.
    next: u64,
    seen: Box<[u64; WORDS]>,
}

impl Window {
    /// Of a stream of which nothing has come.
    pub(crate) fn new() -> Self {
        Self { next: 0, seen: Box::new([0; WORDS]) }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.next = 0;
        self.seen.fill(0);
    }

    /// Takes an arrival in.
    #[inline]
    pub(crate) fn take(&mut self, number: u64) -> Arrival {
        if number >= self.next {
            self.advance(number);
            self.mark(number);
            return Arrival::InOrder;
        }
        if self.next - number > SPAN {
            return Arrival::Reordered;
        }
        if self.mark(number) { Arrival::Duplicate } else { Arrival::Reordered }
    }

    /// Makes room for numbers up to `number`.
    #[inline]
    fn advance(&mut self, number: u64) {
        if number - self.next >= SPAN {
            self.seen.fill(0);
        } else {
            for skipped in self.next..=number {
                let (word, bit) = place(skipped);
                self.seen[word] &= !bit;
            }
        }
        self.next = number.saturating_add(1);
    }

    /// Whether it was marked before.
    #[inline]
    fn mark(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        let was_marked = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        was_marked
    }
}

#[inline]
fn place(number: u64) -> (usize, u64) {
    ((number % SPAN / 64) as usize, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn duplicates_and_disorder_are_told_apart() {
        let mut window = Window::new();
        let arrivals: Vec<_> = [0, 1, 3, 2, 2, 3, 4, 0].iter().map(|&number| window.take(number)).collect();
        use Arrival::{Duplicate, InOrder, Reordered};
        let expected = [InOrder, InOrder, InOrder, Reordered, Duplicate, Duplicate, InOrder, Duplicate];
        assert_eq!(arrivals, expected);
        window.clear();
        assert_eq!(window.take(0), InOrder);
    }

    #[test]
    fn what_is_far_behind_is_out_of_order() {
        let mut window = Window::new();
        window.take(0);
        window.take(SPAN);
        assert_eq!(window.take(1), Arrival::Reordered);
        assert_eq!(window.take(0), Arrival::Reordered, "forgotten");
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set(
            steps in prop::collection::vec(prop_oneof![0..40_u64, Just(70_000), Just(1_000)], 1..300),
            back in prop::collection::vec(0..200_u64, 300),
        ) {
            let (mut window, mut seen, mut at) = (Window::new(), HashSet::new(), 0);
            for (step, back) in steps.into_iter().zip(back) {
                at += step;
                let number = u64::saturating_sub(at, back);
                let highest = seen.iter().max().copied();
                let expected = match highest {
                    Some(highest) if highest >= number && highest - number >= SPAN => Arrival::Reordered,
                    Some(_) if seen.contains(&number) => Arrival::Duplicate,
                    Some(highest) if highest > number => Arrival::Reordered,
                    _ => Arrival::InOrder,
                };
                prop_assert_eq!(window.take(number), expected);
                seen.insert(number);
            }
        }
    }
}
