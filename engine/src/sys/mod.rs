//! The thin edge to the machine: the clock, signals, waiting, threads, the processor, randomness,
//! privileges.

mod affinity;
mod clock;
mod cpu_time;
mod monotonic;
mod privileges;
mod probe;
mod processor;
mod random;
mod script;
mod signals;
mod wait;

pub use affinity::CpuSet;
pub use clock::Clock;
pub use cpu_time::CpuClock;
pub use monotonic::monotonic_micros;
pub use privileges::{CapabilitySet, PrivilegesError, User, UserError, give_up, refuse_calls};
pub use probe::{SocketKind, may_use, try_socket};
pub use processor::{ProcessorTooOld, check_processor};
pub use random::{RandomError, random_bytes};
pub use script::Script;
pub use signals::{Signals, StopFlag};
pub use wait::{TightTimers, WaitSet, Wakeup};
