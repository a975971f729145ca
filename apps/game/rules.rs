//! What holds in the world, the same for everybody.

use std::time::Duration;

use crate::protocol::Vector;

/// Updates a second at least.
pub const MIN_TICK_RATE: u32 = 20;
/// Updates a second at most.
pub const MAX_TICK_RATE: u32 = 60;
/// How high the world is, in metres.
pub const HEIGHT: f32 = 1000.0;
/// The most health there is.
pub const HEALTH: u16 = 100;
/// How long a player is dead.
pub const DEATH: Duration = Duration::from_secs(3);
/// How long a player is silent between two things that it says.
pub const SILENCE: Duration = Duration::from_millis(500);
/// Seconds of its top speed that a player can save up: what a late packet may have held back.
const SAVED_SECONDS: f32 = 1.0;
/// Cells that a side of the world has at most.
const MAX_CELLS: u32 = 2048;
/// Players that are nearby on average when the server is full, unless the world's side is said.
const NEIGHBOURS: f64 = 20.0;

/// What the user settles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Updates a second.
    pub tick_rate: u32,
    /// The side of the world in metres.
    pub world: f32,
    /// The side of a cell in metres.
    pub cell: f32,
    /// Metres a second.
    pub top_speed: f32,
    /// How long a player may be silent.
    pub timeout: Duration,
    /// Players of one address at most, an IPv4 address or an IPv6 /64, on each lcore; zero is no bound.
    pub seats_per_address: u32,
    /// Cells to a side.
    cells: u32,
}

impl Rules {
    /// Rules for a world of `world` metres, or one in which `players` have twenty others nearby.
    ///
    /// # Errors
    /// [`RulesError::TooManyCells`].
    pub fn new(players: u32, world: Option<f32>, cell: f32) -> Result<Self, RulesError> {
        // Nearby are nine cells.
        let full = || (f64::from(players) * 9.0 / NEIGHBOURS).sqrt().ceil().max(1.0) as f32 * cell;
        let world = world.unwrap_or_else(full);
        let cells = (world / cell).ceil();
        if cells > MAX_CELLS as f32 {
            return Err(RulesError::TooManyCells { world, cell, cells });
        }
        let cells = (cells as u32).max(1);
        let (top_speed, timeout) = (10.0, Duration::from_secs(10));
        Ok(Self { tick_rate: 30, world, cell, top_speed, timeout, seats_per_address: 0, cells })
    }

    /// Cells to a side of the world.
    pub fn cells(&self) -> u32 {
        self.cells
    }

    /// The time from tick to tick.
    pub fn period(&self) -> Duration {
        Duration::from_nanos(1_000_000_000 / u64::from(self.tick_rate.max(1)))
    }

    /// The number of the cell that a place in the world lies in: row by row from the south.
    #[inline]
    pub fn cell_of(&self, place: Vector) -> u32 {
        let along = |metres: f32| ((metres / self.cell) as u32).min(self.cells - 1);
        along(place.z) * self.cells + along(place.x)
    }

    /// Whether a place is in the world.
    #[inline]
    pub fn contains(&self, place: Vector) -> bool {
        let inside = |metres: f32| (0.0..=self.world).contains(&metres);
        inside(place.x) && inside(place.z) && (0.0..=HEIGHT).contains(&place.y)
    }

    /// The way, in metres, that a player can have saved up.
    #[inline]
    pub fn longest_way(&self) -> f32 {
        self.top_speed * SAVED_SECONDS
    }
}

/// What can't be a world.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RulesError {
    /// Each lcore keeps some words for each cell.
    #[error(
        "a world of {world} m in cells of {cell} m has {cells} cells to a side, and {MAX_CELLS} is the most: \
         make --cell larger or --world smaller"
    )]
    TooManyCells {
        /// The world's side in metres.
        world: f32,
        /// A cell's.
        cell: f32,
        /// Cells to a side.
        cells: f32,
    },
}

/// What players attack with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weapon {
    /// How far it reaches, in metres.
    pub range: f32,
    /// What it takes of the target's health.
    pub damage: u16,
    /// How long its owner rests behind an attack.
    pub cooldown: Duration,
}

/// Sword, bow and staff, by their numbers on the wire.
pub const WEAPONS: [Weapon; 3] = [
    Weapon { range: 3.0, damage: 25, cooldown: Duration::from_millis(500) },
    Weapon { range: 40.0, damage: 10, cooldown: Duration::from_millis(1000) },
    Weapon { range: 15.0, damage: 40, cooldown: Duration::from_millis(3000) },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_world_has_twenty_nearby() {
        let rules = Rules::new(10_000, None, 50.0).expect("a world");
        assert_eq!((rules.cells(), rules.world), (68, 3400.0));
        let nearby = 9.0 * 10_000.0 / f64::from(rules.cells().pow(2));
        assert!((19.0..20.0).contains(&nearby), "{nearby}");
        assert_eq!(Rules::new(0, None, 50.0).map(|rules| rules.cells()), Ok(1));
        assert!(matches!(Rules::new(1, Some(1e6), 1.0), Err(RulesError::TooManyCells { .. })));
    }

    #[test]
    fn every_place_in_the_world_has_a_cell() {
        let rules = Rules::new(0, Some(120.0), 50.0).expect("a world");
        let cell = |x, z| rules.cell_of(Vector { x, y: 0.0, z });
        assert_eq!(rules.cells(), 3);
        assert_eq!([cell(0.0, 0.0), cell(49.9, 0.0), cell(50.0, 0.0), cell(0.0, 50.0)], [0, 0, 1, 3]);
        assert_eq!([cell(120.0, 120.0), cell(1e30, -5.0)], [8, 2]);
        assert!(rules.contains(Vector { x: 120.0, y: HEIGHT, z: 0.0 }));
        assert!(!rules.contains(Vector { x: 120.1, y: 0.0, z: 0.0 }));
        assert!(!rules.contains(Vector { x: 0.0, y: -0.1, z: 0.0 }));
        assert!(!rules.contains(Vector { x: f32::NAN, y: 0.0, z: 0.0 }));
    }
}
