//! Eight short frames alike, judged and turned round in one go, a frame after the other.
//!
//! Most fields of a frame in a flood of short ones are known beforehand: our addresses and port, and
//! with the frame's length those of its packet. Each frame is compared as a whole with what is
//! known, and what differs is collected over the eight: if one of them is not right they are all left as
//! they are, and the columns tell which. Only what differs from frame to frame by right (the
//! source, and the sums) is looked at in columns.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
mod flow;
#[cfg(target_arch = "x86_64")]
mod ssse3;

use std::array;

use flow::Flow;

use super::kernel::{Kernel, Kind};
use super::{AT_A_TIME, Eight, HEADERS_LEN, Head, Headers, Station};
use crate::wire::{ethernet, ipv4};

/// The lengths in bytes of frames that can be alike: no shorter than frames are, and no longer than
/// their heads. Odd ones are not alike.
pub const ALIKE_LENS: std::ops::RangeInclusive<usize> = ethernet::MIN_FRAME_LEN..=size_of::<Head>();

/// Where the sender's MAC address begins.
const SENDER_AT: usize = 6;
/// What is compared of a head. Free are the sender's address but for its group bit, of the IP header
/// identification, "don't fragment", TTL, checksum and source, of UDP's the source port and checksum,
/// and the payload.
const MASK: Bytes = Bytes([
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, //
    0xff, 0xff, 0, 0, 0x3f, 0xff, 0, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, //
    0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
/// The sender's MAC address in the first bytes.
const SENDER: [u8; 16] = [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Where free words begin that may have any value. Their highest bits, little-endian, are turned: they become
/// numbers with a sign, less 2^15. So does all of the payload.
const BIASED: [usize; 6] = [18, 24, 26, 28, 34, 40];
/// What a biased word lacks.
const BIAS: u32 = 1 << 15;

/// A head's bytes.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Bytes(Head);

/// Factors of a head's words.
#[derive(Clone, Debug)]
#[repr(align(32))]
struct Factors([i16; size_of::<Head>() / 2]);

/// What frames that are alike have in common beside us: their length, and the class of their IP headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlikeKind(u32);

impl AlikeKind {
    /// That of frames of `len` bytes, below 2^24, whose IP header is of that class (its second byte).
    #[inline]
    pub fn new(len: usize, class: u8) -> Self {
        Self((len as u32) << 8 | u32::from(class))
    }

    fn len(self) -> usize {
        (self.0 >> 8) as usize
    }

    fn class(self) -> u8 {
        self.0 as u8
    }
}

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

    /// The headers of a frame of `len` bytes to us; what is free is zero.
    fn headers(&self, len: usize, class: u8) -> Headers {
        let mut headers = [0; HEADERS_LEN];
        let ip_len = len - ethernet::HEADER_LEN;
        headers[..6].copy_from_slice(&self.mac);
        headers[12..18].copy_from_slice(&[8, 0, 0x45, class, 0, ip_len as u8]);
        headers[23] = 17;
        headers[30..34].copy_from_slice(&self.address);
        headers[36..38].copy_from_slice(&self.port);
        headers[39] = (ip_len - ipv4::HEADER_LEN) as u8;
        headers
    }

    /// The bytes of its reply from [`SENDER_AT`] on, to the IP header's checksum.
    fn reply(&self, headers: &Headers) -> [u8; 18] {
        let mut reply = [0; 18];
        reply[..6].copy_from_slice(&self.mac);
        reply[6..12].copy_from_slice(&headers[12..18]);
        // No ECN; "don't fragment".
        reply[9] &= 0xfc;
        (reply[14], reply[16], reply[17]) = (0x40, self.ttl, 17);
        reply
    }

    /// What sums of a frame of `len` bytes have, and of its reply. Free words are biased, both halves of the
    /// source, too.
    fn sums(&self, len: usize, headers: &Headers, reply: &[u8; 18]) -> Sums {
        let (address, udp_len) = (words(&self.address), words(&headers[38..40]));
        let payload_words = (len - HEADERS_LEN) as u32 / 2;
        let udp = words(&headers[34..]) + address + udp_len + words(&[0, 17]);
        Sums {
            // Identification and checksum.
            ip: words(&headers[14..34]) + 4 * BIAS,
            // Port and checksum.
            udp: udp + (4 + payload_words) * BIAS,
            reply: words(&reply[8..]) + address + 2 * BIAS,
        }
    }
}

/// What the sums of a frame alike have beside what is free in it.
struct Sums {
    /// That of the IP header.
    ip: u32,
    /// That of the datagram and its pseudo header.
    udp: u32,
    /// That of the reply's IP header, its destination being free.
    reply: u32,
}

/// What eight frames alike look like: those of one length and class.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Alike {
    /// A head, zero where it is free but for the bits that are turned.
    template: Bytes,
    /// Which words are of the IP packet.
    factors: Factors,
    /// What the sum of an IP header has beside its free words.
    ip_sum: Eight,
    /// What the sum of a datagram and its pseudo header has beside its free words.
    udp_sum: Eight,
    /// What the sum of a reply's IP header has beside its destination.
    reply_sum: Eight,
    /// TTL and protocol of a reply, and in the high half ones.
    reply_protocol: Eight,
    /// Biased as sources are.
    impossible_sources: [Eight; 2],
    /// Ours as a source, biased.
    port: Eight,
    /// The bytes of a reply from [`SENDER_AT`] on.
    reply: [u8; 16],
    /// How source and destination change places, from the IP header's on: not a constant, of which a compiler
    /// makes two instructions.
    swapped: [u8; 16],
    #[cfg(target_arch = "x86_64")]
    wide: avx512::Wide,
    /// The flow of the first of the last frames that seemed to be of one.
    flow: Option<Flow>,
    kernel: Kernel,
    kind: AlikeKind,
}

impl Alike {
    /// `None` for other lengths than [`ALIKE_LENS`].
    pub(super) fn new(own: &Own, kernel: Kernel, kind: AlikeKind) -> Option<Self> {
        let len = kind.len();
        if !ALIKE_LENS.contains(&len) || len % 2 == 1 {
            return None;
        }
        let headers = own.headers(len, kind.class());
        let (template, reply) = (template(&headers), own.reply(&headers));
        let sums = own.sums(len, &headers, &reply);
        let source = |address: [u8; 4]| Eight::all(u32::from_le_bytes(address) ^ 0x8000_8000);
        Some(Self {
            #[cfg(target_arch = "x86_64")]
            wide: avx512::Wide::new(own, len, &template, &sums, &reply),
            template,
            factors: Factors(array::from_fn(|index| i16::from((14..len).contains(&(2 * index))))),
            ip_sum: Eight::all(sums.ip),
            udp_sum: Eight::all(sums.udp),
            reply_sum: Eight::all(sums.reply),
            reply_protocol: Eight::all(u32::from_le_bytes([own.ttl, 17, 0xff, 0xff])),
            impossible_sources: own.impossible_sources.map(source),
            // Behind two bytes that are as they are to be.
            port: Eight::all(u32::from(u16::from_le_bytes(own.port) ^ 0x8000) << 16),
            reply: array::from_fn(|index| reply[index]),
            swapped: [4, 5, 6, 7, 0, 1, 2, 3, 10, 11, 8, 9, 12, 13, 14, 15],
            flow: None,
            kernel,
            kind,
        })
    }

    /// Of which frames it is.
    #[inline]
    pub fn kind(&self) -> AlikeKind {
        self.kind
    }

    /// Makes frames at the front of `packets` their replies, some at a time, as
    /// [`turn`](super::Expected::turn) does, as long as the judge would find all of them plain, verified
    /// and whole. Says how many; the others are as they were. Some of them may be right, too.
    ///
    /// `head` gives a packet's head, if its frame is of the length that was told.
    #[inline]
    pub fn turn_front<P>(&mut self, packets: &mut [P], head: impl Fn(&mut P) -> Option<&mut Head>) -> usize {
        let turned = self.turn_flow(packets, &head);
        if turned == packets.len() { turned } else { turned + self.turn_others(&mut packets[turned..], head) }
    }

    /// Those of the last flow.
    #[inline]
    pub(super) fn turn_flow<P>(
        &self,
        packets: &mut [P],
        head: impl Fn(&mut P) -> Option<&mut Head>,
    ) -> usize {
        let (Some(flow), Some(first)) = (&self.flow, packets.first_mut().and_then(&head)) else { return 0 };
        if !flow.may_have(first) {
            return 0;
        }
        match self.kernel.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 | Kind::Avx2 => flow::avx2::turn_flow(flow, packets, head),
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3 => flow::ssse3::turn_flow(flow, packets, head),
            Kind::Portable => 0,
        }
    }

    /// Those of any. Where the first ones are of one flow, it is the last one from now on.
    #[inline(never)]
    fn turn_others<P>(&mut self, packets: &mut [P], head: impl Fn(&mut P) -> Option<&mut Head>) -> usize {
        let eight = packets.first_chunk_mut().and_then(|eight| heads(eight, &head));
        let first = eight.and_then(|eight| flow::are_one(&eight).then(|| *eight[0]));
        let turned = self.turn_alike(packets, &head);
        if let (Some(first), Some(reply), 1..) = (first, packets.first_mut().and_then(head), turned) {
            self.flow = Some(Flow::new(self, &first, reply));
        }
        turned
    }

    #[inline]
    fn turn_alike<P>(&self, packets: &mut [P], head: impl Fn(&mut P) -> Option<&mut Head>) -> usize {
        match self.kernel.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => avx512::turn_front(self, packets, head),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2::turn_front(self, packets, head),
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3 => ssse3::turn_front(self, packets, head),
            Kind::Portable => 0,
        }
    }
}

/// The heads of eight packets, if all of them have one.
#[inline(always)]
fn heads<P>(
    [a, b, c, d, e, f, g, h]: &mut [P; AT_A_TIME],
    head: impl Fn(&mut P) -> Option<&mut Head>,
) -> Option<[&mut Head; AT_A_TIME]> {
    Some([head(a)?, head(b)?, head(c)?, head(d)?, head(e)?, head(f)?, head(g)?, head(h)?])
}

/// A head with such headers, and with the highest bits of biased words.
fn template(headers: &Headers) -> Bytes {
    let mut template = [0; size_of::<Head>()];
    template[..HEADERS_LEN].copy_from_slice(headers);
    let biased = BIASED.into_iter().chain((HEADERS_LEN..template.len()).step_by(2));
    biased.for_each(|at| template[at + 1] ^= 0x80);
    Bytes(template)
}

/// The sum of little-endian words.
fn words(bytes: &[u8]) -> u32 {
    bytes.as_chunks().0.iter().map(|&word| u32::from(u16::from_le_bytes(word))).sum()
}
