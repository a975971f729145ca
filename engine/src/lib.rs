//! Gannet: UDP services past the kernel, in safe Rust, on DPDK, AF_PACKET and plain sockets.
//!
//! A service says what becomes of a datagram. The engine does the rest: it takes frames from
//! a port in bursts, behaves like a host on the wire, and sends replies in the buffers that
//! the datagrams came in.
//!
//! ```no_run
//! use gannet::{Datagram, Outbox, Service, Time, Verdict};
//!
//! struct Shout;
//!
//! impl Service for Shout {
//!     fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
//!         datagram.payload_mut().make_ascii_uppercase();
//!         Verdict::Reply
//!     }
//! }
//!
//! fn main() -> gannet::Result<()> {
//!     gannet::run(|_lcore| Shout)
//! }
//! ```
//!
//! # How a packet flows
//!
//! ```text
//!             frames                          datagrams
//! NIC ──> port ──> FrameQueue::rx_burst ──> Host ──> Service::on_datagram
//!                                            │ answers ARP, ICMP, NDP itself   │ Reply · Forward · Drop, and Outbox
//! NIC <── port <── FrameQueue::tx_burst <── Host <─────────────────────────────┘
//!                                            turns headers round in place, in the same buffer
//! ```
//!
//! Sockets of the kernel's carry datagrams and no frames, so there is no host on them; a service can't
//! tell the difference.
//!
//! Each worker lcore runs one [`Worker`] to completion: it owns a queue of every port and its
//! own service. Start reading there; it is the loop, and it fits a screen.
//!
//! # The rooms
//!
//! - [`packet`]: a frame in a buffer that somebody owns, and bursts of them.
//! - [`port`]: frames in, frames out. `dpdk` and [`af_packet`](port::af_packet) for wires;
//!   [`socket`](port::socket) for datagrams straight from the kernel, with no privileges;
//!   [`memory`](port::memory), [`pcap`](port::pcap) and [`fault`](port::fault) for tests and tools.
//! - [`wire`]: the formats, as pure functions over bytes.
//! - [`host`]: classifies frames, answers ARP, ICMP and neighbour discovery, guards against abuse,
//!   finds neighbours, writes replies.
//! - [`Service`], [`Datagram`], [`Outbox`], [`Verdict`]: what an application sees.
//! - [`Worker`]: [`poll_once`](Worker::poll_once) is a step that tests call, [`run`](Worker::run) the loop around it.
//! - [`run`] and [`Launch`]: from EAL-style arguments to running lcores and back to a [`Report`](telemetry::Report).
//! - [`telemetry`]: counters that explain every packet.
//! - [`idle`]: what a worker does while no packets come.
//! - [`sys`]: the clock, signals, waiting, affinity, randomness, privileges.
//! - [`Lab`]: a service under test, in memory, on a clock that the test moves.
//!
//! # What holds everywhere
//!
//! - A packet has one owner. What a port does not take stays with the caller, who drops and
//!   counts it; after every run each pool holds what it held at the start.
//! - Nothing from the wire is trusted and nothing from the wire panics. What is dropped is
//!   counted under a name.
//! - The loop does not allocate, lock, log or call through `dyn`, and makes foreign calls per
//!   burst, never per packet. While nothing comes it rests; while something does, it makes no
//!   system call to know that.
//! - Time and randomness are passed in: everything above the ports runs the same twice.
//! - `unsafe` is denied but in [`packet`], [`port`], [`sys`] and the vector kernels of [`wire`].
#![deny(unsafe_code)]

mod forward;
pub mod host;
pub mod idle;
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
pub use host::{Cookie, GuardConfig};
pub use lab::{Lab, Received};
pub use launch::{
    AddressArg, App, CaptureConfig, CaptureConfigError, CapturedFrames, CommonArgs, Companion, ConfigError,
    EalArgsError, Error, FragmentsArg, Io, Launch, LcoreId, Memory, NeighbourArg, Requested, Result,
    SocketArgs, UdpPortArg, UsageError, command_line, parse_duration, run,
};
pub use packet::Shared;
pub use service::{Datagram, Outbox, Role, SendError, Service, Stream, Tick, TooLong, Verdict};
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
