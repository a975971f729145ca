//! The report of `gannet echo`, and whether it balances.

use serde_json::Value;

use super::{Ended, Scratch};

/// The report of a run that ended well, whose books and pools balance.
#[track_caller]
pub(crate) fn balanced(folder: &Scratch, ended: &Ended) -> Value {
    balanced_in(folder, "report.json", ended)
}

/// The same of a report in that file.
#[track_caller]
pub(crate) fn balanced_in(folder: &Scratch, file: &str, ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("balance: every packet is explained, every buffer is back"), "{ended:#?}");
    let report = folder.json(file);
    assert_eq!(report["app"], "echo");
    for side in ["rx_unexplained", "tx_unexplained"] {
        assert_eq!(report["balance"][side], 0, "{report:#}");
    }
    assert!(report["balanced"] == true && report["pools_balanced"] == true, "{report:#}");
    let pools: Vec<_> = ports(&report).flat_map(|port| port["pools"].as_array().expect("pools")).collect();
    assert!(!pools.is_empty() && pools.iter().all(|pool| pool["free"] == pool["size"]), "{report:#}");
    // Every counter's total is the sum over the lcores.
    for (name, total) in report["totals"].as_object().expect("counters") {
        let sum: u64 = queues(&report).map(|(queue, _)| number(&queue["counters"][name])).sum();
        assert_eq!(number(total), sum, "{name}");
    }
    report
}

pub(crate) fn count(report: &Value, counter: &str) -> u64 {
    number(&report["totals"][counter])
}

pub(crate) fn ports(report: &Value) -> impl Iterator<Item = &Value> {
    report["ports"].as_array().expect("ports").iter()
}

/// Each queue, and the datagrams that came to the service by it.
pub(crate) fn queues(report: &Value) -> impl Iterator<Item = (&Value, u64)> {
    let queues = report["queues"].as_array().expect("queues").iter();
    queues.map(|queue| (queue, number(&queue["counters"]["delivered"])))
}

#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}
