//! `gannet echo` over IPv6 with the kernel as its peer, and how addresses become known: asked
//! for, announced, and announced again when the link comes up.
//!
//! These tests take root. Without it they print `skipped: NAME: REASON` and pass, but for
//! `CI=true`, where a skip is a failure.

mod common;

use std::net::Ipv6Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::client::Tally;
use common::echo::{ADDRESS, Announced, TO, balanced, count, echoed_and_announced, mac, one_lcore, start};
use common::{Lab, Program};
use gannet::wire::checksum::Sum;

const BOTH: &str = "--ip 10.77.0.1/24 --ip fd00::1/64 --udp-port 7";
const TO_IPV6: &str = "[fd00::1]:7";
/// An IPv6 address has a link-local one beside it.
const ALL: Announced = Announced { ipv4: 1, ipv6: 2 };
const SIZES: [usize; 8] = [0, 1, 8, 56, 777, 1400, 1451, 1452];

/// How long somebody has to object to an address.
const OBJECTION: Duration = Duration::from_secs(1);

// ---- datagrams and pings -----------------------------------------------------------------

#[test]
fn af_packet_answers_over_ipv6() {
    Lab::with("af_packet_answers_over_ipv6", |lab| {
        lab.far.speak_ipv6("far0", "fd00::2/64");
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", BOTH);
        assert_eq!(engine.ready(), "ready: echo on af_packet near0, 1 queue, 10.77.0.1:7 [fd00::1]:7");
        assert_eq!(lab.far.udp_client(TO_IPV6, 10_000), Tally::all(10_000));
        assert_eq!(lab.far.udp_client(TO, 1000), Tally::all(1000));
        lab.far.ping("fd00::1", &SIZES);
        lab.far.ping(&format!("{}%far0", link_local(mac_bytes(lab))), &[56]);
        lab.far.ping("10.77.0.1", &[0, 1, 8, 56, 777, 1400, 1471, 1472]);
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        echoed_and_announced(&report, 11_000, ALL);
        assert_eq!(count(&report, "echo_answered"), 17);
    });
}

#[test]
fn a_closed_port_is_refused_over_ipv6() {
    Lab::with("a_closed_port_is_refused_over_ipv6", |lab| {
        lab.far.speak_ipv6("far0", "fd00::2/64");
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", BOTH);
        engine.ready();
        let socket = lab.far.socket("[::]:0");
        socket.connect("[fd00::1]:8").expect("a way there");
        assert_eq!(socket.send(b"closed").expect("sent"), 6);
        let error = socket.recv(&mut [0; 9]).expect_err("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        echoed_and_announced(&report, 0, ALL);
        assert_eq!((count(&report, "udp_port_closed"), count(&report, "icmp_error_sent")), (1, 1));
    });
}

#[test]
fn gateways_of_both_families_and_a_link_local_one() {
    Lab::with("gateways_of_both_families_and_a_link_local_one", |lab| {
        for gateways in ["--gateway fe80::fe", "--gateway 10.77.0.254 --gateway fd00::fe"] {
            let arguments = format!("{BOTH} {gateways} --no-announce");
            let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", &arguments);
            engine.ready();
            balanced(&lab.scratch, &engine.stop("TERM"));
        }
    });
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use super::*;
    use crate::common::echo::{eal, tap, with_tun};

    #[test]
    fn net_tap_answers_over_ipv6() {
        with_tun("net_tap_answers_over_ipv6", |lab| {
            let mut engine = start(lab, &eal(&one_lcore(), "--vdev=net_tap0,iface=dtap0"), "", BOTH);
            assert_eq!(engine.ready(), "ready: echo on dpdk net_tap0, 1 queue, 10.77.0.1:7 [fd00::1]:7");
            tap(lab);
            lab.near.speak_ipv6("dtap0", "fd00::2/64");
            assert_eq!(lab.near.udp_client(TO_IPV6, 10_000), Tally::all(10_000));
            lab.near.ping("fd00::1", &SIZES);
            let report = balanced(&lab.scratch, &engine.stop("TERM"));
            echoed_and_announced(&report, 10_000, ALL);
            assert_eq!(count(&report, "echo_answered"), SIZES.len() as u64);
        });
    }

    #[test]
    fn net_af_packet_answers_over_ipv6() {
        Lab::with("net_af_packet_answers_over_ipv6", |lab| {
            lab.far.speak_ipv6("far0", "fd00::2/64");
            let mut engine = start(lab, &eal(&one_lcore(), "--vdev=net_af_packet0,iface=near0"), "", BOTH);
            let ready = "ready: echo on dpdk net_af_packet0, 1 queue, 10.77.0.1:7 [fd00::1]:7";
            assert_eq!(engine.ready(), ready);
            assert_eq!(lab.far.udp_client(TO_IPV6, 10_000), Tally::all(10_000));
            lab.far.ping("fd00::1", &SIZES);
            let report = balanced(&lab.scratch, &engine.stop("TERM"));
            echoed_and_announced(&report, 10_000, ALL);
            assert_eq!(count(&report, "echo_answered"), SIZES.len() as u64);
        });
    }
}

// ---- being known -------------------------------------------------------------------------

#[test]
fn addresses_are_announced_at_the_start_and_when_the_link_comes_up() {
    Lab::with("addresses_are_announced_at_the_start_and_when_the_link_comes_up", |lab| {
        lab.far.speak_ipv6("far0", "fd00::2/64");
        let ears = listen(lab);
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", BOTH);
        engine.ready();
        let Said { arp, reports, questions, reports_again, announcements } = Said::by(lab);
        // IPv6 addresses are announced when nobody has objected.
        let all = [&[arp.clone()][..], &reports, &questions, &reports_again, &announcements].concat();
        assert_eq!(heard(ears, all.len()), all);

        lab.far.ip("link set far0 down");
        sleep(Duration::from_millis(1200));
        let ears = listen(lab);
        lab.far.ip("link set far0 up");
        assert_eq!(heard(ears, 5), [&[arp][..], &reports_again, &announcements].concat());
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        let counters = ["arp_requested", "ndp_solicited", "ndp_announced", "listener_reported"];
        assert_eq!(counters.map(|counter| count(&report, counter)), [2, 2, 4, 6], "{report:#}");
    });
}

/// The kernel's bridge, which hands the frames of a group on only where it heard that somebody listens:
/// what is said at the start, and what answers its questions in either version.
#[test]
fn a_switch_that_snoops_passes_on_what_is_asked_of_us() {
    Lab::with("a_switch_that_snoops_passes_on_what_is_asked_of_us", |lab| {
        lab.far.ip("link add switch type bridge mcast_snooping 1 mcast_querier 0");
        lab.far.ip("link set far0 master switch");
        lab.far.ip("link set switch up");
        lab.far.speak_ipv6("switch", "fd00::2/64");
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", BOTH);
        engine.ready();
        listeners(lab, true);
        for version in [1, 2] {
            lab.far.ip("link set switch type bridge mcast_snooping 0");
            lab.far.ip("link set switch type bridge mcast_snooping 1");
            listeners(lab, false);
            // In hundredths of a second. It asks at once, when it is made one that asks.
            let settings = format!("mcast_mld_version {version} mcast_query_response_interval 20");
            lab.far.ip(&format!("link set switch type bridge {settings} mcast_querier 1"));
            listeners(lab, true);
            lab.far.ip("neigh flush dev switch");
            lab.far.ping("fd00::1", &[56]);
            lab.far.ip("link set switch type bridge mcast_querier 0");
        }
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        assert!(count(&report, "listener_queried") >= 2, "{report:#}");
    });
}

/// Waits until the bridge knows that we listen to the group of our address, or that we don't.
#[track_caller]
fn listeners(lab: &Lab, expected: bool) {
    let begin = Instant::now();
    loop {
        let output = lab.far.command("bridge").args(["mdb", "show"]).output().expect("the program bridge");
        let known = String::from_utf8_lossy(&output.stdout).into_owned();
        if known.contains("port far0 grp ff02::1:ff00:1") == expected {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{known}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_address_that_somebody_has_is_not_used() {
    Lab::with("an_address_that_somebody_has_is_not_used", |lab| {
        lab.far.speak_ipv6("far0", "fd00::1/64");
        let two = "--ip 10.77.0.1/24 --ip fd00::1/64 --ip fd00::3/64 --udp-port 7";
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", two);
        assert_eq!(engine.ready(), "ready: echo on af_packet near0, 1 queue, 10.77.0.1:7 [fd00::3]:7");
        assert_eq!(lab.far.udp_client(TO, 100), Tally::all(100));
        assert_eq!(lab.far.udp_client("[fd00::3]:7", 100), Tally::all(100));
        let ended = engine.stop("TERM");
        let errors: Vec<_> = ended.stderr.lines().filter(|line| line.contains("ERROR")).collect();
        assert!(matches!(errors[..], [line] if line.contains("has fd00::1: it is not used")), "{ended:#?}");
        let report = balanced(&lab.scratch, &ended);
        assert_eq!(count(&report, "duplicate_address"), 1);
        // All three were asked for; of the one that is somebody's nothing is said.
        assert_eq!((count(&report, "ndp_solicited"), count(&report, "ndp_announced")), (3, 2), "{report:#}");
        assert_eq!(count(&report, "delivered"), 200);
    });
}

#[test]
fn ready_is_said_when_nobody_has_objected() {
    Lab::with("ready_is_said_when_nobody_has_objected", |lab| {
        let none = Announced { ipv4: 0, ipv6: 0 };
        for (arguments, waits, announced) in [
            (BOTH, true, ALL),
            (&format!("{BOTH} --no-announce"), false, none),
            (ADDRESS, false, Announced { ipv4: 1, ipv6: 0 }),
        ] {
            let begin = Instant::now();
            let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", arguments);
            engine.ready();
            let took = begin.elapsed();
            assert_eq!(took >= OBJECTION, waits, "{arguments}: {took:?}");
            // It may be faster than the worker's first turn.
            sleep(Duration::from_millis(100));
            echoed_and_announced(&balanced(&lab.scratch, &engine.stop("TERM")), 0, announced);
        }
    });
}

/// Hears what comes to the far end from here on.
fn listen(lab: &Lab) -> Program {
    let mut command = lab.far.command("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/apps/tests/listen.py")).arg("far0");
    let mut ears = Program::start(&mut command);
    ears.line_with("listening");
    ears
}

/// The frames that were heard, as hex digits: as many as there are to be, and a moment longer.
fn heard(mut ears: Program, frames: usize) -> Vec<String> {
    let mut heard: Vec<_> = (0..frames).map(|_| ears.line_with("")).collect();
    sleep(Duration::from_millis(300));
    let ended = ears.stop("TERM");
    heard.extend(ended.stdout.lines().skip(1 + frames).map(str::to_owned));
    // Padding is the port's business.
    heard.iter().map(|frame| without_padding(frame)).collect()
}

/// An ARP packet is 28 bytes, and an IPv6 packet says how long it is.
fn without_padding(frame: &str) -> String {
    let bytes = match &frame[24..28] {
        "0806" => 14 + 28,
        _ => 14 + 40 + usize::from_str_radix(&frame[36..40], 16).expect("a length"),
    };
    frame[..2 * bytes].to_owned()
}

/// What the host has to say, as hex digits.
struct Said {
    arp: String,
    /// That it listens to the groups of its addresses: before it may use one, and then.
    reports: [String; 2],
    reports_again: [String; 2],
    questions: [String; 2],
    announcements: [String; 2],
}

impl Said {
    fn by(lab: &Lab) -> Self {
        let mac = mac_bytes(lab);
        let own = [Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1), link_local(mac)];
        Self {
            arp: hex(&arp_announcement(mac)),
            reports: own.map(|address| hex(&report(mac, Ipv6Addr::UNSPECIFIED, address))),
            reports_again: own.map(|address| hex(&report(mac, link_local(mac), address))),
            questions: own.map(|address| hex(&question(mac, address))),
            announcements: own.map(|address| hex(&announcement(mac, address))),
        }
    }
}

/// A request for what we have (RFC 5227, section 2.3).
fn arp_announcement(mac: [u8; 6]) -> Vec<u8> {
    let own = [10, 77, 0, 1];
    [&[0xff; 6][..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &mac, &own, &[0; 6], &own].concat()
}

/// A neighbour solicitation from nobody to the solicited-node group (RFC 4862, section 5.4.2).
fn question(mac: [u8; 6], target: Ipv6Addr) -> Vec<u8> {
    let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets()].concat();
    icmpv6(mac, Ipv6Addr::UNSPECIFIED, solicited_node(target), message)
}

/// The group that listens to questions for an address (RFC 4291, section 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// A listener report of version 2: one record, that from now on the group of an address is listened
/// to, behind a router alert and with one hop to go (RFC 3810, section 5.2).
fn report(mac: [u8; 6], from: Ipv6Addr, address: Ipv6Addr) -> Vec<u8> {
    let record = [&[4, 0, 0, 0][..], &solicited_node(address).octets()].concat();
    let message = [&[143, 0, 0, 0, 0, 0, 0, 1][..], &record].concat();
    let mut frame = icmpv6(mac, from, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16), message);
    // The length, the header that comes first, and the hops.
    (frame[19], frame[20], frame[21]) = (36, 0, 1);
    frame.splice(54..54, [58, 0, 5, 2, 0, 0, 1, 0]);
    frame
}

/// A neighbour advertisement to all nodes that nobody asked for, with the override flag
/// (RFC 4861, section 7.2.6).
fn announcement(mac: [u8; 6], own: Ipv6Addr) -> Vec<u8> {
    let message = [&[136, 0, 0, 0, 0x20, 0, 0, 0][..], &own.octets(), &[2, 1], &mac].concat();
    icmpv6(mac, own, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), message)
}

/// A frame with an ICMPv6 message to a group, with 255 hops to go.
fn icmpv6(mac: [u8; 6], from: Ipv6Addr, to: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let len = message.len() as u8;
    let pseudo = [&from.octets()[..], &to.octets(), &[0, 0, 0, len, 0, 0, 0, 58], &message].concat();
    message[2..4].copy_from_slice(&Sum::of(&pseudo).checksum());
    let group = &to.octets()[12..];
    let link = [&[0x33, 0x33][..], group, &mac, &[0x86, 0xdd]].concat();
    [&link[..], &[0x60, 0, 0, 0, 0, len, 58, 255], &from.octets(), &to.octets(), &message].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac_bytes(lab: &Lab) -> [u8; 6] {
    let text = mac(lab);
    let mut bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("hex digits"));
    std::array::from_fn(|_| bytes.next().expect("six bytes"))
}

/// The link-local address that is made of a MAC address (RFC 4291, appendix A).
fn link_local([a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}
