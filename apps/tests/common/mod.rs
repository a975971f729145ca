//! What the tests of the program have in common: the program as a process, networks to run
//! it in, and skipping by name where a right is missing.
#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]

pub(crate) mod client;
pub(crate) mod echo;
pub(crate) mod frames;
pub(crate) mod hugepages;
pub(crate) mod network;
pub(crate) mod notify;
pub(crate) mod program;
pub(crate) mod report;
pub(crate) mod scrape;
pub(crate) mod siege;
pub(crate) mod wire;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) use self::network::Lab;
pub(crate) use self::program::{Ended, Program};

/// Says that a test can't run here. With `CI=true` that is a failure.
pub(crate) fn skip(name: &str, reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} can't run: {reason}");
    // Past the test harness, which keeps what passing tests print to itself, and on a line
    // of its own, whatever the harness is writing.
    writeln!(io::stdout(), "\nskipped: {name}: {reason}").expect("standard output");
}

/// A CPU is busy with each worker that runs, so tests that start engines take turns: within
/// a test program and between several. Held until dropped.
pub(crate) fn turn() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("turn.lock");
    // It may be another user's.
    let file = File::create(&path).or_else(|_| File::open(&path)).expect("a lock file");
    file.lock().expect("the lock");
    file
}

/// A folder of a test's own, gone with its value. Its path is short: sockets of DPDK go into
/// it, whose names end at 107 bytes.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(unique("scratch"));
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A command that runs in it, and whose DPDK leaves its files there.
    pub(crate) fn run_in(&self, mut command: Command) -> Command {
        command.current_dir(&self.0).env("RUNTIME_DIRECTORY", &self.0);
        command
    }

    /// The JSON in one of its files.
    pub(crate) fn json(&self, file: &str) -> serde_json::Value {
        let text = std::fs::read(self.0.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        serde_json::from_slice(&text).expect("JSON")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A name that no other process and no other test has.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("gannet-{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The CPUs that this process may use, ascending.
pub(crate) fn cpus() -> Vec<usize> {
    gannet::sys::CpuSet::current().expect("the CPUs of this process").iter().collect()
}

/// The last CPU, which leaves the first to the client.
pub(crate) fn one_lcore() -> String {
    format!("-l {}", cpus().last().expect("a CPU"))
}

/// A program of the repository's `scripts/`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}
