//! What the control plane shares with those who look in from outside: the server of metrics and DPDK's
//! telemetry. They read it whenever they like, and stop nobody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::eal_args::LcoreId;
use crate::port::{PortDescription, PortId};
use crate::sys::Clock;
use crate::telemetry::{Counters, Exhibit, LcoreCounters};

/// How a program is doing.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) app: &'static str,
    /// What the program was built from, where it says so.
    pub(super) commit: &'static str,
    pub(super) started: SystemTime,
    /// What makes seconds of ticks.
    pub(super) clock: Clock,
    pub(super) is_ready: AtomicBool,
    pub(super) ports: Vec<PortStatus>,
    pub(super) queues: Vec<QueueStatus>,
    pub(super) lcores: Vec<LcoreStatus>,
    /// What the program itself measures.
    pub(super) exhibits: Vec<Exhibit>,
}

/// A port.
#[derive(Debug)]
pub(super) struct PortStatus {
    pub(super) description: PortDescription,
    pub(super) is_link_up: AtomicBool,
    extended_statistics: Mutex<Vec<(String, u64)>>,
}

/// An lcore's queue of a port.
#[derive(Clone, Debug)]
pub(super) struct QueueStatus {
    pub(super) lcore: LcoreId,
    pub(super) port: PortId,
    pub(super) counters: Arc<Counters>,
}

/// A worker lcore.
#[derive(Debug)]
pub(super) struct LcoreStatus {
    pub(super) lcore: LcoreId,
    pub(super) counters: Arc<LcoreCounters>,
    /// Its loop goes round.
    pub(super) is_moving: AtomicBool,
    /// Times that it was found to stand still.
    pub(super) stalls: AtomicU64,
    /// The bits of a number from 0 to 1.
    busy_ratio: AtomicU64,
}

impl PortStatus {
    pub(super) fn new(description: PortDescription) -> Self {
        Self { description, is_link_up: AtomicBool::new(true), extended_statistics: Mutex::default() }
    }

    /// What the device counted when it was last asked.
    pub(super) fn extended_statistics(&self) -> Vec<(String, u64)> {
        self.extended_statistics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_extended_statistics(&self, statistics: Vec<(String, u64)>) {
        *self.extended_statistics.lock().unwrap_or_else(PoisonError::into_inner) = statistics;
    }
}

impl LcoreStatus {
    pub(super) fn new(lcore: LcoreId, counters: Arc<LcoreCounters>) -> Self {
        let is_moving = AtomicBool::new(true);
        Self { lcore, counters, is_moving, stalls: AtomicU64::new(0), busy_ratio: AtomicU64::new(0) }
    }

    pub(super) fn busy_ratio(&self) -> f64 {
        f64::from_bits(self.busy_ratio.load(Relaxed))
    }

    pub(super) fn set_busy_ratio(&self, ratio: f64) {
        self.busy_ratio.store(ratio.to_bits(), Relaxed);
    }
}

impl Status {
    /// The name of a port.
    pub(super) fn port_name(&self, id: PortId) -> &str {
        self.ports.get(usize::from(id.0)).map_or("", |port| &port.description.name)
    }

    /// Whether every lcore's loop goes round.
    pub(super) fn all_move(&self) -> bool {
        self.lcores.iter().all(|lcore| lcore.is_moving.load(Relaxed))
    }
}
