//! What lcores do while no packets come: they rest, wake for a frame and for the stop, and say so.
//!
//! No test asserts a time: what rests is compared with what does not, or its waits are counted.

mod common;

use std::thread;
use std::time::Duration;

use common::client::Tally;
use common::echo::{ADDRESS, TO, balanced, echoed, number, one_lcore, several_lcores, start};
use common::{Lab, Program, Scratch, cpus, script, turn};
use serde_json::Value;

const WIRE: &str = "--io af_packet:near0";
/// Waits that nothing ends come a hundred times a second.
const MANY: u64 = 5_000;

/// What the lcores of a report did with their time.
fn figures<'a>(report: &'a Value, name: &'a str) -> impl Iterator<Item = u64> + 'a {
    report["lcores"].as_array().expect("lcores").iter().map(move |lcore| number(&lcore[name]))
}

fn sum(report: &Value, name: &str) -> u64 {
    figures(report, name).sum()
}

#[test]
fn an_idle_lcore_leaves_its_cpu_to_others() {
    Lab::with("an_idle_lcore_leaves_its_cpu_to_others", |lab| {
        let run = |policy: &str| {
            let arguments = format!("{ADDRESS} --idle {policy} --duration 1s");
            let report = balanced(&lab.scratch, &start(lab, &one_lcore(), WIRE, &arguments).end());
            assert!(sum(&report, "ticks") > sum(&report, "busy_ticks"), "{report:#}");
            (sum(&report, "cpu_ns"), sum(&report, "waits"))
        };
        let (adaptive, sleep) = (run("adaptive"), run("sleep"));
        for policy in ["spin", "pause"] {
            let (cpu, waits) = run(policy);
            assert_eq!(waits, 0, "{policy} never waits");
            for (rested, rests) in [adaptive, sleep] {
                assert!(rests > 0 && cpu > 5 * rested, "{policy}: {cpu} ns, at rest {rested} ns");
            }
        }
    });
}

#[test]
fn frames_wake_an_lcore_that_waits() {
    Lab::with("frames_wake_an_lcore_that_waits", |lab| {
        for faults in ["", "--fault duplicate=1%,seed=7"] {
            let arguments = format!("{ADDRESS} --guard off {faults}");
            let mut engine = start(lab, &one_lcore(), WIRE, &arguments);
            engine.ready();
            for _ in 0..20 {
                thread::sleep(Duration::from_millis(50));
                assert_eq!(lab.far.udp_client(TO, 1).answered, 1);
            }
            let report = balanced(&lab.scratch, &engine.stop("TERM"));
            assert!(sum(&report, "wakeups") >= 20, "{report:#}");
            assert!(sum(&report, "busy_ticks") > 0 && sum(&report, "asleep_ticks") > 0, "{report:#}");
        }
    });
}

#[test]
fn each_policy_answers_every_datagram() {
    Lab::with("each_policy_answers_every_datagram", |lab| {
        for policy in ["spin", "pause", "sleep", "adaptive"] {
            let arguments = format!("{ADDRESS} --idle {policy} --stats 10ms");
            let mut engine = start(lab, &several_lcores(2), WIRE, &arguments);
            engine.ready();
            assert_eq!(lab.far.udp_client(TO, 500), Tally::all(500));
            let ended = engine.stop("TERM");
            let report = balanced(&lab.scratch, &ended);
            echoed(&report, 500);
            assert_eq!(figures(&report, "lcore").collect::<Vec<_>>(), [1, 2]);
            for text in [" lcore 1 (busy ", " lcore 2 (busy ", "\nlcore 1: busy ", "\nlcore 2: busy "] {
                assert!(ended.stdout.contains(text), "no '{text}': {ended:#?}");
            }
        }
    });
}

#[test]
fn sigterm_wakes_lcores_that_wait() {
    Lab::with("sigterm_wakes_lcores_that_wait", |lab| {
        for lcores in [one_lcore(), several_lcores(2)] {
            let mut engine = start(lab, &lcores, WIRE, &format!("{ADDRESS} --idle sleep"));
            engine.ready();
            thread::sleep(Duration::from_millis(200));
            // That it stops within a second is looked at there.
            let report = balanced(&lab.scratch, &engine.stop("TERM"));
            assert!(figures(&report, "waits").all(|waits| waits > 0), "{report:#}");
        }
    });
}

/// The kernel notes an error for the socket, which would end each wait at once.
#[test]
fn a_link_that_goes_down_lets_lcores_rest() {
    Lab::with("a_link_that_goes_down_lets_lcores_rest", |lab| {
        let mut engine = start(lab, &one_lcore(), WIRE, ADDRESS);
        engine.ready();
        assert_eq!(lab.far.udp_client(TO, 10), Tally::all(10));
        lab.near.ip("link set near0 down");
        thread::sleep(Duration::from_secs(1));
        lab.near.ip("link set near0 up");
        assert_eq!(lab.far.udp_client(TO, 10), Tally::all(10));
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        assert!(sum(&report, "waits") < MANY, "{report:#}");
    });
}

/// With no descriptor at all, and no rights: what is replayed is never waited for.
#[test]
fn a_replay_is_not_slept_through() {
    let _turn = turn();
    let folder = Scratch::new();
    let mut make = std::process::Command::new("python3");
    make.arg(script("udp_pcap.py")).args("make in.pcap --count 1000 --to 10.77.0.1:7".split(' '));
    make.args(["--mac", "02:00:00:00:77:01"]).current_dir(folder.path());
    assert_eq!(Program::start(&mut make).end().code, Some(0));
    let lcores = format!("-l {}", cpus()[0]);
    let arguments = format!("echo {lcores} -- --io pcap:in.pcap {ADDRESS} --idle sleep --json report.json");
    let mut command = folder.run_in(common::program::gannet(&arguments));
    let report = balanced(&folder, &Program::start(&mut command).end());
    echoed(&report, 1000);
    assert!(sum(&report, "waits") < 1000, "{report:#}");
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use common::echo::{eal, tap, with_tun};

    use super::*;

    #[test]
    fn a_frame_wakes_an_lcore_that_waits_for_a_tap() {
        with_tun("a_frame_wakes_an_lcore_that_waits_for_a_tap", |lab| {
            let eal = eal(&one_lcore(), "--vdev=net_tap0,iface=dtap0");
            let mut engine = start(lab, &eal, "", ADDRESS);
            engine.ready();
            tap(lab);
            for _ in 0..20 {
                thread::sleep(Duration::from_millis(50));
                assert_eq!(lab.near.udp_client(TO, 1), Tally::all(1));
            }
            let ended = engine.stop("TERM");
            assert!(ended.stdout.contains("RX interrupts granted"), "{ended:#?}");
            let report = balanced(&lab.scratch, &ended);
            assert!(sum(&report, "wakeups") >= 20 && sum(&report, "waits") < MANY, "{report:#}");
        });
    }

    /// Nothing tells of its frames, so that it looks for them by itself.
    #[test]
    fn an_lcore_sleeps_on_a_device_without_interrupts() {
        Lab::with("an_lcore_sleeps_on_a_device_without_interrupts", |lab| {
            let eal = eal(&one_lcore(), "--vdev=net_af_packet0,iface=near0");
            let mut engine = start(lab, &eal, "", ADDRESS);
            engine.ready();
            assert_eq!(lab.far.udp_client(TO, 100), Tally::all(100));
            thread::sleep(Duration::from_millis(200));
            assert_eq!(lab.far.udp_client(TO, 100), Tally::all(100));
            let ended = engine.stop("TERM");
            assert!(ended.stdout.contains("RX interrupts refused"), "{ended:#?}");
            assert!(!ended.stderr.contains("Rx Intr"), "{ended:#?}");
            let report = balanced(&lab.scratch, &ended);
            echoed(&report, 200);
            assert!(sum(&report, "waits") > 0 && sum(&report, "wakeups") <= 1, "{report:#}");
        });
    }
}
