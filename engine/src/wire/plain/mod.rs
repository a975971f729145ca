//! Plain frames, eight at a time: UDP over IPv4 without options in untagged Ethernet, in one
//! piece and for us. They are judged and turned round with vector instructions.
//!
//! [`Expected`] says what a plain frame is. [`Expected::judge`] looks at eight frames at once: the
//! fields of their headers are columns, and a column is compared in one instruction. What it
//! passes is right but for its UDP checksum, of which it says whether it is right where the
//! payload is short. What it does not pass may be right too: a look at the single frame tells.
//! [`Expected::turn`] makes a header into that of the reply.

mod alike;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod judge;
mod kernel;
mod lanes;
mod portable;
#[cfg(target_arch = "x86_64")]
mod ssse3;
#[cfg(test)]
mod tests;
mod turn;

use std::net::Ipv4Addr;

use super::checksum::Sum;
use super::ethernet::MacAddress;
use super::{ethernet, ipv4, udp};
pub use alike::{ALIKE_LENS, Alike, AlikeKind};
use kernel::Kind;
pub use kernel::{KERNEL_VARIABLE, Kernel, NoSuchKernel};

/// Length in bytes of the headers of a plain frame.
pub const HEADERS_LEN: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN + udp::HEADER_LEN;
/// How many frames are judged at a time.
pub const AT_A_TIME: usize = 8;

/// The longest payload in bytes of which the judge verifies the UDP checksum: what is left of a
/// cache line.
pub const SHORT: usize = 64 - HEADERS_LEN;

/// The headers of a frame: those of Ethernet, IPv4 and UDP.
pub type Headers = [u8; HEADERS_LEN];

/// The begin of a frame's buffer: its headers and a short payload, or whatever there is.
pub type Head = [u8; HEADERS_LEN + SHORT];

/// The head of no plain frame: what stands for a frame whose buffer is shorter than that.
pub const NO_HEAD: &Head = &[0; HEADERS_LEN + SHORT];

/// A number for each of eight frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(32))]
pub struct Eight(pub [u32; AT_A_TIME]);

impl Eight {
    const fn all(value: u32) -> Self {
        Self([value; AT_A_TIME])
    }
}

/// Eight frames, or fewer and [`NO_HEAD`] for the others.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    /// Their heads.
    pub heads: [&'a Head; AT_A_TIME],
    /// Their lengths in bytes.
    pub lens: Eight,
}

impl Default for Frames<'_> {
    /// None.
    #[inline]
    fn default() -> Self {
        Self { heads: [NO_HEAD; AT_A_TIME], lens: Eight::default() }
    }
}

/// Who we are, for [`Expected::new`].
#[derive(Clone, Copy, Debug)]
pub struct Station<'a> {
    /// Our MAC address.
    pub mac: MacAddress,
    /// Our addresses.
    pub addresses: &'a [Ipv4Addr],
    /// Addresses that no other host has: ours and those of broadcasts on our links.
    pub impossible_sources: &'a [Ipv4Addr],
    /// The UDP ports that we listen on. Frames to others are not plain, nor are those from these
    /// ports, from those below 1,024 or from port 0. With none, ports are not looked at.
    pub ports: &'a [u16],
    /// The longest IP packet in bytes.
    pub mtu: u16,
    /// Hops that our packets may take.
    pub ttl: u8,
}

/// What plain frames have in common.
#[derive(Clone, Debug)]
pub struct Expected {
    kernel: Kernel,
    pattern: judge::Pattern,
    fresh: turn::Fresh,
    own: Option<alike::Own>,
}

/// What is known of eight frames. The lowest bit of a set is the first frame's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Those that are plain.
    pub plain: u32,
    /// Plain ones of them that have a right UDP checksum. Those with a payload of more than
    /// [`SHORT`] bytes are not among them.
    pub verified: u32,
    /// Plain ones that end with their packet and are no shorter than a frame may be.
    pub whole: u32,
    /// The IPv4 header checksum of each frame's reply, read little-endian.
    pub checksums: Eight,
    /// What [`udp_sum`](Self::udp_sum) gives, as little-endian words summed.
    udp_sums: Eight,
}

impl Expected {
    /// What frames to such a station have in common.
    pub fn new(station: &Station<'_>) -> Self {
        Self {
            kernel: Kernel::best(),
            pattern: judge::Pattern::new(station),
            fresh: turn::Fresh::new(station.mac, station.ttl),
            own: alike::Own::new(station),
        }
    }

    /// The same on another kernel.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// Judges eight frames.
    #[inline]
    pub fn judge(&self, frames: &Frames<'_>, judged: &mut Judged) {
        match self.kernel.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 | Kind::Avx2 => avx2::judge(frames, &self.pattern, judged),
            #[cfg(target_arch = "x86_64")]
            Kind::Ssse3 => ssse3::judge(frames, &self.pattern, judged),
            Kind::Portable => judge::judge::<portable::Portable, true>(frames, &self.pattern, judged),
        }
    }

    /// What plain frames of a kind look like, to have eight of them judged and turned at once. `None` if there
    /// is no such way: for other lengths than [`ALIKE_LENS`], or with more addresses and ports than one.
    pub fn alike(&self, kind: AlikeKind) -> Option<Alike> {
        self.own.as_ref().and_then(|own| Alike::new(own, self.kernel, kind))
    }

    /// Makes the headers of a plain frame into those of its reply: addresses and ports change
    /// places, TTL, identification, fragment field and ECN are fresh ones. `checksum` is what the
    /// judge gave for it. Lengths and UDP checksum stay.
    #[inline]
    pub fn turn(&self, headers: &mut Headers, checksum: u32) {
        self.fresh.turn(headers, checksum);
    }
}

impl Judged {
    /// Those for which `is_plain` is false are not plain.
    #[inline]
    pub fn retain(&mut self, is_plain: impl Fn(usize) -> bool) {
        let plain = (0..AT_A_TIME).fold(0, |set, index| set | u32::from(is_plain(index)) << index);
        self.plain &= plain;
        self.verified &= plain;
        self.whole &= plain;
    }

    /// The sum over the pseudo header and the UDP header of frame `index`: with that over the
    /// payload it is valid if the UDP checksum is right.
    ///
    /// # Panics
    /// If `index` is 8 or more.
    #[inline]
    pub fn udp_sum(&self, index: usize) -> Sum {
        Sum::of_little_endian(self.udp_sums.0[index])
    }
}
