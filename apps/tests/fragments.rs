//! Datagrams longer than the wire's packets, both ways: put together and cut with
//! `--fragments reassemble`, dropped and counted without.
//!
//! These tests take root. Without it they print `skipped: NAME: REASON` and pass, but for
//! `CI=true`, where a skip is a failure.

mod common;

use common::Lab;
use common::client::exchange_one;
use common::echo::{
    Announced, balanced, count, echoed_and_announced, one_lcore, queues, several_lcores, start,
};
use common::network::Namespace;
use serde_json::Value;

const BOTH: &str = "--ip 10.77.0.1/24 --ip fd00::1/64 --udp-port 7";
const TOGETHER: &str = "--fragments reassemble";
const ALL: Announced = Announced { ipv4: 1, ipv6: 2 };
const IPV4: &str = "10.77.0.1";
const IPV6: &str = "fd00::1";

/// Payloads that are too long for a link with an MTU of 1,500, and in how many fragments they
/// cross it: one has 1,480 bytes of the UDP datagram over IPv4 and 1,448 over IPv6. An echo
/// request has a header as long as UDP's.
const LONG: [(&str, usize, u64); 6] = [
    (IPV4, 1473, 2),
    (IPV4, 8000, 6),
    (IPV4, 60_000, 41),
    (IPV6, 1453, 2),
    (IPV6, 8000, 6),
    (IPV6, 60_000, 42),
];

fn fragments() -> u64 {
    LONG.iter().map(|(.., fragments)| fragments).sum()
}

#[test]
fn long_datagrams_are_put_together_and_cut_on_af_packet() {
    Lab::with("long_datagrams_are_put_together_and_cut_on_af_packet", |lab| {
        lab.far.speak_ipv6("far0", "fd00::2/64");
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", &format!("{BOTH} {TOGETHER}"));
        engine.ready();
        long_ones_come_back(&lab.far);
        put_together(&balanced(&lab.scratch, &engine.stop("TERM")));
    });
}

#[test]
fn long_datagrams_are_dropped_by_default() {
    Lab::with("long_datagrams_are_dropped_by_default", |lab| {
        lab.far.speak_ipv6("far0", "fd00::2/64");
        for policy in ["", "--fragments reassemble --fragments drop@near0"] {
            let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", &format!("{BOTH} {policy}"));
            engine.ready();
            for (to, len, _) in LONG {
                assert!(send(&lab.far, to, len).is_err(), "{len} bytes came back from {to}");
            }
            // What fits is answered all the same.
            send(&lab.far, IPV4, 1472).expect("an answer");
            send(&lab.far, IPV6, 1452).expect("an answer");
            let report = balanced(&lab.scratch, &engine.stop("TERM"));
            echoed_and_announced(&report, 2, ALL);
            assert_eq!((count(&report, "fragment"), count(&report, "reassembled")), (fragments(), 0));
        }
    });
}

/// A flow's fragments name no UDP ports, so they go by addresses alone: all of a datagram's
/// have to come to one lcore.
#[test]
fn fragments_meet_on_one_lcore_of_several() {
    Lab::with("fragments_meet_on_one_lcore_of_several", |lab| {
        const CLIENTS: u64 = 16;
        let address = "--ip 10.77.0.1/24 --udp-port 7";
        let io = "--io af_packet:near0";
        let mut engine = start(lab, &several_lcores(2), io, &format!("{address} {TOGETHER}"));
        assert_eq!(engine.ready(), "ready: echo on af_packet near0, 2 queues, 10.77.0.1:7");
        for client in 0..CLIENTS {
            let own = format!("10.77.0.{}", 100 + client);
            lab.far.ip(&format!("addr add {own}/24 dev far0"));
            let socket = lab.far.socket(&format!("{own}:0"));
            for len in [8000, 100, 60_000] {
                exchange_one(&socket, "10.77.0.1:7", len).expect("an answer");
            }
        }
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        echoed_and_announced(&report, 3 * CLIENTS, Announced { ipv4: 1, ipv6: 0 });
        assert_eq!(count(&report, "reassembled"), 2 * CLIENTS);
        assert_eq!(count(&report, "fragment_joined"), (6 + 41) * CLIENTS);
        let shares: Vec<_> = queues(&report).map(|(_, delivered)| delivered).collect();
        assert!(matches!(shares[..], [a, b] if a > 0 && b > 0), "{shares:?}");
    });
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use super::*;
    use crate::common::echo::{eal, tap, with_tun};

    #[test]
    fn long_datagrams_are_put_together_and_cut_on_net_tap() {
        with_tun("long_datagrams_are_put_together_and_cut_on_net_tap", |lab| {
            let eal = eal(&one_lcore(), "--vdev=net_tap0,iface=dtap0");
            let mut engine = start(lab, &eal, "", &format!("{BOTH} {TOGETHER}"));
            engine.ready();
            tap(lab);
            lab.near.speak_ipv6("dtap0", "fd00::2/64");
            long_ones_come_back(&lab.near);
            put_together(&balanced(&lab.scratch, &engine.stop("TERM")));
        });
    }
}

/// A datagram of each length and a ping.
fn long_ones_come_back(client: &Namespace) {
    for (to, len, _) in LONG {
        send(client, to, len).unwrap_or_else(|error| panic!("{len} bytes to {to}: {error}"));
        client.ping(to, &[len]);
    }
}

/// All of the long ones came and went back, in as many fragments as it takes.
fn put_together(report: &Value) {
    let pings = LONG.len() as u64;
    assert_eq!(count(report, "echo_answered"), pings, "{report:#}");
    assert_eq!(count(report, "reassembled"), 2 * pings, "{report:#}");
    assert_eq!(count(report, "fragment_joined"), 2 * fragments(), "{report:#}");
    assert_eq!(count(report, "fragments_added"), 2 * (fragments() - pings), "{report:#}");
    echoed_and_announced(report, pings, ALL);
}

fn send(client: &Namespace, to: &str, len: usize) -> std::io::Result<()> {
    let (any, to) =
        if to.contains(':') { ("[::]:0", format!("[{to}]:7")) } else { ("0.0.0.0:0", format!("{to}:7")) };
    exchange_one(&client.socket(any), &to, len)
}
