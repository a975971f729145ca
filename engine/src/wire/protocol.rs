//! What an IP packet carries: the numbers that IPv4 and IPv6 share.

/// What follows an IP header or an IPv6 extension header (IANA's protocol numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(pub u8);

impl Protocol {
    /// IPv6 hop-by-hop options (RFC 8200, section 4.3).
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP (RFC 792).
    pub const ICMP: Self = Self(1);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// An IPv6 routing header (RFC 8200, section 4.4).
    pub const ROUTING: Self = Self(43);
    /// An IPv6 fragment header (RFC 8200, section 4.5).
    pub const FRAGMENT: Self = Self(44);
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows (RFC 8200, section 4.7).
    pub const NO_NEXT_HEADER: Self = Self(59);
    /// IPv6 destination options (RFC 8200, section 4.6).
    pub const DESTINATION_OPTIONS: Self = Self(60);
}
