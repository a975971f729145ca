//! What the control plane looks at again and again while the workers run.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::eal_args::LcoreId;
use super::link::{Link, LostPort};
use super::service_manager::ServiceManager;
use super::status::Status;
use super::watchdog::Watchdog;
use crate::telemetry::LcoreSnapshot;

/// How often the ports' links are looked at.
const LINK_INTERVAL: Duration = Duration::from_millis(500);
/// The same while a device is on its way back.
const RETURN_INTERVAL: Duration = Duration::from_millis(50);
/// How often the figures are renewed that others read.
const FIGURES_INTERVAL: Duration = Duration::from_secs(1);

/// The control plane's rounds.
pub(super) struct Rounds<'a> {
    pub(super) status: Arc<Status>,
    pub(super) watchdog: Watchdog,
    pub(super) manager: ServiceManager,
    /// A port without which the program is not to go on.
    pub(super) lost: Option<LostPort>,
    /// Whether anybody reads the devices' own statistics.
    asks_devices: bool,
    has_asked: bool,
    links: Vec<Link<'a>>,
    looked_at_links: Option<Instant>,
    renewed: Option<Instant>,
    figures: Vec<LcoreSnapshot>,
}

impl<'a> Rounds<'a> {
    /// A watchdog that barks after that `patience`, and devices that are asked for their statistics if
    /// somebody wants them.
    pub(super) fn new(
        status: &Arc<Status>,
        links: Vec<Link<'a>>,
        patience: Duration,
        asks_devices: bool,
    ) -> Self {
        Self {
            status: Arc::clone(status),
            watchdog: Watchdog::new(patience),
            manager: ServiceManager::from_environment(),
            lost: None,
            asks_devices,
            has_asked: false,
            links,
            looked_at_links: None,
            renewed: None,
            figures: Vec::new(),
        }
    }

    /// Does what is due.
    pub(super) fn make(&mut self, now: Instant) {
        self.watchdog.look(now, &self.status);
        self.manager.look(now, self.status.all_move());
        let is_any_gone = self.status.ports.iter().any(|port| port.is_gone.load(Relaxed));
        let interval = if is_any_gone { RETURN_INTERVAL } else { LINK_INTERVAL };
        if is_due(&mut self.looked_at_links, now, interval) {
            let mut links = self.links.iter_mut().zip(&self.status.ports);
            self.lost = links.try_for_each(|(link, port)| link.look(port)).err();
        }
        if is_due(&mut self.renewed, now, FIGURES_INTERVAL) {
            self.renew();
        }
        if self.asks_devices {
            self.ask_devices();
        }
    }

    /// The program serves, as the line says.
    pub(super) fn ready(&mut self, line: &str) {
        self.status.is_ready.store(true, Relaxed);
        self.manager.ready(line);
    }

    /// A worker has ended.
    pub(super) fn dismiss(&mut self, lcore: LcoreId) {
        self.watchdog.dismiss(lcore, &self.status);
    }

    fn renew(&mut self) {
        self.figures.resize(self.status.lcores.len(), LcoreSnapshot::default());
        for (lcore, before) in self.status.lcores.iter().zip(&mut self.figures) {
            let now = lcore.counters.snapshot();
            lcore.set_busy_ratio(now.since(before).busy_ratio());
            *before = now;
        }
    }

    /// Asks the devices whose statistics somebody wants, and all of them at the start.
    fn ask_devices(&mut self) {
        let is_first = !std::mem::replace(&mut self.has_asked, true);
        for (link, port) in self.links.iter_mut().zip(&self.status.ports) {
            if is_first || port.wants_extended_statistics() {
                port.set_extended_statistics(link.extended_statistics());
            }
        }
    }
}

/// Whether the interval is over since the last time; it begins anew then.
fn is_due(last: &mut Option<Instant>, now: Instant, interval: Duration) -> bool {
    let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= interval);
    if is_due {
        *last = Some(now);
    }
    is_due
}
