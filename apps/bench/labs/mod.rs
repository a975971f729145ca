//! The labs: which subjects do which work, and how they are compared.

mod echo;
mod game;
mod r#gen;
mod idle;
mod kernel;
mod memif;
mod micro;
mod ring;
mod scale;
mod veth;

use std::cell::OnceCell;
use std::time::Duration;

use gannet::sys::CpuSet;

use super::bars::Bar;
use super::failure::Failure;
use super::machine::Machine;
use super::pairs::Case;

/// The labs by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Name {
    /// An echo on two ring ports of DPDK joined crosswise, in one process
    Ring,
    /// An echo over shared memory, and its load in another process
    Memif,
    /// An echo on the kernel's end of a wire between two namespaces
    Veth,
    /// The kernel's sockets against ports past them
    Kernel,
    /// One lcore against two
    Scale,
    /// Datagrams made flat out, and at a steady rate
    Gen,
    /// The game's server under players
    Game,
    /// CPU and wake-up of a worker that rests
    Idle,
    /// The parts of a packet's way, one by one
    Micro,
}

impl Name {
    /// As it stands on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Memif => "memif",
            Self::Veth => "veth",
            Self::Kernel => "kernel",
            Self::Scale => "scale",
            Self::Gen => "gen",
            Self::Game => "game",
            Self::Idle => "idle",
            Self::Micro => "micro",
        }
    }

    /// Its cases, or why it can't be run here.
    pub(crate) fn cases(self, bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
        match self {
            Self::Ring => ring::cases(bench),
            Self::Memif => memif::cases(bench),
            Self::Veth => veth::cases(bench),
            Self::Kernel => kernel::cases(bench),
            Self::Scale => scale::cases(bench),
            Self::Gen => r#gen::cases(bench),
            Self::Game => game::cases(bench),
            Self::Idle => idle::cases(bench),
            Self::Micro => micro::cases(bench),
        }
    }
}

impl Name {
    /// What its figures are meant to reach.
    pub(crate) fn bars(self) -> &'static [Bar] {
        match self {
            Self::Ring => ring::BARS,
            Self::Memif => memif::BARS,
            Self::Veth => veth::BARS,
            Self::Kernel => kernel::BARS,
            Self::Scale => scale::BARS,
            Self::Gen => r#gen::BARS,
            Self::Game => game::BARS,
            Self::Idle => idle::BARS,
            Self::Micro => &[],
        }
    }
}

/// What all labs are given.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Of each measurement.
    pub(crate) seconds: Duration,
    pub(crate) cpus: Cpus,
    pub(crate) tsc_hz: Option<f64>,
    /// Half of what the peer takes over memif with 0.5 % loss, in packets a second, once it is known.
    memif_half: OnceCell<f64>,
}

/// Two CPUs of this machine: the one that is measured, and one for all else. They are the same
/// where there is one only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    pub(crate) main: usize,
    pub(crate) worker: usize,
    /// Another one for what is measured, where there are three.
    pub(crate) second: Option<usize>,
}

impl Cpus {
    /// The first and the last that this process may use.
    pub(crate) fn here() -> Result<Self, Failure> {
        let cpus = CpuSet::current().map_err(Failure::of("the CPUs of this process"))?;
        let all: Vec<_> = cpus.iter().collect();
        let (Some(&main), Some(&worker)) = (all.first(), all.last()) else {
            return Err(Failure::Skip("this process may use no CPU".to_owned()));
        };
        let second = all.iter().rev().nth(1).copied().filter(|_| all.len() > 2);
        Ok(Self { main, worker, second })
    }

    /// Each of them once.
    pub(crate) fn all(self) -> Vec<usize> {
        let mut all: Vec<_> = [self.main, self.worker].into_iter().chain(self.second).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The same with the two changed round, for what works beside that which is measured.
    pub(crate) fn swapped(self) -> Self {
        Self { main: self.worker, worker: self.main, ..self }
    }

    /// EAL arguments for a main lcore 0 that rests and a worker lcore 1, in memory of small pages
    /// with files of their own.
    pub(crate) fn eal(self, memory: u32) -> String {
        let Self { main, worker, .. } = self;
        let prefix = unique();
        format!("--lcores 0@{main},1@{worker} --no-huge --no-pci -m {memory} --file-prefix {prefix}")
    }
}

impl Bench {
    pub(crate) fn new(seconds: Duration, machine: &Machine) -> Result<Self, Failure> {
        Ok(Self { seconds, cpus: Cpus::here()?, tsc_hz: machine.tsc_hz, memif_half: OnceCell::new() })
    }

    /// Ticks a packet, of a loop that does nothing else.
    pub(crate) fn ticks(&self, packets_per_second: f64) -> Result<f64, Failure> {
        let hz = self
            .tsc_hz
            .ok_or_else(|| Failure::Skip("this CPU's time-stamp counter is no clock".to_owned()))?;
        Ok(hz / packets_per_second)
    }
}

/// Whether this build has DPDK.
fn needs_dpdk() -> Result<(), Failure> {
    let missing = || Failure::Skip("this build has no DPDK: build with default features".to_owned());
    gannet::dpdk_version().map(drop).ok_or_else(missing)
}

/// A name that no other process on this machine has.
pub(crate) fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("gb{}n{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}
