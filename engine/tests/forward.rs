//! Two ports on one worker: what a service forwards or sends by the other port leaves there,
//! in the same buffer, and the books of both balance.

use std::net::Ipv4Addr;

use gannet::host::{Addressing, Host, HostConfig, InterfaceAddress};
use gannet::port::PortId;
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
use gannet::telemetry::{Counter, Snapshot};
use gannet::wire::arp::{Operation, Packet as Arp};
use gannet::wire::ethernet::{self, EtherType, MacAddress};
use gannet::wire::vlan::{VlanId, Vlans};
use gannet::{Datagram, DatagramQueue, Outbox, Service, Shared, Time, Verdict, Worker};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr};

const NEAR: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const FAR: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);

/// Does what the payload's first byte says.
#[derive(Default)]
struct Switch {
    kept: Option<Shared>,
}

impl Service for Switch {
    const SHARED: usize = 2;

    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, outbox: &mut Outbox<'_>) -> Verdict {
        let (from, to) = (([10, 2, 0, 1], 700).into(), ([10, 2, 0, 9], 900).into());
        match datagram.payload()[0] {
            b'f' => {
                datagram.payload_mut().make_ascii_uppercase();
                Verdict::Forward { port: PortId(1), from, to }
            }
            b's' => {
                let shared = outbox.share(b"by the other port").expect("a place");
                outbox.send_shared(from, to, &shared).expect("room");
                Verdict::Drop
            }
            b'k' => {
                let kept = self.kept.get_or_insert_with(|| outbox.share(b"kept").expect("a place"));
                outbox.send_shared(from, to, kept).expect("room");
                Verdict::Drop
            }
            b'o' => {
                outbox.send(from, to, b"by the other port").expect("room");
                Verdict::Drop
            }
            _ => Verdict::Forward { port: PortId(7), from, to },
        }
    }
}

struct Rig {
    worker: Worker<Host<MemoryQueue>, Switch>,
    /// The wires' other ends.
    ends: [MemoryQueue; 2],
}

impl Rig {
    /// Port 0 is 10.1.0.1, port 1 is 10.2.0.1, in those VLANs.
    fn new(vlans: Vlans) -> Self {
        let host = |port: u8, vlans| {
            let (queue, end) = memory::pair(&MemoryConfig { macs: [NEAR, FAR], ..MemoryConfig::default() });
            let own = InterfaceAddress { address: [10, port + 1, 0, 1].into(), prefix_len: 24, vlans };
            let addressing = Addressing::new(vec![own], vec![]).expect("no gateway");
            let config = HostConfig {
                port: PortId(port.into()),
                outbox: 32,
                shared: Switch::SHARED,
                ..HostConfig::new(addressing)
            };
            (Host::new(queue, config), end)
        };
        let ((first, near_end), (second, far_end)) = (host(0, Vlans::NONE), host(1, vlans));
        Self { worker: Worker::new(vec![first, second], Switch::default(), 64), ends: [near_end, far_end] }
    }

    /// Sends a datagram to port 0 and takes a turn.
    fn send(&mut self, payload: &[u8]) {
        self.send_to(0, payload);
    }

    /// Sends a datagram to a port and takes a turn.
    fn send_to(&mut self, port: u8, payload: &[u8]) {
        let (source, destination) = ([10, port + 1, 0, 2], [10, port + 1, 0, 1]);
        let frame = datagram_between(source.into(), destination.into(), payload);
        self.ends[usize::from(port)].send_frame(&frame).expect("room");
        self.worker.poll_once(Time::ZERO);
    }

    /// Answers the ARP request that waits at the end of port 1, with its tag.
    fn answer_arp(&mut self) {
        let request = self.ends[1].receive_frame().expect("an ARP request");
        let link_len = request.windows(2).position(|word| word == [8, 6]).expect("ARP") + 2;
        let asked = Arp::parse(&request[link_len..]).expect("valid");
        assert_eq!((asked.sender_ip, asked.target_ip), ([10, 2, 0, 1].into(), [10, 2, 0, 9].into()));
        let answer = Arp {
            operation: Operation::REPLY,
            sender_mac: FAR,
            sender_ip: asked.target_ip,
            target_mac: NEAR,
            target_ip: asked.sender_ip,
        };
        let mut frame = request[..link_len].to_vec();
        frame[..6].copy_from_slice(&NEAR.0);
        frame[6..12].copy_from_slice(&FAR.0);
        let mut body = [0; 28];
        answer.write(&mut body);
        frame.extend(body);
        self.ends[1].send_frame(&frame).expect("room");
        self.worker.poll_once(Time::ZERO);
    }

    /// Ends the run: books and pools balance. Gives the counters of both ports.
    fn close(mut self) -> [Snapshot; 2] {
        self.worker.drain();
        let counters = [0, 1].map(|port| self.worker.queues()[port].counters().snapshot());
        for (counters, end) in counters.iter().zip(&mut self.ends) {
            assert!(counters.balance().is_exact(), "{:?}", counters.non_zero().collect::<Vec<_>>());
            while end.receive_frame().is_some() {}
            assert!(end.pool_balance().is_balanced(), "{:?}", end.pool_balance());
        }
        counters
    }
}

fn datagram_between(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let checks = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: 4660, dst_port: 7 };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: smoltcp::wire::IpProtocol::Udp,
        payload_len: 8 + payload.len(),
        hop_limit: 64,
    };
    let mut frame = vec![0; 42 + payload.len()];
    let link = frame.first_chunk_mut().expect("long enough");
    ethernet::write(link, NEAR, FAR, EtherType::IPV4);
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
    ip.emit(&mut packet, &checks);
    let mut segment = UdpPacket::new_unchecked(packet.payload_mut());
    let write = |room: &mut [u8]| room.copy_from_slice(payload);
    udp.emit(&mut segment, &source.into(), &destination.into(), payload.len(), write, &checks);
    frame
}

/// Reads an untagged frame with smoltcp: addresses right, checksums valid. Gives the payload.
fn read(frame: &[u8]) -> Vec<u8> {
    let frame = EthernetFrame::new_checked(frame).expect("a frame");
    assert_eq!((frame.dst_addr().0, frame.src_addr().0), (FAR.0, NEAR.0));
    assert_eq!(frame.ethertype(), EthernetProtocol::Ipv4);
    let packet = Ipv4Packet::new_checked(frame.payload()).expect("a packet");
    assert!(packet.verify_checksum());
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    assert_eq!((source.octets(), destination.octets()), ([10, 2, 0, 1], [10, 2, 0, 9]));
    let segment = UdpPacket::new_checked(packet.payload()).expect("a datagram");
    assert!(segment.verify_checksum(&source.into(), &destination.into()));
    assert_eq!((segment.src_port(), segment.dst_port()), (700, 900));
    segment.payload().to_vec()
}

#[test]
fn a_forward_leaves_by_the_other_port() {
    let mut rig = Rig::new(Vlans::NONE);
    rig.send(b"forward this datagram, please");
    rig.answer_arp();
    rig.send(b"far away");
    assert_eq!(read(&rig.ends[1].receive_frame().expect("it waited")), b"FORWARD THIS DATAGRAM, PLEASE");
    assert_eq!(read(&rig.ends[1].receive_frame().expect("it did not")), b"FAR AWAY");
    assert_eq!(rig.ends[0].receive_frame(), None);
    let [near, far] = rig.close();
    assert_eq!((near[Counter::ForwardedAway], near[Counter::Forwarded]), (2, 0));
    assert_eq!((far[Counter::Forwarded], far[Counter::SentLate]), (2, 1));
}

#[test]
fn a_forward_into_a_vlan_finds_room_for_the_tag() {
    let id = |number| VlanId::new(number).expect("usable");
    let one = (Vlans::one(id(300)), vec![0x81, 0, 0x01, 0x2c]);
    let two = (Vlans::two(id(100), id(300)), vec![0x88, 0xa8, 0, 100, 0x81, 0, 0x01, 0x2c]);
    for (vlans, tags) in [one, two] {
        let mut rig = Rig::new(vlans);
        rig.send(b"forward");
        rig.answer_arp();
        let mut frame = rig.ends[1].receive_frame().expect("a datagram");
        assert_eq!(frame.drain(12..12 + tags.len()).collect::<Vec<_>>(), tags);
        assert_eq!(read(&frame), b"FORWARD");
        rig.close();
    }
}

#[test]
fn the_outbox_sends_by_the_port_that_owns_the_address() {
    let mut rig = Rig::new(Vlans::NONE);
    rig.send(b"outbox");
    rig.answer_arp();
    assert_eq!(read(&rig.ends[1].receive_frame().expect("a datagram")), b"by the other port");
    let [near, far] = rig.close();
    assert_eq!((near[Counter::Originated], far[Counter::Forwarded]), (0, 1));
}

#[test]
fn a_shared_payload_leaves_by_the_port_that_owns_the_address() {
    let mut rig = Rig::new(Vlans::NONE);
    rig.send(b"shared");
    rig.answer_arp();
    assert_eq!(read(&rig.ends[1].receive_frame().expect("a datagram")), b"by the other port");
    let [near, far] = rig.close();
    assert_eq!((near[Counter::Originated], near[Counter::TxCopied], far[Counter::Forwarded]), (0, 1, 1));
}

#[test]
fn what_one_port_shares_the_other_sends_too() {
    let mut rig = Rig::new(Vlans::NONE);
    rig.send(b"keep it");
    rig.answer_arp();
    rig.send_to(1, b"keep it");
    for _ in 0..2 {
        assert_eq!(read(&rig.ends[1].receive_frame().expect("a datagram")), b"kept");
    }
    let [near, far] = rig.close();
    assert_eq!((near[Counter::TxCopied], far[Counter::TxCopied], far[Counter::Originated]), (1, 1, 1));
}

#[test]
fn a_forward_to_no_port_is_dropped_and_counted() {
    let mut rig = Rig::new(Vlans::NONE);
    rig.send(b"nowhere");
    let [near, far] = rig.close();
    assert_eq!((near[Counter::ForwardNoPort], far[Counter::Forwarded]), (1, 0));
}
