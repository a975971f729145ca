//! IPv6 headers (RFC 8200, section 3).

use std::net::Ipv6Addr;

use super::checksum::Sum;
pub use super::protocol::Protocol;

/// Length of the header in bytes; extension headers are part of the payload.
pub const HEADER_LEN: usize = 40;
/// Where in the header the byte lies that names what follows.
pub const NEXT_HEADER_AT: usize = 6;
/// The congestion bits of the traffic class byte (RFC 3168).
const ECN: u8 = 0x03;

/// A packet's version isn't 6, or its payload length is over the bytes that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the IPv6 header's version or payload length contradicts the frame")]
pub struct Malformed;

/// An IPv6 packet in place: version and length are checked. It has no checksum of its own.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks the packet at the front of `bytes`. A payload length of zero is an empty
    /// payload: the jumbograms of RFC 2675 are not supported.
    ///
    /// # Errors
    /// [`Malformed`] if the version isn't 6, or if not 40 + payload length ≤ `bytes.len()`.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed)?;
        let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if header[0] >> 4 != 6 {
            return Err(Malformed);
        }
        let payload = rest.get(..payload_len).ok_or(Malformed)?;
        Ok(Self { header, payload })
    }

    /// The traffic class with the congestion bits cleared.
    #[inline]
    pub fn differentiated_services(self) -> u8 {
        (self.header[0] << 4 | self.header[1] >> 4) & !ECN
    }

    /// Hops that it may still take.
    #[inline]
    pub fn hop_limit(self) -> u8 {
        self.header[7]
    }

    /// What its payload starts with: an upper layer, or an extension header.
    #[inline]
    pub fn next_header(self) -> Protocol {
        Protocol(self.header[6])
    }

    /// Who sent it.
    #[inline]
    pub fn source(self) -> Ipv6Addr {
        self.address_at(8)
    }

    /// Whom it is for.
    #[inline]
    pub fn destination(self) -> Ipv6Addr {
        self.address_at(24)
    }

    /// What follows the header, extension headers included, without what a link padded it with.
    #[inline]
    pub fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// The address at a constant place in the header.
    #[inline]
    fn address_at(self, at: usize) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.header[at..at + 16]);
        Ipv6Addr::from(octets)
    }
}

/// The header of a packet that we send: flow label zero, no extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The traffic class, congestion bits clear.
    pub differentiated_services: u8,
    /// Hops that it may take.
    pub hop_limit: u8,
    /// What it carries.
    pub next_header: Protocol,
    /// Who sends it.
    pub source: Ipv6Addr,
    /// Whom it is for.
    pub destination: Ipv6Addr,
    /// Length of what it carries, in bytes.
    pub payload_len: u16,
}

impl Header {
    /// Writes the header.
    #[inline]
    pub fn write(&self, into: &mut [u8; HEADER_LEN]) {
        let class = self.differentiated_services;
        let [len_high, len_low] = self.payload_len.to_be_bytes();
        let fixed =
            [0x60 | class >> 4, class << 4, 0, 0, len_high, len_low, self.next_header.0, self.hop_limit];
        into[..8].copy_from_slice(&fixed);
        into[8..24].copy_from_slice(&self.source.octets());
        into[24..].copy_from_slice(&self.destination.octets());
    }
}

/// The sum of the pseudo header (RFC 8200, section 8.1) of `len` bytes of upper layer that
/// are carried between these hosts, their own header included. `protocol` is the upper
/// layer's, whatever extension headers stand before it.
#[inline]
pub fn pseudo_header(source: Ipv6Addr, destination: Ipv6Addr, protocol: Protocol, len: u32) -> Sum {
    Sum::pseudo_header_v6(source.octets(), destination.octets(), protocol.0, len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smoltcp::wire::{IpProtocol, Ipv6Packet, Ipv6Repr};

    use super::*;

    /// Four bytes of UDP from 2001:db8::2 to 2001:db8::1, with two bytes of padding behind.
    const PACKET: [u8; 46] = [
        0x6b, 0x91, 0x23, 0x45, 0x00, 0x04, 17, 63, // class 0xb9, flow label 0x12345
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, //
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, //
        1, 2, 3, 4, 0, 0,
    ];

    #[test]
    fn a_packet_reads() {
        let packet = Packet::parse(&PACKET).expect("valid");
        assert_eq!(packet.differentiated_services(), 0xb8);
        assert_eq!(packet.hop_limit(), 63);
        assert_eq!(packet.next_header(), Protocol::UDP);
        assert_eq!(packet.source().to_string(), "2001:db8::2");
        assert_eq!(packet.destination().to_string(), "2001:db8::1");
        assert_eq!(packet.payload(), [1, 2, 3, 4]);
    }

    #[test]
    fn contradicting_lengths_are_malformed() {
        let broken = |index: usize, value: u8| {
            let mut bytes = PACKET;
            bytes[index] = value;
            Packet::parse(&bytes).err()
        };
        assert_eq!(broken(0, 0x4b), Some(Malformed), "version");
        assert_eq!(broken(4, 1), Some(Malformed), "payload length over the frame by far");
        assert_eq!(broken(5, 7), Some(Malformed), "payload length over the frame by one");
        assert_eq!(broken(5, 6), None);
        assert_eq!(Packet::parse(&PACKET[..39]).err(), Some(Malformed));
        let mut empty = PACKET;
        empty[5] = 0;
        assert!(Packet::parse(&empty).expect("valid").payload().is_empty());
        assert!(Packet::parse(&empty[..40]).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), version: bool) {
            let mut bytes = bytes;
            if version && let Some(first) = bytes.first_mut() {
                *first = 0x60;
            }
            if let Ok(packet) = Packet::parse(&bytes) {
                let theirs = Ipv6Packet::new_checked(&bytes[..]).expect("smoltcp takes it too");
                prop_assert_eq!(packet.payload(), theirs.payload());
                prop_assert_eq!(packet.source(), theirs.src_addr());
                prop_assert_eq!(packet.destination(), theirs.dst_addr());
            }
        }

        #[test]
        fn a_written_header_reads_back(
            class: u8, hop_limit: u8, next_header: u8, source: [u8; 16], destination: [u8; 16], len in 0..64_u16,
        ) {
            let header = Header {
                differentiated_services: class & !ECN,
                hop_limit,
                next_header: Protocol(next_header),
                source: source.into(),
                destination: destination.into(),
                payload_len: len,
            };
            let mut bytes = [0xff; 104];
            header.write(bytes.first_chunk_mut().expect("long enough"));
            let packet = Packet::parse(&bytes).expect("valid");
            prop_assert_eq!(packet.differentiated_services(), header.differentiated_services);
            prop_assert_eq!(packet.payload().len(), usize::from(len));
            let theirs = Ipv6Packet::new_checked(&bytes[..]).expect("valid");
            prop_assert_eq!((theirs.traffic_class(), theirs.flow_label()), (class & !ECN, 0));
            let repr = Ipv6Repr {
                src_addr: packet.source(),
                dst_addr: packet.destination(),
                next_header: IpProtocol::from(packet.next_header().0),
                payload_len: usize::from(len),
                hop_limit: packet.hop_limit(),
            };
            prop_assert_eq!(Ipv6Repr::parse(&theirs).expect("valid"), repr);
            prop_assert_eq!((packet.source(), packet.destination()), (header.source, header.destination));
            prop_assert_eq!((packet.hop_limit(), packet.next_header()), (hop_limit, header.next_header));
        }
    }
}
