//! What an IPv6 packet is: extension headers, neighbour discovery, and addresses of which it is
//! not known yet whether they are ours.

use std::net::{IpAddr, Ipv6Addr};

use super::{Addresses, Class, Ip, Link, Part, Refusal, Rules, other_class, part_class, udp_class};
use crate::host::errors;
use crate::packet::{RxChecksum, RxChecksums};
use crate::telemetry::Counter;
use crate::wire::protocol::Protocol;
use crate::wire::{extension, icmpv6, ipv6, mld, ndp};

#[inline]
pub(super) fn ipv6_class(
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
    if is_listened_to && packet.hop_limit() == mld::HOP_LIMIT && packet.next_header() == Protocol::HOP_BY_HOP
    {
        return listener_class(packet, link);
    }
    Err(Counter::GroupIp)
}

/// A packet to a group of ours with a hop-by-hop header may be a question who listens to it
/// (RFC 3810, sections 5.1 and 6.2).
fn listener_class(packet: &ipv6::Packet<'_>, link: Link) -> Result<Class, Counter> {
    let walked = extension::walk(packet.next_header(), packet.payload()).map_err(|_| Counter::GroupIp)?;
    let (headers, message) = packet.payload().split_at(walked.offset);
    if walked.protocol != Protocol::ICMPV6 || walked.fragment.is_some() {
        return Err(Counter::GroupIp);
    }
    let (source, destination) = (packet.source(), packet.destination());
    let pseudo_header = Addresses::V6 { source, destination }.pseudo_header(Protocol::ICMPV6, message.len());
    match icmpv6::parse(message, pseudo_header) {
        icmpv6::Message::Other(icmpv6::Kind::LISTENER_QUERY) => mld::Query::parse(message)
            .filter(|query| query.group.unwrap_or(ndp::ALL_NODES) == destination)
            .filter(|_| mld::has_alert(headers) && source.is_unicast_link_local())
            .map(|query| Class::ListenerQuery(link.vlans, query))
            .ok_or(Counter::IcmpMalformed),
        icmpv6::Message::Malformed => Err(Counter::IcmpMalformed),
        _ => Err(Counter::GroupIp),
    }
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

pub(super) fn icmpv6_class(message: &[u8], ip: Ip) -> Result<Class, Counter> {
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
