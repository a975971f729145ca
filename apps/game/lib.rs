//! A game server on Gannet: players join, move, fight and talk, and each hears what goes on around it.
//!
//! - [`map`]: a picture of the world from above.
//! - [`protocol`]: what is said, byte for byte.
#![forbid(unsafe_code)]

pub mod map;
pub mod protocol;
