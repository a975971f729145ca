//! The DPDK that runs, and its drivers.

use super::super::check::Check;
use super::super::machine::Machine;
use super::super::pmd::Drivers;
use super::Asked;

const INSTALL: &str = "apt-get install librte-meta-net";

pub(super) fn checks(asked: &Asked, machine: &Machine, drivers: &Drivers) -> Vec<Check> {
    let Some((running, built)) = &machine.calls.dpdk else {
        let none = Check::error("DPDK", "this build has none");
        return vec![none.mend("cargo build --release --features dpdk").needed_if(asked.has_dpdk())];
    };
    let version = if running == built {
        Check::ok("DPDK", running)
    } else {
        Check::warning("DPDK", format!("{running} runs, the program was built with {built}"))
    };
    let count = drivers.pmds.len();
    let found = match count {
        0 => Check::error("drivers", format!("no PMD is in {}", drivers.place)).mend(INSTALL),
        _ => Check::ok("drivers", format!("{count} PMDs in {}", drivers.place)),
    };
    let found = if lacks_mempools(machine, drivers) {
        let found = format!("no mempool driver (librte_mempool_ring) is in {}", drivers.place);
        Check::error("drivers", found).mend("apt-get install librte-meta-mempool")
    } else {
        found
    };
    let mut checks = vec![version.needed_if(asked.has_dpdk()), found.needed_if(asked.has_dpdk())];
    checks.push(runtime_folder(machine).needed_if(asked.requested.runtime_files));
    checks.extend(asked.requested.vdevs.iter().map(|vdev| of_vdev(vdev, drivers)));
    if asked.has_dpdk() && !asked.needs_pci() && asked.requested.vdevs.is_empty() {
        let none = Check::error("port", "the arguments bring none");
        checks.push(none.mend("name one: -a PCI-ADDRESS, --vdev=net_tap0, or -- --io af_packet:IFACE"));
    }
    checks
}

/// Where the EAL makes a folder per file prefix (`eal_create_runtime_dir`).
fn runtime_folder(machine: &Machine) -> Check {
    let variable = machine.calls.environment;
    let is_root = machine.field("/proc/self/status", "Uid:").is_some_and(|ids| ids.starts_with("0\t"));
    let of_root = || is_root.then(|| "/var/run".to_owned());
    let parent = variable("RUNTIME_DIRECTORY").or_else(of_root).or_else(|| variable("XDG_RUNTIME_DIR"));
    let parent = parent.unwrap_or_else(|| "/tmp".to_owned());
    let folder = format!("{parent}/dpdk");
    if machine.may_use(if machine.has(&folder) { &folder } else { &parent }) {
        return Check::ok("runtime folder", folder);
    }
    Check::error("runtime folder", format!("no right to make files in {folder}"))
        .mend("export XDG_RUNTIME_DIR=$(mktemp -d); as root: export RUNTIME_DIRECTORY=$(mktemp -d)")
}

/// Whether a folder of drivers, as an image made by hand may have it, lacks what pools are made by.
fn lacks_mempools(machine: &Machine, drivers: &Drivers) -> bool {
    let names = machine.names(&drivers.place);
    !names.is_empty() && !names.iter().any(|name| name.starts_with("librte_mempool_ring."))
}

fn of_vdev(vdev: &str, drivers: &Drivers) -> Check {
    let name = vdev.split(',').next().unwrap_or(vdev);
    match drivers.of_vdev(name) {
        Some(pmd) => Check::ok(name, format!("PMD {}", pmd.name)),
        None => Check::error(name, format!("no PMD in {} is for it", drivers.place)).mend(INSTALL),
    }
}
