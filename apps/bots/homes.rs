//! Where a bot lives: its homes are addresses and ports, of which it has one at a time. A bot that changes its
//! address in mid-game goes from one to the next and comes back with its token.

use std::net::SocketAddr;

use gannet_game::protocol::PlayerId;

use super::fight::next;
use crate::r#gen::random::SplitMix64;

/// How long a bot stays in a home at least, in nanoseconds.
const STAY: u64 = 1_500_000_000;
/// How long something may come to the old home that was on its way.
const GRACE: u64 = 1_000_000_000;

/// A bot's homes.
#[derive(Debug)]
pub(crate) struct Homes {
    all: Box<[SocketAddr]>,
    here: usize,
    /// Where it is going to, if it is.
    next: usize,
    before: Option<Before>,
    /// When it sets out for the next.
    due: u64,
}

/// The home before this one.
#[derive(Clone, Copy, Debug)]
struct Before {
    home: usize,
    /// Who it was there.
    player: PlayerId,
    /// When it was there no more.
    left_at: u64,
}

/// What is to be thought of what comes to a home where the bot is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// It was on its way; so is the farewell. The player had that number.
    Fresh(PlayerId),
    /// It should not come any more.
    Stale,
}

impl Homes {
    pub(crate) fn new(all: Box<[SocketAddr]>) -> Self {
        Self { all, here: 0, next: 0, before: None, due: u64::MAX }
    }

    /// Where it sends from.
    #[inline]
    pub(crate) fn here(&self) -> SocketAddr {
        self.all[self.here]
    }

    #[inline]
    pub(crate) fn is_here(&self, home: usize) -> bool {
        home == self.here
    }

    /// Where it is going to.
    pub(crate) fn next(&self) -> SocketAddr {
        self.all[self.next]
    }

    pub(crate) fn is_next(&self, home: usize) -> bool {
        home == self.next
    }

    /// Whether it is time to go.
    #[inline]
    pub(crate) fn is_due(&self, at: u64) -> bool {
        at >= self.due
    }

    /// It is a player here, and goes elsewhere so often a second.
    pub(crate) fn settle(&mut self, now: u64, rate: f64, random: &mut SplitMix64) {
        self.next = self.here;
        self.due = if self.all.len() > 1 { next(now.saturating_add(STAY), rate, random) } else { u64::MAX };
    }

    /// Picks the home behind the last one that was tried, without those that `astray` has a bit for: their
    /// answers reach another lcore. `false` if there is none.
    pub(crate) fn pick(&mut self, astray: u8) -> bool {
        let count = self.all.len();
        let behind = (self.next + 1..).map(|home| home % count).take_while(|&home| home != self.here);
        let picked = behind.take(count).find(|&home| astray >> home & 1 == 0);
        self.next = picked.unwrap_or(self.here);
        picked.is_some()
    }

    /// It lives in the next one now, and was that player in the old one.
    pub(crate) fn arrive(&mut self, now: u64, player: PlayerId) {
        self.before = Some(Before { home: self.here, player, left_at: now });
        self.here = self.next;
    }

    /// What to think of what comes to another home than this.
    pub(crate) fn forwarding(&self, now: u64, home: usize) -> Forwarding {
        let before = self.before.filter(|before| before.home == home);
        let fresh = before.filter(|before| now.saturating_sub(before.left_at) <= GRACE);
        fresh.map_or(Forwarding::Stale, |before| Forwarding::Fresh(before.player))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_tried_in_turn_but_for_those_that_lead_astray() {
        let all = (0..4).map(|port| SocketAddr::from(([10, 77, 0, 3], 4000 + port))).collect();
        let mut homes = Homes::new(all);
        homes.settle(5, 1.0, &mut SplitMix64::new(1));
        assert!(!homes.is_due(STAY) && homes.is_due(u64::MAX));
        let picked: Vec<_> = std::iter::from_fn(|| homes.pick(0b0100).then(|| homes.next().port())).collect();
        assert_eq!(picked, [4001, 4003]);
        assert!(homes.is_here(0) && !homes.pick(0b1110));
        assert!(homes.pick(0b0110));
        homes.arrive(10, PlayerId(7));
        assert_eq!((homes.here().port(), homes.is_here(3)), (4003, true));
        assert_eq!(homes.forwarding(10 + GRACE, 0), Forwarding::Fresh(PlayerId(7)));
        assert_eq!(homes.forwarding(11 + GRACE, 0), Forwarding::Stale);
        assert_eq!(homes.forwarding(10, 2), Forwarding::Stale);
        homes.settle(10, 0.0, &mut SplitMix64::new(1));
        assert!(homes.pick(0) && homes.next().port() == 4000, "and round");
    }

    #[test]
    fn who_has_one_home_stays() {
        let mut homes = Homes::new([SocketAddr::from(([10, 77, 0, 3], 4000))].into());
        homes.settle(0, 1.0, &mut SplitMix64::new(1));
        assert!(!homes.is_due(u64::MAX - 1) && !homes.pick(0));
    }
}
