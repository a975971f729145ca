//! Work on worker lcores (`rte_eal_remote_launch`).

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use dpdk_sys as sys;

use super::eal::Eal;
use super::error_text;

/// Why an lcore could not be given work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The EAL did not start this lcore, or it is the main lcore.
    #[error("lcore {lcore} is no worker lcore: the EAL has {workers:?}, name more with -l")]
    NoWorker {
        /// The lcore asked for.
        lcore: u32,
        /// The worker lcores that there are.
        workers: Vec<u32>,
    },
    /// It has work already.
    #[error("lcore {lcore} is at work: wait for it first")]
    Busy {
        /// The lcore asked for.
        lcore: u32,
    },
    /// DPDK could not wake it.
    #[error("lcore {lcore} did not take work: {reason}")]
    Refused {
        /// The lcore asked for.
        lcore: u32,
        /// DPDK's reason.
        reason: String,
    },
}

/// Work that an lcore was given, and how it ended.
pub(super) struct Job {
    work: Option<Box<dyn FnOnce() + Send>>,
    panic: Option<Box<dyn Any + Send>>,
}

impl Eal {
    /// Runs `work` on a worker lcore. [`wait`](Self::wait) for it before that lcore can be
    /// given more.
    ///
    /// # Errors
    /// A [`LaunchError`] if it is no worker lcore or has work already.
    pub fn launch(&self, lcore: u32, work: Box<dyn FnOnce() + Send>) -> Result<(), LaunchError> {
        let workers = self.lcores().workers.clone();
        if !workers.contains(&lcore) {
            return Err(LaunchError::NoWorker { lcore, workers });
        }
        let mut jobs = self.jobs.borrow_mut();
        if jobs.contains_key(&lcore) {
            return Err(LaunchError::Busy { lcore });
        }
        let job = Box::into_raw(Box::new(Job { work: Some(work), panic: None }));
        // SAFETY: a worker lcore of this EAL. The job lives until `wait` has seen its end.
        let error = unsafe { sys::rte_eal_remote_launch(Some(run), job.cast(), lcore) };
        if error != 0 {
            // SAFETY: nobody took it.
            drop(unsafe { Box::from_raw(job) });
            return Err(LaunchError::Refused { lcore, reason: error_text(error) });
        }
        jobs.insert(lcore, job);
        Ok(())
    }

    /// Whether the lcore is still at the work that it was given. Does not wait, so a control
    /// plane may ask between its sleeps.
    pub fn is_running(&self, lcore: u32) -> bool {
        // SAFETY: only asked for lcores of this EAL that were given work.
        self.jobs.borrow().contains_key(&lcore) && unsafe { sys::rte_eal_get_lcore_state(lcore) } != sys::WAIT
    }

    /// Waits, spinning, until the lcore's work has ended (`rte_eal_wait_lcore`). Without work
    /// it returns at once.
    ///
    /// # Errors
    /// The payload, if the work panicked.
    pub fn wait(&self, lcore: u32) -> thread::Result<()> {
        let Some(job) = self.jobs.borrow_mut().remove(&lcore) else { return Ok(()) };
        // SAFETY: an lcore of this EAL. After this it is done with the job, and we see what it wrote.
        let job = unsafe {
            sys::rte_eal_wait_lcore(lcore);
            Box::from_raw(job)
        };
        job.panic.map_or(Ok(()), Err)
    }
}

/// Runs a [`Job`] on an lcore. A panic must not unwind into DPDK.
unsafe extern "C" fn run(job: *mut c_void) -> c_int {
    // SAFETY: `launch` passed a job that lives until this lcore is seen to have ended, and nobody
    // else looks at it before.
    let job = unsafe { &mut *job.cast::<Job>() };
    if let Some(work) = job.work.take() {
        job.panic = catch_unwind(AssertUnwindSafe(work)).err();
    }
    0
}
