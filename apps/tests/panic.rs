//! A service that panics (`engine/examples/fragile.rs`) stops its program: with its lcore, its
//! counters and a backtrace, and never silently a worker.

mod common;

use std::net::UdpSocket;
use std::process::Command;
use std::sync::Once;

use common::{Ended, Lab, Program, Scratch, cpus, script, turn};

#[test]
fn a_panic_stops_the_other_lcores_and_is_reported() {
    Lab::with("a_panic_stops_the_other_lcores_and_is_reported", |lab| {
        let cpus = cpus();
        let cpu = |lcore: usize| cpus[lcore % cpus.len()];
        let arguments = format!(
            "--lcores 0@{},1@{},2@{} -- --io af_packet:near0 --ip 10.77.0.1/24 --udp-port 7 --json report.json",
            cpu(0),
            cpu(1),
            cpu(2)
        );
        let mut engine = Program::start(&mut lab.engine(&fragile(&arguments)));
        engine.ready();
        let socket = lab.far.socket("10.77.0.2:0");
        for _ in 0..10 {
            ask(&socket, b"calm");
        }
        socket.send_to(b"panic", "10.77.0.1:7").expect("sent");
        let ended = engine.end();
        let lcore = panicked(&ended);

        // Both lcores are in the report, and the one that panicked had this flow: ten datagrams
        // and the one that was its last.
        let report = lab.scratch.json("report.json");
        let queues = report["queues"].as_array().expect("queues");
        let delivered = |queue: &serde_json::Value| queue["counters"]["delivered"].as_u64();
        let mut lcores: Vec<_> =
            queues.iter().map(|queue| (delivered(queue), queue["lcore"].as_u64())).collect();
        lcores.sort_unstable();
        assert_eq!(lcores, [(Some(0), Some(3 - lcore)), (Some(11), Some(lcore))]);
        for number in [1, 2] {
            assert!(ended.stdout.contains(&format!("lcore {number} port 0: received ")), "{ended:#?}");
        }
    });
}

#[cfg(feature = "dpdk")]
#[test]
fn a_panic_on_an_lcore_of_dpdk_is_reported() {
    Lab::with("a_panic_on_an_lcore_of_dpdk_is_reported", |lab| {
        let cpus = cpus();
        let arguments = format!(
            "--lcores 0@{},1@{} --no-huge --no-pci -m 256 --file-prefix {} \
             --vdev=net_af_packet0,iface=near0 -- --ip 10.77.0.1/24 --udp-port 7 --json report.json",
            cpus[0],
            cpus[1 % cpus.len()],
            common::unique("panic"),
        );
        let mut engine = Program::start(&mut lab.engine(&fragile(&arguments)));
        engine.ready();
        let socket = lab.far.socket("10.77.0.2:0");
        ask(&socket, b"calm");
        socket.send_to(b"panic", "10.77.0.1:7").expect("sent");
        assert_eq!(panicked(&engine.end()), 1);
        assert_eq!(lab.scratch.json("report.json")["totals"]["delivered"], 2);
    });
}

/// With no rights: the lcore is alone, and the datagram comes from a file.
#[test]
fn a_panic_of_an_lcore_alone_is_reported() {
    let _turn = turn();
    let folder = Scratch::new();
    let cpu = cpus()[0];
    let mut make = Command::new("python3");
    make.arg(script("udp_pcap.py")).args("make in.pcap --count 10 --to 10.77.0.1:7".split(' '));
    make.args(["--mac", "02:00:00:00:77:01"]).current_dir(folder.path());
    assert_eq!(Program::start(&mut make).end().code, Some(0));
    // The first of its burst, behind the file's header of 24 bytes: ten more come after it.
    let mut capture = std::fs::read(folder.path().join("in.pcap")).expect("a capture");
    capture.splice(24..24, magic_record());
    std::fs::write(folder.path().join("in.pcap"), capture).expect("written");

    let mut command =
        fragile(&format!("-l {cpu} -- --io pcap:in.pcap --ip 10.77.0.1/24 --udp-port 7 --json report.json"));
    let ended = Program::start(command.current_dir(folder.path())).end();
    assert_eq!(panicked(&ended), cpu as u64);
    let totals = &folder.json("report.json")["totals"];
    let counted = ["received", "delivered", "replied", "stopping"].map(|name| totals[name].as_u64());
    assert_eq!(counted, [Some(11), Some(1), Some(0), Some(10)]);

    // Where nobody can read what it says, it still ends as it should, with its report.
    let full = || std::fs::File::create("/dev/full").expect("Linux has it");
    std::fs::remove_file(folder.path().join("report.json")).expect("written before");
    let status = command.stdout(full()).stderr(full()).status().expect("started");
    assert_eq!(status.code(), Some(1));
    assert_eq!(folder.json("report.json")["balanced"], true);
}

/// What a panic prints. Gives the lcore that it names.
#[track_caller]
fn panicked(ended: &Ended) -> u64 {
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let stderr = &ended.stderr;
    let line =
        stderr.lines().find(|line| line.contains("panicked at")).unwrap_or_else(|| panic!("{ended:#?}"));
    let lcore = line.strip_prefix("lcore ").and_then(|rest| rest.split_once(':')).expect("an lcore").0;
    for words in [
        // The message and its place, the counters, the way there, and what became of the program.
        "10.77.0.2:",
        "asked for a panic",
        "fragile.rs:",
        &format!("lcore {lcore}, queue 0: received="),
        "rust_begin_unwind",
        "worker.rs:",
        &format!("the service on lcore {lcore} panicked; the program stopped"),
    ] {
        assert!(stderr.contains(words), "no '{words}': {ended:#?}");
    }
    assert!(ended.stdout.contains("every packet is explained, every buffer is back"), "{ended:#?}");
    lcore.parse().expect("a number")
}

#[track_caller]
fn ask(socket: &UdpSocket, payload: &[u8]) {
    let mut answer = [0; 100];
    socket.send_to(payload, "10.77.0.1:7").expect("sent");
    let len = socket.recv(&mut answer).expect("an answer");
    assert_eq!(&answer[..len], payload);
}

/// A record of a capture: the datagram `panic` from 10.77.0.2, with no UDP checksum.
fn magic_record() -> Vec<u8> {
    const ETHERNET: &str = "0200000077010200000077020800";
    const IPV4: &str = "4500002100000000401166300a4d00020a4d0001";
    const UDP: &str = "9c400007000d0000";
    let frame = [ETHERNET, IPV4, UDP].concat();
    let bytes =
        (0..frame.len()).step_by(2).map(|at| u8::from_str_radix(&frame[at..at + 2], 16).expect("hex"));
    let frame: Vec<_> = bytes.chain(*b"panic").collect();
    let header = [0, 0, frame.len() as u32, frame.len() as u32];
    header.iter().flat_map(|word| word.to_le_bytes()).chain(frame).collect()
}

/// The example, brought up to date first: `cargo test` of one package does not build it.
fn fragile(arguments: &str) -> Command {
    static BUILT: Once = Once::new();
    let tests = std::env::current_exe().expect("a path");
    let profile = tests.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    BUILT.call_once(|| build(profile.file_name().is_some_and(|name| name == "release")));
    let mut command = Command::new(profile.join("examples").join("fragile"));
    command.args(arguments.split_whitespace()).env("RUST_BACKTRACE", "0");
    command
}

fn build(release: bool) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "gannet", "--example", "fragile"]);
    cargo.args(release.then_some("--release"));
    cargo.args((!cfg!(feature = "dpdk")).then_some("--no-default-features"));
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(status.is_ok_and(|status| status.success()), "the example fragile was not built");
}
