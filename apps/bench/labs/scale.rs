//! `scale`: one lcore against two, each with a ring wire of its own, as in the lab `ring`, or
//! both on one port.

use super::echo::Load;
use super::veth::{self, Who};
use super::{Bench, needs_dpdk, ring};
use crate::bench::bars::{Bar, Of, Wanted};
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::pairs::{Case, Subject, Values};

const ONE: &str = "gannet echo, one lcore";
const TWO: &str = "gannet echo, two lcores";

const SHORT: &str = "a wire each, 64 B";
const SHARED: &str = "one port for both, af_packet";
const MIX: &str = "a wire each, mix";

/// What is wanted.
pub(super) const BARS: &[Bar] = &[
    Bar {
        what: "two lcores over one",
        case: SHORT,
        measure: Measure::Rate,
        of: Of::Ratio(TWO, ONE),
        wanted: Wanted::AtLeast(1.9),
    },
    Bar {
        what: "two lcores over one",
        case: MIX,
        measure: Measure::Rate,
        of: Of::Ratio(TWO, ONE),
        wanted: Wanted::AtLeast(1.9),
    },
    Bar {
        what: "two lcores over one",
        case: SHARED,
        measure: Measure::Rate,
        of: Of::Ratio(TWO, ONE),
        wanted: Wanted::AtLeast(1.9),
    },
];

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    needs_dpdk()?;
    if bench.cpus.main == bench.cpus.worker {
        return Err(Failure::Skip("two lcores want two CPUs".to_owned()));
    }
    let case = |name, traffic: &'static [&'static str]| Case {
        name,
        subjects: vec![
            Subject::new(ONE, move || rate(bench, traffic, 1)),
            Subject::new(TWO, move || rate(bench, traffic, 2)),
        ],
        ratios: vec![(TWO, ONE)],
        noise: Some(ONE),
        times: 1,
    };
    let shared = Case {
        name: SHARED,
        subjects: vec![
            Subject::new(ONE, || shared_rate(bench, Who::Native)),
            Subject::new(TWO, || shared_rate(bench, Who::NativePair)),
        ],
        ratios: vec![(TWO, ONE)],
        noise: None,
        times: 1,
    };
    Ok(vec![case(SHORT, &["--traffic", "one"]), case(MIX, &["--traffic", "mix"]), shared])
}

/// Packets in a second of all lcores together.
fn rate(bench: &Bench, traffic: &[&str], wires: u32) -> Result<Values, Failure> {
    Ok(vec![(Measure::Rate, ring::ring_rate(bench, "gannet", None, traffic, wires)? / 1e6)])
}

/// Packets that come back in a second over a port of several queues. Rings have one; the ports
/// that have more are the kernel's, where the load comes from a core of its own.
fn shared_rate(bench: &Bench, who: Who) -> Result<Values, Failure> {
    if bench.cpus.second.is_none() {
        let why = "two lcores on a port of the kernel's and the load for them want three CPUs";
        return Err(Failure::Skip(why.to_owned()));
    }
    veth::run(bench, who, Load::FlatOut)?.saturated(bench)
}
