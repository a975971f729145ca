//! `gannet echo` on sockets of the kernel's: no frames, no rights, and otherwise the same.
//!
//! Most of these tests take root, for namespaces to run in. Without it they print
//! `skipped: NAME: REASON` and pass, but for `CI=true`, where a skip is a failure.

mod common;

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use common::client::{Tally, exchange, exchange_one};
use common::echo::{balanced, count, number, one_lcore, ports, queues, several_lcores, start};
use common::network::Namespace;
use common::program::gannet;
use common::{Ended, Lab, Program, Scratch, skip, turn};
use serde_json::Value;

const SOCKET: &str = "--io socket";
const ADDRESS: &str = "--ip 10.77.0.1 --udp-port 7";
const TO: &str = "10.77.0.1:7";

/// A lab in which the kernel at the engine's end has 10.77.0.1/24.
fn with_kernel(name: &str, test: impl FnOnce(&Lab)) {
    Lab::with(name, |lab| {
        lab.near.ip("addr add 10.77.0.1/24 dev near0");
        test(lab);
    });
}

/// Just these datagrams came to the service and went back, and nothing was dropped anywhere.
#[track_caller]
fn echoed(report: &Value, datagrams: u64) {
    for counter in ["received", "delivered", "replied", "sent"] {
        assert_eq!(count(report, counter), datagrams, "{counter}: {report:#}");
    }
    assert_eq!(count(report, "rx_missed") + count(report, "socket_error"), 0, "{report:#}");
}

// ---- on a wire -------------------------------------------------------------------------

#[test]
fn a_socket_answers_every_datagram() {
    with_kernel("a_socket_answers_every_datagram", |lab| {
        let mut engine = start(lab, &one_lcore(), SOCKET, ADDRESS);
        assert_eq!(engine.ready(), "ready: echo on socket, 1 queue, 10.77.0.1:7");
        assert_eq!(lab.far.udp_client(TO, 10_000), Tally::all(10_000));
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        echoed(&report, 10_000);
        let port = ports(&report).next().expect("a port");
        assert_eq!((&port["name"], &port["driver"]), (&"socket".into(), &"socket".into()));
        assert_eq!(number(&port["extended_statistics"]["rx_q0_10.77.0.1:7_drops"]), 0, "{port:#}");
    });
}

#[test]
fn wildcards_answer_from_every_address() {
    with_kernel("wildcards_answer_from_every_address", |lab| {
        lab.near.ip("addr add 10.77.0.3/24 dev near0");
        lab.near.speak_ipv6("near0", "fd00:77::1/64");
        lab.far.speak_ipv6("far0", "fd00:77::2/64");
        let any = "--ip 0.0.0.0 --ip :: --udp-port 7 --udp-port 9";
        let mut engine = start(lab, &one_lcore(), SOCKET, any);
        assert_eq!(engine.ready(), "ready: echo on socket, 1 queue, 0.0.0.0:{7,9} [::]:{7,9}");
        // A client's socket is connected: an answer from another address would not reach it.
        for to in [TO, "10.77.0.1:9", "10.77.0.3:9", "[fd00:77::1]:7", "[fd00:77::1]:9"] {
            assert_eq!(lab.far.udp_client(to, 500), Tally::all(500), "{to}");
        }
        let scope = lab.far.run("cat", ["/sys/class/net/far0/ifindex"]);
        let link_local =
            lab.near.run("sh", ["-c", "ip -6 -o addr show dev near0 scope link | grep -o 'fe80[^/]*'"]);
        let to = format!("[{}%{}]:7", link_local.trim(), scope.trim());
        exchange_one(&lab.far.socket("[::]:0"), &to, 100).expect("an answer of a link-local address");
        echoed(&balanced(&lab.scratch, &engine.stop("INT")), 2501);
    });
}

#[test]
fn each_flow_stays_on_one_lcore() {
    with_kernel("each_flow_stays_on_one_lcore", |lab| {
        let mut engine = start(lab, &several_lcores(2), SOCKET, ADDRESS);
        assert_eq!(engine.ready(), "ready: echo on socket, 2 queues, 10.77.0.1:7");
        let clients: Vec<_> = (0..40).map(|_| lab.far.socket("10.77.0.2:0")).collect();
        for client in &clients {
            assert_eq!(exchange(client, TO, 101), Tally::all(101));
        }
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        echoed(&report, 40 * 101);
        let shares: Vec<_> = queues(&report).map(|(_, delivered)| delivered).collect();
        assert_eq!(shares.len(), 2);
        assert!(shares.iter().all(|&share| share > 0 && share.is_multiple_of(101)), "{shares:?}");
    });
}

#[test]
fn what_is_longer_than_the_mtu_comes_back_too() {
    with_kernel("what_is_longer_than_the_mtu_comes_back_too", |lab| {
        let mut engine = start(lab, &one_lcore(), SOCKET, ADDRESS);
        engine.ready();
        let client = lab.far.socket("10.77.0.2:0");
        for len in [0, 1, 1472, 1473, 9000, 65_507] {
            exchange_one(&client, TO, len).unwrap_or_else(|error| panic!("{len} bytes: {error}"));
        }
        // Runs of one length, which the kernel refuses to join: their packets would not fit.
        for _ in 0..20 {
            (0..20).for_each(|_| assert_eq!(client.send_to(&[7; 2000], TO).expect("sent"), 2000));
            (0..20).for_each(|_| assert_eq!(client.recv(&mut [0; 2048]).expect("an answer"), 2000));
        }
        echoed(&balanced(&lab.scratch, &engine.stop("TERM")), 406);
    });
}

#[test]
fn joined_datagrams_cross_the_wire_and_come_back_one_by_one() {
    with_kernel("joined_datagrams_cross_the_wire_and_come_back_one_by_one", |lab| {
        let mut engine = start(lab, &one_lcore(), SOCKET, ADDRESS);
        engine.ready();
        let client = lab.far.socket("10.77.0.2:0");
        cut_into(&client, 1000);
        let payload: Vec<_> = (0..40_500).map(|index| (index * 7 + index / 256) as u8).collect();
        for _ in 0..10 {
            client.send_to(&payload, TO).expect("sent");
            for part in payload.chunks(1000) {
                let mut answer = [0; 2000];
                let len = client.recv(&mut answer).expect("an answer");
                assert!(answer[..len] == *part);
            }
        }
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        echoed(&report, 410);
        assert!(count(&report, "rx_joined") > 0 && count(&report, "tx_joined") > 0, "{report:#}");
    });
}

/// Has the kernel cut what a client sends into datagrams of so many bytes.
fn cut_into(socket: &UdpSocket, len: i32) {
    let (value, size) = ((&raw const len).cast(), size_of::<i32>() as libc::socklen_t);
    // SAFETY: the value lives through the call, and its length is told.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, size) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_wire_that_takes_no_more_is_counted() {
    with_kernel("a_wire_that_takes_no_more_is_counted", |lab| {
        lab.near.run("tc", "qdisc add dev near0 root tbf rate 1mbit burst 4k limit 1g".split(' '));
        let mut engine = start(lab, &one_lcore(), SOCKET, ADDRESS);
        engine.ready();
        let client = lab.far.socket("10.77.0.2:0");
        (0..20_000).for_each(|_| assert_eq!(client.send_to(&[7; 1400], TO).expect("sent"), 1400));
        std::thread::sleep(Duration::from_millis(200));
        lab.near.run("tc", "qdisc del dev near0 root".split(' '));
        assert_eq!(lab.far.udp_client(TO, 100), Tally::all(100), "it goes on");
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        assert!(count(&report, "tx_full") > 0, "{report:#}");
        assert_eq!(count(&report, "sent") + count(&report, "tx_full"), count(&report, "delivered"));
    });
}

#[test]
fn errors_that_icmp_reports_stop_nothing() {
    with_kernel("errors_that_icmp_reports_stop_nothing", |lab| {
        // The kernel sends as many as it likes.
        lab.far.run("sh", ["-c", "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit"]);
        let mut engine = start(lab, &one_lcore(), SOCKET, ADDRESS);
        engine.ready();
        for _ in 0..500 {
            lab.far.socket("10.77.0.2:0").send_to(b"asks and leaves", TO).expect("sent");
        }
        // Nobody has this address, so its answers find no neighbour.
        lab.far.ip("addr add 10.77.0.9/24 dev far0");
        let client = lab.far.socket("10.77.0.9:0");
        lab.far.ip("addr del 10.77.0.9/24 dev far0");
        let _ = client.send_to(b"from nobody", TO);
        assert_eq!(lab.far.udp_client(TO, 1000), Tally::all(1000));
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        assert!(count(&report, "sent") >= 1500, "{report:#}");
        assert_eq!(count(&report, "socket_error"), 0, "{report:#}");
    });
}

// ---- the same as on frames -----------------------------------------------------------------

/// What a client sent and what came back, in order; `None`: nothing did.
type Answers = Vec<Option<Vec<u8>>>;

/// Asks one question after the other, each from a port of its own or from this one.
fn interview(lab: &Lab) -> Answers {
    let mut answers = Vec::new();
    let mut ask = |from: u16, to: &str, payload: &[u8]| {
        let client = lab.far.socket(&format!("10.77.0.2:{from}"));
        client.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        client.send_to(payload, to).expect("sent");
        let mut answer = [0; 2000];
        let answer = client.recv_from(&mut answer).map(|(len, source)| {
            assert_eq!(source.to_string(), to, "who was asked answers");
            answer[..len].to_vec()
        });
        answers.push(answer.ok());
    };
    for len in [0, 1, 17, 18, 19, 512, 1471, 1472] {
        let payload: Vec<_> = (0..len).map(|index| index as u8).collect();
        ask(0, TO, &payload);
        ask(0, "10.77.0.1:9", &payload);
    }
    // Reflectors' ports and our own, and one that is nobody's.
    for from in [7, 9, 13, 19, 53, 123, 4660] {
        ask(from, TO, b"who am I");
    }
    ask(0, "10.77.0.1:8", b"closed");
    answers
}

#[test]
fn a_socket_answers_what_af_packet_answers() {
    Lab::with("a_socket_answers_what_af_packet_answers", |lab| {
        let guard = "--udp-port 7 --udp-port 9 --guard rate=1000";
        let mut engine =
            start(lab, &one_lcore(), "--io af_packet:near0", &format!("--ip 10.77.0.1/24 {guard}"));
        engine.ready();
        let expected = interview(lab);
        let frames = balanced(&lab.scratch, &engine.stop("TERM"));
        lab.near.ip("addr add 10.77.0.1/24 dev near0");
        let mut engine = start(lab, &one_lcore(), SOCKET, &format!("--ip 10.77.0.1 {guard}"));
        engine.ready();
        assert_eq!(interview(lab), expected);
        let datagrams = balanced(&lab.scratch, &engine.stop("TERM"));
        for counter in ["delivered", "replied", "reflector_port", "source_rate", "service_dropped"] {
            assert_eq!(count(&datagrams, counter), count(&frames, counter), "{counter}");
        }
        assert_eq!((count(&frames, "delivered"), count(&frames, "reflector_port")), (17, 6));
    });
}

#[test]
fn a_flood_from_one_source_gets_its_rate() {
    with_kernel("a_flood_from_one_source_gets_its_rate", |lab| {
        let mut engine = start(lab, &one_lcore(), SOCKET, &format!("{ADDRESS} --guard rate=10"));
        engine.ready();
        let client = lab.far.socket("10.77.0.2:0");
        for _ in 0..20 {
            (0..50).for_each(|_| assert_eq!(client.send_to(b"flood", TO).expect("sent"), 5));
            std::thread::sleep(Duration::from_millis(2));
        }
        // Those that it may have are the bucket's and those of the time that passed.
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        assert!(count(&report, "delivered") >= 32 && count(&report, "source_rate") > 500, "{report:#}");
        assert_eq!(count(&report, "delivered") + count(&report, "source_rate"), 1000);
    });
}

#[test]
fn an_lcore_without_datagrams_sleeps_and_wakes() {
    with_kernel("an_lcore_without_datagrams_sleeps_and_wakes", |lab| {
        lab.near.ip("addr add 10.77.0.3/24 dev near0");
        // One socket is waited for by itself, several together.
        for addresses in [ADDRESS, "--ip 10.77.0.1 --ip 10.77.0.3 --udp-port 7"] {
            let mut engine = start(lab, &one_lcore(), SOCKET, addresses);
            engine.ready();
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(20));
                assert_eq!(lab.far.udp_client(TO, 1), Tally::all(1));
            }
            let report = balanced(&lab.scratch, &engine.stop("TERM"));
            echoed(&report, 20);
            let lcore = &report["lcores"][0];
            assert!(number(&lcore["waits"]) > 0 && number(&lcore["wakeups"]) > 0, "{lcore:#}");
        }
    });
}

// ---- rights and errors ---------------------------------------------------------------------

/// `gannet` with no rights at all: as nobody, where we are root.
struct Nobody {
    near: Option<Namespace>,
    scratch: Scratch,
    _turn: File,
}

impl Nobody {
    fn new() -> Self {
        let (turn, near, scratch) = (turn(), Namespace::new().ok(), Scratch::new());
        if near.is_some() {
            // Nobody may not even be let near the program's file, nor write here.
            std::fs::copy(gannet("").get_program(), scratch.path().join("gannet")).expect("a copy");
            let all = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(scratch.path(), all).expect("the folder is ours");
        }
        Self { near, scratch, _turn: turn }
    }

    fn start(&self, arguments: &str) -> Program {
        let Some(near) = &self.near else {
            return Program::start(&mut self.scratch.run_in(gannet(arguments)));
        };
        let mut command = near.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
        command.args(["--inh-caps=-all", "--no-new-privs", "--"]).arg(self.scratch.path().join("gannet"));
        command.args(arguments.split_whitespace());
        Program::start(&mut self.scratch.run_in(command))
    }

    fn socket(&self) -> UdpSocket {
        let own = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
        self.near.as_ref().map_or_else(own, |near| near.socket("127.0.0.1:0"))
    }
}

#[test]
fn sockets_take_no_rights() {
    if let Err(why) = Command::new("setpriv").arg("--version").output() {
        return skip("sockets_take_no_rights", &format!("the program setpriv: {why}"));
    }
    let nobody = Nobody::new();
    let echo = format!("echo {} -- --io socket --ip 127.0.0.1", one_lcore());
    let mut engine = nobody.start(&format!("{echo} --udp-port 29007 --json report.json"));
    assert_eq!(engine.ready(), "ready: echo on socket, 1 queue, 127.0.0.1:29007");
    assert_eq!(exchange(&nobody.socket(), "127.0.0.1:29007", 500), Tally::all(500));
    echoed(&balanced(&nobody.scratch, &engine.stop("TERM")), 500);
    let refused = |arguments: &str, words: &[&str]| {
        check(nobody.start(&format!("{echo} {arguments}")).end(), 1, words);
    };
    refused("--udp-port 7", &["127.0.0.1:7", "CAP_NET_BIND_SERVICE", "ip_unprivileged_port_start=7", "1024"]);
    // Older kernels ask for a right here; newer ones only where interrupts are to yield.
    let ended = nobody.start(&format!("{echo} --udp-port 29007 --busy-poll 50 --duration 50ms")).end();
    if ended.code == Some(0) {
        assert!(
            ended.stdout.contains("busy polling for 50 us, beside the device's interrupts"),
            "{ended:#?}"
        );
    } else {
        check(ended, 1, &["--busy-poll 50", "CAP_NET_ADMIN", "busy_read=50"]);
    }
}

#[track_caller]
fn check(ended: Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no '{word}': {ended:#?}");
    }
    assert!(!ended.stderr.contains("panicked") && !ended.stdout.contains("ready: "), "{ended:#?}");
}

#[test]
fn busy_polling_is_granted_to_root() {
    with_kernel("busy_polling_is_granted_to_root", |lab| {
        let mut engine = start(lab, &one_lcore(), SOCKET, &format!("{ADDRESS} --busy-poll 50"));
        engine.ready();
        assert_eq!(lab.far.udp_client(TO, 500), Tally::all(500));
        let ended = engine.stop("TERM");
        assert!(ended.stdout.contains("busy polling for 50 us"), "{ended:#?}");
        echoed(&balanced(&lab.scratch, &ended), 500);
    });
}

#[test]
fn a_port_that_is_taken_is_named() {
    with_kernel("a_port_that_is_taken_is_named", |lab| {
        let mut first = start(lab, &several_lcores(2), SOCKET, ADDRESS);
        first.ready();
        // It shares its port among its lcores, and with no other program.
        for lcores in [one_lcore(), several_lcores(2)] {
            check(
                start(lab, &lcores, SOCKET, ADDRESS).end(),
                1,
                &["10.77.0.1:7 is in use", "ss -lunp", "--udp-port"],
            );
        }
        check(
            start(lab, &one_lcore(), SOCKET, "--ip 10.99.0.1 --udp-port 7").end(),
            1,
            &["10.99.0.1 is no address", "0.0.0.0"],
        );
        assert_eq!(lab.far.udp_client(TO, 100), Tally::all(100));
        echoed(&balanced(&lab.scratch, &first.stop("TERM")), 100);
    });
}

#[test]
fn more_sockets_than_a_process_may_open_are_said() {
    let ports: String = (29_100..29_164).map(|port| format!(" --udp-port {port}")).collect();
    let echo = gannet(&format!("echo {} -- --io socket --ip 127.0.0.1 {ports}", one_lcore()));
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""]).arg(echo.get_program()).args(echo.get_args());
    check(Program::start(&mut limited).end(), 1, &["64 sockets", "ulimit -n 128"]);
}

#[test]
fn what_means_nothing_on_sockets_is_refused_by_name() {
    let refused = |arguments: &str, words: &[&str]| {
        let command = format!("echo -- --io socket --ip 127.0.0.1 --udp-port 29008 {arguments}");
        check(Program::start(&mut gannet(&command)).end(), 2, words);
    };
    for (option, way_out) in [
        ("--fault loss=1%", "netem"),
        ("--capture drops.pcapng", "tcpdump"),
        ("--promiscuous", "leave it out"),
        ("--rxd 512", "rmem_max"),
        ("--txd 512", "wmem_max"),
        ("--mtu 1500", "ip link"),
        ("--gateway 10.0.0.1", "ip route"),
        ("--fragments drop", "kernel"),
        ("--tx-shared copy", "leave it out"),
        ("--no-announce", "leave it out"),
        ("--guard icmp-rate=5", "ICMP"),
        ("--udp-port all", "name each"),
        ("--ports 0", "EAL"),
    ] {
        refused(option, &[option.split(' ').next().expect("a word"), "socket", way_out]);
    }
    refused("--ip 127.0.0.2/8", &["127.0.0.2/8", "no prefix length", "--ip 127.0.0.2"]);
    refused("--ip 127.0.0.2@1.100", &["127.0.0.2@1.100", "VLAN"]);
    refused("--ip 224.0.0.1", &["224.0.0.1", "can't answer from"]);
    refused("--ip 127.0.0.1", &["127.0.0.1", "twice"]);
    refused("--ip 0.0.0.0", &["0.0.0.0", "takes in 127.0.0.1"]);
    refused("--busy-poll 0", &["--busy-poll"]);
    refused("--socket-gro maybe", &["'maybe'", "on and off"]);
}

#[test]
fn what_sockets_alone_have_is_refused_elsewhere() {
    for option in ["--busy-poll 50", "--socket-gro off", "--socket-gso on"] {
        let command = format!("echo -- --io af_packet:near0 --ip 10.77.0.1/24 {option}");
        let name = option.split(' ').next().expect("a word");
        check(Program::start(&mut gannet(&command)).end(), 2, &[name, "--io socket"]);
    }
    let dpdk = "echo --vdev=net_null0 -- --io socket --ip 127.0.0.1 --udp-port 29009";
    check(Program::start(&mut gannet(dpdk)).end(), 2, &["--vdev", "DPDK"]);
}
