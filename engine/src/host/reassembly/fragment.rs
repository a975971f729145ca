//! A fragment as it comes, and what can be said of it alone.

use std::net::IpAddr;

use super::{MAX_LEN, Reason};

/// Length in bytes of an IPv6 header and a fragment header, which are no part of the payload
/// length of the packet that was cut.
const IPV6_HEADERS_LEN: usize = 40 + 8;
/// Extension headers of a first fragment that are walked at most.
const MAX_EXTENSIONS: usize = 8;
/// Length in bytes of the headers of UDP and ICMP, and of what all others begin with.
const UPPER_HEADER_LEN: usize = 8;

/// A fragment of a datagram for one of our addresses. One that is no fragment (RFC 6946's
/// atomic ones) is not brought here.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct Fragment<'a> {
    /// The VLANs that it came by, as a number of the host's choice.
    pub(in crate::host) link: u32,
    pub(in crate::host) source: IpAddr,
    pub(in crate::host) destination: IpAddr,
    /// What it says that the datagram carries (on IPv6 the fragment header's next header).
    pub(in crate::host) protocol: u8,
    /// Of 16 bits on IPv4.
    pub(in crate::host) identification: u32,
    /// The traffic class with the congestion bits cleared.
    pub(in crate::host) differentiated_services: u8,
    /// Where its payload stands in the datagram's, in bytes.
    pub(in crate::host) offset: usize,
    /// Whether others follow.
    pub(in crate::host) more: bool,
    /// All that precedes its payload, from the IP header on: options, extension headers and
    /// the fragment header too.
    pub(in crate::host) header: &'a [u8],
    pub(in crate::host) payload: &'a [u8],
}

/// What the fragments of a datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) struct Key {
    pub(super) identification: u32,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) link: u32,
    /// `None` on IPv6, where only the first fragment's word counts.
    protocol: Option<u8>,
}

impl Key {
    /// Whether the other datagram is of the same source: of IPv6 the same /64, in which one
    /// machine has all the addresses that it likes.
    pub(super) fn has_source_of(&self, other: &Self) -> bool {
        match (self.source, other.source) {
            (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() >> 64 == other.to_bits() >> 64,
            (one, other) => one == other,
        }
    }
}

impl Fragment<'_> {
    pub(super) fn key(&self) -> Key {
        Key {
            identification: self.identification,
            source: self.source,
            destination: self.destination,
            link: self.link,
            protocol: self.source.is_ipv4().then_some(self.protocol),
        }
    }

    /// Where its payload ends in the datagram's, in bytes.
    pub(super) fn end(&self) -> usize {
        self.offset.saturating_add(self.payload.len())
    }

    /// Checks all that does not depend on other fragments.
    pub(super) fn check(&self) -> Result<(), Reason> {
        let is_aligned =
            self.offset.is_multiple_of(8) && (!self.more || self.payload.len().is_multiple_of(8));
        if self.payload.is_empty() || !is_aligned {
            return Err(Reason::Malformed);
        }
        if self.counted_header_len() + self.end() > MAX_LEN {
            return Err(Reason::TooLong);
        }
        if self.offset == 0 && !self.reaches_upper_header() {
            return Err(Reason::HeaderChain);
        }
        Ok(())
    }

    /// How many bytes of its header count for the longest packet: an IPv4 header, or the
    /// extension headers of an IPv6 packet that stand before the fragment header.
    fn counted_header_len(&self) -> usize {
        let outside = if self.source.is_ipv4() { 0 } else { IPV6_HEADERS_LEN };
        self.header.len().saturating_sub(outside)
    }

    /// Whether a first fragment has all extension headers, and the first 8 bytes of what they
    /// lead to.
    fn reaches_upper_header(&self) -> bool {
        let mut rest = self.payload;
        if self.source.is_ipv4() {
            return rest.len() >= UPPER_HEADER_LEN;
        }
        let mut next = self.protocol;
        for _ in 0..MAX_EXTENSIONS {
            let Some(&[following, units]) = rest.first_chunk() else { return false };
            let len = match next {
                // Hop-by-hop, routing and destination options (RFC 8200, section 4).
                0 | 43 | 60 => (usize::from(units) + 1) * 8,
                // Authentication (RFC 4302).
                51 => (usize::from(units) + 2) * 4,
                // A fragment of a fragment.
                44 => return false,
                _ => return rest.len() >= UPPER_HEADER_LEN,
            };
            let Some(behind) = rest.get(len..) else { return false };
            (next, rest) = (following, behind);
        }
        false
    }
}
