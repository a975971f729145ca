//! Gannet: UDP services past the kernel.
#![deny(unsafe_code)]

mod forward;
pub mod host;
mod lab;
mod launch;
#[allow(unsafe_code)]
pub mod packet;
#[allow(unsafe_code)]
pub mod port;
mod service;
#[allow(unsafe_code)]
pub mod sys;
pub mod telemetry;
mod time;
pub mod wire;
mod worker;

pub use forward::{Forward, Forwards};
pub use lab::{Lab, Received};
pub use launch::{
    AddressArg, App, CommonArgs, EalArgsError, Error, Io, Launch, LcoreId, Result, UdpPortArg, UsageError,
    parse_duration, run,
};
pub use service::{Datagram, Outbox, Role, SendError, Service, Tick, TooLong, Verdict};
pub use time::Time;
pub use worker::{DatagramQueue, Worker};

/// The version of the DPDK that this program runs on, as `DPDK 22.11.0`; `None` in a build
/// without it (`rte_version`).
pub fn dpdk_version() -> Option<String> {
    #[cfg(feature = "dpdk")]
    return Some(port::dpdk::dpdk_version());
    #[cfg(not(feature = "dpdk"))]
    None
}
