//! A service under test: the whole engine in memory, with no NIC, no root and no DPDK, on a
//! clock that the test moves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::host::{Addressing, GuardConfig, Host, HostConfig, InterfaceAddress};
use crate::port::PoolBalance;
use crate::port::memory::{self, MemoryConfig, MemoryOffloads, MemoryQueue};
use crate::service::Service;
use crate::telemetry::Snapshot;
use crate::time::Time;
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::ethernet::{self, EtherType, MacAddress};
use crate::wire::protocol::Protocol;
use crate::wire::vlan::Vlans;
use crate::wire::{arp, icmpv6, ipv4, ipv6, ndp, udp};
use crate::worker::{DatagramQueue, Worker};

const HOST_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
/// Everybody else's.
const CLIENT_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
/// The routers to clients that are on another link.
const GATEWAYS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 254)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 0xfe))];
/// Datagrams that a turn can forward.
const FORWARDS: usize = 256;

/// A worker with one host on a memory port, and the wire's other end in the test's hands.
///
/// The host is 10.77.0.1/24 and fd00:77::1/64, and its service listens on every UDP port. Clients
/// have whatever address the test gives them; the lab answers the host's questions for their
/// MAC addresses for all of them.
///
/// ```
/// # use gannet::{Datagram, Lab, Outbox, Service, Time, Verdict};
/// struct Shout;
///
/// impl Service for Shout {
///     fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
///         datagram.payload_mut().make_ascii_uppercase();
///         Verdict::Reply
///     }
/// }
///
/// let mut lab = Lab::new(Shout);
/// assert_eq!(lab.exchange("10.77.0.2:4660", 7, b"hello").as_deref(), Some(&b"HELLO"[..]));
/// ```
pub struct Lab<S: Service> {
    worker: Worker<Host<MemoryQueue>, S>,
    wire: MemoryQueue,
    now: Time,
}

/// A datagram that came out of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The host's end.
    pub from: SocketAddr,
    /// The client's end.
    pub to: SocketAddr,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl<S: Service> Lab<S> {
    /// The host's IPv4 address.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    /// Its IPv6 address.
    pub const ADDRESS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 1);

    /// A lab at [`Time::ZERO`] with `service` in it.
    pub fn new(service: S) -> Self {
        Self::with(service, |_| ())
    }

    /// A lab whose host is as `change` makes it.
    pub fn with(service: S, change: impl FnOnce(&mut HostConfig)) -> Self {
        Self::of(service, change, |host| host)
    }

    /// A lab whose host is as `change` and then `finish` make it.
    pub(crate) fn of(
        service: S,
        change: impl FnOnce(&mut HostConfig),
        finish: impl FnOnce(Host<MemoryQueue>) -> Host<MemoryQueue>,
    ) -> Self {
        Self::granted(MemoryOffloads::default(), service, change, finish)
    }

    /// As [`of`](Self::of), on a port that was granted these offloads.
    pub(crate) fn granted(
        offloads: MemoryOffloads,
        service: S,
        change: impl FnOnce(&mut HostConfig),
        finish: impl FnOnce(Host<MemoryQueue>) -> Host<MemoryQueue>,
    ) -> Self {
        let macs = [HOST_MAC, CLIENT_MAC];
        let (queue, wire) = memory::pair(&MemoryConfig { macs, offloads, ..MemoryConfig::default() });
        let own = |address, prefix_len| InterfaceAddress { address, prefix_len, vlans: Vlans::NONE };
        let own = vec![own(Self::ADDRESS.into(), 24), own(Self::ADDRESS_V6.into(), 64)];
        let mut addressing = Addressing::new(own, GATEWAYS.into()).unwrap_or_default();
        addressing.add_link_locals(HOST_MAC);
        let mut config = HostConfig::new(addressing);
        config.guards = GuardConfig::default().resolve(S::ROLE);
        config.shared = S::SHARED;
        change(&mut config);
        let worker = Worker::new(vec![finish(Host::new(queue, config))], service, FORWARDS);
        Self { worker, wire, now: Time::ZERO }
    }

    /// The service.
    pub fn service(&self) -> &S {
        self.worker.service()
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Moves the clock on and lets the worker take a turn.
    pub fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
        self.turn();
    }

    /// What the port says of the checksums of frames that are sent from now on.
    #[cfg(test)]
    pub(crate) fn say(&mut self, checksums: crate::packet::RxChecksums) {
        self.wire.set_rx_checksums(checksums);
    }

    /// Puts a datagram from a client onto the wire, to the host's UDP port `to`. The worker
    /// sees it on its next turn. `false` if the wire is full.
    ///
    /// # Panics
    /// If `from` is no address and port, as in `10.77.0.2:4660` or `[fd00:77::2]:4660`.
    pub fn send(&mut self, from: &str, to: u16, payload: &[u8]) -> bool {
        let from: SocketAddr = from.parse().expect("an address and a port");
        let own = if from.is_ipv4() { Self::ADDRESS.into() } else { Self::ADDRESS_V6.into() };
        self.send_frame(&datagram_frame(from, SocketAddr::new(own, to), payload))
    }

    /// Puts a frame onto the wire as it is. `false` if the wire is full or the frame too long.
    pub fn send_frame(&mut self, frame: &[u8]) -> bool {
        self.wire.send_frame(frame).is_ok()
    }

    /// Lets the worker take a turn. Gives how many frames it received.
    pub fn turn(&mut self) -> usize {
        self.worker.poll_once(self.now)
    }

    /// The next frame that the host sent, as it is.
    pub fn receive_frame(&mut self) -> Option<Vec<u8>> {
        self.wire.receive_frame()
    }

    /// The next datagram that the host sent. Questions for MAC addresses before it are answered,
    /// so what waits for them comes after the next turn.
    pub fn receive(&mut self) -> Option<Received> {
        while let Some(frame) = self.receive_frame() {
            if let Some(received) = datagram(&frame) {
                return Some(received);
            }
            if let Some(reply) = answer(&frame) {
                self.send_frame(&reply);
                self.turn();
            }
        }
        None
    }

    /// Sends a datagram, lets the worker take a turn and gives what came back.
    ///
    /// # Panics
    /// If `from` is no address and port.
    pub fn exchange(&mut self, from: &str, to: u16, payload: &[u8]) -> Option<Vec<u8>> {
        self.send(from, to, payload);
        self.turn();
        self.receive().map(|received| received.payload)
    }

    /// The host's counters.
    pub fn counters(&self) -> Snapshot {
        self.worker.queues().iter().map(|host| host.counters().snapshot()).next().unwrap_or_default()
    }

    /// Ends the run: every buffer goes back. Gives the last counters and the pool's balance.
    pub fn close(mut self) -> (Snapshot, PoolBalance) {
        self.worker.drain();
        while self.wire.receive_frame().is_some() {}
        (self.counters(), self.wire.pool_balance())
    }
}

/// A frame with a datagram in it, as a client's kernel makes it.
fn datagram_frame(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let udp_len = udp::HEADER_LEN + payload.len();
    let (link, ip, pseudo_header) = headers(from.ip(), to.ip(), Protocol::UDP, udp_len, 64);
    let mut header = [0; udp::HEADER_LEN];
    udp::write(&mut header, from.port(), to.port(), udp_len as u16, [0, 0]);
    let checksum = udp_checksum(pseudo_header + Sum::of(&header) + Sum::of(payload));
    header[6..].copy_from_slice(&checksum);
    [&link[..], &ip, &header, payload].concat()
}

/// The headers of a client's packet, and the sum of its pseudo header.
///
/// # Panics
/// If the addresses are of two families.
fn headers(
    from: IpAddr,
    to: IpAddr,
    protocol: Protocol,
    len: usize,
    ttl: u8,
) -> ([u8; ethernet::HEADER_LEN], Vec<u8>, Sum) {
    let mut link = [0; ethernet::HEADER_LEN];
    let (payload_len, differentiated_services) = (len as u16, 0);
    match (from, to) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet::write(&mut link, HOST_MAC, CLIENT_MAC, EtherType::IPV4);
            let mut ip = [0; ipv4::HEADER_LEN];
            ipv4::Header { differentiated_services, ttl, protocol, source, destination, payload_len }
                .write(&mut ip);
            (link, ip.to_vec(), ipv4::pseudo_header(source, destination, protocol, payload_len))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ethernet::write(&mut link, HOST_MAC, CLIENT_MAC, EtherType::IPV6);
            let mut ip = [0; ipv6::HEADER_LEN];
            let (hop_limit, next_header) = (ttl, protocol);
            ipv6::Header {
                differentiated_services,
                hop_limit,
                next_header,
                source,
                destination,
                payload_len,
            }
            .write(&mut ip);
            (link, ip.to_vec(), ipv6::pseudo_header(source, destination, protocol, payload_len.into()))
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

fn datagram(frame: &[u8]) -> Option<Received> {
    let (link, rest) = ethernet::Header::split(frame)?;
    let (from, to, payload): (IpAddr, IpAddr, _) = match link.ether_type() {
        EtherType::IPV4 => {
            let packet =
                ipv4::Packet::parse(rest).ok().filter(|packet| packet.protocol() == Protocol::UDP)?;
            (packet.source().into(), packet.destination().into(), packet.payload())
        }
        EtherType::IPV6 => {
            let packet =
                ipv6::Packet::parse(rest).ok().filter(|packet| packet.next_header() == Protocol::UDP)?;
            (packet.source().into(), packet.destination().into(), packet.payload())
        }
        _ => return None,
    };
    let datagram = udp::Datagram::parse(payload).ok()?;
    Some(Received {
        from: SocketAddr::new(from, datagram.source_port()),
        to: SocketAddr::new(to, datagram.destination_port()),
        payload: datagram.payload().to_vec(),
    })
}

/// Everybody's answer to a question for a MAC address.
pub(crate) fn answer(frame: &[u8]) -> Option<Vec<u8>> {
    arp_reply(frame).or_else(|| advertisement(frame))
}

/// Everybody's answer to an ARP request.
fn arp_reply(frame: &[u8]) -> Option<Vec<u8>> {
    let (link, rest) = ethernet::Header::split(frame)?;
    let request = arp::Packet::parse(rest).filter(|_| link.ether_type() == EtherType::ARP)?;
    let mac = CLIENT_MAC;
    let reply = arp::Packet {
        operation: arp::Operation::REPLY,
        sender_mac: mac,
        sender_ip: request.target_ip,
        target_mac: request.sender_mac,
        target_ip: request.sender_ip,
    };
    let (mut header, mut body) = ([0; ethernet::HEADER_LEN], [0; arp::PACKET_LEN]);
    ethernet::write(&mut header, link.source(), mac, EtherType::ARP);
    reply.write(&mut body);
    Some([&header[..], &body].concat())
}

/// Everybody's answer to a neighbour solicitation.
fn advertisement(frame: &[u8]) -> Option<Vec<u8>> {
    let (link, rest) = ethernet::Header::split(frame)?;
    let packet = ipv6::Packet::parse(rest).ok().filter(|_| link.ether_type() == EtherType::IPV6)?;
    let asked = ndp::Solicitation::parse(packet.payload())?;
    let answer = ndp::Advertisement {
        target: asked.target,
        router: false,
        solicited: true,
        override_known: true,
        target_link_address: Some(CLIENT_MAC),
    };
    let mut message = [0; ndp::MAX_LEN];
    answer.write(&mut message);
    let (from, to) = (asked.target.into(), packet.source().into());
    let (link, ip, pseudo_header) = headers(from, to, Protocol::ICMPV6, ndp::MAX_LEN, 255);
    icmpv6::fill_checksum(&mut message, pseudo_header);
    Some([&link[..], &ip, &message].concat())
}
