//! `--metrics` as its readers find it: a plain reader, promtool, a parser of OpenMetrics, Prometheus
//! itself, and DPDK's telemetry socket.

mod common;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::program::gannet;
use common::scrape::{address, ask, page, sum, wait_until};
use common::{Program, Scratch, one_lcore, skip, turn};

const TEXT: &str = "text/plain";

/// An echo on sockets, where it listens, and where its metrics are.
fn echo(arguments: &str) -> (Program, String, String) {
    // The kernel has no say in which port an echo takes, so one that was free just now.
    let free = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let arguments = format!(
        "echo {} -- --io socket --ip 127.0.0.1 --udp-port {} --metrics 127.0.0.1:0 {arguments}",
        one_lcore(),
        free.port()
    );
    let mut program = Program::start(&mut gannet(&arguments));
    let metrics = address(&mut program);
    program.ready();
    (program, free.to_string(), metrics)
}

/// Sends datagrams and hears each of them.
#[track_caller]
fn exchange(to: &str, count: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    for _ in 0..count {
        socket.send_to(b"hello", to).expect("sent");
        assert_eq!(socket.recv(&mut [0; 10]).expect("an answer within 10 s"), 5);
    }
}

/// Runs a program on a text. What it says, if it ended well.
#[track_caller]
fn check(command: &mut Command, text: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}\n{text}");
    said.into_owned()
}

fn is_there(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

#[test]
fn what_is_served_is_what_was_done() {
    let _turn = turn();
    let (program, to, metrics) = echo("");
    exchange(&to, 100);
    let page = page(&metrics, "*/*");
    for (sample, value) in [
        ("gannet_ready ", 1.0),
        ("gannet_rx_packets_total{", 100.0),
        ("gannet_rx_dropped_packets_total{", 0.0),
        ("gannet_tx_emitted_packets_total{port=\"socket\",", 100.0),
        ("gannet_lcore_moving{", 1.0),
        ("gannet_lcore_stalls_total{", 0.0),
    ] {
        assert_eq!(sum(&page, sample), value, "{sample}: {page}");
    }
    // The last may be counted behind its answer.
    let page = wait_until(&metrics, "gannet_tx_packets_total{", |sent| sent == 100.0);
    for sample in ["gannet_lcore_turn_seconds_count{", "gannet_lcore_turn_seconds_sum{"] {
        assert!(sum(&page, sample) > 0.0, "{sample}: {page}");
    }
    // It is that of a second that is over, so one with work in it has to pass.
    wait_until(&metrics, "gannet_lcore_busy_ratio{", |ratio| {
        exchange(&to, 10);
        ratio > 0.0
    });
    let ended = program.stop("TERM");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[test]
fn promtool_finds_nothing_wrong_with_it() {
    let name = "promtool_finds_nothing_wrong_with_it";
    if !is_there(Command::new("promtool").arg("--version")) {
        return skip(name, "promtool is not installed (Debian's package prometheus)");
    }
    let _turn = turn();
    let (_program, to, metrics) = echo("");
    exchange(&to, 10);
    assert_eq!(check(Command::new("promtool").args(["check", "metrics"]), &page(&metrics, TEXT)), "");
}

#[test]
fn a_parser_of_openmetrics_reads_it() {
    let name = "a_parser_of_openmetrics_reads_it";
    let parser = "from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse";
    if !is_there(Command::new("/usr/bin/python3").args(["-c", parser])) {
        return skip(name, "there is no parser (Debian's package python3-prometheus-client)");
    }
    let _turn = turn();
    let (_program, to, metrics) = echo("");
    exchange(&to, 10);
    let program = format!(
        "{parser}\nimport sys\nfor f in parse(sys.stdin.read()): print(f.name, f.type, len(f.samples))"
    );
    let said = check(Command::new("/usr/bin/python3").args(["-c", &program]), &page(&metrics, "*/*"));
    for family in ["gannet_build info 1", "gannet_tx_packets counter 1", "gannet_ready gauge 1"] {
        assert!(said.lines().any(|line| line == family), "no '{family}': {said}");
    }
    assert!(said.contains("gannet_lcore_turn_seconds histogram "), "{said}");
}

#[test]
fn prometheus_scrapes_it() {
    let name = "prometheus_scrapes_it";
    if !is_there(Command::new("prometheus").arg("--version")) {
        return skip(name, "prometheus is not installed");
    }
    let (_turn, folder) = (turn(), Scratch::new());
    let (_program, to, metrics) = echo("");
    exchange(&to, 10);
    let config = format!(
        "scrape_configs:\n- job_name: gannet\n  scrape_interval: 200ms\n  static_configs:\n  - targets: ['{metrics}']\n"
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).expect("written");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut command = folder.run_in(Command::new("prometheus"));
    command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"]);
    let _prometheus = Program::start(command.arg(format!("--web.listen-address={free}")));
    let query = "/api/v1/query?query=sum(gannet_rx_packets_total)";
    let request = format!("GET {query} HTTP/1.0\r\nHost: {free}\r\n\r\n");
    let has_it = || {
        let listens = std::net::TcpStream::connect(free).is_ok();
        listens && ask(&free.to_string(), &request).1.contains("\"10\"]")
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !has_it() {
        assert!(Instant::now() < deadline, "it never had the ten datagrams");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn strange_requests_are_refused_and_the_next_is_served() {
    let _turn = turn();
    let (_program, _, metrics) = echo("");
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed"),
        ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/3\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"),
        ("nonsense\r\n\r\n", "400 Bad Request"),
    ] {
        let (head, body) = ask(&metrics, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {head}");
        assert!(body.ends_with("there are /metrics, /ready and /healthy\n"), "{body}");
    }
    let (head, body) = ask(&metrics, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(head.contains("application/openmetrics-text; version=1.0.0") && body.is_empty(), "{head}");
    assert!(page(&metrics, TEXT).contains("# TYPE gannet_tx_packets_total counter"));
}

#[test]
fn a_wrong_address_is_said_at_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = listener.local_addr().expect("an address");
    let run = |address: &str| {
        let arguments =
            format!("echo {} -- --io socket --ip 127.0.0.1 --udp-port 9 --metrics {address}", one_lcore());
        Program::start(&mut gannet(&arguments)).end()
    };
    let ended = run(&taken.to_string());
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains(&format!("--metrics {taken}: Address already in use")), "{ended:#?}");
    drop(listener);
    for wrong in ["9464", "localhost:9464", "127.0.0.1", "127.0.0.1:65536"] {
        let ended = run(wrong);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.stderr.contains("as in 127.0.0.1:9464"), "{ended:#?}");
    }
}

/// The names of a text that are metrics'.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("gannet_")).map(str::to_owned).collect()
}

/// Those of the generator and of bots too, which need nobody to play with for that.
#[test]
fn the_dashboard_and_the_page_of_docs_name_metrics_that_are_served() {
    let _turn = turn();
    let (_echo, to, metrics) = echo("");
    let arguments = format!(
        "gen {} -- --io socket --ip 127.0.0.1 --to {to} --rate 1000 --metrics 127.0.0.1:0 --duration 20s",
        one_lcore()
    );
    let mut generator = Program::start(&mut gannet(&arguments));
    let of_generator = address(&mut generator);
    generator.ready();
    let trips = "gannet_gen_round_trip_seconds_count{lcore=";
    let arguments = format!(
        "bots {} -- --io socket --ip 127.0.0.1 --to {to} --bots 2 --source-port 28501 --metrics 127.0.0.1:0 --duration 20s",
        one_lcore()
    );
    let mut bots = Program::start(&mut gannet(&arguments));
    let of_bots = address(&mut bots);
    bots.ready();
    let pages = [
        page(&metrics, TEXT),
        wait_until(&of_generator, trips, |count| count > 0.0),
        wait_until(&of_bots, "gannet_bots_playing{lcore=", |count| count == 0.0),
    ];
    let pages = pages.concat();
    let samples = pages.lines().filter(|line| !line.starts_with('#'));
    let served: BTreeSet<_> =
        samples.map(|line| line.split(['{', ' ']).next().unwrap_or_default().to_owned()).collect();
    let is_served = |name: &String| served.contains(name) || served.contains(&format!("{name}_count"));
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["docs/grafana/gannet.json", "docs/metrics.md"] {
        let text = std::fs::read_to_string(top.join(file)).expect(file);
        let unknown: Vec<_> = names(&text).into_iter().filter(|name| !is_served(name)).collect();
        assert!(unknown.is_empty() && !names(&text).is_empty(), "{file}: {unknown:?}");
    }
    let dashboard = std::fs::read_to_string(top.join("docs/grafana/gannet.json")).expect("read");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 5));
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use common::Lab;
    use common::client::Tally;
    use common::echo::{ADDRESS, TO, eal, start};

    use super::*;

    /// What DPDK's own client is told.
    fn told(lab: &Lab, prefix: &str, commands: &str) -> Vec<serde_json::Value> {
        let mut client = Command::new("dpdk-telemetry.py");
        client.args(["-f", prefix]).env("RUNTIME_DIRECTORY", lab.scratch.path());
        let said = check(&mut client, commands);
        let answers = said.lines().filter(|line| line.starts_with('{'));
        answers.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    #[test]
    fn dpdk_s_telemetry_client_is_told_the_same() {
        let name = "dpdk_s_telemetry_client_is_told_the_same";
        if !is_there(Command::new("dpdk-telemetry.py").arg("--help")) {
            return skip(name, "dpdk-telemetry.py is not installed (Debian's package dpdk)");
        }
        Lab::with(name, |lab| {
            let arguments = eal(&one_lcore(), "--vdev=net_af_packet0,iface=near0");
            let prefix = arguments.split_whitespace().skip_while(|word| *word != "--file-prefix").nth(1);
            let prefix = prefix.expect("there is one").to_owned();
            let mut engine = start(lab, &arguments, "", ADDRESS);
            engine.ready();
            assert_eq!(lab.far.udp_client(TO, 10), Tally::all(10));
            let lcore = common::cpus().last().expect("a CPU").to_string();
            let commands = format!(
                "/gannet/info\n/gannet/counters\n/gannet/lcores\n/gannet/lcore,{lcore}\n/gannet/port,0\n\
                 /gannet/counters,7\n/gannet/turns,{lcore}\nquit\n"
            );
            let answers = told(lab, &prefix, &commands);
            let answer = |command: &str| {
                let answer = answers.iter().find_map(|answer| answer.get(command));
                answer.unwrap_or_else(|| panic!("no {command}: {answers:#?}"))
            };
            assert_eq!(answer("/gannet/info")["app"], "echo");
            assert_eq!(answer("/gannet/port")["name"], "net_af_packet0");
            assert!(answer("/gannet/lcore")["ticks"].as_u64() > Some(0));
            assert!(answer("/gannet/turns")["count"].as_u64() > Some(0));
            assert_eq!(answer("/gannet/lcores").as_array().map(Vec::len), Some(1));
            let counters: Vec<_> =
                answers.iter().filter_map(|answer| answer.get("/gannet/counters")).collect();
            assert_eq!(counters[0]["delivered"], 10, "{answers:#?}");
            assert!(counters[1].is_null(), "there is no such port: {answers:#?}");
            assert_eq!(engine.stop("TERM").code, Some(0));
        });
    }
}
