//! Answers, written in place over what they answer: the headers are turned round and made
//! fresh (addresses and ports swapped, options gone, TTL renewed, ECN cleared).

use std::net::Ipv4Addr;

use super::classify::{Arp, Ipv4, Udp, UdpChecksum};
use crate::packet::{IpVersion, Packet};
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::ipv4::{self, Protocol};
use crate::wire::{arp, icmpv4, udp};

/// What replies of a port have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) mac: MacAddress,
    pub(super) ttl: u8,
    /// The port completes UDP checksums when it is asked to.
    pub(super) tx_udp_checksum: bool,
}

/// Turns a datagram into its reply, whose payload of `len` bytes is where the datagram's was.
///
/// `touched` says that the payload is another than the one that arrived.
#[inline]
pub(super) fn udp<P: Packet>(packet: &mut P, from: &Udp, len: usize, touched: bool, style: Style) {
    let udp_len = (udp::HEADER_LEN + len) as u16;
    let at = turn_round(packet, &from.ip, Protocol::UDP, udp_len, style);
    let keep = from.checksum == UdpChecksum::Right && !touched;
    let datagram = &mut packet.room_mut()[at..at + usize::from(udp_len)];
    let Some((header, _)) = datagram.split_first_chunk_mut::<{ udp::HEADER_LEN }>() else { return };
    let checksum = if keep { [header[6], header[7]] } else { [0, 0] };
    udp::write(header, from.destination_port, from.source_port, udp_len, checksum);
    if !keep {
        fill_udp_checksum(packet, at, usize::from(udp_len), from.ip.destination, from.ip.source, style);
    }
    finish(packet, at + usize::from(udp_len));
}

/// Puts the UDP checksum into a datagram of ours at `at` in the frame, `len` bytes long with
/// its header, whose checksum field is zero; or asks the port to.
pub(super) fn fill_udp_checksum<P: Packet>(
    packet: &mut P,
    at: usize,
    len: usize,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    style: Style,
) {
    let pseudo_header = ipv4::pseudo_header(source, destination, Protocol::UDP, len as u16);
    let datagram = &mut packet.room_mut()[at..at + len];
    let checksum = if style.tx_udp_checksum {
        pseudo_header.fold()
    } else {
        udp_checksum(pseudo_header + Sum::of(datagram))
    };
    datagram[6..8].copy_from_slice(&checksum);
    if style.tx_udp_checksum {
        packet.request_udp_checksum(IpVersion::V4, at - ipv4::HEADER_LEN, ipv4::HEADER_LEN);
    }
}

/// Turns an ICMP echo request into its reply.
pub(super) fn echo<P: Packet>(packet: &mut P, from: &Ipv4, style: Style) {
    let at = turn_round(packet, from, Protocol::ICMP, from.payload_len as u16, style);
    if let Some(message) = packet.room_mut()[at..].first_chunk_mut() {
        icmpv4::write_echo_reply(message);
    }
    finish(packet, at + from.payload_len);
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

/// Turns the link header round and puts a fresh IPv4 header without options in front of
/// what the packet carries. Gives where that starts in the frame.
#[inline]
fn turn_round<P: Packet>(
    packet: &mut P,
    from: &Ipv4,
    protocol: Protocol,
    payload_len: u16,
    style: Style,
) -> usize {
    if from.header_len != ipv4::HEADER_LEN {
        cut_options(packet, from.link.len, from.header_len - ipv4::HEADER_LEN);
    }
    let (link, rest) = packet.room_mut().split_at_mut(from.link.len);
    if let Some(header) = link.first_chunk_mut() {
        ethernet::write_reply(header, style.mac);
    }
    let header = ipv4::Header {
        differentiated_services: from.differentiated_services,
        ttl: style.ttl,
        protocol,
        source: from.destination,
        destination: from.source,
        payload_len,
    };
    if let Some(into) = rest.first_chunk_mut() {
        header.write(into);
    }
    from.link.len + ipv4::HEADER_LEN
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
