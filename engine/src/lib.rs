//! Gannet: UDP services past the kernel.
#![deny(unsafe_code)]

#[allow(unsafe_code)]
pub mod packet;
#[allow(unsafe_code)]
pub mod port;
pub mod telemetry;
mod time;
pub mod wire;

pub use time::Time;
