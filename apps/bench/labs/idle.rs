//! `idle`: what rest costs. CPU while nothing comes, and how late a packet finds its service, where a
//! descriptor tells of packets and where none does.

use std::process::Command;

use serde_json::Value;

use super::Bench;
use crate::bench::bars::{Bar, Of, Wanted};
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::network::Namespace;
use crate::bench::pairs::{Case, Subject, Values};
use crate::bench::process::{json_of, number, ourselves};

const EVENTFD: &str = "a thread on an eventfd";
const AF_PACKET: &str = "gannet worker, af_packet";
/// The longest sleeps of a worker that no descriptor tells, in microseconds.
const SLEEPS: [(&str, &str); 4] = [
    ("gannet worker, sleeps to 50 us", "50"),
    ("gannet worker, sleeps to 250 us", "250"),
    ("gannet worker, sleeps to 1 ms", "1000"),
    ("gannet worker, sleeps to 5 ms", "5000"),
];

const TOLD: &str = "told by a descriptor";

/// What is wanted.
pub(super) const BARS: &[Bar] = &[
    Bar {
        what: "CPU of a worker that rests",
        case: TOLD,
        measure: Measure::Cpu,
        of: Of::Row(AF_PACKET),
        wanted: Wanted::AtMost(1.0),
    },
    Bar {
        what: "wake-up, twice that of a bare eventfd at most",
        case: TOLD,
        measure: Measure::WakeupP99,
        of: Of::Ratio(AF_PACKET, EVENTFD),
        wanted: Wanted::AtLeast(0.5),
    },
];

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    let sleeps = SLEEPS.map(|(name, micros)| {
        let measure =
            move || receiver(bench, Command::new(ourselves()?), "memory", "20", &["--sleep", micros]);
        Subject::new(name, measure)
    });
    Ok(vec![
        Case {
            name: TOLD,
            subjects: vec![
                Subject::new(AF_PACKET, || on_wire(bench)),
                Subject::new(EVENTFD, || receiver(bench, Command::new(ourselves()?), "eventfd", "5", &[])),
            ],
            ratios: vec![(AF_PACKET, EVENTFD)],
            noise: Some(EVENTFD),
            times: 1,
        },
        Case { name: "no descriptor", subjects: sleeps.into(), ratios: Vec::new(), noise: None, times: 1 },
    ])
}

/// Both ends of a wire are in one namespace, and the kernel has the far one's address.
fn on_wire(bench: &Bench) -> Result<Values, Failure> {
    let namespace = Namespace::new()?;
    namespace.ip("link add near0 type veth peer name far0")?;
    namespace.ip("link set near0 up")?;
    namespace.ip("link set far0 up")?;
    namespace.ip("addr add 10.77.0.2/24 dev far0")?;
    receiver(bench, namespace.command(ourselves()?), "af-packet", "5", &[])
}

fn receiver(
    bench: &Bench,
    mut command: Command,
    receiver: &str,
    gap: &str,
    more: &[&str],
) -> Result<Values, Failure> {
    command.args(["bench", "subject", "idle", "--receiver", receiver, "--gap", gap]).args(more);
    command.args(["--seconds", &bench.seconds.as_secs_f64().to_string()]);
    command.args(["--cpu", &bench.cpus.worker.to_string(), "--sender-cpu", &bench.cpus.main.to_string()]);
    values(&json_of(&mut command)?)
}

fn values(figures: &Value) -> Result<Values, Failure> {
    Ok(vec![
        (Measure::Cpu, number(figures, "/cpu")?),
        (Measure::WakeupP50, number(figures, "/wakeup_ns/p50")? / 1e3),
        (Measure::WakeupP99, number(figures, "/wakeup_ns/p99")? / 1e3),
    ])
}
