//! What happened, counted: one block of counters per queue, written by its lcore only.

mod counters;

pub use counters::{Balance, Counter, Counters, Kind, Snapshot};
