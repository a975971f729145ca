//! A queue's memory, to which its packets find their way back from anywhere.
//!
//! A packet points to its [`Home`] without counting itself in, since a shared count per
//! packet is what a packet engine can't afford. In its place the home counts how many of
//! its slots and buffers are out, and [`HomeOwner`], which the queue holds, keeps the
//! memory for good if it is dropped while there are any: then some packet may still point
//! there. A home whose packets are all back is freed with its last owner.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pool::{FreeList, Pool};
use super::ring::RxRing;
use crate::port::PoolBalance;

/// A receive ring and a pool, and how much of them is out.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) ring: RxRing,
    pub(super) pool: Pool,
    pub(super) slots_out: Outstanding,
    pub(super) buffers_out: Outstanding,
}

/// Where a packet's bytes lie in its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this slot of the receive ring.
    Slot(u32),
    /// In this buffer of the pool.
    Buffer(u32),
}

impl Home {
    /// A ring and a pool of which nothing is out.
    pub(super) fn new(ring: RxRing, pool: Pool) -> Self {
        Self { ring, pool, slots_out: Outstanding::default(), buffers_out: Outstanding::default() }
    }

    /// The first byte of a place.
    #[inline]
    pub(super) fn place(&self, place: Place) -> NonNull<u8> {
        match place {
            Place::Slot(index) => self.ring.slot(index),
            Place::Buffer(index) => self.pool.buffer(index),
        }
    }

    /// # Panics
    /// In debug builds, if the place is not out.
    #[inline]
    pub(super) fn assert_out(&self, place: Place) {
        match place {
            Place::Slot(index) => self.ring.assert_taken(index),
            Place::Buffer(index) => self.pool.assert_out(index),
        }
    }

    /// Takes a place back on behalf of the queue that owns the home.
    #[inline]
    pub(super) fn give_back(&self, place: Place, free: &mut FreeList) {
        match place {
            Place::Slot(index) => {
                self.ring.release(index);
                self.slots_out.back_here();
            }
            Place::Buffer(index) => {
                free.give_back(&self.pool, index);
                self.buffers_out.back_here();
            }
        }
    }

    /// Takes a place back on behalf of another queue, on whichever thread.
    ///
    /// # Safety
    /// The place is out, so that `home` is alive, and the caller gives it up.
    pub(super) unsafe fn give_back_from_elsewhere(home: NonNull<Self>, place: Place) {
        // SAFETY: the home is alive as long as the place is counted out, which ends with the
        // last line of each arm. No reference to the whole home is kept beyond that.
        unsafe {
            match place {
                Place::Slot(index) => {
                    home.as_ref().ring.release(index);
                    (*home.as_ptr()).slots_out.away.fetch_add(1, Ordering::Release);
                }
                Place::Buffer(index) => {
                    home.as_ref().pool.give_back_from_elsewhere(index);
                    (*home.as_ptr()).buffers_out.away.fetch_add(1, Ordering::Release);
                }
            }
        }
    }

    /// The books of the slots and of the buffers.
    pub(super) fn balances(&self, name: &str) -> [PoolBalance; 2] {
        let balance =
            |what, size, out| PoolBalance { name: format!("{name} {what}"), size, free: size - out };
        [
            balance("rx slots", self.ring.slots() as usize, self.slots_out.count()),
            balance("buffers", self.pool.buffers(), self.buffers_out.count()),
        ]
    }
}

/// How many of something are out: lent by one queue, given back by any.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    /// Lent, less what came back by the owner; written by the owner only, so without a
    /// locked instruction. Wraps below zero when what one lent the other brings back.
    here: AtomicUsize,
    /// Came back by other queues.
    away: AtomicUsize,
}

impl Outstanding {
    /// Counts one out. For the owner.
    #[inline]
    pub(super) fn lent(&self) {
        self.here.store(self.here.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Counts one back. For the owner.
    #[inline]
    fn back_here(&self) {
        self.here.store(self.here.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Release);
    }

    /// How many are out. Exact where the owner has stopped lending.
    pub(super) fn count(&self) -> usize {
        let away = self.away.load(Ordering::Acquire);
        self.here.load(Ordering::Acquire).wrapping_sub(away)
    }
}

/// The hold that a queue has on its home.
#[derive(Debug)]
pub(super) struct HomeOwner(Arc<Home>);

impl HomeOwner {
    /// The one owner of `home`, who lends its places.
    pub(super) fn new(home: Arc<Home>) -> Self {
        Self(home)
    }

    /// What packets point to.
    #[inline]
    pub(super) fn pointer(&self) -> NonNull<Home> {
        // SAFETY: an Arc's value is at no null address.
        unsafe { NonNull::new_unchecked(Arc::as_ptr(&self.0).cast_mut()) }
    }

    /// How many packets point to the home.
    pub(super) fn packets_out(&self) -> usize {
        self.0.slots_out.count() + self.0.buffers_out.count()
    }
}

impl std::ops::Deref for HomeOwner {
    type Target = Home;

    #[inline]
    fn deref(&self) -> &Home {
        &self.0
    }
}

impl Drop for HomeOwner {
    /// Nothing more is lent from here on, so a count of zero stays zero.
    fn drop(&mut self) {
        if self.packets_out() != 0 {
            std::mem::forget(Arc::clone(&self.0));
        }
    }
}
