//! DPDK's environment abstraction layer (EAL): its start, its devices, its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use dpdk_sys as sys;

use super::arguments::Arguments;
use super::device::{DeviceId, DpdkError};
use super::launch::Job;
use super::leftovers::Leftovers;
use super::{error_text, last_error, preflight, registry};
use crate::sys::Script;

/// DPDK, started. One per process, on the thread that started it, which is its main lcore.
#[derive(Debug)]
pub struct Eal {
    arguments: Box<[String]>,
    /// What there will be to take away at the end.
    leftovers: Option<Box<Leftovers>>,
    lcores: Lcores,
    initial_affinity: InitialAffinity,
    /// What worker lcores were given. Raw pointers, so that the EAL stays on its thread.
    pub(super) jobs: RefCell<BTreeMap<u32, *mut Job>>,
}

/// The lcores of the EAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lcores {
    /// The one whose thread started the EAL.
    pub main: u32,
    /// The others, in ascending order, waiting for work.
    pub workers: Vec<u32>,
}

impl Lcores {
    /// How many there are, the main lcore included.
    pub fn count(&self) -> usize {
        1 + self.workers.len()
    }
}

/// The CPUs that the program's thread could run on before the EAL pinned it.
#[derive(Clone, Copy)]
pub struct InitialAffinity(Option<libc::cpu_set_t>);

impl InitialAffinity {
    /// Gives the calling thread these CPUs again. For threads beside the lcores: they inherit
    /// the main lcore's pinning and would share its CPU. Whether the kernel did it.
    pub fn apply(self) -> bool {
        self.0.is_some_and(|set| preflight::set_affinity(&set))
    }
}

impl std::fmt::Debug for InitialAffinity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InitialAffinity")
    }
}

/// Why DPDK could not be started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EalError {
    /// It was started in this process before.
    #[error("the EAL was started already: DPDK starts once per process")]
    AlreadyStarted,
    /// An argument that C can't hold.
    #[error("the argument {argument:?} has a zero byte in it: leave that out")]
    ZeroByte {
        /// The argument.
        argument: String,
    },
    /// Two options that exclude each other.
    #[error("{first} and {second} exclude each other: {reason}")]
    Contradiction {
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// An lcore on a CPU that does not exist or is offline.
    #[error("lcore {lcore} can't run on CPU {cpu}: this machine has CPUs {present}; name others with -l")]
    NoSuchCpu {
        /// The lcore asked for.
        lcore: u32,
        /// Its CPU.
        cpu: u32,
        /// The CPUs that are online, as the kernel lists them.
        present: String,
    },
    /// An lcore on a CPU that this process must not use.
    #[error(
        "lcore {lcore} can't run on CPU {cpu}: the kernel keeps this process off it (a container's cpuset?); \
         name others with -l"
    )]
    CpuForbidden {
        /// The lcore asked for.
        lcore: u32,
        /// Its CPU.
        cpu: u32,
    },
    /// An lcore number beyond DPDK's limit.
    #[error("lcore {lcore} is beyond DPDK's {most}: give the CPU a lower number, as in --lcores 0@{lcore}")]
    LcoreTooHigh {
        /// The lcore asked for.
        lcore: u32,
        /// The highest that this DPDK has.
        most: u32,
    },
    /// `--main-lcore` names none of the lcores.
    #[error("--main-lcore {main} is none of the lcores: add it to -l, or name one of those")]
    MainLcore {
        /// The lcore named.
        main: u32,
    },
    /// Another process uses the same files.
    #[error(
        "process {process} runs with the file prefix '{prefix}' already: pass --file-prefix with another \
         name, or --in-memory (with --no-huge: --no-shconf)"
    )]
    PrefixInUse {
        /// The prefix.
        prefix: String,
        /// The process that has it.
        process: i32,
    },
    /// The kernel has no hugepages.
    #[error(
        "no hugepages are reserved on any node: run {} reserve 512M, or pass --no-huge",
        Script::Hugepages
    )]
    NoHugepages,
    /// Hugepages can't be had by way of files.
    #[error(
        "no hugetlbfs is mounted: run {} reserve 512M, or pass --in-memory or --no-huge",
        Script::Hugepages
    )]
    NoHugetlbfs,
    /// No right to make files of hugepages.
    #[error("no permission to write to {folder}: run as root, or pass --in-memory or --no-huge")]
    HugetlbfsForbidden {
        /// The folders where hugetlbfs is mounted.
        folder: String,
    },
    /// DPDK does not understand the arguments.
    #[error(
        "DPDK refused the EAL arguments '{arguments}': its message is above; application arguments go behind --"
    )]
    Refused {
        /// All of them.
        arguments: String,
    },
    /// Words that are no options.
    #[error("'{arguments}' has a word that is no option of the EAL: application arguments go behind --")]
    Leftover {
        /// All arguments.
        arguments: String,
    },
    /// A device that the arguments name did not come up.
    #[error(
        "the device '{device}' did not start: DPDK's message is above; a vdev may want root or another \
         interface name, a PCI device a driver ({} status)",
        Script::Bind
    )]
    DeviceAbsent {
        /// The device's name.
        device: String,
    },
    /// Anything else.
    #[error("DPDK could not start: {reason}; {way_out}")]
    Failed {
        /// DPDK's reason.
        reason: String,
        /// What to do.
        way_out: String,
    },
}

impl EalError {
    /// Whether it is the arguments that are wrong, and not the machine's state.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::ZeroByte { .. }
                | Self::Contradiction { .. }
                | Self::NoSuchCpu { .. }
                | Self::LcoreTooHigh { .. }
                | Self::MainLcore { .. }
                | Self::Refused { .. }
                | Self::Leftover { .. }
        )
    }
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts DPDK (`rte_eal_init`) with the EAL arguments as they are, without the program's
    /// name. The calling thread becomes the main lcore and is pinned to its CPU. DPDK prints
    /// its own log to standard error.
    ///
    /// # Errors
    /// An [`EalError`]. What is found before DPDK was touched leaves it to be started with
    /// other arguments; after [`Refused`](EalError::Refused) and those behind it, DPDK can't
    /// be started in this process again.
    pub fn init(args: &[String]) -> Result<Self, EalError> {
        if STARTED.load(SeqCst) {
            return Err(EalError::AlreadyStarted);
        }
        let arguments = Arguments(args);
        preflight::check(arguments)?;
        let argv = argv(args)?;
        if STARTED.swap(true, SeqCst) {
            return Err(EalError::AlreadyStarted);
        }
        let initial_affinity = InitialAffinity(preflight::affinity());
        let given = argv.len();
        // The EAL keeps pointers into the arguments and permutes the array: both are its for good.
        let argv = Box::leak(argv.into_boxed_slice());
        // SAFETY: that many zero-terminated strings that live for ever. It is the first call in this process.
        let read = unsafe { sys::rte_eal_init(given as i32, argv.as_mut_ptr()) };
        if read < 0 {
            initial_affinity.apply();
            return Err(failure(arguments));
        }
        let eal = Self {
            arguments: args.into(),
            leftovers: Leftovers::of(arguments).map(Box::new),
            lcores: lcores(),
            initial_affinity,
            jobs: RefCell::default(),
        };
        if usize::try_from(read) != Ok(args.len()) {
            return Err(EalError::Leftover { arguments: args.join(" ") });
        }
        let absent = |device: &String| !matches!(DeviceId::by_name(device), Ok(Some(_)));
        match arguments.devices().into_iter().find(absent) {
            Some(device) => Err(EalError::DeviceAbsent { device }),
            None => Ok(eal),
        }
    }

    /// What it was started with.
    pub(super) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The lcores that run.
    pub fn lcores(&self) -> &Lcores {
        &self.lcores
    }

    /// The CPUs that the program could run on before the EAL pinned its thread.
    pub fn initial_affinity(&self) -> InitialAffinity {
        self.initial_affinity
    }

    /// The devices that there are, in DPDK's order.
    pub fn devices(&self) -> Vec<DeviceId> {
        let next = |from: u16| {
            // SAFETY: no preconditions. Past the last device it gives RTE_MAX_ETHPORTS.
            let port = unsafe { sys::rte_eth_find_next(from) };
            if u32::from(port) < sys::RTE_MAX_ETHPORTS { DeviceId::by_port(port) } else { None }
        };
        iter::successors(next(0), |device| next(device.port() + 1)).collect()
    }

    /// The device of that name.
    ///
    /// # Errors
    /// [`DpdkError::NoDevice`] if there is none.
    pub fn device(&self, name: &str) -> Result<DeviceId, DpdkError> {
        DeviceId::by_name(name)?.ok_or_else(|| {
            let known: Vec<_> = self.devices().iter().map(ToString::to_string).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            DpdkError::NoDevice { device: name.to_owned(), known }
        })
    }
}

impl Drop for Eal {
    /// Waits for all lcores and ends DPDK (`rte_eal_cleanup`), which unmaps its memory, and takes away
    /// the files that it leaves unless another process uses them. While
    /// a port is open or a buffer is missing, DPDK is left running until the process ends.
    fn drop(&mut self) {
        for &lcore in &self.lcores.workers {
            if self.wait(lcore).is_err() {
                tracing::error!(lcore, "the work on this lcore panicked, and nobody waited for it");
            }
        }
        if registry::is_quiet() {
            // SAFETY: no lcore is at work, no port is open, no mbuf is abroad.
            unsafe { sys::rte_eal_cleanup() };
            self.leftovers.iter().for_each(|leftovers| leftovers.remove());
        } else {
            tracing::warn!("DPDK is left running: a port is open or a buffer is missing");
        }
        self.initial_affinity.apply();
    }
}

/// The DPDK release that runs (`rte_version`), as in `DPDK 22.11.11`.
pub fn dpdk_version() -> String {
    // SAFETY: gives a static, zero-terminated string.
    unsafe { CStr::from_ptr(sys::rte_version()) }.to_string_lossy().into_owned()
}

/// The program's name and the arguments, as C has them, for good.
fn argv(args: &[String]) -> Result<Vec<*mut c_char>, EalError> {
    let program =
        std::env::args_os().next().unwrap_or_else(|| "gannet".into()).to_string_lossy().into_owned();
    iter::once(&program)
        .chain(args)
        .map(|argument| {
            let string = CString::new(argument.as_str());
            string.map(CString::into_raw).map_err(|_| EalError::ZeroByte { argument: argument.clone() })
        })
        .collect()
}

fn failure(arguments: Arguments<'_>) -> EalError {
    match last_error() {
        libc::EINVAL => EalError::Refused { arguments: arguments.0.join(" ") },
        libc::EALREADY => EalError::AlreadyStarted,
        error => {
            EalError::Failed { reason: error_text(error), way_out: preflight::explain(arguments, error) }
        }
    }
}

fn lcores() -> Lcores {
    // SAFETY: no preconditions, after rte_eal_init.
    let main = unsafe { sys::rte_get_main_lcore() };
    // SAFETY: as above.
    let enabled = |&lcore: &u32| unsafe { sys::rte_lcore_is_enabled(lcore) } != 0;
    let workers = (0..sys::RTE_MAX_LCORE).filter(|&lcore| lcore != main).filter(enabled).collect();
    Lcores { main, workers }
}
