//! Hugepages: how many there are on each node, and where they are mounted.

use gannet::Memory;

use super::super::check::Check;
use super::super::machine::Machine;
use super::Asked;

const NODES: &str = "/sys/devices/system/node";
const SIZES: &str = "/sys/kernel/mm/hugepages";
const RESERVE: &str = "./hugepages.sh reserve 512M";
/// Below this much, in KiB, a port's buffers may not fit.
const LITTLE: u64 = 256 << 10;

/// Pages of one size on one node.
struct Pages {
    node: String,
    /// KiB of a page.
    size: u64,
    total: u64,
    free: u64,
}

pub(super) fn checks(asked: &Asked, machine: &Machine) -> Vec<Check> {
    let mut checks = vec![pages(machine)];
    if asked.requested.memory == Memory::HugepageFiles {
        checks.push(mount(machine));
    }
    checks.into_iter().map(|check| check.needed_if(asked.needs_hugepages())).collect()
}

fn pages(machine: &Machine) -> Check {
    let pages = of_nodes(machine);
    let sum = |count: fn(&Pages) -> u64| pages.iter().map(|pages| pages.size * count(pages)).sum::<u64>();
    let (total, free) = (sum(|pages| pages.total), sum(|pages| pages.free));
    let found = match total + overcommit(machine) {
        0 if machine.names(SIZES).is_empty() => {
            return Check::error("hugepages", "this kernel has none").mend("pass --no-huge");
        }
        0 => return Check::error("hugepages", "none are reserved").mend(RESERVE),
        _ => {
            pages.iter().filter(|pages| pages.total > 0).map(Pages::to_string).collect::<Vec<_>>().join("; ")
        }
    };
    match free {
        0 if total > 0 && overcommit(machine) == 0 => Check::error(
            "hugepages",
            format!("{found}: programs hold them, or files that programs left behind"),
        )
        .mend(RESERVE),
        ..LITTLE if overcommit(machine) == 0 => {
            Check::warning("hugepages", format!("{found}: little")).mend(RESERVE)
        }
        _ => Check::ok("hugepages", found),
    }
}

impl std::fmt::Display for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { node, size, total, free } = self;
        write!(f, "{node}: {free} of {total} pages of {} MiB free", size / 1024)
    }
}

fn of_nodes(machine: &Machine) -> Vec<Pages> {
    let is_node = |name: &String| name.starts_with("node") && name[4..].parse::<u32>().is_ok();
    let nodes: Vec<_> = machine.names(NODES).into_iter().filter(is_node).collect();
    let folders = nodes.into_iter().map(|node| (format!("{NODES}/{node}/hugepages"), node));
    let of_folder = |(folder, node): (String, String)| {
        let count =
            |name: &str, file: &str| machine.number(&format!("{folder}/{name}/{file}")).unwrap_or_default();
        let pages = |name: String| Pages {
            size: kib(&name),
            total: count(&name, "nr_hugepages"),
            free: count(&name, "free_hugepages"),
            node: node.clone(),
        };
        machine.names(&folder).into_iter().map(pages).collect::<Vec<_>>()
    };
    let pages: Vec<_> = folders.flat_map(of_folder).collect();
    // A kernel without NUMA has no nodes.
    if pages.is_empty() { of_folder((SIZES.to_owned(), "all memory".to_owned())) } else { pages }
}

/// KiB of a page in a folder named `hugepages-2048kB`.
fn kib(name: &str) -> u64 {
    let number = name.strip_prefix("hugepages-").and_then(|name| name.strip_suffix("kB"));
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Pages that the kernel would make when they are asked for.
fn overcommit(machine: &Machine) -> u64 {
    let pages = |name: &String| machine.number(&format!("{SIZES}/{name}/nr_overcommit_hugepages"));
    machine.names(SIZES).iter().filter_map(pages).sum()
}

fn mount(machine: &Machine) -> Check {
    let mounts = machine.text("/proc/mounts");
    let folder = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        (words.len() > 2 && words[2] == "hugetlbfs").then(|| words[1].to_owned())
    };
    let folders: Vec<_> = mounts.lines().filter_map(folder).collect();
    match folders.iter().find(|folder| machine.may_use(folder)) {
        _ if folders.is_empty() => {
            let found = "no hugetlbfs is mounted; --in-memory does without";
            Check::error("hugetlbfs", found).mend(RESERVE)
        }
        Some(folder) => Check::ok("hugetlbfs", folder),
        None => {
            let folder = folders.join(", ");
            let found = format!("no right to write to {folder}; --in-memory does without");
            Check::error("hugetlbfs", found).mend(format!("sudo chown $(id -u) {}", folders[0]))
        }
    }
}
