//! The arguments of the generator.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use gannet::parse_duration;

use super::schedule::Gaps;
use super::sizes::{Pattern, Size};

/// Targets at most: a probe's answer is a bit of a word.
pub(crate) const MAX_TARGETS: usize = 64;
/// The highest rate that can be asked for, in datagrams a second.
const MAX_RATE: f64 = 1e9;

/// The generator's own arguments.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct GenArgs {
    /// Whom to send to (repeatable: they take turns), as in 10.77.0.1:7 or [fd00::1]:7
    #[arg(long, value_name = "ADDR:PORT", required = true, help_heading = "Load")]
    pub(crate) to: Vec<SocketAddr>,

    /// Datagrams a second over all lcores: 5000, 100k, 1.5M; or max, as fast as it goes. With
    /// --search the highest rate that is tried
    #[arg(long, value_name = "RATE", help_heading = "Load")]
    pub(crate) rate: Option<Rate>,

    /// Gaps between datagrams: all alike, or at random as in a Poisson process
    #[arg(long, value_enum, default_value = "fixed", help_heading = "Load")]
    pub(crate) gaps: Gaps,

    /// Length of the frames in bytes, from the Ethernet header to the payload's end, without tags
    /// and checksum: N, A-B drawn evenly, or imix (64, 576 and 1500 in 7:4:1); the shortest
    /// that holds the measuring bytes unless said
    #[arg(long, value_name = "N|A-B|imix", help_heading = "Load")]
    pub(crate) size: Option<Size>,

    /// What fills the payload: zeros, random, counting, text:WORDS
    #[arg(long, value_name = "PATTERN", default_value = "zeros", help_heading = "Load")]
    pub(crate) payload: Pattern,

    /// Flows that take turns: other source ports, of every --ip address
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    pub(crate) flows: u32,

    /// The first source port; 49152 unless there are more flows than ports above it
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Load")]
    pub(crate) source_port: Option<u16>,

    /// Let the rate rise from nothing for this long
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "0s", help_heading = "Load")]
    pub(crate) ramp: Duration,

    /// Replay the payloads of the UDP datagrams in this capture, as they are, to the targets
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Load",
        conflicts_with_all = ["rate", "gaps", "size", "payload", "ramp", "warmup", "search"]
    )]
    pub(crate) replay: Option<PathBuf>,

    /// The pace of a replay: own, xN for N times as fast, or max
    #[arg(long, value_name = "PACE", default_value = "own", requires = "replay", help_heading = "Load")]
    pub(crate) pace: ReplayPace,

    /// Stop after so many datagrams
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Run")]
    pub(crate) count: Option<u64>,

    /// Send for this long before what is sent counts
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "0s", help_heading = "Run")]
    pub(crate) warmup: Duration,

    /// Wait this long for the last answers
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "500ms", help_heading = "Run")]
    pub(crate) linger: Duration,

    /// Only send: that nothing answers is no failure
    #[arg(long, help_heading = "Run")]
    pub(crate) no_replies: bool,

    /// Write the latencies to this file in HdrHistogram's percentile format, in microseconds
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub(crate) hgrm: Option<PathBuf>,

    /// What random gaps, sizes and payloads are made of
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Run")]
    pub(crate) seed: u64,

    /// Find the highest rate without loss and with little, and the latency below it
    #[arg(long, conflicts_with_all = ["count", "ramp", "no_replies"], help_heading = "Search")]
    pub(crate) search: bool,

    /// How long each trial of a search sends
    #[arg(long, value_name = "TIME", value_parser = parse_trial, default_value = "1s", requires = "search", help_heading = "Search")]
    pub(crate) trial: Duration,

    /// The little loss, as in 0.5%
    #[arg(long, value_name = "PART", default_value = "0.5%", requires = "search", help_heading = "Search")]
    pub(crate) loss: Percent,

    /// How near the rates are found, as a part of them
    #[arg(long, value_name = "PART", default_value = "1%", requires = "search", help_heading = "Search")]
    pub(crate) precision: Percent,

    /// How often a trial with too much loss is repeated: only if each loses too much is its rate too high
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = parse_repeats, requires = "search", help_heading = "Search")]
    pub(crate) repeats: usize,
}

/// Datagrams a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    At(f64),
    Max,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let (number, factor) = match text.strip_suffix(['k', 'M', 'G']) {
            Some(number) if text.ends_with('k') => (number, 1e3),
            Some(number) if text.ends_with('M') => (number, 1e6),
            Some(number) => (number, 1e9),
            None => (text, 1.0),
        };
        let rate = number.parse::<f64>().ok().map(|number| number * factor);
        match rate.filter(|rate| *rate > 0.0 && *rate <= MAX_RATE) {
            Some(rate) => Ok(Self::At(rate)),
            None => Err("give datagrams a second, as in 5000, 100k or 1.5M, up to 1G, or max".to_owned()),
        }
    }
}

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ReplayPace {
    /// So many times as fast as it was captured.
    Times(f64),
    Max,
}

impl FromStr for ReplayPace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let times = match text {
            "own" => return Ok(Self::Times(1.0)),
            "max" => return Ok(Self::Max),
            _ => text.strip_prefix('x').and_then(|times| times.parse().ok()),
        };
        let times = times.filter(|times: &f64| *times > 0.0 && times.is_finite());
        times.map(Self::Times).ok_or_else(|| "there are own, max and xN, as in x2 or x0.5".to_owned())
    }
}

/// A part from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percent(pub(crate) f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
        let part = part.map(|number| number / 100.0).filter(|part| *part > 0.0 && *part < 1.0);
        part.map(Self).ok_or_else(|| "give a percentage above 0 and below 100, as in 0.5%".to_owned())
    }
}

/// A search ends after a hundred trials.
fn parse_repeats(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|repeats| *repeats <= 10).ok_or_else(|| "give 0 to 10, as in 2".to_owned())
}

fn parse_trial(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if time.is_zero() {
        Err("a trial of no time finds nothing: give more than 0s, as in 1s".to_owned())
    } else {
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_takes_time() {
        assert_eq!(parse_trial("100ms"), Ok(Duration::from_millis(100)));
        assert!(parse_trial("0s").is_err_and(|error| error.contains("more than 0s")));
    }

    #[test]
    fn repeats_are_few() {
        assert_eq!(parse_repeats("0"), Ok(0));
        assert!(["-1", "11", "many"].iter().all(|bad| parse_repeats(bad).is_err()));
    }

    #[test]
    fn rates_have_suffixes() {
        let rates = [("5000", 5e3), ("100k", 1e5), ("1.5M", 1.5e6), ("1G", 1e9), ("0.5", 0.5)];
        for (text, rate) in rates {
            assert_eq!(text.parse(), Ok(Rate::At(rate)));
        }
        assert_eq!("max".parse(), Ok(Rate::Max));
        for bad in ["", "0", "-1", "k", "1m", "2G", "inf", "nan", "1kk", "fast"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn paces_and_percentages_read() {
        assert_eq!("own".parse(), Ok(ReplayPace::Times(1.0)));
        assert_eq!("x2.5".parse(), Ok(ReplayPace::Times(2.5)));
        assert_eq!("max".parse(), Ok(ReplayPace::Max));
        for bad in ["", "2", "x", "x0", "x-1", "xinf"] {
            assert!(bad.parse::<ReplayPace>().is_err(), "{bad}");
        }
        assert_eq!("0.5%".parse(), Ok(Percent(0.005)));
        for bad in ["", "0.5", "0%", "100%", "-1%", "x%"] {
            assert!(bad.parse::<Percent>().is_err(), "{bad}");
        }
    }
}
