//! What happened, counted: one block of counters per queue and one per lcore, written by that
//! lcore only.

mod counters;
mod durations;
mod exhibit;
pub(crate) mod exposition;
pub(crate) mod families;
mod lcore;
pub(crate) mod pcapng;
mod report;

pub use counters::{Balance, Counter, Counters, Kind, Snapshot};
pub use durations::{Durations, DurationsSnapshot};
pub use exhibit::{Exhibit, Measured};
pub use families::{Family, FamilyKind, families};
pub use lcore::{LcoreCounters, LcoreSnapshot};
pub use report::{CaptureReport, LcoreReport, PortReport, QueueReport, Report};
