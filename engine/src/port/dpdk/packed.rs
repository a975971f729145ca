//! A pool of mbufs that lie side by side, where there are no hugepages.
//!
//! On pages of 4 KiB DPDK lets no mbuf cross a page (`rte_mempool_populate_default`), so each
//! has a page to itself and they all begin at the same place of it. Their first cache lines then
//! share one of the first-level cache's 64 sets: a burst does not fit its 12 places, and every
//! touch is a miss. Without hugepages memory is one piece for devices too (its IO addresses are
//! virtual ones), so mbufs may cross pages and are packed as on hugepages.

use std::ffi::{CStr, c_void};
use std::ptr::{self, NonNull};

use dpdk_sys as sys;

/// Several producers and several consumers, as `rte_pktmbuf_pool_create` chooses where no
/// hardware keeps the free buffers.
const OPERATIONS: &CStr = c"ring_mp_mc";
/// Bytes behind a pool's header, for `rte_pktmbuf_pool_private` (two 16-bit words and flags).
const PRIVATE_LEN: u32 = 64;

/// What a pool is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    pub(super) name: &'a CStr,
    pub(super) size: u32,
    pub(super) cache: u32,
    pub(super) data_room: u16,
    pub(super) node: i32,
}

/// As `rte_pktmbuf_pool_create`, the mbufs side by side; `None` where that is not possible or
/// not needed.
pub(super) fn create(shape: &Shape<'_>) -> Option<NonNull<sys::rte_mempool>> {
    // SAFETY: the EAL runs.
    if unsafe { sys::rte_eal_has_hugepages() } != 0 {
        return None;
    }
    let element = size_of::<sys::rte_mbuf>() as u32 + u32::from(shape.data_room);
    // SAFETY: the name is zero-terminated and copied.
    let pool = NonNull::new(unsafe {
        sys::rte_mempool_create_empty(
            shape.name.as_ptr(),
            shape.size,
            element,
            shape.cache,
            PRIVATE_LEN,
            shape.node,
            sys::RTE_MEMPOOL_F_NO_IOVA_CONTIG,
        )
    })?;
    // SAFETY: a fresh pool that nobody else knows.
    if unsafe { prepare(pool) && populate(pool, element, shape) } {
        return Some(pool);
    }
    // SAFETY: as above; nobody has a buffer of it.
    unsafe { sys::rte_mempool_free(pool.as_ptr()) };
    None
}

/// Gives the pool its ring of free mbufs and says what an mbuf is.
///
/// # Safety
/// The pool is empty and nobody else's.
unsafe fn prepare(pool: NonNull<sys::rte_mempool>) -> bool {
    // SAFETY: an empty pool with room for what `rte_pktmbuf_pool_init` notes there, which it
    // makes of the length of the elements.
    unsafe {
        let is_set =
            sys::rte_mempool_set_ops_byname(pool.as_ptr(), OPERATIONS.as_ptr(), ptr::null_mut()) == 0;
        if is_set {
            sys::rte_pktmbuf_pool_init(pool.as_ptr(), ptr::null_mut());
        }
        is_set
    }
}

/// Fills the pool with mbufs from one piece of memory.
///
/// # Safety
/// The pool is empty, prepared and nobody else's.
unsafe fn populate(pool: NonNull<sys::rte_mempool>, element: u32, shape: &Shape<'_>) -> bool {
    // SAFETY: asks for numbers only.
    let each = unsafe { sys::rte_mempool_calc_obj_size(element, 0, ptr::null_mut()) } as usize;
    let len = (shape.size as usize + 1) * each;
    // SAFETY: the name is zero-terminated and copied.
    let zone = unsafe { sys::rte_memzone_reserve(shape.name.as_ptr(), len, shape.node, 0) };
    let Some(zone) = NonNull::new(zone.cast_mut()) else { return false };
    // SAFETY: a live zone that is ours; it is freed with the pool, or here. Its memory is one
    // piece for devices if its IO address is its address.
    unsafe {
        let (address, io_address) = (zone.read().__bindgen_anon_1.addr, zone.read().iova);
        let is_virtual = io_address == address.addr() as u64;
        let fill = || {
            let opaque = zone.as_ptr().cast();
            sys::rte_mempool_populate_iova(
                pool.as_ptr(),
                address.cast(),
                io_address,
                len,
                Some(free_zone),
                opaque,
            )
        };
        let filled = if is_virtual { fill() } else { 0 };
        if filled <= 0 {
            sys::rte_memzone_free(zone.as_ptr());
            return false;
        }
        sys::rte_mempool_obj_iter(pool.as_ptr(), Some(sys::rte_pktmbuf_init), ptr::null_mut());
        filled.cast_unsigned() == shape.size
    }
}

/// Frees a pool's memory, when DPDK frees the pool.
unsafe extern "C" fn free_zone(_memory: *mut sys::rte_mempool_memhdr, zone: *mut c_void) {
    // SAFETY: the zone that `populate` handed over, once.
    unsafe { sys::rte_memzone_free(zone.cast()) };
}
