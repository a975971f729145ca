//! What is measured in a process of its own: `gannet bench subject NAME …`, which the labs start.
//!
//! A subject prints what it counted as one line of JSON.

mod classical;
pub(crate) mod frames;
mod game;
mod idle;
#[cfg(feature = "dpdk")]
mod plain;
#[cfg(feature = "dpdk")]
mod recycle;
mod replayer;
#[cfg(feature = "dpdk")]
pub(crate) mod ring;
#[cfg(feature = "dpdk")]
mod vectors;

use clap::Parser;

use super::failure::Failure;

/// The part of a benchmark that runs in a process of its own
#[derive(Parser)]
#[command(name = "gannet bench subject")]
enum Subject {
    /// A UDP server on one socket of the kernel's
    Classical(classical::Arguments),
    /// The game's server on ring ports, under players that move as fast as they can
    #[cfg(feature = "dpdk")]
    Game(game::rings::Arguments),
    /// The game's server with players, and what they take of memory
    Players(game::Memory),
    /// A receiver that rests while nothing comes
    Idle(idle::Arguments),
    /// An echo on ring ports joined crosswise
    #[cfg(feature = "dpdk")]
    Ring(ring::Arguments),
}

/// Runs the subject that the words name.
pub(super) fn run(words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let words = std::iter::once("gannet bench subject".to_owned()).chain(words);
    match Subject::try_parse_from(words).unwrap_or_else(|error| error.exit()) {
        Subject::Classical(arguments) => classical::run(&arguments),
        #[cfg(feature = "dpdk")]
        Subject::Game(arguments) => game::rings::run(&arguments),
        Subject::Players(arguments) => game::memory(&arguments),
        Subject::Idle(arguments) => idle::run(&arguments),
        #[cfg(feature = "dpdk")]
        Subject::Ring(arguments) => ring::run(&arguments),
    }
}
