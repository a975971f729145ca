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

/// Takes note out that the driver mended the device, and that it found more to mend before. Whether it did.
pub(super) fn take_recovered(port: u16) -> bool {
    let recovered = Event::Recovered as u32;
    let bits = recovered | Event::Recovering as u32;
    let take = |noted: u32| (noted & recovered != 0).then_some(noted & !bits);
    NOTED.get(usize::from(port)).is_some_and(|noted| noted.fetch_update(Relaxed, Relaxed, take).is_ok())
}

/// Forgets what was told of a device.
pub(super) fn forget(port: u16) {
    if let Some(noted) = NOTED.get(usize::from(port)) {
        noted.store(0, Relaxed);
    }
}

fn note(port: u16, event: Event) {
    // How an earlier recovery ended is no news of this one.
    let outdated = match event {
        Event::Recovering => Event::Recovered as u32 | Event::RecoveryFailed as u32,
        _ => 0,
    };
    if let Some(noted) = NOTED.get(usize::from(port)) {
        let _ = noted.fetch_update(Relaxed, Relaxed, |noted| Some(noted & !outdated | event as u32));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of no device. Each test has its own.
    const PORTS: [u16; 3] = [29, 30, 31];

    #[test]
    fn a_recovery_that_begins_again_has_not_ended() {
        let [port, ..] = PORTS;
        for event in [Event::Recovering, Event::Recovered, Event::RecoveryFailed, Event::Recovering] {
            note(port, event);
        }
        assert!(!take_recovered(port) && !take(port, Event::RecoveryFailed));
        assert!(take(port, Event::Recovering));
    }

    #[test]
    fn a_recovery_ends_all_that_began_before_it_and_nothing_else() {
        let [_, port, _] = PORTS;
        for event in [Event::Recovering, Event::Reset, Event::Recovering, Event::Recovered] {
            note(port, event);
        }
        assert!(take_recovered(port) && !take_recovered(port));
        assert!(!take(port, Event::Recovering) && take(port, Event::Reset) && !take(port, Event::Reset));
    }

    #[test]
    fn what_is_forgotten_was_not_told() {
        let [.., port] = PORTS;
        note(port, Event::Removed);
        forget(port);
        note(port, Event::Reset);
        assert!(!take(port, Event::Removed) && take(port, Event::Reset));
    }
}
