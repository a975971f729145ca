//! What a program measures beside what the engine counts.

use std::fmt;
use std::sync::Arc;

use super::{Durations, Family};

/// A family of a program's own that it shows among the metrics.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// A [`Histogram`](super::FamilyKind::Histogram) in seconds, a
    /// [`Counter`](super::FamilyKind::Counter) or a [`Gauge`](super::FamilyKind::Gauge), with one label.
    pub family: Family,
    /// The label's value of each member, and what it has measured.
    pub members: Vec<(String, Measured)>,
}

/// What a member of an exhibit has measured, read when somebody asks for the metrics.
#[derive(Clone)]
pub enum Measured {
    /// Of a histogram.
    Durations(Arc<Durations>),
    /// Of a counter or a gauge.
    Number(Arc<dyn Fn() -> u64 + Send + Sync>),
}

impl Measured {
    /// What `read` gives when it is asked.
    pub fn number(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self::Number(Arc::new(read))
    }
}

impl From<Arc<Durations>> for Measured {
    fn from(durations: Arc<Durations>) -> Self {
        Self::Durations(durations)
    }
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Durations(durations) => f.debug_tuple("Durations").field(&durations.snapshot()).finish(),
            Self::Number(read) => f.debug_tuple("Number").field(&read()).finish(),
        }
    }
}
