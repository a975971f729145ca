//! What the lcores show of their players while they run: a relaxed word a slot, that nobody waits for.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A player, as the map has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dot {
    /// How far east, as a fraction of the world's side, 0 to 1.
    pub x: f32,
    /// How far north, as a fraction of the world's side, 0 to 1.
    pub z: f32,
    /// It attacked or was attacked.
    pub fights: bool,
    /// It is dead, for now.
    pub dead: bool,
}

/// Where the parts of a word stand, in bits: 16 each for east and north, then these.
mod bit {
    pub(super) const Z: u32 = 16;
    pub(super) const THERE: u32 = 32;
    pub(super) const DEAD: u32 = 33;
    pub(super) const GLOW: u32 = 34;
}

/// Calls of [`Line::show`] for which a fight is seen: half a second at thirty a second, since
/// nobody looks as often as that.
const GLOW: u64 = 15;
/// Steps of a fraction. 1 itself is the last of them.
const STEPS: f32 = 65_536.0;

/// The players of one lcore, who is the only writer.
#[derive(Debug)]
pub struct Line(Box<[AtomicU64]>);

impl Line {
    /// Shows who is in a slot; nobody with `None`. To be called once a tick: a fight is seen for
    /// some calls more. Slots that are none are passed over.
    #[inline]
    pub fn show(&self, slot: usize, dot: Option<Dot>) {
        let Some(word) = self.0.get(slot) else { return };
        let glow = word.load(Relaxed) >> bit::GLOW;
        word.store(dot.map_or(0, |dot| pack(dot, glow)), Relaxed);
    }
}

fn pack(dot: Dot, glow: u64) -> u64 {
    // A cast of a float keeps to the bounds.
    let part = |fraction: f32| u64::from((fraction * STEPS) as u16);
    let glow = if dot.fights { GLOW } else { glow.saturating_sub(1) };
    part(dot.x)
        | part(dot.z) << bit::Z
        | 1 << bit::THERE
        | u64::from(dot.dead) << bit::DEAD
        | glow << bit::GLOW
}

fn unpack(word: u64) -> Option<Dot> {
    let part = |at: u32| f32::from((word >> at) as u16) / STEPS;
    let is = |at: u32| word >> at & 1 == 1;
    let dot = Dot { x: part(0), z: part(bit::Z), fights: word >> bit::GLOW != 0, dead: is(bit::DEAD) };
    is(bit::THERE).then_some(dot)
}

/// The players of all lcores.
#[derive(Debug)]
pub struct Board {
    /// Made when they are first asked for.
    lines: Box<[OnceLock<Line>]>,
    slots: usize,
}

impl Board {
    /// A board for up to `lcores` lcores with `slots` players each, at eight bytes a player.
    pub fn new(lcores: usize, slots: usize) -> Self {
        Self { lines: std::iter::repeat_with(OnceLock::new).take(lcores).collect(), slots }
    }

    /// What an lcore writes to.
    ///
    /// # Panics
    /// If there is no such lcore.
    pub fn line(&self, lcore: usize) -> &Line {
        self.lines[lcore]
            .get_or_init(|| Line(std::iter::repeat_with(AtomicU64::default).take(self.slots).collect()))
    }

    /// Who is there now.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        let lines = self.lines.iter().filter_map(OnceLock::get);
        lines.flat_map(|line| &line.0).filter_map(|word| unpack(word.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_shown_is_there_until_nobody_is() {
        let board = Board::new(2, 3);
        assert_eq!(board.dots().count(), 0);
        let corner = Dot { x: 0.0, z: 0.5, dead: true, fights: false };
        board.line(1).show(2, Some(corner));
        board.line(0).show(0, Some(Dot { x: 0.25, z: 0.75, ..Dot::default() }));
        let dots: Vec<_> = board.dots().collect();
        assert_eq!(dots, [Dot { x: 0.25, z: 0.75, ..Dot::default() }, corner]);
        board.line(1).show(2, None);
        board.line(0).show(3, Some(corner));
        assert_eq!(board.dots().count(), 1, "there is no slot 3");
    }

    #[test]
    fn what_is_outside_stands_at_the_edge() {
        const EDGE: f32 = 65_535.0 / 65_536.0;
        let board = Board::new(1, 1);
        board.line(0).show(0, Some(Dot { x: -3.0, z: f32::NAN, ..Dot::default() }));
        assert_eq!(board.dots().next(), Some(Dot::default()));
        board.line(0).show(0, Some(Dot { x: 7.0, z: f32::INFINITY, ..Dot::default() }));
        assert_eq!(board.dots().next(), Some(Dot { x: EDGE, z: EDGE, ..Dot::default() }));
    }

    #[test]
    fn a_fight_is_seen_for_a_while_and_not_by_the_next_player() {
        let board = Board::new(1, 1);
        let fights = || board.dots().next().is_some_and(|dot| dot.fights);
        board.line(0).show(0, Some(Dot { fights: true, ..Dot::default() }));
        for _ in 1..GLOW {
            board.line(0).show(0, Some(Dot::default()));
            assert!(fights());
        }
        board.line(0).show(0, Some(Dot::default()));
        assert!(!fights());
        board.line(0).show(0, Some(Dot { fights: true, ..Dot::default() }));
        board.line(0).show(0, None);
        board.line(0).show(0, Some(Dot::default()));
        assert!(!fights());
    }
}
