//! Stopping: SIGINT and SIGTERM, and the flag that workers look at.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A flag that tells workers to stop. Clones share it; it stays set.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Sets it.
    pub fn set(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// SIGINT and SIGTERM, blocked so that they can be waited for.
pub struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks both in the calling thread and in those that it starts from now on. Call it
    /// before any other thread exists.
    ///
    /// # Errors
    /// The kernel's.
    pub fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set that the other calls use.
        let (status, set) = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            (libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()), set.assume_init())
        };
        if status == 0 { Ok(Self(set)) } else { Err(io::Error::from_raw_os_error(status)) }
    }

    /// Waits for one of them, at most `timeout`. Gives its name.
    pub fn wait(&self, timeout: Duration) -> Option<&'static str> {
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: the set and the time are initialised; no information is asked for.
        match unsafe { libc::sigtimedwait(&self.0, ptr::null_mut(), &timeout) } {
            libc::SIGINT => Some("SIGINT"),
            libc::SIGTERM => Some("SIGTERM"),
            _ => None,
        }
    }
}
