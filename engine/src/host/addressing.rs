//! What is ours on a port: addresses with their links, and UDP ports.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::wire::vlan::VlanId;

/// One of our addresses and the link that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// Leading bits that the hosts of the link share, 0 to 32.
    pub prefix_len: u8,
    /// The VLAN that it lives in; `None` for frames without a tag.
    pub vlan: Option<VlanId>,
}

impl InterfaceAddress {
    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix_len.min(32))).unwrap_or(0)
    }

    /// Whether `other` is on the same link.
    pub fn is_on_link(self, other: Ipv4Addr) -> bool {
        (self.address.to_bits() ^ other.to_bits()) & self.mask() == 0
    }

    /// The link's broadcast address; links of two hosts or one have none (RFC 3021).
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        (self.prefix_len < 31).then(|| Ipv4Addr::from_bits(self.address.to_bits() | !self.mask()))
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)?;
        self.vlan.map_or(Ok(()), |vlan| write!(f, " in VLAN {vlan}"))
    }
}

/// The addresses of a port.
#[derive(Clone, Debug, Default)]
pub struct Addressing {
    addresses: Vec<InterfaceAddress>,
    gateway: Option<Ipv4Addr>,
}

/// A gateway that no address of the port can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway {0} is on no link of ours: it has to lie in the prefix of an --ip address")]
pub struct GatewayOffLink(pub Ipv4Addr);

impl Addressing {
    /// The addresses of a port, and the router for what is on no link of theirs.
    ///
    /// # Errors
    /// [`GatewayOffLink`].
    pub fn new(addresses: Vec<InterfaceAddress>, gateway: Option<Ipv4Addr>) -> Result<Self, GatewayOffLink> {
        match gateway.filter(|&gateway| !addresses.iter().any(|own| own.is_on_link(gateway))) {
            Some(gateway) => Err(GatewayOffLink(gateway)),
            None => Ok(Self { addresses, gateway }),
        }
    }

    /// All of them.
    pub fn addresses(&self) -> &[InterfaceAddress] {
        &self.addresses
    }

    /// Whether `address` is ours in that VLAN.
    #[inline]
    pub(super) fn is_own(&self, vlan: Option<VlanId>, address: Ipv4Addr) -> bool {
        self.addresses.iter().any(|own| own.address == address && own.vlan == vlan)
    }

    /// Whether `address` is ours in some VLAN.
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| IpAddr::V4(own.address) == address)
    }

    /// Whether we have an address in that VLAN.
    pub(super) fn has_vlan(&self, vlan: VlanId) -> bool {
        self.addresses.iter().any(|own| own.vlan == Some(vlan))
    }

    /// Whether it names several hosts, on any link of ours or anywhere.
    pub(super) fn is_group(&self, address: Ipv4Addr) -> bool {
        address.is_multicast()
            || address.is_broadcast()
            || self.addresses.iter().any(|own| own.broadcast() == Some(address))
    }

    /// Whether a packet from `address` can have been sent by another host (RFC 1122,
    /// section 3.2.1.3): it is not zero, loopback, multicast, class E or broadcast, and not ours.
    #[inline]
    pub(super) fn is_possible_source(&self, address: Ipv4Addr) -> bool {
        let [first, ..] = address.octets();
        // 0/8, 127/8, and from 224/4 upwards.
        first.wrapping_sub(1) < 223
            && first != 127
            && !self.addresses.iter().any(|own| own.address == address || own.broadcast() == Some(address))
    }

    /// The way from our address `from` to `to`.
    pub(super) fn route(&self, from: Ipv4Addr, to: Ipv4Addr) -> Option<Route> {
        let own = *self.addresses.iter().find(|own| own.address == from)?;
        let next_hop = if to.is_multicast() || to.is_broadcast() || own.broadcast() == Some(to) {
            NextHop::Group(to)
        } else if own.is_on_link(to) {
            NextHop::Neighbour(to)
        } else {
            NextHop::Neighbour(self.gateway.filter(|&gateway| own.is_on_link(gateway))?)
        };
        Some(Route { vlan: own.vlan, next_hop })
    }
}

/// Where a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) vlan: Option<VlanId>,
    pub(super) next_hop: NextHop,
}

/// Whom it is handed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextHop {
    /// A host on the link, by its address.
    Neighbour(Ipv4Addr),
    /// Many hosts on the link.
    Group(Ipv4Addr),
}

/// The UDP ports that the service listens on: a bit each.
#[derive(Clone)]
pub struct UdpPorts(Box<[u64; 1024]>);

impl UdpPorts {
    /// All ports but 0.
    pub fn all() -> Self {
        let mut ports = Self(Box::new([u64::MAX; 1024]));
        ports.0[0] &= !1;
        ports
    }

    /// Whether it is all ports but 0.
    pub(super) fn is_all(&self) -> bool {
        (1..=u16::MAX).all(|port| self.contains(port))
    }

    /// Whether the service listens on `port`.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port >> 6)] >> (port & 63) & 1 == 1
    }
}

impl FromIterator<u16> for UdpPorts {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut bits = Box::new([0; 1024]);
        for port in ports {
            bits[usize::from(port >> 6)] |= 1 << (port & 63);
        }
        Self(bits)
    }
}

impl fmt::Debug for UdpPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..=u16::MAX).filter(|&port| self.contains(port))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, last)
    }

    fn addressing() -> Addressing {
        let address = InterfaceAddress { address: ip(1), prefix_len: 24, vlan: None };
        Addressing::new(vec![address], Some(ip(254))).expect("on link")
    }

    #[test]
    fn impossible_sources() {
        let own = addressing();
        assert!(own.is_possible_source(ip(2)));
        assert!(own.is_possible_source(Ipv4Addr::new(223, 1, 1, 1)));
        for bad in [
            [0, 0, 0, 0],
            [0, 1, 2, 3],
            [127, 0, 0, 1],
            [224, 0, 0, 1],
            [240, 0, 0, 1],
            [255; 4],
            [10, 77, 0, 255],
            [10, 77, 0, 1],
        ] {
            assert!(!own.is_possible_source(bad.into()), "{bad:?}");
        }
    }

    #[test]
    fn routes_lead_on_link_or_to_the_gateway() {
        let own = addressing();
        let next_hop = |to| own.route(ip(1), to).map(|route| route.next_hop);
        assert_eq!(next_hop(ip(9)), Some(NextHop::Neighbour(ip(9))));
        assert_eq!(next_hop(Ipv4Addr::new(1, 1, 1, 1)), Some(NextHop::Neighbour(ip(254))));
        assert_eq!(next_hop(ip(255)), Some(NextHop::Group(ip(255))));
        assert_eq!(own.route(ip(2), ip(9)), None, "not our address");
        let without = Addressing::new(own.addresses.clone(), None).expect("no gateway");
        assert_eq!(without.route(ip(1), Ipv4Addr::new(1, 1, 1, 1)), None);
    }

    #[test]
    fn a_gateway_has_to_be_on_link() {
        let gateway = Ipv4Addr::new(10, 78, 0, 1);
        assert_eq!(
            Addressing::new(addressing().addresses, Some(gateway)).err(),
            Some(GatewayOffLink(gateway))
        );
    }

    #[test]
    fn prefixes_of_every_length() {
        let with = |prefix_len| InterfaceAddress { address: ip(1), prefix_len, vlan: None };
        assert!(with(0).is_on_link(Ipv4Addr::new(8, 8, 8, 8)));
        assert!(!with(32).is_on_link(ip(2)) && with(32).is_on_link(ip(1)));
        assert!(with(31).is_on_link(ip(0)) && !with(31).is_on_link(ip(2)));
        assert_eq!(with(31).broadcast(), None);
        assert_eq!(with(30).broadcast(), Some(ip(3)));
    }

    #[test]
    fn port_sets() {
        let ports: UdpPorts = [7, 63, 64, 65535].into_iter().collect();
        assert!([7, 63, 64, 65535].iter().all(|&port| ports.contains(port)));
        assert!([0, 8, 62, 66, 65534].iter().all(|&port| !ports.contains(port)));
        assert!(UdpPorts::all().is_all() && !ports.is_all());
        assert!(UdpPorts::all().contains(1) && !UdpPorts::all().contains(0));
    }
}
