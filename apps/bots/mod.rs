//! `gannet bots`: players of the game that nobody plays. They join, walk, fight and talk on a schedule
//! that nothing which comes back can change (open loop), and check what they are told.
//!
//! The parts, in the order of a run:
//!
//! - [`args`]: what the user says; [`addresses`]: where each bot lives;
//! - [`swarm`]: the service of one lcore, with its bots; [`bot`]: how one comes and goes, and [`returning`] from
//!   another of its [`homes`]; [`player`]: what it does in the game, with [`walk`], [`fight`] and [`talk`];
//! - [`moves`], [`hearing`], [`delays`]: what it remembers to check what it hears; [`books`] and
//!   [`tally`]: what came of that;
//! - [`conductor`]: the control plane's side, with [`board`]; [`output`]: what it all came to.

mod addresses;
mod args;
mod board;
mod books;
mod bot;
mod conductor;
mod delays;
mod fight;
mod hearing;
mod homes;
mod moves;
mod naming;
mod output;
mod player;
mod returning;
mod swarm;
mod talk;
mod tally;
#[cfg(test)]
mod tests;
mod walk;

use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::error::ErrorKind;
use crossbeam_channel::unbounded;
use gannet::{App, Error, Launch, LcoreId, UdpPortArg};

use addresses::Addresses;
use args::BotsArgs;
use board::Board;
use books::Habits;
use conductor::{Conductor, Times, Wires};
use output::Limits;
use swarm::{Parts, Swarm};

const APP: App = App {
    name: "bots",
    about: "Plays the game with many players, and checks what the server tells them",
    udp_port: None,
};

/// Runs the application on the words behind its name.
pub(crate) fn run(args: impl Iterator<Item = String>) -> gannet::Result<()> {
    let (mut launch, args) = Launch::try_parse_from::<BotsArgs>(APP, args)?;
    let setup = Setup::new(&mut launch, args)?;
    let wires = Arc::new(OnceLock::new());
    let mut conductor = setup.conductor(&wires);
    let launch = launch.built_from(crate::version::COMMIT);
    let report = launch.serve_beside(&mut conductor, |lcores| setup.swarms(lcores, &wires))?;
    drop(report);
    say(&conductor.results.to_string());
    conductor.failure.map_or(Ok(()), |failure| Err(Error::Program(failure)))
}

/// Its arguments behind the `--`.
pub(crate) fn command() -> clap::Command {
    APP.command::<BotsArgs>("gannet bots")
}

/// Reads the words behind its name, and starts nothing.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> gannet::Result<Launch> {
    let (mut launch, args) = Launch::try_parse_from::<BotsArgs>(APP, args)?;
    Setup::new(&mut launch, args)?;
    Ok(launch)
}

/// What the arguments come to.
struct Setup {
    args: BotsArgs,
    addresses: Arc<Addresses>,
    habits: Arc<Habits>,
    duration: Option<Duration>,
}

impl Setup {
    /// Reads the arguments, and settles those of the launch that follow from them.
    fn new(launch: &mut Launch, args: BotsArgs) -> gannet::Result<Self> {
        let common = launch.args_mut();
        if !common.udp_ports.is_empty() {
            return Err(usage("--udp-port: bots listen on ports of their own; see --source-port"));
        }
        let own: Vec<_> = common.ip.iter().map(|own| own.address).collect();
        let habits = habits(&args);
        let count = (args.bots, habits.homes());
        let addresses = Addresses::new(args.to, &own, count, args.source_port).map_err(usage)?;
        common.udp_ports = match (addresses.first_port, addresses.last_port) {
            (first, last) if first == last => vec![UdpPortArg::One(first)],
            (first, last) => vec![UdpPortArg::Range(first, last)],
        };
        // It ends by itself, when all have left.
        let duration = common.duration.take();
        Ok(Self { args, addresses: Arc::new(addresses), habits: Arc::new(habits), duration })
    }

    fn conductor(&self, wires: &Arc<OnceLock<Wires>>) -> Conductor {
        let BotsArgs { ramp, linger, check_loss, check_late, .. } = self.args;
        let times = Times { duration: self.duration, ramp, linger };
        let limits = Limits { loss: check_loss / 100.0, late: check_late / 100.0 };
        Conductor::new(Arc::clone(wires), times, self.args.to.to_string(), limits)
    }

    /// A swarm for each lcore, wired to the control plane.
    fn swarms(&self, ids: &[LcoreId], wires: &OnceLock<Wires>) -> Vec<Swarm> {
        let lcores = ids.len();
        let board = Arc::new(Board::new(lcores, self.args.bots));
        let (sender, results) = unbounded();
        let swarm = |lcore| {
            let (addresses, habits) = (Arc::clone(&self.addresses), Arc::clone(&self.habits));
            let parts = Parts { lcore, lcores, board: Arc::clone(&board), addresses, habits };
            Swarm::new(parts, sender.clone())
        };
        let swarms = (0..lcores).map(swarm).collect();
        // Nobody else sets it.
        let _ = wires.set(Wires { lcores: ids.to_vec(), board, results });
        swarms
    }
}

fn habits(args: &BotsArgs) -> Habits {
    Habits {
        to: args.to,
        rate: args.rate,
        speed: args.speed,
        gather: args.gather,
        attacks: args.attacks,
        chats: args.chats,
        rejoins: args.rejoins,
        session: args.session.map(nanos),
        ramp: nanos(args.ramp),
        seed: args.seed,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Prints a line. A reader that went away is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// What the user said can't be done.
fn usage(what: impl std::fmt::Display) -> Error {
    Error::Arguments(clap::Error::raw(ErrorKind::ValueValidation, format!("{what}\n")))
}
