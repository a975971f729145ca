//! DPDK ports: frames from any poll-mode driver (PMD).
//!
//! [`Eal::init`] starts DPDK with the user's EAL arguments, once per process. It finds the
//! [devices](Eal::devices), and [`open`] makes a port of one: it negotiates queues, RSS,
//! descriptors, MTU and offloads with the device, and gives one [`DpdkQueue`] per worker.
//! [`Eal::launch`] runs a worker on its lcore.
//!
//! | file | subject |
//! |---|---|
//! | `arguments` | reading the EAL arguments without taking them |
//! | `preflight` | what would make the EAL fail, said better than it does |
//! | `eal` | start, devices, end |
//! | `leftovers` | files that the EAL leaves behind |
//! | `launch` | work on lcores |
//! | `negotiate` | what is asked of a device, given what it offers |
//! | `open` | a device made a port: negotiated, started, split into queues |
//! | `control` | an open port's control side |
//! | `renewal` | a device that was removed, or has to be reset, served again |
//! | `kernel_interface` | an interface of the kernel's behind a device |
//! | `events` | what drivers tell of their devices |
//! | `device` | a device's name, and the calls that configure, read and end it |
//! | `queue` | a queue pair: bursts in and out |
//! | `gate` | a queue that its worker leaves alone for a while |
//! | `wakeup` | a queue's RX interrupt, where the device has one |
//! | `mbuf` | a packet |
//! | `pool` | a mempool of them |
//! | `packed` | the same without hugepages: its mbufs side by side |
//! | `registry` | what the process has open, and the balance of its pools at the end |
//! | `ledger` | debug builds: who owns each mbuf |
//! | `telemetry` | commands of our own on DPDK's telemetry socket |
//! | `rings` | two ports of shared memory, joined crosswise: the lab without a NIC |
//!
//! # Ownership of buffers
//! Every port has one mempool, on its device's NUMA node. Frames are forwarded between
//! ports in place, so another port's rings may hold a pool's buffers until that other port
//! is closed; the pools are therefore measured, and freed, when the last port closes
//! ([`PortControl::close`](crate::port::PortControl::close) of that one gives all balances).
//! A pool that misses a buffer is never freed: whoever has that buffer still finds it valid.

mod arguments;
mod control;
mod device;
mod eal;
mod events;
mod gate;
mod kernel_interface;
mod launch;
mod ledger;
mod leftovers;
mod looks;
mod mbuf;
mod negotiate;
mod open;
mod packed;
mod pool;
mod preflight;
mod queue;
mod registry;
mod renewal;
mod rings;
pub mod telemetry;
mod wakeup;

pub(crate) use arguments::Arguments;
pub use device::{DeviceId, DpdkError};
pub use eal::{Eal, EalError, InitialAffinity, Lcores, dpdk_version};
pub use launch::LaunchError;
pub use mbuf::Mbuf;
pub use open::open;
pub use queue::DpdkQueue;
pub use rings::crosswise_rings;

/// What would make [`Eal::init`] fail, as far as it can be told without starting DPDK. It leaves
/// no trace.
///
/// # Errors
/// The first thing found.
pub fn preflight(args: &[String]) -> Result<(), EalError> {
    preflight::check(Arguments(args))
}

/// DPDK's sentence for an error number, without its sign.
fn error_text(error: i32) -> String {
    // SAFETY: gives a zero-terminated string for every number; it is the thread's own until
    // its next call.
    unsafe { std::ffi::CStr::from_ptr(dpdk_sys::rte_strerror(error.abs())) }.to_string_lossy().into_owned()
}

/// A name as C takes it.
fn c_string(name: &str) -> Result<std::ffi::CString, DpdkError> {
    std::ffi::CString::new(name).map_err(|_| DpdkError::ZeroByte { name: name.to_owned() })
}

/// `rte_errno` of this thread.
fn last_error() -> i32 {
    // SAFETY: reads a thread-local variable.
    unsafe { dpdk_sys::shim_rte_errno() }
}
