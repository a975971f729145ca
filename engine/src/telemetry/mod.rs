//! What happened, counted: one block of counters per queue, written by its lcore only.

mod counters;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the host once wired"))]
pub(crate) mod pcapng;
mod report;

pub use counters::{Balance, Counter, Counters, Kind, Snapshot};
pub use report::{PortReport, QueueReport, Report};
