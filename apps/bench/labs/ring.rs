//! `ring`: an echo with no wire but DPDK's rings, one lcore, 992 frames in flight.
//!
//! testpmd has one ring that feeds itself, and makes its frames with `tx_first`: one flow of
//! 64 bytes without UDP checksums. It looks at nothing but the headers that it swaps, so it
//! stands for itself where ours has many flows or a mix of frames. Ours verifies UDP checksums throughout: a host
//! fills the one that a request lacks, so that there are none without after the first round.

use std::process::Command;

use gannet::wire::plain::{KERNEL_VARIABLE, Kernel};

use super::{Bench, Cpus, needs_dpdk};
use crate::bench::bars::{Bar, Of, Wanted};
use crate::bench::failure::Failure;
use crate::bench::measure::Measure;
use crate::bench::pairs::{Case, Subject, Values};
use crate::bench::peer::testpmd::{Counted, Testpmd};
use crate::bench::process::{json_of, number, ourselves};

/// Memory for the EAL in MiB.
const MEMORY: u32 = 256;
pub(crate) const AVX512: &str = "gannet echo, AVX-512";
pub(crate) const AVX2: &str = "gannet echo, AVX2";
pub(crate) const SSSE3: &str = "gannet echo, SSSE3";
pub(crate) const PORTABLE: &str = "gannet echo, portable";
pub(crate) const WIDE_VECTORS: &str = "by hand, AVX-512";
pub(crate) const VECTORS: &str = "by hand, AVX2";
pub(crate) const SCALAR: &str = "by hand, one by one";
pub(crate) const FIVE_TUPLE_SWAP: &str = "testpmd 5tswap";
const MAC_SWAP: &str = "testpmd macswap";
const IO: &str = "testpmd io";
/// The name of the vector kernel that Debian's DPDK is built for the like of: x86-64-v2.
const BASELINE: &str = "ssse3";

/// What is wanted. The loop by hand is the faster one of each case.
pub(super) const BARS: &[Bar] = &[
    Bar {
        what: "with the IPv4 header checksum, on the baseline ISA (the UDP checksum is verified as well)",
        case: "64 B",
        measure: Measure::Ticks,
        of: Of::Ratio(SSSE3, FIVE_TUPLE_SWAP),
        wanted: Wanted::AtLeast(2.0),
    },
    Bar {
        what: "the same with AVX2 (the UDP checksum is verified as well)",
        case: "64 B",
        measure: Measure::Ticks,
        of: Of::Ratio(AVX2, FIVE_TUPLE_SWAP),
        wanted: Wanted::AtLeast(2.5),
    },
    Bar {
        what: "the same with AVX-512, which is used where there is one",
        case: "64 B",
        measure: Measure::Ticks,
        of: Of::Ratio(AVX512, FIVE_TUPLE_SWAP),
        wanted: Wanted::AtLeast(2.5),
    },
    Bar {
        what: "with the UDP checksum on top, on the baseline ISA",
        case: "64 B",
        measure: Measure::Ticks,
        of: Of::Ratio(SSSE3, FIVE_TUPLE_SWAP),
        wanted: Wanted::AtLeast(1.5),
    },
    Bar {
        what: "what Service and Host cost: 5 % at most",
        case: "64 B",
        measure: Measure::Ticks,
        of: Of::Ratio(AVX2, VECTORS),
        wanted: Wanted::AtLeast(0.952),
    },
    Bar {
        what: "the same with AVX-512: 5 % at most",
        case: "64 B",
        measure: Measure::Ticks,
        of: Of::Ratio(AVX512, WIDE_VECTORS),
        wanted: Wanted::AtLeast(0.952),
    },
    Bar {
        what: "what Service and Host cost: 5 % at most",
        case: "mix",
        measure: Measure::Ticks,
        of: Of::Ratio(AVX2, SCALAR),
        wanted: Wanted::AtLeast(0.952),
    },
];

pub(super) fn cases(bench: &Bench) -> Result<Vec<Case<'_>>, Failure> {
    needs_dpdk()?;
    const ONE: &[&str] = &["--traffic", "one"];
    let mut first = case(bench, "64 B", ONE);
    first.noise = Some(FIVE_TUPLE_SWAP);
    // The mix has no frames alike, and AVX-512 is for these alone.
    first.subjects.extend([
        Subject::new(AVX512, || echo(bench, "gannet", "avx512", ONE)),
        Subject::new(WIDE_VECTORS, || echo(bench, "vectors", "avx512", ONE)),
        Subject::new(PORTABLE, || echo(bench, "gannet", "portable", ONE)),
        Subject::new(MAC_SWAP, || testpmd(bench, "macswap")),
        Subject::new(IO, || testpmd(bench, "io")),
    ]);
    first.ratios.extend([(AVX512, FIVE_TUPLE_SWAP), (AVX512, AVX2), (AVX512, WIDE_VECTORS)]);
    first.ratios.extend([(PORTABLE, FIVE_TUPLE_SWAP), (AVX2, MAC_SWAP), (AVX2, IO)]);
    Ok(vec![first, many_flows(bench), case(bench, "mix", &["--traffic", "mix"])])
}

/// What differs from frame to frame then is no more than a port.
fn many_flows(bench: &Bench) -> Case<'_> {
    let ours =
        |name, kernel| Subject::new(name, move || echo(bench, "gannet", kernel, &["--traffic", "flows"]));
    Case {
        name: "64 B, 4,096 flows",
        subjects: vec![
            ours(AVX2, "avx2"),
            Subject::new(FIVE_TUPLE_SWAP, || testpmd(bench, "5tswap")),
            ours(SSSE3, BASELINE),
            ours(AVX512, "avx512"),
        ],
        ratios: [AVX2, SSSE3, AVX512].map(|ours| (ours, FIVE_TUPLE_SWAP)).into(),
        noise: None,
        times: 1,
    }
}

fn case<'a>(bench: &'a Bench, name: &'static str, traffic: &'static [&'static str]) -> Case<'a> {
    let ours = |name, runs, kernel| Subject::new(name, move || echo(bench, runs, kernel, traffic));
    Case {
        name,
        subjects: vec![
            ours(AVX2, "gannet", "avx2"),
            Subject::new(FIVE_TUPLE_SWAP, || testpmd(bench, "5tswap")),
            ours(SSSE3, "gannet", BASELINE),
            ours(VECTORS, "vectors", "avx2"),
            ours(SCALAR, "plain", "avx2"),
        ],
        ratios: vec![(AVX2, FIVE_TUPLE_SWAP), (SSSE3, FIVE_TUPLE_SWAP), (AVX2, VECTORS), (AVX2, SCALAR)],
        noise: None,
        times: 1,
    }
}

/// Ours, in a process of its own, since DPDK starts once per process.
fn echo(bench: &Bench, runs: &str, kernel: &str, traffic: &[&str]) -> Result<Values, Failure> {
    if Kernel::named(kernel).is_err() {
        return Err(Failure::Skip(format!("this processor has no {}", kernel.to_uppercase())));
    }
    let rate = ring_rate(bench, runs, Some(kernel), traffic, 1)?;
    Ok(vec![(Measure::Ticks, bench.ticks(rate)?), (Measure::Rate, rate / 1e6)])
}

/// Frames in a second, of all `wires` together, with that vector kernel or the best.
pub(super) fn ring_rate(
    bench: &Bench,
    runs: &str,
    kernel: Option<&str>,
    traffic: &[&str],
    wires: u32,
) -> Result<f64, Failure> {
    let eal = format!("--eal={} --no-shconf", bench.cpus.eal(MEMORY));
    let mut command = Command::new(ourselves()?);
    command.args(["bench", "subject", "ring", "--loop", runs, "--wires", &wires.to_string(), &eal]);
    command.args(["--seconds", &bench.seconds.as_secs_f64().to_string()]).args(traffic);
    command.envs(kernel.map(|kernel| (KERNEL_VARIABLE, kernel)));
    let result = json_of(&mut command)?;
    Ok(number(&result, "/packets")? / number(&result, "/seconds")?)
}

fn testpmd(bench: &Bench, mode: &str) -> Result<Values, Failure> {
    let words = words(bench.cpus, mode);
    let mut testpmd = Testpmd::start(Command::new("dpdk-testpmd"), &words)?;
    testpmd.command("start tx_first 31")?;
    std::thread::sleep(WARM_UP);
    let rate = testpmd.measure(Counted::Received, bench.seconds)?;
    Ok(vec![(Measure::Ticks, bench.ticks(rate)?), (Measure::Rate, rate / 1e6)])
}

/// As long as ours.
const WARM_UP: std::time::Duration = std::time::Duration::from_millis(100);

fn words(cpus: Cpus, mode: &str) -> Vec<String> {
    let own = format!("--vdev=net_ring0 -- -i --forward-mode={mode} --nb-cores=1 --total-num-mbufs=8192");
    let words = format!("{} {own}", cpus.eal(MEMORY));
    words.split(' ').map(str::to_owned).collect()
}
