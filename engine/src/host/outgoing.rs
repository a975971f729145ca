//! What leaves of our own accord, and finds its way: datagrams of the service, forwards, questions to neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Host;
use super::addressing::{NextHop, Route};
use super::classify::Addresses;
use super::neighbours::{Neighbour, Request, Step};
use super::peers::{Learned, Peers};
use super::reply::{self, Header};
use super::ways::Ready;
use crate::packet::Packet;
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::ethernet::{self, EtherType, MacAddress};
use crate::wire::protocol::Protocol;
use crate::wire::vlan::Vlans;
use crate::wire::{arp, icmpv6, mld, ndp, udp};

/// The way of a packet of ours.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) addresses: Addresses,
    pub(super) route: Route,
    /// What it counts as.
    pub(super) reason: Counter,
}

impl<Q: FrameQueue> Host<Q> {
    /// Sends the payload that starts at `payload_start` in the packet, which was counted as
    /// `reason`, behind fresh headers.
    pub(super) fn emit(
        &mut self,
        now: Time,
        reason: Counter,
        packet: Q::Packet,
        payload_start: usize,
        ends: (SocketAddr, SocketAddr),
    ) {
        if let Err(packet) = self.emit_ready(now, reason, packet, payload_start, (&ends.0, &ends.1)) {
            self.emit_anew(now, reason, packet, payload_start, ends);
        }
    }

    /// Emits by a way that was taken before. Gives the packet back where there is none, or
    /// where it has to be cut.
    #[inline]
    pub(super) fn emit_ready(
        &mut self,
        now: Time,
        reason: Counter,
        mut packet: Q::Packet,
        payload_start: usize,
        (from, to): (&SocketAddr, &SocketAddr),
    ) -> Result<(), Q::Packet> {
        let payload_len = packet.frame_len() - payload_start;
        if payload_len > self.whole_payload.to_end(to) {
            return Err(packet);
        }
        let Some(way) = self.ways.find(now, from, to) else { return Err(packet) };
        self.guard.sent(now, from.port(), *to);
        if place_headers(&mut packet, payload_start, way.headers_len()) {
            way.write(&mut packet, payload_len, from.port(), to.port());
            self.egress.send(&mut self.queue, packet, reason);
        } else {
            self.drop_unwritten(packet, Counter::TxNoBuffer);
        }
        Ok(())
    }

    /// Emits by a way that is looked for, and remembered where it is found.
    #[cold]
    pub(super) fn emit_anew(
        &mut self,
        now: Time,
        reason: Counter,
        mut packet: Q::Packet,
        payload_start: usize,
        (from, to): (SocketAddr, SocketAddr),
    ) {
        let addresses = Addresses::new(from.ip(), to.ip());
        let way = addresses.zip(self.rules.addressing.route(from.ip(), to.ip()));
        let Some((addresses, route)) = way else {
            return self.drop_unwritten(packet, Counter::TxNoRoute);
        };
        let payload_len = packet.frame_len() - payload_start;
        if payload_len > self.max_payload.to(to.ip()) {
            return self.drop_unwritten(packet, Counter::TxOversize);
        }
        self.guard.sent(now, from.port(), to);
        if payload_len > self.whole_payload.to(to.ip()) {
            let way = Way { addresses, route, reason };
            return self.emit_oversize(now, packet, payload_start, (from.port(), to.port()), way);
        }
        let at = link_len(route.vlans) + addresses.header_len();
        if !place_headers(&mut packet, payload_start, at + udp::HEADER_LEN) {
            return self.drop_unwritten(packet, Counter::TxNoBuffer);
        }
        let udp_len = udp::HEADER_LEN + payload_len;
        self.write_headers(&mut packet, route.vlans, addresses, Protocol::UDP, udp_len, self.style.ttl);
        if let Some(datagram) = packet.room_mut()[at..].first_chunk_mut() {
            udp::write(datagram, from.port(), to.port(), udp_len as u16, [0, 0]);
        }
        reply::fill_udp_checksum(&mut packet, at, udp_len, addresses, self.style);
        reply::finish(&mut packet, at + udp_len);
        self.hand_over(now, packet, Way { addresses, route, reason });
        self.remember(now, addresses, route);
    }

    /// Keeps the way between two addresses ready, if it is known to whom it leads.
    pub(super) fn remember(&mut self, now: Time, addresses: Addresses, route: Route) {
        let known = match route.next_hop {
            NextHop::Group(group) => Some((group_mac(group), Time::NEVER)),
            NextHop::Neighbour(address) => {
                self.neighbours.known(now, Neighbour { vlans: route.vlans, address })
            }
        };
        if let Some((mac, until)) = known {
            self.ways.keep(Ready::new(addresses, route.vlans, mac, until, self.style));
        }
    }

    /// Sends a frame that is complete but for whom it is handed to.
    pub(super) fn hand_over(&mut self, now: Time, packet: Q::Packet, way: Way) {
        match way.route.next_hop {
            NextHop::Group(group) => self.send_to(packet, group_mac(group), way.reason),
            NextHop::Neighbour(address) => {
                let neighbour = Neighbour { vlans: way.route.vlans, address };
                let request = Request { neighbour, from: way.addresses.source() };
                self.send_to_neighbour(now, packet, request, way.reason);
            }
        }
    }

    /// Writes the link header, whose destination is left open, and the IP header. Gives where
    /// what the packet carries starts in the frame.
    pub(super) fn write_headers(
        &self,
        packet: &mut Q::Packet,
        vlans: Vlans,
        addresses: Addresses,
        protocol: Protocol,
        payload_len: usize,
        ttl: u8,
    ) -> usize {
        let room = packet.room_mut();
        let at = write_link(room, MacAddress::default(), self.style.mac, vlans, addresses.ether_type());
        let header = Header { addresses, differentiated_services: 0, ttl, protocol, payload_len };
        header.write(&mut room[at..]);
        at + addresses.header_len()
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
    pub(super) fn send_to(&mut self, mut packet: Q::Packet, mac: MacAddress, reason: Counter) {
        if let Some(destination) = packet.room_mut().first_chunk_mut() {
            *destination = mac.0;
        }
        self.egress.send(&mut self.queue, packet, reason);
    }

    /// Takes an answer in and sends what waited for it.
    pub(super) fn learn(&mut self, now: Time, learned: Learned) {
        let Learned { neighbour, mac } = learned;
        for mut packet in self.neighbours.learn(now, neighbour, mac) {
            // Our own address may be another than when the frame was made.
            for (place, address) in packet.room_mut().chunks_exact_mut(6).zip([mac, self.style.mac]) {
                place.copy_from_slice(&address.0);
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

    /// Asks everybody on the link for a neighbour's address.
    fn ask(&mut self, request: Request) {
        let Request { neighbour: Neighbour { vlans, address }, from } = request;
        match (address, from) {
            (IpAddr::V4(target), IpAddr::V4(from)) => self.request(vlans, from, target),
            (IpAddr::V6(target), IpAddr::V6(from)) => self.solicit(vlans, from, target),
            _ => {}
        }
    }

    /// Sends an ARP request for `target` to everybody on the link.
    pub(super) fn request(&mut self, vlans: Vlans, from: Ipv4Addr, target: Ipv4Addr) {
        self.counters.add(Counter::ArpRequested, 1);
        let Some(mut packet) = self.blank() else { return };
        let mac = self.style.mac;
        let at = write_link(packet.room_mut(), MacAddress::BROADCAST, mac, vlans, EtherType::ARP);
        let body = arp::Packet {
            operation: arp::Operation::REQUEST,
            sender_mac: mac,
            sender_ip: from,
            target_mac: MacAddress::default(),
            target_ip: target,
        };
        if let Some(into) = packet.room_mut()[at..].first_chunk_mut() {
            body.write(into);
        }
        reply::finish(&mut packet, at + arp::PACKET_LEN);
        self.egress.send(&mut self.queue, packet, Counter::ArpRequested);
    }

    /// Sends a solicitation for `target` to those whose address ends like it. From the
    /// unspecified address it asks whether somebody has our address (RFC 4862, section 5.4.2).
    pub(super) fn solicit(&mut self, vlans: Vlans, from: Ipv6Addr, target: Ipv6Addr) {
        let source_link_address = (!from.is_unspecified()).then_some(self.style.mac);
        let mut message = [0; ndp::MAX_LEN];
        let len = ndp::Solicitation { target, source_link_address }.write(&mut message);
        self.send_ndp(vlans, from, ndp::solicited_node(target), &mut message[..len], Counter::NdpSolicited);
    }

    /// Sends a message of neighbour discovery to a group.
    pub(super) fn send_ndp(
        &mut self,
        vlans: Vlans,
        from: Ipv6Addr,
        to: Ipv6Addr,
        message: &mut [u8],
        reason: Counter,
    ) {
        let addresses = Addresses::V6 { source: from, destination: to };
        self.send_to_group(vlans, addresses, &[], message, reason);
    }

    /// Sends an ICMPv6 message to the group that it is addressed to, behind the router alert of
    /// listener discovery or nothing.
    pub(super) fn send_to_group(
        &mut self,
        vlans: Vlans,
        addresses: Addresses,
        alert: &[u8],
        message: &mut [u8],
        reason: Counter,
    ) {
        self.counters.add(reason, 1);
        let Some(mut packet) = self.blank() else { return };
        icmpv6::fill_checksum(message, addresses.pseudo_header(Protocol::ICMPV6, message.len()));
        let (first, hop_limit) = match alert {
            [] => (Protocol::ICMPV6, ndp::HOP_LIMIT),
            _ => (Protocol::HOP_BY_HOP, mld::HOP_LIMIT),
        };
        let len = alert.len() + message.len();
        let at = self.write_headers(&mut packet, vlans, addresses, first, len, hop_limit);
        if let Some(into) = packet.room_mut().get_mut(at..at + len) {
            let (before, rest) = into.split_at_mut(alert.len());
            before.copy_from_slice(alert);
            rest.copy_from_slice(message);
        }
        reply::finish(&mut packet, at + len);
        self.send_to(packet, group_mac(addresses.destination()), reason);
    }

    /// An empty packet for a frame of the host's own, which has been counted as to be sent.
    pub(super) fn blank(&mut self) -> Option<Q::Packet> {
        self.queue.alloc_burst(&mut self.request);
        let packet = self.request.pop();
        if packet.is_none() {
            self.counters.add(Counter::TxNoBuffer, 1);
        }
        packet
    }
}

pub(super) fn link_len(vlans: Vlans) -> usize {
    ethernet::HEADER_LEN + vlans.len_bytes()
}

/// Moves the start of the frame so that `headers_len` bytes stand in front of the payload.
/// `false` if there is no room for them.
#[inline]
pub(super) fn place_headers<P: Packet>(packet: &mut P, payload_start: usize, headers_len: usize) -> bool {
    if payload_start >= headers_len {
        packet.trim_front(payload_start - headers_len);
        return true;
    }
    packet.grow_front(headers_len - payload_start)
}

/// Writes a link header, with the tags of its VLANs. Gives its length in bytes.
pub(super) fn write_link(
    room: &mut [u8],
    destination: MacAddress,
    source: MacAddress,
    vlans: Vlans,
    ether_type: EtherType,
) -> usize {
    if let Some(header) = room.first_chunk_mut() {
        ethernet::write(header, destination, source, ether_type);
    }
    vlans.write(room, ether_type);
    link_len(vlans)
}

/// The MAC address that an IP group goes to (RFC 1112, section 6.4; RFC 2464, section 7).
fn group_mac(group: IpAddr) -> MacAddress {
    match group {
        IpAddr::V6(group) => ndp::multicast_mac(group),
        IpAddr::V4(group) if group.is_multicast() => {
            let [_, a, b, c] = group.octets();
            MacAddress([0x01, 0x00, 0x5e, a & 0x7f, b, c])
        }
        IpAddr::V4(_) => MacAddress::BROADCAST,
    }
}
