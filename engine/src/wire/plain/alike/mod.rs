//! Eight short frames alike, judged and turned round in one go, a frame after the other.
//!
//! Most fields of a frame in a flood of short ones are known beforehand: our addresses and port, and
//! with the frame's length those of its packet. Each frame is compared as a whole with what is
//! known, and what differs is collected over the eight: if one of them is not right they are all left as
//! they are, and the columns tell which. Only what differs from frame to frame by right (the
//! source, and the sums) is looked at in columns.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::kernel::{Kernel, Kind};
use super::{AT_A_TIME, HEADERS_LEN, Head, Headers, Station};
use crate::wire::{ethernet, ipv4, udp};

/// The lengths in bytes of frames that can be alike: no shorter than frames are, and no longer than
/// their heads.
pub const ALIKE_LENS: std::ops::RangeInclusive<usize> = ethernet::MIN_FRAME_LEN..=size_of::<Head>();

/// Where the sender's MAC address begins.
const SENDER_AT: usize = 6;
/// Where the template begins; it ends with the headers.
const TEMPLATE_AT: usize = HEADERS_LEN - 32;
/// Where the last half of a head begins, in which all of a short payload is.
const LAST_AT: usize = size_of::<Head>() - 32;

/// What is compared of the first bytes: our MAC address, and that the sender's is no group's.
const LINK_MASK: [u8; 16] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The sender's MAC address.
const SENDER: [u8; 16] = [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// What is compared of the bytes from [`TEMPLATE_AT`] on. Free are the sender's address, and of the IP header
/// identification, "don't fragment", TTL, checksum and source, of UDP's the source port and checksum.
const TEMPLATE_MASK: [u8; 32] = [
    0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x3f, 0xff, 0, 0xff, 0, 0, //
    0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
];
/// The highest bits of free words of the template, little-endian: they become numbers with a sign, less 2^15.
const BIASED: [u8; 32] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0x80, //
    0, 0x80, 0, 0x80, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0x80,
];
/// Which words of the template are of the IP packet.
const SUMMED: [i16; 16] = [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
/// What a pair of biased words lacks.
const BIAS_OF_TWO: u32 = 2 << 15;

/// Who we are, where that is one address and one port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    mac: [u8; 6],
    address: [u8; 4],
    impossible_sources: [[u8; 4]; 2],
    port: [u8; 2],
    ttl: u8,
}

impl Own {
    /// `None` where frames to us are not alike: with several addresses or ports.
    pub(super) fn new(station: &Station<'_>) -> Option<Self> {
        let (&[address], &[port]) = (station.addresses, station.ports) else { return None };
        let impossible_sources = match *station.impossible_sources {
            [one] => [one, one],
            [one, other] => [one, other],
            _ => return None,
        };
        (usize::from(station.mtu) >= size_of::<Head>()).then(|| Self {
            mac: station.mac.0,
            address: address.octets(),
            impossible_sources: impossible_sources.map(|address| address.octets()),
            port: port.to_be_bytes(),
            ttl: station.ttl,
        })
    }
}

/// What eight frames alike look like: those of one length and class.
#[derive(Clone, Debug)]
#[repr(C, align(32))]
pub struct Alike {
    /// Bytes from [`TEMPLATE_AT`] on, zero where they are free but for their [`BIASED`] bits.
    template: [u8; 32],
    /// Which bytes from [`LAST_AT`] on are payload.
    payload: [u8; 32],
    /// The first bytes.
    link: [u8; 16],
    /// The bytes of a reply from [`SENDER_AT`] on.
    reply: [u8; 16],
    /// What the sum of an IP header has beside its free words.
    ip_sum: u32,
    /// What the sum of a datagram and its pseudo header has beside the free words of the IP packet,
    /// if that of the IP header is right.
    udp_sum: u32,
    /// What the sum of a reply's IP header has beside its destination.
    reply_sum: u32,
    /// TTL and protocol of a reply, and in the high half ones.
    reply_protocol: u32,
    /// Biased as sources are.
    impossible_sources: [u32; 2],
    /// Ours as a source, biased.
    port: u32,
    kernel: Kernel,
    len: usize,
    class: u8,
}

impl Alike {
    /// `None` for other lengths than [`ALIKE_LENS`].
    pub(super) fn new(own: &Own, kernel: Kernel, len: usize, class: u8) -> Option<Self> {
        if !ALIKE_LENS.contains(&len) {
            return None;
        }
        let mut headers: Headers = [0; HEADERS_LEN];
        headers[..6].copy_from_slice(&own.mac);
        // What is free stays zero.
        let ip_len = len - ethernet::HEADER_LEN;
        headers[12..18].copy_from_slice(&[8, 0, 0x45, class, 0, ip_len as u8]);
        headers[23] = 17;
        headers[30..34].copy_from_slice(&own.address);
        headers[36..38].copy_from_slice(&own.port);
        headers[39] = (ip_len - ipv4::HEADER_LEN) as u8;
        let reply = [8, 0, 0x45, class & 0xfc, 0, ip_len as u8, 0, 0, 0x40, 0, own.ttl, 17];
        let address = words(&own.address);
        let source = |address: [u8; 4]| u32::from_le_bytes(address) ^ 0x8000_8000;
        let (udp_len, protocol) = (words(&headers[38..40]), words(&[0, 17]));
        // Of the IP header the identification and the checksum are biased, and the source.
        let ip_sum = words(&headers[14..34]) + 2 * BIAS_OF_TWO;
        // The sum of the IP header, which makes no difference if it is right, is in the sum of all.
        let all = words(&headers[14..]) + (3 + 8) * BIAS_OF_TWO;
        Some(Self {
            template: std::array::from_fn(|index| headers[TEMPLATE_AT + index] ^ BIASED[index]),
            payload: std::array::from_fn(|index| {
                if (HEADERS_LEN..len).contains(&(LAST_AT + index)) { 0xff } else { 0 }
            }),
            link: std::array::from_fn(|index| if index < 6 { headers[index] } else { 0 }),
            reply_sum: words(&reply[2..]) + address + BIAS_OF_TWO,
            reply: std::array::from_fn(|index| if index < 6 { own.mac[index] } else { reply[index - 6] }),
            ip_sum,
            udp_sum: all + address + udp_len + protocol + BIAS_OF_TWO,
            reply_protocol: u32::from_le_bytes([own.ttl, 17, 0xff, 0xff]),
            impossible_sources: own.impossible_sources.map(source),
            port: u32::from(u16::from_le_bytes(own.port) ^ 0x8000),
            kernel,
            len,
            class,
        })
    }

    /// Whether it is that of frames of `len` bytes whose IP header is of that class (its second byte).
    #[inline]
    pub fn is_of(&self, len: usize, class: u8) -> bool {
        (self.len, self.class) == (len, class)
    }

    /// Makes eight frames of the length that was told their replies, as [`turn`](super::Expected::turn) does,
    /// if the judge would find all of them plain, verified and whole. Else, or if that is
    /// not seen at once, gives `false` and changes nothing.
    #[inline]
    pub fn turn(&self, heads: &mut [&mut Head; AT_A_TIME]) -> bool {
        match self.kernel.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2::turn(self, heads),
            _ => false,
        }
    }
}

/// The sum of little-endian words.
fn words(bytes: &[u8]) -> u32 {
    bytes.as_chunks().0.iter().map(|&word| u32::from(u16::from_le_bytes(word))).sum()
}

const _: () = assert!(udp::HEADER_LEN == HEADERS_LEN - 34);
