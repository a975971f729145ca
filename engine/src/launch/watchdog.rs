//! The watchdog: notices a worker whose loop stands still. It is told the time, and reads no clock.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::eal_args::LcoreId;
use super::status::{LcoreStatus, Status};

/// The longest time between two looks that counts, or a quarter of the patience where that is less: where
/// more has passed, the whole program stood still, and its workers are not to blame.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// Watches the workers' loops. One that waits for packets goes round, too: no wait takes longer than
/// [`LONGEST_WAIT`](crate::idle::LONGEST_WAIT).
#[derive(Debug)]
pub(super) struct Watchdog {
    /// How long a loop may stand still.
    patience: Duration,
    looked: Option<Instant>,
    pulses: Vec<Pulse>,
}

/// What is known of a worker.
#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    last: u64,
    /// How long the watchdog has seen it stand still.
    still: Duration,
    has_ended: bool,
}

impl Watchdog {
    /// One that barks after so long.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, looked: None, pulses: Vec::new() }
    }

    /// With another patience from now on.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// A worker has ended: it stands still for good.
    pub(super) fn dismiss(&mut self, lcore: LcoreId, status: &Status) {
        self.pulses.resize(status.lcores.len(), Pulse::default());
        let ended = status.lcores.iter().zip(&mut self.pulses).find(|(worker, _)| worker.lcore == lcore);
        if let Some((worker, pulse)) = ended {
            pulse.has_ended = true;
            worker.is_moving.store(true, Relaxed);
        }
    }

    /// Looks at all of them, says which have stopped or go on, and notes it.
    pub(super) fn look(&mut self, now: Instant, status: &Status) {
        let passed = self.looked.replace(now).map_or(Duration::ZERO, |looked| now - looked);
        let passed = passed.min(LONGEST_LOOK).min(self.patience / 4);
        self.pulses.resize(status.lcores.len(), Pulse::default());
        for (worker, pulse) in status.lcores.iter().zip(&mut self.pulses) {
            pulse.look(passed, self.patience, worker);
        }
    }
}

impl Pulse {
    fn look(&mut self, passed: Duration, patience: Duration, worker: &LcoreStatus) {
        let now = worker.counters.pulse();
        if now != std::mem::replace(&mut self.last, now) || self.has_ended {
            let still = std::mem::take(&mut self.still);
            if !worker.is_moving.swap(true, Relaxed) {
                tracing::info!("lcore {} goes on after {:.1} s", worker.lcore, still.as_secs_f64());
            }
            return;
        }
        self.still += passed;
        if self.still >= patience && worker.is_moving.swap(false, Relaxed) {
            worker.stalls.fetch_add(1, Relaxed);
            tracing::error!(
                "lcore {} has stood still for {:.1} s: its service blocks, or its thread was stopped; what \
                 comes to it waits or is lost until it goes on",
                worker.lcore,
                self.still.as_secs_f64()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::metrics::tests::status;

    const PATIENCE: Duration = Duration::from_secs(2);
    const STEP: Duration = Duration::from_millis(100);

    struct Rig {
        status: Status,
        watchdog: Watchdog,
        now: Instant,
    }

    impl Rig {
        fn new() -> Self {
            Self { status: status(), watchdog: Watchdog::new(PATIENCE), now: Instant::now() }
        }

        fn pass(&mut self, steps: u32, is_moving: bool) -> (bool, u64) {
            for _ in 0..steps {
                self.now += STEP;
                if is_moving {
                    self.status.lcores[0].counters.turns(1, 1, 1, false);
                }
                self.watchdog.look(self.now, &self.status);
            }
            (self.status.all_move(), self.status.lcores[0].stalls.load(Relaxed))
        }
    }

    #[test]
    fn a_loop_that_stands_still_is_noticed_once_and_when_it_goes_on() {
        let mut rig = Rig::new();
        assert_eq!(rig.pass(100, true), (true, 0));
        assert_eq!(rig.pass(19, false), (true, 0));
        assert_eq!(rig.pass(100, false), (false, 1));
        assert_eq!(rig.pass(1, true), (true, 1));
        assert_eq!(rig.pass(19, false), (true, 1));
        assert_eq!(rig.pass(1, false), (false, 2));
    }

    #[test]
    fn where_the_watchdog_itself_stood_still_nobody_is_blamed() {
        let mut rig = Rig::new();
        assert_eq!(rig.pass(1, true), (true, 0));
        rig.now += 100 * PATIENCE;
        assert_eq!(rig.pass(1, false), (true, 0));
    }

    #[test]
    fn the_same_holds_for_little_patience() {
        let mut rig = Rig::new();
        rig.watchdog.set_patience(STEP);
        assert_eq!(rig.pass(1, true), (true, 0));
        rig.now += PATIENCE;
        assert_eq!(rig.pass(3, false), (true, 0), "each look counts for a quarter");
        assert_eq!(rig.pass(1, false), (false, 1));
    }

    #[test]
    fn a_worker_that_ended_is_not_waited_for() {
        let mut rig = Rig::new();
        assert_eq!(rig.pass(30, false), (false, 1));
        rig.watchdog.dismiss(LcoreId(1), &rig.status);
        assert_eq!(rig.pass(100, false), (true, 1));
    }
}
