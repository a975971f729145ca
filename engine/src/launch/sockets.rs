//! A program on sockets: which arguments mean something there, and from them to a report.

use std::net::IpAddr;
use std::time::Instant;

use super::args::{AddressArg, CommonArgs, UdpPortArg};
use super::companion::Companion;
use super::control::Start;
use super::eal_args::LcoreId;
use super::error::{Error, UsageError};
use super::lcores::Lcores;
use super::link::Link;
use super::plan::Plan;
use super::serve::{Aside, conclude, endpoint, random_key, run, say_metrics, staff};
use super::{Launch, privileges, say};
use crate::host::Sharing;
use crate::port::PortId;
use crate::port::socket::{self, SocketConfig, Switch};
use crate::service::Service;
use crate::sys::{Clock, Signals};
use crate::telemetry::Report;

/// The arguments that mean something with `--io socket` alone.
#[derive(Clone, Debug, clap::Args)]
pub struct SocketArgs {
    /// Whether datagrams may come joined by the kernel (UDP GRO), to be split here [default: on]
    #[arg(long = "socket-gro", value_name = "on|off", help_heading = "Sockets")]
    pub gro: Option<Switch>,

    /// Whether runs of datagrams of one length to one receiver leave as one, for the kernel to cut
    /// (UDP GSO) [default: on]
    #[arg(long = "socket-gso", value_name = "on|off", help_heading = "Sockets")]
    pub gso: Option<Switch>,

    /// For how many microseconds a poll of an empty socket looks at the device itself (SO_BUSY_POLL)
    #[arg(long, value_name = "USEC", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Sockets")]
    pub busy_poll: Option<u32>,
}

impl SocketArgs {
    /// One of them that was given.
    pub(super) fn named(&self) -> Option<&'static str> {
        let gro = self.gro.map(|_| "--socket-gro");
        gro.or(self.gso.map(|_| "--socket-gso")).or(self.busy_poll.map(|_| "--busy-poll"))
    }
}

/// Checks that the arguments mean something on sockets.
pub(super) fn check(args: &CommonArgs) -> Result<(), UsageError> {
    let said = [
        (args.fault.is_some(), "--fault", "the network does harm of its own, with `tc qdisc … netem`"),
        (args.capture.is_some(), "--capture", "the kernel has the frames: capture them with tcpdump"),
        (args.promiscuous, "--promiscuous", "a socket has no device: leave it out"),
        (args.rxd.is_some(), "--rxd", "a socket's buffer is bounded by `sysctl net.core.rmem_max`"),
        (args.txd.is_some(), "--txd", "a socket's buffer is bounded by `sysctl net.core.wmem_max`"),
        (args.mtu.is_some(), "--mtu", "the kernel knows the MTU of each device: `ip link set IFACE mtu N`"),
        (
            !args.gateways.is_empty(),
            "--gateway",
            "the kernel has the routes: `ip route add default via ADDR`",
        ),
        (args.tx_shared != Sharing::Auto, "--tx-shared", "the kernel copies every payload: leave it out"),
        (!args.fragments.is_empty(), "--fragments", "the kernel cuts packets and puts them together"),
        (args.no_announce, "--no-announce", "the kernel announces its addresses: leave it out"),
        (
            args.guard.icmp_rate.is_some(),
            "--guard icmp-rate",
            "it bounds ICMP errors, which the kernel sends",
        ),
        (args.udp_ports.contains(&UdpPortArg::All), "--udp-port all", "a socket has one port: name each"),
    ];
    if let Some(&(_, option, instead)) = said.iter().find(|(is_said, ..)| *is_said) {
        return Err(UsageError::NotOnSockets { option, instead });
    }
    args.ip.iter().try_for_each(check_address)?;
    check_overlaps(args.ip.iter().map(|arg| arg.address))
}

fn check_address(arg: &AddressArg) -> Result<(), UsageError> {
    let AddressArg { address, prefix_len, place } = arg;
    if prefix_len.is_some() || place.is_some() {
        let len = prefix_len.map(|len| format!("/{len}")).unwrap_or_default();
        let place = place.as_ref().map(|place| format!("@{place}")).unwrap_or_default();
        return Err(UsageError::OnlyAddress(format!("{address}{len}{place}"), *address));
    }
    let is_mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_multicast() || is_mapped || is_broadcast {
        return Err(UsageError::NoSocketAddress(*address));
    }
    Ok(())
}

fn check_overlaps(addresses: impl Iterator<Item = IpAddr>) -> Result<(), UsageError> {
    let mut seen: Vec<IpAddr> = Vec::new();
    for address in addresses {
        for &other in seen.iter().filter(|other| other.is_ipv4() == address.is_ipv4()) {
            match (other == address, other.is_unspecified(), address.is_unspecified()) {
                (true, ..) => return Err(UsageError::AddressTwice(address.to_string())),
                (_, true, _) => return Err(UsageError::TakenIn { all: other, one: address }),
                (_, _, true) => return Err(UsageError::TakenIn { all: address, one: other }),
                _ => {}
            }
        }
        seen.push(address);
    }
    Ok(())
}

/// Serves sockets until the program is stopped.
pub(super) fn serve<S: Service + 'static>(
    launch: &Launch,
    lcores: &Lcores,
    signals: Signals,
    plan: &Plan,
    companion: &mut dyn Companion,
    make: impl FnOnce(&[LcoreId]) -> Vec<S>,
) -> Result<Report, Error> {
    let config = config::<S>(&launch.args, plan)?;
    let port = socket::open(&config)?;
    let addresses: Vec<_> = config.addresses.iter().map(ToString::to_string).collect();
    say(format_args!("port 0: socket, {}", addresses.join(", ")));
    port.control.description().granted.iter().for_each(|line| say(format_args!("  {line}")));
    plan.sharing(&launch.args, false).into_iter().for_each(|line| say(format_args!("  {line}")));
    say_metrics(plan);
    let (teams, services) = staff(lcores, vec![port.queues], make)?;
    let ready = Box::new(|| ready(launch, plan, &config));
    let start = Start { ready, addressing: &[] };
    let (ports, clock) = ([port.control.description().clone()], Clock::start());
    let mut controls = vec![port.control];
    let needs = privileges::needs(&controls);
    let links = controls.iter_mut().map(|control| Link::new(control.as_mut(), Vec::new())).collect();
    let companion_too = &mut *companion;
    let aside =
        Aside { signals, start, needs, ports: &ports, links, capture: None, clock, companion: companion_too };
    let begin = Instant::now();
    let end = run(launch, lcores, plan, aside, teams, services)?;
    conclude(launch, plan, begin, controls, companion, end)
}

/// What the sockets are asked for.
fn config<S: Service>(args: &CommonArgs, plan: &Plan) -> Result<SocketConfig, Error> {
    let mut udp_ports: Vec<_> = plan.named_udp_ports.iter().flat_map(UdpPortArg::each).collect();
    udp_ports.sort_unstable();
    udp_ports.dedup();
    Ok(SocketConfig {
        port: PortId(0),
        queues: plan.port.queues,
        burst: plan.port.burst,
        outbox: plan.outbox(),
        shared: S::SHARED,
        ttl: args.ttl,
        gro: args.socket.gro.unwrap_or(Switch::On),
        gso: args.socket.gso.unwrap_or(Switch::On),
        busy_poll: args.socket.busy_poll,
        guards: args.guard.resolve(S::ROLE),
        hash_key: random_key()?,
        ..SocketConfig::new(args.ip.iter().map(|arg| arg.address).collect(), udp_ports)
    })
}

/// `ready: echo on socket, 2 queues, 127.0.0.1:9000`.
fn ready(launch: &Launch, plan: &Plan, config: &SocketConfig) -> String {
    let udp_port = plan.udp_port_suffix();
    let endpoints = config.addresses.iter().filter_map(|&address| endpoint(address, &udp_port));
    let plural = if config.queues == 1 { "" } else { "s" };
    let endpoints = endpoints.collect::<Vec<_>>().join(" ");
    format!("ready: {} on socket, {} queue{plural}, {endpoints}", launch.app.name, config.queues)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaps(addresses: &[&str]) -> Result<(), UsageError> {
        check_overlaps(addresses.iter().map(|address| address.parse().expect("address")))
    }

    #[test]
    fn an_address_is_not_given_twice_not_even_in_a_wildcard() {
        assert_eq!(overlaps(&["127.0.0.1", "::1", "127.0.0.2"]), Ok(()));
        assert_eq!(overlaps(&["0.0.0.0", "::"]), Ok(()));
        assert!(matches!(overlaps(&["::1", "::1"]), Err(UsageError::AddressTwice(_))));
        let taken_in = UsageError::TakenIn { all: [0, 0, 0, 0].into(), one: [127, 0, 0, 1].into() };
        assert_eq!(overlaps(&["0.0.0.0", "127.0.0.1"]), Err(taken_in.clone()));
        assert_eq!(overlaps(&["127.0.0.1", "0.0.0.0"]), Err(taken_in));
    }

    #[test]
    fn an_address_stands_alone_and_is_one_to_answer_from() {
        let check = |text: &str| check_address(&text.parse().expect("an address"));
        for good in ["127.0.0.1", "0.0.0.0", "::", "::1", "10.77.0.1"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["127.0.0.1/8", "127.0.0.1@1", "10.0.0.1/8@1.100"] {
            let address = bad.parse::<AddressArg>().expect("an address").address;
            assert_eq!(check(bad), Err(UsageError::OnlyAddress(bad.to_owned(), address)));
        }
        for bad in ["224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:127.0.0.1"] {
            assert!(matches!(check(bad), Err(UsageError::NoSocketAddress(_))), "{bad}");
        }
    }
}
