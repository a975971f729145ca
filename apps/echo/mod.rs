//! `gannet echo`: every datagram goes back to its sender as it came (RFC 862).

use gannet::{App, Datagram, Launch, Outbox, Service, Time, Verdict};

const APP: App =
    App { name: "echo", about: "Sends every datagram back to its sender (RFC 862)", udp_port: Some(7) };

struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

#[derive(clap::Args)]
struct NoArguments {}

/// Runs the application on the words behind its name.
pub(crate) fn run(args: impl Iterator<Item = String>) -> gannet::Result<()> {
    parse(args)?.built_from(crate::version::COMMIT).serve(|_lcore| Echo)?;
    Ok(())
}

/// Its arguments behind the `--`.
pub(crate) fn command() -> clap::Command {
    APP.command::<NoArguments>("gannet echo")
}

/// Reads the words behind its name, and starts nothing.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> gannet::Result<Launch> {
    let (launch, NoArguments {}) = Launch::try_parse_from(APP, args)?;
    Ok(launch)
}

#[cfg(test)]
mod tests {
    use gannet::Lab;

    use super::*;

    #[test]
    fn what_comes_goes_back() {
        let mut lab = Lab::new(Echo);
        for len in [0, 1, 18, 64, 1472] {
            let payload: Vec<_> = (0..len).map(|index| index as u8).collect();
            assert_eq!(lab.exchange("10.77.0.2:4660", 7, &payload), Some(payload));
        }
        let (counters, pool) = lab.close();
        assert!(counters.balance().is_exact() && pool.is_balanced());
    }
}
