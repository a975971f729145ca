//! A service under test: the whole engine in memory, with no NIC, no root and no DPDK, on a
//! clock that the test moves.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use crate::host::{Addressing, HashKey, Host, HostConfig, InterfaceAddress, UdpPorts};
use crate::port::memory::{self, MemoryConfig, MemoryQueue};
use crate::port::{PoolBalance, PortId};
use crate::service::Service;
use crate::telemetry::Snapshot;
use crate::time::Time;
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::ethernet::{self, EtherType, MacAddress};
use crate::wire::ipv4::{self, Protocol};
use crate::wire::{arp, udp};
use crate::worker::{DatagramQueue, Worker};

const HOST_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
/// Everybody else's.
const CLIENT_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
/// The router to clients that are on another link.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);
const BURST: usize = 32;

/// A worker with one host on a memory port, and the wire's other end in the test's hands.
///
/// The host is 10.77.0.1/24 and its service listens on every UDP port. Clients have whatever
/// address the test gives them; the lab answers the host's ARP requests for all of them.
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
    pub from: SocketAddrV4,
    /// The client's end.
    pub to: SocketAddrV4,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl<S: Service> Lab<S> {
    /// The host's address.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

    /// A lab at [`Time::ZERO`] with `service` in it.
    pub fn new(service: S) -> Self {
        let (queue, wire) =
            memory::pair(&MemoryConfig { macs: [HOST_MAC, CLIENT_MAC], ..MemoryConfig::default() });
        let own = InterfaceAddress { address: Self::ADDRESS, prefix_len: 24, vlan: None };
        let config = HostConfig {
            port: PortId(0),
            addressing: Addressing::new(vec![own], Some(GATEWAY)).unwrap_or_default(),
            udp_ports: UdpPorts::all(),
            ttl: 64,
            burst: BURST,
            outbox: 4 * BURST,
            hash_key: HashKey::default(),
        };
        let worker = Worker::new(vec![Host::new(queue, config)], service, 8 * BURST);
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

    /// Puts a datagram from a client onto the wire, to the host's UDP port `to`. The worker
    /// sees it on its next turn. `false` if the wire is full.
    ///
    /// # Panics
    /// If `from` is no address and port, as in `10.77.0.2:4660`.
    pub fn send(&mut self, from: &str, to: u16, payload: &[u8]) -> bool {
        let from: SocketAddrV4 = from.parse().expect("an IPv4 address and a port");
        self.send_frame(&datagram_frame(from, SocketAddrV4::new(Self::ADDRESS, to), payload))
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

    /// The next datagram that the host sent. ARP requests before it are answered, so what
    /// waits for them comes after the next turn.
    pub fn receive(&mut self) -> Option<Received> {
        while let Some(frame) = self.receive_frame() {
            if let Some(received) = datagram(&frame) {
                return Some(received);
            }
            if let Some(reply) = arp_reply(&frame) {
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
fn datagram_frame(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let udp_len = (udp::HEADER_LEN + payload.len()) as u16;
    let mut link = [0; ethernet::HEADER_LEN];
    ethernet::write(&mut link, HOST_MAC, CLIENT_MAC, EtherType::IPV4);
    let mut ip = [0; ipv4::HEADER_LEN];
    let (source, destination) = (*from.ip(), *to.ip());
    let header = ipv4::Header {
        differentiated_services: 0,
        ttl: 64,
        protocol: Protocol::UDP,
        source,
        destination,
        payload_len: udp_len,
    };
    header.write(&mut ip);
    let mut udp_header = [0; udp::HEADER_LEN];
    udp::write(&mut udp_header, from.port(), to.port(), udp_len, [0, 0]);
    let pseudo_header = ipv4::pseudo_header(source, destination, Protocol::UDP, udp_len);
    let sum = pseudo_header + Sum::of(&udp_header) + Sum::of(payload);
    udp::write(&mut udp_header, from.port(), to.port(), udp_len, udp_checksum(sum));
    [&link[..], &ip, &udp_header, payload].concat()
}

fn datagram(frame: &[u8]) -> Option<Received> {
    let (link, rest) = ethernet::Header::split(frame)?;
    if link.ether_type() != EtherType::IPV4 {
        return None;
    }
    let packet = ipv4::Packet::parse(rest).ok().filter(|packet| packet.protocol() == Protocol::UDP)?;
    let datagram = udp::Datagram::parse(packet.payload()).ok()?;
    Some(Received {
        from: SocketAddrV4::new(packet.source(), datagram.source_port()),
        to: SocketAddrV4::new(packet.destination(), datagram.destination_port()),
        payload: datagram.payload().to_vec(),
    })
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
