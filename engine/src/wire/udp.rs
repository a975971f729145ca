//! UDP (RFC 768), over either version of IP (RFC 8200, section 8.1).

use super::checksum::Sum;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 8;

/// A UDP length that contradicts the bytes that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the UDP length contradicts the IP packet's")]
pub struct Malformed;

/// A UDP datagram in place: its length is checked, its checksum is not.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    header: &'a [u8; HEADER_LEN],
    /// Header and payload.
    bytes: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Checks the datagram at the front of an IP packet's payload. Bytes behind its length
    /// are not part of it.
    ///
    /// # Errors
    /// [`Malformed`] if not 8 ≤ length ≤ `bytes.len()`.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(Malformed)?;
        let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if len < HEADER_LEN {
            return Err(Malformed);
        }
        let bytes = bytes.get(..len).ok_or(Malformed)?;
        Ok(Self { header, bytes })
    }

    /// The port that it comes from; 0 says that nobody waits for a reply.
    #[inline]
    pub fn source_port(self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }

    /// The port that it is for.
    #[inline]
    pub fn destination_port(self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }

    /// The checksum field, as it stands on the wire; zero says that there is none.
    #[inline]
    pub fn checksum(self) -> [u8; 2] {
        [self.header[6], self.header[7]]
    }

    /// Length in bytes, header included.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "the header is always there")]
    pub fn len(self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    /// Whether the checksum, which is there, is right; `pseudo_header` is the sum over the
    /// IP packet's addresses, [`len`](Self::len) and the protocol.
    #[inline]
    pub fn is_checksum_valid(self, pseudo_header: Sum) -> bool {
        (pseudo_header + Sum::of(self.bytes)).is_valid()
    }

    /// Whether the checksum field holds no more than the sum of the pseudo header: what a
    /// kernel leaves there for a device that would complete it.
    #[inline]
    pub fn is_checksum_unfilled(self, pseudo_header: Sum) -> bool {
        pseudo_header.fold() == self.checksum()
    }

    /// What it carries.
    #[inline]
    pub fn payload(self) -> &'a [u8] {
        &self.bytes[HEADER_LEN..]
    }
}

/// Writes a header. `len` is the datagram's in bytes, header included; `checksum` is as it
/// stands on the wire.
#[inline]
pub fn write(
    into: &mut [u8; HEADER_LEN],
    source_port: u16,
    destination_port: u16,
    len: u16,
    checksum: [u8; 2],
) {
    let [a, b] = source_port.to_be_bytes();
    let [c, d] = destination_port.to_be_bytes();
    let [e, f] = len.to_be_bytes();
    *into = [a, b, c, d, e, f, checksum[0], checksum[1]];
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::wire::checksum::udp_checksum;
    use crate::wire::ipv4;
    use crate::wire::protocol::Protocol;

    const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
    const DESTINATION: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

    fn pseudo_header(source: Ipv4Addr, len: u16) -> Sum {
        ipv4::pseudo_header(source, DESTINATION, Protocol::UDP, len)
    }

    /// "hi!" from port 4660 to port 7, with a byte behind it that is not part of it.
    fn datagram() -> [u8; 12] {
        let mut bytes = [0x12, 0x34, 0, 7, 0, 11, 0, 0, b'h', b'i', b'!', 0x99];
        let checksum = udp_checksum(pseudo_header(SOURCE, 11) + Sum::of(&bytes[..11]));
        bytes[6..8].copy_from_slice(&checksum);
        bytes
    }

    #[test]
    fn a_datagram_reads() {
        let bytes = datagram();
        let datagram = Datagram::parse(&bytes).expect("valid");
        assert_eq!((datagram.source_port(), datagram.destination_port()), (0x1234, 7));
        assert_eq!(datagram.payload(), b"hi!");
        assert_eq!(datagram.len(), 11);
        assert!(datagram.is_checksum_valid(pseudo_header(SOURCE, 11)));
        assert!(!datagram.is_checksum_valid(pseudo_header(DESTINATION, 11)));
        assert!(!datagram.is_checksum_unfilled(pseudo_header(SOURCE, 11)));
    }

    #[test]
    fn an_unfilled_checksum_is_known() {
        let mut bytes = datagram();
        bytes[6..8].copy_from_slice(&pseudo_header(SOURCE, 11).fold());
        assert!(Datagram::parse(&bytes).expect("valid").is_checksum_unfilled(pseudo_header(SOURCE, 11)));
    }

    #[test]
    fn contradicting_lengths_are_malformed() {
        for len in [0, 7, 13, 0xffff_u16] {
            let mut bytes = datagram();
            bytes[4..6].copy_from_slice(&len.to_be_bytes());
            assert_eq!(Datagram::parse(&bytes).err(), Some(Malformed), "{len}");
        }
        assert_eq!(Datagram::parse(&datagram()[..7]).err(), Some(Malformed));
    }
}
