//! `gannet doctor`: its verdict is that of a start with the same arguments, and a failed start
//! points to it.

mod common;

use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use common::program::gannet;
use common::{Ended, Lab, Program, Scratch, one_lcore, unique};

#[track_caller]
fn run(mut command: Command) -> Ended {
    Program::start(&mut command).end()
}

/// The doctor, without and with a try, says what the start comes to.
#[track_caller]
fn agrees(starts: bool, arguments: &str, wrap: impl Fn(Command) -> Command) {
    let started = run(wrap(gannet(&format!("echo {arguments} --duration 50ms"))));
    assert_eq!(started.code == Some(0), starts, "{arguments}: {started:#?}");
    for tried in ["", "--try"] {
        let doctor = run(wrap(gannet(&format!("doctor {tried} {arguments}"))));
        assert_eq!(doctor.code, Some(i32::from(!starts)), "{arguments}: {doctor:#?}");
        let verdict = if starts { "\nit would start" } else { "\nit would not start: " };
        assert!(doctor.stdout.contains(verdict), "{doctor:#?}");
        assert!(!doctor.stdout.contains('\x1b'), "colour in a pipe: {doctor:#?}");
        assert_eq!(doctor.stdout.contains("tried: it started"), starts && !tried.is_empty(), "{doctor:#?}");
    }
}

#[test]
fn its_verdict_on_sockets_is_that_of_a_start() {
    let port = |socket: &UdpSocket| socket.local_addr().expect("its address").port();
    let held = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // Given back at once.
    let free = port(&UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let lcore = one_lcore();
    let line = |port: u16| format!("{lcore} -- --io socket --ip 127.0.0.1 --udp-port {port}");
    agrees(true, &line(free), |command| command);
    agrees(false, &line(port(&held)), |command| command);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let metrics = format!("--metrics {}", taken.local_addr().expect("its address"));
    agrees(false, &format!("{} {metrics}", line(free)), |command| command);
    agrees(false, &format!("{} --json /nowhere/report.json", line(free)), |command| command);
    agrees(false, &format!("{lcore} -- --io socket --ip 198.51.100.77 --udp-port {free}"), |command| command);
}

#[test]
fn its_verdict_on_packet_sockets_is_that_of_a_start() {
    Lab::with("its_verdict_on_packet_sockets_is_that_of_a_start", |lab| {
        let lcore = one_lcore();
        let line = |name: &str| format!("{lcore} -- --io af_packet:{name} --ip 10.77.0.1/24 --no-announce");
        agrees(true, &line("near0"), |command| lab.engine(&command));
        agrees(false, &line("near9"), |command| lab.engine(&command));
        agrees(false, &line("lo"), |command| lab.engine(&command));
    });
}

#[cfg(feature = "dpdk")]
#[test]
fn its_verdict_on_dpdk_is_that_of_a_start() {
    Lab::with("its_verdict_on_dpdk_is_that_of_a_start", |lab| {
        let eal = format!("{} --no-huge --no-pci --no-shconf", one_lcore());
        let end = "-- --ip 10.77.0.1/24 --no-announce";
        agrees(true, &format!("{eal} --vdev=net_tap0,iface=doc0 {end}"), |command| lab.engine(&command));
        agrees(true, &format!("{eal} --vdev=net_null0 {end}"), |command| lab.engine(&command));
        for wrong in [
            "--vdev=net_nonsense0",
            "",
            "--in-memory --vdev=net_null0",
            "-a 0000:ff:1f.7",
            "--vdev=net_af_packet0,iface=near9",
        ] {
            agrees(false, &format!("{eal} {wrong} {end}"), |command| lab.engine(&command));
        }
        // Without hugepages or without a card, by what this machine has not.
        let hugepages = std::fs::read_to_string("/proc/sys/vm/nr_hugepages").unwrap_or_default();
        if hugepages.trim() == "0" {
            let line = format!("{} --no-pci --vdev=net_null0 {end}", one_lcore());
            agrees(false, &line, |command| lab.engine(&command));
        }
    });
}

#[test]
fn a_try_leaves_captures_as_they_are() {
    let folder = Scratch::new();
    let [input, output] = ["in.pcap", "out.pcap"].map(|name| folder.path().join(name));
    let empty = [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 65535, 1].map(u32::to_le_bytes).concat();
    std::fs::write(&input, empty).expect("written");
    std::fs::write(&output, "what was recorded").expect("written");
    let (input, output) = (input.display(), output.display());
    let lcore = one_lcore();
    let replay = format!("doctor --try {lcore} -- --io pcap:{input},{output} --ip 10.77.0.1/24");
    let record = format!(
        "doctor --try gen {lcore} -- --io pcap:,{output} --ip 10.77.0.1/24 --to 10.77.0.2:7 --neighbour 10.77.0.2=02:00:00:00:00:02"
    );
    for (line, outcome) in [(replay, "tried: it started"), (record, "not tried")] {
        let ended = run(gannet(&line));
        assert!(ended.code == Some(0) && ended.stdout.contains(outcome), "{ended:#?}");
        assert_eq!(std::fs::read_to_string(output.to_string()).expect("it is there"), "what was recorded");
    }
}

#[test]
fn its_verdict_without_rights_is_that_of_a_start() {
    Lab::with("its_verdict_without_rights_is_that_of_a_start", |lab| {
        let lcore = one_lcore();
        let without = |command: Command| {
            let mut stripped = Command::new("setpriv");
            stripped.args(["--bounding-set=-net_raw,-net_admin", "--inh-caps=-net_raw,-net_admin", "--"]);
            stripped.arg(command.get_program()).args(command.get_args());
            lab.engine(&stripped)
        };
        agrees(false, &format!("{lcore} -- --io af_packet:near0 --ip 10.77.0.1/24 --no-announce"), without);
        #[cfg(feature = "dpdk")]
        for vdev in ["net_tap0,iface=doc1", "net_af_packet0,iface=near0"] {
            let eal = format!("{lcore} --no-huge --no-pci --no-shconf --vdev={vdev}");
            agrees(false, &format!("{eal} -- --ip 10.77.0.1/24 --no-announce"), without);
        }
    });
}

#[test]
fn programs_get_json() {
    let arguments = format!("{} -- --io af_packet:{} --ip 10.77.0.1/24", one_lcore(), "nowhere0");
    let ended = run(gannet(&format!("doctor --json {arguments}")));
    let findings: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((ended.code, &findings["would_start"]), (Some(1), &false.into()));
    assert_eq!(findings["command"], format!("gannet echo {arguments}"));
    let checks = findings["checks"].as_array().expect("checks");
    let interface = checks.iter().find(|check| check["name"] == "interface nowhere0").expect("the interface");
    assert_eq!(interface["status"], "error");
}

#[test]
fn arguments_that_nobody_understands_are_a_matter_of_usage() {
    for arguments in ["doctor -- --nonsense", "doctor gen -l 0 -- --to nobody"] {
        let ended = run(gannet(arguments));
        assert_eq!(ended.code, Some(2), "{ended:#?}");
    }
    let help = run(gannet("doctor --help"));
    assert!(help.code == Some(0) && help.stdout.contains("--try"), "{help:#?}");
}

#[test]
fn a_failed_start_points_to_the_doctor_with_its_own_arguments() {
    let name = unique("x");
    let arguments = format!("{} -- --io af_packet:{name} --ip 10.77.0.1/24", one_lcore());
    let ended = run(gannet(&format!("echo {arguments}")));
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let pointer = format!("gannet doctor {arguments} says what is missing");
    assert_eq!(ended.stderr.lines().last(), Some(pointer.as_str()), "{ended:#?}");
    let generator = format!("gen {arguments} --to 10.77.0.2:7 --neighbour 10.77.0.2=02:00:00:00:00:02");
    let ended = run(gannet(&generator));
    assert!(ended.stderr.contains(&format!("gannet doctor {generator} says")), "{ended:#?}");
    // What was typed wrong is no matter of the machine.
    let usage = run(gannet("echo -- --io af_packet:x"));
    assert!(usage.code == Some(2) && !usage.stderr.contains("doctor"), "{usage:#?}");
}
