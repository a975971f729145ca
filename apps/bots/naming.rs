//! Whether updates name the bot itself: what it did last is in one of the next ticks, and never goes back.

/// Ticks with updates that may pass before one has a move that counts: the present one, and two behind it.
const TICKS: u32 = 3;

/// What updates have said of the bot that hears them. Times are the timestamps of its moves.
#[derive(Debug, Default)]
pub(crate) struct Naming {
    /// The tick of the update that named it last, and the move of which it had the place.
    named: Option<(u32, u64)>,
    awaited: Option<Awaited>,
}

/// A move that counts, and that no update has had yet.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    timestamp: u64,
    /// The last tick of which something was heard since, and how many there were.
    tick: u32,
    ticks: u32,
}

/// Whether tick `a` is behind tick `b`, on a counter that wraps round.
fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

impl Naming {
    /// A move counts, says the server.
    #[inline]
    pub(crate) fn acknowledged(&mut self, timestamp: u64) {
        let is_named = self.named.is_some_and(|(_, named)| named >= timestamp);
        if !is_named && self.awaited.is_none() {
            self.awaited = Some(Awaited { timestamp, tick: 0, ticks: 0 });
        }
    }

    /// The update of a tick has the place of that move. Gives whether that is an older one than the update
    /// of an earlier tick had.
    #[inline]
    pub(crate) fn named(&mut self, tick: u32, timestamp: u64) -> bool {
        self.awaited = self.awaited.filter(|awaited| awaited.timestamp > timestamp);
        let Some((before, last)) = self.named else {
            self.named = Some((tick, timestamp));
            return false;
        };
        if is_after(tick, before) || timestamp > last {
            self.named = Some((tick, timestamp));
        }
        is_after(tick, before) && timestamp < last
    }

    /// An update of that tick came. Gives whether one is missing that had to name the bot.
    #[inline]
    pub(crate) fn hear(&mut self, tick: u32) -> bool {
        let Some(awaited) = &mut self.awaited else { return false };
        if awaited.ticks == 0 || is_after(tick, awaited.tick) {
            (awaited.tick, awaited.ticks) = (tick, awaited.ticks + 1);
        }
        let is_missing = awaited.ticks > TICKS;
        if is_missing {
            self.awaited = None;
        }
        is_missing
    }

    /// An update is known to be lost, which may be the one.
    pub(crate) fn excuse(&mut self) {
        self.awaited = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many updates are missing where the bot is named in those of the ticks that `names` picks, a
    /// tick behind each move.
    fn missing(names: impl Fn(u32) -> bool) -> usize {
        let mut naming = Naming::default();
        let ticks = (0..40).map(|number| (u32::MAX - 5).wrapping_add(number));
        ticks
            .enumerate()
            .filter(|&(number, tick)| {
                naming.acknowledged(number as u64 + 1);
                if names(number as u32) {
                    assert!(!naming.named(tick, number as u64));
                }
                naming.hear(tick)
            })
            .count()
    }

    #[test]
    fn who_is_never_named_misses_updates() {
        assert_eq!(missing(|_| false), 10);
        assert_eq!(missing(|_| true), 0);
        assert_eq!(missing(|number| number % 3 == 0), 0, "within two ticks");
        assert_eq!(missing(|number| number < 20), 5);
    }

    #[test]
    fn parts_of_a_tick_are_one_and_what_was_named_is_not_awaited() {
        let mut naming = Naming::default();
        naming.acknowledged(1);
        assert!([1, 1, 1, 2, 2, 3, 1, 3].iter().all(|&tick| !naming.hear(tick)));
        assert!(naming.hear(4));
        naming.named(5, 9);
        naming.acknowledged(9);
        assert!((5..20).all(|tick| !naming.hear(tick)));
        naming.acknowledged(10);
        naming.excuse();
        assert!((20..30).all(|tick| !naming.hear(tick)));
    }

    #[test]
    fn a_later_tick_with_an_older_move_is_a_step_back() {
        let mut naming = Naming::default();
        assert!(!naming.named(7, 20) && !naming.named(8, 20) && !naming.named(6, 10), "a late update");
        assert!(naming.named(9, 10));
        assert!(!naming.named(10, 30));
    }
}
