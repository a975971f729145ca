//! What `/gannet/…` answers on DPDK's telemetry socket: the metrics, for `dpdk-telemetry.py`.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use super::status::{LcoreStatus, PortStatus, QueueStatus, Status};
use crate::port::dpdk::telemetry::{Answer, Registered, Value, register};
use crate::telemetry::{Counter, Kind, LcoreSnapshot, Snapshot};

/// The commands, and what their help says.
const COMMANDS: &[(&CStr, &CStr)] = &[
    (c"/gannet/info", c"What runs, and since when"),
    (c"/gannet/counters", c"All counters. Parameters: a port's number (optional), an lcore (optional)"),
    (c"/gannet/drops", c"The reasons of drops that are not zero. Parameters: as of /gannet/counters"),
    (c"/gannet/lcores", c"The worker lcores"),
    (c"/gannet/lcore", c"What an lcore did with its time. Parameters: the lcore"),
    (c"/gannet/turns", c"How many turns of an lcore took how long, in nanoseconds. Parameters: the lcore"),
    (c"/gannet/ports", c"The ports by number"),
    (c"/gannet/port", c"What a port is. Parameters: its number"),
    (c"/gannet/xstats", c"A device's own statistics, 256 at a time. Parameters: the port's number, how many to skip (optional)"),
];

/// What a dictionary of DPDK's telemetry holds.
const MOST_ENTRIES: usize = 256;

/// Answers as long as what it gives lives.
pub(super) fn serve(status: &Arc<Status>) -> Registered {
    let status = Arc::clone(status);
    register(COMMANDS, Arc::new(move |command: &str, parameters: &str| answer(&status, command, parameters)))
}

fn answer(status: &Status, command: &str, parameters: &str) -> Option<Answer> {
    let numbers = parameters.split(',').filter(|number| !number.is_empty()).map(str::parse::<u32>);
    let numbers: Vec<_> = numbers.collect::<Result<_, _>>().ok()?;
    let first = numbers.first().copied();
    match command.strip_prefix("/gannet/")? {
        "info" => Some(Answer::Dict(info(status))),
        "counters" => Some(counters(&sum(status, &numbers)?, |_, _| true)),
        "drops" => Some(counters(&sum(status, &numbers)?, |counter, value| {
            value != 0 && matches!(counter.kind(), Kind::RxDrop | Kind::TxDrop)
        })),
        "lcores" => Some(Answer::Numbers(status.lcores.iter().map(|worker| worker.lcore.0.into()).collect())),
        "lcore" => Some(Answer::Dict(lcore(find(status, first?)?))),
        "turns" => Some(Answer::Dict(turns(find(status, first?)?))),
        "ports" => {
            let names = status.ports.iter().map(|port| port.description.name.clone());
            Some(Answer::Texts(names.collect()))
        }
        "port" => Some(Answer::Dict(port(status.ports.get(first? as usize)?))),
        "xstats" => {
            let statistics = status.ports.get(first? as usize)?.extended_statistics();
            let skipped = numbers.get(1).map_or(0, |skipped| *skipped as usize);
            let page = statistics.into_iter().skip(skipped).take(MOST_ENTRIES);
            Some(Answer::Dict(page.map(|(name, value)| (name, Value::Number(value))).collect()))
        }
        _ => None,
    }
}

fn find(status: &Status, lcore: u32) -> Option<&LcoreStatus> {
    status.lcores.iter().find(|worker| worker.lcore.0 == lcore)
}

fn text(name: &str, value: impl ToString) -> (String, Value) {
    (name.to_owned(), Value::Text(value.to_string()))
}

fn number(name: impl ToString, value: impl Into<u64>) -> (String, Value) {
    (name.to_string(), Value::Number(value.into()))
}

fn info(status: &Status) -> Vec<(String, Value)> {
    let seconds =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    vec![
        text("app", status.app),
        text("version", env!("CARGO_PKG_VERSION")),
        text("commit", status.commit),
        text("dpdk", crate::dpdk_version().unwrap_or_default()),
        number("start_time_seconds", seconds(status.started)),
        number("ready", status.serves()),
    ]
}

/// The sum over the queues of a port, if one is named, and of an lcore, if one is. `None` where there are
/// none.
fn sum(status: &Status, numbers: &[u32]) -> Option<Snapshot> {
    let is_meant = |queue: &&QueueStatus| {
        let (port, lcore) = (numbers.first(), numbers.get(1));
        port.is_none_or(|port| *port == u32::from(queue.port.0))
            && lcore.is_none_or(|lcore| *lcore == queue.lcore.0)
    };
    let mut queues = status.queues.iter().filter(is_meant).map(|queue| queue.counters.snapshot());
    let first = queues.next()?;
    Some(queues.fold(first, |mut sum, queue| {
        sum += &queue;
        sum
    }))
}

fn counters(values: &Snapshot, is_shown: impl Fn(Counter, u64) -> bool) -> Answer {
    let all = Counter::ALL.iter().map(|&counter| (counter, values[counter]));
    let shown = all.filter(|&(counter, value)| is_shown(counter, value));
    Answer::Dict(shown.map(|(counter, value)| number(counter.name(), value)).collect())
}

fn lcore(worker: &LcoreStatus) -> Vec<(String, Value)> {
    let LcoreSnapshot { ticks, busy_ticks, asleep_ticks, waits, wakeups, cpu_ns } =
        worker.counters.snapshot();
    vec![
        number("ticks", ticks),
        number("busy_ticks", busy_ticks),
        number("asleep_ticks", asleep_ticks),
        number("busy_per_mille", (worker.busy_ratio() * 1000.0) as u64),
        number("waits", waits),
        number("wakeups", wakeups),
        number("cpu_ns", cpu_ns),
        number("moving", worker.is_moving.load(Relaxed)),
        number("stalls", worker.stalls.load(Relaxed)),
    ]
}

/// How many took no longer than each bound, then how many there were and their sum.
fn turns(worker: &LcoreStatus) -> Vec<(String, Value)> {
    let turns = worker.counters.busy_turns();
    let bounds = turns.cumulated().map(|(bound, count)| number(format!("le_{bound}"), count));
    bounds.chain([number("count", turns.count()), number("sum_ns", turns.nanos())]).collect()
}

fn port(port: &PortStatus) -> Vec<(String, Value)> {
    let about = &port.description;
    vec![
        text("name", &about.name),
        text("driver", &about.driver),
        text("mac", port.mac()),
        number("mtu", about.mtu),
        number("queues", about.queues as u64),
        number("link_up", port.is_link_up.load(Relaxed)),
        number("link_changes", port.link_changes.load(Relaxed)),
        number("present", !port.is_gone.load(Relaxed)),
        number("losses", port.losses.load(Relaxed)),
        number("renewals", port.renewals.load(Relaxed)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::metrics::tests::status;

    fn value(answer: Option<Answer>, wanted: &str) -> Option<Value> {
        let Some(Answer::Dict(entries)) = answer else { panic!("no dict: {answer:?}") };
        entries.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
    }

    #[test]
    fn each_command_answers_and_nonsense_does_not() {
        let status = status();
        let ask = |command, parameters| answer(&status, command, parameters);
        status.queues[0].counters.add(Counter::Runt, 3);
        status.lcores[0].counters.turns(1, 10, 100, true);
        let three = Some(Value::Number(3));
        for parameters in ["", "0", "0,1"] {
            assert_eq!(value(ask("/gannet/counters", parameters), "runt"), three);
            assert_eq!(value(ask("/gannet/counters", parameters), "sent"), Some(Value::Number(0)));
            assert_eq!(ask("/gannet/drops", parameters), Some(Answer::Dict(vec![number("runt", 3_u64)])));
        }
        assert_eq!(value(ask("/gannet/info", ""), "app"), Some(Value::Text("echo".to_owned())));
        assert_eq!(ask("/gannet/lcores", ""), Some(Answer::Numbers(vec![1])));
        assert_eq!(value(ask("/gannet/lcore", "1"), "busy_ticks"), Some(Value::Number(10)));
        assert_eq!(value(ask("/gannet/turns", "1"), "le_128"), Some(Value::Number(1)));
        assert_eq!(ask("/gannet/ports", ""), Some(Answer::Texts(vec!["memory0".to_owned()])));
        assert_eq!(value(ask("/gannet/port", "0"), "mtu"), Some(Value::Number(1500)));
        assert_eq!(value(ask("/gannet/xstats", "0"), "rx_good"), Some(Value::Number(7)));
        for (command, parameters) in [
            ("/gannet/counters", "1"),
            ("/gannet/counters", "0,2"),
            ("/gannet/counters", "x"),
            ("/gannet/lcore", ""),
            ("/gannet/lcore", "7"),
            ("/gannet/port", "-1"),
            ("/gannet/nothing", ""),
            ("/other", ""),
        ] {
            assert_eq!(ask(command, parameters), None, "{command},{parameters}");
        }
    }

    #[test]
    fn extended_statistics_come_in_pages() {
        let status = status();
        let all = (0..600_u64).map(|number| (format!("q{number}"), number));
        status.ports[0].set_extended_statistics(all.collect());
        let page = |parameters| match answer(&status, "/gannet/xstats", parameters) {
            Some(Answer::Dict(entries)) => (entries.len(), entries.first().map(|(name, _)| name.clone())),
            other => panic!("{other:?}"),
        };
        let name = |number| Some(format!("q{number}"));
        assert_eq!(
            [page("0"), page("0,256"), page("0,512")],
            [(256, name(0)), (256, name(256)), (88, name(512))]
        );
        assert_eq!(page("0,600"), (0, None));
    }

    #[test]
    fn every_command_is_one_that_answers() {
        let status = status();
        for (command, _) in COMMANDS {
            let command = command.to_str().expect("plain");
            let is_answered =
                ["", "0", "1"].iter().any(|parameters| answer(&status, command, parameters).is_some());
            assert!(is_answered, "{command}");
        }
    }
}
