//! `gannet echo` on the wire, with the kernel's own UDP, ping and arping as its peers.
//!
//! These tests take root, but for those on captures. Without it they print
//! `skipped: NAME: REASON` and pass, but for `CI=true`, where a skip is a failure.

mod common;

use std::process::Command;

use common::client::Tally;
use common::echo::{
    ADDRESS, TO, balanced, count, echoed, mac, number, one_lcore, queues, several_lcores, start,
};
use common::network::Namespace;
use common::program::gannet;
use common::{Ended, Lab, Program, Scratch, script, turn};
use serde_json::Value;

/// Odd, so that dealing frames out in turn would not look like keeping flows together.
const FLOWS: usize = 25;
/// What each flow sends: no lcore's share is a multiple of it unless it has whole flows.
const EACH: usize = 101;

// ---- AF_PACKET ---------------------------------------------------------------------

#[test]
fn af_packet_answers_every_datagram() {
    Lab::with("af_packet_answers_every_datagram", |lab| {
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", ADDRESS);
        assert_eq!(engine.ready(), "ready: echo on af_packet near0, 1 queue, 10.77.0.1:7");
        assert_eq!(lab.far.udp_client(TO, 10_000), Tally::all(10_000));
        lab.far.run("ping", ["-c", "3", "-i", "0.2", "-W", "2", "10.77.0.1"]);
        lab.far.run("ping", ["-c", "1", "-s", "1472", "-W", "2", "10.77.0.1"]);
        lab.far.run("arping", ["-c", "3", "-i", "far0", "10.77.0.1"]);
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        echoed(&report, 10_000);
        assert_eq!(count(&report, "echo_answered"), 4);
        assert!(count(&report, "arp_answered") >= 3);
    });
}

#[test]
fn sigint_stops_as_sigterm_does() {
    Lab::with("sigint_stops_as_sigterm_does", |lab| {
        // One lcore alone, and one beside the main one.
        for lcores in [one_lcore(), several_lcores(1)] {
            for signal in ["INT", "TERM"] {
                let mut engine = start(lab, &lcores, "--io af_packet:near0", ADDRESS);
                engine.ready();
                assert_eq!(lab.far.udp_client(TO, 100), Tally::all(100));
                echoed(&balanced(&lab.scratch, &engine.stop(signal)), 100);
            }
        }
    });
}

#[test]
fn a_duration_ends_by_itself_with_lines_of_statistics() {
    Lab::with("a_duration_ends_by_itself_with_lines_of_statistics", |lab| {
        let run = format!("{ADDRESS} --duration 1500ms --stats 200ms");
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", &run);
        engine.ready();
        assert_eq!(lab.far.udp_client(TO, 1000), Tally::all(1000));
        lab.far.socket("10.77.0.2:0").send_to(b"closed", "10.77.0.1:8").expect("sent");
        let ended = engine.end();
        let report = balanced(&lab.scratch, &ended);
        echoed(&report, 1000);
        assert_eq!(count(&report, "icmp_error_sent"), 1, "of the closed port: {report:#}");
        let seconds = report["seconds"].as_f64().expect("a number");
        assert!((1.4..3.0).contains(&seconds), "{seconds} s");

        let lines: Vec<_> = ended.stdout.lines().filter(|line| line.starts_with("stats: ")).collect();
        assert!((4..=8).contains(&lines.len()), "{lines:#?}");
        let rate = |line: &str, word: &str| -> u64 {
            let (_, rest) = line.split_once(word).unwrap_or_else(|| panic!("no '{word}' in {line}"));
            rest.split_once("/s").and_then(|(rate, _)| rate.trim().parse().ok()).expect("a rate")
        };
        for line in &lines {
            assert!(line.ends_with("dropped none") || line.ends_with("dropped udp_port_closed=1"), "{line}");
        }
        for word in ["received", "sent"] {
            assert!(lines.iter().any(|line| rate(line, word) > 500), "{lines:#?}");
        }
        assert!(lines.iter().any(|line| line.ends_with("udp_port_closed=1")), "{lines:#?}");
    });
}

#[test]
fn each_flow_stays_on_one_lcore_of_af_packet() {
    Lab::with("each_flow_stays_on_one_lcore_of_af_packet", |lab| {
        let mut engine = start(lab, &several_lcores(2), "--io af_packet:near0", ADDRESS);
        assert_eq!(engine.ready(), "ready: echo on af_packet near0, 2 queues, 10.77.0.1:7");
        send_flows(&lab.far, TO);
        flows_stayed_together(&balanced(&lab.scratch, &engine.stop("TERM")));
    });
}

#[test]
fn two_interfaces_on_one_lcore() {
    Lab::with("two_interfaces_on_one_lcore", |lab| {
        lab.wire(1);
        lab.far.ip("addr add 10.78.0.2/24 dev far1");
        let addresses = "--ip 10.77.0.1/24@0 --ip 10.78.0.1/24@near1 --udp-port 7 --udp-port 9";
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0,near1", addresses);
        let ready = "ready: echo on af_packet near0, 1 queue, 10.77.0.1:{7,9}; \
                     af_packet near1, 1 queue, 10.78.0.1:{7,9}";
        assert_eq!(engine.ready(), ready);
        assert_eq!(lab.far.udp_client("10.77.0.1:9", 300), Tally::all(300));
        assert_eq!(lab.far.udp_client("10.78.0.1:7", 200), Tally::all(200));
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        echoed(&report, 500);
        assert_eq!(report["ports"].as_array().map(Vec::len), Some(2));
        let shares: Vec<_> =
            queues(&report).map(|(queue, delivered)| (queue["port"].as_u64(), delivered)).collect();
        assert_eq!(shares, [(Some(0), 300), (Some(1), 200)]);
    });
}

#[test]
fn faults_are_counted_and_the_books_still_balance() {
    Lab::with("faults_are_counted_and_the_books_still_balance", |lab| {
        let faults = "--fault loss=10%,duplicate=10%,truncate=5%,short-tx=10%,seed=7";
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", &format!("{ADDRESS} {faults}"));
        engine.ready();
        // The answer to an ARP request may be lost, too: the kernel asks again.
        lab.far.ip(&format!("neigh replace 10.77.0.1 lladdr {} dev far0", mac(lab)));
        // The fault port doubles no datagram whose checksum was left unfilled.
        lab.far.run("ethtool", ["-K", "far0", "tx", "off"]);
        let client = lab.far.udp_client(TO, 2000);
        assert_eq!((client.sent, client.wrong), (2000, 0), "{client:?}");
        assert!((1500..1900).contains(&client.answered) && client.duplicates > 50, "{client:?}");
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        // Whether one frame overtakes another depends on when they come; captures below have that.
        for fault in ["fault_lost", "fault_duplicated", "fault_truncated", "fault_short_tx"] {
            assert!(count(&report, fault) > 10, "{fault}: {report:#}");
        }
        let announced = count(&report, "arp_requested");
        assert_eq!(announced, 1, "{report:#}");
        let sent = client.answered + client.duplicates + announced;
        assert_eq!(count(&report, "sent"), sent, "{client:?} {report:#}");
    });
}

// ---- DPDK ------------------------------------------------------------------------------

#[cfg(feature = "dpdk")]
mod dpdk {
    use super::*;
    use crate::common::echo::{eal, ports, tap, with_tun};

    #[test]
    fn net_tap_answers_every_datagram() {
        with_tun("net_tap_answers_every_datagram", |lab| {
            let mut engine = start(lab, &eal(&one_lcore(), "--vdev=net_tap0,iface=dtap0"), "", ADDRESS);
            assert_eq!(engine.ready(), "ready: echo on dpdk net_tap0, 1 queue, 10.77.0.1:7");
            tap(lab);
            assert_eq!(lab.near.udp_client(TO, 10_000), Tally::all(10_000));
            lab.near.run("ping", ["-c", "3", "-i", "0.2", "-W", "2", "10.77.0.1"]);
            lab.near.run("arping", ["-c", "3", "-i", "dtap0", "10.77.0.1"]);
            let report = balanced(&lab.scratch, &engine.stop("TERM"));
            echoed(&report, 10_000);
            assert_eq!(count(&report, "echo_answered"), 3);
            let port = ports(&report).next().expect("a port");
            assert_eq!((&port["name"], &port["driver"]), (&"net_tap0".into(), &"dpdk net_tap".into()));
            let packets = number(&port["extended_statistics"]["rx_good_packets"]);
            assert_eq!(packets, count(&report, "received"), "{port:#}");
        });
    }

    #[test]
    fn net_af_packet_answers_every_datagram() {
        Lab::with("net_af_packet_answers_every_datagram", |lab| {
            let vdev = "--vdev=net_af_packet0,iface=near0";
            for (lcores, signal) in [(one_lcore(), "INT"), (several_lcores(1), "TERM")] {
                let mut engine = start(lab, &eal(&lcores, vdev), "", ADDRESS);
                assert_eq!(engine.ready(), "ready: echo on dpdk net_af_packet0, 1 queue, 10.77.0.1:7");
                assert_eq!(lab.far.udp_client(TO, 10_000), Tally::all(10_000));
                lab.far.run("ping", ["-c", "3", "-i", "0.2", "-W", "2", "10.77.0.1"]);
                let report = balanced(&lab.scratch, &engine.stop(signal));
                echoed(&report, 10_000);
                assert_eq!(count(&report, "echo_answered"), 3);
            }
        });
    }

    #[test]
    fn each_flow_stays_on_one_lcore_of_net_tap() {
        with_tun("each_flow_stays_on_one_lcore_of_net_tap", |lab| {
            let eal = eal(&several_lcores(2), "--vdev=net_tap0,iface=dtap0");
            let mut engine = start(lab, &eal, "", ADDRESS);
            assert_eq!(engine.ready(), "ready: echo on dpdk net_tap0, 2 queues, 10.77.0.1:7");
            tap(lab);
            send_flows(&lab.near, TO);
            flows_stayed_together(&balanced(&lab.scratch, &engine.stop("TERM")));
        });
    }

    #[test]
    fn two_devices_on_one_lcore() {
        with_tun("two_devices_on_one_lcore", |lab| {
            let vdevs = "--vdev=net_af_packet0,iface=near0 --vdev=net_tap1,iface=dtap1";
            let addresses = "--ip 10.77.0.1/24@net_af_packet0 --ip 10.78.0.1/24@1 --udp-port 7";
            let mut engine = start(lab, &eal(&one_lcore(), vdevs), "", addresses);
            let ready = "ready: echo on dpdk net_af_packet0, 1 queue, 10.77.0.1:7; \
                         dpdk net_tap1, 1 queue, 10.78.0.1:7";
            assert_eq!(engine.ready(), ready);
            lab.near.ip("link set dtap1 up");
            lab.near.ip("addr add 10.78.0.2/24 dev dtap1");
            assert_eq!(lab.far.udp_client(TO, 300), Tally::all(300));
            assert_eq!(lab.near.udp_client("10.78.0.1:7", 200), Tally::all(200));
            let report = balanced(&lab.scratch, &engine.stop("TERM"));
            echoed(&report, 500);
            let shares: Vec<_> =
                queues(&report).map(|(queue, delivered)| (queue["port"].as_u64(), delivered)).collect();
            assert_eq!(shares, [(Some(0), 300), (Some(1), 200)]);
        });
    }

    #[test]
    fn ports_selects() {
        Lab::with("ports_selects", |lab| {
            let vdevs = "--vdev=net_null0 --vdev=net_af_packet0,iface=near0 --vdev=net_null1";
            for chosen in ["1", "net_af_packet0"] {
                let arguments = format!("{ADDRESS} --ports {chosen}");
                let mut engine = start(lab, &eal(&one_lcore(), vdevs), "", &arguments);
                assert_eq!(engine.ready(), "ready: echo on dpdk net_af_packet0, 1 queue, 10.77.0.1:7");
                assert_eq!(lab.far.udp_client(TO, 100), Tally::all(100));
                echoed(&balanced(&lab.scratch, &engine.stop("TERM")), 100);
            }
        });
    }

    /// One queue for two lcores: the second rests, and so does its CPU.
    #[test]
    fn an_lcore_without_a_queue_is_said() {
        Lab::with("an_lcore_without_a_queue_is_said", |lab| {
            let eal = eal(&several_lcores(2), "--vdev=net_af_packet0,iface=near0");
            let mut engine = start(lab, &eal, "", ADDRESS);
            assert_eq!(engine.ready(), "ready: echo on dpdk net_af_packet0, 1 queue, 10.77.0.1:7");
            assert_eq!(lab.far.udp_client(TO, 100), Tally::all(100));
            let ended = engine.stop("TERM");
            assert!(ended.stdout.contains("lcore 2 has no queue and rests"), "{ended:#?}");
            echoed(&balanced(&lab.scratch, &ended), 100);
        });
    }

    /// Needs no right at all: DPDK's captures, without hugepages.
    #[test]
    fn net_pcap_answers_a_capture() {
        let _turn = turn();
        let folder = Scratch::new();
        // The address is the driver's own.
        let made = udp_pcap(&folder, &format!("make in.pcap --count 1000 --to {TO} --mac 02:70:63:61:70:00"));
        assert_eq!(made.code, Some(0), "{made:#?}");
        let eal = eal(&one_lcore(), "--no-shconf --vdev=net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap");
        // The answers are all that is to be in the capture.
        let arguments = format!("echo {eal} -- {ADDRESS} --no-announce --duration 2s --json report.json");
        let ended = Program::start(&mut folder.run_in(gannet(&arguments))).end();
        echoed(&balanced(&folder, &ended), 1000);
        let checked = udp_pcap(&folder, "check in.pcap out.pcap");
        assert_eq!(checked.code, Some(0), "{checked:#?}");
    }
}

// ---- captures: no rights needed ------------------------------------------------------

#[test]
fn a_capture_is_answered_into_another() {
    let _turn = turn();
    let folder = Scratch::new();
    requests(&folder, 1000);
    // A capture has one queue, so one of the two lcores is left without.
    let ended = replay(&folder, &several_lcores(2), ADDRESS);
    assert!(ended.stdout.contains("ready: echo on pcap in.pcap, 1 queue, 10.77.0.1:7"), "{ended:#?}");
    assert!(ended.stdout.contains("lcore 2 has no queue and rests"), "{ended:#?}");
    let report = balanced(&folder, &ended);
    echoed(&report, 1000);
    assert_eq!(queues(&report).count(), 1);
    let checked = udp_pcap(&folder, "check in.pcap out.pcap");
    assert_eq!(checked.code, Some(0), "{checked:#?}");
}

#[test]
fn a_seed_gives_the_same_faults_again() {
    let _turn = turn();
    let folder = Scratch::new();
    requests(&folder, 1000);
    let run = || {
        let faults = "--fault loss=10%,duplicate=10%,reorder=10%,truncate=5%,short-tx=10%,seed=7";
        let report = balanced(&folder, &replay(&folder, &one_lcore(), &format!("{ADDRESS} {faults}")));
        let sent = std::fs::read(folder.path().join("out.pcap")).expect("a capture");
        (report["totals"].clone(), sent)
    };
    let (counters, sent) = run();
    for fault in ["fault_lost", "fault_duplicated", "fault_reordered", "fault_truncated"] {
        assert!(number(&counters[fault]) > 30, "{fault}: {counters:#}");
    }
    assert!(run() == (counters, sent), "another run, other faults");
}

/// `in.pcap`: datagrams of 1 to 1472 bytes for [`TO`].
fn requests(folder: &Scratch, count: u32) {
    let made = udp_pcap(folder, &format!("make in.pcap --count {count} --to {TO} --mac 02:00:00:00:77:01"));
    assert_eq!(made.code, Some(0), "{made:#?}");
}

fn udp_pcap(folder: &Scratch, arguments: &str) -> Ended {
    let mut command = Command::new("python3");
    command.arg(script("udp_pcap.py")).args(arguments.split(' ')).current_dir(folder.path());
    Program::start(&mut command).end()
}

/// Replays `in.pcap` to its end, with the answers in `out.pcap`.
fn replay(folder: &Scratch, eal: &str, arguments: &str) -> Ended {
    let arguments = format!("echo {eal} -- --io pcap:in.pcap,out.pcap {arguments} --json report.json");
    Program::start(&mut folder.run_in(gannet(&arguments))).end()
}

// ---- flows --------------------------------------------------------------------------------

fn send_flows(client: &Namespace, to: &str) {
    let sockets: Vec<_> = (0..FLOWS).map(|_| client.socket("10.77.0.2:0")).collect();
    for round in 0..EACH {
        for (flow, socket) in sockets.iter().enumerate() {
            let payload = [round as u8, flow as u8];
            assert_eq!(socket.send_to(&payload, to).expect("sent"), 2);
        }
        for (flow, socket) in sockets.iter().enumerate() {
            let mut answer = [0; 9];
            let len = socket.recv(&mut answer).unwrap_or_else(|error| panic!("flow {flow}: {error}"));
            assert_eq!(answer[..len], [round as u8, flow as u8]);
        }
    }
}

/// Both lcores had datagrams, and each had whole flows.
fn flows_stayed_together(report: &Value) {
    echoed(report, (FLOWS * EACH) as u64);
    let lcores: Vec<_> =
        queues(report).map(|(queue, delivered)| (number(&queue["lcore"]), delivered)).collect();
    assert_eq!(lcores.iter().map(|(lcore, _)| *lcore).collect::<Vec<_>>(), [1, 2]);
    let whole = |delivered: u64| delivered > 0 && delivered.is_multiple_of(EACH as u64);
    assert!(lcores.iter().all(|&(_, delivered)| whole(delivered)), "{lcores:?}");
}
