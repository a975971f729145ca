//! The metrics that every program serves: their names, kinds, labels and meanings.

use std::borrow::Cow;

use super::{Counter, Kind};

/// What a family of metrics is, as OpenMetrics has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// It only rises. Its samples end with `_total`.
    Counter,
    /// A value of the moment.
    Gauge,
    /// Durations in buckets. Its samples end with `_bucket`, `_sum` and `_count`.
    Histogram,
    /// What something is, in labels. Its sample ends with `_info` and is 1.
    Info,
    /// Whatever a driver counts.
    Unknown,
}

impl FamilyKind {
    /// The kind's name in OpenMetrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
            Self::Unknown => "unknown",
        }
    }
}

/// Metrics of one name, which differ in their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name, without what the kind adds to it.
    pub name: Cow<'static, str>,
    /// What it is.
    pub kind: FamilyKind,
    /// The labels that tell its metrics apart.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: Cow<'static, str>,
}

impl Family {
    /// A family of a program's own.
    pub const fn new(
        name: &'static str,
        kind: FamilyKind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name: Cow::Borrowed(name), kind, labels, help: Cow::Borrowed(help) }
    }

    /// The name of its samples: of a histogram that in front of `_bucket`, `_sum` and `_count`.
    pub fn sample_name(&self) -> String {
        match self.kind {
            FamilyKind::Counter => format!("{}_total", self.name),
            FamilyKind::Info => format!("{}_info", self.name),
            FamilyKind::Gauge | FamilyKind::Histogram | FamilyKind::Unknown => self.name.to_string(),
        }
    }

    /// Of a counter that is an event along a packet's way.
    pub(crate) fn of_event(counter: Counter) -> Self {
        Self {
            name: format!("gannet_{}", counter.name()).into(),
            kind: FamilyKind::Counter,
            labels: QUEUE,
            help: counter.sentence().into(),
        }
    }
}

/// A queue is what an lcore serves of a port.
const QUEUE: &[&str] = &["port", "lcore"];
const LCORE: &[&str] = &["lcore"];
const PORT: &[&str] = &["port"];

macro_rules! families {
    ($($id:ident $name:literal $kind:ident $labels:expr, $help:literal)*) => {
        $(pub(crate) static $id: Family = Family::new($name, FamilyKind::$kind, $labels, $help);)*
        static OWN: &[&Family] = &[$(&$id,)*];
    };
}

families! {
    BUILD "gannet_build" Info &["app", "version", "commit", "dpdk"], "What runs."
    START_TIME "gannet_start_time_seconds" Gauge &[], "When the workers were started, in seconds since 1970."
    READY "gannet_ready" Gauge &[], "1 while the program serves: its addresses are known to be ours and no port's device is gone."
    PORT_INFO "gannet_port" Info &["port", "number", "driver", "mac", "numa_node"], "What a port is."
    PORT_MTU "gannet_port_mtu_bytes" Gauge PORT, "The longest IP packet that the port sends."
    PORT_QUEUES "gannet_port_queues" Gauge PORT, "Queue pairs that the port was opened with."
    PORT_LINK_UP "gannet_port_link_up" Gauge PORT, "1 while the port's device has its link."
    PORT_LINK_CHANGES "gannet_port_link_changes" Counter PORT, "Times that the link came up or went down, as far as was seen: it is looked at twice a second."
    PORT_PRESENT "gannet_port_present" Gauge PORT, "0 while the port's device does not serve: it was removed, or is being reset."
    PORT_LOSSES "gannet_port_losses" Counter PORT, "Times that the port's device ceased to serve."
    PORT_RENEWALS "gannet_port_renewals" Counter PORT, "Times that a lost device served again."
    RX_PACKETS "gannet_rx_packets" Counter &["port", "lcore", "origin"], "Packets that came in, by origin (docs/counters.md, Received)."
    RX_HANDLED "gannet_rx_handled_packets" Counter &["port", "lcore", "outcome"], "Received packets that ended well, by outcome (docs/counters.md, Handled)."
    RX_DROPPED "gannet_rx_dropped_packets" Counter &["port", "lcore", "reason"], "Received packets that were dropped, by reason (docs/counters.md, Dropped on receipt)."
    TX_EMITTED "gannet_tx_emitted_packets" Counter &["port", "lcore", "origin"], "Packets that were to be sent, by origin (docs/counters.md, To be sent)."
    TX_PACKETS "gannet_tx_packets" Counter QUEUE, "Packets that the port took to send."
    TX_DROPPED "gannet_tx_dropped_packets" Counter &["port", "lcore", "reason"], "Packets to be sent that were dropped, by reason (docs/counters.md, Dropped on the way out)."
    LCORE_TIME "gannet_lcore_time_seconds" Counter &["lcore", "state"], "Time of the lcore: busy in turns with work, polling in turns without, or asleep."
    LCORE_BUSY "gannet_lcore_busy_ratio" Gauge LCORE, "Time of turns with work over all time, in the second before last looked at, from 0 to 1."
    LCORE_CPU "gannet_lcore_cpu_seconds" Counter LCORE, "CPU time of the lcore's thread, in the kernel too."
    LCORE_WAITS "gannet_lcore_waits" Counter LCORE, "Times that the lcore waited for packets."
    LCORE_WAKEUPS "gannet_lcore_wakeups" Counter LCORE, "Waits that a descriptor ended: a frame came, or the stop."
    LCORE_TURN "gannet_lcore_turn_seconds" Histogram LCORE, "How long turns with work took: a burst received, answered by the service and sent."
    LCORE_MOVING "gannet_lcore_moving" Gauge LCORE, "0 while the watchdog finds that the lcore's loop stands still."
    LCORE_STALLS "gannet_lcore_stalls" Counter LCORE, "Times that the watchdog found that the lcore's loop stood still."
    EXTENDED "gannet_port_extended_statistic" Unknown &["port", "name"], "The device's own statistics, as its driver names them, at most a second old."
}

/// The family that a counter is in, and the label by which it differs from the others there, if there
/// are any.
pub(crate) fn family_of(kind: Kind) -> Option<(&'static Family, Option<&'static str>)> {
    match kind {
        Kind::Received => Some((&RX_PACKETS, Some("origin"))),
        Kind::Handled => Some((&RX_HANDLED, Some("outcome"))),
        Kind::RxDrop => Some((&RX_DROPPED, Some("reason"))),
        Kind::Emitted => Some((&TX_EMITTED, Some("origin"))),
        Kind::Sent => Some((&TX_PACKETS, None)),
        Kind::TxDrop => Some((&TX_DROPPED, Some("reason"))),
        Kind::Event => None,
    }
}

/// All families that every program serves, in the order of the page.
pub fn families() -> Vec<Family> {
    OWN.iter().copied().cloned().chain(events().map(Family::of_event)).collect()
}

/// The counters with a family of their own.
pub(crate) fn events() -> impl Iterator<Item = Counter> {
    Counter::ALL.iter().copied().filter(|counter| counter.kind() == Kind::Event)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_end_as_the_kind_says_only() {
        let families = families();
        let names: HashSet<_> = families.iter().map(|family| family.name.clone()).collect();
        assert_eq!(names.len(), families.len());
        for Family { name, .. } in &families {
            let is_plain =
                name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
            assert!(is_plain && name.starts_with("gannet_"), "{name}");
            let ends = ["_total", "_info", "_bucket", "_sum", "_count", "_created"];
            assert!(!ends.iter().any(|end| name.ends_with(end)), "{name}");
        }
    }

    #[test]
    fn every_counter_is_in_a_family() {
        for counter in Counter::ALL {
            assert_eq!(family_of(counter.kind()).is_none(), counter.kind() == Kind::Event, "{counter:?}");
        }
    }
}
