//! What the EAL leaves behind when it ends: files that shared its memory with secondary processes, and
//! hugepages in files. The last one to use them takes them away; what a killed program left is taken over
//! by the next start with its file prefix.

use std::ffi::c_int;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::preflight;

/// Files of a primary process's own in its runtime folder. Its sockets it takes away itself.
const OWN: [&str; 4] = ["config", "fbarray_", "hugepage_info", "hugepage_data"];

/// Where a primary process leaves files.
#[derive(Debug)]
pub(super) struct Leftovers {
    /// Of its file prefix, below the runtime folder.
    folder: PathBuf,
    prefix: String,
    /// Where hugetlbfs is mounted.
    hugetlbfs: Vec<PathBuf>,
}

impl Leftovers {
    /// Of a process with these EAL arguments; `None` for a secondary one, which owns nothing.
    pub(super) fn of(arguments: Arguments<'_>) -> Option<Self> {
        if preflight::is_secondary(arguments) {
            return None;
        }
        let prefix = preflight::prefix(arguments).to_owned();
        let folder = preflight::runtime_folder().join(&prefix);
        Some(Self { folder, prefix, hugetlbfs: preflight::hugetlbfs().map(PathBuf::from).collect() })
    }

    /// Takes them away, unless another process uses them. What there is no right to stays, and the folder,
    /// from which DPDK takes its last socket when the process ends.
    ///
    /// After `rte_eal_cleanup`, which keeps files open and locked that it does not use any more.
    pub(super) fn remove(&self) {
        // As the kernel names what is open: /var/run is a link.
        let Ok(folder) = self.folder.canonicalize() else { return };
        let own = files(&folder, |name| OWN.iter().any(|own| name.starts_with(own)));
        own.iter().for_each(|file| unlock_open(file));
        let config = File::options().write(true).open(folder.join("config"));
        // A primary process locks its configuration, and a secondary one the tables of memory.
        let is_ours = config.as_ref().is_ok_and(|config| lock_whole(config).is_ok());
        // To open and close that would end its lock.
        let mut others = own.iter().filter(|file| !file.ends_with("config"));
        if is_ours && others.all(|file| is_unused(file)) {
            let is_page = |name: &str| {
                let number = name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix("map_"));
                number.is_some_and(|number| number.parse::<u32>().is_ok())
            };
            let pages = self.hugetlbfs.iter().flat_map(|folder| files(folder, is_page));
            pages.filter(|page| is_unused(page)).chain(own).for_each(|file| _ = fs::remove_file(file));
        }
    }
}

/// The files of a folder whose names are meant.
fn files(folder: &Path, is_meant: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let meant = entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_meant));
    meant.map(|entry| entry.path()).collect()
}

/// Unlocks a file where this process has it open.
fn unlock_open(path: &Path) {
    for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<c_int>().ok());
        if let Some(fd) = number
            && fs::read_link(entry.path()).is_ok_and(|open| open == path)
        {
            // SAFETY: takes numbers; a descriptor that was closed meanwhile is refused.
            unsafe { libc::flock(fd, libc::LOCK_UN) };
        }
    }
}

/// Whether no process has a lock on the file (`flock(2)`).
fn is_unused(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Locks a file as the EAL does (`fcntl(2)`).
fn lock_whole(file: &File) -> io::Result<()> {
    // SAFETY: an all-zero lock is a valid one.
    let mut lock: libc::flock = unsafe { mem::zeroed() };
    lock.l_type = libc::F_WRLCK as i16;
    lock.l_whence = libc::SEEK_SET as i16;
    // SAFETY: an open file, and a lock that lives through the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
