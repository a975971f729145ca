//! Buffers for packets that are originated, or held longer than a slot may be.
//!
//! The queue that owns the pool keeps the free buffers in a list of its own, which no
//! other thread sees. A buffer that comes back by another queue is pushed onto a stack
//! that is shared, from which the owner takes all at once when its list is empty: with no
//! single pops there is no ABA problem, and nobody waits.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::mapping::Mapping;

/// End of the stack.
const NONE: u32 = u32::MAX;

/// The buffers themselves, and those that came back by another queue.
#[derive(Debug)]
pub(super) struct Pool {
    mapping: Mapping,
    buffer_size: usize,
    returned: AtomicU32,
    /// Per buffer: what lies under it in the stack.
    below: Box<[AtomicU32]>,
    /// Per buffer: whether it is out. Empty in release builds.
    out: Box<[AtomicBool]>,
}

/// The free buffers, as the pool's owner knows them.
#[derive(Debug)]
pub(super) struct FreeList(Vec<u32>);

impl Pool {
    /// `count` buffers of `buffer_size` bytes, with the list of them.
    pub(super) fn new(count: usize, buffer_size: usize) -> io::Result<(Self, FreeList)> {
        let too_many = || io::Error::from_raw_os_error(libc::ENOMEM);
        let len = count.checked_mul(buffer_size).ok_or_else(too_many)?;
        let end = u32::try_from(count).ok().filter(|&end| end < NONE).ok_or_else(too_many)?;
        let ledger = if cfg!(debug_assertions) { count } else { 0 };
        let pool = Self {
            mapping: Mapping::anonymous(len)?,
            buffer_size,
            returned: AtomicU32::new(NONE),
            below: (0..count).map(|_| AtomicU32::new(NONE)).collect(),
            out: (0..ledger).map(|_| AtomicBool::new(false)).collect(),
        };
        Ok((pool, FreeList((0..end).rev().collect())))
    }

    /// How many buffers there are.
    pub(super) fn buffers(&self) -> usize {
        self.below.len()
    }

    /// Bytes of a buffer.
    #[inline]
    pub(super) fn buffer_size(&self) -> usize {
        self.buffer_size
    }

    /// The first byte of buffer `index`.
    #[inline]
    pub(super) fn buffer(&self, index: u32) -> NonNull<u8> {
        debug_assert!((index as usize) < self.buffers(), "buffer {index} of {}", self.buffers());
        // SAFETY: the mapping holds that many buffers.
        unsafe { self.mapping.start().add(index as usize * self.buffer_size) }
    }

    /// Takes a buffer back on behalf of a queue that does not own the pool. Any thread may.
    ///
    /// # Panics
    /// In debug builds, if the buffer is not out.
    pub(super) fn give_back_from_elsewhere(&self, index: u32) {
        self.mark_home(index);
        let below = &self.below[index as usize];
        let mut top = self.returned.load(Ordering::Relaxed);
        loop {
            below.store(top, Ordering::Relaxed);
            match self.returned.compare_exchange_weak(top, index, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// # Panics
    /// In debug builds, if the buffer is not out.
    #[inline]
    pub(super) fn assert_out(&self, index: u32) {
        if cfg!(debug_assertions) {
            let is_out = self.out[index as usize].load(Ordering::Relaxed);
            assert!(is_out, "buffer {index} was sent, but it is not held");
        }
    }

    #[inline]
    fn mark_out(&self, index: u32) {
        if cfg!(debug_assertions) {
            let was_out = self.out[index as usize].swap(true, Ordering::Relaxed);
            assert!(!was_out, "buffer {index} was lent twice");
        }
    }

    #[inline]
    fn mark_home(&self, index: u32) {
        if cfg!(debug_assertions) {
            let was_out = self.out[index as usize].swap(false, Ordering::Relaxed);
            assert!(was_out, "buffer {index} was released, but it is not held");
        }
    }
}

impl FreeList {
    /// Takes a free buffer of `pool`, the one that this list came with.
    #[inline]
    pub(super) fn take(&mut self, pool: &Pool) -> Option<u32> {
        if self.0.is_empty() {
            self.collect_returned(pool);
        }
        let index = self.0.pop()?;
        pool.mark_out(index);
        Some(index)
    }

    /// Gives a buffer of `pool` back.
    ///
    /// # Panics
    /// In debug builds, if the buffer is not out.
    #[inline]
    pub(super) fn give_back(&mut self, pool: &Pool, index: u32) {
        pool.mark_home(index);
        self.0.push(index);
    }

    #[cold]
    fn collect_returned(&mut self, pool: &Pool) {
        // Pairs with the pushes: what lies below each buffer is seen as it was written.
        let mut top = pool.returned.swap(NONE, Ordering::Acquire);
        while top != NONE {
            self.0.push(top);
            top = pool.below[top as usize].load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn every_buffer_is_lent_once_and_comes_back_either_way() {
        let (pool, mut free) = Pool::new(4, 2048).expect("memory");
        for _ in 0..3 {
            let mut lent: Vec<_> = std::iter::from_fn(|| free.take(&pool)).collect();
            lent.sort_unstable();
            assert_eq!(lent, [0, 1, 2, 3]);
            free.give_back(&pool, 2);
            for index in [1, 3, 0] {
                pool.give_back_from_elsewhere(index);
            }
        }
    }

    #[test]
    fn buffers_do_not_overlap() {
        let (pool, _free) = Pool::new(3, 4096).expect("memory");
        let [a, b, c] = [0, 1, 2].map(|index| pool.buffer(index).addr().get());
        assert_eq!((b - a, c - b), (4096, 4096));
        assert!(c + 4096 - a <= pool.mapping.len());
    }

    #[test]
    fn another_thread_gives_back_while_the_owner_takes() {
        const ROUNDS: usize = 20_000;
        let (pool, mut free) = Pool::new(8, 64).expect("memory");
        let (to_other, lent) = mpsc::channel::<u32>();
        thread::scope(|scope| {
            let pool = &pool;
            scope.spawn(move || lent.iter().for_each(|index| pool.give_back_from_elsewhere(index)));
            let mut taken = 0;
            while taken < ROUNDS {
                match free.take(pool) {
                    Some(index) => {
                        taken += 1;
                        if taken % 3 == 0 {
                            free.give_back(pool, index);
                        } else {
                            to_other.send(index).expect("listening");
                        }
                    }
                    None => thread::yield_now(),
                }
            }
            drop(to_other);
        });
        assert_eq!(std::iter::from_fn(|| free.take(&pool)).count(), 8);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "buffer 0 was released, but it is not held")]
    fn a_second_release_is_noticed() {
        let (pool, mut free) = Pool::new(2, 64).expect("memory");
        let index = free.take(&pool).expect("one");
        free.give_back(&pool, index);
        pool.give_back_from_elsewhere(index);
    }

    #[test]
    fn absurd_sizes_are_an_error() {
        assert!(Pool::new(usize::MAX, 2).is_err());
        assert!(Pool::new(u32::MAX as usize, 1 << 20).is_err());
    }
}
