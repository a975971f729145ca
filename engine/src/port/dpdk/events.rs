//! What drivers tell of their devices, on a thread of DPDK's: noted here, and acted on by the control plane.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use dpdk_sys as sys;

use super::device::DeviceId;

/// Devices have their place by their port number, so that a callback needs no pointer of ours.
static NOTED: [AtomicU32; sys::RTE_MAX_ETHPORTS as usize] =
    [const { AtomicU32::new(0) }; sys::RTE_MAX_ETHPORTS as usize];

/// Something that a driver tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Event {
    /// It has to be reset (`RTE_ETH_EVENT_INTR_RESET`).
    Reset = 1,
    /// It is gone, or about to go (`RTE_ETH_EVENT_INTR_RMV`, `RTE_DEV_EVENT_REMOVE`).
    Removed = 2,
    /// The driver mends it (`RTE_ETH_EVENT_ERR_RECOVERING`).
    Recovering = 4,
    /// It did (`RTE_ETH_EVENT_RECOVERY_SUCCESS`).
    Recovered = 8,
    /// It could not (`RTE_ETH_EVENT_RECOVERY_FAILED`).
    RecoveryFailed = 16,
}

const KINDS: [(sys::rte_eth_event_type, Event); 5] = [
    (sys::RTE_ETH_EVENT_INTR_RESET, Event::Reset),
    (sys::RTE_ETH_EVENT_INTR_RMV, Event::Removed),
    (sys::RTE_ETH_EVENT_ERR_RECOVERING, Event::Recovering),
    (sys::RTE_ETH_EVENT_RECOVERY_SUCCESS, Event::Recovered),
    (sys::RTE_ETH_EVENT_RECOVERY_FAILED, Event::RecoveryFailed),
];

/// Has events of a device noted. To say so twice does no harm.
pub(super) fn listen(port: u16) {
    static ONCE: Once = Once::new();
    for (kind, _) in KINDS {
        // SAFETY: a function that lives for ever, and takes no pointer of ours.
        let error = unsafe { sys::rte_eth_dev_callback_register(port, kind, Some(told), ptr::null_mut()) };
        if error != 0 {
            tracing::warn!("port {port}: events of kind {kind} are not heard: {}", super::error_text(error));
        }
    }
    // Of devices on buses: vfio tells when the kernel wants a card back.
    // SAFETY: as above; no name means all devices.
    ONCE.call_once(|| unsafe {
        sys::rte_dev_event_callback_register(ptr::null(), Some(told_of_bus), ptr::null_mut());
    });
}

/// Takes note of an event out again. Whether it was there.
pub(super) fn take(port: u16, event: Event) -> bool {
    let bit = event as u32;
    NOTED.get(usize::from(port)).is_some_and(|noted| noted.fetch_and(!bit, Relaxed) & bit != 0)
}

/// Forgets what was told of a device.
pub(super) fn forget(port: u16) {
    if let Some(noted) = NOTED.get(usize::from(port)) {
        noted.store(0, Relaxed);
    }
}

fn note(port: u16, event: Event) {
    if let Some(noted) = NOTED.get(usize::from(port)) {
        noted.fetch_or(event as u32, Relaxed);
    }
}

unsafe extern "C" fn told(
    port: u16,
    kind: sys::rte_eth_event_type,
    _argument: *mut c_void,
    _answer: *mut c_void,
) -> c_int {
    if let Some((_, event)) = KINDS.iter().find(|(known, _)| *known == kind) {
        note(port, *event);
    }
    0
}

unsafe extern "C" fn told_of_bus(name: *const c_char, kind: sys::rte_dev_event_type, _argument: *mut c_void) {
    if kind != sys::RTE_DEV_EVENT_REMOVE || name.is_null() {
        return;
    }
    // SAFETY: DPDK passes a zero-terminated name.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    if let Ok(Some(device)) = DeviceId::by_name(&name) {
        note(device.port(), Event::Removed);
    }
}
