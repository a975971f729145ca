//! What a received frame is: a pure function over its bytes.

mod addresses;
mod ipv6;

use std::net::SocketAddr;

pub(super) use addresses::Addresses;

use ipv6::{icmpv6_class, ipv6_class};

use super::addressing::Addressing;
use super::udp_ports::UdpPorts;
use crate::packet::{RxChecksum, RxChecksums};
use crate::port::PortId;
use crate::service::Arrival;
use crate::telemetry::Counter;
use crate::wire::ethernet::{self, EtherType, MacAddress};
use crate::wire::protocol::Protocol;
use crate::wire::vlan::{self, SplitError, Vlans};
use crate::wire::{arp, icmpv4, ipv4, mld, ndp, udp};

/// What the host knows when it looks at a frame.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) mac: MacAddress,
    pub(super) addressing: Addressing,
    pub(super) udp_ports: UdpPorts,
    /// Fragments are put together; otherwise they are dropped.
    pub(super) reassembles: bool,
    pub(super) unmarked_unfilled_checksums: bool,
}

/// What a frame is.
#[derive(Debug)]
pub(super) enum Class {
    /// A datagram for the service.
    Udp(Udp),
    /// An echo request for the host.
    Echo(Ip),
    /// An ARP packet that is well-formed.
    Arp(Arp),
    /// A question for the MAC address of one of ours, or for whether we have it.
    Solicitation(Ip, ndp::Solicitation),
    /// An answer to such a question.
    Advertisement(Ip, ndp::Advertisement),
    /// A question on a link for the groups that we listen to.
    ListenerQuery(Vlans, mld::Query),
    /// A part of a packet for one of our addresses.
    Part(Ip, Part),
    /// Valid and for us, but nobody here takes it: the sender is told.
    Refused(Ip, Refusal),
    /// Not for us, or not valid: the counter says why.
    Drop(Counter),
}

/// Which part of a packet a fragment is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// What it says that the whole carries.
    pub(super) protocol: Protocol,
    /// What the fragments of a packet have in common.
    pub(super) identification: u32,
    /// Where it stands in what the whole carries, in bytes.
    pub(super) offset: usize,
    /// Whether others follow.
    pub(super) more: bool,
}

/// Why nobody takes a packet, as ICMP has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No service listens on the UDP port.
    Port,
    /// We don't speak the protocol, whose number stands this many bytes into an IPv6 packet.
    Protocol { at: usize },
    /// A routing header wants the packet sent on; its type stands so far into the packet.
    Route { at: usize },
    /// There is an IPv6 option that may not be skipped, so far into the packet.
    Option { at: usize },
}

impl Refusal {
    /// What such a packet is counted as.
    pub(super) fn counter(self) -> Counter {
        match self {
            Self::Port => Counter::UdpPortClosed,
            Self::Protocol { .. } => Counter::ProtocolUnknown,
            Self::Route { .. } => Counter::Ipv6RoutingHeader,
            Self::Option { .. } => Counter::Ipv6Extension,
        }
    }
}

/// Where the link header of a frame ends, and its VLANs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Length of the link header in bytes: 14, 18 or 22.
    pub(super) len: usize,
    pub(super) vlans: Vlans,
}

/// A valid packet for one of our addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip {
    pub(super) link: Link,
    /// Length of the header in bytes, options and extension headers included.
    pub(super) header_len: usize,
    /// Length of what it carries, in bytes.
    pub(super) payload_len: usize,
    pub(super) differentiated_services: u8,
    pub(super) addresses: Addresses,
}

/// A valid datagram for one of our addresses and ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp {
    pub(super) ip: Ip,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    /// Length of what it carries, in bytes.
    pub(super) payload_len: usize,
    pub(super) checksum: UdpChecksum,
}

impl Udp {
    /// Where it comes from, for the service. `port` is the port that it came by.
    #[inline]
    pub(super) fn arrival(&self, port: PortId) -> Arrival {
        Arrival {
            source: SocketAddr::new(self.ip.addresses.source(), self.source_port),
            destination: SocketAddr::new(self.ip.addresses.destination(), self.destination_port),
            port,
            vlans: self.ip.link.vlans,
        }
    }

    /// Where the payload starts in the frame, in bytes.
    #[inline]
    pub(super) fn payload_start(&self) -> usize {
        self.ip.link.len + self.ip.header_len + udp::HEADER_LEN
    }
}

/// What is in the checksum field of a datagram that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UdpChecksum {
    /// The right checksum. It stays right when source and destination change places.
    Right,
    /// Zero: the sender computed none.
    None,
    /// Unfilled by a sender on this machine.
    Unfilled,
}

/// An ARP packet and where it stood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arp {
    pub(super) link: Link,
    pub(super) packet: arp::Packet,
}

/// Classifies a frame. `checksums` is what a port that was granted the checks says.
#[inline]
pub(super) fn classify(frame: &[u8], checksums: RxChecksums, rules: &Rules) -> Class {
    match frame_class(frame, checksums, rules) {
        Ok(class) => class,
        Err(reason) => Class::Drop(reason),
    }
}

#[inline]
fn frame_class(frame: &[u8], checksums: RxChecksums, rules: &Rules) -> Result<Class, Counter> {
    let (header, rest) = ethernet::Header::split(frame).ok_or(Counter::Runt)?;
    let to_us = header.destination() == rules.mac;
    if !to_us && !header.destination().is_group() {
        return Err(Counter::NotOurMac);
    }
    // Our own address as the source is no error: a TAP's two ends share one.
    if !header.source().is_unicast() {
        return Err(Counter::SourceMac);
    }
    let (link, ether_type, rest) = match header.ether_type() {
        EtherType::VLAN | EtherType::SERVICE_VLAN => tagged(header.ether_type(), rest, rules)?,
        ether_type => (Link { len: ethernet::HEADER_LEN, vlans: Vlans::NONE }, ether_type, rest),
    };
    match ether_type {
        EtherType::IPV4 => ipv4_class(rest, link, to_us, checksums, rules),
        EtherType::IPV6 => ipv6_class(rest, link, to_us, checksums, rules),
        EtherType::ARP => arp_class(rest, link, header.source()),
        _ => Err(Counter::EtherTypeUnknown),
    }
}

fn tagged<'a>(
    ether_type: EtherType,
    bytes: &'a [u8],
    rules: &Rules,
) -> Result<(Link, EtherType, &'a [u8]), Counter> {
    let untagged = vlan::split(ether_type, bytes).map_err(|error| match error {
        SplitError::CutShort => Counter::Runt,
        SplitError::NotUsable => Counter::VlanNotOurs,
    })?;
    if !rules.addressing.has_link(untagged.vlans) {
        return Err(Counter::VlanNotOurs);
    }
    let link = Link { len: ethernet::HEADER_LEN + untagged.tags_len, vlans: untagged.vlans };
    Ok((link, untagged.ether_type, untagged.payload))
}

#[inline]
fn ipv4_class(
    bytes: &[u8],
    link: Link,
    to_us: bool,
    checksums: RxChecksums,
    rules: &Rules,
) -> Result<Class, Counter> {
    let packet = ipv4::Packet::parse(bytes).map_err(|_| Counter::Ipv4Malformed)?;
    if checksums.ipv4 != RxChecksum::Good && !packet.is_checksum_valid() {
        return Err(Counter::Ipv4Checksum);
    }
    let (source, destination) = (packet.source(), packet.destination());
    if !rules.addressing.is_own_ipv4(link.vlans, destination) {
        let group = rules.addressing.is_group(destination);
        return Err(if group { Counter::GroupIp } else { Counter::NotOurIp });
    }
    if !to_us {
        return Err(Counter::GroupMac);
    }
    if !rules.addressing.is_possible_source(source) {
        return Err(Counter::SourceIp);
    }
    if packet.header_len() != ipv4::HEADER_LEN {
        check_options(&packet)?;
    }
    let ip = Ip {
        link,
        header_len: packet.header_len(),
        payload_len: packet.payload().len(),
        differentiated_services: packet.differentiated_services(),
        addresses: Addresses::V4 { source, destination },
    };
    if packet.is_fragment() {
        return ipv4_part(&packet, ip, rules);
    }
    match packet.protocol() {
        Protocol::UDP => udp_class(packet.payload(), ip, checksums.udp, rules),
        protocol => other_class(protocol, packet.payload(), ip, 0),
    }
}

/// What a whole packet carries that is no UDP. `at` is where its number stands in an IPv6 packet.
pub(super) fn other_class(protocol: Protocol, payload: &[u8], ip: Ip, at: usize) -> Result<Class, Counter> {
    match (protocol, ip.addresses) {
        (Protocol::ICMP, Addresses::V4 { .. }) => match icmpv4::parse(payload) {
            icmpv4::Message::EchoRequest => Ok(Class::Echo(ip)),
            icmpv4::Message::Other => Err(Counter::IcmpOther),
            icmpv4::Message::Malformed => Err(Counter::IcmpMalformed),
        },
        (Protocol::ICMPV6, Addresses::V6 { .. }) => icmpv6_class(payload, ip),
        // Nothing follows, as the sender says himself (RFC 8200, section 4.7).
        (Protocol::NO_NEXT_HEADER, Addresses::V6 { .. }) => Err(Counter::ProtocolUnknown),
        _ => Ok(Class::Refused(ip, Refusal::Protocol { at })),
    }
}

/// Options have no effect on us, but they are looked at: who is told the way that his answer
/// is to take, or what to make of bytes that contradict each other, is being abused (RFC 7126).
#[cold]
fn check_options(packet: &ipv4::Packet<'_>) -> Result<(), Counter> {
    match packet.options() {
        Ok(options) if options.has_source_route => Err(Counter::Ipv4SourceRoute),
        Ok(_) => Ok(()),
        Err(ipv4::Malformed) => Err(Counter::Ipv4Malformed),
    }
}

#[cold]
fn ipv4_part(packet: &ipv4::Packet<'_>, ip: Ip, rules: &Rules) -> Result<Class, Counter> {
    let part = Part {
        protocol: packet.protocol(),
        identification: packet.identification().into(),
        offset: packet.fragment_offset(),
        more: packet.has_more_fragments(),
    };
    part_class(ip, part, rules)
}

fn part_class(ip: Ip, part: Part, rules: &Rules) -> Result<Class, Counter> {
    if rules.reassembles { Ok(Class::Part(ip, part)) } else { Err(Counter::Fragment) }
}

#[inline]
pub(super) fn udp_class(bytes: &[u8], ip: Ip, said: RxChecksum, rules: &Rules) -> Result<Class, Counter> {
    let datagram = udp::Datagram::parse(bytes).map_err(|_| Counter::UdpMalformed)?;
    let checksum = udp_checksum(datagram, ip, said, rules)?;
    if !rules.udp_ports.contains(datagram.destination_port()) {
        return Ok(Class::Refused(ip, Refusal::Port));
    }
    if datagram.source_port() == 0 {
        return Err(Counter::SourcePort);
    }
    Ok(Class::Udp(Udp {
        ip,
        source_port: datagram.source_port(),
        destination_port: datagram.destination_port(),
        payload_len: datagram.payload().len(),
        checksum,
    }))
}

#[inline]
fn udp_checksum(
    datagram: udp::Datagram<'_>,
    ip: Ip,
    said: RxChecksum,
    rules: &Rules,
) -> Result<UdpChecksum, Counter> {
    // First of all: net_tap says "unfilled" of these too.
    if datagram.checksum() == [0, 0] {
        return match ip.addresses {
            Addresses::V4 { .. } => Ok(UdpChecksum::None),
            // Nothing else protects the addresses there (RFC 8200, section 8.1).
            Addresses::V6 { .. } => Err(Counter::UdpChecksum),
        };
    }
    if said == RxChecksum::Unfilled {
        return Ok(UdpChecksum::Unfilled);
    }
    // A device goes by the IP packet's length: of a datagram that is shorter its word says nothing.
    // And where it says "bad", it is not believed without a look: some say so of what they did not check.
    let len = usize::from(datagram.len());
    let pseudo_header = ip.addresses.pseudo_header(Protocol::UDP, len);
    if (said == RxChecksum::Good && len == ip.payload_len) || datagram.is_checksum_valid(pseudo_header) {
        return Ok(UdpChecksum::Right);
    }
    if rules.unmarked_unfilled_checksums && datagram.is_checksum_unfilled(pseudo_header) {
        return Ok(UdpChecksum::Unfilled);
    }
    Err(Counter::UdpChecksum)
}

fn arp_class(bytes: &[u8], link: Link, source: MacAddress) -> Result<Class, Counter> {
    let packet = arp::Packet::parse(bytes).ok_or(Counter::ArpMalformed)?;
    if packet.sender_mac != source {
        return Err(Counter::ArpMalformed);
    }
    Ok(Class::Arp(Arp { link, packet }))
}
