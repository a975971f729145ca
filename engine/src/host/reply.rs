//! Answers, written in place over what they answer: the headers are turned round and made
//! fresh (addresses and ports swapped, options gone, TTL renewed, ECN cleared).

use std::net::Ipv6Addr;

use super::classify::{Addresses, Arp, Ip, Udp, UdpChecksum};
use crate::packet::{IpVersion, Packet};
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::protocol::Protocol;
use crate::wire::{arp, icmpv4, icmpv6, ipv4, ipv6, ndp, udp};

/// What replies of a port have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) mac: MacAddress,
    pub(super) ttl: u8,
    /// The port completes UDP checksums when it is asked to.
    pub(super) tx_udp_checksum: bool,
}

/// The fields of an IP header of ours, of either version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) addresses: Addresses,
    pub(super) differentiated_services: u8,
    pub(super) ttl: u8,
    pub(super) protocol: Protocol,
    /// Length of what it carries, in bytes.
    pub(super) payload_len: usize,
}

impl Header {
    /// Writes the header at the front of `into`, which has room for it. The length fits its
    /// field: the MTU sees to that.
    #[inline]
    pub(super) fn write(&self, into: &mut [u8]) {
        let &Self { addresses, differentiated_services, ttl, protocol, payload_len } = self;
        let payload_len = payload_len as u16;
        match addresses {
            Addresses::V4 { source, destination } => {
                let header =
                    ipv4::Header { differentiated_services, ttl, protocol, source, destination, payload_len };
                if let Some(into) = into.first_chunk_mut() {
                    header.write(into);
                }
            }
            Addresses::V6 { source, destination } => {
                let header = ipv6::Header {
                    differentiated_services,
                    hop_limit: ttl,
                    next_header: protocol,
                    source,
                    destination,
                    payload_len,
                };
                if let Some(into) = into.first_chunk_mut() {
                    header.write(into);
                }
            }
        }
    }
}

/// Turns a datagram into its reply, whose payload of `len` bytes is where the datagram's was.
///
/// `touched` says that the payload is another than the one that arrived.
#[inline]
pub(super) fn udp<P: Packet>(packet: &mut P, from: &Udp, len: usize, touched: bool, style: Style) {
    let udp_len = udp::HEADER_LEN + len;
    let at = turn_round(packet, &from.ip, Protocol::UDP, udp_len, style.ttl, style.mac);
    let keep = from.checksum == UdpChecksum::Right && !touched;
    let datagram = &mut packet.room_mut()[at..at + udp_len];
    let Some((header, _)) = datagram.split_first_chunk_mut::<{ udp::HEADER_LEN }>() else { return };
    let checksum = if keep { [header[6], header[7]] } else { [0, 0] };
    udp::write(header, from.destination_port, from.source_port, udp_len as u16, checksum);
    if !keep {
        fill_udp_checksum(packet, at, udp_len, from.ip.addresses, style);
    }
    finish(packet, at + udp_len);
}

/// Puts the UDP checksum into a datagram of ours at `at` in the frame, `len` bytes long with
/// its header, whose checksum field is zero; or asks the port to. Which of the addresses is
/// the source makes no difference.
pub(super) fn fill_udp_checksum<P: Packet>(
    packet: &mut P,
    at: usize,
    len: usize,
    addresses: Addresses,
    style: Style,
) {
    let pseudo_header = addresses.pseudo_header(Protocol::UDP, len);
    let datagram = &mut packet.room_mut()[at..at + len];
    let checksum = if style.tx_udp_checksum {
        pseudo_header.fold()
    } else {
        udp_checksum(pseudo_header + Sum::of(datagram))
    };
    datagram[6..8].copy_from_slice(&checksum);
    if style.tx_udp_checksum {
        let version = match addresses {
            Addresses::V4 { .. } => IpVersion::V4,
            Addresses::V6 { .. } => IpVersion::V6,
        };
        packet.request_udp_checksum(version, at - addresses.header_len(), addresses.header_len());
    }
}

/// Turns an echo request of ICMP or ICMPv6 into its reply.
pub(super) fn echo<P: Packet>(packet: &mut P, from: &Ip, style: Style) {
    let at = turn_round(packet, from, from.addresses.icmp(), from.payload_len, style.ttl, style.mac);
    if let Some(message) = packet.room_mut()[at..].first_chunk_mut() {
        write_echo_reply(message, from.addresses);
    }
    finish(packet, at + from.payload_len);
}

/// Makes an echo request into its reply, over its first bytes.
pub(super) fn write_echo_reply(message: &mut [u8; icmpv4::HEADER_LEN], addresses: Addresses) {
    match addresses {
        Addresses::V4 { .. } => icmpv4::write_echo_reply(message),
        Addresses::V6 { .. } => icmpv6::write_echo_reply(message),
    }
}

/// Turns an ARP request for one of our addresses into its reply.
pub(super) fn arp<P: Packet>(packet: &mut P, from: &Arp, style: Style) {
    let room = packet.room_mut();
    if let Some(header) = room.first_chunk_mut() {
        ethernet::write_reply(header, style.mac);
    }
    let reply = arp::Packet {
        operation: arp::Operation::REPLY,
        sender_mac: style.mac,
        sender_ip: from.packet.target_ip,
        target_mac: from.packet.sender_mac,
        target_ip: from.packet.sender_ip,
    };
    if let Some(body) = room[from.link.len..].first_chunk_mut() {
        reply.write(body);
    }
    finish(packet, from.link.len + arp::PACKET_LEN);
}

/// Turns a solicitation for one of our addresses into the advertisement that answers it
/// (RFC 4861, section 7.2.4). One that came from no address is answered to all nodes.
/// `false`, and the packet is no frame any more, if it has no room for the answer.
pub(super) fn advertisement<P: Packet>(
    packet: &mut P,
    from: &Ip,
    asker: Ipv6Addr,
    target: Ipv6Addr,
    style: Style,
) -> bool {
    let is_to_all = asker.is_unspecified();
    let to = if is_to_all { ndp::ALL_NODES } else { asker };
    let answer = ndp::Advertisement {
        target,
        router: false,
        solicited: !is_to_all,
        override_known: true,
        target_link_address: Some(style.mac),
    };
    let turned = Ip { addresses: Addresses::V6 { source: to, destination: target }, ..*from };
    let at = turn_round(packet, &turned, Protocol::ICMPV6, ndp::MAX_LEN, ndp::HOP_LIMIT, style.mac);
    let room = packet.room_mut();
    if is_to_all {
        room[..6].copy_from_slice(&ndp::multicast_mac(to).0);
    }
    let Some(message) = room[at..].first_chunk_mut::<{ ndp::MAX_LEN }>() else { return false };
    answer.write(message);
    icmpv6::fill_checksum(message, turned.addresses.pseudo_header(Protocol::ICMPV6, ndp::MAX_LEN));
    finish(packet, at + ndp::MAX_LEN);
    true
}

/// Turns the link header round and puts a fresh IP header without options or extension
/// headers in front of what the packet carries. Gives where that starts in the frame.
#[inline]
fn turn_round<P: Packet>(
    packet: &mut P,
    from: &Ip,
    protocol: Protocol,
    payload_len: usize,
    ttl: u8,
    mac: MacAddress,
) -> usize {
    let header_len = from.addresses.header_len();
    if from.header_len != header_len {
        cut_options(packet, from.link.len, from.header_len - header_len);
    }
    let (link, rest) = packet.room_mut().split_at_mut(from.link.len);
    if let Some(header) = link.first_chunk_mut() {
        ethernet::write_reply(header, mac);
    }
    let header = Header {
        addresses: from.addresses.turned(),
        differentiated_services: from.differentiated_services,
        ttl,
        protocol,
        payload_len,
    };
    header.write(rest);
    from.link.len + header_len
}

/// Takes `len` bytes of options out by moving the link header up to what they precede.
#[cold]
fn cut_options<P: Packet>(packet: &mut P, link_len: usize, len: usize) {
    packet.room_mut().copy_within(..link_len, len);
    packet.trim_front(len);
}

/// Sets the frame's length, and fills it up to the shortest that a wire carries with zeros,
/// so that no device pads it with what its memory holds.
#[inline]
pub(super) fn finish<P: Packet>(packet: &mut P, len: usize) {
    if len < ethernet::MIN_FRAME_LEN
        && let Some(padding) = packet.room_mut().get_mut(len..ethernet::MIN_FRAME_LEN)
    {
        padding.fill(0);
        packet.set_frame_len(ethernet::MIN_FRAME_LEN);
    } else {
        packet.set_frame_len(len);
    }
}
