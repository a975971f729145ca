//! The lcores of a program: those of the EAL, or threads of our own with the same meaning.

use std::thread;

use crossbeam_channel::bounded;

use super::eal_args::{LcoreId, NativeArgs};
use super::error::Error;
#[cfg(feature = "dpdk")]
use crate::port::dpdk::{Eal, LaunchError};
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
    pub(super) fn eal(args: &[String]) -> Result<Self, Error> {
        let unpinned = CpuSet::current().map_err(Error::system("the CPUs of this process"))?;
        let eal = Eal::init(args)?;
        let lcores = eal.lcores().clone();
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
    /// that one works alone, on a thread that keeps off its CPU if there are others. Returns when all have ended.
    /// If one can't be started, none is.
    pub(super) fn run(&self, jobs: Vec<(LcoreId, Job)>, control: impl FnOnce() + Send) -> Result<(), Error> {
        match &self.source {
            Source::Native(args) if args.lcores.len() == 1 => {
                self.run_alone(jobs, control, |lcore| pin(args, lcore))
            }
            Source::Native(args) => {
                let ran = run_threads(args, jobs, control);
                // Whatever the program goes on to do is not bound to the main lcore.
                let _ = self.unpinned.pin_current_thread();
                ran
            }
            // The EAL pinned its lcores when it started.
            #[cfg(feature = "dpdk")]
            Source::Eal(eal) if eal.lcores().workers.is_empty() => self.run_alone(jobs, control, |_| Ok(())),
            #[cfg(feature = "dpdk")]
            Source::Eal(eal) => run_on_eal(eal, jobs, control),
        }
    }

    fn run_alone(
        &self,
        jobs: Vec<(LcoreId, Job)>,
        control: impl FnOnce() + Send,
        pin: impl FnOnce(LcoreId) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some((lcore, job)) = jobs.into_iter().next() else { return Ok(()) };
        thread::scope(|scope| {
            let (start, started) = bounded::<CpuSet>(1);
            let (moved, has_moved) = bounded(1);
            let control = move || {
                if let Ok(cpus) = started.recv() {
                    // A thread inherits the pin of the one that starts it. Where it can't be let
                    // go it shares the worker's CPU, which is slower and not wrong.
                    let _ = cpus.pin_current_thread();
                    let _ = moved.send(());
                    control();
                }
            };
            let thread = thread::Builder::new().name("control".to_owned()).spawn_scoped(scope, control);
            thread.map_err(Error::system("the control thread"))?;
            pin(lcore)?;
            // The worker's: this thread's, which it is pinned to by now.
            let _ = start.send(CpuSet::current().map_or(self.unpinned, |own| besides(self.unpinned, own)));
            // It has to have left this CPU: beside a worker of real-time priority, which never
            // waits, it could not run to do so.
            let _ = has_moved.recv();
            job();
            Ok(())
        })
    }
}

/// The CPUs of a set that are not in the other one, or all where that leaves none.
fn besides(all: CpuSet, taken: CpuSet) -> CpuSet {
    let mut others = all.iter().filter(|&cpu| !taken.contains(cpu)).peekable();
    if others.peek().is_some() { others.collect() } else { all }
}

/// A thread for each job. None starts to work before all of them are pinned.
fn run_threads(args: &NativeArgs, jobs: Vec<(LcoreId, Job)>, control: impl FnOnce()) -> Result<(), Error> {
    thread::scope(|scope| {
        let mut starts = Vec::new();
        for (lcore, job) in jobs {
            let (pinned, is_pinned) = bounded(1);
            let (start, started) = bounded(1);
            let work = move || {
                let _ = pinned.send(pin(args, lcore));
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
        // Last, since threads inherit it.
        pin(args, args.main)?;
        for start in starts {
            let _ = start.send(());
        }
        control();
        Ok(())
    })
}

fn pin(args: &NativeArgs, lcore: LcoreId) -> Result<(), Error> {
    let cpus = args.lcores.get(&lcore).into_iter().flatten().copied();
    let pinned = CpuSet::from_iter(cpus).pin_current_thread();
    pinned.map_err(Error::system(format!("pinning lcore {lcore} to its CPU")))
}

/// The EAL's lcores, already pinned. None starts to work before all of them are launched.
#[cfg(feature = "dpdk")]
fn run_on_eal(eal: &Eal, jobs: Vec<(LcoreId, Job)>, control: impl FnOnce()) -> Result<(), Error> {
    let mut starts = Vec::new();
    let launch = || {
        for (lcore, job) in jobs {
            let (start, started) = bounded(1);
            let work = move || {
                if started.recv().is_ok() {
                    job();
                }
            };
            eal.launch(lcore.0, Box::new(work))?;
            starts.push((lcore, start));
        }
        Ok(())
    };
    let launched: Result<(), LaunchError> = launch();
    // Where one failed to start, the others' senders are dropped unused.
    let lcores: Vec<_> = starts.iter().map(|(lcore, _)| *lcore).collect();
    if launched.is_ok() {
        starts.iter().for_each(|(_, start)| _ = start.send(()));
        control();
    }
    drop(starts);
    // All of them, before the first error is passed on.
    let ends: Vec<_> = lcores.into_iter().map(|lcore| (lcore, eal.wait(lcore.0))).collect();
    launched?;
    ends.into_iter().try_for_each(|(lcore, end)| end.map_err(|_| Error::WorkerPanicked(lcore)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn control_keeps_off_the_worker_s_cpu_where_there_are_others() {
        let set = |cpus: &[usize]| CpuSet::from_iter(cpus.iter().copied());
        assert_eq!(besides(set(&[0, 1, 5]), set(&[1, 2])), set(&[0, 5]));
        assert_eq!(besides(set(&[0, 1]), set(&[0, 1, 2])), set(&[0, 1]));
        let all = CpuSet::current().expect("the CPUs of this thread");
        let cpu = all.iter().next().expect("a CPU");
        let (worker, control) = (Arc::new(Mutex::new(None)), Mutex::new(None));
        let ran = thread::scope(|scope| {
            let run = || {
                let lcores = Lcores::native(&["--lcores".to_owned(), format!("0@{cpu}")])?;
                let seen = Arc::clone(&worker);
                let job: Job = Box::new(move || *seen.lock().expect("no panic") = CpuSet::current().ok());
                lcores.run(vec![(LcoreId(0), job)], || {
                    *control.lock().expect("no panic") = CpuSet::current().ok();
                })
            };
            scope.spawn(run).join().expect("no panic")
        });
        ran.expect("it runs");
        assert_eq!(*worker.lock().expect("no panic"), Some(set(&[cpu])));
        assert_eq!(*control.lock().expect("no panic"), Some(besides(all, set(&[cpu]))));
    }
}
