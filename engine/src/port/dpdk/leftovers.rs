//! What the EAL leaves behind when it ends: files that shared its memory with secondary processes, and
//! hugepages in files. The last one to use them takes them away; what a killed program left is taken over
//! by the next start with its file prefix.

use std::ffi::c_int;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::preflight;

/// A primary process's configuration in its runtime folder.
const CONFIG: &str = "config";
/// How the names of its other files there begin. Its sockets it takes away itself.
const OTHERS: [&str; 3] = ["fbarray_", "hugepage_info", "hugepage_data"];

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
        if !is_ours(&folder) {
            return;
        }
        let own = files(&folder, is_own);
        own.iter().for_each(|file| unlock_open(file));
        let config = File::options().write(true).open(folder.join(CONFIG));
        // A primary process locks its configuration, and a secondary one the tables of memory.
        let is_unshared = config.as_ref().is_ok_and(|config| lock_whole(config).is_ok());
        // To open and close that would end its lock.
        let mut others = own.iter().filter(|file| !file.ends_with(CONFIG));
        if is_unshared && others.all(|file| is_unused(file)) {
            let is_page = |name: &str| {
                let number = name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix("map_"));
                number.is_some_and(|number| number.parse::<u32>().is_ok())
            };
            let pages = self.hugetlbfs.iter().flat_map(|folder| files(folder, is_page));
            pages.filter(|page| is_unused(page)).chain(own).for_each(|file| _ = fs::remove_file(file));
        }
    }
}

/// Whether the folder is of the user that this process is. In another's there may be anything.
fn is_ours(folder: &Path) -> bool {
    // SAFETY: no preconditions.
    let user = unsafe { libc::geteuid() };
    fs::metadata(folder).is_ok_and(|folder| folder.uid() == user)
}

fn is_own(name: &str) -> bool {
    name == CONFIG || OTHERS.iter().any(|other| name.starts_with(other))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    /// Removes what is left in a folder with these files, after `change`. Gives what stays.
    fn remaining(name: &str, change: impl FnOnce(&Path)) -> Vec<String> {
        let folder = std::env::temp_dir().join(format!("gannet-leftovers-{name}-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        for file in ["config", "config.json", "fbarray_memseg-0", "hugepage_info", "notes"] {
            fs::write(folder.join(file), "").expect("written");
        }
        change(&folder);
        let leftovers = Leftovers { folder: folder.clone(), prefix: "rte".to_owned(), hugetlbfs: Vec::new() };
        leftovers.remove();
        let mut stay: Vec<_> = files(&folder, |_| true)
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        stay.sort();
        fs::remove_dir_all(&folder).expect("removed");
        stay
    }

    #[test]
    fn files_of_the_eal_go_and_others_stay() {
        assert_eq!(remaining("own", |_| {}), ["config.json", "notes"]);
    }

    #[test]
    fn in_anothers_folder_nothing_is_removed() {
        const NOBODY: Option<u32> = Some(65534);
        let mut is_anothers = false;
        let stay = remaining("other", |folder| is_anothers = chown(folder, NOBODY, None).is_ok());
        // Only root gives folders away.
        assert_eq!(stay.len(), if is_anothers { 5 } else { 2 });
    }
}
