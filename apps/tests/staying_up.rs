//! Links that flap, and interfaces that are deleted and made again under a program that serves them.

mod common;

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::client::{Tally, exchange_one};
use common::echo::{ADDRESS, TO, balanced, count, mac, number, one_lcore, ports, several_lcores, start};
use common::network::Namespace;
use common::{Ended, Lab, Program};
use serde_json::Value;

/// How long a program may take to notice and to serve again, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longer than what lies between two looks at a device.
#[cfg(feature = "dpdk")]
const A_WHILE: Duration = Duration::from_millis(1200);
const ROUNDS: u64 = 3;
/// What the log says of a device that serves again.
const RENEWED: &str = "it is there again";

/// Waits until an answer comes. Gives how long that took.
#[track_caller]
fn wait_until_served(client: &Namespace) -> Duration {
    let socket = client.socket("0.0.0.0:0");
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        // Without an address or a link, the kernel has no way there.
        if socket.send_to(b"there?", TO).is_err() {
            thread::sleep(Duration::from_millis(20));
            continue;
        }
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        match socket.recv(&mut [0; 100]) {
            Ok(_) => return begin.elapsed(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The kernel says that nobody answered its ARP.
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
    panic!("nobody serves after {PATIENCE:?}");
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends all the while, whatever becomes of it, until `work` is done.
fn under_traffic<T>(client: &Namespace, work: impl FnOnce() -> T) -> T {
    let socket: UdpSocket = client.socket("0.0.0.0:0");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = socket.send_to(b"traffic", TO);
                thread::sleep(Duration::from_micros(500));
            }
        });
        // The sender ends where the work panics, too.
        let _end = SetOnDrop(&is_over);
        work()
    })
}

/// Takes the link of an interface in the engine's namespace away and gives it back, under traffic.
fn flap(lab: &Lab, engine: &Program, interface: &str, client: &Namespace) {
    under_traffic(client, || {
        for round in 1..=ROUNDS {
            lab.near.ip(&format!("link set {interface} down"));
            engine.wait_until_said("the link is down", round);
            lab.near.ip(&format!("link set {interface} up"));
            engine.wait_until_said("the link is up", round);
            wait_until_served(client);
        }
    });
}

/// How often its log says that.
fn said(ended: &Ended, words: &str) -> u64 {
    ended.stderr.lines().filter(|line| line.contains(words)).count() as u64
}

fn port(report: &Value) -> &Value {
    ports(report).next().expect("a port")
}

#[track_caller]
fn flapped(ended: &Ended, report: &Value) {
    assert_eq!(number(&port(report)["link_changes"]), 2 * ROUNDS, "{report:#}");
    assert_eq!(
        (said(ended, "the link is down"), said(ended, "the link is up")),
        (ROUNDS, ROUNDS),
        "{ended:#?}"
    );
    // It announces itself at the start and after each up.
    assert!(count(report, "arp_requested") > ROUNDS, "{report:#}");
    assert!(ended.stderr.lines().count() < 40, "an error for each frame is too much: {}", ended.stderr);
}

#[track_caller]
fn renewed(ended: &Ended, report: &Value) {
    let port = port(report);
    assert_eq!((number(&port["losses"]), number(&port["renewals"])), (ROUNDS, ROUNDS), "{ended:#?}");
    assert!(count(report, "arp_requested") > ROUNDS, "{report:#}");
    assert!(ended.stderr.lines().count() < 60, "an error for each frame is too much: {}", ended.stderr);
}

/// Clients find the engine at the address that its interface has now.
#[track_caller]
fn is_known_by_its_address(lab: &Lab) {
    let neighbour = lab.far.run("ip", ["neigh", "show", "10.77.0.1"]);
    assert!(neighbour.contains(&mac(lab)), "{neighbour}, and not {}", mac(lab));
}

/// Takes the wire away, and when the program has seen that, which is its loss of that number, lays another,
/// with other addresses at its ends.
fn lay_another_wire(lab: &Lab, engine: &Program, loss: u64) {
    lab.near.ip("link del near0");
    engine.wait_until_said("was deleted", loss);
    lab.wire(0);
    lab.far.ip("addr add 10.77.0.2/24 dev far0");
}

#[test]
fn af_packet_serves_after_each_flap_of_its_link() {
    Lab::with("af_packet_serves_after_each_flap_of_its_link", |lab| {
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", ADDRESS);
        engine.ready();
        flap(lab, &engine, "near0", &lab.far);
        let ended = engine.stop("TERM");
        flapped(&ended, &balanced(&lab.scratch, &ended));
    });
}

#[test]
fn af_packet_serves_an_interface_that_was_made_anew() {
    // One queue goes on with the rights that are left, several take the right to open sockets.
    for (lcores, rights) in [(one_lcore(), ""), (several_lcores(2), "--keep-privileges")] {
        Lab::with("af_packet_serves_an_interface_that_was_made_anew", |lab| {
            let mut engine =
                start(lab, &lcores, "--io af_packet:near0", &format!("{ADDRESS} --ip fd00::1/64 {rights}"));
            engine.ready();
            under_traffic(&lab.far, || {
                for round in 1..=ROUNDS {
                    wait_until_served(&lab.far);
                    lay_another_wire(lab, &engine, round);
                    engine.wait_until_said(RENEWED, round);
                }
                wait_until_served(&lab.far);
            });
            is_known_by_its_address(lab);
            assert_eq!(lab.far.udp_client(TO, 1000), Tally::all(1000));
            exchange_one(&lab.far.socket("0.0.0.0:0"), TO, 1472).expect("of full length");
            let ended = engine.stop("TERM");
            renewed(&ended, &balanced(&lab.scratch, &ended));
        });
    }
}

#[test]
fn several_queues_whose_rights_are_gone_end_the_program_with_the_way_out() {
    Lab::with("several_queues_whose_rights_are_gone_end_the_program_with_the_way_out", |lab| {
        let mut engine = start(lab, &several_lcores(2), "--io af_packet:near0", ADDRESS);
        engine.ready();
        lay_another_wire(lab, &engine, 1);
        let ended = engine.end();
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        let error = ended.stderr.lines().find(|line| line.starts_with("error: ")).expect("an error");
        assert!(error.contains("near0 is lost") && error.contains("--keep-privileges"), "{error}");
        assert!(ended.stdout.contains("every buffer is back"), "{ended:#?}");
    });
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use std::fs::File;
    use std::io::Write as _;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::common::echo::{eal, tap, with_tun};
    use crate::common::program::gannet;

    const TAP: &str = "--vdev=net_tap0,iface=dtap0";
    const AF_PACKET: &str = "--vdev=net_af_packet0,iface=near0";

    #[test]
    fn net_tap_serves_after_each_flap_of_its_link() {
        with_tun("net_tap_serves_after_each_flap_of_its_link", |lab| {
            let mut engine = start(lab, &eal(&one_lcore(), TAP), "", ADDRESS);
            engine.ready();
            tap(lab);
            wait_until_served(&lab.near);
            flap(lab, &engine, "dtap0", &lab.near);
            let ended = engine.stop("TERM");
            flapped(&ended, &balanced(&lab.scratch, &ended));
        });
    }

    #[test]
    fn net_af_packet_serves_after_each_flap_of_its_link() {
        Lab::with("net_af_packet_serves_after_each_flap_of_its_link", |lab| {
            let mut engine = start(lab, &eal(&one_lcore(), AF_PACKET), "", ADDRESS);
            engine.ready();
            wait_until_served(&lab.far);
            flap(lab, &engine, "near0", &lab.far);
            let ended = engine.stop("TERM");
            flapped(&ended, &balanced(&lab.scratch, &ended));
        });
    }

    #[test]
    fn net_tap_makes_its_interface_anew() {
        for lcores in [one_lcore(), several_lcores(2)] {
            with_tun("net_tap_makes_its_interface_anew", |lab| {
                let arguments = format!("{ADDRESS} --keep-privileges");
                let mut engine = start(lab, &eal(&lcores, TAP), "", &arguments);
                engine.ready();
                tap(lab);
                // Addresses are announced once it is known that nobody else has them, a second after the start.
                thread::sleep(A_WHILE);
                under_traffic(&lab.near, || {
                    for round in 1..=ROUNDS {
                        wait_until_served(&lab.near);
                        lab.near.ip("link del dtap0");
                        engine.wait_until_said(RENEWED, round);
                        // What the kernel's end had is gone with it.
                        tap(lab);
                        wait_until_served(&lab.near);
                    }
                });
                assert_eq!(lab.near.udp_client(TO, 1000), Tally::all(1000));
                let ended = engine.stop("TERM");
                renewed(&ended, &balanced(&lab.scratch, &ended));
            });
        }
    }

    /// A container's tap is made outside of it, say. The device has it by its descriptor, wherever it is.
    #[test]
    fn net_tap_serves_on_when_its_interface_is_moved_and_renamed() {
        with_tun("net_tap_serves_on_when_its_interface_is_moved_and_renamed", |lab| {
            let mut engine = start(lab, &eal(&one_lcore(), TAP), "", ADDRESS);
            engine.ready();
            lab.near.ip(&format!("link set dtap0 netns {}", lab.far.name()));
            // In place of the wire, which has the address.
            lab.far.ip("link del far0");
            lab.far.ip("link set dtap0 name moved0");
            lab.far.ip("link set moved0 up");
            lab.far.ip("addr add 10.77.0.2/24 dev moved0");
            wait_until_served(&lab.far);
            thread::sleep(A_WHILE);
            assert_eq!(lab.far.udp_client(TO, 1000), Tally::all(1000));
            let ended = engine.stop("TERM");
            let report = balanced(&lab.scratch, &ended);
            assert_eq!(number(&port(&report)["losses"]), 0, "{ended:#?}");
        });
    }

    #[test]
    fn net_af_packet_serves_an_interface_that_was_made_anew() {
        Lab::with("net_af_packet_serves_an_interface_that_was_made_anew", |lab| {
            let arguments = format!("{ADDRESS} --keep-privileges");
            let mut engine = start(lab, &eal(&one_lcore(), AF_PACKET), "", &arguments);
            engine.ready();
            under_traffic(&lab.far, || {
                for round in 1..=ROUNDS {
                    wait_until_served(&lab.far);
                    lay_another_wire(lab, &engine, round);
                    engine.wait_until_said(RENEWED, round);
                }
                wait_until_served(&lab.far);
            });
            is_known_by_its_address(lab);
            assert_eq!(lab.far.udp_client(TO, 1000), Tally::all(1000));
            let ended = engine.stop("TERM");
            renewed(&ended, &balanced(&lab.scratch, &ended));
        });
    }

    #[test]
    fn a_device_whose_rights_are_gone_ends_the_program_with_the_way_out() {
        with_tun("a_device_whose_rights_are_gone_ends_the_program_with_the_way_out", |lab| {
            let mut engine = start(lab, &eal(&one_lcore(), TAP), "", ADDRESS);
            engine.ready();
            tap(lab);
            wait_until_served(&lab.near);
            lab.near.ip("link del dtap0");
            let ended = engine.end();
            assert_eq!(ended.code, Some(1), "{ended:#?}");
            let error = ended.stderr.lines().find(|line| line.starts_with("error: ")).expect("an error");
            assert!(error.contains("net_tap0 is lost") && error.contains("--keep-privileges"), "{error}");
            assert!(ended.stdout.contains("every buffer is back"), "{ended:#?}");
        });
    }

    // ---- what drivers tell ----------------------------------------------------------------

    /// `RTE_ETH_EVENT_INTR_RESET` and so on, as enum rte_eth_event_type numbers them.
    const RESET: u32 = 3;
    const REMOVED: u32 = 6;
    const RECOVERING: u32 = 12;
    const RECOVERED: u32 = 13;
    const RECOVERY_FAILED: u32 = 14;

    /// A program whose driver tells what the test wants.
    struct Told {
        engine: Program,
        pipe: File,
    }

    impl Told {
        fn start(lab: &Lab, arguments: &str, reset: bool) -> Self {
            let library = lab.scratch.path().join("driver_events.so");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/tests/driver_events.c");
            let mut compiler = Command::new("cc");
            compiler.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).args([&library, &source]);
            assert!(compiler.status().expect("a C compiler, as for DPDK's shim").success());
            let pipe = lab.scratch.path().join("events");
            assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
            let eal = eal(&one_lcore(), TAP);
            let words = format!("echo {eal} -- {ADDRESS} {arguments} --json report.json");
            let mut command = lab.engine(&gannet(&words));
            command.env("LD_PRELOAD", &library).env("GANNET_TEST_EVENTS", &pipe);
            if reset {
                command.env("GANNET_TEST_RESET", "1");
            }
            let mut engine = Program::start(&mut command);
            let pipe = File::options().write(true).open(pipe).expect("it reads");
            engine.ready();
            tap(lab);
            // Addresses are announced once it is known that nobody else has them, a second after the start.
            thread::sleep(A_WHILE);
            wait_until_served(&lab.near);
            Self { engine, pipe }
        }

        fn tell(&mut self, event: u32) {
            writeln!(self.pipe, "{event}").expect("it reads");
        }

        fn stop(self) -> Ended {
            drop(self.pipe);
            self.engine.stop("TERM")
        }
    }

    #[test]
    fn a_driver_that_asks_for_a_reset_gets_it() {
        // One whose driver has a reset of its own, and one that is stopped and started.
        for has_reset in [true, false] {
            with_tun("a_driver_that_asks_for_a_reset_gets_it", |lab| {
                let mut told = Told::start(lab, "--keep-privileges", has_reset);
                under_traffic(&lab.near, || {
                    for round in 1..=ROUNDS {
                        told.tell(RESET);
                        told.engine.wait_until_said(RENEWED, round);
                        wait_until_served(&lab.near);
                    }
                });
                assert_eq!(lab.near.udp_client(TO, 1000), Tally::all(1000));
                let ended = told.stop();
                assert_eq!(said(&ended, "asks for a reset"), ROUNDS, "{ended:#?}");
                assert_eq!(said(&ended, "reset, attempt 2") == 1, has_reset, "{ended:#?}");
                renewed(&ended, &balanced(&lab.scratch, &ended));
            });
        }
    }

    #[test]
    fn a_driver_that_mends_its_device_is_left_alone_until_it_has() {
        with_tun("a_driver_that_mends_its_device_is_left_alone_until_it_has", |lab| {
            let mut told = Told::start(lab, "", false);
            for round in 1..=ROUNDS {
                told.tell(RECOVERING);
                told.engine.wait_until_said("mends it", round);
                // It may find more that is broken while it is at it.
                told.tell(RECOVERING);
                let unheard = lab.near.socket("0.0.0.0:0");
                assert!(exchange_one(&unheard, TO, 100).is_err(), "the device is the driver's");
                told.tell(RECOVERED);
                told.engine.wait_until_said(RENEWED, round);
                wait_until_served(&lab.near);
            }
            let ended = told.stop();
            renewed(&ended, &balanced(&lab.scratch, &ended));
        });
    }

    #[test]
    fn a_device_that_is_removed_while_its_driver_mends_it_is_made_anew() {
        with_tun("a_device_that_is_removed_while_its_driver_mends_it_is_made_anew", |lab| {
            let mut told = Told::start(lab, "--keep-privileges", false);
            told.tell(RECOVERING);
            told.engine.wait_until_said("mends it", 1);
            lab.near.ip("link del dtap0");
            told.engine.wait_until_said(RENEWED, 1);
            tap(lab);
            wait_until_served(&lab.near);
            let ended = told.stop();
            let report = balanced(&lab.scratch, &ended);
            let port = port(&report);
            assert_eq!((number(&port["losses"]), number(&port["renewals"])), (1, 1), "{ended:#?}");
            assert_eq!((said(&ended, "mends it"), said(&ended, "was deleted")), (1, 1), "{ended:#?}");
        });
    }

    #[test]
    fn a_device_that_its_driver_gives_up_ends_the_program() {
        with_tun("a_device_that_its_driver_gives_up_ends_the_program", |lab| {
            let mut told = Told::start(lab, "", false);
            told.tell(RECOVERING);
            told.tell(RECOVERY_FAILED);
            let ended = told.engine.end();
            assert_eq!(ended.code, Some(1), "{ended:#?}");
            assert!(
                ended.stderr.contains("error: net_tap0 is lost: its driver could not mend it"),
                "{ended:#?}"
            );
            assert!(ended.stdout.contains("every buffer is back"), "{ended:#?}");
        });
    }

    #[test]
    fn a_device_that_is_removed_is_made_anew() {
        with_tun("a_device_that_is_removed_is_made_anew", |lab| {
            let mut told = Told::start(lab, "--keep-privileges --mtu 1400", false);
            for round in 1..=ROUNDS {
                told.tell(REMOVED);
                told.engine.wait_until_said(RENEWED, round);
                tap(lab);
                wait_until_served(&lab.near);
                assert_eq!(lab.near.run("cat", ["/sys/class/net/dtap0/mtu"]).trim(), "1400");
            }
            let ended = told.stop();
            renewed(&ended, &balanced(&lab.scratch, &ended));
        });
    }
}
