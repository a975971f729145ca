//! The capabilities of this process (capabilities(7)).

use gannet::Io;

use super::super::check::Check;
use super::super::machine::Machine;
use super::Asked;
use super::vfio::CAP_IPC_LOCK;

const CAP_NET_BIND_SERVICE: u32 = 10;
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_BPF: u32 = 39;
/// The lowest port that is anybody's (`net.ipv4.ip_unprivileged_port_start`, unless it is changed).
const LOWEST_FREE_PORT: u16 = 1024;
/// Those that some port has a use for.
const KNOWN: [(u32, &str); 5] = [
    (CAP_NET_BIND_SERVICE, "cap_net_bind_service"),
    (CAP_NET_ADMIN, "cap_net_admin"),
    (CAP_NET_RAW, "cap_net_raw"),
    (CAP_IPC_LOCK, "cap_ipc_lock"),
    (CAP_BPF, "cap_bpf"),
];

pub(super) fn checks(asked: &Asked, machine: &Machine) -> Vec<Check> {
    let needed = needed(asked);
    let missing: Vec<_> = needed.iter().filter(|(number, _)| !machine.has_capability(*number)).collect();
    let names: Vec<_> = missing.iter().map(|(_, name)| *name).collect();
    if !names.is_empty() {
        let names = names.join(",");
        return vec![Check::error("capabilities", format!("{names} is missing")).mend(setcap(asked))];
    }
    let has: Vec<_> = KNOWN.iter().filter(|(number, _)| machine.has_capability(*number)).collect();
    let has: Vec<_> = has.iter().map(|(_, name)| *name).collect();
    let found = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    let mut checks = vec![Check::ok("capabilities", found)];
    if matches!(asked.requested.io, Io::AfPacket(_)) && !machine.has_capability(CAP_BPF) {
        let found = "cap_bpf is missing: several datagrams in one packet can't be told from one";
        checks.push(Check::warning("super-frames", found).mend(setcap(asked)));
    }
    checks
}

/// Those that it does not start without.
fn needed(asked: &Asked) -> Vec<(u32, &'static str)> {
    let mut needed = Vec::new();
    if asked.has_vdev(&["net_tap", "eth_tap", "net_tun"]) {
        needed.push((CAP_NET_ADMIN, "cap_net_admin"));
    }
    if matches!(asked.requested.io, Io::AfPacket(_)) || asked.has_vdev(&["net_af_packet", "eth_af_packet"]) {
        needed.push((CAP_NET_RAW, "cap_net_raw"));
    }
    needed
}

/// The command that gives the program all the capabilities that the line has a use for: what is
/// given replaces what the program had.
pub(super) fn setcap(asked: &Asked) -> String {
    let needed = needed(asked);
    let is_needed = |number: u32| needed.iter().any(|&(other, _)| other == number);
    let bound = asked.requested.sockets.iter().chain(&asked.metrics);
    let has_low_port = bound.map(|address| address.port()).any(|port| (1..LOWEST_FREE_PORT).contains(&port));
    let is_useful = |number: u32| match number {
        CAP_NET_BIND_SERVICE => has_low_port,
        CAP_NET_RAW => asked.has_vdev(&["net_af_xdp"]),
        CAP_IPC_LOCK => asked.needs_pci(),
        CAP_BPF => matches!(asked.requested.io, Io::AfPacket(_)),
        _ => false,
    };
    let wanted = KNOWN.into_iter().filter(|&(number, _)| is_needed(number) || is_useful(number));
    let names = wanted.map(|(_, name)| name).collect::<Vec<_>>().join(",");
    let program = std::env::current_exe().map_or("gannet".into(), |path| path.display().to_string());
    format!("sudo setcap {names}+ep {program}")
}
