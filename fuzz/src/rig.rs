//! A worker with hosts on memory ports, the other ends in the target's hands, on a clock that the
//! target moves; and its books, which are held to be exact when it closes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use gannet::host::{
    Addressing, FragmentPolicy, GuardConfig, Guards, Host, HostConfig, InterfaceAddress, Sharing, UdpPorts,
};
use gannet::packet::RxChecksums;
use gannet::port::fault::{Fault, FaultConfig};
use gannet::port::memory::{self, MemoryConfig, MemoryOffloads, MemoryQueue};
use gannet::port::{FrameQueue, PortId};
use gannet::telemetry::{Counter, Kind, Snapshot};
use gannet::wire::ethernet::MacAddress;
use gannet::wire::vlan::{VlanId, Vlans};
use gannet::{DatagramQueue, Role, Service, Time, Worker};

use crate::judge;
use crate::layout::number::{SERVICE_TAG, TAG};

/// The host's address.
pub const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Everybody else's.
pub const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// The longest IP packet, in bytes.
pub const MTU: usize = 1500;
/// The VLANs in which the host has an address, in frames with one tag.
pub const VLANS: [u16; 2] = [300, 301];
/// The VLANs of the link whose frames have two tags.
pub const TWO_VLANS: [u16; 2] = [100, 300];
/// Links of the host: without a tag, those of [`VLANS`], that of [`TWO_VLANS`].
pub const LINKS: u8 = 4;
/// The address that the host has on each of its links by its MAC address.
pub const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 1];

/// The host's address behind these tags; that of an untagged link where it has none there.
pub fn own_ipv4(tags: &[u8]) -> [u8; 4] {
    [10, 77 + link(tags).unwrap_or(0), 0, 1]
}

/// As [`own_ipv4`].
pub fn own_ipv6(tags: &[u8]) -> [u8; 16] {
    ipv6_on(link(tags).unwrap_or(0))
}

/// The IPv6 address of the host on a link.
pub fn ipv6_on(link: u8) -> [u8; 16] {
    [0xfd, 77 + link, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
}

/// Which of the host's [`LINKS`] these tags are; `None` for one on which it has no address.
/// Identifier 0 is a priority and no VLAN.
pub fn link(tags: &[u8]) -> Option<u8> {
    let kinds: Vec<_> = tags.chunks(4).map(|tag| u16::from_be_bytes([tag[0], tag[1]])).collect();
    let ids: Vec<_> = tags.chunks(4).map(|tag| u16::from_be_bytes([tag[2] & 15, tag[3]])).collect();
    let one = |id| (1..).zip(VLANS).find(|&(_, vlan)| vlan == id).map(|(link, _)| link);
    match (&kinds[..], &ids[..]) {
        (_, []) | ([TAG], [0]) | ([TAG | SERVICE_TAG, TAG], [0, 0]) => Some(0),
        ([TAG], [id]) | ([TAG | SERVICE_TAG, TAG], [0, id]) | ([TAG, TAG], [id, 0]) => one(*id),
        ([TAG | SERVICE_TAG, TAG], ids) if *ids == TWO_VLANS => Some(3),
        _ => None,
    }
}

/// What a rig is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Ports of the worker, 1 or 2.
    pub ports: u16,
    /// Buffers in the pool of each.
    pub buffers: usize,
    /// Frames in flight to the host and from it.
    pub ring: usize,
    /// What the ports are granted.
    pub offloads: MemoryOffloads,
    /// What becomes of fragments.
    pub fragments: FragmentPolicy,
    /// The hosts find out whether their addresses are theirs, and make them known.
    pub announces: bool,
    /// What the hosts guard against.
    pub guards: Guards,
    /// What becomes of shared payloads.
    pub sharing: Sharing,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            ports: 1,
            buffers: 40,
            ring: 16,
            offloads: MemoryOffloads::default(),
            fragments: FragmentPolicy::Drop,
            announces: false,
            guards: GuardConfig::OFF.resolve(Role::Stateless),
            sharing: Sharing::Auto,
        }
    }
}

/// A worker and the other ends of its ports.
pub struct Rig<Q: FrameQueue, S: Service> {
    worker: Worker<Host<Q>, S>,
    wires: Vec<MemoryQueue>,
    now: Time,
    /// Frames that came out of each port.
    left: Vec<u64>,
}

impl<S: Service> Rig<MemoryQueue, S> {
    /// A rig whose ports do no harm.
    pub fn new(plan: &Plan, service: S) -> Self {
        Self::wrapped(plan, service, |queue| queue)
    }
}

impl<S: Service> Rig<Fault<MemoryQueue>, S> {
    /// A rig whose ports lose, double, reorder and cut frames, and send less than they are given.
    pub fn faulty(plan: &Plan, service: S, faults: &FaultConfig) -> Self {
        Self::wrapped(plan, service, |queue| Fault::new(queue, faults.clone()))
    }
}

impl<Q: FrameQueue, S: Service> Rig<Q, S> {
    fn wrapped(plan: &Plan, service: S, wrap: impl Fn(MemoryQueue) -> Q) -> Self {
        let config = MemoryConfig {
            macs: [OWN_MAC, PEER_MAC].map(MacAddress),
            mtu: MTU as u16,
            ring: plan.ring,
            buffers: plan.buffers,
            offloads: plan.offloads,
        };
        let pairs = (0..plan.ports).map(|_| memory::pair(&config));
        let (near, wires): (Vec<_>, Vec<_>) = pairs.unzip();
        let host = |(port, queue)| {
            let config = HostConfig { shared: S::SHARED, ..host_config(PortId(port), plan) };
            Host::new(wrap(queue), config)
        };
        let hosts = (0..).zip(near).map(host).collect();
        let now = Time::ZERO + Duration::from_secs(1);
        Self { worker: Worker::new(hosts, service, 8), left: vec![0; wires.len()], wires, now }
    }

    /// The service.
    pub fn service(&self) -> &S {
        self.worker.service()
    }

    /// Lets the host say at its start what it says of its own accord, until it is silent.
    pub fn settle(&mut self) {
        // What it says takes a second.
        for _ in 0..2 {
            self.advance(Duration::from_secs(2));
            self.turn();
            (0..self.wires.len()).for_each(|port| drop(self.receive_all(port)));
        }
    }

    /// Moves the clock on.
    pub fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    /// Lets the worker take a turn.
    pub fn turn(&mut self) {
        self.worker.poll_once(self.now);
    }

    /// Puts a frame onto a port's wire. `false` if it is full or the frame too long.
    pub fn send(&mut self, port: usize, frame: &[u8]) -> bool {
        self.wires[port].send_frame(frame).is_ok()
    }

    /// What the port says of the checksums of the frames that are sent from now on.
    pub fn say(&mut self, checksums: RxChecksums) {
        self.wires[0].set_rx_checksums(checksums);
    }

    /// The next frame that came out of a port; it is held to be right in itself.
    pub fn receive(&mut self, port: usize) -> Option<Vec<u8>> {
        let frame = self.wires[port].receive_frame()?;
        self.left[port] += 1;
        judge::well_formed(&frame);
        Some(frame)
    }

    /// All frames that came out of a port.
    pub fn receive_all(&mut self, port: usize) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.receive(port)).collect()
    }

    /// Ends the run.
    ///
    /// # Panics
    /// If a buffer is missing, a packet is not explained by the counters, or frames left that
    /// they do not know of.
    pub fn close(mut self) -> Vec<Snapshot> {
        self.worker.drain();
        (0..self.wires.len()).for_each(|port| drop(self.receive_all(port)));
        let snapshots: Vec<_> = self.worker.queues().iter().map(|host| host.counters().snapshot()).collect();
        for (snapshot, left) in snapshots.iter().zip(&self.left) {
            balance(snapshot, *left);
        }
        for wire in &self.wires {
            assert!(wire.pool_balance().is_balanced(), "{:?}", wire.pool_balance());
        }
        snapshots
    }
}

fn balance(counted: &Snapshot, left: u64) {
    let all: Vec<_> = counted.non_zero().collect();
    assert!(counted.balance().is_exact(), "{:?} in {all:?}", counted.balance());
    assert_eq!(counted.total(Kind::Sent), left, "frames sent, in {all:?}");
    let answers = counted[Counter::Replied] + counted[Counter::HostReplied];
    assert!(
        counted[Counter::IcmpErrorSent] <= counted.total(Kind::Received),
        "more errors than frames, in {all:?}"
    );
    assert!(answers <= counted.total(Kind::Received), "more answers than frames, in {all:?}");
}

/// What a host is on its port. New settings of it belong here, so that every target reaches them.
pub fn host_config(port: PortId, plan: &Plan) -> HostConfig {
    HostConfig {
        port,
        udp_ports: [7, 9, 4660].into_iter().collect::<UdpPorts>(),
        burst: 8,
        outbox: 8,
        fragments: plan.fragments,
        announces: plan.announces,
        guards: plan.guards,
        sharing: plan.sharing,
        ..HostConfig::new(addressing())
    }
}

fn addressing() -> Addressing {
    let addresses = (0..LINKS).flat_map(|link| {
        let vlans = vlans(link);
        let (ipv4, ipv6) = (Ipv4Addr::new(10, 77 + link, 0, 1), Ipv6Addr::from(ipv6_on(link)));
        [(IpAddr::V4(ipv4), 24), (IpAddr::V6(ipv6), 64)].map(|(address, prefix_len)| InterfaceAddress {
            address,
            prefix_len,
            vlans,
        })
    });
    let gateways = ["10.77.0.254", "fd4d::fe"].iter().filter_map(|address| address.parse().ok());
    let mut addressing = Addressing::new(addresses.collect(), gateways.collect()).unwrap_or_default();
    addressing.add_link_locals(MacAddress(OWN_MAC));
    addressing
}

fn vlans(link: u8) -> Vlans {
    let id = |vlan| VlanId::new(vlan).expect("an identifier");
    match link {
        0 => Vlans::NONE,
        1 | 2 => Vlans::one(id(VLANS[usize::from(link) - 1])),
        _ => Vlans::two(id(TWO_VLANS[0]), id(TWO_VLANS[1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_all_its_addresses() {
        let addressing = addressing();
        assert_eq!(addressing.addresses().len(), 3 * usize::from(LINKS));
        let has = |own: &InterfaceAddress| own.address == IpAddr::V6(LINK_LOCAL.into());
        assert_eq!(addressing.addresses().iter().filter(|own| has(own)).count(), usize::from(LINKS));
        assert_eq!(addressing.addresses()[1].address, "fd4d::1".parse::<IpAddr>().expect("an address"));
    }

    #[test]
    fn a_query_for_listeners_is_answered() {
        let mut rig = Rig::new(&Plan::default(), crate::services::Echo);
        rig.send(0, &crate::seeds::listener_query(2, 0));
        rig.turn();
        let answers = rig.receive_all(0);
        assert!(matches!(&answers[..], [report] if judge::reports(report)), "{answers:02x?}");
        rig.close();
    }

    #[test]
    fn tags_are_links() {
        let tags = |tags: &[(u16, u16)]| -> Vec<u8> {
            tags.iter().flat_map(|(kind, id)| [kind.to_be_bytes(), id.to_be_bytes()].concat()).collect()
        };
        let of = |all: &[(u16, u16)]| link(&tags(all));
        assert_eq!(
            [of(&[]), of(&[(TAG, 0xe000)]), of(&[(TAG, 300)]), of(&[(TAG, 0x612d)])],
            [Some(0), Some(0), Some(1), Some(2)]
        );
        assert_eq!([of(&[(TAG, 100), (TAG, 300)]), of(&[(SERVICE_TAG, 100), (TAG, 300)])], [Some(3); 2]);
        assert_eq!(
            [of(&[(SERVICE_TAG, 300)]), of(&[(SERVICE_TAG, 300), (TAG, 0)]), of(&[(TAG, 7)])],
            [None; 3]
        );
    }
}
