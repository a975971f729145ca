//! The frames that the labs send: UDP over IPv4.

use std::net::Ipv4Addr;

use gannet::packet::Packet;
use gannet::wire::checksum::{Sum, udp_checksum};
use gannet::wire::ethernet::{self, EtherType, MacAddress};
use gannet::wire::protocol::Protocol;
use gannet::wire::{ipv4, udp};

/// Bytes before the datagram.
const UDP_AT: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;

/// One end of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) mac: MacAddress,
    pub(crate) ip: Ipv4Addr,
    pub(crate) port: u16,
}

/// Writes a datagram with a right UDP checksum into a packet, as a frame of `len` bytes, which has
/// room for the headers.
pub(crate) fn write(packet: &mut impl Packet, from: Endpoint, to: Endpoint, len: usize) {
    packet.set_frame_len(len);
    let udp_len = len - UDP_AT;
    let (link, rest) = packet.room_mut()[..len].split_at_mut(ethernet::HEADER_LEN);
    let (ip, datagram) = rest.split_at_mut(ipv4::HEADER_LEN);
    datagram.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
    if let (Some(link), Some(ip)) = (link.first_chunk_mut(), ip.first_chunk_mut()) {
        ethernet::write(link, to.mac, from.mac, EtherType::IPV4);
        let header = ipv4::Header {
            differentiated_services: 0,
            ttl: 64,
            protocol: Protocol::UDP,
            source: from.ip,
            destination: to.ip,
            payload_len: udp_len as u16,
        };
        header.write(ip);
    }
    if let Some(header) = datagram.first_chunk_mut() {
        udp::write(header, from.port, to.port, udp_len as u16, [0, 0]);
    }
    let pseudo_header = ipv4::pseudo_header(from.ip, to.ip, Protocol::UDP, udp_len as u16);
    let sum = udp_checksum(pseudo_header + Sum::of(datagram));
    datagram[6..8].copy_from_slice(&sum);
}
