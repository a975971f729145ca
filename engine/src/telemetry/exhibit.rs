//! What a program measures beside what the engine counts.

use std::sync::Arc;

use super::{Durations, Family};

/// A family of histograms that a program shows among the metrics.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// A [`Histogram`](super::FamilyKind::Histogram) in seconds with one label.
    pub family: Family,
    /// The label's value of each member, and what it has measured.
    pub members: Vec<(String, Arc<Durations>)>,
}
