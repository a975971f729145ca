//! Waiting for descriptors, and a descriptor to be woken by (ppoll(2), eventfd(2)).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// A descriptor that one thread makes readable to wake others. It stays readable.
#[derive(Debug)]
pub struct Wakeup(OwnedFd);

impl Wakeup {
    /// One that is not readable yet.
    ///
    /// # Errors
    /// The kernel's: too many descriptors are open.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers; what it returns is checked below.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened just now and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Wakes whoever waits for it, now and from now on.
    pub fn wake(&self) {
        let one = 1_u64;
        // It fails only where the count is at its end, and then it is readable.
        // SAFETY: the pointer and the length are those of a number that we hold.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// The descriptor.
    pub fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Descriptors that a thread waits for together.
#[derive(Debug)]
pub struct WaitSet(Vec<libc::pollfd>);

impl WaitSet {
    /// A set of these. One that is closed meanwhile ends each wait at once.
    pub fn new(descriptors: impl IntoIterator<Item = RawFd>) -> Self {
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        Self(descriptors.into_iter().map(entry).collect())
    }

    /// Waits until one is readable or has an error, for `longest` at most. Whether that was so.
    /// A signal ends it, too.
    pub fn wait(&mut self, longest: Duration) -> bool {
        let timeout = libc::timespec {
            tv_sec: longest.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: longest.subsec_nanos().into(),
        };
        let (entries, len) = (self.0.as_mut_ptr(), self.0.len() as libc::nfds_t);
        // SAFETY: an array of that many entries, which the kernel writes to, and a time that
        // lives through the call; no mask is given.
        unsafe { libc::ppoll(entries, len, &raw const timeout, ptr::null()) > 0 }
    }
}

/// Has the kernel end the calling thread's waits when their time is up, and not some 50 µs
/// later to save wake-ups (PR_SET_TIMERSLACK). On drop it is as before.
#[derive(Debug)]
pub struct TightTimers {
    slack_before: libc::c_ulong,
}

impl TightTimers {
    /// For the calling thread, to which the value then belongs.
    pub fn start() -> Self {
        // SAFETY: the calls take and give numbers.
        let before = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
        set_slack(1);
        Self { slack_before: libc::c_ulong::try_from(before).unwrap_or(0) }
    }
}

impl Drop for TightTimers {
    fn drop(&mut self) {
        // Zero would be the thread's default.
        set_slack(self.slack_before);
    }
}

/// Ignores a refusal: waits are then a little longer.
fn set_slack(nanos: libc::c_ulong) {
    // SAFETY: the call takes numbers.
    let _ = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanos) };
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_wait_ends_in_time_or_when_it_is_woken() {
        let wakeup = Wakeup::new().expect("a descriptor");
        let mut set = WaitSet::new([wakeup.as_raw_fd()]);
        let (begin, nap) = (Instant::now(), Duration::from_millis(5));
        assert!(!set.wait(nap) && begin.elapsed() >= nap);
        std::thread::scope(|scope| {
            scope.spawn(|| wakeup.wake());
            assert!(set.wait(Duration::from_secs(60)));
        });
        assert!(set.wait(Duration::from_secs(60)), "it stays readable");
    }

    #[test]
    fn timers_are_as_before_afterwards() {
        // SAFETY: the call takes and gives numbers.
        let slack = || unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
        let before = slack();
        let tight = TightTimers::start();
        assert_eq!(slack(), 1);
        drop(tight);
        assert_eq!(slack(), before);
    }
}
