//! ARP for IPv4 over Ethernet (RFC 826).

use std::net::Ipv4Addr;

use super::ethernet::MacAddress;

/// Length of an ARP packet for IPv4 over Ethernet, in bytes.
pub const PACKET_LEN: usize = 28;

/// Hardware type Ethernet, protocol type IPv4, address lengths 6 and 4.
const PREAMBLE: [u8; 6] = [0, 1, 0x08, 0, 6, 4];

mod field {
    use std::ops::Range;

    pub(super) const PREAMBLE: Range<usize> = 0..6;
    pub(super) const OPERATION: Range<usize> = 6..8;
    pub(super) const SENDER_MAC: Range<usize> = 8..14;
    pub(super) const SENDER_IP: Range<usize> = 14..18;
    pub(super) const TARGET_MAC: Range<usize> = 18..24;
    pub(super) const TARGET_IP: Range<usize> = 24..28;
}

/// What an ARP packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation(pub u16);

impl Operation {
    /// Who has the target address?
    pub const REQUEST: Self = Self(1);
    /// The sender has the sender address.
    pub const REPLY: Self = Self(2);
}

/// An ARP packet, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it wants.
    pub operation: Operation,
    /// Who sent it.
    pub sender_mac: MacAddress,
    /// The sender's address; zero in a probe (RFC 5227).
    pub sender_ip: Ipv4Addr,
    /// Whom a reply is for; meaningless in a request.
    pub target_mac: MacAddress,
    /// The address that a request asks for.
    pub target_ip: Ipv4Addr,
}

impl Packet {
    /// Reads a packet from the front of `bytes`; `None` if they are too few, or it isn't
    /// about IPv4 over Ethernet.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; PACKET_LEN] = bytes.first_chunk()?;
        if bytes[field::PREAMBLE] != PREAMBLE {
            return None;
        }
        Some(Self {
            operation: Operation(u16::from_be_bytes(array(&bytes[field::OPERATION]))),
            sender_mac: MacAddress(array(&bytes[field::SENDER_MAC])),
            sender_ip: Ipv4Addr::from(array::<4>(&bytes[field::SENDER_IP])),
            target_mac: MacAddress(array(&bytes[field::TARGET_MAC])),
            target_ip: Ipv4Addr::from(array::<4>(&bytes[field::TARGET_IP])),
        })
    }

    /// Writes the packet.
    pub fn write(&self, into: &mut [u8; PACKET_LEN]) {
        into[field::PREAMBLE].copy_from_slice(&PREAMBLE);
        into[field::OPERATION].copy_from_slice(&self.operation.0.to_be_bytes());
        into[field::SENDER_MAC].copy_from_slice(&self.sender_mac.0);
        into[field::SENDER_IP].copy_from_slice(&self.sender_ip.octets());
        into[field::TARGET_MAC].copy_from_slice(&self.target_mac.0);
        into[field::TARGET_IP].copy_from_slice(&self.target_ip.octets());
    }
}

/// The bytes of a field whose range is `N` long.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request as `arping` sends it.
    const REQUEST: [u8; PACKET_LEN] = [
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 10, 77, 0, 2,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 10, 77, 0, 1,
    ];

    #[test]
    fn a_request_reads_and_writes() {
        let packet = Packet::parse(&REQUEST).expect("valid");
        assert_eq!(packet.operation, Operation::REQUEST);
        assert_eq!(packet.sender_mac, MacAddress([2, 0, 0, 0, 0, 2]));
        assert_eq!(packet.sender_ip, Ipv4Addr::new(10, 77, 0, 2));
        assert_eq!(packet.target_mac, MacAddress::BROADCAST);
        assert_eq!(packet.target_ip, Ipv4Addr::new(10, 77, 0, 1));
        let mut written = [0; PACKET_LEN];
        packet.write(&mut written);
        assert_eq!(written, REQUEST);
    }

    #[test]
    fn other_hardware_and_short_packets_are_none() {
        assert_eq!(Packet::parse(&REQUEST[..27]), None);
        for index in field::PREAMBLE {
            let mut other = REQUEST;
            other[index] ^= 1;
            assert_eq!(Packet::parse(&other), None, "byte {index}");
        }
    }
}
