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
/// Those that some port has a use for.
const KNOWN: [(u32, &str); 5] = [
    (CAP_NET_BIND_SERVICE, "cap_net_bind_service"),
    (CAP_NET_ADMIN, "cap_net_admin"),
    (CAP_NET_RAW, "cap_net_raw"),
    (CAP_IPC_LOCK, "cap_ipc_lock"),
    (CAP_BPF, "cap_bpf"),
];

pub(super) fn checks(asked: &Asked, machine: &Machine) -> Vec<Check> {
    let mut needed = Vec::new();
    if asked.has_vdev(&["net_tap", "eth_tap", "net_tun"]) {
        needed.push((CAP_NET_ADMIN, "cap_net_admin"));
    }
    if matches!(asked.requested.io, Io::AfPacket(_)) || asked.has_vdev(&["net_af_packet", "eth_af_packet"]) {
        needed.push((CAP_NET_RAW, "cap_net_raw"));
    }
    let missing: Vec<_> = needed.iter().filter(|(number, _)| !machine.has_capability(*number)).collect();
    let names: Vec<_> = missing.iter().map(|(_, name)| *name).collect();
    if !names.is_empty() {
        let names = names.join(",");
        return vec![Check::error("capabilities", format!("{names} is missing")).mend(setcap(&names))];
    }
    let has: Vec<_> = KNOWN.iter().filter(|(number, _)| machine.has_capability(*number)).collect();
    let has: Vec<_> = has.iter().map(|(_, name)| *name).collect();
    let found = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    let mut checks = vec![Check::ok("capabilities", found)];
    if matches!(asked.requested.io, Io::AfPacket(_)) && !machine.has_capability(CAP_BPF) {
        let found = "cap_bpf is missing: several datagrams in one packet can't be told from one";
        checks.push(Check::warning("super-frames", found).mend(setcap("cap_net_raw,cap_bpf")));
    }
    checks
}

/// The command that gives the program a capability.
pub(super) fn setcap(names: &str) -> String {
    let program = std::env::current_exe().map_or("gannet".into(), |path| path.display().to_string());
    format!("sudo setcap {names}+ep {program}")
}
