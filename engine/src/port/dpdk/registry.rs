//! What this process has open: devices, their pools, rings between them.
//!
//! While any port is open, its rings may hold mbufs of any pool. So pools are measured and
//! freed together, when the last port has closed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pool::Pool;
use super::rings::Ring;
use crate::port::PoolBalance;

struct Registry {
    /// Port numbers of the open devices.
    open: BTreeSet<u16>,
    /// Pools that are not measured yet.
    pools: Vec<Arc<Pool>>,
    /// Rings that join devices.
    rings: Vec<Ring>,
    /// Whether some buffer or queue is still abroad, for good.
    lost: bool,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { open: BTreeSet::new(), pools: Vec::new(), rings: Vec::new(), lost: false });

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a device as open. `false` if it is open already.
pub(super) fn claim(port: u16) -> bool {
    registry().open.insert(port)
}

/// Notes a pool, to be released when the last port closes.
pub(super) fn keep_pool(pool: Arc<Pool>) {
    registry().pools.push(pool);
}

/// Notes a ring, to be emptied and freed when the last port closes.
pub(super) fn keep_ring(ring: Ring) {
    registry().rings.push(ring);
}

/// Notes a device as closed. If it was the last, all rings and pools are released.
///
/// # Safety
/// The device is stopped and closed, and its queues are gone.
pub(super) unsafe fn closed(port: u16) -> Vec<PoolBalance> {
    let mut registry = registry();
    registry.open.remove(&port);
    if !registry.open.is_empty() {
        return Vec::new();
    }
    for ring in registry.rings.drain(..) {
        // SAFETY: the ports at its ends, if they were ever opened, are closed.
        unsafe { ring.release() };
    }
    let pools: Vec<_> = registry.pools.drain(..).collect();
    let mut balances = Vec::new();
    for pool in pools {
        // A queue holds a share of its pool, and all queues are gone.
        let Ok(pool) = Arc::try_unwrap(pool) else {
            registry.lost = true;
            continue;
        };
        // SAFETY: the last share is ours.
        let balance = unsafe { pool.release() };
        registry.lost |= !balance.is_balanced();
        balances.push(balance);
    }
    balances
}

/// Whether nothing of DPDK's memory is in use any more.
pub(super) fn is_quiet() -> bool {
    let registry = registry();
    registry.open.is_empty() && !registry.lost
}
