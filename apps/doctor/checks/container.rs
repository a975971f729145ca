//! Limits of the control group that the process is in (cgroup v2).

use super::super::check::Check;
use super::super::machine::Machine;
use super::Asked;

/// Below this much memory, in bytes, buffers may not fit.
const LITTLE: u64 = 256 << 20;
const CGROUPS: &str = "/sys/fs/cgroup";

/// CPU time, memory and hugepages; nothing is said of what has no limit.
pub(super) fn checks(asked: &Asked, machine: &Machine) -> Vec<Check> {
    let checks = [cpu(asked, machine), memory(machine), hugepages(asked, machine)];
    checks.into_iter().flatten().collect()
}

/// The smallest value that a file has in the process's group and those above it.
fn lowest<T: PartialOrd>(machine: &Machine, file: &str, read: fn(&str) -> Option<T>) -> Option<T> {
    let group = machine.field("/proc/self/cgroup", "0::")?;
    let mut folder = format!("{CGROUPS}{}", group.trim_end_matches('/'));
    let mut lowest = None;
    while folder.starts_with(CGROUPS) {
        let value = read(&machine.text(&format!("{folder}/{file}")));
        lowest = match (lowest, value) {
            (Some(lowest), Some(value)) if value < lowest => Some(value),
            (None, value) => value,
            (lowest, _) => lowest,
        };
        folder.truncate(folder.rfind('/').unwrap_or_default());
    }
    lowest
}

fn cpu(asked: &Asked, machine: &Machine) -> Option<Check> {
    // "50000 100000": µs of CPU time in every so many; "max 100000" where there is no limit.
    let share = |text: &str| {
        let (quota, period) = text.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    };
    let cpus = lowest(machine, "cpu.max", share)?;
    let lcores = asked.requested.lcores.len().max(1);
    let found = format!("the time of {cpus:.1} CPUs for {lcores} lcores");
    if cpus >= lcores as f64 {
        return Some(Check::ok("CPU limit", found));
    }
    let found = format!("{found}: the kernel stops the program when it is used up, and packets are lost");
    Some(Check::warning("CPU limit", found).mend("raise the limit (docker: --cpus), or name fewer with -l"))
}

fn memory(machine: &Machine) -> Option<Check> {
    let bytes = lowest(machine, "memory.max", |text| text.parse::<u64>().ok())?;
    let found = format!("{} MiB", bytes >> 20);
    Some(if bytes < LITTLE {
        let found = format!("{found}: buffers may not fit, and the kernel kills what goes beyond");
        Check::warning("memory limit", found).mend("raise it (docker: --memory 512m)")
    } else {
        Check::ok("memory limit", found)
    })
}

fn hugepages(asked: &Asked, machine: &Machine) -> Option<Check> {
    let bytes = ["hugetlb.2MB.max", "hugetlb.1GB.max"]
        .into_iter()
        .filter_map(|file| lowest(machine, file, |text| text.parse::<u64>().ok()))
        .reduce(u64::max)?;
    let check = if bytes == 0 {
        let mend = "raise it (Kubernetes: resources.limits of hugepages-2Mi), or pass --no-huge";
        Check::error("hugepage limit", "this group may use none").mend(mend)
    } else {
        Check::ok("hugepage limit", format!("{} MiB", bytes >> 20))
    };
    Some(check.needed_if(asked.needs_hugepages()))
}
