//! The IOMMU, and vfio, by which a program gets a device behind it.

use super::super::check::Check;
use super::super::machine::Machine;
use super::super::pmd::Drivers;
use super::Asked;

const DRIVER: &str = "/sys/bus/pci/drivers/vfio-pci";
/// What maps memory for it. kmod loads it along with vfio-pci, busybox's modprobe does not.
const MAPPER: &str = "/sys/module/vfio_iommu_type1";
const NO_IOMMU: &str = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
/// Bytes that a program without `CAP_IPC_LOCK` has to be allowed to lock, at least: vfio locks
/// what a device may write to.
const LOCKED: u64 = 64 << 20;
pub(super) const CAP_IPC_LOCK: u32 = 14;

pub(super) fn checks(asked: &Asked, machine: &Machine, drivers: &Drivers) -> Vec<Check> {
    let is_needed = asked.needs_pci() && !asked.is_bifurcated(machine, drivers);
    [iommu(machine), module(machine), memlock(machine)].map(|check| check.needed_if(is_needed)).into()
}

fn iommu(machine: &Machine) -> Check {
    let units = machine.names("/sys/class/iommu");
    if !units.is_empty() {
        let groups = machine.names("/sys/kernel/iommu_groups").len();
        return Check::ok("IOMMU", format!("{}, {groups} groups", units.join(", ")));
    }
    if does_without_iommu(machine) {
        let found = "none, and vfio does without it: the device may write to all memory";
        return Check::warning("IOMMU", found);
    }
    let amd = machine.text("/proc/cpuinfo").contains("AuthenticAMD");
    let option = if amd { "amd_iommu=on" } else { "intel_iommu=on" };
    Check::error("IOMMU", "none is in use").mend(format!(
        "switch VT-d or AMD-Vi on in the firmware and boot with {option}; a virtual machine is given one by its host"
    ))
}

pub(super) fn does_without_iommu(machine: &Machine) -> bool {
    machine.text(NO_IOMMU) == "Y"
}

fn module(machine: &Machine) -> Check {
    let modprobe = "modprobe -a vfio-pci vfio_iommu_type1";
    if !machine.has(DRIVER) {
        return Check::error("vfio", "the driver vfio-pci is not loaded").mend(modprobe);
    }
    if !machine.has(MAPPER) && !does_without_iommu(machine) {
        return Check::error("vfio", "the module vfio_iommu_type1 is not loaded").mend(modprobe);
    }
    if !machine.has("/dev/vfio/vfio") {
        return Check::error("vfio", "there is no /dev/vfio/vfio (a container without it?)")
            .mend(format!("{modprobe}; in a container: --device /dev/vfio"));
    }
    if !machine.may_use("/dev/vfio/vfio") {
        return Check::error("vfio", "no right to use /dev/vfio/vfio").mend("sudo chmod 666 /dev/vfio/vfio");
    }
    Check::ok("vfio", "vfio-pci is loaded")
}

fn memlock(machine: &Machine) -> Check {
    if machine.has_capability(CAP_IPC_LOCK) {
        return Check::ok("memlock", "CAP_IPC_LOCK: no limit counts");
    }
    let limit = machine.field("/proc/self/limits", "Max locked memory").unwrap_or_default();
    let limit = limit.split_whitespace().next().unwrap_or_default().to_owned();
    match limit.parse::<u64>() {
        Ok(bytes) if bytes < LOCKED => {
            let found = format!("{} KiB may be locked, and vfio locks all buffers", bytes >> 10);
            Check::error("memlock", found)
                .mend("ulimit -l unlimited, as root; or LimitMEMLOCK=infinity in a unit")
        }
        _ => Check::ok("memlock", format!("{limit} bytes")),
    }
}
