//! The CPU time of a thread, which others can read while it lives.

use std::io;
use std::time::Duration;

/// A thread's clock of the CPU time that it has used (`pthread_getcpuclockid(3)`).
#[derive(Clone, Copy, Debug)]
pub struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// That of the calling thread.
    ///
    /// # Errors
    /// The kernel's, where there is no such clock.
    pub fn of_this_thread() -> io::Result<Self> {
        let mut id = 0;
        // SAFETY: the calling thread lives, and the call fills the number.
        match unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut id) } {
            0 => Ok(Self(id)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// What the thread has used since it was made, in its own code and in the kernel's.
    ///
    /// # Errors
    /// The kernel's: the thread has ended.
    pub fn elapsed(self) -> io::Result<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call fills the time.
        match unsafe { libc::clock_gettime(self.0, &raw mut time) } {
            0 => Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_thread_s_time_is_read_while_it_works() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let worker = std::thread::spawn(move || {
            sender.send(CpuClock::of_this_thread().expect("a clock")).expect("received");
            while stopped.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty) {}
        });
        let clock: CpuClock = receiver.recv().expect("a clock");
        let begin = clock.elapsed().expect("it lives");
        while clock.elapsed().expect("it lives") <= begin {}
        drop(stop);
        worker.join().expect("no panic");
    }
}
