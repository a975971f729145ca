//! The two ends of a packet, of either IP version.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::checksum::Sum;
use crate::wire::ethernet::EtherType;
use crate::wire::protocol::Protocol;
use crate::wire::{ipv4, ipv6};

/// Who sent a packet and whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum Addresses {
    V4 { source: Ipv4Addr, destination: Ipv4Addr },
    V6 { source: Ipv6Addr, destination: Ipv6Addr },
}

impl Addresses {
    /// Those of a packet from `source` to `destination`; `None` if they are of two families.
    pub(in crate::host) fn new(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::V4 { source, destination }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::V6 { source, destination }),
            _ => None,
        }
    }

    #[inline]
    pub(in crate::host) fn source(self) -> IpAddr {
        match self {
            Self::V4 { source, .. } => source.into(),
            Self::V6 { source, .. } => source.into(),
        }
    }

    #[inline]
    pub(in crate::host) fn destination(self) -> IpAddr {
        match self {
            Self::V4 { destination, .. } => destination.into(),
            Self::V6 { destination, .. } => destination.into(),
        }
    }

    /// Those of an answer.
    #[inline]
    pub(in crate::host) fn turned(self) -> Self {
        match self {
            Self::V4 { source, destination } => Self::V4 { source: destination, destination: source },
            Self::V6 { source, destination } => Self::V6 { source: destination, destination: source },
        }
    }

    /// What a frame with such a packet is announced as.
    #[inline]
    pub(in crate::host) fn ether_type(self) -> EtherType {
        match self {
            Self::V4 { .. } => EtherType::IPV4,
            Self::V6 { .. } => EtherType::IPV6,
        }
    }

    /// Their version's ICMP.
    #[inline]
    pub(in crate::host) fn icmp(self) -> Protocol {
        match self {
            Self::V4 { .. } => Protocol::ICMP,
            Self::V6 { .. } => Protocol::ICMPV6,
        }
    }

    /// Length in bytes of the header of a packet of ours with such addresses.
    #[inline]
    pub(in crate::host) fn header_len(self) -> usize {
        match self {
            Self::V4 { .. } => ipv4::HEADER_LEN,
            Self::V6 { .. } => ipv6::HEADER_LEN,
        }
    }

    /// The sum of the pseudo header of `len` bytes that `protocol` carries between them.
    #[inline]
    pub(in crate::host) fn pseudo_header(self, protocol: Protocol, len: usize) -> Sum {
        match self {
            Self::V4 { source, destination } => {
                ipv4::pseudo_header(source, destination, protocol, len as u16)
            }
            Self::V6 { source, destination } => {
                ipv6::pseudo_header(source, destination, protocol, len as u32)
            }
        }
    }
}
