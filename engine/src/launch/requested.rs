//! What a command line asks of the machine, for a look at the machine before the start.

use std::net::SocketAddr;

use super::eal_args::{LcoreId, NativeArgs};
use super::error::{Error, UsageError};
use super::{Io, Launch, Result, UdpPortArg, plan};
#[cfg(feature = "dpdk")]
use crate::port::dpdk::Arguments;
use crate::sys::CpuSet;

/// What a command line asks of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Where frames or datagrams come from.
    pub io: Io,
    /// The lcores named and the CPUs that each may run on; none where they are left to the
    /// EAL or the list can't be read.
    pub lcores: Vec<(LcoreId, Vec<usize>)>,
    /// Where buffers lie.
    pub memory: Memory,
    /// The network devices of `--vdev`, with what stands behind their names.
    pub vdevs: Vec<String>,
    /// The PCI addresses of `-a`, with their domain.
    pub pci: Vec<String>,
    /// Whether DPDK takes every PCI device that it has a driver for: no `-a` and no `--no-pci`.
    pub every_pci: bool,
    /// The PCI addresses of `-b`, with their domain: not among those.
    pub blocked_pci: Vec<String>,
    /// Folders or files of drivers beside DPDK's own (`-d`).
    pub drivers: Vec<String>,
    /// Whether DPDK makes files in its runtime folder: all but without telemetry (`--no-telemetry`)
    /// and without files that other processes could share (`--in-memory`, `--no-shconf`).
    pub runtime_files: bool,
    /// The addresses that sockets are bound to.
    pub sockets: Vec<SocketAddr>,
}

/// Where buffers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// In hugepages that are files of a hugetlbfs.
    HugepageFiles,
    /// In hugepages without files (`--in-memory`).
    Hugepages,
    /// In pages of the usual size.
    Ordinary,
}

impl Launch {
    /// What the command line asks of the machine.
    pub fn requested(&self) -> Requested {
        let mut requested = Requested {
            io: self.args.io.clone(),
            lcores: Vec::new(),
            memory: Memory::Ordinary,
            vdevs: Vec::new(),
            pci: Vec::new(),
            every_pci: false,
            blocked_pci: Vec::new(),
            drivers: Vec::new(),
            runtime_files: false,
            sockets: self.sockets(),
        };
        match self.args.io {
            Io::Dpdk => self.request_of_eal(&mut requested),
            _ => requested.lcores = self.native_lcores().unwrap_or_default(),
        }
        requested
    }

    /// Finds what would make the start fail, as far as it can be told without opening anything.
    /// It leaves no trace.
    ///
    /// # Errors
    /// The first thing found, as the start would give it.
    pub fn preflight(&self) -> Result<()> {
        plan::check(&self.args)?;
        plan::named_udp_ports(&self.app, &self.args)?;
        match &self.args.io {
            Io::Dpdk => self.preflight_of_eal(),
            io if !self.args.ports.is_empty() => Err(UsageError::PortsWithoutEal(io.to_string()).into()),
            _ => self.native_lcores().map(drop),
        }
    }

    fn native_lcores(&self) -> Result<Vec<(LcoreId, Vec<usize>)>> {
        let allowed = CpuSet::current().map_err(Error::system("the CPUs of this process"))?;
        Ok(NativeArgs::parse(&self.eal, allowed)?.lcores.into_iter().collect())
    }

    /// Every address with every UDP port, on sockets.
    fn sockets(&self) -> Vec<SocketAddr> {
        if self.args.io != Io::Socket {
            return Vec::new();
        }
        let ports = plan::named_udp_ports(&self.app, &self.args).unwrap_or_default();
        let ports = ports.iter().filter(|port| **port != UdpPortArg::All).flat_map(UdpPortArg::each);
        ports.flat_map(|port| self.args.ip.iter().map(move |own| (own.address, port).into())).collect()
    }

    #[cfg(feature = "dpdk")]
    fn request_of_eal(&self, requested: &mut Requested) {
        let arguments = Arguments(&self.eal);
        let lcores = arguments.lcores().unwrap_or_default().into_iter();
        let cpus = |cpus: std::collections::BTreeSet<u32>| cpus.into_iter().map(|cpu| cpu as usize).collect();
        requested.lcores = lcores.map(|lcore| (LcoreId(lcore.lcore), cpus(lcore.cpus))).collect();
        requested.memory = match (arguments.has("--no-huge"), arguments.has("--in-memory")) {
            (true, _) => Memory::Ordinary,
            (false, true) => Memory::Hugepages,
            (false, false) => Memory::HugepageFiles,
        };
        requested.vdevs = arguments.network_vdevs().map(str::to_owned).collect();
        requested.pci = arguments.allowed_pci().collect();
        let allows = arguments.short_values('a').chain(arguments.long_values("--allow")).next().is_some();
        requested.blocked_pci = arguments.blocked_pci().collect();
        requested.every_pci = !allows && !arguments.has("--no-pci");
        let is_private = arguments.has("--in-memory") || arguments.has("--no-shconf");
        requested.runtime_files = !(is_private && arguments.has("--no-telemetry"));
        requested.drivers = arguments.short_values('d').map(str::to_owned).collect();
    }

    #[cfg(not(feature = "dpdk"))]
    fn request_of_eal(&self, _requested: &mut Requested) {}

    #[cfg(feature = "dpdk")]
    fn preflight_of_eal(&self) -> Result<()> {
        Ok(crate::port::dpdk::preflight(&self.eal)?)
    }

    #[cfg(not(feature = "dpdk"))]
    fn preflight_of_eal(&self) -> Result<()> {
        Err(UsageError::NoDpdk.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::App;
    use super::*;

    #[derive(clap::Args)]
    struct NoArguments {}

    fn launch(line: &str) -> Launch {
        let app = App { name: "test", about: "", udp_port: Some(7) };
        let words = std::iter::once("test").chain(line.split_whitespace()).map(str::to_owned);
        Launch::try_parse_from::<NoArguments>(app, words).expect("a valid line").0
    }

    #[cfg(feature = "dpdk")]
    #[test]
    fn the_eal_s_arguments_are_read() {
        let line =
            "-l 0,2 --in-memory -a 03:00.0,x=1 --vdev=net_tap0,iface=a --vdev crypto_null0 -d /opt/pmds";
        let requested = launch(line).requested();
        let lcores = vec![(LcoreId(0), vec![0]), (LcoreId(2), vec![2])];
        assert_eq!((requested.lcores, requested.memory), (lcores, Memory::Hugepages));
        assert_eq!((requested.pci, requested.every_pci), (vec!["0000:03:00.0".to_owned()], false));
        assert_eq!(
            (requested.vdevs, requested.drivers),
            (vec!["net_tap0,iface=a".into()], vec!["/opt/pmds".into()])
        );
        assert!(launch("--no-telemetry").requested().runtime_files);
        assert!(!launch("--no-telemetry --no-shconf").requested().runtime_files);
        assert!(launch("").requested().every_pci && !launch("--no-pci").requested().every_pci);
        let blocked = launch("-b 03:00.0 --block=0000:04:00.1").requested();
        assert!(blocked.every_pci && blocked.blocked_pci == ["0000:03:00.0", "0000:04:00.1"]);
        assert_eq!(launch("--no-huge").requested().memory, Memory::Ordinary);
    }

    #[test]
    fn sockets_are_addresses_with_ports() {
        let requested =
            launch("-- --io socket --ip 127.0.0.1 --ip ::1 --udp-port 9000-9001 --udp-port 7").requested();
        let text: Vec<_> = requested.sockets.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            ["127.0.0.1:9000", "[::1]:9000", "127.0.0.1:9001", "[::1]:9001", "127.0.0.1:7", "[::1]:7"]
        );
        assert_eq!(launch("-- --io af_packet:a --ip 10.0.0.1/8").requested().sockets, []);
    }

    #[test]
    fn what_the_start_would_refuse_is_found() {
        let failure = |line: &str| launch(line).preflight().err().map(|error| error.to_string());
        assert_eq!(failure("-- --io af_packet:a --ip 10.0.0.1/8"), None);
        assert_eq!(failure("-- --io af_packet:a"), Some(UsageError::NoAddress.to_string()));
        let ports = failure("-- --io af_packet:a --ip 10.0.0.1/8 --ports 0");
        assert_eq!(ports, Some(UsageError::PortsWithoutEal("af_packet:a".into()).to_string()));
        assert!(
            failure("-a 03:00.0 -- --io af_packet:a --ip 10.0.0.1/8")
                .is_some_and(|error| error.contains("-a"))
        );
    }
}
