//! What a received frame is: a pure function over its bytes.

use std::net::Ipv4Addr;

use super::addressing::{Addressing, UdpPorts};
use crate::packet::{RxChecksum, RxChecksums};
use crate::telemetry::Counter;
use crate::wire::ethernet::{self, EtherType, MacAddress};
use crate::wire::icmpv4::{self, Message};
use crate::wire::ipv4::{self, Protocol};
use crate::wire::vlan::{self, Tag, VlanId};
use crate::wire::{arp, udp};

/// What the host knows when it looks at a frame.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) mac: MacAddress,
    pub(super) addressing: Addressing,
    pub(super) udp_ports: UdpPorts,
    pub(super) unmarked_unfilled_checksums: bool,
}

/// What a frame is.
#[derive(Debug)]
pub(super) enum Class {
    /// A datagram for the service.
    Udp(Udp),
    /// An echo request for the host.
    Echo(Ipv4),
    /// An ARP packet that is well-formed.
    Arp(Arp),
    /// Not for us, or not valid: the counter says why.
    Drop(Counter),
}

/// Where the link header of a frame ends, and its VLAN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Length of the link header in bytes: 14, or 18 with a tag.
    pub(super) len: usize,
    pub(super) vlan: Option<VlanId>,
}

/// A valid IPv4 packet for one of our addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ipv4 {
    pub(super) link: Link,
    /// Length of the header in bytes, options included.
    pub(super) header_len: usize,
    /// Length of what it carries, in bytes.
    pub(super) payload_len: usize,
    pub(super) differentiated_services: u8,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
}

/// A valid datagram for one of our addresses and ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Udp {
    pub(super) ip: Ipv4,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    /// Length of what it carries, in bytes.
    pub(super) payload_len: usize,
    pub(super) checksum: UdpChecksum,
}

impl Udp {
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
    if !to_us && header.destination().is_unicast() {
        return Err(Counter::NotOurMac);
    }
    // Our own address as the source is no error: a TAP's two ends share one.
    if !header.source().is_unicast() {
        return Err(Counter::SourceMac);
    }
    let (link, ether_type, rest) = match header.ether_type() {
        EtherType::VLAN => tagged(rest, rules)?,
        ether_type => (Link { len: ethernet::HEADER_LEN, vlan: None }, ether_type, rest),
    };
    match ether_type {
        EtherType::IPV4 => ipv4_class(rest, link, to_us, checksums, rules),
        EtherType::ARP => arp_class(rest, link, header.source()),
        EtherType::VLAN | EtherType::SERVICE_VLAN => Err(Counter::VlanNotOurs),
        _ => Err(Counter::EtherTypeUnknown),
    }
}

fn tagged<'a>(bytes: &'a [u8], rules: &Rules) -> Result<(Link, EtherType, &'a [u8]), Counter> {
    let (tag, rest) = Tag::split(bytes).ok_or(Counter::Runt)?;
    // Identifier 0 is a priority without a VLAN.
    let vlan = VlanId::new(tag.id());
    let ours = vlan.map_or(tag.id() == 0, |vlan| rules.addressing.has_vlan(vlan));
    if !ours {
        return Err(Counter::VlanNotOurs);
    }
    Ok((Link { len: ethernet::HEADER_LEN + vlan::TAG_LEN, vlan }, tag.ether_type(), rest))
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
    if !rules.addressing.is_own(link.vlan, destination) {
        let group = rules.addressing.is_group(destination);
        return Err(if group { Counter::GroupIp } else { Counter::NotOurIp });
    }
    if !to_us {
        return Err(Counter::GroupMac);
    }
    if !rules.addressing.is_possible_source(source) {
        return Err(Counter::SourceIp);
    }
    if packet.is_fragment() {
        return Err(Counter::Fragment);
    }
    let ip = Ipv4 {
        link,
        header_len: packet.header_len(),
        payload_len: packet.payload().len(),
        differentiated_services: packet.differentiated_services(),
        source,
        destination,
    };
    match packet.protocol() {
        Protocol::UDP => udp_class(packet.payload(), ip, checksums, rules),
        Protocol::ICMP => match icmpv4::parse(packet.payload()) {
            Message::EchoRequest => Ok(Class::Echo(ip)),
            Message::Other => Err(Counter::IcmpOther),
            Message::Malformed => Err(Counter::IcmpMalformed),
        },
        _ => Err(Counter::ProtocolUnknown),
    }
}

#[inline]
fn udp_class(bytes: &[u8], ip: Ipv4, checksums: RxChecksums, rules: &Rules) -> Result<Class, Counter> {
    let datagram = udp::Datagram::parse(bytes).map_err(|_| Counter::UdpMalformed)?;
    let checksum = udp_checksum(datagram, ip, checksums.udp, rules)?;
    if !rules.udp_ports.contains(datagram.destination_port()) {
        return Err(Counter::UdpPortClosed);
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
    ip: Ipv4,
    said: RxChecksum,
    rules: &Rules,
) -> Result<UdpChecksum, Counter> {
    // First of all: net_tap says "unfilled" of these too.
    if datagram.checksum() == [0, 0] {
        return Ok(UdpChecksum::None);
    }
    if said == RxChecksum::Unfilled {
        return Ok(UdpChecksum::Unfilled);
    }
    // A device goes by the IP packet's length: of a datagram that is shorter its word says nothing.
    // And where it says "bad", it is not believed without a look: some say so of what they did not check.
    let is_whole = udp::HEADER_LEN + datagram.payload().len() == ip.payload_len;
    if said == RxChecksum::Good && is_whole {
        return Ok(UdpChecksum::Right);
    }
    let pseudo_header = ipv4::pseudo_header(ip.source, ip.destination, Protocol::UDP, datagram.len());
    if datagram.is_checksum_valid(pseudo_header) {
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
