//! Two ports of shared memory, joined crosswise: what one sends the other receives.
//!
//! The lab without a NIC: nothing is left but our own cost. An mbuf goes through as it is,
//! its flags included.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use dpdk_sys as sys;

use super::device::{DeviceId, DpdkError};
use super::eal::Eal;
use super::{c_string, error_text, last_error, registry};

/// Makes two devices (`rte_eth_from_rings`) of one queue each, with a ring of room for
/// `frames` frames in each direction. [Open](super::open) both: their rings are emptied and
/// freed when the last port of the process closes.
///
/// # Errors
/// [`DpdkError::Call`] if there is no memory for the rings.
pub fn crosswise_rings(eal: &Eal, frames: usize) -> Result<(DeviceId, DeviceId), DpdkError> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let pair = SERIAL.fetch_add(1, Relaxed);
    let there = Ring::create(&format!("gannet_there{pair}"), frames)?;
    let back = match Ring::create(&format!("gannet_back{pair}"), frames) {
        Ok(ring) => ring,
        Err(error) => {
            // SAFETY: nobody has it.
            unsafe { there.release() };
            return Err(error);
        }
    };
    let left = device(eal, &format!("{}", 2 * pair), &back, &there);
    let right = device(eal, &format!("{}", 2 * pair + 1), &there, &back);
    registry::keep_ring(there);
    registry::keep_ring(back);
    Ok((left?, right?))
}

fn device(eal: &Eal, name: &str, receive: &Ring, send: &Ring) -> Result<DeviceId, DpdkError> {
    let c_name = c_string(name)?;
    // SAFETY: arrays of one live ring each, copied by the call; no preconditions otherwise.
    let port = unsafe {
        let (mut receive, mut send) = (receive.0.as_ptr(), send.0.as_ptr());
        sys::rte_eth_from_rings(c_name.as_ptr(), &raw mut receive, 1, &raw mut send, 1, sys::rte_socket_id())
    };
    if port < 0 {
        return Err(failure(&format!("net_ring_{name}"), "rte_eth_from_rings"));
    }
    // The driver puts its own name in front.
    eal.device(&format!("net_ring_{name}"))
}

/// A ring of mbufs between two devices.
pub(super) struct Ring(NonNull<sys::rte_ring>);

// SAFETY: it is only used for `release`, by one thread.
unsafe impl Send for Ring {}

impl Ring {
    fn create(name: &str, frames: usize) -> Result<Self, DpdkError> {
        let c_name = c_string(name)?;
        let count = u32::try_from(frames).unwrap_or(u32::MAX);
        // One queue sends and one receives.
        let flags = sys::RING_F_SP_ENQ | sys::RING_F_SC_DEQ | sys::RING_F_EXACT_SZ;
        // SAFETY: the name is zero-terminated and copied.
        let ring = unsafe {
            sys::rte_ring_create(c_name.as_ptr(), count, sys::rte_socket_id().cast_signed(), flags)
        };
        NonNull::new(ring).map(Self).ok_or_else(|| failure(name, "rte_ring_create"))
    }

    /// Gives the mbufs inside back to their pools and frees the ring.
    ///
    /// # Safety
    /// No open device uses it.
    pub(super) unsafe fn release(self) {
        let mut mbuf = ptr::null_mut();
        // SAFETY: a live ring that nobody else uses; the mbufs in it are the ring's alone.
        unsafe {
            while sys::shim_rte_ring_dequeue(self.0.as_ptr(), &raw mut mbuf) == 0 {
                sys::shim_rte_pktmbuf_free(mbuf.cast());
            }
            sys::rte_ring_free(self.0.as_ptr());
        }
    }
}

fn failure(device: &str, call: &'static str) -> DpdkError {
    DpdkError::Call {
        device: device.to_owned(),
        call,
        reason: error_text(last_error()),
        way_out: "give the EAL more memory (-m), or ask for shorter rings",
    }
}
