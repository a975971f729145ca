//! Stopping: SIGINT and SIGTERM, and the flag that workers look at. SIGHUP, where it means something.

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

/// SIGHUP came, and nobody has looked yet.
static HUNG_UP: AtomicBool = AtomicBool::new(false);

/// SIGINT and SIGTERM, caught in whichever thread they are delivered. The second one of a
/// kind ends the process, for whom a clean stop takes too long. On drop they are as before.
pub struct Signals {
    before: [libc::sigaction; CAUGHT.len()],
    hang_up_before: Option<libc::sigaction>,
}

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
            *before = catch(signal, libc::SA_RESTART | libc::SA_RESETHAND)?;
        }
        Ok(Self { before, hang_up_before: None })
    }

    /// Catches SIGHUP from now on, which else ends the process.
    ///
    /// # Errors
    /// The kernel's.
    pub fn catch_hang_ups(&mut self) -> io::Result<()> {
        HUNG_UP.store(false, Relaxed);
        if self.hang_up_before.is_none() {
            self.hang_up_before = Some(catch(libc::SIGHUP, libc::SA_RESTART)?);
        }
        Ok(())
    }

    /// Whether a SIGHUP came since this was asked last.
    pub fn take_hang_up(&self) -> bool {
        HUNG_UP.swap(false, Relaxed)
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
        let hang_up = self.hang_up_before.iter().map(|before| (libc::SIGHUP, before));
        for (signal, before) in CAUGHT.into_iter().zip(&self.before).chain(hang_up) {
            // SAFETY: an action that the kernel gave us.
            unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
        }
    }
}

/// Catches a signal, and gives what was done about it before.
fn catch(signal: libc::c_int, flags: libc::c_int) -> io::Result<libc::sigaction> {
    // SAFETY: all zeros is a valid action, with an empty mask.
    let (mut action, mut before): (libc::sigaction, libc::sigaction) =
        unsafe { (MaybeUninit::zeroed().assume_init(), MaybeUninit::zeroed().assume_init()) };
    action.sa_sigaction = note as *const () as usize;
    action.sa_flags = flags;
    // SAFETY: both actions are ours; the handler does no more than store a word.
    match unsafe { libc::sigaction(signal, &action, &mut before) } {
        0 => Ok(before),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn note(signal: libc::c_int) {
    match signal {
        libc::SIGHUP => HUNG_UP.store(true, Relaxed),
        _ => CAME.store(signal, Relaxed),
    }
}
