//! The arguments of the game.

use std::time::Duration;

use gannet::parse_duration;

use crate::map::Output;
use crate::rules::{MAX_TICK_RATE, MIN_TICK_RATE};

/// Players on one server.
const MAX_PLAYERS: i64 = 1 << 24;
/// The longest side of a world: to a centimetre, a number of 24 bits says where one is in it.
const MAX_WORLD: f32 = 100_000.0;

/// The game's own arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct GameArgs {
    /// Players that there can be at a time, on all lcores
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..MAX_PLAYERS), help_heading = "Game")]
    pub(crate) players: u32,

    /// Updates a second, 20 to 60
    #[arg(long, value_name = "HZ", default_value_t = 30, value_parser = clap::value_parser!(u32).range(i64::from(MIN_TICK_RATE)..=i64::from(MAX_TICK_RATE)), help_heading = "Game")]
    pub(crate) tick_rate: u32,

    /// The side of the world; such that a player has 20 others nearby when all have come, unless said
    #[arg(long, value_name = "METRES", value_parser = metres, help_heading = "Game")]
    pub(crate) world: Option<f32>,

    /// The side of a cell: who is in the same or one of the eight around it is nearby
    #[arg(long, value_name = "METRES", default_value = "50", value_parser = metres, help_heading = "Game")]
    pub(crate) cell: f32,

    /// How fast a player can be
    #[arg(long, value_name = "METRES/S", default_value = "10", value_parser = metres, help_heading = "Game")]
    pub(crate) top_speed: f32,

    /// How long a player can be silent before it has left
    #[arg(long, value_name = "TIME", value_parser = timeout, default_value = "10s", help_heading = "Game")]
    pub(crate) timeout: Duration,

    /// Players of one address, an IPv4 address or an IPv6 /64, on each lcore; 0 is no bound
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Game")]
    pub(crate) seats_per_address: u32,

    /// What tokens and places are made of; at random unless said, since who knows it knows all tokens
    #[arg(long, value_name = "N", help_heading = "Game")]
    pub(crate) seed: Option<u64>,

    /// Draw the world from above: into a PNG file at the end, or live in the terminal
    #[arg(long, value_name = "FILE.png|term", help_heading = "Game")]
    pub(crate) map: Option<Output>,
}

fn metres(text: &str) -> Result<f32, String> {
    let metres = text.parse::<f32>().ok().filter(|metres| *metres >= 1.0 && *metres <= MAX_WORLD);
    metres.ok_or_else(|| format!("give metres, as in 50 or 1000, from 1 to {MAX_WORLD}"))
}

fn timeout(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if time < Duration::from_secs(1) {
        Err("players send some times a second: give 1s at least".to_owned())
    } else {
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_times_have_bounds() {
        assert_eq!(metres("50"), Ok(50.0));
        for bad in ["", "0", "0.5", "-5", "nan", "inf", "1e9", "5m"] {
            assert!(metres(bad).is_err(), "{bad}");
        }
        assert_eq!(timeout("10s"), Ok(Duration::from_secs(10)));
        assert!(timeout("10ms").is_err_and(|why| why.contains("1s")));
    }
}
