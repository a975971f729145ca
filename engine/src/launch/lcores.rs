//! The lcores of a program: those of the EAL, or threads of our own with the same meaning.

use std::thread;

use crossbeam_channel::bounded;

use super::eal_args::{LcoreId, NativeArgs};
use super::error::Error;
#[cfg(feature = "dpdk")]
use crate::port::dpdk::Eal;
use crate::sys::CpuSet;

/// What an lcore runs.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The lcores of a program.
pub(super) struct Lcores {
    source: Source,
    workers: Vec<LcoreId>,
    /// Where the process might run before anything was pinned.
    unpinned: CpuSet,
}

enum Source {
    Native(NativeArgs),
    #[cfg(feature = "dpdk")]
    Eal(Eal),
}

impl Lcores {
    /// Threads of our own, as the EAL arguments say.
    pub(super) fn native(args: &[String]) -> Result<Self, Error> {
        let unpinned = CpuSet::current().map_err(Error::system("the CPUs of this process"))?;
        let args = NativeArgs::parse(args, unpinned)?;
        Ok(Self { workers: args.workers(), source: Source::Native(args), unpinned })
    }

    /// The EAL's, which it starts.
    #[cfg(feature = "dpdk")]
    pub(super) fn eal(program: &str, args: &[String]) -> Result<Self, Error> {
        let unpinned = CpuSet::current().map_err(Error::system("the CPUs of this process"))?;
        let args: Vec<_> = std::iter::once(program.to_owned()).chain(args.iter().cloned()).collect();
        let eal = Eal::init(&args)?;
        let lcores = eal.lcores();
        let workers = if lcores.workers.is_empty() { vec![lcores.main] } else { lcores.workers };
        Ok(Self { workers: workers.into_iter().map(LcoreId).collect(), source: Source::Eal(eal), unpinned })
    }

    /// The EAL, where there is one.
    #[cfg(feature = "dpdk")]
    pub(super) fn as_eal(&self) -> Option<&Eal> {
        match &self.source {
            Source::Native(_) => None,
            Source::Eal(eal) => Some(eal),
        }
    }

    /// The lcores that run workers: all but the main one, or the main one if it is alone.
    pub(super) fn workers(&self) -> &[LcoreId] {
        &self.workers
    }

    /// Runs `jobs` on their lcores and `control` beside them: on the main lcore, or, where
    /// that one works alone, on a thread that is not pinned. Returns when all have ended.
    pub(super) fn run(&self, jobs: Vec<(LcoreId, Job)>, control: impl FnOnce() + Send) -> Result<(), Error> {
        let mut jobs = jobs.into_iter();
        if self.is_main_alone()
            && let Some((lcore, job)) = jobs.next()
        {
            return self.run_alone(lcore, job, control);
        }
        self.run_beside(jobs, control)
    }

    fn is_main_alone(&self) -> bool {
        match &self.source {
            Source::Native(args) => args.lcores.len() == 1,
            #[cfg(feature = "dpdk")]
            Source::Eal(eal) => eal.lcores().workers.is_empty(),
        }
    }

    fn run_alone(&self, lcore: LcoreId, job: Job, control: impl FnOnce() + Send) -> Result<(), Error> {
        thread::scope(|scope| {
            let unpinned = self.unpinned;
            let control = thread::Builder::new().name("control".to_owned()).spawn_scoped(scope, move || {
                // A thread inherits the pin of the one that starts it. Where it can't be let
                // go it shares the worker's CPU, which is slower and not wrong.
                let _ = unpinned.pin_current_thread();
                control();
            });
            let control = control.map_err(Error::system("the control thread"))?;
            self.pin(lcore)?;
            job();
            // Its panic is ours: the scope passes it on.
            drop(control);
            Ok(())
        })
    }

    fn run_beside(
        &self,
        jobs: impl Iterator<Item = (LcoreId, Job)>,
        control: impl FnOnce(),
    ) -> Result<(), Error> {
        match &self.source {
            Source::Native(_) => self.run_threads(jobs, control),
            #[cfg(feature = "dpdk")]
            Source::Eal(eal) => {
                let mut launched = Vec::new();
                for (lcore, job) in jobs {
                    eal.launch(lcore.0, job)?;
                    launched.push(lcore);
                }
                control();
                for lcore in launched {
                    eal.wait(lcore.0).map_err(|_| Error::WorkerPanicked(lcore))?;
                }
                Ok(())
            }
        }
    }

    /// A thread for each job. None starts to work before all of them are pinned.
    fn run_threads(
        &self,
        jobs: impl Iterator<Item = (LcoreId, Job)>,
        control: impl FnOnce(),
    ) -> Result<(), Error> {
        thread::scope(|scope| {
            let mut starts = Vec::new();
            for (lcore, job) in jobs {
                let (pinned, is_pinned) = bounded(1);
                let (start, started) = bounded(1);
                let work = move || {
                    let _ = pinned.send(self.pin(lcore));
                    // Where another one failed to start, the sender is gone.
                    if started.recv().is_ok() {
                        job();
                    }
                };
                let thread = thread::Builder::new().name(format!("lcore-{lcore}")).spawn_scoped(scope, work);
                thread.map_err(Error::system(format!("the thread of lcore {lcore}")))?;
                is_pinned.recv().unwrap_or(Ok(()))?;
                starts.push(start);
            }
            for start in starts {
                let _ = start.send(());
            }
            control();
            Ok(())
        })
    }

    fn pin(&self, lcore: LcoreId) -> Result<(), Error> {
        match &self.source {
            Source::Native(args) => {
                let cpus = args.lcores.get(&lcore).into_iter().flatten().copied();
                let pinned = CpuSet::from_iter(cpus).pin_current_thread();
                pinned.map_err(Error::system(format!("pinning lcore {lcore} to its CPU")))
            }
            // The EAL pinned its lcores when it started.
            #[cfg(feature = "dpdk")]
            Source::Eal(_) => Ok(()),
        }
    }
}
