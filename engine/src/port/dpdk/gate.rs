//! A queue's gate: while the control plane resets a device or opens it anew, the worker leaves its queue
//! alone. The worker goes on with its other queues; nobody waits for anybody.

use std::sync::atomic::{AtomicU8, Ordering};

/// Where the two are. Each step is taken by one of them alone.
#[derive(Debug, Default)]
pub(super) struct Gate(AtomicU8);

/// The worker uses the queue.
const OPEN: u8 = 0;
/// The control plane wants it to stop that.
const SHUT: u8 = 1;
/// The worker has: the device is the control plane's.
const PARKED: u8 = 2;
/// The control plane is done: the worker may use the queue again.
const READY: u8 = 3;

/// What a worker is to do that comes to a gate that is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Leave the device, and say so with [`Gate::park`].
    Leave,
    /// Stay away.
    Stay,
    /// Come back, and say so with [`Gate::open`].
    Return,
}

impl Gate {
    /// Whether the worker may use the queue.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OPEN
    }

    /// What the worker is to do.
    pub(super) fn turn(&self) -> Turn {
        match self.0.load(Ordering::Acquire) {
            OPEN | READY => Turn::Return,
            SHUT => Turn::Leave,
            _ => Turn::Stay,
        }
    }

    /// The worker has left the device.
    pub(super) fn park(&self) {
        self.0.store(PARKED, Ordering::Release);
    }

    /// The worker uses the device again, unless the control plane has shut the gate once more. Whether it does.
    pub(super) fn open(&self) -> bool {
        let opened = self.0.compare_exchange(READY, OPEN, Ordering::AcqRel, Ordering::Relaxed);
        matches!(opened, Ok(_) | Err(OPEN))
    }

    /// The control plane wants the worker to leave the device.
    pub(super) fn shut(&self) {
        self.0.store(SHUT, Ordering::Release);
    }

    /// Whether the worker has left it.
    pub(super) fn is_parked(&self) -> bool {
        self.0.load(Ordering::Acquire) == PARKED
    }

    /// The device serves again.
    pub(super) fn ready(&self) {
        self.0.store(READY, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_is_shut_again_while_the_worker_returns_stays_shut() {
        let gate = Gate::default();
        gate.shut();
        assert_eq!(gate.turn(), Turn::Leave);
        gate.park();
        assert!(gate.is_parked());
        gate.ready();
        assert_eq!(gate.turn(), Turn::Return);
        gate.shut();
        assert!(!gate.open() && !gate.is_open());
        assert_eq!(gate.turn(), Turn::Leave);
        gate.park();
        gate.ready();
        assert!(gate.open() && gate.is_open() && gate.open());
    }
}
