//! `gannet echo` in a lab: how it is started, and what its report has to say.

use std::fs::File;

use serde_json::Value;

pub(crate) use super::one_lcore;
use super::program::gannet;
pub(crate) use super::report::{balanced, count, number, ports, queues};
use super::{Lab, Program, cpus, skip, unique};

pub(crate) const ADDRESS: &str = "--ip 10.77.0.1/24 --udp-port 7";
pub(crate) const TO: &str = "10.77.0.1:7";

// ---- starting it -------------------------------------------------------------------------

pub(crate) fn start(lab: &Lab, eal: &str, io: &str, arguments: &str) -> Program {
    let arguments = format!("echo {eal} -- {io} {arguments} --json report.json");
    Program::start(&mut lab.engine(&gannet(&arguments)))
}

/// A main lcore and `workers` others, on however many CPUs there are.
pub(crate) fn several_lcores(workers: usize) -> String {
    let cpus = cpus();
    let lcores = (0..=workers).map(|lcore| format!("{lcore}@{}", cpus[lcore % cpus.len()]));
    format!("--lcores {}", lcores.collect::<Vec<_>>().join(","))
}

/// Memory of small pages, no NICs, and a prefix that no other engine has.
pub(crate) fn eal(lcores: &str, devices: &str) -> String {
    format!("{lcores} --no-huge --no-pci -m 256 --file-prefix {} {devices}", unique("echo"))
}

/// A lab where the kernel has TAP devices.
pub(crate) fn with_tun(name: &str, test: impl FnOnce(&Lab)) {
    match File::options().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => Lab::with(name, test),
        Err(why) => skip(name, &format!("/dev/net/tun: {why}")),
    }
}

/// Sets up the kernel's end of the tap, which lies in the engine's namespace.
pub(crate) fn tap(lab: &Lab) {
    lab.near.ip("link set dtap0 up");
    lab.near.ip("addr add 10.77.0.2/24 dev dtap0");
}

/// The address of the engine's interface.
pub(crate) fn mac(lab: &Lab) -> String {
    lab.near.run("cat", ["/sys/class/net/near0/address"]).trim().to_owned()
}

// ---- its report --------------------------------------------------------------------------

/// Just these datagrams came to the service and went back. Each port announced its one address,
/// an IPv4 one, and a capture nothing.
#[track_caller]
pub(crate) fn echoed(report: &Value, datagrams: u64) {
    let is_wire = |port: &&Value| !port["driver"].as_str().is_some_and(|driver| driver.ends_with("pcap"));
    echoed_and_announced(
        report,
        datagrams,
        Announced { ipv4: ports(report).filter(is_wire).count(), ipv6: 0 },
    );
}

/// How many addresses the host makes known at the start, link-local ones too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    pub(crate) ipv4: usize,
    /// Each is asked for first.
    pub(crate) ipv6: usize,
}

/// Just these datagrams came to the service and went back, and the host said nothing else of its
/// own accord than that it has these addresses.
#[track_caller]
pub(crate) fn echoed_and_announced(report: &Value, datagrams: u64, announced: Announced) {
    for counter in ["delivered", "replied"] {
        assert_eq!(count(report, counter), datagrams, "{counter}: {report:#}");
    }
    let said = ["arp_requested", "ndp_solicited", "ndp_announced", "listener_reported"]
        .map(|counter| count(report, counter));
    let [ipv4, ipv6] = [announced.ipv4, announced.ipv6].map(|addresses| addresses as u64);
    // Their groups are reported twice: before they are asked for, and from an address.
    assert_eq!(said, [ipv4, ipv6, ipv6, 2 * ipv6], "{report:#}");
    let extra = ["host_replied", "icmp_error_sent", "fragments_added"];
    let extra: u64 = extra.iter().map(|counter| count(report, counter)).sum();
    assert_eq!(count(report, "sent"), datagrams + extra + said.iter().sum::<u64>(), "{report:#}");
}
