//! What the arguments come to, before any port is open and when all of them are.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;

use super::App;
use super::args::{AddressArg, CommonArgs, FragmentsArg, Io, UdpPortArg};
use super::capture::CaptureFile;
use super::error::{Error, UsageError};
use super::lcores::Lcores;
use super::metrics::Listener;
use super::sockets;
use crate::host::{Addressing, FragmentPolicy, HashKey, HostConfig, InterfaceAddress, Sharing, UdpPorts};
use crate::idle::Idle;
use crate::port::{PortConfig, PortDescription, PortId, RssFields, RssKey};
use crate::service::{ROUNDS, Role, Service};
use crate::sys::random_bytes;
use crate::wire::vlan::{VlanId, Vlans};

/// Datagrams that a service can send per call, in bursts.
const OUTBOX_BURSTS: usize = 4;

/// What every host of the program has in common.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) port: PortConfig,
    udp_ports: UdpPorts,
    pub(super) named_udp_ports: Vec<UdpPortArg>,
    outbox: usize,
    /// Payloads that a service may have shared at a time.
    shared: usize,
    /// Where the report goes as JSON; made before anything is opened, so that a wrong name
    /// shows at the start.
    pub(super) report: Option<File>,
    /// Where captured frames go; opened now for the same reason.
    pub(super) capture: Option<CaptureFile>,
    /// Where metrics are served; listened at from now on for the same reason.
    pub(super) metrics: Option<Listener>,
}

impl Plan {
    /// Reads the arguments that need no port to be understood.
    pub(super) fn new<S: Service>(app: &App, args: &CommonArgs, lcores: &Lcores) -> Result<Self, Error> {
        let named = named_udp_ports(app, args)?;
        let burst = usize::from(args.burst);
        let mut plan = Self {
            port: PortConfig::default(),
            udp_ports: udp_ports(&named),
            named_udp_ports: named,
            outbox: burst * OUTBOX_BURSTS,
            shared: S::SHARED,
            report: args.json.as_deref().map(create_report).transpose()?,
            capture: args.capture.as_ref().map(CaptureFile::open).transpose()?,
            metrics: args.metrics.map(Listener::bind).transpose()?,
        };
        plan.port = PortConfig {
            queues: lcores.workers().len(),
            burst,
            held: HostConfig {
                outbox: plan.outbox,
                shared: plan.shared,
                ..HostConfig::new(Addressing::default())
            }
            .held(),
            // Questions of neighbours come to groups.
            all_multicast: args.ip.iter().any(|own| own.address.is_ipv6()),
            rx_descriptors: args.rxd,
            tx_descriptors: args.txd,
            mtu: args.mtu,
            promiscuous: args.promiscuous,
            wakeups: Idle::new(args.idle).waits(),
            shares: plan.shared > 0 && args.tx_shared != Sharing::Copy,
            rss_key: Some(RssKey(random_bytes()?)),
            ..PortConfig::default()
        };
        Ok(plan)
    }

    /// Datagrams that a turn of a worker can forward from port to port: of each of its queues
    /// a burst and what the service sends, and what it sends in its ticks.
    pub(super) fn forwards(&self, queues: usize) -> usize {
        queues * (self.port.burst + self.outbox) + ROUNDS * self.outbox
    }

    /// The UDP ports as the ready line has them behind an address: `:7`, `:{7,9}`, `:all`.
    pub(super) fn udp_port_suffix(&self) -> String {
        match self.named_udp_ports.as_slice() {
            [one] => format!(":{one}"),
            several => {
                let several: Vec<_> = several.iter().map(ToString::to_string).collect();
                format!(":{{{}}}", several.join(","))
            }
        }
    }

    /// How the hosts of a port treat payloads that are shared, if the service has such.
    pub(super) fn sharing(&self, args: &CommonArgs, is_granted: bool) -> Option<String> {
        (self.shared > 0).then(|| match args.tx_shared.least(is_granted) {
            Some(0) => "shared payloads are sent from one place".to_owned(),
            Some(least) => {
                format!("shared payloads are sent from one place if they are of {least} bytes or more")
            }
            None => "shared payloads are copied".to_owned(),
        })
    }

    /// Datagrams that a service can send per call.
    pub(super) fn outbox(&self) -> usize {
        self.outbox
    }

    /// What the port is asked for that has this number and name.
    pub(super) fn port(&self, id: usize, name: &str, args: &CommonArgs) -> PortConfig {
        let rss = match fragment_policy(&args.fragments, id, name) {
            FragmentPolicy::Drop => RssFields::Flow,
            // Only the first of a datagram's fragments has its UDP ports.
            FragmentPolicy::Reassemble => RssFields::Addresses,
        };
        PortConfig { rss, ..self.port.clone() }
    }

    pub(super) fn host(
        &self,
        (id, port): (usize, &PortDescription),
        addressing: Addressing,
        hash_key: HashKey,
        role: Role,
        args: &CommonArgs,
    ) -> HostConfig {
        HostConfig {
            port: PortId(id as u16),
            addressing,
            udp_ports: self.udp_ports.clone(),
            ttl: args.ttl,
            burst: usize::from(args.burst),
            outbox: self.outbox,
            shared: self.shared,
            sharing: args.tx_shared,
            hash_key,
            announces: false,
            guards: args.guard.resolve(role),
            fragments: fragment_policy(&args.fragments, id, &port.name),
            neighbours: args.neighbours.iter().map(|arg| (arg.address, arg.mac)).collect(),
        }
    }
}

/// Checks what can be said of the arguments before anything is opened.
pub(super) fn check(args: &CommonArgs) -> Result<(), UsageError> {
    match args.io {
        Io::Socket => sockets::check(args),
        _ => {
            args.ip.iter().try_for_each(|arg| arg.on_link().map(drop))?;
            args.socket.named().map_or(Ok(()), |option| Err(UsageError::OnlyOnSockets(option)))
        }
    }
}

/// The UDP ports to listen on, where there is an address to listen on them.
pub(super) fn named_udp_ports(app: &App, args: &CommonArgs) -> Result<Vec<UdpPortArg>, UsageError> {
    if args.ip.is_empty() {
        return Err(UsageError::NoAddress);
    }
    match (args.udp_ports.as_slice(), app.udp_port) {
        ([], Some(port)) => Ok(vec![UdpPortArg::One(port)]),
        ([], None) => Err(UsageError::NoUdpPort),
        (named, _) => Ok(named.to_vec()),
    }
}

/// The policy of a port: the last one that is said for it, or for all.
fn fragment_policy(said: &[FragmentsArg], id: usize, name: &str) -> FragmentPolicy {
    let is_meant =
        |port: &Option<String>| port.as_ref().is_none_or(|port| port == name || port.parse() == Ok(id));
    said.iter().rfind(|arg| is_meant(&arg.port)).map(|arg| arg.policy).unwrap_or_default()
}

fn udp_ports(named: &[UdpPortArg]) -> UdpPorts {
    if named.contains(&UdpPortArg::All) {
        return UdpPorts::all();
    }
    named.iter().flat_map(UdpPortArg::each).collect()
}

fn create_report(path: &Path) -> Result<File, Error> {
    // What was there stays until there is something better.
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| Error::Report { path: path.to_owned(), source })
}

/// Checks that each `--fragments` names a port that there is.
pub(super) fn check_fragments(args: &CommonArgs, ports: &[PortDescription]) -> Result<(), UsageError> {
    let mut named = args.fragments.iter().filter_map(|arg| arg.port.as_ref());
    match named.find(|name| find_port(name, ports).is_none()) {
        Some(name) => Err(UsageError::NoSuchPort { name: name.clone(), known: names(ports) }),
        None => Ok(()),
    }
}

/// Which port each `--ip` is for.
pub(super) fn place_addresses(
    args: &CommonArgs,
    ports: &[PortDescription],
) -> Result<Vec<Addressing>, UsageError> {
    let mut placed: Vec<Vec<InterfaceAddress>> = vec![Vec::new(); ports.len()];
    for arg in &args.ip {
        let (port, vlans) = place(arg, ports)?;
        let (address, prefix_len) = arg.on_link()?;
        let own = InterfaceAddress { address, prefix_len, vlans };
        if own.broadcast().is_some_and(|broadcast| own.address == broadcast) {
            return Err(UsageError::Broadcast(own.to_string()));
        }
        if args.gateways.contains(&own.address) {
            return Err(UsageError::OwnGateway(own.address));
        }
        if placed[port].iter().any(|other| other.address == own.address) {
            return Err(UsageError::AddressTwice(own.address.to_string()));
        }
        placed[port].push(own);
    }
    let homes = gateway_homes(&args.gateways, &placed)?;
    let with_routers = |(port, own): (usize, Vec<InterfaceAddress>)| {
        let here = args.gateways.iter().zip(&homes).filter(|&(_, &home)| home == port);
        let mut addressing = Addressing::new(own, here.map(|(gateway, _)| *gateway).collect())?;
        addressing.add_link_locals(ports[port].mac);
        Ok(addressing)
    };
    placed.into_iter().enumerate().map(with_routers).collect()
}

/// Which port's link each gateway is on; the first says so of one that is on none.
fn gateway_homes(gateways: &[IpAddr], placed: &[Vec<InterfaceAddress>]) -> Result<Vec<usize>, UsageError> {
    for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
        let mut of_family = gateways.iter().filter(|gateway| family(gateway));
        if let (Some(first), Some(second)) = (of_family.next(), of_family.next()) {
            return Err(UsageError::TwoGateways(*first, *second));
        }
    }
    let is_home =
        |own: &Vec<InterfaceAddress>, gateway: IpAddr| Addressing::new(own.clone(), vec![gateway]).is_ok();
    let home = |&gateway| placed.iter().position(|own| is_home(own, gateway)).unwrap_or(0);
    Ok(gateways.iter().map(home).collect())
}

/// The port that an address is for, and its VLANs: port 0 and none unless it says so.
fn place(arg: &AddressArg, ports: &[PortDescription]) -> Result<(usize, Vlans), UsageError> {
    let Some(place) = &arg.place else { return Ok((0, Vlans::NONE)) };
    // A PCI address has a dot of its own, so the whole is tried as a name first.
    if let Some(port) = find_port(place, ports) {
        return Ok((port, Vlans::NONE));
    }
    let no_such_port = |name: &str| UsageError::NoSuchPort { name: name.to_owned(), known: names(ports) };
    let (name, inner) = place.rsplit_once('.').ok_or_else(|| no_such_port(place))?;
    if let Some(port) = find_port(name, ports) {
        return Ok((port, Vlans::one(vlan(inner)?)));
    }
    let (name, outer) = name.rsplit_once('.').ok_or_else(|| no_such_port(name))?;
    let port = find_port(name, ports).ok_or_else(|| no_such_port(name))?;
    Ok((port, Vlans::two(vlan(outer)?, vlan(inner)?)))
}

fn vlan(text: &str) -> Result<VlanId, UsageError> {
    text.parse().ok().and_then(VlanId::new).ok_or_else(|| UsageError::NoSuchVlan(text.to_owned()))
}

fn find_port(name: &str, ports: &[PortDescription]) -> Option<usize> {
    let number = name.parse().ok().filter(|&number| number < ports.len());
    number.or_else(|| ports.iter().position(|port| port.name == name))
}

fn names(ports: &[PortDescription]) -> String {
    let names = ports.iter().enumerate().map(|(id, port)| format!("{id} ({})", port.name));
    names.collect::<Vec<_>>().join(", ")
}
