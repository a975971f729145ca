//! The arguments of the bots.

use std::net::SocketAddr;
use std::time::Duration;

use gannet::parse_duration;

/// Bots at most: a number of theirs is a player's slot on the server, which has 20 bits.
const MAX_BOTS: u32 = 1 << 20;

/// The bots' own arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BotsArgs {
    /// The game server, as in 10.77.0.1:8080 or [fd00::1]:8080
    #[arg(long, value_name = "ADDR:PORT", required = true, help_heading = "Bots")]
    pub(crate) to: SocketAddr,

    /// How many bots, over all lcores; each has a source port of its own, of every --ip in turn
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_BOTS)),
        help_heading = "Bots"
    )]
    pub(crate) bots: u32,

    /// The first source port; 49152 unless there are more bots than ports above it
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Bots")]
    pub(crate) source_port: Option<u16>,

    /// Moves a second of each bot
    #[arg(long, value_name = "HZ", value_parser = parse_positive, default_value = "30", help_heading = "Bots")]
    pub(crate) rate: f64,

    /// How fast they walk in metres a second; never faster than 0.9 of the server's top speed
    #[arg(long, value_name = "M/S", value_parser = parse_number, default_value = "5", help_heading = "Bots")]
    pub(crate) speed: f64,

    /// Have them walk in a square of this side in the middle of the world
    #[arg(long, value_name = "METRES", value_parser = parse_positive, help_heading = "Bots")]
    pub(crate) gather: Option<f64>,

    /// Attacks a second of each bot, on average, where somebody is in reach
    #[arg(long, value_name = "RATE", value_parser = parse_number, default_value = "0.1", help_heading = "Bots")]
    pub(crate) attacks: f64,

    /// Lines of chat a second of each bot, on average, a second apart at least
    #[arg(long, value_name = "RATE", value_parser = parse_number, default_value = "0.02", help_heading = "Bots")]
    pub(crate) chats: f64,

    /// Changes of address a second of each bot, on average: it comes back from another port, and another --ip
    /// where there are several, with its token; takes four times the ports
    #[arg(long, value_name = "RATE", value_parser = parse_number, default_value = "0", help_heading = "Bots")]
    pub(crate) rejoins: f64,

    /// Each bot leaves after about this long, half to one and a half times, and soon comes back
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Bots")]
    pub(crate) session: Option<Duration>,

    /// Have them join one after the other over this time
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "1s", help_heading = "Bots")]
    pub(crate) ramp: Duration,

    /// What walks, fights and words are made of
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Bots")]
    pub(crate) seed: u64,

    /// How long leaving may take at the end
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "2s", help_heading = "Checks")]
    pub(crate) linger: Duration,

    /// Lost updates, results and words that are no failure, beyond the loss of acknowledgements, in percent
    #[arg(long, value_name = "PERCENT", value_parser = parse_number, default_value = "0", help_heading = "Checks")]
    pub(crate) check_loss: f64,

    /// Late updates that are no failure, in percent of the positions that are timed
    #[arg(long, value_name = "PERCENT", value_parser = parse_number, default_value = "0.1", help_heading = "Checks")]
    pub(crate) check_late: f64,
}

/// A number above zero.
fn parse_positive(text: &str) -> Result<f64, String> {
    let number = parse_number(text)?;
    if number >= 0.1 { Ok(number) } else { Err("give a number from 0.1 to 100000".to_owned()) }
}

/// A number that is not negative.
fn parse_number(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100_000.0).contains(number));
    number.ok_or_else(|| "give a number from 0 to 100000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(
            (parse_positive("30"), parse_positive("0.1"), parse_number("0")),
            (Ok(30.0), Ok(0.1), Ok(0.0))
        );
        for bad in ["0", "0.01", "-1", "nan", "inf", "", "fast", "1e9"] {
            assert!(parse_positive(bad).is_err(), "{bad}");
        }
        assert!(parse_number("-0.1").is_err_and(|error| error.contains("0 to 100000")));
    }
}
