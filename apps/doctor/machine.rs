//! The machine as it shows: files below a root folder, and what calls to the kernel give.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use gannet::sys::{SocketKind, may_use, try_socket};

/// A machine to look at.
pub(crate) struct Machine {
    /// Below which `/proc`, `/sys` and `/dev` are found.
    root: PathBuf,
    pub(crate) calls: Calls,
}

/// What no file says.
pub(crate) struct Calls {
    /// Whether the process may read and write a file.
    pub(crate) may_use: fn(&Path) -> bool,
    /// Opens a socket of a kind.
    pub(crate) socket: fn(SocketKind) -> io::Result<()>,
    /// Binds a UDP socket.
    pub(crate) bind: fn(SocketAddr) -> io::Result<()>,
    /// Listens for TCP connections.
    pub(crate) listen: fn(SocketAddr) -> io::Result<()>,
    /// A variable of the environment.
    pub(crate) environment: fn(&str) -> Option<String>,
    /// The DPDK that runs, and the one that the program was built with.
    pub(crate) dpdk: Option<(String, String)>,
}

impl Machine {
    /// The one that we run on.
    pub(crate) fn this() -> Self {
        let built = format!("DPDK {}", env!("GANNET_DPDK_VERSION"));
        let bind = |address| UdpSocket::bind(address).map(drop);
        let dpdk = gannet::dpdk_version().map(|running| (running, built));
        let listen = |address| TcpListener::bind(address).map(drop);
        let environment = |name: &str| std::env::var(name).ok();
        Self {
            root: "/".into(),
            calls: Calls { may_use, socket: try_socket, bind, listen, environment, dpdk },
        }
    }

    #[cfg(test)]
    pub(crate) fn below(root: &Path, calls: Calls) -> Self {
        Self { root: root.to_owned(), calls }
    }

    /// Where a path lies; one that is not absolute begins where the process is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        path.strip_prefix('/').map_or_else(|| path.into(), |below| self.root.join(below))
    }

    /// Whether something is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    pub(crate) fn may_use(&self, path: &str) -> bool {
        (self.calls.may_use)(&self.path(path))
    }

    /// Whether there is a file with the right to read it. What is not a file is not opened.
    pub(crate) fn may_read(&self, path: &str) -> bool {
        let path = self.path(path);
        if path.is_file() { fs::File::open(path).is_ok() } else { path.exists() && !path.is_dir() }
    }

    /// A file's text without the white space around it; nothing where it can't be read.
    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default().trim().to_owned()
    }

    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path).parse().ok()
    }

    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        fs::read(self.path(path)).unwrap_or_default()
    }

    /// The names in a folder, in order; none where there is no such folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The last part of what a link points to.
    pub(crate) fn link_name(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// The processes that have a file open, as far as we may look, by name and number.
    pub(crate) fn holders(&self, file: &str) -> Vec<String> {
        let target = self.path(file);
        let processes = self.names("/proc").into_iter().filter(|name| name.parse::<u32>().is_ok());
        let has_it = |process: &String| {
            let folder = format!("/proc/{process}/fd");
            let files = self.names(&folder).into_iter();
            files
                .filter_map(|fd| fs::read_link(self.path(&format!("{folder}/{fd}"))).ok())
                .any(|to| to == target)
        };
        let name = |process: String| format!("{} ({process})", self.text(&format!("/proc/{process}/comm")));
        processes.filter(has_it).map(name).collect()
    }

    /// What stands behind `key` in a file of lines as in `/proc/self/status`.
    pub(crate) fn field(&self, path: &str, key: &str) -> Option<String> {
        let text = self.text(path);
        text.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
    }

    /// Whether the process has a capability (its number, capabilities(7)), effective.
    pub(crate) fn has_capability(&self, capability: u32) -> bool {
        let bits = self.field("/proc/self/status", "CapEff:");
        let bits = bits.and_then(|bits| u64::from_str_radix(&bits, 16).ok()).unwrap_or_default();
        bits >> capability & 1 == 1
    }
}

/// `0-2,5` as numbers; what can't be read is left out.
pub(crate) fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}
