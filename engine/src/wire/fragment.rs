//! The fragment header of IPv6 (RFC 8200, section 4.5).

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 8;
/// The offset, in the field that it shares with the flag: in bytes, since the three bits
/// behind it count for nothing.
const OFFSET: u16 = 0xfff8;
/// More fragments.
const MORE: u16 = 0x0001;

/// A fragment header, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the whole packet carries behind this header: of its fragments, the first one's
    /// word counts.
    pub next_header: u8,
    /// Where what follows stands in what the whole packet carries, in bytes: a multiple of 8
    /// up to 65,528.
    pub offset: u16,
    /// Whether other fragments follow.
    pub more: bool,
    /// What the fragments of a packet have in common.
    pub identification: u32,
}

impl Header {
    /// Reads the header at the front of `bytes`; `None` if they are too few. Its reserved
    /// bits are not looked at.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[next_header, _, high, low, a, b, c, d] = bytes.first_chunk()?;
        let field = u16::from_be_bytes([high, low]);
        Some(Self {
            next_header,
            offset: field & OFFSET,
            more: field & MORE != 0,
            identification: u32::from_be_bytes([a, b, c, d]),
        })
    }

    /// Whether the packet has this header and is no fragment: it is whole (RFC 6946).
    #[inline]
    pub fn is_atomic(self) -> bool {
        self.offset == 0 && !self.more
    }

    /// Writes the header.
    #[inline]
    pub fn write(self, into: &mut [u8; HEADER_LEN]) {
        let [high, low] = (self.offset & OFFSET | u16::from(self.more)).to_be_bytes();
        let [a, b, c, d] = self.identification.to_be_bytes();
        *into = [self.next_header, 0, high, low, a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a UDP datagram of Linux the second fragment, over a loopback of 1,500 bytes, captured.
    const SECOND: [u8; HEADER_LEN] = [0x11, 0x00, 0x05, 0xa9, 0x00, 0xc4, 0x76, 0x22];

    #[test]
    fn a_header_reads_and_writes() {
        let header = Header::parse(&SECOND).expect("long enough");
        let expected = Header { next_header: 17, offset: 1448, more: true, identification: 0x00c4_7622 };
        assert_eq!(header, expected);
        let mut written = [0xff; HEADER_LEN];
        header.write(&mut written);
        assert_eq!(written, SECOND);
        assert_eq!(Header::parse(&SECOND[..7]), None);
    }

    #[test]
    fn reserved_bits_say_nothing() {
        let mut bytes = SECOND;
        (bytes[1], bytes[3]) = (0xff, bytes[3] | 0x06);
        assert_eq!(Header::parse(&bytes), Header::parse(&SECOND));
    }

    #[test]
    fn only_a_header_without_offset_and_flag_is_atomic() {
        for (field, is_atomic) in [([0, 0], true), ([0, 6], true), ([0, 1], false), ([0, 8], false)] {
            let header = Header::parse(&[17, 0, field[0], field[1], 0, 0, 0, 1]).expect("long enough");
            assert_eq!(header.is_atomic(), is_atomic, "{field:?}");
        }
    }
}
