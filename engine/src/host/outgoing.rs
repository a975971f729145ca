//! What leaves of our own accord: datagrams of the service, forwards, ARP requests.

use std::net::{Ipv4Addr, SocketAddr};

use super::addressing::NextHop;
use super::neighbours::{Neighbour, Request, Step};
use super::peers::{Learned, Peers};
use super::{Host, reply};
use crate::forward::{Forward, Forwards};
use crate::packet::Packet;
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::ethernet::{self, EtherType, MacAddress};
use crate::wire::ipv4::{self, Protocol};
use crate::wire::vlan::{self, VlanId};
use crate::wire::{arp, udp};

impl<Q: FrameQueue> Host<Q> {
    /// Lends the service rooms to write into, as many as its outbox has places.
    #[inline]
    pub(super) fn lend(&mut self) {
        if self.lent.wants_refill() {
            self.lent.refill(|packets| self.queue.alloc_burst(packets));
        }
    }

    /// Sends what the service put into its outbox.
    #[inline]
    pub(super) fn post(&mut self, now: Time, forwards: &mut Forwards<Q::Packet>) {
        if self.lent.has_letters() {
            self.post_letters(now, forwards);
        }
    }

    fn post_letters(&mut self, now: Time, forwards: &mut Forwards<Q::Packet>) {
        let mut lent = std::mem::take(&mut self.lent);
        for (packet, letter) in lent.take() {
            if self.rules.addressing.owns(letter.from.ip()) {
                self.emit(now, Counter::Originated, packet, 0, letter.from, letter.to);
            } else {
                let forward =
                    Forward { packet, payload_start: 0, port: None, from: letter.from, to: letter.to };
                self.forward(forward, forwards);
            }
        }
        self.lent = lent;
    }

    /// Counts as `reason` and sends the payload that starts at `payload_start` in the packet,
    /// behind fresh headers.
    pub(super) fn emit(
        &mut self,
        now: Time,
        reason: Counter,
        mut packet: Q::Packet,
        payload_start: usize,
        from: SocketAddr,
        to: SocketAddr,
    ) {
        self.counters.add(reason, 1);
        let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else {
            return self.drop_unwritten(packet, Counter::TxNoRoute);
        };
        let Some(route) = self.rules.addressing.route(*from.ip(), *to.ip()) else {
            return self.drop_unwritten(packet, Counter::TxNoRoute);
        };
        let payload_len = packet.frame_len() - payload_start;
        if payload_len > self.max_payload {
            return self.drop_unwritten(packet, Counter::TxOversize);
        }
        let link_len = link_len(route.vlan);
        if !place_headers(&mut packet, payload_start, link_len + ipv4::HEADER_LEN + udp::HEADER_LEN) {
            return self.drop_unwritten(packet, Counter::TxNoBuffer);
        }
        let udp_len = (udp::HEADER_LEN + payload_len) as u16;
        write_link(packet.room_mut(), MacAddress::default(), self.style.mac, route.vlan, EtherType::IPV4);
        let header = ipv4::Header {
            differentiated_services: 0,
            ttl: self.style.ttl,
            protocol: Protocol::UDP,
            source: *from.ip(),
            destination: *to.ip(),
            payload_len: udp_len,
        };
        let (ip, datagram) = packet.room_mut()[link_len..].split_at_mut(ipv4::HEADER_LEN);
        if let (Some(ip), Some(datagram)) = (ip.first_chunk_mut(), datagram.first_chunk_mut()) {
            header.write(ip);
            udp::write(datagram, from.port(), to.port(), udp_len, [0, 0]);
        }
        let at = link_len + ipv4::HEADER_LEN;
        reply::fill_udp_checksum(&mut packet, at, usize::from(udp_len), *from.ip(), *to.ip(), self.style);
        reply::finish(&mut packet, at + usize::from(udp_len));
        match route.next_hop {
            NextHop::Group(group) => self.send_to(packet, group_mac(group), reason),
            NextHop::Neighbour(address) => {
                let request =
                    Request { neighbour: Neighbour { vlan: route.vlan, address }, from: *from.ip() };
                self.send_to_neighbour(now, packet, request, reason);
            }
        }
    }

    /// Sends a frame to a neighbour, which is asked for its address where that is not known.
    fn send_to_neighbour(&mut self, now: Time, packet: Q::Packet, request: Request, reason: Counter) {
        let Request { neighbour, from } = request;
        let Ok(lookup) = self.neighbours.lookup(now, neighbour, from) else {
            self.counters.add(Counter::NeighbourTableFull, 1);
            return self.drop_unsent(packet, Counter::TxNeighbourQueueFull);
        };
        if lookup.ask {
            // What other lcores heard before we asked is nothing that we asked for.
            while self.peers.as_ref().and_then(Peers::hear).is_some() {}
            self.ask(request);
        }
        match lookup.mac {
            Some(mac) => self.send_to(packet, mac, reason),
            None => self.hold(neighbour, packet),
        }
    }

    fn hold(&mut self, neighbour: Neighbour, packet: Q::Packet) {
        match self.queue.hold(packet) {
            Err(packet) => self.drop_unsent(packet, Counter::TxNoBuffer),
            Ok(packet) => {
                if let Err(packet) = self.neighbours.hold(neighbour, packet) {
                    self.drop_unsent(packet, Counter::TxNeighbourQueueFull);
                }
            }
        }
    }

    /// Sends a frame that is complete but for whom it is handed to.
    fn send_to(&mut self, mut packet: Q::Packet, mac: MacAddress, reason: Counter) {
        if let Some(destination) = packet.room_mut().first_chunk_mut() {
            *destination = mac.0;
        }
        self.egress.send(&mut self.queue, packet, reason);
    }

    /// Takes an answer in and sends what waited for it.
    pub(super) fn learn(&mut self, now: Time, learned: Learned) {
        let Learned { neighbour, mac } = learned;
        for mut packet in self.neighbours.learn(now, neighbour, mac) {
            if let Some(destination) = packet.room_mut().first_chunk_mut() {
                *destination = mac.0;
            }
            self.counters.add(Counter::SentLate, 1);
            self.egress.send(&mut self.queue, packet, Counter::SentLate);
        }
    }

    /// Asks again for neighbours that did not answer, and gives those up that never do.
    pub(super) fn step_neighbours(&mut self, now: Time) {
        let mut neighbours = std::mem::take(&mut self.neighbours);
        neighbours.step(now, |step| match step {
            Step::Ask(request) => self.ask(request),
            Step::GiveUp(packet) => self.drop_unsent(packet, Counter::TxUnreachable),
        });
        self.neighbours = neighbours;
    }

    /// Sends an ARP request to everybody on the link.
    fn ask(&mut self, request: Request) {
        self.counters.add(Counter::ArpRequested, 1);
        self.queue.alloc_burst(&mut self.request);
        let Some(mut packet) = self.request.pop() else {
            self.counters.add(Counter::TxNoBuffer, 1);
            return;
        };
        let Request { neighbour, from } = request;
        let link_len = write_link(
            packet.room_mut(),
            MacAddress::BROADCAST,
            self.style.mac,
            neighbour.vlan,
            EtherType::ARP,
        );
        let body = arp::Packet {
            operation: arp::Operation::REQUEST,
            sender_mac: self.style.mac,
            sender_ip: from,
            target_mac: MacAddress::default(),
            target_ip: neighbour.address,
        };
        if let Some(into) = packet.room_mut()[link_len..].first_chunk_mut() {
            body.write(into);
        }
        reply::finish(&mut packet, link_len + arp::PACKET_LEN);
        self.egress.send(&mut self.queue, packet, Counter::ArpRequested);
    }
}

fn link_len(vlan: Option<VlanId>) -> usize {
    ethernet::HEADER_LEN + if vlan.is_some() { vlan::TAG_LEN } else { 0 }
}

/// Moves the start of the frame so that `headers_len` bytes stand in front of the payload.
/// `false` if there is no room for them.
fn place_headers<P: Packet>(packet: &mut P, payload_start: usize, headers_len: usize) -> bool {
    if payload_start >= headers_len {
        packet.trim_front(payload_start - headers_len);
        return true;
    }
    packet.grow_front(headers_len - payload_start)
}

/// Writes a link header, with a tag where there is a VLAN. Gives its length in bytes.
fn write_link(
    room: &mut [u8],
    destination: MacAddress,
    source: MacAddress,
    vlan: Option<VlanId>,
    ether_type: EtherType,
) -> usize {
    let outer = if vlan.is_some() { EtherType::VLAN } else { ether_type };
    if let Some(header) = room.first_chunk_mut() {
        ethernet::write(header, destination, source, outer);
    }
    if let Some(vlan) = vlan
        && let Some(tag) = room[ethernet::HEADER_LEN..].first_chunk_mut()
    {
        vlan::write(tag, vlan, ether_type);
    }
    link_len(vlan)
}

/// The MAC address that an IPv4 group goes to (RFC 1112, section 6.4).
fn group_mac(group: Ipv4Addr) -> MacAddress {
    if !group.is_multicast() {
        return MacAddress::BROADCAST;
    }
    let [_, a, b, c] = group.octets();
    MacAddress([0x01, 0x00, 0x5e, a & 0x7f, b, c])
}
