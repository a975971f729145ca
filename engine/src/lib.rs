//! Gannet: UDP services past the kernel.
#![deny(unsafe_code)]

mod forward;
pub mod host;
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
pub use service::{Datagram, Outbox, Role, SendError, Service, Tick, TooLong, Verdict};
pub use time::Time;
pub use worker::{DatagramQueue, Worker};
