//! What the control plane shares with those who look in from outside: the server of metrics and DPDK's
//! telemetry. They read it whenever they like, and stop nobody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Launch;
use super::eal_args::LcoreId;
use crate::port::{PortDescription, PortId};
use crate::sys::Clock;
use crate::telemetry::{Counters, Exhibit, LcoreCounters, LcoreSnapshot};
use crate::wire::ethernet::MacAddress;

/// For how long a device's own statistics are not asked for again.
const FRESH: Duration = Duration::from_secs(1);
/// How long somebody waits for them, who gets older ones otherwise.
const PATIENCE: Duration = Duration::from_millis(250);

/// How a program is doing.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) app: &'static str,
    /// What the program was built from, where it says so.
    pub(super) commit: &'static str,
    pub(super) started: SystemTime,
    /// What makes seconds of ticks.
    pub(super) clock: Clock,
    pub(super) is_ready: AtomicBool,
    pub(super) ports: Vec<PortStatus>,
    pub(super) queues: Vec<QueueStatus>,
    pub(super) lcores: Vec<LcoreStatus>,
    /// What the program itself measures.
    pub(super) exhibits: Vec<Exhibit>,
}

/// A port.
#[derive(Debug)]
pub(super) struct PortStatus {
    pub(super) description: PortDescription,
    /// Its address, which is another where the device was made anew.
    mac: Mutex<MacAddress>,
    pub(super) is_link_up: AtomicBool,
    /// Times that the link came up or went down.
    pub(super) link_changes: AtomicU64,
    /// Its device does not serve: it was removed, or is being reset.
    pub(super) is_gone: AtomicBool,
    /// Times that this began.
    pub(super) losses: AtomicU64,
    /// Times that it ended.
    pub(super) renewals: AtomicU64,
    extended_statistics: Mutex<ExtendedStatistics>,
    renewed: Condvar,
}

/// What a device counted, and whether somebody waits for it to be asked.
#[derive(Debug, Default)]
struct ExtendedStatistics {
    values: Vec<(String, u64)>,
    /// When the device was asked; `None` where nobody asks it.
    asked: Option<Instant>,
    is_wanted: bool,
}

/// An lcore's queue of a port.
#[derive(Clone, Debug)]
pub(super) struct QueueStatus {
    pub(super) lcore: LcoreId,
    pub(super) port: PortId,
    pub(super) counters: Arc<Counters>,
}

/// A worker lcore.
#[derive(Debug)]
pub(super) struct LcoreStatus {
    pub(super) lcore: LcoreId,
    pub(super) counters: Arc<LcoreCounters>,
    /// Its loop goes round.
    pub(super) is_moving: AtomicBool,
    /// Times that it was found to stand still.
    pub(super) stalls: AtomicU64,
    /// The bits of a number from 0 to 1.
    busy_ratio: AtomicU64,
    /// The most that [`polling_ticks`](Self::polling_ticks) gave.
    polling_ticks: AtomicU64,
}

impl PortStatus {
    pub(super) fn new(description: PortDescription) -> Self {
        Self {
            mac: Mutex::new(description.mac),
            description,
            is_link_up: AtomicBool::new(true),
            link_changes: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            losses: AtomicU64::new(0),
            renewals: AtomicU64::new(0),
            extended_statistics: Mutex::default(),
            renewed: Condvar::new(),
        }
    }

    pub(super) fn mac(&self) -> MacAddress {
        *self.mac.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_mac(&self, mac: MacAddress) {
        *self.mac.lock().unwrap_or_else(PoisonError::into_inner) = mac;
    }

    /// What the device counts: asked by the control plane, soon, unless it was within the last second.
    pub(super) fn extended_statistics(&self) -> Vec<(String, u64)> {
        let mut statistics = self.lock();
        if statistics.asked.is_some_and(|asked| asked.elapsed() >= FRESH) {
            statistics.is_wanted = true;
            let is_waiting = |statistics: &mut ExtendedStatistics| statistics.is_wanted;
            let renewed = self.renewed.wait_timeout_while(statistics, PATIENCE, is_waiting);
            statistics = renewed.unwrap_or_else(PoisonError::into_inner).0;
        }
        statistics.values.clone()
    }

    /// Whether somebody waits for them.
    pub(super) fn wants_extended_statistics(&self) -> bool {
        self.lock().is_wanted
    }

    pub(super) fn set_extended_statistics(&self, values: Vec<(String, u64)>) {
        *self.lock() = ExtendedStatistics { values, asked: Some(Instant::now()), is_wanted: false };
        self.renewed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, ExtendedStatistics> {
        self.extended_statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LcoreStatus {
    pub(super) fn new(lcore: LcoreId, counters: Arc<LcoreCounters>) -> Self {
        Self {
            lcore,
            counters,
            is_moving: AtomicBool::new(true),
            stalls: AtomicU64::new(0),
            busy_ratio: AtomicU64::new(0),
            polling_ticks: AtomicU64::new(0),
        }
    }

    /// Ticks that were neither busy nor asleep. Each of these is read by itself, so that their difference
    /// may be a turn too large or too small; a counter that falls would look as if it began anew.
    pub(super) fn polling_ticks(&self, now: &LcoreSnapshot) -> u64 {
        let ticks = now.ticks.saturating_sub(now.busy_ticks).saturating_sub(now.asleep_ticks);
        self.polling_ticks.fetch_max(ticks, Relaxed).max(ticks)
    }

    pub(super) fn busy_ratio(&self) -> f64 {
        f64::from_bits(self.busy_ratio.load(Relaxed))
    }

    pub(super) fn set_busy_ratio(&self, ratio: f64) {
        self.busy_ratio.store(ratio.to_bits(), Relaxed);
    }
}

impl Status {
    /// Of a program whose workers are yet to come.
    pub(super) fn new(
        launch: &Launch,
        clock: Clock,
        ports: &[PortDescription],
        exhibits: Vec<Exhibit>,
    ) -> Self {
        Self {
            app: launch.app.name,
            commit: launch.commit,
            started: SystemTime::now(),
            clock,
            is_ready: AtomicBool::new(false),
            ports: ports.iter().cloned().map(PortStatus::new).collect(),
            queues: Vec::new(),
            lcores: Vec::new(),
            exhibits,
        }
    }

    /// Adds the queues of an lcore.
    pub(super) fn add_queues<'a>(
        &mut self,
        lcore: LcoreId,
        queues: impl Iterator<Item = (PortId, &'a Arc<Counters>)>,
    ) {
        let queue = |(port, counters)| QueueStatus { lcore, port, counters: Arc::clone(counters) };
        self.queues.extend(queues.map(queue));
    }

    /// The name of a port.
    pub(super) fn port_name(&self, id: PortId) -> &str {
        self.ports.get(usize::from(id.0)).map_or("", |port| &port.description.name)
    }

    /// Whether the program serves by all of its ports: it said that it is ready, and no device is gone.
    pub(super) fn serves(&self) -> bool {
        self.is_ready.load(Relaxed) && !self.ports.iter().any(|port| port.is_gone.load(Relaxed))
    }

    /// Whether every lcore's loop goes round.
    pub(super) fn all_move(&self) -> bool {
        self.lcores.iter().all(|lcore| lcore.is_moving.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_asked_when_somebody_wants_to_know() {
        let status = crate::launch::metrics::tests::status();
        let port = &status.ports[0];
        let values = |value| vec![("rx_good".to_owned(), value)];
        assert_eq!(
            (port.extended_statistics(), port.wants_extended_statistics()),
            (values(7), false),
            "fresh"
        );
        port.lock().asked = Instant::now().checked_sub(2 * FRESH);
        let heard = std::thread::scope(|scope| {
            let reader = scope.spawn(|| port.extended_statistics());
            while !port.wants_extended_statistics() && !reader.is_finished() {
                std::thread::yield_now();
            }
            port.set_extended_statistics(values(8));
            reader.join().expect("no panic")
        });
        assert_eq!(heard, values(8));
        port.lock().asked = Instant::now().checked_sub(2 * FRESH);
        assert_eq!(port.extended_statistics(), values(8), "nobody asks the device");
    }

    #[test]
    fn time_that_was_polled_away_never_falls() {
        let lcore = LcoreStatus::new(LcoreId(1), Arc::default());
        let polled = |ticks, busy_ticks| {
            lcore.polling_ticks(&LcoreSnapshot { ticks, busy_ticks, asleep_ticks: 10, ..Default::default() })
        };
        assert_eq!([polled(100, 20), polled(100, 30), polled(120, 30)], [70, 70, 80]);
    }
}
