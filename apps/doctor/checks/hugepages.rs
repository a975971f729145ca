//! Hugepages: how many there are on each node, and where they are mounted.

use std::os::unix::fs::MetadataExt;

use gannet::Memory;
use gannet::sys::Script;

use super::super::check::Check;
use super::super::machine::Machine;
use super::Asked;

const NODES: &str = "/sys/devices/system/node";
const SIZES: &str = "/sys/kernel/mm/hugepages";
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

/// The command that reserves some.
fn reserve() -> String {
    format!("{} reserve 512M", Script::Hugepages)
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
        0 => return Check::error("hugepages", "none are reserved").mend(reserve()),
        _ => {
            pages.iter().filter(|pages| pages.total > 0).map(Pages::to_string).collect::<Vec<_>>().join("; ")
        }
    };
    match free {
        0 if total > 0 && overcommit(machine) == 0 => match left_behind(machine) {
            0 => Check::error("hugepages", format!("{found}: programs hold them")).mend(reserve()),
            files => {
                let found =
                    format!("{found}: {files} files hold them that a program left behind; DPDK removes");
                Check::warning("hugepages", format!("{found} them when it starts"))
            }
        },
        ..LITTLE if overcommit(machine) == 0 => {
            Check::warning("hugepages", format!("{found}: little")).mend(reserve())
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

/// How many files of DPDK's hold pages and belong to no program that runs: one that does has them
/// locked. DPDK looks at the same names (`clear_hugedir`).
fn left_behind(machine: &Machine) -> usize {
    let locks = machine.text("/proc/locks");
    // "1: FLOCK  ADVISORY  READ 77 00:2f:12345 0 EOF": the device, in hexadecimal, and the inode.
    let locked: Vec<_> = locks.lines().filter_map(|line| line.split_whitespace().nth(5)).collect();
    let files = mounts(machine).into_iter().flat_map(|mount| {
        let maps = machine.names(&mount.folder).into_iter().filter(|name| name.contains("map_"));
        maps.map(move |name| format!("{}/{name}", mount.folder)).collect::<Vec<_>>()
    });
    let is_left = |path: &String| {
        machine.path(path).metadata().is_ok_and(|file| {
            let id = format!("{}:{}", device_of(file.dev()), file.ino());
            file.is_file() && file.len() > 0 && !locked.contains(&id.as_str())
        })
    };
    files.filter(is_left).count()
}

/// A device as `/proc/locks` has it (its parts lie as in makedev(3)).
fn device_of(device: u64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    format!("{major:02x}:{minor:02x}")
}

/// Where pages of a size are files.
struct Mount {
    folder: String,
    /// KiB of a page.
    size: u64,
}

fn mounts(machine: &Machine) -> Vec<Mount> {
    let default = machine.field("/proc/meminfo", "Hugepagesize:").unwrap_or_default();
    let default = default.split(' ').next().and_then(|size| size.parse().ok()).unwrap_or_default();
    let mount = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let [_, folder, "hugetlbfs", options, ..] = words[..] else { return None };
        let size = options.split(',').find_map(|option| option.strip_prefix("pagesize="));
        Some(Mount { folder: folder.to_owned(), size: size.and_then(page_size).unwrap_or(default) })
    };
    machine.text("/proc/mounts").lines().filter_map(mount).collect()
}

/// KiB of `2M` or `1G`, as options have it.
fn page_size(text: &str) -> Option<u64> {
    let unit = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..unit].parse().ok()?;
    match text[unit..].chars().next() {
        Some('K' | 'k') => Some(number),
        Some('M' | 'm') => number.checked_mul(1 << 10),
        Some('G' | 'g') => number.checked_mul(1 << 20),
        _ => Some(number >> 10),
    }
}

/// The sizes, in KiB, that there are pages of, or would be.
fn sizes(machine: &Machine) -> Vec<u64> {
    let reserved = of_nodes(machine).into_iter().filter(|pages| pages.total > 0).map(|pages| pages.size);
    let on_demand = machine.names(SIZES).into_iter().filter(|name| {
        machine.number(&format!("{SIZES}/{name}/nr_overcommit_hugepages")).is_some_and(|pages| pages > 0)
    });
    reserved.chain(on_demand.map(|name| kib(&name))).collect()
}

fn mount(machine: &Machine) -> Check {
    let (mounts, sizes) = (mounts(machine), sizes(machine));
    // Where there are no pages yet, any will do.
    let fits = |mount: &&Mount| sizes.is_empty() || sizes.contains(&mount.size);
    let folders: Vec<_> = mounts.iter().filter(fits).map(|mount| mount.folder.clone()).collect();
    match folders.iter().find(|folder| machine.may_use(folder)) {
        _ if folders.is_empty() => {
            let other = if mounts.is_empty() { "" } else { " for pages of the size that is reserved" };
            let found = format!("no hugetlbfs is mounted{other}; --in-memory does without");
            Check::error("hugetlbfs", found).mend(reserve())
        }
        Some(folder) => Check::ok("hugetlbfs", folder),
        None => {
            let folder = folders.join(", ");
            let found = format!("no right to write to {folder}; --in-memory does without");
            Check::error("hugetlbfs", found).mend(format!("sudo chown $(id -u) {}", folders[0]))
        }
    }
}
