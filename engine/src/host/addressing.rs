//! What is ours on a port: addresses and the links that they are on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::wire::ethernet::MacAddress;
use crate::wire::ndp;
use crate::wire::vlan::Vlans;

/// The prefix that hosts of a link have in common in their link-local addresses.
const LINK_LOCAL_PREFIX_LEN: u8 = 64;

/// One of our addresses and the link that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// Leading bits that the hosts of the link share, 0 to 32 or 0 to 128.
    pub prefix_len: u8,
    /// The VLAN tags of the link's frames.
    pub vlans: Vlans,
}

impl InterfaceAddress {
    /// Whether `other` is on the same link.
    pub fn is_on_link(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()) & self.ipv4_mask() == 0,
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()) & self.ipv6_mask() == 0,
            _ => false,
        }
    }

    /// The link's broadcast address. IPv6 has none, nor have links of two hosts or one (RFC 3021).
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(own) if self.prefix_len < 31 => {
                Some(Ipv4Addr::from_bits(own.to_bits() | !self.ipv4_mask()))
            }
            _ => None,
        }
    }

    fn ipv4_mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix_len.min(32))).unwrap_or(0)
    }

    fn ipv6_mask(self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.prefix_len.min(128))).unwrap_or(0)
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)?;
        if self.vlans == Vlans::NONE { Ok(()) } else { write!(f, " in VLAN {}", self.vlans) }
    }
}

/// Whether an address may be used yet (RFC 4862, section 5.4). The hosts on the queues of a
/// port share it.
#[derive(Clone, Debug, Default)]
pub(super) struct State(Arc<AtomicU8>);

const USABLE: u8 = 0;
const TENTATIVE: u8 = 1;
const DUPLICATE: u8 = 2;

impl State {
    #[inline]
    pub(super) fn is_usable(&self) -> bool {
        self.0.load(Relaxed) == USABLE
    }

    pub(super) fn is_tentative(&self) -> bool {
        self.0.load(Relaxed) == TENTATIVE
    }

    pub(super) fn is_duplicate(&self) -> bool {
        self.0.load(Relaxed) == DUPLICATE
    }

    pub(super) fn set_tentative(&self) {
        self.0.store(TENTATIVE, Relaxed);
    }

    /// Somebody else has the address. `false` if it was found to be ours before, or that it is not.
    pub(super) fn set_duplicate(&self) -> bool {
        self.0.compare_exchange(TENTATIVE, DUPLICATE, Relaxed, Relaxed).is_ok()
    }

    /// Nobody else has the address, unless that was found out in the meantime.
    pub(super) fn settle(&self) {
        let _ = self.0.compare_exchange(TENTATIVE, USABLE, Relaxed, Relaxed);
    }
}

/// An IPv4 address of ours, ready to be compared with.
#[derive(Clone, Copy, Debug)]
struct Own4 {
    address: Ipv4Addr,
    vlans: Vlans,
    broadcast: Option<Ipv4Addr>,
}

/// An IPv6 address of ours.
#[derive(Clone, Debug)]
pub(super) struct Own6 {
    pub(super) address: Ipv6Addr,
    pub(super) vlans: Vlans,
    pub(super) state: State,
}

/// The addresses of a port. Clones share what is found out about them.
#[derive(Clone, Debug, Default)]
pub struct Addressing {
    addresses: Vec<InterfaceAddress>,
    ipv4: Vec<Own4>,
    ipv6: Vec<Own6>,
    gateways: Vec<IpAddr>,
}

/// A gateway that no address of the port can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway {0} is on no link of ours: it has to lie in the prefix of an --ip address")]
pub struct GatewayOffLink(pub IpAddr);

impl Addressing {
    /// The addresses of a port, and the routers for what is on no link of theirs.
    ///
    /// # Errors
    /// [`GatewayOffLink`].
    pub fn new(addresses: Vec<InterfaceAddress>, gateways: Vec<IpAddr>) -> Result<Self, GatewayOffLink> {
        let mut addressing = Self { gateways, ..Self::default() };
        addresses.into_iter().for_each(|own| addressing.add(own));
        match addressing.gateways.iter().find(|&&gateway| !addressing.reaches(gateway)) {
            Some(&gateway) => Err(GatewayOffLink(gateway)),
            None => Ok(addressing),
        }
    }

    /// Gives every link that has an IPv6 address a link-local one too, as every host has
    /// (RFC 4291, section 2.8): the one made of `mac`, unless it has one already.
    pub fn add_link_locals(&mut self, mac: MacAddress) {
        let address = ndp::link_local(mac);
        let links: Vec<_> = self.ipv6.iter().map(|own| own.vlans).collect();
        for vlans in links {
            let has_one = |own: &Own6| own.vlans == vlans && own.address.is_unicast_link_local();
            if !self.ipv6.iter().any(has_one) {
                let prefix_len = LINK_LOCAL_PREFIX_LEN;
                self.add(InterfaceAddress { address: address.into(), prefix_len, vlans });
            }
        }
    }

    fn add(&mut self, own: InterfaceAddress) {
        self.addresses.push(own);
        let vlans = own.vlans;
        match own.address {
            IpAddr::V4(address) => self.ipv4.push(Own4 { address, vlans, broadcast: own.broadcast() }),
            IpAddr::V6(address) => self.ipv6.push(Own6 { address, vlans, state: State::default() }),
        }
    }

    /// All of them.
    pub fn addresses(&self) -> &[InterfaceAddress] {
        &self.addresses
    }

    /// Whether it is known of every address that it may be used, or not.
    pub fn is_settled(&self) -> bool {
        !self.ipv6.iter().any(|own| own.state.is_tentative())
    }

    /// The addresses that another host turned out to have.
    pub fn duplicates(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.ipv6.iter().filter(|own| own.state.is_duplicate()).map(|own| own.address)
    }

    /// Whether a gateway can lie on one of the links. A link-local one can where IPv6 is spoken.
    fn reaches(&self, gateway: IpAddr) -> bool {
        let is_link_local = matches!(gateway, IpAddr::V6(address) if address.is_unicast_link_local());
        self.addresses.iter().any(|own| own.is_on_link(gateway)) || (is_link_local && !self.ipv6.is_empty())
    }

    /// The IPv6 addresses with what is known of them.
    pub(super) fn ipv6(&self) -> &[Own6] {
        &self.ipv6
    }

    /// Whether `address` is ours in that VLAN.
    #[inline]
    pub(super) fn is_own_ipv4(&self, vlans: Vlans, address: Ipv4Addr) -> bool {
        self.ipv4.iter().any(|own| own.address == address && own.vlans == vlans)
    }

    /// Our IPv4 addresses in no VLAN.
    pub(super) fn untagged_ipv4(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.ipv4.iter().filter(|own| own.vlans == Vlans::NONE).map(|own| own.address)
    }

    /// IPv4 addresses that no other host on our links has: our own and those of broadcasts.
    pub(super) fn impossible_ipv4_sources(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.ipv4.iter().flat_map(|own| [Some(own.address), own.broadcast]).flatten()
    }

    /// Our address of that name in that VLAN, usable or not.
    #[inline]
    pub(super) fn own_ipv6(&self, vlans: Vlans, address: Ipv6Addr) -> Option<&Own6> {
        self.ipv6.iter().find(|own| own.address == address && own.vlans == vlans)
    }

    /// Whether `address` is ours in some VLAN.
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.address == address)
    }

    /// Whether we have an address in that VLAN.
    pub(super) fn has_link(&self, vlans: Vlans) -> bool {
        self.addresses.iter().any(|own| own.vlans == vlans)
    }

    /// Whether it names several hosts, on any link of ours or anywhere.
    pub(super) fn is_group(&self, address: Ipv4Addr) -> bool {
        address.is_multicast()
            || address.is_broadcast()
            || self.ipv4.iter().any(|own| own.broadcast == Some(address))
    }

    /// Whether a packet from `address` can have been sent by another host (RFC 1122,
    /// section 3.2.1.3): it is not zero, loopback, multicast, class E or broadcast, and not ours.
    #[inline]
    pub(super) fn is_possible_source(&self, address: Ipv4Addr) -> bool {
        let [first, ..] = address.octets();
        // 0/8, 127/8, and from 224/4 upwards.
        first.wrapping_sub(1) < 223
            && first != 127
            && !self.ipv4.iter().any(|own| own.address == address || own.broadcast == Some(address))
    }

    /// Whether a packet from `address` can have been sent by another host: it is not
    /// unspecified, loopback or multicast (RFC 4291, section 2.5 and 2.7), not an IPv4 address
    /// in IPv6 clothes, which never crosses a wire, and not ours. One that another host turned
    /// out to have is that host's.
    #[inline]
    pub(super) fn is_possible_source_ipv6(&self, address: Ipv6Addr) -> bool {
        // ::/128, ::1/128 and ::ffff:0:0/96 all begin with ten bytes of zeros.
        let [first, ..] = address.octets();
        let is_low =
            address.to_bits() >> 48 == 0 && (address.to_bits() <= 1 || address.to_ipv4_mapped().is_some());
        let is_ours = |own: &Own6| own.address == address && !own.state.is_duplicate();
        first != 0xff && !is_low && !self.ipv6.iter().any(is_ours)
    }

    /// Whether `address` names the routers of a link of ours, whichever is nearest (RFC 4291,
    /// section 2.6.1). Links of two hosts have no such address (RFC 6164).
    pub(super) fn is_router_anycast(&self, address: IpAddr) -> bool {
        let IpAddr::V6(address) = address else { return false };
        let names_link = |own: &InterfaceAddress| {
            own.prefix_len < 127
                && own.is_on_link(address.into())
                && address.to_bits() & !own.ipv6_mask() == 0
        };
        self.addresses.iter().any(names_link)
    }

    /// The way from our address `from` to `to`.
    pub(super) fn route(&self, from: IpAddr, to: IpAddr) -> Option<Route> {
        let own = *self.addresses.iter().find(|own| own.address == from)?;
        if from.is_ipv4() != to.is_ipv4() || !self.may_send_from(own) {
            return None;
        }
        let is_broadcast = |to: Ipv4Addr| to.is_broadcast() || own.broadcast() == Some(to);
        let is_group = to.is_multicast() || matches!(to, IpAddr::V4(to) if is_broadcast(to));
        let on_link =
            |to| self.addresses.iter().any(|other| other.vlans == own.vlans && other.is_on_link(to));
        let next_hop = if is_group {
            NextHop::Group(to)
        } else if on_link(to) {
            NextHop::Neighbour(to)
        } else {
            let is_usable = |gateway: IpAddr| gateway.is_ipv4() == to.is_ipv4() && on_link(gateway);
            NextHop::Neighbour(*self.gateways.iter().find(|&&gateway| is_usable(gateway))?)
        };
        Some(Route { vlans: own.vlans, next_hop })
    }

    fn may_send_from(&self, own: InterfaceAddress) -> bool {
        match own.address {
            IpAddr::V4(_) => true,
            IpAddr::V6(address) => self.own_ipv6(own.vlans, address).is_some_and(|own| own.state.is_usable()),
        }
    }
}

/// Where a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) vlans: Vlans,
    pub(super) next_hop: NextHop,
}

/// Whom it is handed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextHop {
    /// A host on the link, by its address.
    Neighbour(IpAddr),
    /// Many hosts on the link.
    Group(IpAddr),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [10, 77, 0, last].into()
    }

    fn ip6(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn at(address: IpAddr, prefix_len: u8) -> InterfaceAddress {
        InterfaceAddress { address, prefix_len, vlans: Vlans::NONE }
    }

    fn addressing() -> Addressing {
        let own = vec![at(ip(1), 24), at(ip6("fd00::1"), 64)];
        Addressing::new(own, vec![ip(254), ip6("fd00::fe")]).expect("on link")
    }

    #[test]
    fn impossible_sources() {
        let own = addressing();
        let possible = |address: [u8; 4]| own.is_possible_source(address.into());
        assert!(possible([10, 77, 0, 2]) && possible([223, 1, 1, 1]));
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
            assert!(!possible(bad), "{bad:?}");
        }
    }

    #[test]
    fn impossible_ipv6_sources() {
        let own = addressing();
        let possible = |text: &str| own.is_possible_source_ipv6(text.parse().expect("an address"));
        for good in ["fd00::2", "fe80::2", "2001:db8::1", "::2", "64:ff9b::a4d:2"] {
            assert!(possible(good), "{good}");
        }
        for bad in ["::", "::1", "ff02::1", "::ffff:10.77.0.2", "fd00::1"] {
            assert!(!possible(bad), "{bad}");
        }
        own.ipv6()[0].state.set_tentative();
        assert!(!possible("fd00::1"), "it may be ours");
        assert!(own.ipv6()[0].state.set_duplicate());
        assert!(possible("fd00::1"), "it is another host's");
    }

    #[test]
    fn the_routers_of_a_link_have_an_address_together() {
        let mut own = addressing();
        own.add(at(ip6("fd01::2"), 127));
        assert!(own.is_router_anycast(ip6("fd00::")));
        for other in ["fd00::2", "fd00::1:0:0:0:0", "fd02::", "fd01::2"] {
            assert!(!own.is_router_anycast(ip6(other)), "{other}");
        }
        assert!(!own.is_router_anycast(ip(0)), "an IPv4 link has none");
    }

    #[test]
    fn routes_lead_on_link_or_to_the_gateway() {
        let own = addressing();
        let next_hop = |to| own.route(ip(1), to).map(|route| route.next_hop);
        assert_eq!(next_hop(ip(9)), Some(NextHop::Neighbour(ip(9))));
        assert_eq!(next_hop([1, 1, 1, 1].into()), Some(NextHop::Neighbour(ip(254))));
        assert_eq!(next_hop(ip(255)), Some(NextHop::Group(ip(255))));
        assert_eq!(next_hop(ip6("fd00::2")), None, "of another family");
        assert_eq!(own.route(ip(2), ip(9)), None, "not our address");
        let without = Addressing::new(own.addresses.clone(), Vec::new()).expect("no gateway");
        assert_eq!(without.route(ip(1), [1, 1, 1, 1].into()), None);
    }

    #[test]
    fn ipv6_routes_lead_on_link_or_to_the_gateway() {
        let own = addressing();
        let next_hop = |to| own.route(ip6("fd00::1"), ip6(to)).map(|route| route.next_hop);
        assert_eq!(next_hop("fd00::9"), Some(NextHop::Neighbour(ip6("fd00::9"))));
        assert_eq!(next_hop("2001:db8::1"), Some(NextHop::Neighbour(ip6("fd00::fe"))));
        assert_eq!(next_hop("ff02::1"), Some(NextHop::Group(ip6("ff02::1"))));
        own.ipv6()[0].state.set_tentative();
        assert_eq!(next_hop("fd00::9"), None, "not before it is known to be ours alone");
        assert!(!own.is_settled());
        own.ipv6()[0].state.settle();
        assert!(own.is_settled() && next_hop("fd00::9").is_some());
    }

    #[test]
    fn every_link_gets_one_link_local_address() {
        let mut own = addressing();
        let mac = MacAddress([2, 0, 0, 0, 0, 1]);
        (0..2).for_each(|_| own.add_link_locals(mac));
        let expected: Vec<_> = [ip6("fd00::1"), ip6("fe80::ff:fe00:1")].into();
        assert_eq!(own.ipv6().iter().map(|own| IpAddr::V6(own.address)).collect::<Vec<_>>(), expected);
        let router = Addressing::new(vec![at(ip6("fd00::1"), 64)], vec![ip6("fe80::1")]);
        let mut own = router.expect("a router is mostly known by its link-local address");
        own.add_link_locals(mac);
        let route = own.route(ip6("fd00::1"), ip6("2001:db8::1")).expect("by the router");
        assert_eq!(route.next_hop, NextHop::Neighbour(ip6("fe80::1")));
    }

    #[test]
    fn a_duplicate_stays_one() {
        let own = addressing();
        let clone = own.clone();
        let state = &clone.ipv6()[0].state;
        state.set_tentative();
        assert!(state.set_duplicate() && !state.set_duplicate());
        state.settle();
        assert_eq!(own.duplicates().map(IpAddr::V6).collect::<Vec<_>>(), [ip6("fd00::1")]);
    }

    #[test]
    fn a_gateway_has_to_be_on_link() {
        for gateway in [IpAddr::from([10, 78, 0, 1]), ip6("fd01::1")] {
            assert_eq!(
                Addressing::new(addressing().addresses, vec![gateway]).err(),
                Some(GatewayOffLink(gateway))
            );
        }
    }

    #[test]
    fn prefixes_of_every_length() {
        let with = |prefix_len| at(ip(1), prefix_len);
        assert!(with(0).is_on_link([8, 8, 8, 8].into()));
        assert!(!with(32).is_on_link(ip(2)) && with(32).is_on_link(ip(1)));
        assert!(with(31).is_on_link(ip(0)) && !with(31).is_on_link(ip(2)));
        assert_eq!(with(31).broadcast(), None);
        assert_eq!(with(30).broadcast(), Some([10, 77, 0, 3].into()));
        let with = |prefix_len| at(ip6("fd00::1"), prefix_len);
        assert!(with(0).is_on_link(ip6("2001:db8::1")));
        assert!(!with(128).is_on_link(ip6("fd00::2")) && with(127).is_on_link(ip6("fd00::")));
    }
}
