//! What a program does on the control plane while its workers run.

use std::ops::ControlFlow;

use crate::telemetry::{Exhibit, Report};

/// What a program does on the control plane while its workers run: it watches what they tell it
/// (through atomics or channels of its own), says how it goes, and ends the run.
///
/// It is called from the control plane's one thread and may take its time, but signals wait
/// meanwhile. `()` does nothing.
pub trait Companion: Send {
    /// The ports are open, the addresses are known to be ours, and the ready line is printed.
    fn ready(&mut self) {}

    /// What it measures, for the metrics. Asked once, when the services are made.
    fn exhibits(&self) -> Vec<Exhibit> {
        Vec::new()
    }

    /// Called some twenty times a second from then on. `Break` stops the workers.
    fn look(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// All workers have ended and their services are dropped. What it adds to the report is
    /// written with it.
    fn report(&mut self, report: &mut Report) {
        let _ = report;
    }
}

impl Companion for () {}
