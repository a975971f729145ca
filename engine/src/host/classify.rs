//! What a received frame is: a pure function over its bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::addressing::Addressing;
use super::errors;
use super::udp_ports::UdpPorts;
use crate::packet::{RxChecksum, RxChecksums};
use crate::port::PortId;
use crate::service::Arrival;
use crate::telemetry::Counter;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, EtherType, MacAddress};
use crate::wire::extension;
use crate::wire::protocol::Protocol;
use crate::wire::vlan::{self, SplitError, Vlans};
use crate::wire::{arp, icmpv4, icmpv6, ipv4, ipv6, ndp, udp};

/// What the host knows when it looks at a frame.
#[derive(Debug)]
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

/// Who sent a packet and whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    V4 { source: Ipv4Addr, destination: Ipv4Addr },
    V6 { source: Ipv6Addr, destination: Ipv6Addr },
}

impl Addresses {
    /// Those of a packet from `source` to `destination`; `None` if they are of two families.
    pub(super) fn new(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::V4 { source, destination }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::V6 { source, destination }),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn source(self) -> IpAddr {
        match self {
            Self::V4 { source, .. } => source.into(),
            Self::V6 { source, .. } => source.into(),
        }
    }

    #[inline]
    pub(super) fn destination(self) -> IpAddr {
        match self {
            Self::V4 { destination, .. } => destination.into(),
            Self::V6 { destination, .. } => destination.into(),
        }
    }

    /// Those of an answer.
    #[inline]
    pub(super) fn turned(self) -> Self {
        match self {
            Self::V4 { source, destination } => Self::V4 { source: destination, destination: source },
            Self::V6 { source, destination } => Self::V6 { source: destination, destination: source },
        }
    }

    /// What a frame with such a packet is announced as.
    #[inline]
    pub(super) fn ether_type(self) -> EtherType {
        match self {
            Self::V4 { .. } => EtherType::IPV4,
            Self::V6 { .. } => EtherType::IPV6,
        }
    }

    /// Their version's ICMP.
    #[inline]
    pub(super) fn icmp(self) -> Protocol {
        match self {
            Self::V4 { .. } => Protocol::ICMP,
            Self::V6 { .. } => Protocol::ICMPV6,
        }
    }

    /// Length in bytes of the header of a packet of ours with such addresses.
    #[inline]
    pub(super) fn header_len(self) -> usize {
        match self {
            Self::V4 { .. } => ipv4::HEADER_LEN,
            Self::V6 { .. } => ipv6::HEADER_LEN,
        }
    }

    /// The sum of the pseudo header of `len` bytes that `protocol` carries between them.
    #[inline]
    pub(super) fn pseudo_header(self, protocol: Protocol, len: usize) -> Sum {
        match self {
            Self::V4 { source, destination } => {
                ipv4::pseudo_header(source, destination, protocol, len as u16)
            }
            Self::V6 { source, destination } => {
                ipv6::pseudo_header(source, destination, protocol, len as u32)
            }
        }
    }
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
fn ipv6_class(
    bytes: &[u8],
    link: Link,
    to_us: bool,
    checksums: RxChecksums,
    rules: &Rules,
) -> Result<Class, Counter> {
    let packet = ipv6::Packet::parse(bytes).map_err(|_| Counter::Ipv6Malformed)?;
    let (source, destination) = (packet.source(), packet.destination());
    let Some(own) = rules.addressing.own_ipv6(link.vlans, destination) else {
        return not_own_ipv6(&packet, link, rules);
    };
    if !own.state.is_usable() {
        return tentative_class(&packet, link);
    }
    if !to_us {
        return Err(Counter::GroupMac);
    }
    if !rules.addressing.is_possible_source_ipv6(source) {
        return Err(Counter::SourceIp);
    }
    let mut ip = ip_of(&packet, link);
    // Most packets have no extension headers.
    if packet.next_header() == Protocol::UDP {
        return udp_class(packet.payload(), ip, checksums.udp, rules);
    }
    let walked = match extension::walk(packet.next_header(), packet.payload()) {
        Ok(walked) => walked,
        Err(refusal) => return extension_refused(&packet, ip, refusal),
    };
    ip.header_len += walked.offset;
    ip.payload_len -= walked.offset;
    if let Some(fragment) = walked.fragment {
        let extension::Fragment { next_header: protocol, offset, more, identification, .. } = fragment;
        let part = Part { protocol, identification, offset: offset.into(), more };
        return part_class(ip, part, rules);
    }
    let payload = &packet.payload()[walked.offset..];
    match walked.protocol {
        // What a device says of a datagram behind extension headers is not relied on.
        Protocol::UDP => udp_class(payload, ip, RxChecksum::Unknown, rules),
        Protocol::ICMPV6 if packet.hop_limit() == ndp::HOP_LIMIT => ndp_class(payload, ip),
        protocol => {
            let at = walked.protocol_at.map_or(ipv6::NEXT_HEADER_AT, |at| ipv6::HEADER_LEN + at);
            other_class(protocol, payload, ip, at)
        }
    }
}

fn ip_of(packet: &ipv6::Packet<'_>, link: Link) -> Ip {
    Ip {
        link,
        header_len: ipv6::HEADER_LEN,
        payload_len: packet.payload().len(),
        differentiated_services: packet.differentiated_services(),
        addresses: Addresses::V6 { source: packet.source(), destination: packet.destination() },
    }
}

/// A sender is told which header he has to do without (RFC 8200, sections 4, 4.2 and 4.4), but of
/// what he should never have sent nothing.
#[cold]
fn extension_refused(
    packet: &ipv6::Packet<'_>,
    ip: Ip,
    refusal: extension::Refusal,
) -> Result<Class, Counter> {
    use extension::Refusal as Reason;
    let refusal = match refusal {
        Reason::HopByHop { at } => Refusal::Protocol { at: ipv6::HEADER_LEN + at },
        Reason::RoutingHeader { at } => Refusal::Route { at: ipv6::HEADER_LEN + at },
        Reason::Option { at } => Refusal::Option { at: ipv6::HEADER_LEN + at },
        Reason::Malformed | Reason::TooMany | Reason::Padding | Reason::SilentOption => {
            return Err(Counter::Ipv6Extension);
        }
    };
    let may_be_told = extension::skim(packet.next_header(), packet.payload())
        .is_ok_and(|walked| walked.fragment.is_none() && !errors::is_icmpv6_error(&walked, packet.payload()));
    if may_be_told { Ok(Class::Refused(ip, refusal)) } else { Err(refusal.counter()) }
}

/// A packet to a group may be a neighbour's question; others are none of ours.
#[cold]
fn not_own_ipv6(packet: &ipv6::Packet<'_>, link: Link, rules: &Rules) -> Result<Class, Counter> {
    let destination = packet.destination();
    if !destination.is_multicast() {
        return Err(Counter::NotOurIp);
    }
    let is_listened_to = destination == ndp::ALL_NODES
        || rules
            .addressing
            .ipv6()
            .iter()
            .any(|own| own.vlans == link.vlans && ndp::solicited_node(own.address) == destination);
    if is_listened_to && packet.next_header() == Protocol::ICMPV6 && packet.hop_limit() == ndp::HOP_LIMIT {
        return match ndp_class(packet.payload(), ip_of(packet, link))? {
            Class::Echo(_) => Err(Counter::GroupIp),
            Class::Solicitation(..) if !is_possible_asker(packet.source(), rules) => Err(Counter::SourceIp),
            class => Ok(class),
        };
    }
    Err(Counter::GroupIp)
}

/// Who does not have an address yet asks from none.
fn is_possible_asker(source: Ipv6Addr, rules: &Rules) -> bool {
    source.is_unspecified() || rules.addressing.is_possible_source_ipv6(source)
}

/// An address that is not known to be ours alone receives nothing but what tells us so
/// (RFC 4862, section 5.4).
#[cold]
fn tentative_class(packet: &ipv6::Packet<'_>, link: Link) -> Result<Class, Counter> {
    if packet.next_header() == Protocol::ICMPV6 && packet.hop_limit() == ndp::HOP_LIMIT {
        let class = ndp_class(packet.payload(), ip_of(packet, link))?;
        if matches!(class, Class::Solicitation(..) | Class::Advertisement(..)) {
            return Ok(class);
        }
    }
    Err(Counter::AddressTentative)
}

fn icmpv6_class(message: &[u8], ip: Ip) -> Result<Class, Counter> {
    let pseudo_header = ip.addresses.pseudo_header(Protocol::ICMPV6, message.len());
    match icmpv6::parse(message, pseudo_header) {
        icmpv6::Message::EchoRequest => Ok(Class::Echo(ip)),
        // With too few hops left it came from another link, or pretends to.
        icmpv6::Message::Other(kind) if is_of_the_link(kind) => Err(Counter::NdpMalformed),
        icmpv6::Message::Other(_) => Err(Counter::IcmpOther),
        icmpv6::Message::Malformed => Err(Counter::IcmpMalformed),
    }
}

/// Whether it is a message of neighbour discovery, which must not come from another link.
fn is_of_the_link(kind: icmpv6::Kind) -> bool {
    (icmpv6::Kind::ROUTER_SOLICITATION.0..=icmpv6::Kind::REDIRECT.0).contains(&kind.0)
}

/// An ICMPv6 message with all hops left.
#[cold]
fn ndp_class(message: &[u8], ip: Ip) -> Result<Class, Counter> {
    let pseudo_header = ip.addresses.pseudo_header(Protocol::ICMPV6, message.len());
    match icmpv6::parse(message, pseudo_header) {
        icmpv6::Message::EchoRequest => Ok(Class::Echo(ip)),
        icmpv6::Message::Other(icmpv6::Kind::NEIGHBOUR_SOLICITATION) => ndp::Solicitation::parse(message)
            .filter(|asked| is_well_asked(ip.addresses, asked))
            .map(|asked| Class::Solicitation(ip, asked))
            .ok_or(Counter::NdpMalformed),
        icmpv6::Message::Other(icmpv6::Kind::NEIGHBOUR_ADVERTISEMENT) => ndp::Advertisement::parse(message)
            .filter(|answer| !(answer.solicited && ip.addresses.destination().is_multicast()))
            .filter(|_| is_neighbour(ip.addresses.source()))
            .map(|answer| Class::Advertisement(ip, answer))
            .ok_or(Counter::NdpMalformed),
        // Router and prefix are the command line's to say.
        icmpv6::Message::Other(kind) if is_of_the_link(kind) => Err(Counter::NdpIgnored),
        icmpv6::Message::Other(_) => Err(Counter::IcmpOther),
        icmpv6::Message::Malformed => Err(Counter::IcmpMalformed),
    }
}

/// The rules for a solicitation that concern its IP header (RFC 4861, section 7.1.1).
fn is_well_asked(addresses: Addresses, asked: &ndp::Solicitation) -> bool {
    match addresses {
        Addresses::V6 { source: Ipv6Addr::UNSPECIFIED, destination } => {
            destination == ndp::solicited_node(asked.target) && asked.source_link_address.is_none()
        }
        _ => is_neighbour(addresses.source()),
    }
}

fn is_neighbour(source: IpAddr) -> bool {
    !source.is_multicast() && !source.is_unspecified() && !source.is_loopback()
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
