//! How a bot walks: straight on, and every now and then another way, within the world or its middle.

use gannet_game::protocol::Vector;

use crate::r#gen::random::SplitMix64;

/// How long it goes straight on, on average, in seconds.
const STRAIGHT: f64 = 2.0;

/// Where bots may walk, in metres from the world's corner; east and north alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    low: f32,
    high: f32,
}

impl Ground {
    /// A world of that side, or the square in its middle of the side `gather`.
    pub(crate) fn new(world: f32, gather: Option<f64>) -> Self {
        let side = gather.map_or(world, |gather| (gather as f32).min(world));
        Self { low: (world - side) / 2.0, high: (world + side) / 2.0 }
    }

    fn has(&self, number: f32) -> bool {
        (self.low..=self.high).contains(&number)
    }

    fn middle(&self) -> f32 {
        (self.low + self.high) / 2.0
    }
}

/// A bot on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// In metres.
    pub(crate) position: Vector,
    /// In metres a second.
    pub(crate) velocity: Vector,
    /// How much longer it goes straight on, in seconds.
    straight: f64,
}

impl Walk {
    /// A bot that stands there.
    pub(crate) fn at(position: Vector) -> Self {
        Self { position, velocity: Vector::default(), straight: 0.0 }
    }

    /// Goes on for `seconds`, at that speed.
    pub(crate) fn step(&mut self, seconds: f64, speed: f32, ground: &Ground, random: &mut SplitMix64) {
        self.straight -= seconds;
        if self.straight <= 0.0 {
            self.straight = STRAIGHT * random.exponential();
            self.head(std::f32::consts::TAU * unit(random), speed);
        }
        if !self.stays_on(seconds, ground) {
            // Out there or about to be: to the middle, with some way past the edge before the next turn.
            let east = ground.middle() - self.position.x;
            let north = ground.middle() - self.position.z;
            self.head(north.atan2(east) + unit(random) - 0.5, speed);
            self.straight = STRAIGHT;
        }
        self.position = self.ahead(seconds);
    }

    /// How far it is to `other`, squared.
    #[inline]
    pub(crate) fn square_to(&self, other: Vector) -> f32 {
        (other - self.position).square()
    }

    fn head(&mut self, angle: f32, speed: f32) {
        self.velocity = Vector { x: speed * angle.cos(), y: 0.0, z: speed * angle.sin() };
    }

    fn ahead(&self, seconds: f64) -> Vector {
        let Vector { x, y, z } = self.position;
        Vector { x: x + self.velocity.x * seconds as f32, y, z: z + self.velocity.z * seconds as f32 }
    }

    fn stays_on(&self, seconds: f64, ground: &Ground) -> bool {
        let ahead = self.ahead(seconds);
        ground.has(ahead.x) && ground.has(ahead.z)
    }
}

/// From 0 up to 1.
fn unit(random: &mut SplitMix64) -> f32 {
    random.below(1 << 24) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(start: f32, gather: Option<f64>, steps: usize) -> Vec<Vector> {
        let ground = Ground::new(100.0, gather);
        let mut random = SplitMix64::new(3);
        let mut walk = Walk::at(Vector { x: start, y: 1.0, z: start });
        let step = |_| {
            let before = walk.position;
            walk.step(0.1, 5.0, &ground, &mut random);
            let distance = (walk.position - before).square().sqrt();
            assert!(distance <= 0.501, "no faster than it may: {distance}");
            walk.position
        };
        (0..steps).map(step).collect()
    }

    #[test]
    fn it_stays_in_the_world_and_gets_about() {
        for start in [0.0, 50.0, 100.0] {
            let places = walked(start, None, 10_000);
            assert!(places.iter().all(|at| (0.0..=100.0).contains(&at.x) && (0.0..=100.0).contains(&at.z)));
            let (low, high) =
                places.iter().fold((100.0_f32, 0.0_f32), |(low, high), at| (low.min(at.x), high.max(at.x)));
            assert!(high - low > 50.0, "{low} {high}");
            assert!(places.iter().all(|at| at.y == 1.0));
        }
    }

    #[test]
    fn gathered_ones_come_to_the_middle_and_stay() {
        let places = walked(0.0, Some(20.0), 10_000);
        assert!(
            places[2_000..].iter().all(|at| (40.0..=60.0).contains(&at.x) && (40.0..=60.0).contains(&at.z))
        );
    }
}
