//! The command line: every parser of it. What is read and printed reads as the same again, and a
//! refusal has a reason.
//!
//! Input: which parser, and the text; for a whole command line a word per line.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use clap::Args;
use gannet::host::FragmentPolicy;
use gannet::port::fault::{FaultConfig, Probability};
use gannet::wire::ethernet::MacAddress;
use gannet::{
    AddressArg, App, CaptureConfig, CommonArgs, FragmentsArg, GuardConfig, Io, Launch, UdpPortArg,
    parse_duration,
};

/// Arguments of an application, for the whole command line.
#[derive(Args)]
struct Own {
    /// A number
    #[arg(long)]
    number: Option<u32>,
    /// Texts
    texts: Vec<String>,
}

/// The target.
pub fn arguments(data: &[u8]) {
    let Some((&parser, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match parser % 11 {
        0 => address(text),
        1 => same_again::<Io>(text),
        2 => same_again::<FaultConfig>(text),
        3 => same_again::<MacAddress>(text),
        4 => drop(parse_duration(text).inspect_err(|reason| assert!(!reason.is_empty()))),
        5 => same_again::<UdpPortArg>(text),
        6 => command_line(text),
        7 => same_again::<Probability>(text),
        8 => same_again::<GuardConfig>(text),
        9 => same_again::<CaptureConfig>(text),
        _ => fragments(text),
    }
}

fn same_again<T>(text: &str)
where
    T: FromStr + Display + Debug + PartialEq,
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            assert_eq!(printed.parse().ok(), Some(value), "'{text}' is printed as '{printed}'");
        }
        Err(reason) => assert!(!reason.to_string().is_empty(), "'{text}' is refused without a reason"),
    }
}

fn address(text: &str) {
    match text.parse::<AddressArg>() {
        Ok(read) => {
            let place = read.place.as_ref().map_or_else(String::new, |place| format!("@{place}"));
            let len = read.prefix_len.map_or_else(String::new, |len| format!("/{len}"));
            let printed = format!("{}{len}{place}", read.address);
            assert_eq!(printed.parse().as_ref(), Ok(&read), "'{text}' is '{printed}'");
        }
        Err(reason) => assert!(!reason.is_empty(), "'{text}' is refused without a reason"),
    }
}

fn fragments(text: &str) {
    match text.parse::<FragmentsArg>() {
        Ok(read) => {
            let policy = match read.policy {
                FragmentPolicy::Drop => "drop",
                FragmentPolicy::Reassemble => "reassemble",
            };
            let port = read.port.as_ref().map_or_else(String::new, |port| format!("@{port}"));
            assert_eq!(format!("{policy}{port}").parse().as_ref(), Ok(&read), "'{text}'");
        }
        Err(reason) => assert!(!reason.is_empty(), "'{text}' is refused without a reason"),
    }
}

fn command_line(text: &str) {
    let app = App { name: "fuzz", about: "Reads a command line", udp_port: Some(7) };
    match Launch::try_parse_from::<Own>(app, text.lines().map(str::to_owned)) {
        Ok((launch, own)) => bounds(launch.args(), &own),
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{error:?}");
            assert!(matches!(error.exit_code(), 0 | 2), "{} for {error}", error.exit_code());
        }
    }
}

/// What the help promises.
fn bounds(args: &CommonArgs, own: &Own) {
    assert!(args.ttl > 0 && (1..=512).contains(&args.burst), "{args:?}");
    assert!(args.mtu.is_none_or(|mtu| mtu >= 576), "{args:?}");
    assert!(args.stats.is_none_or(|stats| stats.as_millis() >= 10), "{args:?}");
    assert!(own.number.is_none() || own.texts.len() < usize::MAX);
}
