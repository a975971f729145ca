//! A game server on Gannet: players join, move, fight and talk, and each hears what goes on around it.
//!
//! - `app`, `args`: the program `gannet game` ([`run`]).
//! - [`map`]: a picture of the world from above.
//! - [`protocol`]: what is said, byte for byte.
//! - [`rules`]: what holds in the world.
//! - `world`: the players of one lcore, and what they can do; it sends nothing.
//! - [`server`]: the service of one lcore.
//! - [`counters`]: what happens, counted.
#![forbid(unsafe_code)]

mod app;
mod args;
pub mod counters;
pub mod map;
pub mod protocol;
mod random;
pub mod rules;
pub mod server;
mod world;

pub use app::{command, parse, run};
