//! A port's mempool of mbufs.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use dpdk_sys as sys;

use super::device::DpdkError;
use super::packed::Shape;
use super::{c_string, error_text, last_error, ledger, packed};
use crate::port::PoolBalance;

/// Link header and two VLAN tags, in bytes: what a frame has around its IP packet.
pub(super) const FRAME_OVERHEAD: usize = 14 + 8;
const DPDK_HEADROOM: usize = sys::RTE_PKTMBUF_HEADROOM as usize;
/// The longest MTU in bytes whose frame fits an mbuf, the buffer length having 16 bits.
pub(super) const MAX_MTU: u16 = u16::MAX - (DPDK_HEADROOM + FRAME_OVERHEAD) as u16;
/// DPDK's "any NUMA node".
const SOCKET_ID_ANY: i32 = -1;

/// What a pool has to have buffers for, all at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) queues: usize,
    pub(super) rx_descriptors: u16,
    pub(super) tx_descriptors: u16,
    /// Packets that a burst moves at most.
    pub(super) burst: usize,
    /// Packets that the host holds per queue, beyond its bursts.
    pub(super) held: usize,
    /// Lcores of the EAL. Each may keep mbufs of every pool in a cache of its own.
    pub(super) lcores: usize,
    /// The longest IP packet in bytes.
    pub(super) mtu: u16,
    /// The shortest receive buffer that the device takes, in bytes.
    pub(super) min_rx_buffer: usize,
}

impl Needs {
    /// Mbufs in all: per queue its two rings filled, one burst just received, one waiting
    /// to be sent, and what the host holds; and every lcore's cache filled to the brim,
    /// which is one and a half times its size (mbufs in the cache of another lcore can't be
    /// had).
    ///
    /// Frames that are forwarded to another port take places in its rings and none in ours,
    /// so the sum holds between ports with rings of like sizes.
    fn buffers(&self) -> usize {
        let rings = usize::from(self.rx_descriptors) + usize::from(self.tx_descriptors);
        let caches = self.lcores * self.cache() * 3 / 2;
        self.queues * (rings + 2 * self.burst + self.held) + caches
    }

    /// Size of an lcore's cache: a few whole bursts, so that most of them don't reach the shared
    /// ring; as much as DPDK allows where that is less than a burst.
    fn cache(&self) -> usize {
        let (burst, most) = (self.burst.max(1), sys::RTE_MEMPOOL_CACHE_MAX_SIZE as usize);
        let bursts = 32_usize.div_ceil(burst).max(4).min(most / burst);
        if bursts == 0 { most } else { bursts * burst }
    }

    /// Bytes of an mbuf's data buffer: DPDK's headroom and the longest frame, in whole KiB,
    /// since devices cut their buffers down to such.
    fn data_room(&self) -> u16 {
        let frame = (usize::from(self.mtu) + FRAME_OVERHEAD).max(self.min_rx_buffer).max(2048);
        let room = DPDK_HEADROOM + frame.next_multiple_of(1024);
        u16::try_from(room).unwrap_or(u16::MAX)
    }
}

/// A mempool of mbufs. It is not freed on drop: see [`release`](Self::release).
#[derive(Debug)]
pub(super) struct Pool {
    pool: NonNull<sys::rte_mempool>,
    name: String,
    size: usize,
    data_room: u16,
}

// SAFETY: mempools are made for several producers and consumers (ring_mp_mc).
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// `rte_pktmbuf_pool_create` for the device of that name, on its NUMA node, or where
    /// there is memory if that node has none.
    ///
    /// # Errors
    /// [`DpdkError::Pool`] if there is not enough memory.
    pub(super) fn create(device: &str, node: Option<u32>, needs: &Needs) -> Result<Self, DpdkError> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let unique = c_string(&format!("gannet_{}", SERIAL.fetch_add(1, Relaxed)))?;
        let (size, cache, data_room) = (needs.buffers(), needs.cache(), needs.data_room());
        let create = |node: i32| {
            let shape = Shape { name: &unique, size: size as u32, cache: cache as u32, data_room, node };
            if let Some(pool) = packed::create(&shape) {
                return Some(pool);
            }
            // SAFETY: the name is zero-terminated and copied.
            let pool = unsafe {
                sys::rte_pktmbuf_pool_create(unique.as_ptr(), size as u32, cache as u32, 0, data_room, node)
            };
            NonNull::new(pool)
        };
        let node = node.map_or(SOCKET_ID_ANY, u32::cast_signed);
        let Some(pool) = create(node).or_else(|| create(SOCKET_ID_ANY)) else {
            let mebibytes =
                (size * (usize::from(data_room) + size_of::<sys::rte_mbuf>() + 64)).div_ceil(1 << 20);
            return Err(DpdkError::Pool {
                device: device.to_owned(),
                buffers: size,
                mebibytes,
                reason: error_text(last_error()),
            });
        };
        let pool = Self { pool, name: device.to_owned(), size, data_room };
        ledger::open(&pool);
        Ok(pool)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rte_mempool {
        self.pool.as_ptr()
    }

    /// The name of the device that it was made for.
    #[cfg(debug_assertions)]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Buffers in all.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The longest frame in bytes that one of its mbufs holds.
    pub(super) fn frame_room(&self) -> usize {
        usize::from(self.data_room) - DPDK_HEADROOM
    }

    /// How many buffers are back, in the ring and in the lcores' caches.
    fn balance(&self) -> PoolBalance {
        // SAFETY: a live pool.
        let free = unsafe { sys::rte_mempool_avail_count(self.as_ptr()) } as usize;
        PoolBalance { name: self.name.clone(), size: self.size, free }
    }

    /// Measures the pool and frees it if every buffer is back. One with a buffer abroad is
    /// left alone for good, since whoever has that buffer may yet use it.
    ///
    /// # Safety
    /// No queue will use the pool after this.
    pub(super) unsafe fn release(self) -> PoolBalance {
        let balance = self.balance();
        if balance.is_balanced() {
            ledger::close(&self);
            // SAFETY: nobody has a buffer of it, and the caller says that nobody will ask for one.
            unsafe { sys::rte_mempool_free(self.as_ptr()) };
        } else {
            tracing::error!(
                pool = self.name,
                size = balance.size,
                free = balance.free,
                "buffers are missing"
            );
        }
        balance
    }

    /// The addresses of all its mbufs.
    #[cfg(debug_assertions)]
    pub(super) fn mbuf_addresses(&self) -> Vec<usize> {
        unsafe extern "C" fn note(
            _pool: *mut sys::rte_mempool,
            addresses: *mut std::ffi::c_void,
            mbuf: *mut std::ffi::c_void,
            _index: u32,
        ) {
            // SAFETY: the vector that is passed below, which nobody else uses meanwhile.
            unsafe { &mut *addresses.cast::<Vec<usize>>() }.push(mbuf.addr());
        }
        let mut addresses: Vec<usize> = Vec::with_capacity(self.size);
        // SAFETY: a live pool; the callback gets the vector that outlives the call.
        unsafe { sys::rte_mempool_obj_iter(self.as_ptr(), Some(note), (&raw mut addresses).cast()) };
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs {
        queues: 2,
        rx_descriptors: 1024,
        tx_descriptors: 512,
        burst: 32,
        held: 256,
        lcores: 3,
        mtu: 1500,
        min_rx_buffer: 0,
    };

    #[test]
    fn a_pool_fills_rings_bursts_and_caches_at_once() {
        let cache = |burst| Needs { burst, ..NEEDS }.cache();
        assert_eq!([0, 1, 5, 32, 200, 512, 513].map(cache), [32, 32, 35, 128, 400, 512, 512]);
        assert_eq!(NEEDS.buffers(), 2 * (1024 + 512 + 64 + 256) + 3 * 192);
    }

    #[test]
    fn a_buffer_holds_the_longest_frame() {
        assert_eq!(NEEDS.data_room(), 128 + 2048);
        assert_eq!(Needs { mtu: 9000, ..NEEDS }.data_room(), 128 + 9216);
        let longest = Needs { mtu: MAX_MTU, ..NEEDS };
        assert!(usize::from(longest.data_room()) >= DPDK_HEADROOM + usize::from(MAX_MTU) + FRAME_OVERHEAD);
    }
}
