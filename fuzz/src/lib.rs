//! Fuzz targets: each is a plain function over the fuzzer's bytes, so that one body serves the
//! fuzzer (`fuzz_targets/`, `scripts/fuzz`) and, on stable, the replay of what it found
//! (`tests/corpus.rs`). It panics where an invariant of `docs/fuzzing.md` does not hold.
//!
//! - [`bytes`]: the fuzzer's bytes, read as choices.
//! - [`repair`]: makes a frame's checksums, lengths and addresses right, so that deep code is reached.
//! - [`rig`]: a host in memory, and its books at the end.
//! - [`layout`]: where the parts of a frame lie, read without the engine.
//! - [`join`]: puts together what the host cut.
//! - [`judge`]: holds what the host sends against what it was sent.
//! - The targets, a file each: [`TARGETS`].

pub mod arguments;
pub mod arp_ndp;
pub mod bytes;
mod game_arena;
pub mod game_lcores;
pub mod game_protocol;
pub mod game_world;
pub mod guards;
pub mod host;
pub mod icmp;
pub mod join;
pub mod judge;
pub mod layout;
pub mod options;
pub mod outbox;
pub mod parse;
pub mod pcap;
pub mod reassembly;
pub mod repair;
pub mod reply;
pub mod rig;
pub mod seeds;
pub mod services;
pub mod vlan;

#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// A target: its name, its body, and inputs to start from.
pub struct Target {
    /// As in `fuzz_targets/` and `corpus/`.
    pub name: &'static str,
    /// Panics where an invariant does not hold.
    pub body: fn(&[u8]),
    /// Inputs that reach what matters, made by hand.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident)*) => {
        /// All targets.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), body: $name::$name, seeds: seeds::of::$name },)*
        ];
    };
}

targets! { parse reply arp_ndp options icmp vlan reassembly host outbox guards arguments pcap game_protocol game_world game_lcores }

/// Runs a target on files: what a target's program does when it is not built by `cargo fuzz`.
///
/// # Panics
/// If a file can't be read, or the target finds something in it.
pub fn replay(body: fn(&[u8])) {
    for path in std::env::args_os().skip(1) {
        let input = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        println!("{}: {} bytes", path.display(), input.len());
        body(&input);
    }
}

/// The main function of a target's program.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name::$name(data));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::replay($crate::$name::$name);
        }
    };
}
