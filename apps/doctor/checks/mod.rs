//! The checks, in the order in which they are shown.

mod container;
mod cores;
mod dpdk;
mod hugepages;
mod native;
mod pci;
mod rights;
#[cfg(test)]
mod tests;
mod vfio;

use std::net::SocketAddr;
use std::path::PathBuf;

#[cfg(not(feature = "dpdk"))]
use gannet::UsageError;
#[cfg(feature = "dpdk")]
use gannet::port::dpdk::EalError;
use gannet::{Error, Io, Launch, Memory, Requested};

use super::check::Check;
use super::machine::Machine;
use super::pmd::Drivers;

/// Everything, for this command line on this machine.
pub(crate) fn all(launch: &Launch, machine: &Machine) -> Vec<Check> {
    let args = launch.args();
    let asked = Asked {
        requested: launch.requested(),
        own: args.ip.clone(),
        metrics: args.metrics,
        replayed: None,
        files: args.json.iter().chain(args.capture.iter().map(|capture| &capture.path)).cloned().collect(),
    }
    .with_captures();
    let mut checks = about(&asked, machine);
    if let Some(error) = launch.preflight().err().filter(|error| !has_check(error)) {
        checks.insert(0, Check::error("arguments", error.to_string()));
    }
    checks
}

/// Whether a check of its own says the same, with what mends it.
fn has_check(error: &Error) -> bool {
    #[cfg(feature = "dpdk")]
    return matches!(
        error,
        Error::Eal(
            EalError::NoHugepages
                | EalError::NoHugetlbfs
                | EalError::HugetlbfsForbidden { .. }
                | EalError::NoSuchCpu { .. }
                | EalError::CpuForbidden { .. }
        )
    );
    #[cfg(not(feature = "dpdk"))]
    matches!(error, Error::Usage(UsageError::NoDpdk))
}

/// What a command line asks for.
struct Asked {
    requested: Requested,
    /// The addresses of `--ip`.
    own: Vec<gannet::AddressArg>,
    /// The address of `--metrics`.
    metrics: Option<SocketAddr>,
    /// The files of `--json` and `--capture`, and what `--io pcap` records to.
    files: Vec<PathBuf>,
    /// What `--io pcap` replays.
    replayed: Option<PathBuf>,
}

impl Asked {
    /// With the files of `--io pcap`.
    fn with_captures(mut self) -> Self {
        match &self.requested.io {
            Io::Pcap { input, output } => {
                self.replayed = Some(input.clone());
                self.files.extend(output.clone());
            }
            Io::PcapOut(output) => self.files.push(output.clone()),
            _ => {}
        }
        self
    }

    fn has_dpdk(&self) -> bool {
        self.requested.io == Io::Dpdk
    }

    /// Whether a PCI device has to be there.
    fn needs_pci(&self) -> bool {
        self.has_dpdk()
            && (!self.requested.pci.is_empty() || self.requested.every_pci && self.requested.vdevs.is_empty())
    }

    /// Whether DPDK takes a device that is bound for it and that no `-a` names.
    fn takes_unnamed(&self, address: &String) -> bool {
        self.has_dpdk() && self.requested.every_pci && !self.requested.blocked_pci.contains(address)
    }

    fn needs_hugepages(&self) -> bool {
        self.has_dpdk() && self.requested.memory != Memory::Ordinary
    }

    /// Whether one of these vdevs is asked for.
    fn has_vdev(&self, names: &[&str]) -> bool {
        self.requested.vdevs.iter().any(|vdev| names.iter().any(|name| vdev.starts_with(name)))
    }
}

fn about(asked: &Asked, machine: &Machine) -> Vec<Check> {
    let drivers = Drivers::find(machine, &asked.requested.drivers);
    let mut checks = vec![cores::processor(machine), cores::cores(asked, machine)];
    checks.extend(hugepages::checks(asked, machine));
    checks.extend(dpdk::checks(asked, machine, &drivers));
    checks.extend(vfio::checks(asked, machine, &drivers));
    checks.extend(pci::checks(asked, machine, &drivers));
    checks.extend(native::checks(asked, machine));
    checks.extend(rights::checks(asked, machine));
    checks.extend(container::checks(asked, machine));
    checks
}
