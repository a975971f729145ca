//! The thin edge to the machine: the clock, signals, the affinity of threads, randomness.

mod affinity;
mod clock;
mod random;
mod signals;

pub use affinity::CpuSet;
pub use clock::Clock;
pub use random::{RandomError, random_bytes};
pub use signals::{Signals, StopFlag};
