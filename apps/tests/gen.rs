//! `gannet gen` against a kernel's UDP sockets: what it sends is read by others, and what it
//! counts is known from what those did.
//!
//! These tests take root. Without it they print `skipped: NAME: REASON` and pass, but for
//! `CI=true`, where a skip is a failure.

mod common;

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use common::echo::several_lcores;
use common::frames::{frame, udp};
use common::program::gannet;
use common::report::{count, number};
use common::{Ended, Lab, Program, Scratch, one_lcore, skip};
use serde_json::Value;

/// The target is the kernel.
const TO: &str = "--ip 10.77.0.1/24 --to 10.77.0.2:7";
/// How often a kernel's echo looks whether it may end.
const PATIENCE: Duration = Duration::from_millis(20);

fn start(lab: &Lab, arguments: &str) -> Program {
    let arguments = format!("gen {} -- --io af_packet:near0 {arguments} --json report.json", one_lcore());
    Program::start(&mut lab.engine(&gannet(&arguments)))
}

/// The `generator` part of the report of a run that ended well, whose books balance.
#[track_caller]
fn measured(lab: &Lab, ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let report = lab.scratch.json("report.json");
    assert!(report["app"] == "gen" && report["balanced"] == true, "{report:#}");
    report["generator"].clone()
}

/// Has `answer` say what a kernel's socket sends back for each datagram, while `work` runs.
fn answered<T>(
    socket: &UdpSocket,
    mut answer: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send,
    work: impl FnOnce() -> T,
) -> T {
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let is_over = AtomicBool::new(false);
    let serve = || {
        let mut room = [0; 2048];
        while !is_over.load(Relaxed) {
            let Ok((len, from)) = socket.recv_from(&mut room) else { continue };
            for reply in answer(&room[..len], from) {
                socket.send_to(&reply, from).expect("sent");
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(serve);
        let result = work();
        is_over.store(true, Relaxed);
        result
    })
}

fn echo(payload: &[u8], _from: SocketAddr) -> Vec<Vec<u8>> {
    vec![payload.to_vec()]
}

#[track_caller]
fn counts(generator: &Value, expected: &[(&str, u64)]) {
    for (name, expected) in expected {
        assert_eq!(number(&generator[name]), *expected, "{name}: {generator:#}");
    }
}

// ---- what it counts ----------------------------------------------------------------------

#[test]
fn a_kernel_echo_answers_every_datagram_of_every_flow() {
    Lab::with("a_kernel_echo_answers_every_datagram_of_every_flow", |lab| {
        let mut flows = HashMap::<SocketAddr, u64>::new();
        let count_and_echo = |payload: &[u8], from| {
            *flows.entry(from).or_default() += u64::from(payload[3] != 0);
            echo(payload, from)
        };
        let run = "--rate 2k --flows 50 --size imix --payload counting --count 2000 --hgrm latency.hgrm";
        let ended = answered(&lab.far.socket("10.77.0.2:7"), count_and_echo, || {
            let mut program = start(lab, &format!("{TO} {run}"));
            assert_eq!(program.ready(), "ready: gen on af_packet near0, 1 queue, 10.77.0.1:49152-49201");
            program.end()
        });
        let generator = measured(lab, &ended);
        let nothing =
            ["lost", "duplicates", "reordered", "corrupted", "strays", "unsent"].map(|name| (name, 0));
        counts(&generator, &[("sent", 2000), ("received", 2000)]);
        counts(&generator, &nothing);
        let [pps, seconds] = ["tx_pps", "seconds"].map(|name| generator[name].as_f64().expect("a number"));
        assert!((pps * seconds - 2000.0).abs() < 1e-6 && seconds > 0.999, "{generator:#}");
        assert_eq!(flows.len(), 50);
        assert!(flows.values().all(|&datagrams| datagrams == 40), "they take turns: {flows:?}");
        let times = ["p50", "p90", "p99", "p999", "p9999", "p99999", "max"];
        let times = times.map(|name| number(&generator["rtt_ns"][name]));
        assert!(times[0] > 0 && times.is_sorted(), "{times:?}");
        assert!(number(&generator["lateness_ns"]["p99"]) >= number(&generator["lateness_ns"]["p50"]));
        assert!(number(&generator["self_rtt_ns"]["p50"]) > 0);
        let hgrm = std::fs::read_to_string(lab.scratch.path().join("latency.hgrm")).expect("written");
        assert!(hgrm.contains("Total count    =         2000]"), "{hgrm}");
        let lines: Vec<_> = ended.stdout.lines().filter(|line| line.starts_with("gen: ")).collect();
        assert!(lines.iter().any(|line| line.contains("s, sent ") && line.contains("received")), "{lines:?}");
        assert!(ended.stdout.contains("lost       0 (0.0000 %)"), "{ended:#?}");
    });
}

#[test]
fn every_kind_of_harm_is_counted_as_what_it_is() {
    Lab::with("every_kind_of_harm_is_counted_as_what_it_is", |lab| {
        let mut late = None;
        let harm = |payload: &[u8], _from| {
            if payload[3] == 0 {
                return vec![payload.to_vec()];
            }
            let mut broken = payload.to_vec();
            broken[30] ^= 1;
            let sequence = u64::from_be_bytes(payload[4..12].try_into().expect("eight bytes"));
            match sequence % 10 {
                1 => vec![],
                3 => vec![payload.to_vec(), payload.to_vec()],
                5 => vec![broken],
                6 => vec![payload[..40].to_vec()],
                7 => {
                    late = Some(payload.to_vec());
                    vec![]
                }
                8 => vec![Some(payload.to_vec()), late.take()].into_iter().flatten().collect(),
                _ => vec![payload.to_vec()],
            }
        };
        let ended = answered(&lab.far.socket("10.77.0.2:7"), harm, || {
            start(lab, &format!("{TO} --rate 2k --size 100 --count 1000")).end()
        });
        let expected = [
            ("sent", 1000),
            ("received", 700),
            ("lost", 300),
            ("duplicates", 100),
            ("reordered", 100),
            ("corrupted", 200),
            ("strays", 0),
        ];
        counts(&measured(lab, &ended), &expected);
    });
}

#[test]
fn a_lossy_path_of_our_own_loses_what_its_counter_says() {
    Lab::with("a_lossy_path_of_our_own_loses_what_its_counter_says", |lab| {
        let ended = answered(&lab.far.socket("10.77.0.2:7"), echo, || {
            start(lab, &format!("{TO} --rate 2k --count 2000 --fault loss=10%,seed=3")).end()
        });
        let generator = measured(lab, &ended);
        let lost = number(&generator["lost"]);
        assert!((100..300).contains(&lost), "{generator:#}");
        let loss = generator["loss"].as_f64().expect("a number");
        assert!((loss - lost as f64 / 2000.0).abs() < 1e-9, "{loss}");
    });
}

#[test]
fn ipv6_is_measured_too() {
    Lab::with("ipv6_is_measured_too", |lab| {
        lab.far.speak_ipv6("far0", "fd00:77::2/64");
        let ended = answered(&lab.far.socket("[fd00:77::2]:7"), echo, || {
            let run = "--ip fd00:77::1/64 --to [fd00:77::2]:7 --rate 1k --gaps poisson --count 500";
            start(lab, run).end()
        });
        counts(&measured(lab, &ended), &[("sent", 500), ("received", 500), ("corrupted", 0)]);
    });
}

#[test]
fn a_signal_ends_a_run_with_what_was_measured() {
    Lab::with("a_signal_ends_a_run_with_what_was_measured", |lab| {
        let ended = answered(&lab.far.socket("10.77.0.2:7"), echo, || {
            let mut program = start(lab, &format!("{TO} --rate 1k"));
            program.line_with("gen: ");
            program.stop("INT")
        });
        let generator = measured(lab, &ended);
        assert!(number(&generator["sent"]) >= 500 && number(&generator["received"]) > 0, "{generator:#}");
    });
}

#[test]
fn a_search_finds_rates_and_latencies() {
    Lab::with("a_search_finds_rates_and_latencies", |lab| {
        let ended = answered(&lab.far.socket("10.77.0.2:7"), echo, || {
            start(lab, &format!("{TO} --search --rate 1k --trial 100ms --precision 20%")).end()
        });
        let search = &measured(lab, &ended)["search"];
        let [ndr, pdr] = ["ndr_pps", "pdr_pps"].map(|name| search[name].as_f64().expect("a rate"));
        assert!(ndr <= pdr && pdr <= 1000.0, "{search:#}");
        let trials = search["trials"].as_array().expect("trials");
        assert_eq!(trials[0]["pps"], 1000.0);
        // A machine so busy that everything is lost measures no latency.
        let expected = if ndr > 0.0 { 3 } else { 0 };
        assert_eq!(search["latency"].as_array().expect("latencies").len(), expected, "{search:#}");
    });
}

/// Counts the measured datagrams of each stream and echoes.
fn count_streams<'a>(
    streams: &'a mut HashMap<(u8, SocketAddr), u64>,
) -> impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + use<'a> {
    |payload, from| {
        *streams.entry((payload[2], from)).or_default() += u64::from(payload[3] != 0);
        echo(payload, from)
    }
}

#[track_caller]
fn two_of_them_sent(streams: &HashMap<(u8, SocketAddr), u64>) {
    let of = |lcore| streams.iter().filter(move |((stream, _), _)| *stream == lcore);
    for lcore in [0, 1] {
        assert_eq!(of(lcore).map(|(_, count)| count).sum::<u64>(), 500, "{streams:?}");
        assert_eq!(of(lcore).filter(|(_, count)| **count > 0).count(), 5, "flows of its own: {streams:?}");
    }
}

#[test]
fn two_lcores_share_a_port_s_work_and_hear_each_other_s_answers() {
    Lab::with("two_lcores_share_a_port_s_work_and_hear_each_other_s_answers", |lab| {
        let mut streams = HashMap::new();
        let arguments = format!(
            "gen {} -- --io af_packet:near0 {TO} --rate 2k --flows 10 --count 1000 --json report.json",
            several_lcores(2)
        );
        let ended = answered(&lab.far.socket("10.77.0.2:7"), count_streams(&mut streams), || {
            Program::start(&mut lab.engine(&gannet(&arguments))).end()
        });
        counts(&measured(lab, &ended), &[("sent", 1000), ("received", 1000), ("strays", 0)]);
        two_of_them_sent(&streams);
    });
}

#[test]
fn two_lcores_share_the_sockets_of_a_kernel() {
    let scratch = Scratch::new();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = socket.local_addr().expect("bound");
    let mut streams = HashMap::new();
    let arguments = format!(
        "gen {} -- --io socket --ip 127.0.0.1 --to {to} --rate 2k --flows 10 --count 1000 --json report.json",
        several_lcores(2)
    );
    let ended = answered(&socket, count_streams(&mut streams), || {
        Program::start(&mut scratch.run_in(gannet(&arguments))).end()
    });
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let report = scratch.json("report.json");
    assert_eq!(report["balanced"], true, "{report:#}");
    counts(&report["generator"], &[("sent", 1000), ("received", 1000), ("strays", 0)]);
    two_of_them_sent(&streams);
}

// ---- what it sends -----------------------------------------------------------------------

/// What a kernel's socket received until nothing more came.
fn heard(socket: &UdpSocket) -> Vec<(Vec<u8>, SocketAddr)> {
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let mut room = [0; 2048];
    std::iter::from_fn(|| socket.recv_from(&mut room).ok().map(|(len, from)| (room[..len].to_vec(), from)))
        .collect()
}

#[test]
fn a_silent_sink_gets_just_what_was_asked_for() {
    Lab::with("a_silent_sink_gets_just_what_was_asked_for", |lab| {
        let sink = lab.far.socket("10.77.0.2:7");
        let run = "--rate 10k --count 150 --size 64-200 --payload text:abc --flows 10 --no-replies";
        let ended = start(lab, &format!("{TO} --ip 10.77.0.3/24 {run}")).end();
        counts(&measured(lab, &ended), &[("sent", 150), ("received", 0)]);
        // Probes find the way; they are trial 0.
        let datagrams: Vec<_> = heard(&sink).into_iter().filter(|(payload, _)| payload[3] != 0).collect();
        assert_eq!(datagrams.len(), 150);
        for (number, (payload, _)) in datagrams.iter().enumerate() {
            assert_eq!(payload[..4], *b"Gn\x00\x01");
            assert_eq!(payload[4..12], (number as u64).to_be_bytes());
            assert!((22..=158).contains(&payload.len()));
            let filler = payload.iter().enumerate().skip(22);
            filler.for_each(|(place, byte)| assert_eq!(*byte, b"abc"[place % 3]));
        }
        let times: Vec<_> = datagrams.iter().map(|(payload, _)| &payload[12..20]).collect();
        assert!(times.is_sorted(), "on a schedule");
        let sources: HashSet<_> = datagrams.iter().map(|(_, from)| from.ip()).collect();
        let flows: HashSet<_> = datagrams.iter().map(|(_, from)| from).collect();
        assert_eq!((sources.len(), flows.len()), (2, 10));
    });
}

/// The times, in nanoseconds, and the frames of a capture that a port wrote.
fn recorded(path: &Path) -> Vec<(u64, Vec<u8>)> {
    let file = std::fs::read(path).expect("written");
    let word =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut rest, mut frames) = (&file[24..], Vec::new());
    while !rest.is_empty() {
        let len = word(rest, 8) as usize;
        let time = u64::from(word(rest, 0)) * 1_000_000_000 + u64::from(word(rest, 4));
        frames.push((time, rest[16..16 + len].to_vec()));
        rest = &rest[16 + len..];
    }
    frames
}

#[test]
fn a_file_is_filled_at_the_rate() {
    let scratch = Scratch::new();
    let arguments = |rest: &str| format!("gen {} -- --io pcap:,out.pcap {TO} {rest}", one_lcore());
    let run = "--neighbour 10.77.0.2=02:00:00:00:00:09 --rate 1k --size 100 --count 100 --json report.json";
    let mut program = Program::start(&mut scratch.run_in(gannet(&arguments(run))));
    assert!(program.ready().contains("pcap"), "it says where");
    let ended = program.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    counts(&scratch.json("report.json")["generator"], &[("sent", 100), ("received", 0), ("unsent", 0)]);
    let frames = recorded(&scratch.path().join("out.pcap"));
    assert_eq!(frames.len(), 100, "and no questions");
    assert!(frames.iter().all(|(_, frame)| frame.len() == 100 && frame[..6] == [2, 0, 0, 0, 0, 9]));
    assert!(frames.is_sorted_by_key(|(time, _)| *time));
    let took = frames[99].0 - frames[0].0;
    assert!(took > 0, "not all at one time");
    let numbers: Vec<_> = frames.iter().map(|(_, frame)| frame[53]).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
    let ended = Program::start(&mut scratch.run_in(gannet(&arguments("--rate 1k")))).end();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("nobody answers ARP in a file"), "{ended:#?}");
}

#[test]
fn flat_out_is_as_correct_as_on_a_schedule() {
    Lab::with("flat_out_is_as_correct_as_on_a_schedule", |lab| {
        lab.far.speak_ipv6("far0", "fd00:77::2/64");
        let sinks = [lab.far.socket("10.77.0.2:7"), lab.far.socket("[fd00:77::2]:7")];
        let to = format!("{TO} --ip 10.77.0.3/24 --ip fd00:77::1/64 --to [fd00:77::2]:7");
        for size in ["imix", "100"] {
            let run = "--rate max --count 120 --payload text:abc --flows 30 --no-replies";
            counts(&measured(lab, &start(lab, &format!("{to} --size {size} {run}")).end()), &[("sent", 120)]);
            let mut numbers = Vec::new();
            let mut flows = HashMap::<SocketAddr, u64>::new();
            for (payload, from) in sinks.iter().flat_map(heard).filter(|(payload, _)| payload[3] != 0) {
                numbers.push(u64::from_be_bytes(payload[4..12].try_into().expect("eight bytes")));
                *flows.entry(from).or_default() += 1;
                let filler = payload.iter().enumerate().skip(22);
                filler.for_each(|(place, byte)| assert_eq!(*byte, b"abc"[place % 3]));
            }
            numbers.sort_unstable();
            assert_eq!(numbers, (0..120).collect::<Vec<_>>(), "none was lost to a wrong checksum");
            assert!(flows.len() == 30 && flows.values().all(|count| *count == 4), "{flows:?}");
        }
    });
}

#[test]
fn tshark_finds_nothing_wrong_with_the_frames() {
    Lab::with("tshark_finds_nothing_wrong_with_the_frames", |lab| {
        lab.far.speak_ipv6("far0", "fd00:77::2/64");
        let _sinks = [lab.far.socket("10.77.0.2:7"), lab.far.socket("[fd00:77::2]:7")];
        let to = format!("{TO} --ip fd00:77::1/64 --to [fd00:77::2]:7");
        let run = "--rate 5k --count 200 --size 84-1500 --payload random --flows 20 --no-replies";
        measured(lab, &start(lab, &format!("{to} {run} --capture x.pcapng,reason=originated")).end());
        let mut tshark = Command::new("tshark");
        tshark.args([
            "-n",
            "-r",
            "x.pcapng",
            "-o",
            "ip.check_checksum:TRUE",
            "-o",
            "udp.check_checksum:TRUE",
        ]);
        tshark.args(["-Y", "udp", "-T", "fields", "-E", "separator=,"]);
        let fields =
            ["ip.checksum.status", "udp.checksum.status", "udp.dstport", "_ws.expert.message", "ip.ttl"];
        fields.iter().for_each(|field| _ = tshark.args(["-e", field]));
        let Ok(output) = tshark.current_dir(lab.scratch.path()).output() else {
            return skip("tshark_finds_nothing_wrong_with_the_frames", "the program tshark is not there");
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let count = |line: &str| said.lines().filter(|said| *said == line).count();
        let (ipv4, ipv6) = (count("1,1,7,originated,64"), count(",1,7,originated,"));
        assert!(ipv4 >= 100 && ipv6 >= 100 && ipv4 + ipv6 == said.lines().count(), "{said}");
    });
}

#[test]
fn a_capture_s_payloads_are_replayed_as_they_are() {
    Lab::with("a_capture_s_payloads_are_replayed_as_they_are", |lab| {
        let payloads: Vec<Vec<u8>> = (0..20_u8).map(|number| vec![number; 1 + usize::from(number)]).collect();
        let ends = |text: &str| text.parse::<SocketAddr>().expect("valid");
        let frames = payloads.iter().map(|payload| {
            frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], &udp(ends("1.2.3.4:5"), ends("1.2.3.5:6"), payload))
        });
        let mut capture =
            vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
        for (number, frame) in frames.enumerate() {
            let len = frame.len() as u32;
            for word in [7, number as u32 * 5_000, len, len] {
                capture.extend_from_slice(&word.to_le_bytes());
            }
            capture.extend_from_slice(&frame);
        }
        std::fs::write(lab.scratch.path().join("in.pcap"), capture).expect("written");
        let mut seen = Vec::new();
        let note = |payload: &[u8], from| {
            seen.push(payload.to_vec());
            echo(payload, from)
        };
        let ended = answered(&lab.far.socket("10.77.0.2:7"), note, || {
            start(lab, &format!("{TO} --replay in.pcap --pace x2")).end()
        });
        let generator = measured(lab, &ended);
        counts(&generator, &[("sent", 20), ("received", 20), ("corrupted", 0)]);
        assert!(generator["rtt_ns"].is_null(), "{generator:#}");
        let seconds = generator["seconds"].as_f64().expect("a number");
        assert!(seconds >= 0.0475, "19 gaps of 5 ms at twice the pace: {seconds}");
        assert_eq!(seen, payloads);
    });
}

// ---- what it says when nothing comes -----------------------------------------------------

#[track_caller]
fn failed(lab: &Lab, arguments: &str, words: &[&str]) -> Value {
    let ended = start(lab, arguments).end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no '{word}': {ended:#?}");
    }
    lab.scratch.json("report.json")
}

#[test]
fn who_does_not_answer_is_named() {
    Lab::with("who_does_not_answer_is_named", |lab| {
        let _sink = lab.far.socket("10.77.0.2:7");
        let report = failed(lab, &format!("{TO} --duration 1s"), &["10.77.0.2:7 was found", "gannet echo"]);
        assert_eq!(count(&report, "tx_neighbour_queue_full"), 0);
        let nobody = "--ip 10.77.0.1/24 --to 10.77.0.9:7 --duration 1s";
        failed(lab, nobody, &["nobody on the link has the MAC address of 10.77.0.9:7", "--neighbour"]);
        let afar = "--ip 10.77.0.1/24 --to 192.0.2.1:7 --duration 1s";
        failed(lab, afar, &["no way to 192.0.2.1:7", "--gateway"]);
        let long = format!("{TO} --size 1600 --duration 1s --no-replies");
        failed(lab, &long, &["1558 bytes of payload", "leaves 1472", "--mtu"]);
    });
}
