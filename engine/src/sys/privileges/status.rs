//! What the kernel says of a thread: whose it is and what it may do (`/proc/self/task/TID/status`).

use std::fs;
use std::io;
use std::path::Path;

use super::capabilities::CapabilitySet;

/// A thread's user, groups and capabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) name: String,
    /// Real, effective, saved, and that of the file system.
    pub(super) uids: [u32; 4],
    pub(super) gids: [u32; 4],
    /// Supplementary ones, ascending.
    pub(super) groups: Vec<u32>,
    pub(super) inheritable: CapabilitySet,
    pub(super) permitted: CapabilitySet,
    pub(super) effective: CapabilitySet,
    /// No program that it starts has more than itself.
    pub(super) no_new_privileges: bool,
}

/// What was seen of the threads of this process.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// Their numbers and what they were like.
    pub(super) threads: Vec<(libc::pid_t, Status)>,
    /// Whether one ended before it was read. It may have started another, which nobody has seen.
    pub(super) has_missed: bool,
}

impl Status {
    pub(super) fn of_this_thread() -> io::Result<Self> {
        Self::read(Path::new("/proc/thread-self/status"))
    }

    /// That of every thread of this process.
    pub(super) fn of_all_threads() -> io::Result<Look> {
        let mut look = Look { threads: Vec::new(), has_missed: false };
        for entry in fs::read_dir("/proc/self/task")? {
            let entry = entry?;
            let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match Self::read(&entry.path().join("status")) {
                Ok(status) => look.threads.push((thread, status)),
                Err(error) if is_gone(&error) => look.has_missed = true,
                Err(error) => return Err(error),
            }
        }
        Ok(look)
    }

    fn read(file: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(file)?;
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("{} has another form", file.display())))
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.next().map(str::trim)
        };
        let numbers = |name| {
            field(name)?.split_whitespace().map(|word| word.parse().ok()).collect::<Option<Vec<u32>>>()
        };
        // The kernel sorts them by its own numbers, which a user namespace shows as others.
        let mut groups = numbers("Groups")?;
        groups.sort_unstable();
        let set = |name| u64::from_str_radix(field(name)?, 16).ok().map(CapabilitySet);
        Some(Self {
            name: field("Name")?.to_owned(),
            uids: numbers("Uid")?.try_into().ok()?,
            gids: numbers("Gid")?.try_into().ok()?,
            groups,
            inheritable: set("CapInh")?,
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
            no_new_privileges: field("NoNewPrivs")? == "1",
        })
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tgannet\nUmask:\t0022\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t10 9 \n\
        NStgid:\t1\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000003000\n\
        CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t0\n";

    #[test]
    fn a_status_is_read() {
        let status = Status::parse(TEXT).expect("a status");
        assert_eq!((status.uids, status.gids, status.groups), ([1, 2, 3, 4], [5, 6, 7, 8], vec![9, 10]));
        assert_eq!((status.name.as_str(), status.effective), ("gannet", CapabilitySet(0x3000)));
        assert_eq!(
            (status.inheritable, status.permitted),
            (CapabilitySet::NONE, CapabilitySet(0x1ff_ffff_ffff))
        );
        assert!(status.no_new_privileges);
        assert_eq!(Status::parse(&TEXT.replace("NoNewPrivs", "Other")), None);
        assert_eq!(Status::parse(&TEXT.replace("\t4\n", "\n")), None);
    }

    #[test]
    fn every_thread_is_there() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::Builder::new().name("another".to_owned());
        let (start, started) = std::sync::mpsc::channel();
        let run = move || (start.send(()).is_ok(), stopped.recv());
        let other = other.spawn(run).expect("a thread");
        // It takes its name on when it runs.
        started.recv().expect("it sends");
        let all = Status::of_all_threads().expect("threads").threads;
        assert!(all.iter().any(|(_, status)| status.name == "another"), "{all:#?}");
        // SAFETY: the call takes nothing.
        let own = unsafe { libc::gettid() };
        let own = all.iter().find(|(thread, _)| *thread == own).map(|(_, status)| status);
        assert_eq!(own, Status::of_this_thread().ok().as_ref());
        drop(stop);
        let _ = other.join().expect("no panic");
    }
}
