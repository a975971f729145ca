//! What `gannet echo` may do while it serves, with which rights it starts, and as whom.
//!
//! Most of these tests take root, to give rights and to take them. Without it they print
//! `skipped: NAME: REASON` and pass, but for `CI=true`, where a skip is a failure.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use common::client::Tally;
use common::echo::{ADDRESS, TO, balanced, echoed, one_lcore, several_lcores, start};
use common::program::gannet;
use common::{Ended, Lab, Program, skip};

const WIRE: &str = "--io af_packet:near0";

/// What the kernel says of a thread.
#[derive(Debug)]
struct Thread(String);

impl Thread {
    fn all(program: &Program) -> Vec<Self> {
        let threads = fs::read_dir(format!("/proc/{}/task", program.id())).expect("it runs");
        let read = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).expect("a thread");
        threads.map(|thread| Self(read(thread.expect("a thread")))).collect()
    }

    fn own() -> Self {
        Self(fs::read_to_string("/proc/self/status").expect("our own"))
    }

    fn field(&self, name: &str) -> &str {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name}: {}", self.0)).trim()
    }

    fn numbers(&self, name: &str) -> Vec<u32> {
        self.field(name).split_whitespace().map(|word| word.parse().expect("a number")).collect()
    }

    fn capabilities(&self, name: &str) -> u64 {
        u64::from_str_radix(self.field(name), 16).expect("a set")
    }
}

/// Every thread has no right left, and a filter; and there are at least so many.
#[track_caller]
fn bare(program: &Program, least: usize) -> Vec<Thread> {
    let threads = Thread::all(program);
    assert!(threads.len() >= least, "{threads:#?}");
    for thread in &threads {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(thread.capabilities(set), 0, "{set}: {}", thread.0);
        }
        assert_eq!((thread.field("NoNewPrivs"), thread.field("Seccomp")), ("1", "2"), "{}", thread.0);
    }
    threads
}

/// Every thread is nobody's, in every respect.
#[track_caller]
fn is_nobody(threads: &[Thread]) {
    let (user, groups) = (id("-u"), id("-G"));
    for thread in threads {
        assert_eq!(thread.numbers("Uid"), [user[0]; 4], "{}", thread.0);
        assert_eq!(thread.numbers("Gid"), [id("-g")[0]; 4], "{}", thread.0);
        assert_eq!(thread.numbers("Groups"), groups, "{}", thread.0);
    }
}

fn id(option: &str) -> Vec<u32> {
    let output = Command::new("id").args([option, "nobody"]).output().expect("the program id");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut ids: Vec<_> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    ids.sort_unstable();
    ids
}

/// The line that says what was given up.
#[track_caller]
fn said(ended: &Ended) -> &str {
    ended.stdout.lines().find(|line| line.starts_with("privileges: ")).unwrap_or_else(|| panic!("{ended:#?}"))
}

// ---- what is given up ----------------------------------------------------------------------

#[test]
fn no_thread_keeps_a_right() {
    Lab::with("no_thread_keeps_a_right", |lab| {
        // The kernel's, for the sockets.
        lab.near.ip("addr add 10.77.0.3/24 dev near0");
        for (io, arguments, to) in
            [(WIRE, ADDRESS, TO), ("--io socket", "--ip 10.77.0.3 --udp-port 7", "10.77.0.3:7")]
        {
            let mut engine = start(lab, &several_lcores(2), io, arguments);
            engine.ready();
            // The main lcore and two workers.
            bare(&engine, 3);
            assert_eq!(lab.far.udp_client(to, 500), Tally::all(500));
            let ended = engine.stop("TERM");
            balanced(&lab.scratch, &ended);
            assert!(said(&ended).starts_with("privileges: no capabilities, "), "{ended:#?}");
            assert!(said(&ended).ends_with(" system calls refused"), "{ended:#?}");
        }
    });
}

#[test]
fn rights_go_without_a_filter_too() {
    Lab::with("rights_go_without_a_filter_too", |lab| {
        let mut engine = start(lab, &several_lcores(2), WIRE, &format!("{ADDRESS} --no-seccomp"));
        engine.ready();
        let own = Thread::own();
        for thread in Thread::all(&engine) {
            assert_eq!((thread.capabilities("CapPrm"), thread.field("NoNewPrivs")), (0, "1"), "{}", thread.0);
            assert_eq!(thread.field("Seccomp"), own.field("Seccomp"), "{}", thread.0);
        }
        let ended = engine.stop("TERM");
        balanced(&lab.scratch, &ended);
        assert_eq!(said(&ended), "privileges: no capabilities, no system call is refused");
    });
}

/// Its files are in a folder where nobody may not write.
#[test]
fn another_user_serves_and_writes_what_was_asked_for() {
    Lab::with("another_user_serves_and_writes_what_was_asked_for", |lab| {
        let files = "--capture frames.pcapng,reason=all --stats 10ms";
        let arguments = format!("{ADDRESS} --user nobody --promiscuous {files}");
        let mut engine = start(lab, &several_lcores(2), WIRE, &arguments);
        engine.ready();
        // And the one that writes the capture.
        is_nobody(&bare(&engine, 4));
        assert_eq!(lab.far.udp_client(TO, 500), Tally::all(500));
        let ended = engine.stop("TERM");
        let report = balanced(&lab.scratch, &ended);
        echoed(&report, 500);
        assert!(said(&ended).contains("user nobody ("), "{ended:#?}");
        let captured = fs::metadata(lab.scratch.path().join("frames.pcapng")).expect("a capture");
        assert!(captured.len() > 1000 * 60, "{captured:?}");
    });
}

#[test]
fn a_link_that_goes_down_and_up_is_seen_without_rights() {
    Lab::with("a_link_that_goes_down_and_up_is_seen_without_rights", |lab| {
        let mut engine = start(lab, &one_lcore(), WIRE, &format!("{ADDRESS} --user nobody"));
        engine.ready();
        for way in ["down", "up"] {
            // It is looked for twice a second.
            lab.near.ip(&format!("link set near0 {way}"));
            std::thread::sleep(std::time::Duration::from_secs(2));
        }
        assert_eq!(lab.far.udp_client(TO, 10), Tally::all(10));
        let ended = engine.stop("TERM");
        balanced(&lab.scratch, &ended);
        for word in ["near0: the link is down", "near0: the link is up"] {
            assert!(ended.stderr.contains(word), "{ended:#?}");
        }
    });
}

#[test]
fn rights_are_kept_where_that_is_asked_for() {
    Lab::with("rights_are_kept_where_that_is_asked_for", |lab| {
        let mut engine = start(lab, &several_lcores(1), WIRE, &format!("{ADDRESS} --keep-privileges"));
        engine.ready();
        let own = Thread::own();
        for thread in Thread::all(&engine) {
            for field in ["CapPrm", "CapEff", "NoNewPrivs", "Seccomp"] {
                assert_eq!(thread.field(field), own.field(field), "{field}");
            }
        }
        let ended = engine.stop("TERM");
        balanced(&lab.scratch, &ended);
        assert_eq!(said(&ended), "privileges: kept as they were, and no system call is refused");
    });
}

#[test]
fn the_generator_writes_its_files_as_another_user() {
    Lab::with("the_generator_writes_its_files_as_another_user", |lab| {
        let mut echo = start(lab, &one_lcore(), WIRE, &format!("{ADDRESS} --user nobody"));
        echo.ready();
        let arguments = format!(
            "gen {} -- --io af_packet:far0 --ip 10.77.0.9/24 --to {TO} --rate 1k --count 200 --user nobody \
             --hgrm times.hgrm --json gen.json",
            one_lcore()
        );
        let ended = Program::start(&mut lab.client(&gannet(&arguments))).end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert!(said(&ended).contains("user nobody ("), "{ended:#?}");
        let text = fs::read_to_string(lab.scratch.path().join("times.hgrm")).expect("written");
        assert!(text.contains("#[Max"), "{text}");
        assert_eq!(lab.scratch.json("gen.json")["app"], "gen");
        balanced(&lab.scratch, &echo.stop("TERM"));
    });
}

// ---- who may start it ----------------------------------------------------------------------

/// A copy of the program that nobody may run, with these rights (setcap(8)), in a folder where
/// nobody may write.
struct Copy<'a>(&'a Lab);

impl<'a> Copy<'a> {
    fn with(lab: &'a Lab, capabilities: &str) -> Result<Self, String> {
        let (folder, copy) = (lab.scratch.path(), lab.scratch.path().join("gannet"));
        fs::copy(gannet("").get_program(), &copy).expect("a copy");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("the folder is ours");
        if !capabilities.is_empty() {
            let set = Command::new("setcap").arg(capabilities).arg(&copy).output();
            let set = set.map_err(|why| format!("the program setcap: {why}"))?;
            if !set.status.success() {
                return Err(format!("setcap: {}", String::from_utf8_lossy(&set.stderr).trim()));
            }
        }
        Ok(Self(lab))
    }

    fn start(&self, arguments: &str) -> Program {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        command.arg(self.0.scratch.path().join("gannet")).args(arguments.split_whitespace());
        Program::start(&mut self.0.engine(&command))
    }
}

fn echo(eal: &str, arguments: &str) -> String {
    format!("echo {eal} -- {arguments} --json report.json")
}

#[test]
fn af_packet_takes_one_capability() {
    const NAME: &str = "af_packet_takes_one_capability";
    Lab::with(NAME, |lab| {
        let plain = Copy::with(lab, "").expect("a copy");
        let command = echo(&several_lcores(2), &format!("{WIRE} {ADDRESS}"));
        let ended = plain.start(&command).end();
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        for word in ["near0", "CAP_NET_RAW", "setcap cap_net_raw+ep"] {
            assert!(ended.stderr.contains(word), "no '{word}': {ended:#?}");
        }
        // In effect at once, and merely permitted.
        for capabilities in ["cap_net_raw+ep", "cap_net_raw,cap_net_admin+p"] {
            let able = match Copy::with(lab, capabilities) {
                Ok(copy) => copy,
                Err(why) => return skip(NAME, &why),
            };
            let mut engine = able.start(&command);
            engine.ready();
            for thread in bare(&engine, 3) {
                assert_eq!(thread.numbers("Uid"), [65534; 4]);
            }
            assert_eq!(lab.far.udp_client(TO, 500), Tally::all(500));
            lab.far.ping("10.77.0.1", &[56]);
            balanced(&lab.scratch, &engine.stop("TERM"));
        }
    });
}

#[test]
fn sockets_take_none() {
    Lab::with("sockets_take_none", |lab| {
        lab.near.ip("addr add 10.77.0.1/24 dev near0");
        let plain = Copy::with(lab, "").expect("a copy");
        let arguments = "--io socket --ip 10.77.0.1 --udp-port 9000";
        let mut engine = plain.start(&echo(&several_lcores(2), arguments));
        engine.ready();
        bare(&engine, 3);
        assert_eq!(lab.far.udp_client("10.77.0.1:9000", 500), Tally::all(500));
        balanced(&lab.scratch, &engine.stop("TERM"));
    });
}

#[test]
fn who_can_t_become_another_user_is_told() {
    Lab::with("who_can_t_become_another_user_is_told", |lab| {
        let plain = Copy::with(lab, "").expect("a copy");
        let sockets = "--io socket --ip 127.0.0.1 --udp-port 9000";
        let ended = plain.start(&echo(&one_lcore(), &format!("{sockets} --user daemon"))).end();
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        for word in ["--user daemon", "as root", "docs/running.md"] {
            assert!(ended.stderr.contains(word), "no '{word}': {ended:#?}");
        }
        assert!(!ended.stdout.contains("port 0"), "nothing is opened before: {ended:#?}");
    });
}

#[test]
fn a_user_that_is_not_there_is_a_wrong_argument() {
    let sockets = "echo -- --io socket --ip 127.0.0.1 --udp-port 29031";
    let refused = |arguments: &str, words: &[&str]| {
        let ended = Program::start(&mut gannet(&format!("{sockets} {arguments}"))).end();
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        for word in words {
            assert!(ended.stderr.contains(word), "no '{word}': {ended:#?}");
        }
    };
    refused("--user no-such-user", &["--user", "no user 'no-such-user'", "useradd"]);
    refused("--user nobody --keep-privileges", &["--user", "--keep-privileges"]);
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use common::echo::{eal, tap, with_tun};
    use common::hugepages::Hugepages;
    use common::unique;

    use super::*;

    /// Its threads were there before the ports were open: that of interrupts, of other processes'
    /// requests, of telemetry, and the lcores.
    #[test]
    fn no_thread_of_the_eal_keeps_a_right() {
        with_tun("no_thread_of_the_eal_keeps_a_right", |lab| {
            for user in ["", "--user nobody"] {
                let eal = eal(&several_lcores(2), "--vdev=net_tap0,iface=dtap0");
                // Twice, so that what another user can't take away is in nobody's way.
                for _ in 0..2 {
                    let mut engine = start(lab, &eal, "", &format!("{ADDRESS} {user}"));
                    engine.ready();
                    tap(lab);
                    let threads = bare(&engine, 6);
                    if !user.is_empty() {
                        is_nobody(&threads);
                    }
                    assert_eq!(lab.near.udp_client(TO, 500), Tally::all(500));
                    let ended = engine.stop("TERM");
                    balanced(&lab.scratch, &ended);
                    assert!(!ended.stderr.contains("not permitted"), "{ended:#?}");
                }
            }
        });
    }

    /// What libxdp needs to take its program off again is kept, and the program taken off.
    #[test]
    fn af_xdp_keeps_what_its_end_takes() {
        const NAME: &str = "af_xdp_keeps_what_its_end_takes";
        Lab::with(NAME, |lab| {
            let eal = eal(&one_lcore(), "--vdev=net_af_xdp0,iface=near0");
            let mut probe = Program::start(&mut lab.engine(&gannet(&echo(&eal, ADDRESS))));
            if let Some(why) = probe.ready_or_end() {
                return skip(NAME, &format!("net_af_xdp did not start: {}", why.stderr));
            }
            assert!(lab.near.run("ip", ["link", "show", "near0"]).contains("prog/xdp"));
            let kept = 1 << 12 | 1 << 21 | 1 << 39;
            assert!(Thread::all(&probe).iter().all(|thread| thread.capabilities("CapPrm") == kept));
            let ended = probe.stop("TERM");
            assert!(said(&ended).contains("CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF"), "{ended:#?}");
            assert!(!lab.near.run("ip", ["link", "show", "near0"]).contains("prog/xdp"));
        });
    }

    #[test]
    fn dpdk_without_hugepages_takes_what_its_device_does() {
        const NAME: &str = "dpdk_without_hugepages_takes_what_its_device_does";
        const DEVICE: &str = "--no-shconf --vdev=net_af_packet0,iface=near0";
        Lab::with(NAME, |lab| {
            let less = match Copy::with(lab, "cap_net_raw+ep") {
                Ok(copy) => copy,
                Err(why) => return skip(NAME, &why),
            };
            let command = echo(&eal(&several_lcores(1), DEVICE), ADDRESS);
            let ended = less.start(&command).end();
            assert_eq!(ended.code, Some(1), "{ended:#?}");
            for word in ["net_af_packet0", "not permitted", "lacks a right", "docs/running.md"] {
                assert!(ended.stderr.contains(word), "no '{word}': {ended:#?}");
            }
            let able = Copy::with(lab, "cap_net_raw,cap_net_admin+ep").expect("it went before");
            let mut engine = able.start(&command);
            engine.ready();
            bare(&engine, 3);
            assert_eq!(lab.far.udp_client(TO, 500), Tally::all(500));
            balanced(&lab.scratch, &engine.stop("TERM"));
        });
    }

    #[test]
    fn a_tap_takes_one_capability() {
        const NAME: &str = "a_tap_takes_one_capability";
        with_tun(NAME, |lab| {
            let able = match Copy::with(lab, "cap_net_admin+ep") {
                Ok(copy) => copy,
                Err(why) => return skip(NAME, &why),
            };
            let device = "--no-shconf --vdev=net_tap0,iface=dtap0";
            let mut engine = able.start(&echo(&eal(&one_lcore(), device), ADDRESS));
            engine.ready();
            tap(lab);
            bare(&engine, 3);
            assert_eq!(lab.near.udp_client(TO, 500), Tally::all(500));
            balanced(&lab.scratch, &engine.stop("TERM"));
        });
    }

    #[test]
    fn dpdk_in_memory_takes_no_right_to_hugepages() {
        const NAME: &str = "dpdk_in_memory_takes_no_right_to_hugepages";
        Lab::with(NAME, |lab| {
            let able = Copy::with(lab, "cap_net_raw,cap_net_admin+ep");
            let (able, _pages) = match able.and_then(|able| Ok((able, Hugepages::reserve()?))) {
                Ok(both) => both,
                Err(why) => return skip(NAME, &why),
            };
            let device = "--no-pci --in-memory --vdev=net_af_packet0,iface=near0";
            let eal = format!("{} {device} --file-prefix {}", several_lcores(1), unique("memory"));
            let mut engine = able.start(&echo(&eal, ADDRESS));
            engine.ready();
            bare(&engine, 3);
            assert_eq!(lab.far.udp_client(TO, 500), Tally::all(500));
            balanced(&lab.scratch, &engine.stop("TERM"));
        });
    }
}
