//! Why a program did not start, or did not run to its end.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::config_file::ConfigError;
use super::eal_args::{EalArgsError, LcoreId};
use crate::host::GatewayOffLink;
use crate::port::af_packet::AfPacketError;
#[cfg(feature = "dpdk")]
use crate::port::dpdk::{DpdkError, EalError, LaunchError};
use crate::port::pcap::PcapError;
use crate::port::socket::SocketError;
use crate::sys::{PrivilegesError, RandomError};

/// Why a program did not start, or did not run to its end.
///
/// `Debug` prints what `Display` does: a `main` that returns it shows a sentence to a person.
#[derive(thiserror::Error)]
pub enum Error {
    /// An application argument; also what `--help` prints.
    #[error("{0}")]
    Arguments(#[from] clap::Error),
    /// The file of `--config`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An EAL argument on a native port.
    #[error(transparent)]
    EalArguments(#[from] EalArgsError),
    /// Arguments that contradict each other, or the ports.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The EAL did not start.
    #[cfg(feature = "dpdk")]
    #[error(transparent)]
    Eal(#[from] EalError),
    /// A DPDK port did not open.
    #[cfg(feature = "dpdk")]
    #[error(transparent)]
    Dpdk(#[from] DpdkError),
    /// An lcore of the EAL took no work.
    #[cfg(feature = "dpdk")]
    #[error(transparent)]
    Lcore(#[from] LaunchError),
    /// An AF_PACKET port did not open.
    #[error(transparent)]
    AfPacket(#[from] AfPacketError),
    /// A pcap port did not open.
    #[error(transparent)]
    Pcap(#[from] PcapError),
    /// Sockets did not open.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// No secret keys.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The program may not become another user.
    #[error(
        "--user {0}: this program may not become another user: start it as root (sudo), or as {0} with the rights \
         that its port needs and without --user (docs/running.md, \"Privileges\")"
    )]
    CannotBecome(String),
    /// Rights could not be given up.
    #[error(
        "the rights that are not needed any more could not be given up: {0}; --keep-privileges keeps them"
    )]
    Privileges(#[from] PrivilegesError),
    /// A call to the system at start.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The report could not be written.
    #[error("the report could not be written to {}: {source}", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody can listen there.
    #[error("--metrics {address}: {source}; name an address of this machine and a port that is free")]
    Metrics {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The capture could not be started.
    #[error("the capture could not be written to {}: {source}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program made another number of services than there are worker lcores.
    #[error("the program made {services} services for {lcores} worker lcores; it has to make one for each")]
    ServiceCount {
        /// Worker lcores that have a queue.
        lcores: usize,
        /// Services made.
        services: usize,
    },
    /// What the program itself found wrong, at run time.
    #[error("{0}")]
    Program(String),
    /// A service panicked. Its message, counters and backtrace were printed.
    #[error("the service on lcore {0} panicked; the program stopped")]
    WorkerPanicked(LcoreId),
    /// A port's device was lost, and can't be opened again in this process.
    #[error("{port} is lost: {reason}")]
    PortLost {
        /// The port's name.
        port: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// Arguments that contradict each other, or the ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// No address.
    #[error("no address: pass --ip ADDR/LEN behind --, as in -- --ip 10.77.0.1/24")]
    NoAddress,
    /// No UDP port.
    #[error("no UDP port: pass --udp-port N, or --udp-port all")]
    NoUdpPort,
    /// The EAL arguments brought no port.
    #[error(
        "DPDK has no port: bind a NIC to vfio-pci and allow it with -a, name a virtual one with --vdev=…, \
         or use a native port, as in -- --io af_packet:eth0"
    )]
    NoPorts,
    /// `--io dpdk` in a build without DPDK.
    #[error(
        "this build has no DPDK: name a native port, as in -- --io af_packet:eth0, or build with the feature dpdk"
    )]
    NoDpdk,
    /// `--ports` or `@PORT` names none of the ports.
    #[error("there is no port '{name}': the ports are {known}")]
    NoSuchPort {
        /// What was named.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The number behind the port's dot is no VLAN.
    #[error("'{0}' is no VLAN: write a number from 1 to 4094")]
    NoSuchVlan(String),
    /// An address with no prefix length, where there is a link.
    #[error("--ip {0}: the prefix length is missing: write {0}/{len}", len = if .0.is_ipv4() { 24 } else { 64 })]
    NoPrefix(IpAddr),
    /// An address that no host has.
    #[error("--ip {0}: that can't be a host's address on a link: give one of its own, or use --io socket")]
    NoHost(IpAddr),
    /// An address with a prefix length or a port, where there are neither.
    #[error("--ip {0}: on sockets an address has no prefix length, port or VLAN: write --ip {1}")]
    OnlyAddress(String, IpAddr),
    /// An address that no socket can answer from.
    #[error(
        "--ip {0}: a socket can't answer from that: give an address of this machine, or 0.0.0.0 or :: for all"
    )]
    NoSocketAddress(IpAddr),
    /// A wildcard beside an address that it takes in.
    #[error("--ip {all} takes in {one}: leave one of them out")]
    TakenIn {
        /// The wildcard.
        all: IpAddr,
        /// The other one.
        one: IpAddr,
    },
    /// An option that says nothing about sockets.
    #[error("{option} has no meaning with --io socket: {instead}")]
    NotOnSockets {
        /// The option.
        option: &'static str,
        /// The way out.
        instead: &'static str,
    },
    /// An option that says something about sockets only.
    #[error("{0} is an option of --io socket: leave it out, or use that")]
    OnlyOnSockets(&'static str),
    /// An address is given twice.
    #[error("the address {0} is given twice for one port")]
    AddressTwice(String),
    /// An address that names all hosts of its link.
    #[error("{0} is the broadcast address of its own link: give one of a host's")]
    Broadcast(String),
    /// The gateway is ourselves.
    #[error("the gateway {0} is an address of ours: name the router's")]
    OwnGateway(IpAddr),
    /// Two gateways of one family.
    #[error("two gateways, {0} and {1}: name one for IPv4 and one for IPv6")]
    TwoGateways(IpAddr, IpAddr),
    /// An argument that is no text.
    #[error("the argument '{0}' is not UTF-8")]
    NotText(String),
    /// An option of the application stands among the EAL's.
    #[error("{0} is an application argument: it stands behind --, as in: {1}")]
    BeforeDashes(String, String),
    /// The capture's file has another use.
    #[error("--capture would overwrite {}, which has another use here: name another file", .0.display())]
    CaptureOverwrites(PathBuf),
    /// The gateway is on no link.
    #[error(transparent)]
    Gateway(#[from] GatewayOffLink),
    /// `--ports` with a port that is not DPDK's.
    #[error("--ports selects among the EAL's ports: leave it out with --io {0}")]
    PortsWithoutEal(String),
}

impl Error {
    /// The program's exit code: 2 for usage, 1 for a failure at run time, 0 after `--help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(error) => u8::try_from(error.exit_code()).unwrap_or(2),
            Self::EalArguments(_) | Self::Usage(_) | Self::Config(_) => 2,
            #[cfg(feature = "dpdk")]
            Self::Eal(error) if error.is_usage() => 2,
            _ => 1,
        }
    }

    /// Whether it is the machine that kept the program from starting, and not what was typed:
    /// `gannet doctor` then says more.
    pub fn is_about_the_machine(&self) -> bool {
        let is_of_a_running_program = matches!(
            self,
            Self::ServiceCount { .. } | Self::Program(_) | Self::WorkerPanicked(_) | Self::PortLost { .. }
        );
        let is_a_missing_port = matches!(self, Self::Usage(UsageError::NoPorts));
        is_a_missing_port || self.exit_code() == 1 && !is_of_a_running_program
    }

    /// Prints it: help to standard output, all else to standard error.
    pub fn print(&self) {
        match self {
            Self::Arguments(error) => drop(error.print()),
            // A reader that went away is no reason to panic.
            _ => drop(writeln!(io::stderr(), "error: {self}")),
        }
    }

    /// Prints it and ends the process with its exit code.
    pub fn exit(&self) -> ! {
        self.print();
        std::process::exit(self.exit_code().into())
    }

    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
