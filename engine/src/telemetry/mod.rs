//! What happened, counted: one block of counters per queue, written by its lcore only.

mod counters;
pub(crate) mod pcapng;
mod report;

pub use counters::{Balance, Counter, Counters, Kind, Snapshot};
pub use report::{CaptureReport, PortReport, QueueReport, Report};
