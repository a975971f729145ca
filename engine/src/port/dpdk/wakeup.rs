//! A queue's RX interrupt: a descriptor that is readable when a frame came, on devices that
//! have one.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use dpdk_sys as sys;

/// The interrupt of a started device's receive queue, which an epoll instance of its own tells of.
///
/// DPDK knows how each kind of interrupt is read, so it is told of the instance
/// (`rte_eth_dev_rx_intr_ctl_q`) and reads it (`rte_epoll_wait`). Waiting for the instance itself
/// is anybody's.
pub(super) struct RxInterrupt {
    port: u16,
    queue: u16,
    epoll: OwnedFd,
    /// It has to be switched on before a wait, and off after it.
    has_switch: bool,
    /// The device knows of the instance.
    is_attached: bool,
}

impl RxInterrupt {
    /// The interrupt of a queue of a device that was configured to have them; `None` if the
    /// driver has none for it. `is_file` is for drivers that wait on a file of the kernel's,
    /// which tells of frames without being switched on (net_tap).
    pub(super) fn of(port: u16, queue: u16, is_file: bool) -> Option<Self> {
        let epoll = open_epoll().ok()?;
        // Drivers without interrupts are the rule, and no error that the user should read of.
        let _quiet = QuietLog::begin();
        let mut interrupt = Self { port, queue, epoll, has_switch: true, is_attached: false };
        interrupt.attach();
        if !interrupt.is_attached {
            return None;
        }
        match interrupt.switch(true) {
            0 => interrupt.disarm(),
            error if is_file && error == -libc::ENOTSUP => interrupt.has_switch = false,
            _ => return None,
        }
        Some(interrupt)
    }

    /// Tells a device that was started of the instance. Where that fails, no frame is told of, and the
    /// worker looks for them from time to time.
    pub(super) fn attach(&mut self) {
        self.is_attached = self.control(sys::RTE_INTR_EVENT_ADD as i32) == 0;
    }

    /// Has the device forget the instance.
    pub(super) fn detach(&mut self) {
        if std::mem::take(&mut self.is_attached) {
            self.control(sys::RTE_INTR_EVENT_DEL as i32);
        }
    }

    fn control(&self, operation: i32) -> i32 {
        let (port, queue, epoll) = (self.port, self.queue, self.epoll.as_raw_fd());
        // SAFETY: an epoll instance that is open, and no data to be given back.
        unsafe { sys::rte_eth_dev_rx_intr_ctl_q(port, queue, epoll, operation, ptr::null_mut()) }
    }

    /// What is readable when a frame came.
    pub(super) fn descriptor(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Switches it on. `false` if that failed, or a frame is there already.
    pub(super) fn arm(&self) -> bool {
        if self.has_switch && self.switch(true) != 0 {
            return false;
        }
        // SAFETY: a queue of a started device, which is ours. Negative where the driver can't say.
        unsafe { sys::shim_rte_eth_rx_queue_count(self.port, self.queue) <= 0 }
    }

    /// Switches it off and takes note of it, so that it is not readable any more.
    pub(super) fn disarm(&self) {
        if self.has_switch {
            self.switch(false);
        }
        let mut event = sys::rte_epoll_event::default();
        // SAFETY: room for one event, and no time to wait.
        unsafe { sys::rte_epoll_wait(self.epoll.as_raw_fd(), &raw mut event, 1, 0) };
    }

    /// Gives 0, or the negative error number.
    fn switch(&self, on: bool) -> i32 {
        // SAFETY: a queue of a started device.
        unsafe {
            if on {
                sys::rte_eth_dev_rx_intr_enable(self.port, self.queue)
            } else {
                sys::rte_eth_dev_rx_intr_disable(self.port, self.queue)
            }
        }
    }
}

impl Drop for RxInterrupt {
    /// The driver must not keep an instance that is closed.
    fn drop(&mut self) {
        self.detach();
    }
}

fn open_epoll() -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointers; what it returns is checked below.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened just now and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// As long as it lives, DPDK's device library logs nothing.
struct QuietLog {
    log: u32,
    level: u32,
}

impl QuietLog {
    fn begin() -> Option<Self> {
        // SAFETY: a zero-terminated name; that of a log that is there gives its number.
        let log = u32::try_from(unsafe { sys::rte_log_register(c"lib.ethdev".as_ptr()) }).ok()?;
        // SAFETY: no preconditions.
        let level = u32::try_from(unsafe { sys::rte_log_get_level(log) }).ok()?;
        // SAFETY: no preconditions.
        unsafe { sys::rte_log_set_level(log, sys::RTE_LOG_EMERG) };
        Some(Self { log, level })
    }
}

impl Drop for QuietLog {
    fn drop(&mut self) {
        // SAFETY: no preconditions.
        unsafe { sys::rte_log_set_level(self.log, self.level) };
    }
}
