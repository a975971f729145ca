//! A panic in a service: said with its lcore, its counters and a backtrace, and the program stops.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Arc, Once};

use super::eal_args::LcoreId;
use crate::telemetry::Counters;

thread_local! {
    /// Which lcore the thread is, and the counters of its queues.
    static WORKER: RefCell<Option<(LcoreId, Vec<Arc<Counters>>)>> = const { RefCell::new(None) };
}

/// The service panicked; what it panicked with was printed.
#[derive(Debug)]
pub(super) struct Panicked;

/// Runs a worker's loop. A panic in it is printed where it happens, so that a program built
/// with `panic = "abort"` says the same before it ends.
pub(super) fn guarded(
    lcore: LcoreId,
    counters: Vec<Arc<Counters>>,
    work: impl FnOnce(),
) -> Result<(), Panicked> {
    install_hook();
    WORKER.set(Some((lcore, counters)));
    // What unwinding leaves half done is the worker's own, and nobody uses it again.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    WORKER.set(None);
    result.map_err(|_: Box<dyn Any + Send>| Panicked)
}

fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| match WORKER.take() {
            Some((lcore, counters)) => print(info, lcore, &counters),
            None => previous(info),
        }));
    });
}

/// Ignores a standard error that can't be written: a second panic would end the process.
fn print(info: &PanicHookInfo<'_>, lcore: LcoreId, counters: &[Arc<Counters>]) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "lcore {lcore}: {info}");
    for (index, counters) in counters.iter().enumerate() {
        let values: Vec<_> = counters
            .snapshot()
            .non_zero()
            .map(|(counter, value)| format!("{}={value}", counter.name()))
            .collect();
        let _ = writeln!(stderr, "lcore {lcore}, queue {index}: {}", values.join(" "));
    }
    let _ = writeln!(stderr, "{}", Backtrace::force_capture());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_as_a_value() {
        assert!(guarded(LcoreId(3), vec![Arc::default()], || panic!("the service's own")).is_err());
        assert!(guarded(LcoreId(3), vec![], || ()).is_ok());
    }
}
