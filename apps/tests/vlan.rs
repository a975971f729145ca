//! Addresses in VLANs: one tag and two, IPv4 and IPv6. The client makes its frames itself, since
//! not every kernel has VLAN devices.
//!
//! These tests take root. Without it they print `skipped: NAME: REASON` and pass, but for
//! `CI=true`, where a skip is a failure.

mod common;

use common::Lab;
use common::echo::{Announced, balanced, count, echoed_and_announced, mac, one_lcore, start};

#[test]
fn an_address_in_a_vlan_answers_there_only() {
    answers_there_only("an_address_in_a_vlan_answers_there_only", "10.77.0.1/24", "100");
}

#[test]
fn an_ipv6_address_in_a_vlan_answers_there_only() {
    answers_there_only("an_ipv6_address_in_a_vlan_answers_there_only", "fd00::1/64", "100");
}

#[test]
fn an_address_in_a_vlan_of_a_vlan_answers_there_only() {
    answers_there_only("an_address_in_a_vlan_of_a_vlan_answers_there_only", "10.77.0.1/24", "100.200");
}

#[test]
fn an_ipv6_address_in_a_vlan_of_a_vlan_answers_there_only() {
    answers_there_only("an_ipv6_address_in_a_vlan_of_a_vlan_answers_there_only", "fd00::1/64", "100.200");
}

/// The client is answered in these VLANs, and not in the four others where it asks before.
fn answers_there_only(name: &str, prefix: &str, vlans: &str) {
    Lab::with(name, |lab| {
        let place = format!("--ip {prefix}@near0.{vlans} --udp-port 7");
        let mut engine = start(lab, &one_lcore(), "--io af_packet:near0", &place);
        engine.ready();
        let client = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/tests/vlan_client.py");
        let (address, _) = prefix.split_once('/').expect("a prefix");
        lab.far.run("python3", [client, "far0", &mac(lab), vlans, address]);
        let report = balanced(&lab.scratch, &engine.stop("TERM"));
        let (answered, announced) = match address {
            "10.77.0.1" => ("arp_answered", Announced { ipv4: 1, ipv6: 0 }),
            _ => ("ndp_answered", Announced { ipv4: 0, ipv6: 2 }),
        };
        echoed_and_announced(&report, 1, announced);
        assert_eq!(count(&report, answered), 1, "{report:#}");
        // Without the only tag, the question is about an address that is not ours there,
        // which over IPv6 goes to a group that nobody here listens to.
        let untagged = u64::from(!vlans.contains('.'));
        let elsewhere = count(&report, "arp_not_ours") + count(&report, "group_ip");
        assert_eq!((count(&report, "vlan_not_ours"), elsewhere), (4 - untagged, untagged), "{report:#}");
    });
}
