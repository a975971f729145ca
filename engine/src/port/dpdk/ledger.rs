//! Debug builds: who owns each mbuf, so that a buffer used twice is noticed where it happens.
//!
//! Sanitizers can't see reuse inside a mempool. Every pool of ours has a table with one entry
//! per mbuf; each burst between host and port is booked in it. Mbufs of pools that are not
//! ours (a driver's own) have no entry and pass. Release builds book nothing.

use super::mbuf::Mbuf;
use super::pool::Pool;

/// Opens a table for a new pool, all of its mbufs being with the port.
pub(super) fn open(pool: &Pool) {
    #[cfg(debug_assertions)]
    books::open(pool);
    _ = pool;
}

/// Closes the table of a pool that is about to be freed.
pub(super) fn close(pool: &Pool) {
    #[cfg(debug_assertions)]
    books::close(pool);
    _ = pool;
}

/// The port gives these mbufs to the host: received or allocated.
///
/// # Panics
/// In debug builds, if the host already holds one of them.
#[inline]
pub(super) fn to_host(mbufs: &[Mbuf]) {
    #[cfg(debug_assertions)]
    books::pass(mbufs, books::Owner::Port, books::Owner::Host);
    _ = mbufs;
}

/// The host gives these mbufs to the port: to be sent or freed.
///
/// # Panics
/// In debug builds, if the host does not hold one of them.
#[inline]
pub(super) fn to_port(mbufs: &[Mbuf]) {
    #[cfg(debug_assertions)]
    books::pass(mbufs, books::Owner::Host, books::Owner::Port);
    _ = mbufs;
}

#[cfg(debug_assertions)]
mod books {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU8, Ordering::AcqRel};
    use std::sync::{PoisonError, RwLock};

    use super::{Mbuf, Pool};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(u8)]
    pub(super) enum Owner {
        /// In the pool, a ring or the device.
        Port,
        /// In a burst.
        Host,
    }

    /// One pool's mbufs by address, in ascending order, and their owners.
    struct Table {
        name: String,
        addresses: Vec<usize>,
        owners: Vec<AtomicU8>,
    }

    static TABLES: RwLock<BTreeMap<usize, Table>> = RwLock::new(BTreeMap::new());

    pub(super) fn open(pool: &Pool) {
        let mut addresses = pool.mbuf_addresses();
        addresses.sort_unstable();
        let owners = addresses.iter().map(|_| AtomicU8::new(Owner::Port as u8)).collect();
        let table = Table { name: pool.name().to_owned(), addresses, owners };
        TABLES.write().unwrap_or_else(PoisonError::into_inner).insert(pool.as_ptr().addr(), table);
    }

    pub(super) fn close(pool: &Pool) {
        TABLES.write().unwrap_or_else(PoisonError::into_inner).remove(&pool.as_ptr().addr());
    }

    pub(super) fn pass(mbufs: &[Mbuf], from: Owner, to: Owner) {
        let tables = TABLES.read().unwrap_or_else(PoisonError::into_inner);
        for mbuf in mbufs {
            let address = mbuf.as_raw().addr().get();
            let Some(table) = tables.get(&mbuf.pool().addr()) else { continue };
            let Ok(index) = table.addresses.binary_search(&address) else {
                panic!("mbuf {address:#x} is none of pool {}'s, though it says so", table.name)
            };
            let owner = table.owners[index].swap(to as u8, AcqRel);
            assert!(
                owner == from as u8,
                "mbuf {address:#x} of pool {} goes from {from:?} to {to:?}, but its owner was {to:?} already",
                table.name
            );
        }
    }
}
