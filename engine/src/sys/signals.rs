//! Stopping: SIGINT and SIGTERM, and the flag that workers look at.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::Wakeup;

/// A flag that tells workers to stop. Clones share it; it stays set.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<Stop>);

#[derive(Debug)]
struct Stop {
    is_set: AtomicBool,
    /// Wakes workers that wait. Without a descriptor for it they find the flag when they wake.
    wakeup: Option<Wakeup>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { is_set: AtomicBool::new(false), wakeup: Wakeup::new().ok() }
    }
}

impl StopFlag {
    /// Sets it, and wakes those that wait for it.
    pub fn set(&self) {
        self.0.is_set.store(true, Relaxed);
        self.0.wakeup.iter().for_each(Wakeup::wake);
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.is_set.load(Relaxed)
    }

    /// A descriptor that is readable from when it is set on, as long as a clone of it lives.
    pub fn wait_fd(&self) -> Option<RawFd> {
        self.0.wakeup.as_ref().map(Wakeup::as_raw_fd)
    }
}

const CAUGHT: [libc::c_int; 2] = [libc::SIGINT, libc::SIGTERM];

/// The signal that came, or 0. One per process, as signals are.
static CAME: AtomicI32 = AtomicI32::new(0);

/// SIGINT and SIGTERM, caught in whichever thread they are delivered. The second one of a
/// kind ends the process, for whom a clean stop takes too long. On drop they are as before.
pub struct Signals([libc::sigaction; CAUGHT.len()]);

impl Signals {
    /// Catches both from now on.
    ///
    /// # Errors
    /// The kernel's.
    pub fn catch() -> io::Result<Self> {
        CAME.store(0, Relaxed);
        // SAFETY: all zeros is a valid action.
        let mut before: [libc::sigaction; CAUGHT.len()] = unsafe { MaybeUninit::zeroed().assume_init() };
        for (signal, before) in CAUGHT.into_iter().zip(&mut before) {
            // SAFETY: all zeros is a valid action, with an empty mask.
            let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
            action.sa_sigaction = note as *const () as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
            // SAFETY: both actions are ours; the handler does no more than store a word.
            if unsafe { libc::sigaction(signal, &action, before) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Self(before))
    }

    /// Sleeps for `timeout`, unless one has come. Gives the name of the one that has.
    pub fn wait(&self, timeout: Duration) -> Option<&'static str> {
        if CAME.load(Relaxed) == 0 {
            thread::sleep(timeout);
        }
        match CAME.load(Relaxed) {
            libc::SIGINT => Some("SIGINT"),
            libc::SIGTERM => Some("SIGTERM"),
            _ => None,
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, before) in CAUGHT.into_iter().zip(&self.0) {
            // SAFETY: an action that the kernel gave us.
            unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
        }
    }
}

extern "C" fn note(signal: libc::c_int) {
    CAME.store(signal, Relaxed);
}
