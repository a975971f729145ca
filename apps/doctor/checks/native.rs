//! What the kernel has to give: TAP interfaces, packet sockets, interfaces, UDP sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use gannet::Io;
use gannet::sys::SocketKind;

use super::super::check::Check;
use super::super::machine::Machine;
use super::Asked;
use super::rights::setcap;

/// `EAFNOSUPPORT`.
const NO_SUCH_FAMILY: i32 = 97;
/// The flag of an interface that is up (`IFF_UP`).
const UP: u32 = 1;

pub(super) fn checks(asked: &Asked, machine: &Machine) -> Vec<Check> {
    let needs_tun = asked.has_dpdk() && asked.has_vdev(&["net_tap", "eth_tap", "net_tun"]);
    let needs_packet =
        matches!(asked.requested.io, Io::AfPacket(_)) || asked.has_vdev(&["net_af_packet", "eth_af_packet"]);
    let needs_xdp = asked.has_vdev(&["net_af_xdp"]);
    let mut checks = vec![
        tun(machine).needed_if(needs_tun),
        socket("AF_PACKET", SocketKind::AfPacket, asked, machine).needed_if(needs_packet),
        socket("AF_XDP", SocketKind::AfXdp, asked, machine).needed_if(needs_xdp),
    ];
    if asked.has_dpdk() {
        checks.extend(asked.requested.vdevs.iter().flat_map(|vdev| parts_of_vdev(vdev, asked, machine)));
    }
    if let Io::AfPacket(interfaces) = &asked.requested.io {
        checks.extend(interfaces.iter().map(|name| interface(name, asked, machine)));
        checks.extend(interfaces.iter().filter_map(|name| forwarding(name, machine)));
        checks.extend(own_addresses(asked, machine));
    }
    checks.extend(control_plane(asked, machine));
    checks.extend(asked.requested.sockets.iter().filter_map(|&address| bind(address, asked, machine)));
    checks
}

fn tun(machine: &Machine) -> Check {
    let file = "/dev/net/tun";
    if !machine.has(file) {
        let make = "modprobe tun; in a container: --device /dev/net/tun";
        return Check::error(file, "it is not there").mend(make);
    }
    if machine.may_use(file) {
        Check::ok(file, "there, with the right to use it")
    } else {
        Check::error(file, "no right to use it").mend(format!("sudo chmod 666 {file}"))
    }
}

fn socket(name: &str, kind: SocketKind, asked: &Asked, machine: &Machine) -> Check {
    match (machine.calls.socket)(kind) {
        Ok(()) => Check::ok(name, "a socket opens"),
        Err(error) if error.raw_os_error() == Some(NO_SUCH_FAMILY) => {
            Check::error(name, "this kernel lacks it")
                .mend("run a kernel with CONFIG_PACKET and CONFIG_XDP_SOCKETS")
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Check::error(name, "no right to open a socket: CAP_NET_RAW is missing").mend(setcap(asked))
        }
        Err(error) => Check::error(name, error.to_string()),
    }
}

/// What a vdev's arguments name: an interface of the kernel's, or a capture to replay.
fn parts_of_vdev(vdev: &str, asked: &Asked, machine: &Machine) -> Vec<Check> {
    let takes_interface =
        ["net_af_packet", "net_af_xdp", "net_pcap"].iter().any(|name| vdev.starts_with(name));
    let part = |argument: &str| match argument.split_once('=')? {
        ("iface" | "rx_iface" | "tx_iface", name) if takes_interface => Some(interface(name, asked, machine)),
        ("rx_pcap", file) => unreadable(file, machine),
        _ => None,
    };
    vdev.split(',').skip(1).filter_map(part).collect()
}

/// The interface, in the network namespace of this process.
fn interface(name: &str, asked: &Asked, machine: &Machine) -> Check {
    let title = format!("interface {name}");
    let table = machine.text("/proc/net/dev");
    let known: Vec<_> = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    if !known.contains(&name) {
        let known = known.join(", ");
        let found = format!("it is not in this network namespace, which has {known}");
        return Check::error(title, found).mend("name one of those, or: ip netns exec NAMESPACE gannet …");
    }
    if name == "lo" && !asked.has_dpdk() {
        return Check::error(title, "what is sent on a loopback interface comes back to its sender")
            .mend("ip link add veth0 type veth peer name veth1");
    }
    let flags = machine.text(&format!("/sys/class/net/{name}/flags"));
    let is_up = u32::from_str_radix(flags.trim_start_matches("0x"), 16).is_ok_and(|flags| flags & UP == UP);
    let up = format!("ip link set {name} up");
    match asked.requested.lcores.len() {
        _ if is_up => Check::ok(title, "up"),
        // The main one is no worker where there are others.
        ..=2 => Check::warning(title, "it is down: no frame will come").mend(up),
        _ => {
            Check::error(title, "it is down, and the kernel splits only one that is up into queues").mend(up)
        }
    }
}

/// A kernel that forwards sends on what we answer, too. For the whole machine that may be as it
/// should be: it may have containers, or be a router.
fn forwarding(name: &str, machine: &Machine) -> Option<Check> {
    let is_on = |file: &String| machine.number(&format!("/proc/sys/{file}")) == Some(1);
    let v4 = Some(format!("net/ipv4/conf/{name}/forwarding")).filter(is_on);
    // The interface's own says how it behaves as a router, and stops nothing.
    let v6 = Some("net/ipv6/conf/all/forwarding".to_owned()).filter(is_on);
    let on: Vec<_> = v4.iter().chain(&v6).map(String::as_str).collect();
    let found =
        format!("{}: the kernel sees the same frames, and forwards what is not its own", on.join(", "));
    let check = (!on.is_empty()).then(|| Check::warning("forwarding", found))?;
    let check = v4.iter().fold(check, |check, file| check.mend(format!("sysctl -w {file}=0")));
    let apart = format!("give {name} a network namespace of its own, where the kernel forwards nothing");
    Some(v6.iter().fold(check, |check, _| check.mend(&apart)))
}

/// Addresses of ours that the kernel has, too, so that it answers beside us.
fn own_addresses(asked: &Asked, machine: &Machine) -> Vec<Check> {
    let kernel_has = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            let table = machine.text("/proc/net/fib_trie");
            let lines: Vec<_> = table.lines().map(str::trim).collect();
            let entry = format!("|-- {address}");
            lines.windows(2).any(|pair| pair[0] == entry && pair[1].ends_with("host LOCAL"))
        }
        IpAddr::V6(address) => {
            let hex: String = address.octets().iter().map(|octet| format!("{octet:02x}")).collect();
            machine.text("/proc/net/if_inet6").lines().any(|line| line.starts_with(&hex))
        }
    };
    let shared = asked.own.iter().map(|own| own.address).filter(|&address| kernel_has(address));
    let check = |address: IpAddr| {
        let found = "the kernel has this address as well, and answers beside us";
        Check::warning(format!("address {address}"), found).mend("give the program another with --ip")
    };
    shared.map(check).collect()
}

/// Where metrics are served, and the files that are read and written.
fn control_plane(asked: &Asked, machine: &Machine) -> Vec<Check> {
    let metrics = asked.metrics.and_then(|address| {
        let error = (machine.calls.listen)(address).err()?;
        let who = format!("ss -ltnp sport = :{}  # says who listens there", address.port());
        Some(Check::error(format!("metrics {address}"), error.to_string()).mend(who))
    });
    let files = asked.files.iter().map(|path| path.to_string_lossy());
    let files = files.filter_map(|file| unwritable(&file, machine));
    let replayed = asked.replayed.iter().filter_map(|path| unreadable(&path.to_string_lossy(), machine));
    metrics.into_iter().chain(files).chain(replayed).collect()
}

fn unreadable(file: &str, machine: &Machine) -> Option<Check> {
    let check = Check::error(format!("capture {file}"), "no right to read it, or no such file");
    (!machine.may_read(file)).then(|| check.mend("name another one"))
}

fn unwritable(file: &str, machine: &Machine) -> Option<Check> {
    let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or(".".into(), |folder| folder.to_string_lossy());
    let may_write = machine.may_use(if machine.has(file) { file } else { &folder });
    let check = Check::error(format!("file {file}"), "no right to write it, or no such folder");
    (!may_write).then(|| check.mend("name another one"))
}

/// A UDP socket that can't be had.
fn bind(address: SocketAddr, asked: &Asked, machine: &Machine) -> Option<Check> {
    let error = (machine.calls.bind)(address).err()?;
    let check = Check::error(format!("socket {address}"), error.to_string());
    Some(match error.kind() {
        io::ErrorKind::PermissionDenied => check.mend(setcap(asked)),
        io::ErrorKind::AddrInUse => {
            check.mend(format!("ss -ulpn sport = :{}  # says who has it", address.port()))
        }
        io::ErrorKind::AddrNotAvailable => check.mend("ip address  # lists the addresses that there are"),
        _ => check,
    })
}
