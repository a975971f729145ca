//! The frames that the labs send: UDP over IPv4, right ones and wrong ones.

use std::net::Ipv4Addr;

use gannet::packet::Packet;
use gannet::wire::checksum::{Sum, udp_checksum};
use gannet::wire::ethernet::{self, EtherType, MacAddress};
use gannet::wire::protocol::Protocol;
use gannet::wire::{ipv4, udp};

/// Bytes of headers before the payload.
pub(crate) const HEADERS_LEN: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN + udp::HEADER_LEN;

/// One end of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) mac: MacAddress,
    pub(crate) ip: Ipv4Addr,
    pub(crate) port: u16,
}

/// Whether datagrams carry a UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UdpChecksum {
    /// The field is zero, which says that there is none, as in testpmd's frames.
    None,
    /// It is filled, and so has to be verified.
    Filled,
}

/// Writes a datagram into a packet, as a frame of `len` bytes, [`HEADERS_LEN`] or more.
pub(crate) fn write(
    packet: &mut impl Packet,
    from: Endpoint,
    to: Endpoint,
    len: usize,
    checksum: UdpChecksum,
) {
    packet.set_frame_len(len);
    let udp_len = len - ethernet::HEADER_LEN - ipv4::HEADER_LEN;
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
    if checksum == UdpChecksum::Filled {
        let pseudo_header = ipv4::pseudo_header(from.ip, to.ip, Protocol::UDP, udp_len as u16);
        let sum = udp_checksum(pseudo_header + Sum::of(datagram));
        datagram[6..8].copy_from_slice(&sum);
    }
}

/// Ways in which [`spoil`] makes a frame invalid.
pub(crate) const WRONGS: usize = 8;

/// Makes a frame one that no host takes: the `which`-th way of [`WRONGS`], each seen by
/// another check on its way in.
pub(crate) fn spoil(packet: &mut impl Packet, which: usize) {
    if which.is_multiple_of(WRONGS) {
        return packet.set_frame_len(ethernet::HEADER_LEN + 10);
    }
    let frame = packet.room_mut();
    match which % WRONGS {
        // For another station; of another EtherType; of another IP version.
        1 => frame[5] ^= 0x55,
        2 => frame[12] = 0x99,
        3 => frame[14] = 0x65,
        // Longer than the frame.
        4 => frame[16] = 0xff,
        // A wrong checksum.
        5 => frame[24] ^= 0x55,
        // Longer than the packet, and from the port of an echo service.
        6 => frame[38] = 0xff,
        _ => [frame[34], frame[35]] = 7_u16.to_be_bytes(),
    }
}
