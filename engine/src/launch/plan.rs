//! What the arguments come to, before any port is open and when all of them are.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;

use super::App;
use super::args::{AddressArg, CommonArgs, UdpPortArg};
use super::capture::CaptureFile;
use super::error::{Error, UsageError};
use super::lcores::Lcores;
use crate::host::{Addressing, HashKey, HostConfig, InterfaceAddress, UdpPorts};
use crate::port::{PortConfig, PortDescription, PortId};
use crate::wire::vlan::VlanId;

/// Datagrams that a service can send per call, in bursts.
const OUTBOX_BURSTS: usize = 4;

/// What every host of the program has in common.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) port: PortConfig,
    udp_ports: UdpPorts,
    pub(super) named_udp_ports: Vec<UdpPortArg>,
    outbox: usize,
    /// Where the report goes as JSON; made before anything is opened, so that a wrong name
    /// shows at the start.
    pub(super) report: Option<File>,
    /// Where captured frames go; opened now for the same reason.
    pub(super) capture: Option<CaptureFile>,
}

impl Plan {
    /// Reads the arguments that need no port to be understood.
    pub(super) fn new(app: &App, args: &CommonArgs, lcores: &Lcores) -> Result<Self, Error> {
        if args.ip.is_empty() {
            return Err(UsageError::NoAddress.into());
        }
        let named: Vec<_> = match (args.udp_ports.as_slice(), app.udp_port) {
            ([], Some(port)) => vec![UdpPortArg::One(port)],
            ([], None) => return Err(UsageError::NoUdpPort.into()),
            (named, _) => named.to_vec(),
        };
        let burst = usize::from(args.burst);
        let mut plan = Self {
            port: PortConfig::default(),
            udp_ports: udp_ports(&named),
            named_udp_ports: named,
            outbox: burst * OUTBOX_BURSTS,
            report: args.json.as_deref().map(create_report).transpose()?,
            capture: args.capture.as_ref().map(CaptureFile::open).transpose()?,
        };
        plan.port = PortConfig {
            queues: lcores.workers().len(),
            burst,
            held: plan.host(PortId(0), Addressing::default(), HashKey::default(), args).held(),
            rx_descriptors: args.rxd,
            tx_descriptors: args.txd,
            mtu: args.mtu,
            promiscuous: args.promiscuous,
        };
        Ok(plan)
    }

    /// Datagrams that a turn of a worker can forward from port to port: of each of its queues
    /// a burst and what the service sends, and what it sends in its tick.
    pub(super) fn forwards(&self, queues: usize) -> usize {
        queues * (self.port.burst + self.outbox) + self.outbox
    }

    pub(super) fn host(
        &self,
        port: PortId,
        addressing: Addressing,
        hash_key: HashKey,
        args: &CommonArgs,
    ) -> HostConfig {
        HostConfig {
            port,
            addressing,
            udp_ports: self.udp_ports.clone(),
            ttl: args.ttl,
            burst: usize::from(args.burst),
            outbox: self.outbox,
            hash_key,
        }
    }
}

fn udp_ports(named: &[UdpPortArg]) -> UdpPorts {
    if named.contains(&UdpPortArg::All) {
        return UdpPorts::all();
    }
    named
        .iter()
        .filter_map(|port| if let UdpPortArg::One(port) = port { Some(*port) } else { None })
        .collect()
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

/// Which port each `--ip` is for.
pub(super) fn place_addresses(
    args: &CommonArgs,
    ports: &[PortDescription],
) -> Result<Vec<Addressing>, UsageError> {
    let mut placed: Vec<Vec<InterfaceAddress>> = vec![Vec::new(); ports.len()];
    for arg in &args.ip {
        let (port, vlan) = place(arg, ports)?;
        let own = InterfaceAddress { address: arg.address, prefix_len: arg.prefix_len, vlan };
        if own.broadcast() == Some(own.address) {
            return Err(UsageError::Broadcast(own.to_string()));
        }
        if args.gateway == Some(own.address) {
            return Err(UsageError::OwnGateway(own.address));
        }
        if placed[port].iter().any(|other| other.address == own.address) {
            return Err(UsageError::AddressTwice(own.address.to_string()));
        }
        placed[port].push(own);
    }
    let reaches = |addresses: &[InterfaceAddress], gateway: Ipv4Addr| {
        addresses.iter().any(|own| own.is_on_link(gateway))
    };
    // The gateway is on one port's link; where it is on none, the first port says so.
    let home = args.gateway.map(|gateway| placed.iter().position(|own| reaches(own, gateway)).unwrap_or(0));
    let gateway = |port| args.gateway.filter(|_| home == Some(port));
    placed.into_iter().enumerate().map(|(port, own)| Ok(Addressing::new(own, gateway(port))?)).collect()
}

/// The port that an address is for, and its VLAN: port 0 and none unless it says so.
fn place(arg: &AddressArg, ports: &[PortDescription]) -> Result<(usize, Option<VlanId>), UsageError> {
    let Some(place) = &arg.place else { return Ok((0, None)) };
    // A PCI address has a dot of its own, so the whole is tried as a name first.
    if let Some(port) = find_port(place, ports) {
        return Ok((port, None));
    }
    let no_such_port = |name: &str| UsageError::NoSuchPort { name: name.to_owned(), known: names(ports) };
    let (name, vlan) = place.rsplit_once('.').ok_or_else(|| no_such_port(place))?;
    let port = find_port(name, ports).ok_or_else(|| no_such_port(name))?;
    let vlan =
        vlan.parse().ok().and_then(VlanId::new).ok_or_else(|| UsageError::NoSuchVlan(vlan.to_owned()))?;
    Ok((port, Some(vlan)))
}

fn find_port(name: &str, ports: &[PortDescription]) -> Option<usize> {
    let number = name.parse().ok().filter(|&number| number < ports.len());
    number.or_else(|| ports.iter().position(|port| port.name == name))
}

fn names(ports: &[PortDescription]) -> String {
    let names = ports.iter().enumerate().map(|(id, port)| format!("{id} ({})", port.name));
    names.collect::<Vec<_>>().join(", ")
}
