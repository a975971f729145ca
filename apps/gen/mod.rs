//! `gannet gen`: a traffic generator. It sends on a schedule that nothing which comes back can
//! change (open loop), and counts each round trip from the moment that its datagram was meant
//! to leave, so that a slow peer can't hide what it made wait.
//!
//! The parts, in the order of a run:
//!
//! - [`args`]: what the user says;
//! - [`flows`], [`sizes`], [`payload`]: what is sent; [`schedule`], [`trial`], [`replay`]: when;
//! - [`generator`]: the service of one lcore, which sends ([`sending`]) and hears, with [`window`]
//!   and [`tally`] for what it finds;
//! - [`conductor`]: the control plane's side, which has the lcores run the trials of [`plan`]
//!   and [`search`]; [`board`] and [`screen`] show how it goes;
//! - [`own`]: what the generator itself adds; [`output`]: what it all came to.

mod args;
mod board;
mod conductor;
mod flows;
mod generator;
mod output;
mod own;
mod payload;
mod plan;
pub(crate) mod random;
mod replay;
mod schedule;
mod screen;
mod search;
mod sending;
mod sizes;
mod tally;
#[cfg(test)]
mod tests;
mod trial;
mod window;

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::error::ErrorKind;
use crossbeam_channel::{bounded, unbounded};
use gannet::{App, CommonArgs, Error, Io, Launch, LcoreId, UdpPortArg};

use args::{GenArgs, MAX_TARGETS, Rate, ReplayPace};
use board::Board;
use conductor::{Conductor, Probing, Wires};
use flows::Flows;
use generator::{Generator, Parts};
use payload::Codec;
use plan::Plan;
use replay::Replay;
use search::Search;
use sizes::Lengths;
use trial::{Load, Place, Trial};

const APP: App = App {
    name: "gen",
    about: "Sends datagrams on a schedule and measures their round trips",
    udp_port: None,
};
/// Datagrams a second where the user names no rate.
const DEFAULT_RATE: Rate = Rate::At(1000.0);

/// Runs the application on the words behind its name.
pub(crate) fn run(args: impl Iterator<Item = String>) -> gannet::Result<()> {
    let (mut launch, args) = Launch::try_parse_from::<GenArgs>(APP, args)?;
    let setup = Setup::new(&mut launch, args)?;
    // Now, since the program may have fewer rights at the end.
    let hgrm = setup.args.hgrm.as_deref().map(create_hgrm).transpose()?;
    let wires = Arc::new(OnceLock::new());
    let mut conductor = setup.conductor(&wires);
    let launch = launch.built_from(crate::version::COMMIT);
    let report = launch.serve_beside(&mut conductor, |lcores| setup.generators(lcores, &wires))?;
    drop(report);
    screen::say(&conductor.results().to_string());
    if let (Some(path), Some(file)) = (&setup.args.hgrm, &hgrm) {
        conductor.results().write_hgrm(file).map_err(hgrm_failed(path))?;
    }
    conductor.failure.map_or(Ok(()), |failure| Err(Error::Program(failure)))
}

/// Its arguments behind the `--`.
pub(crate) fn command() -> clap::Command {
    APP.command::<GenArgs>("gannet gen")
}

/// Reads the words behind its name, and starts nothing.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> gannet::Result<Launch> {
    let (mut launch, args) = Launch::try_parse_from::<GenArgs>(APP, args)?;
    Setup::new(&mut launch, args)?;
    Ok(launch)
}

/// The percentile file. What was in it stays until there is something better.
fn create_hgrm(path: &Path) -> gannet::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path);
    file.map_err(hgrm_failed(path))
}

fn hgrm_failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Program(format!("--hgrm {}: {error}", path.display()))
}

/// What the arguments come to.
struct Setup {
    args: GenArgs,
    flows: Flows,
    lengths: [Lengths; 2],
    replay: Option<Arc<Replay>>,
    /// What is sent goes to a file, where nobody is.
    is_file: bool,
    /// How long the only trial sends.
    duration: Option<Duration>,
}

impl Setup {
    /// Reads the arguments, and settles those of the launch that follow from them.
    fn new(launch: &mut Launch, args: GenArgs) -> gannet::Result<Self> {
        if args.to.len() > MAX_TARGETS {
            return Err(usage(format!("there are {} --to: {MAX_TARGETS} is the most", args.to.len())));
        }
        let common = launch.args_mut();
        let is_file = is_file(common, &args)?;
        if !common.udp_ports.is_empty() {
            return Err(usage(
                "--udp-port: the generator listens on the ports of its flows; see --source-port",
            ));
        }
        let own: Vec<_> = common.ip.iter().map(|own| own.address).collect();
        let flows = Flows::new(&args.to, &own, args.flows as usize, args.source_port).map_err(usage)?;
        common.udp_ports = match (flows.first_port, flows.last_port) {
            (first, last) if first == last => vec![UdpPortArg::One(first)],
            (first, last) => vec![UdpPortArg::Range(first, last)],
        };
        // It ends by itself, when the last answers have come.
        let duration = common.duration.take();
        if args.search && duration.is_some() {
            return Err(usage(
                "--duration: a search takes as long as it takes; --trial says how long each rate is tried",
            ));
        }
        let needs = |is_ipv4: bool| args.to.iter().any(|to| to.is_ipv4() == is_ipv4) && args.replay.is_none();
        let lengths = |is_ipv4: bool| {
            // A family that nothing is sent to has no say in the sizes.
            let size = args.size.filter(|_| needs(is_ipv4));
            Lengths::new(size, is_ipv4, args.seed).map_err(usage)
        };
        let lengths = [lengths(true)?, lengths(false)?];
        let replay = args.replay.as_deref().map(Replay::read).transpose();
        let replay = replay.map_err(|error| Error::Program(error.to_string()))?.map(Arc::new);
        Ok(Self { args, flows, lengths, replay, is_file, duration })
    }

    fn load(&self) -> Load {
        let default = if self.args.search { Rate::Max } else { DEFAULT_RATE };
        match (&self.replay, self.args.pace, self.args.rate.unwrap_or(default)) {
            (Some(replay), ReplayPace::Times(times), _) => Load::Replay(Arc::clone(replay), Some(times)),
            (Some(replay), ReplayPace::Max, _) => Load::Replay(Arc::clone(replay), None),
            (None, _, Rate::At(rate)) => Load::Rate(rate),
            (None, _, Rate::Max) => Load::Max,
        }
    }

    fn plan(&self) -> Plan {
        let args = &self.args;
        let once = self.duration.unwrap_or(Duration::MAX);
        let base = Trial {
            load: self.load(),
            gaps: args.gaps,
            ramp: args.ramp,
            warmup: args.warmup,
            duration: if args.search { args.trial } else { once },
            count: args.count,
            linger: if args.no_replies || self.is_file { Duration::ZERO } else { args.linger },
            seed: args.seed,
        };
        let targets = args.to.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if args.search {
            Plan::search(base, targets, Search::new(args.loss.0, args.precision.0, args.repeats))
        } else {
            Plan::once(base, targets)
        }
    }

    fn conductor(&self, wires: &Arc<OnceLock<Wires>>) -> Conductor {
        let probing = match (self.args.no_replies, &self.replay) {
            _ if self.is_file => Probing::Not,
            (_, Some(_)) => Probing::Not,
            (true, None) => Probing::Silent,
            (false, None) => Probing::Answers,
        };
        Conductor::new(Arc::clone(wires), self.plan(), probing, own::measure())
    }

    /// A generator for each lcore, wired to the control plane.
    fn generators(&self, ids: &[LcoreId], wires: &OnceLock<Wires>) -> Vec<Generator> {
        let lcores = ids.len();
        let board = Arc::new(Board::new(lcores));
        let probes = self.args.to.len().min(self.flows.flows.len().div_ceil(lcores.max(1)));
        let (results, tallies) = unbounded();
        // A value that no other run has: answers to those are not ours.
        let secret = RandomState::new().hash_one(());
        let longest = self.lengths.iter().map(Lengths::max).max().unwrap_or_default();
        let filler = self.args.payload.filler(longest, self.args.seed);
        let mut orders = Vec::new();
        let generator = |lcore| {
            let (order, taken) = bounded(1);
            orders.push(order);
            let parts = Parts {
                place: Place { lcore, lcores },
                board: Arc::clone(&board),
                flows: self.flows.share(lcore, lcores),
                probes,
                codec: Codec::new(secret, filler.clone()),
                lengths: self.lengths.clone(),
                remotes: self.args.to.clone(),
                is_replay: self.replay.is_some(),
            };
            Generator::new(parts, taken, results.clone())
        };
        let generators = (0..lcores).map(generator).collect();
        // Nobody else sets it.
        let _ = wires.set(Wires { lcores: ids.to_vec(), board, orders, results: tallies, probes });
        generators
    }
}

/// Whether what is sent goes to a file and nothing comes back, for which a neighbour has to be known.
fn is_file(common: &CommonArgs, args: &GenArgs) -> gannet::Result<bool> {
    let Io::PcapOut(_) = &common.io else { return Ok(false) };
    if args.search {
        return Err(usage("--search: nobody answers in a file; pass a --rate"));
    }
    if common.neighbours.is_empty() {
        return Err(usage(format!(
            "--io {}: nobody answers ARP in a file; name the station that the frames are for with --neighbour \
             ADDR=MAC",
            common.io
        )));
    }
    Ok(true)
}

/// What the user said can't be done.
fn usage(what: impl std::fmt::Display) -> Error {
    Error::Arguments(clap::Error::raw(ErrorKind::ValueValidation, format!("{what}\n")))
}
