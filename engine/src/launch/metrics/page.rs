//! The page: every metric of a program, as the moment has it.

use std::fmt::Display;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use crate::launch::status::{LcoreStatus, PortStatus, Status};
use crate::sys::Clock;
use crate::telemetry::exposition::{Exposition, Format, Labels, seconds};
use crate::telemetry::{Counter, Family, Kind, Measured, families as of};

/// Every metric of a program.
pub(super) fn page(status: &Status, format: Format) -> String {
    let mut page = Exposition::new(format);
    about(status, &mut page);
    ports(status, &mut page);
    for kind in [Kind::Received, Kind::Handled, Kind::RxDrop, Kind::Emitted, Kind::Sent, Kind::TxDrop] {
        counters(status, kind, &mut page);
    }
    lcores(status, &mut page);
    extended_statistics(status, &mut page);
    of::events().for_each(|event| queues(status, &Family::of_event(event), &[(event, &[])], &mut page));
    for exhibit in &status.exhibits {
        let mut samples = page.family(&exhibit.family);
        let label = exhibit.family.labels.first().copied().unwrap_or("member");
        exhibit.members.iter().for_each(|(value, measured)| match measured {
            Measured::Durations(durations) => {
                samples.add_durations(&[(label, value)], &durations.snapshot());
            }
            Measured::Number(read) => samples.add(&[(label, value)], read()),
        });
    }
    page.finish()
}

fn about(status: &Status, page: &mut Exposition) {
    let dpdk = crate::dpdk_version().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let what: Labels<'_> =
        &[("app", &status.app), ("version", &version), ("commit", &status.commit), ("dpdk", &dpdk)];
    page.family(&of::BUILD).add(what, 1);
    let started = status.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    page.family(&of::START_TIME).add(&[], started.as_secs_f64());
    page.family(&of::READY).add(&[], u8::from(status.serves()));
}

fn ports(status: &Status, page: &mut Exposition) {
    let mut samples = page.family(&of::PORT_INFO);
    for (number, port) in status.ports.iter().enumerate() {
        let about = &port.description;
        let numa_node = about.numa_node.map(|node| node.to_string()).unwrap_or_default();
        samples.add(
            &[
                ("port", &about.name),
                ("number", &number),
                ("driver", &about.driver),
                ("mac", &port.mac()),
                ("numa_node", &numa_node),
            ],
            1,
        );
    }
    let mut each = |family, value: &dyn Fn(&PortStatus) -> u64| {
        let mut samples = page.family(family);
        status.ports.iter().for_each(|port| samples.add(&[("port", &port.description.name)], value(port)));
    };
    each(&of::PORT_MTU, &|port| port.description.mtu.into());
    each(&of::PORT_QUEUES, &|port| port.description.queues as u64);
    each(&of::PORT_LINK_UP, &|port| port.is_link_up.load(Relaxed).into());
    each(&of::PORT_LINK_CHANGES, &|port| port.link_changes.load(Relaxed));
    each(&of::PORT_PRESENT, &|port| (!port.is_gone.load(Relaxed)).into());
    each(&of::PORT_LOSSES, &|port| port.losses.load(Relaxed));
    each(&of::PORT_RENEWALS, &|port| port.renewals.load(Relaxed));
}

/// The counters of a kind, those at zero too: a rate needs the beginning.
fn counters(status: &Status, kind: Kind, page: &mut Exposition) {
    let Some((family, label)) = of::family_of(kind) else { return };
    let of_kind = Counter::ALL.iter().filter(|counter| counter.kind() == kind);
    let named: Vec<_> =
        of_kind.map(|&counter| (counter, label.map(|label| (label, counter.name())))).collect();
    let members: Vec<_> = named.iter().map(|(counter, label)| (*counter, label.as_slice())).collect();
    queues(status, family, &members, page);
}

/// A family of counters of each queue. A member has a label of its own, or none.
fn queues(
    status: &Status,
    family: &Family,
    members: &[(Counter, &[(&str, &'static str)])],
    page: &mut Exposition,
) {
    let mut samples = page.family(family);
    for queue in &status.queues {
        let (values, port) = (queue.counters.snapshot(), status.port_name(queue.port));
        for (counter, own) in members {
            let queue: [(&str, &dyn Display); 2] = [("port", &port), ("lcore", &queue.lcore)];
            let own = own.iter().map(|(name, value)| (*name, value as &dyn Display));
            samples.add(&queue.into_iter().chain(own).collect::<Vec<_>>(), values[*counter]);
        }
    }
}

fn lcores(status: &Status, page: &mut Exposition) {
    let mut times = page.family(&of::LCORE_TIME);
    for worker in &status.lcores {
        let (lcore, now) = (&worker.lcore, worker.counters.snapshot());
        let polling = worker.polling_ticks(&now);
        let states = [("busy", now.busy_ticks), ("polling", polling), ("asleep", now.asleep_ticks)];
        for (state, ticks) in states {
            times.add(&[("lcore", lcore), ("state", &state)], ticks_in_seconds(&status.clock, ticks));
        }
    }
    let mut each = |family, value: &dyn Fn(&LcoreStatus) -> f64| {
        let mut samples = page.family(family);
        status.lcores.iter().for_each(|lcore| samples.add(&[("lcore", &lcore.lcore)], value(lcore)));
    };
    each(&of::LCORE_BUSY, &LcoreStatus::busy_ratio);
    each(&of::LCORE_CPU, &|lcore| seconds(lcore.counters.snapshot().cpu_ns));
    each(&of::LCORE_WAITS, &|lcore| lcore.counters.snapshot().waits as f64);
    each(&of::LCORE_WAKEUPS, &|lcore| lcore.counters.snapshot().wakeups as f64);
    each(&of::LCORE_MOVING, &|lcore| lcore.is_moving.load(Relaxed).into());
    each(&of::LCORE_STALLS, &|lcore| lcore.stalls.load(Relaxed) as f64);
    let mut turns = page.family(&of::LCORE_TURN);
    for LcoreStatus { lcore, counters, .. } in &status.lcores {
        turns.add_durations(&[("lcore", lcore)], &counters.busy_turns());
    }
}

fn ticks_in_seconds(clock: &Clock, ticks: u64) -> f64 {
    seconds(clock.time(ticks).as_nanos())
}

fn extended_statistics(status: &Status, page: &mut Exposition) {
    let mut samples = page.family(&of::EXTENDED);
    for port in &status.ports {
        for (name, value) in port.extended_statistics() {
            samples.add(&[("port", &port.description.name), ("name", &name)], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::launch::metrics::tests::status;
    use crate::telemetry::families;

    /// The families of a page, as it announces them.
    fn announced(page: &str) -> BTreeSet<(String, String)> {
        let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        lines.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
    }

    #[test]
    fn the_page_has_every_family_of_the_table_and_no_other() {
        let known =
            families().into_iter().map(|family| (family.name.into_owned(), family.kind.name().to_owned()));
        assert_eq!(announced(&page(&status(), Format::OpenMetrics)), known.collect());
    }

    #[test]
    fn every_sample_has_the_labels_of_its_family() {
        let page = page(&status(), Format::OpenMetrics);
        for family in families() {
            let name = family.sample_name();
            let samples: Vec<_> =
                page.lines().filter(|line| line.starts_with(&format!("{name}{{"))).collect();
            for sample in &samples {
                let labels: Vec<_> =
                    family.labels.iter().map(|label| sample.find(&format!("{label}=\""))).collect();
                assert!(labels.iter().all(Option::is_some) && labels.is_sorted(), "{family:?}: {sample}");
            }
            let is_bare = page.lines().any(|line| line.starts_with(&format!("{name} ")));
            let is_histogram = page.contains(&format!("{name}_bucket{{"));
            assert!(!samples.is_empty() || is_bare == family.labels.is_empty() || is_histogram, "{name}");
        }
    }

    #[test]
    fn counters_are_there_by_queue_and_name() {
        let status = status();
        status.queues[0].counters.add(Counter::Runt, 3);
        status.queues[0].counters.add(Counter::Sent, 4);
        status.queues[0].counters.add(Counter::EmptyPolls, 5);
        let page = page(&status, Format::OpenMetrics);
        for line in [
            "gannet_rx_dropped_packets_total{port=\"memory0\",lcore=\"1\",reason=\"runt\"} 3",
            "gannet_rx_dropped_packets_total{port=\"memory0\",lcore=\"1\",reason=\"not_our_ip\"} 0",
            "gannet_tx_packets_total{port=\"memory0\",lcore=\"1\"} 4",
            "gannet_empty_polls_total{port=\"memory0\",lcore=\"1\"} 5",
            "gannet_port_extended_statistic{port=\"memory0\",name=\"rx_good\"} 7",
            "gannet_ready 0",
        ] {
            assert!(page.lines().any(|said| said == line), "no '{line}': {page}");
        }
    }
}
