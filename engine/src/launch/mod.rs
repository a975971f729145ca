//! From a command line to running lcores and back: arguments, ports, start, stop, report.
//!
//! [`run`] is the short form. The long form is [`Launch`]: parse, build what the lcores
//! share, serve.
//!
//! ```no_run
//! # use gannet::{App, Datagram, Launch, Outbox, Service, Time, Verdict};
//! #[derive(clap::Args)]
//! struct Arguments {
//!     /// What to say
//!     #[arg(long, default_value = "hello")]
//!     greeting: String,
//! }
//!
//! struct Greeter(std::sync::Arc<str>);
//!
//! impl Service for Greeter {
//!     fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
//!         if datagram.resize(self.0.len()).is_err() {
//!             return Verdict::Drop;
//!         }
//!         datagram.payload_mut().copy_from_slice(self.0.as_bytes());
//!         Verdict::Reply
//!     }
//! }
//!
//! fn main() -> gannet::Result<()> {
//!     let app = App { name: "greeter", about: "Says the same to everybody", udp_port: Some(7) };
//!     let (launch, arguments) = Launch::parse::<Arguments>(app);
//!     let greeting = arguments.greeting.into();
//!     launch.serve(|_lcore| Greeter(std::sync::Arc::clone(&greeting)))?;
//!     Ok(())
//! }
//! ```

mod args;
mod capture;
mod companion;
mod config_file;
mod control;
mod eal_args;
mod error;
mod lcores;
mod link;
mod log;
mod metrics;
mod panic;
mod plan;
mod privileges;
mod reload;
mod requested;
mod rounds;
mod serve;
mod service_manager;
mod sockets;
mod status;
#[cfg(feature = "dpdk")]
mod telemetry_socket;
mod watchdog;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use clap::{Args, Command, FromArgMatches};

pub use args::{AddressArg, CommonArgs, FragmentsArg, Io, NeighbourArg, UdpPortArg, parse_duration};
pub use capture::{CaptureConfig, CaptureConfigError, CapturedFrames};
pub use companion::Companion;
pub use config_file::ConfigError;
pub use eal_args::{EalArgsError, LcoreId};
pub use error::{Error, UsageError};
pub use requested::{Memory, Requested};
pub use sockets::SocketArgs;

use args::Halves;
use lcores::Lcores;
use plan::Plan;
use reload::Configured;
use serve::serve;

use crate::port::{FrameQueue, OpenPort, af_packet, fault, pcap};
use crate::service::Service;
use crate::sys::Signals;
use crate::telemetry::Report;

/// What a program's launch gives.
pub type Result<T> = std::result::Result<T, Error>;

/// What a program says of itself.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Its name, in usage and in the ready line.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The UDP port that it listens on unless `--udp-port` says otherwise.
    pub udp_port: Option<u16>,
}

impl App {
    /// The command behind the `--` of `PROGRAM [EAL arguments] -- [application arguments]`, with the common
    /// arguments and those of `A`: what [`Launch::try_parse_from`] reads with, and what a manual page or
    /// completions for a shell are made from.
    pub fn command<A: Args>(self, program: &str) -> Command {
        let usage = format!("{program} [EAL arguments] -- [application arguments]");
        let command = Command::new(self.name).override_usage(usage);
        let command = A::augment_args(CommonArgs::augment_args(command));
        // Last, since the structs of arguments bring descriptions of their own.
        command.about(self.about).after_help(
            "EAL arguments go to DPDK as they are: -l CORES, -a PCI-ADDRESS, --vdev=…, --no-huge, --in-memory, …\n\
             Native ports (--io af_packet:…, pcap:…, socket) take -l, --lcores, --main-lcore and --log-level of them.",
        )
    }
}

/// A command line that was understood, ready to be served.
#[derive(Debug)]
pub struct Launch {
    app: App,
    eal: Vec<String>,
    args: CommonArgs,
    commit: &'static str,
    /// How the arguments were found, where a file has a part in it.
    configured: Option<Configured>,
}

/// Runs a service as a program of its own: `PROGRAM [EAL arguments] -- [application arguments]`.
/// `make` is called once per worker lcore, on the main one.
///
/// Prints usage errors and help itself and ends the process with their exit code (2 and 0).
///
/// # Errors
/// Whatever [`Launch::serve`] gives.
pub fn run<S: Service + 'static>(make: impl FnMut(LcoreId) -> S) -> Result<()> {
    #[derive(clap::Args)]
    struct NoArguments {}
    let program = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&program)
        .file_name()
        .map_or("service".to_owned(), |name| name.to_string_lossy().into_owned());
    // Once per process, and needed to its end.
    let app =
        App { name: Box::leak(name.into_boxed_str()), about: "A UDP service on Gannet", udp_port: None };
    let (launch, NoArguments {}) = Launch::parse(app);
    match launch.serve(make) {
        Err(error) if error.exit_code() != 1 => error.exit(),
        result => result.map(drop),
    }
}

impl Launch {
    /// Reads the command line of this process. `A` are the program's own arguments, which
    /// stand behind the `--` among the common ones. Prints usage errors and help itself, and
    /// ends the process with their exit code, as clap's `parse` does.
    pub fn parse<A: Args>(app: App) -> (Self, A) {
        let parsed = command_line().and_then(|words| Self::try_parse_from(app, words));
        parsed.unwrap_or_else(|error| error.exit())
    }

    /// Reads a command line whose first word is the program's name.
    ///
    /// # Errors
    /// [`Error::Arguments`], for `--help` too, or [`Error::Usage`].
    pub fn try_parse_from<A: Args>(app: App, args: impl IntoIterator<Item = String>) -> Result<(Self, A)> {
        let mut args = args.into_iter();
        let program = args.next().unwrap_or_else(|| app.name.to_owned());
        let program = Path::new(&program).file_name().map_or(app.name.into(), |name| name.to_string_lossy());
        let halves = Halves::split(args);
        let mut command = app.command::<A>(&program);
        misplaced(&command, &halves.eal, &program)?;
        let configured = Configured::find(&command, halves.application.clone())?;
        let matches = match &configured {
            Some(configured) => configured.matches()?,
            None => {
                let words = std::iter::once(app.name.to_owned()).chain(halves.application);
                command.try_get_matches_from_mut(words)?
            }
        };
        let common = CommonArgs::from_arg_matches(&matches)?;
        let own = A::from_arg_matches(&matches)?;
        Ok((Self { app, eal: halves.eal, args: common, commit: "", configured }, own))
    }

    /// The common arguments.
    pub fn args(&self) -> &CommonArgs {
        &self.args
    }

    /// The common arguments, for a program that settles some of them itself.
    pub fn args_mut(&mut self) -> &mut CommonArgs {
        &mut self.args
    }

    /// Says what the program was built from, a commit: its metrics have that.
    pub fn built_from(mut self, commit: &'static str) -> Self {
        self.commit = commit;
        self
    }

    /// Serves until the program is stopped: by SIGINT or SIGTERM, at the end of `--duration`,
    /// or at the end of a replay. `make` is called once per worker lcore, on the main one,
    /// before any of them starts.
    ///
    /// Before the workers start, every thread of the process gives up the rights that open ports
    /// don't need ([`give_up`](crate::sys::give_up), [`refuse_calls`](crate::sys::refuse_calls)),
    /// for good: what takes rights is to be opened before, or
    /// [`keep_privileges`](CommonArgs::keep_privileges) set.
    ///
    /// # Errors
    /// [`Error`]; the ports are closed then, too.
    pub fn serve<S: Service + 'static>(self, mut make: impl FnMut(LcoreId) -> S) -> Result<Report> {
        self.serve_together(|lcores| lcores.iter().map(|&lcore| make(lcore)).collect())
    }

    /// Like [`serve`](Self::serve), with all services made at once, so that they can be wired
    /// to each other. `make` is given the worker lcores and gives as many services.
    ///
    /// # Errors
    /// [`Error`]; the ports are closed then, too.
    pub fn serve_together<S: Service + 'static>(
        self,
        make: impl FnOnce(&[LcoreId]) -> Vec<S>,
    ) -> Result<Report> {
        self.serve_beside(&mut (), make)
    }

    /// Like [`serve_together`](Self::serve_together), with a [`Companion`] on the control plane.
    ///
    /// # Errors
    /// [`Error`]; the ports are closed then, too.
    pub fn serve_beside<S: Service + 'static>(
        self,
        companion: &mut dyn Companion,
        make: impl FnOnce(&[LcoreId]) -> Vec<S>,
    ) -> Result<Report> {
        log::start(&self.eal);
        plan::check(&self.args)?;
        privileges::prepare(&self.args)?;
        let mut signals = Signals::catch().map_err(Error::system("catching SIGINT and SIGTERM"))?;
        if self.configured.is_some() {
            signals.catch_hang_ups().map_err(Error::system("catching SIGHUP"))?;
        }
        match &self.args.io {
            Io::Dpdk => self.serve_dpdk(signals, companion, make),
            io if !self.args.ports.is_empty() => Err(UsageError::PortsWithoutEal(io.to_string()).into()),
            Io::AfPacket(interfaces) => {
                let lcores = Lcores::native(&self.eal)?;
                let plan = Plan::new::<S>(&self.app, &self.args, &lcores)?;
                let open = |(id, interface): (usize, &String)| {
                    af_packet::open(interface, &plan.port(id, interface, &self.args))
                };
                let ports = interfaces.iter().enumerate().map(open);
                let ports = ports.collect::<std::result::Result<_, _>>()?;
                self.serve_ports(&lcores, signals, &plan, ports, companion, make)
            }
            Io::Pcap { input, output } => {
                let lcores = Lcores::native(&self.eal)?;
                let plan = Plan::new::<S>(&self.app, &self.args, &lcores)?;
                let port = pcap::open(input, output.as_deref(), &plan.port)?;
                self.serve_ports(&lcores, signals, &plan, vec![port], companion, make)
            }
            Io::PcapOut(output) => {
                let lcores = Lcores::native(&self.eal)?;
                let plan = Plan::new::<S>(&self.app, &self.args, &lcores)?;
                let port = pcap::record(output, &plan.port)?;
                self.serve_ports(&lcores, signals, &plan, vec![port], companion, make)
            }
            Io::Socket => {
                let lcores = Lcores::native(&self.eal)?;
                let plan = Plan::new::<S>(&self.app, &self.args, &lcores)?;
                sockets::serve(&self, &lcores, signals, &plan, companion, make)
            }
        }
    }

    #[cfg(feature = "dpdk")]
    fn serve_dpdk<S: Service + 'static>(
        &self,
        signals: Signals,
        companion: &mut dyn Companion,
        make: impl FnOnce(&[LcoreId]) -> Vec<S>,
    ) -> Result<Report> {
        if self.args.ip.is_empty() {
            return Err(UsageError::NoAddress.into());
        }
        let lcores = Lcores::eal(&self.eal)?;
        let plan = Plan::new::<S>(&self.app, &self.args, &lcores)?;
        let Some(eal) = lcores.as_eal() else { return Err(UsageError::NoDpdk.into()) };
        let devices = select(&self.args.ports, eal.devices())?;
        // Datagrams are forwarded between the ports of a worker, and it has all of them.
        let only_own_packets = devices.len() == 1;
        let open = |(id, device): (usize, crate::port::dpdk::DeviceId)| {
            let config = plan.port(id, device.name(), &self.args);
            crate::port::dpdk::open(eal, device, &crate::port::PortConfig { only_own_packets, ..config })
        };
        let ports = devices.into_iter().enumerate().map(open);
        let ports = ports.collect::<std::result::Result<_, _>>()?;
        self.serve_ports(&lcores, signals, &plan, ports, companion, make)
    }

    #[cfg(not(feature = "dpdk"))]
    fn serve_dpdk<S: Service + 'static>(
        &self,
        _signals: Signals,
        _companion: &mut dyn Companion,
        _make: impl FnOnce(&[LcoreId]) -> Vec<S>,
    ) -> Result<Report> {
        Err(UsageError::NoDpdk.into())
    }

    /// The one place where faults are put in, and where the types of the loop are settled.
    fn serve_ports<Q, S>(
        &self,
        lcores: &Lcores,
        signals: Signals,
        plan: &Plan,
        ports: Vec<OpenPort<Q>>,
        companion: &mut dyn Companion,
        make: impl FnOnce(&[LcoreId]) -> Vec<S>,
    ) -> Result<Report>
    where
        Q: FrameQueue + 'static,
        S: Service + 'static,
    {
        let Some(faults) = &self.args.fault else {
            return serve(self, lcores, signals, plan, ports, companion, make);
        };
        let ports = ports.into_iter().map(|port| fault::wrap(port, faults)).collect();
        serve(self, lcores, signals, plan, ports, companion, make)
    }
}

/// The words of this process's command line, the program's name first.
///
/// # Errors
/// [`UsageError::NotText`] for a word that is not UTF-8.
pub fn command_line() -> Result<Vec<String>> {
    let text = |word: OsString| {
        word.into_string().map_err(|word| UsageError::NotText(word.to_string_lossy().into_owned()).into())
    };
    std::env::args_os().map(text).collect()
}

/// An application argument among the EAL's is the commonest mistake, so it gets an answer of
/// its own.
fn misplaced(command: &Command, eal: &[String], program: &str) -> std::result::Result<(), UsageError> {
    // Of the names that both have, the EAL's counts.
    let is_ours = |name: &str| {
        let long = name.strip_prefix("--");
        !eal_args::is_eal_option(name)
            && command.get_arguments().any(|arg| long.is_some() && arg.get_long() == long)
    };
    for arg in eal {
        if is_ours(arg.split('=').next().unwrap_or(arg)) {
            let value = if arg.contains('=') { "" } else { " …" };
            let example = format!("{program} -l 0 -- {arg}{value}");
            return Err(UsageError::BeforeDashes(arg.clone(), example));
        }
    }
    Ok(())
}

/// The devices that `--ports` names; all of them if it names none.
#[cfg(feature = "dpdk")]
fn select(
    wanted: &[String],
    devices: Vec<crate::port::dpdk::DeviceId>,
) -> std::result::Result<Vec<crate::port::dpdk::DeviceId>, UsageError> {
    if devices.is_empty() {
        return Err(UsageError::NoPorts);
    }
    if wanted.is_empty() {
        return Ok(devices);
    }
    let known: Vec<_> =
        devices.iter().enumerate().map(|(id, device)| format!("{id} ({})", device.name())).collect();
    let chosen = wanted.iter().map(|name| {
        let number = name.parse::<usize>().ok();
        let mut matching =
            devices.iter().enumerate().filter(|(id, device)| number == Some(*id) || device.name() == name);
        let found = matching.next().map(|(id, _)| id);
        found.ok_or_else(|| UsageError::NoSuchPort { name: name.clone(), known: known.join(", ") })
    });
    let chosen = chosen.collect::<std::result::Result<Vec<_>, _>>()?;
    let devices = devices.into_iter().enumerate().filter(|(id, _)| chosen.contains(id));
    Ok(devices.map(|(_, device)| device).collect())
}

/// Prints a line to standard output. A reader that went away is no reason to stop serving.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
