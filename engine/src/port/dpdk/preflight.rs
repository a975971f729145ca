//! What would make `rte_eal_init` fail, found beforehand where that is reliable, and said
//! better than the EAL does ("Permission denied" where there are no hugepages).

use std::ffi::CString;
use std::fs;
use std::mem;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use dpdk_sys as sys;

use super::arguments::Arguments;
use super::eal::EalError;
use crate::sys::Script;

const HUGEPAGES: &str = "/sys/kernel/mm/hugepages";

/// # Errors
/// The first thing found that would make the EAL fail.
pub(super) fn check(arguments: Arguments<'_>) -> Result<(), EalError> {
    contradictions(arguments)?;
    lcores(arguments)?;
    file_prefix(arguments)?;
    hugepages(arguments)
}

fn contradictions(arguments: Arguments<'_>) -> Result<(), EalError> {
    if arguments.has("--no-huge") && arguments.has("--in-memory") {
        return Err(EalError::Contradiction {
            first: "--no-huge",
            second: "--in-memory",
            reason: "memory without hugepages is of DPDK's legacy kind, which has no in-memory form; \
                     leave one out (--no-huge --no-shconf leaves no files behind either)",
        });
    }
    Ok(())
}

fn lcores(arguments: Arguments<'_>) -> Result<(), EalError> {
    let Some(requests) = arguments.lcores() else { return Ok(()) };
    let present = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default().trim().to_owned();
    for request in &requests {
        if request.lcore >= sys::RTE_MAX_LCORE {
            return Err(EalError::LcoreTooHigh { lcore: request.lcore, most: sys::RTE_MAX_LCORE - 1 });
        }
        for &cpu in &request.cpus {
            if !Path::new(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/core_id")).exists() {
                return Err(EalError::NoSuchCpu { lcore: request.lcore, cpu, present });
            }
            if !may_run_on(cpu) {
                return Err(EalError::CpuForbidden { lcore: request.lcore, cpu });
            }
        }
    }
    match arguments.main_lcore() {
        Some(main) if !requests.iter().any(|request| request.lcore == main) => {
            Err(EalError::MainLcore { main })
        }
        _ => Ok(()),
    }
}

/// Whether this thread may be pinned to a CPU: tried, since no file tells it of every kind
/// of container. The EAL would abort the program.
fn may_run_on(cpu: u32) -> bool {
    let (Some(before), Ok(cpu)) = (affinity(), usize::try_from(cpu)) else { return true };
    if cpu >= 8 * size_of::<libc::cpu_set_t>() {
        return true;
    }
    // SAFETY: an all-zero set is an empty one.
    let mut one: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: within the set, as checked.
    unsafe { libc::CPU_SET(cpu, &mut one) };
    let allowed = set_affinity(&one);
    set_affinity(&before);
    allowed
}

/// The CPUs that this thread may run on.
pub(super) fn affinity() -> Option<libc::cpu_set_t> {
    // SAFETY: an all-zero set is an empty one.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: a set of that size; 0 is the calling thread.
    let error = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    (error == 0).then_some(set)
}

/// Moves this thread to these CPUs. Whether the kernel allows it.
pub(super) fn set_affinity(set: &libc::cpu_set_t) -> bool {
    // SAFETY: a set of that size; 0 is the calling thread.
    unsafe { libc::sched_setaffinity(0, size_of_val(set), set) == 0 }
}

/// Another process that uses the same file prefix holds a lock on its configuration file.
fn file_prefix(arguments: Arguments<'_>) -> Result<(), EalError> {
    if is_secondary(arguments) || arguments.has("--no-shconf") || arguments.has("--in-memory") {
        return Ok(());
    }
    let prefix = prefix(arguments);
    let Ok(file) = fs::File::open(runtime_folder().join(prefix).join("config")) else { return Ok(()) };
    // SAFETY: an all-zero lock is a valid one.
    let mut lock: libc::flock = unsafe { mem::zeroed() };
    lock.l_type = libc::F_WRLCK as i16;
    lock.l_whence = libc::SEEK_SET as i16;
    // SAFETY: an open file and a lock to fill.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) };
    if asked == 0 && lock.l_type != libc::F_UNLCK as i16 {
        return Err(EalError::PrefixInUse { prefix: prefix.to_owned(), process: lock.l_pid });
    }
    Ok(())
}

/// Whether it is to share another process's memory, or may be.
pub(super) fn is_secondary(arguments: Arguments<'_>) -> bool {
    arguments.long_values("--proc-type").any(|kind| kind != "primary")
}

/// What the names of the EAL's files begin with.
pub(super) fn prefix(arguments: Arguments<'_>) -> &str {
    arguments.long_values("--file-prefix").last().unwrap_or("rte")
}

/// Where the EAL keeps a folder per file prefix (`eal_create_runtime_dir`).
pub(super) fn runtime_folder() -> PathBuf {
    // SAFETY: no preconditions.
    let root = unsafe { libc::getuid() } == 0;
    let folder = std::env::var_os("RUNTIME_DIRECTORY")
        .or_else(|| root.then(|| "/var/run".into()))
        .or_else(|| std::env::var_os("XDG_RUNTIME_DIR"))
        .unwrap_or_else(|| "/tmp".into());
    PathBuf::from(folder).join("dpdk")
}

fn hugepages(arguments: Arguments<'_>) -> Result<(), EalError> {
    if is_secondary(arguments) || arguments.has("--no-huge") {
        return Ok(());
    }
    // Free pages are no measure: the EAL first frees those that a former run left behind.
    if pages("nr_hugepages") + pages("nr_overcommit_hugepages") == 0 {
        return Err(EalError::NoHugepages);
    }
    if arguments.has("--in-memory") {
        return Ok(());
    }
    let folders: Vec<String> = hugetlbfs().collect();
    if folders.is_empty() {
        return Err(EalError::NoHugetlbfs);
    }
    if folders.iter().any(|folder| may_write(folder)) {
        return Ok(());
    }
    Err(EalError::HugetlbfsForbidden { folder: folders.join(", ") })
}

/// Where hugetlbfs is mounted.
pub(super) fn hugetlbfs() -> impl Iterator<Item = String> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let folder = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let folder = words.next()?;
        (words.next()? == "hugetlbfs").then(|| folder.to_owned())
    };
    mounts.lines().filter_map(folder).collect::<Vec<_>>().into_iter()
}

/// A count of hugepages, of every size together.
fn pages(file: &str) -> u64 {
    let sizes = fs::read_dir(HUGEPAGES).into_iter().flatten().flatten();
    sizes.filter_map(|size| fs::read_to_string(size.path().join(file)).ok()?.trim().parse::<u64>().ok()).sum()
}

fn may_write(folder: &str) -> bool {
    let Ok(folder) = CString::new(folder) else { return false };
    // SAFETY: a zero-terminated path.
    unsafe { libc::access(folder.as_ptr(), libc::W_OK) == 0 }
}

/// What most likely lies behind a failure of `rte_eal_init`, which gives a number only.
pub(super) fn explain(arguments: Arguments<'_>, error: i32) -> String {
    if error == libc::ENODEV {
        return "a device that the arguments name has no driver: check the names behind --vdev and -a"
            .to_owned();
    }
    if !arguments.has("--no-huge") && pages("free_hugepages") == 0 {
        return format!(
            "no free hugepages are left: run {} reserve 512M, or pass --no-huge",
            Script::Hugepages
        );
    }
    match error {
        libc::ENOMEM => {
            format!("ask for less memory with -m, or reserve more: {} reserve 1G", Script::Hugepages)
        }
        libc::EACCES | libc::EPERM => "run as root, or without it pass --no-huge --no-shconf".to_owned(),
        _ => "its own message is above".to_owned(),
    }
}
