//! What happened, counted: one block of counters per queue and one per lcore, written by that
//! lcore only.

mod counters;
mod lcore;
pub(crate) mod pcapng;
mod report;

pub use counters::{Balance, Counter, Counters, Kind, Snapshot};
pub use lcore::{LcoreCounters, LcoreSnapshot};
pub use report::{CaptureReport, LcoreReport, PortReport, QueueReport, Report};
