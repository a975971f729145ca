//! IPv4 headers (RFC 791).

use std::net::Ipv4Addr;

use super::checksum::Sum;
pub use super::protocol::Protocol;

/// Length in bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Don't fragment, in the field that it shares with the fragment offset.
const DONT_FRAGMENT: u16 = 0x4000;
/// More fragments, in the same field.
const MORE_FRAGMENTS: u16 = 0x2000;
/// The fragment offset in that field, in units of 8 bytes.
const OFFSET: u16 = 0x1fff;
/// More fragments and the offset: zero where a packet is whole.
const FRAGMENT: u16 = MORE_FRAGMENTS | OFFSET;
/// The congestion bits of the traffic class byte (RFC 3168).
const ECN: u8 = 0x03;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// What a packet's options say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// They name the hops that the packet and what answers it are to take.
    pub has_source_route: bool,
}

/// A packet's version or lengths contradict each other or the bytes that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the IPv4 header's version or lengths contradict each other or the frame")]
pub struct Malformed;

/// An IPv4 packet in place: version and lengths are checked, the checksum is not.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_LEN],
    /// The packet, without what a link padded it with.
    bytes: &'a [u8],
    header_len: usize,
}

impl<'a> Packet<'a> {
    /// Checks the packet at the front of `bytes`.
    ///
    /// # Errors
    /// [`Malformed`] if the version isn't 4, or if not 20 ≤ header length ≤ total length
    /// ≤ `bytes.len()`.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(Malformed)?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] >> 4 != 4 || header_len < HEADER_LEN || total_len < header_len {
            return Err(Malformed);
        }
        let bytes = bytes.get(..total_len).ok_or(Malformed)?;
        Ok(Self { header, bytes, header_len })
    }

    /// Length of the header in bytes, options included: 20 to 60.
    #[inline]
    pub fn header_len(self) -> usize {
        self.header_len
    }

    /// Length of the packet in bytes.
    #[inline]
    pub fn total_len(self) -> usize {
        self.bytes.len()
    }

    /// Whether the header's checksum is right.
    #[inline]
    pub fn is_checksum_valid(self) -> bool {
        if self.header_len == HEADER_LEN {
            return Sum::of(self.header).is_valid();
        }
        Sum::of(&self.bytes[..self.header_len]).is_valid()
    }

    /// Whether it is a part of a larger packet.
    #[inline]
    pub fn is_fragment(self) -> bool {
        self.fragment_field() & FRAGMENT != 0
    }

    /// Whether fragments follow it.
    #[inline]
    pub fn has_more_fragments(self) -> bool {
        self.fragment_field() & MORE_FRAGMENTS != 0
    }

    /// Where what it carries stands in what the whole packet carried, in bytes: 0 to 65,528.
    #[inline]
    pub fn fragment_offset(self) -> usize {
        usize::from(self.fragment_field() & OFFSET) * 8
    }

    /// What the fragments of a packet have in common (RFC 6864).
    #[inline]
    pub fn identification(self) -> u16 {
        u16::from_be_bytes([self.header[4], self.header[5]])
    }

    #[inline]
    fn fragment_field(self) -> u16 {
        u16::from_be_bytes([self.header[6], self.header[7]])
    }

    /// The header, options included.
    #[inline]
    pub fn header(self) -> &'a [u8] {
        &self.bytes[..self.header_len]
    }

    /// What its options say that matters to a host that does not act on any.
    ///
    /// # Errors
    /// [`Malformed`] if the length of an option is less than 2 or leads out of the header
    /// (RFC 791, section 3.1).
    pub fn options(self) -> Result<Options, Malformed> {
        let mut has_source_route = false;
        let mut rest = &self.bytes[HEADER_LEN..self.header_len];
        while let [kind, behind @ ..] = rest {
            rest = match *kind {
                END_OF_OPTIONS => &[],
                NO_OPERATION => behind,
                kind => {
                    let len = behind.first().copied().map_or(0, usize::from);
                    has_source_route |= matches!(kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE);
                    rest.get(len..).filter(|_| len >= 2).ok_or(Malformed)?
                }
            };
        }
        Ok(Options { has_source_route })
    }

    /// The traffic class with the congestion bits cleared.
    #[inline]
    pub fn differentiated_services(self) -> u8 {
        self.header[1] & !ECN
    }

    /// What it carries.
    #[inline]
    pub fn protocol(self) -> Protocol {
        Protocol(self.header[9])
    }

    /// Who sent it.
    #[inline]
    pub fn source(self) -> Ipv4Addr {
        let [.., a, b, c, d, _, _, _, _] = *self.header;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Whom it is for.
    #[inline]
    pub fn destination(self) -> Ipv4Addr {
        let [.., a, b, c, d] = *self.header;
        Ipv4Addr::new(a, b, c, d)
    }

    /// What it carries.
    #[inline]
    pub fn payload(self) -> &'a [u8] {
        &self.bytes[self.header_len..]
    }
}

/// The header of a packet that we send: no options, not to be fragmented, identification
/// zero (RFC 6864, section 4.1: an atomic datagram needs none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The traffic class, congestion bits clear.
    pub differentiated_services: u8,
    /// Hops that it may take.
    pub ttl: u8,
    /// What it carries.
    pub protocol: Protocol,
    /// Who sends it.
    pub source: Ipv4Addr,
    /// Whom it is for.
    pub destination: Ipv4Addr,
    /// Length of what it carries, in bytes.
    pub payload_len: u16,
}

/// Which part of a larger packet a packet that we send is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// What the fragments of a packet have in common.
    pub identification: u16,
    /// Where it stands in what the whole packet carries, in bytes.
    pub offset: u16,
    /// Whether others follow.
    pub more: bool,
}

impl Header {
    /// Writes the header with its checksum.
    ///
    /// `payload_len` is at most 65,515; the caller's MTU sees to that.
    #[inline]
    pub fn write(&self, into: &mut [u8; HEADER_LEN]) {
        self.write_with(0, DONT_FRAGMENT, into);
    }

    /// Writes the header of a fragment with its checksum. `payload_len` is the fragment's.
    ///
    /// Routers may cut it further: don't fragment is clear. `fragment.offset` is a multiple
    /// of 8 up to 65,528.
    pub fn write_fragment(&self, fragment: Fragment, into: &mut [u8; HEADER_LEN]) {
        let more = if fragment.more { MORE_FRAGMENTS } else { 0 };
        self.write_with(fragment.identification, more | (fragment.offset / 8) & OFFSET, into);
    }

    #[inline]
    fn write_with(&self, identification: u16, fragment: u16, into: &mut [u8; HEADER_LEN]) {
        let total_len = self.payload_len.wrapping_add(HEADER_LEN as u16);
        let [len_high, len_low] = total_len.to_be_bytes();
        let [identification_high, identification_low] = identification.to_be_bytes();
        let [fragment_high, fragment_low] = fragment.to_be_bytes();
        let [a, b, c, d] = self.source.octets();
        let [e, f, g, h] = self.destination.octets();
        let class = self.differentiated_services;
        let mut header = [
            0x45,
            class,
            len_high,
            len_low,
            identification_high,
            identification_low,
            fragment_high,
            fragment_low,
            self.ttl,
            self.protocol.0,
            0,
            0,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
        ];
        [header[10], header[11]] = Sum::of(&header).checksum();
        *into = header;
    }
}

/// The sum of the pseudo header (RFC 768) of `len` bytes that are carried between these
/// hosts, their own header included.
#[inline]
pub fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, protocol: Protocol, len: u16) -> Sum {
    Sum::pseudo_header_v4(source.octets(), destination.octets(), protocol.0, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 28 bytes with two bytes of padding behind it.
    fn packet() -> [u8; 30] {
        let mut bytes = [0; 30];
        Header {
            differentiated_services: 0xb8,
            ttl: 64,
            protocol: Protocol::UDP,
            source: Ipv4Addr::new(10, 77, 0, 2),
            destination: Ipv4Addr::new(10, 77, 0, 1),
            payload_len: 8,
        }
        .write(bytes.first_chunk_mut().expect("long enough"));
        bytes
    }

    #[test]
    fn a_written_header_reads_back() {
        let bytes = packet();
        let packet = Packet::parse(&bytes).expect("valid");
        assert_eq!((packet.header_len(), packet.total_len()), (20, 28));
        assert_eq!(packet.payload().len(), 8);
        assert!(packet.is_checksum_valid() && !packet.is_fragment());
        assert_eq!(packet.differentiated_services(), 0xb8);
        assert_eq!(packet.protocol(), Protocol::UDP);
        assert_eq!(packet.source(), Ipv4Addr::new(10, 77, 0, 2));
        assert_eq!(packet.destination(), Ipv4Addr::new(10, 77, 0, 1));
    }

    #[test]
    fn options_are_walked_to_their_end() {
        let options = |options: &[u8]| {
            let mut bytes = packet()[..20].to_vec();
            bytes.extend(options);
            (bytes[0], bytes[3]) = (0x40 | (bytes.len() / 4) as u8, bytes.len() as u8);
            Packet::parse(&bytes).expect("valid").options().map(|options| options.has_source_route)
        };
        assert_eq!(options(&[]), Ok(false));
        assert_eq!(options(&[1, 7, 3, 0]), Ok(false));
        assert_eq!(options(&[0, 131, 3, 4]), Ok(false), "nothing stands behind the end");
        assert_eq!(options(&[1, 131, 3, 4]), Ok(true));
        assert_eq!(options(&[137, 4, 4, 0]), Ok(true));
        for bad in [[7, 0, 0, 0], [7, 1, 0, 0], [7, 5, 0, 0], [1, 1, 1, 7]] {
            assert_eq!(options(&bad), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn checksums_agree_with_a_sum_by_hand() {
        let mut bytes = packet();
        let by_hand = |header: &[u8]| {
            let sum: u32 = header.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
            (sum & 0xffff) + (sum >> 16) == 0xffff
        };
        assert!(by_hand(&bytes[..20]) && Packet::parse(&bytes).expect("valid").is_checksum_valid());
        bytes[8] ^= 1;
        assert!(
            !by_hand(&bytes[..20]) && !Packet::parse(&bytes).expect("lengths are right").is_checksum_valid()
        );
    }

    #[test]
    fn contradicting_lengths_are_malformed() {
        let good = packet();
        let broken = |index: usize, value: u8| {
            let mut bytes = good;
            bytes[index] = value;
            Packet::parse(&bytes).err()
        };
        assert_eq!(broken(0, 0x65), Some(Malformed), "version");
        assert_eq!(broken(0, 0x44), Some(Malformed), "header length under 20");
        assert_eq!(broken(0, 0x48), Some(Malformed), "header longer than the packet");
        assert_eq!(broken(3, 19), Some(Malformed), "total length under the header's");
        assert_eq!(broken(3, 31), Some(Malformed), "total length over the frame");
        assert_eq!(broken(3, 30), None);
        assert_eq!(Packet::parse(&good[..19]).err(), Some(Malformed));
    }

    #[test]
    fn options_are_part_of_the_header() {
        let mut bytes = [0; 28];
        bytes[..20].copy_from_slice(&packet()[..20]);
        bytes[0] = 0x46;
        bytes[20..24].copy_from_slice(&[1, 1, 1, 0]);
        bytes[10..12].fill(0);
        let checksum = Sum::of(&bytes[..24]).checksum();
        bytes[10..12].copy_from_slice(&checksum);
        let packet = Packet::parse(&bytes).expect("valid");
        assert_eq!((packet.header_len(), packet.payload().len()), (24, 4));
        assert!(packet.is_checksum_valid());
    }

    #[test]
    fn fragments_are_seen_at_both_ends() {
        for (flags, is_fragment) in [(0x4000_u16, false), (0x2000, true), (0x0001, true), (0x8000, false)] {
            let mut bytes = packet();
            bytes[6..8].copy_from_slice(&flags.to_be_bytes());
            assert_eq!(Packet::parse(&bytes).expect("valid").is_fragment(), is_fragment, "{flags:04x}");
        }
    }

    #[test]
    fn a_fragments_header_reads_as_smoltcp_reads_it() {
        let header = Header {
            differentiated_services: 0,
            ttl: 64,
            protocol: Protocol::UDP,
            source: Ipv4Addr::new(10, 77, 0, 1),
            destination: Ipv4Addr::new(10, 77, 0, 2),
            payload_len: 8,
        };
        for (offset, more) in [(0, true), (1480, true), (65_528, false)] {
            let mut bytes = [0; 28];
            let fragment = Fragment { identification: 0xbeef, offset, more };
            header.write_fragment(fragment, bytes.first_chunk_mut().expect("long enough"));
            let theirs = smoltcp::wire::Ipv4Packet::new_checked(&bytes).expect("valid");
            assert_eq!((theirs.ident(), theirs.frag_offset()), (0xbeef, offset));
            assert_eq!((theirs.more_frags(), theirs.dont_frag()), (more, false));
            assert!(theirs.verify_checksum());
            let ours = Packet::parse(&bytes).expect("valid");
            assert_eq!((ours.identification(), ours.fragment_offset()), (0xbeef, usize::from(offset)));
            assert_eq!((ours.has_more_fragments(), ours.is_fragment()), (more, true));
            assert_eq!(ours.header(), &bytes[..HEADER_LEN]);
        }
    }
}
