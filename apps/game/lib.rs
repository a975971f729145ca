//! A game server on Gannet: players join, move, fight and talk, and each hears what goes on around it.
//!
//! - [`protocol`]: what is said, byte for byte.
#![forbid(unsafe_code)]

mod counters;
pub mod protocol;
mod random;
mod rules;
mod world;
