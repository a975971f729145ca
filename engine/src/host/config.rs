//! What a host is on its port.

use std::net::{IpAddr, SocketAddr};

use super::addressing::Addressing;
use super::guard::{GuardConfig, Guards};
use super::neighbours;
use super::shared::Sharing;
use super::siphash::HashKey;
use super::udp_ports::UdpPorts;
use crate::port::PortId;
use crate::service::Role;
use crate::wire::ethernet::MacAddress;
use crate::wire::{ipv4, ipv6, udp};

/// The longest IP packet, in bytes, whatever the MTU: what its length field can say.
pub(super) const MAX_PACKET: usize = 65_535;

/// What becomes of fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FragmentPolicy {
    /// They are dropped, and so are datagrams of ours that are longer than the MTU.
    #[default]
    Drop,
    /// They are put together, and datagrams of ours that are longer than the MTU are cut.
    Reassemble,
}

/// What a host is on its port.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Its port.
    pub port: PortId,
    /// Its addresses.
    pub addressing: Addressing,
    /// The UDP ports of its service.
    pub udp_ports: UdpPorts,
    /// Hops that its packets may take.
    pub ttl: u8,
    /// Frames that it takes and sends at a time; at least one.
    pub burst: usize,
    /// Datagrams that its service can send per call.
    pub outbox: usize,
    /// Payloads that its service may have shared at a time.
    pub shared: usize,
    /// What becomes of them.
    pub sharing: Sharing,
    /// Secret key of its tables.
    pub hash_key: HashKey,
    /// It makes sure at the start that nobody else has its IPv6 addresses, which takes a
    /// second, and announces all its addresses then and whenever the link comes up. Of the
    /// hosts on the queues of a port one does. Without, the addresses are used at once.
    pub announces: bool,
    /// What it guards against.
    pub guards: Guards,
    /// What it does with fragments.
    pub fragments: FragmentPolicy,
    /// Neighbours that need not be asked for their addresses, on whichever link they are.
    pub neighbours: Vec<(IpAddr, MacAddress)>,
}

impl HostConfig {
    /// A host of port 0 with these addresses, listening on every UDP port, that announces
    /// nothing; for tests and tools, which change what they want otherwise.
    pub fn new(addressing: Addressing) -> Self {
        Self {
            port: PortId(0),
            addressing,
            udp_ports: UdpPorts::all(),
            ttl: 64,
            burst: 32,
            outbox: 128,
            shared: 0,
            sharing: Sharing::Auto,
            hash_key: HashKey::default(),
            announces: false,
            guards: GuardConfig::default().resolve(Role::Stateless),
            fragments: FragmentPolicy::Drop,
            neighbours: Vec::new(),
        }
    }

    /// Packets that a host with this configuration holds at most beyond its bursts in flight.
    pub fn held(&self) -> usize {
        self.outbox + self.shared + neighbours::HELD
    }
}

/// The longest payloads of datagrams that the MTU allows, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPayload {
    ipv4: usize,
    ipv6: usize,
}

impl MaxPayload {
    /// In bytes, of either family.
    pub(crate) const LONGEST: usize = 65_527;
    /// Whatever the MTU, where the kernel cuts packets: what the length fields can say. That of IPv6
    /// does not count its header (RFC 8200, 3).
    pub(crate) const DATAGRAM: Self = Self { ipv4: 65_507, ipv6: Self::LONGEST };

    pub(super) fn of(mtu: usize) -> Self {
        let less = |header_len| mtu.saturating_sub(header_len + udp::HEADER_LEN);
        Self { ipv4: less(ipv4::HEADER_LEN), ipv6: less(ipv6::HEADER_LEN) }
    }

    /// For a datagram of either family, in bytes.
    pub(crate) fn longest(self) -> usize {
        self.ipv4.max(self.ipv6)
    }

    /// For a datagram to such an end.
    #[inline]
    pub(crate) fn to_end(self, end: &SocketAddr) -> usize {
        if end.is_ipv4() { self.ipv4 } else { self.ipv6 }
    }

    /// For a datagram to such an address.
    #[inline]
    pub(crate) fn to(self, address: IpAddr) -> usize {
        if address.is_ipv4() { self.ipv4 } else { self.ipv6 }
    }
}
