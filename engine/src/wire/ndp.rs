//! Neighbour Discovery (RFC 4861): who has an IPv6 address, and under which MAC address.
//!
//! What needs the IP header (hop limit 255, the destination, an unspecified source: RFC 4861,
//! sections 7.1.1 and 7.1.2) and the checksum are the caller's to check.

use std::net::Ipv6Addr;

use super::ethernet::MacAddress;
use super::icmpv6::Kind;

/// Length in bytes of a message without options.
pub const HEADER_LEN: usize = 24;
/// Length in bytes of a message with the one option that we send, a link-layer address.
pub const MAX_LEN: usize = HEADER_LEN + OPTION_LEN;
/// All nodes on the link (RFC 4291, section 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The hop limit of every message: no router lets one with it through (RFC 4861, section 3.1).
pub const HOP_LIMIT: u8 = 255;

/// Length in bytes of a link-layer address option for Ethernet (RFC 2464, section 6), and
/// the unit of the lengths of options.
const OPTION_LEN: usize = 8;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;

const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// Who has the target address? (RFC 4861, section 4.3)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// The address that is asked for.
    pub target: Ipv6Addr,
    /// The MAC address of who asks; `None` while it finds out whether the target is free.
    pub source_link_address: Option<MacAddress>,
}

impl Solicitation {
    /// Reads a message. Options that we don't know are skipped; of a link-layer address that
    /// is there twice the first counts.
    ///
    /// `None` if it is another message or shorter than its header, if its code isn't 0, its
    /// target is a group, one of its options has no length or goes over the end, or the
    /// link-layer address is not the MAC address of one station.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (_, target, options) = parse(message, Kind::NEIGHBOUR_SOLICITATION)?;
        let source_link_address = link_address(options, SOURCE_LINK_ADDRESS)?;
        Some(Self { target, source_link_address })
    }

    /// Writes the message, its checksum zero, to the front of `into`, and gives its length in
    /// bytes: 24, or 32 with a link-layer address.
    pub fn write(&self, into: &mut [u8; MAX_LEN]) -> usize {
        let option = self.source_link_address.map(|mac| (SOURCE_LINK_ADDRESS, mac));
        write(into, Kind::NEIGHBOUR_SOLICITATION, 0, self.target, option)
    }
}

/// The sender has the target address (RFC 4861, section 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The address that the sender has.
    pub target: Ipv6Addr,
    /// The sender is a router.
    pub router: bool,
    /// It answers a solicitation of ours.
    pub solicited: bool,
    /// What was known of the target before is to be replaced.
    pub override_known: bool,
    /// The target's MAC address; `None` if the one that was asked under is said to be right.
    pub target_link_address: Option<MacAddress>,
}

impl Advertisement {
    /// Reads a message. As [`Solicitation::parse`].
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (flags, target, options) = parse(message, Kind::NEIGHBOUR_ADVERTISEMENT)?;
        let target_link_address = link_address(options, TARGET_LINK_ADDRESS)?;
        Some(Self {
            target,
            router: flags & ROUTER != 0,
            solicited: flags & SOLICITED != 0,
            override_known: flags & OVERRIDE != 0,
            target_link_address,
        })
    }

    /// Writes the message. As [`Solicitation::write`].
    pub fn write(&self, into: &mut [u8; MAX_LEN]) -> usize {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags =
            flag(self.router, ROUTER) | flag(self.solicited, SOLICITED) | flag(self.override_known, OVERRIDE);
        let option = self.target_link_address.map(|mac| (TARGET_LINK_ADDRESS, mac));
        write(into, Kind::NEIGHBOUR_ADVERTISEMENT, flags, self.target, option)
    }
}

/// The group that listens for solicitations of `address` (RFC 4291, section 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// The MAC address of a group (RFC 2464, section 7).
pub fn multicast_mac(group: Ipv6Addr) -> MacAddress {
    let [.., a, b, c, d] = group.octets();
    MacAddress([0x33, 0x33, a, b, c, d])
}

/// The address that a station has on its link by its MAC address: fe80::/64 and the modified
/// EUI-64 identifier (RFC 4291, appendix A; RFC 2464, section 5).
pub fn link_local(mac: MacAddress) -> Ipv6Addr {
    const UNIVERSAL: u8 = 0x02;
    let [a, b, c, d, e, f] = mac.0;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ UNIVERSAL, b, c, 0xff, 0xfe, d, e, f])
}

/// The flags, the target and the options of a message of this kind.
fn parse(message: &[u8], kind: Kind) -> Option<(u8, Ipv6Addr, &[u8])> {
    let (header, options) = message.split_first_chunk::<HEADER_LEN>()?;
    let [found, code, _, _, flags, _, _, _, target @ ..] = *header;
    let target = Ipv6Addr::from(target);
    (Kind(found) == kind && code == 0 && !target.is_multicast()).then_some((flags, target, options))
}

/// The first link-layer address of this kind, if there is one; the outer `None` says that
/// the options are no good.
fn link_address(mut options: &[u8], kind: u8) -> Option<Option<MacAddress>> {
    let mut found = None;
    while let [option_kind, eights, ..] = *options {
        let (option, rest) = options.split_at_checked(usize::from(eights) * OPTION_LEN)?;
        if option_kind == kind {
            let [_, _, mac @ ..] = *<&[u8; OPTION_LEN]>::try_from(option).ok()?;
            let mac = Some(MacAddress(mac)).filter(|mac| mac.is_unicast())?;
            found = found.or(Some(mac));
        } else if option.is_empty() {
            return None;
        }
        options = rest;
    }
    options.is_empty().then_some(found)
}

fn write(
    into: &mut [u8; MAX_LEN],
    kind: Kind,
    flags: u8,
    target: Ipv6Addr,
    option: Option<(u8, MacAddress)>,
) -> usize {
    into.fill(0);
    (into[0], into[4]) = (kind.0, flags);
    into[8..HEADER_LEN].copy_from_slice(&target.octets());
    let Some((option, mac)) = option else { return HEADER_LEN };
    (into[24], into[25]) = (option, 1);
    into[26..].copy_from_slice(&mac.0);
    MAX_LEN
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetAddress, Icmpv6Packet, Icmpv6Repr, NdiscNeighborFlags, NdiscRepr, RawHardwareAddress,
    };

    use super::*;

    const MAC: MacAddress = MacAddress([0x02, 0x00, 0x5e, 0x10, 0x20, 0x30]);
    const TARGET: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x0a, 0x0b0c);

    /// A solicitation with the MAC address of who asks, its checksum zero.
    const SOLICITATION: [u8; 32] = [
        135, 0, 0, 0, 0, 0, 0, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0x0b,
        0x0c, //
        1, 1, 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30,
    ];

    fn changed(index: usize, value: u8) -> [u8; 32] {
        let mut message = SOLICITATION;
        message[index] = value;
        message
    }

    fn smoltcp_message(repr: NdiscRepr<'_>) -> Vec<u8> {
        let repr = Icmpv6Repr::Ndisc(repr);
        let mut bytes = vec![0; repr.buffer_len()];
        let packet = &mut Icmpv6Packet::new_unchecked(&mut bytes);
        repr.emit(&TARGET, &TARGET, packet, &ChecksumCapabilities::ignored());
        bytes
    }

    fn hardware(mac: MacAddress) -> RawHardwareAddress {
        EthernetAddress(mac.0).into()
    }

    #[test]
    fn a_solicitation_reads_and_writes() {
        let solicitation = Solicitation { target: TARGET, source_link_address: Some(MAC) };
        assert_eq!(Solicitation::parse(&SOLICITATION), Some(solicitation));
        assert_eq!(Advertisement::parse(&SOLICITATION), None, "another message");
        let mut written = [0xff; MAX_LEN];
        assert_eq!(solicitation.write(&mut written), 32);
        assert_eq!(written, SOLICITATION);
        let probe = Solicitation { target: TARGET, source_link_address: None };
        assert_eq!(probe.write(&mut written), 24);
        assert_eq!(written[..24], SOLICITATION[..24]);
        assert_eq!(Solicitation::parse(&written[..24]), Some(probe));
    }

    #[test]
    fn broken_messages_are_none() {
        for len in (0..24).chain(25..32) {
            assert_eq!(Solicitation::parse(&SOLICITATION[..len]), None, "{len} bytes");
        }
        assert_eq!(Solicitation::parse(&changed(1, 1)), None, "code");
        assert_eq!(Solicitation::parse(&changed(8, 0xff)), None, "a group as the target");
        assert_eq!(Solicitation::parse(&changed(25, 0)), None, "an option without length");
        assert_eq!(Solicitation::parse(&changed(25, 2)), None, "an option over the end");
        assert_eq!(Solicitation::parse(&changed(26, 0x03)), None, "a group's MAC address");
        let mut unknown = changed(24, 14);
        assert!(Solicitation::parse(&unknown).is_some_and(|read| read.source_link_address.is_none()));
        unknown[25] = 0;
        assert_eq!(Solicitation::parse(&unknown), None, "an unknown option without length");
        let long = [&changed(25, 2)[..], &[0; 8]].concat();
        assert_eq!(Solicitation::parse(&long), None, "a MAC address of 14 bytes");
    }

    #[test]
    fn options_are_skipped_and_the_first_address_counts() {
        let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
        let second = [1, 1, 2, 0, 0, 0, 0, 9];
        let message = [&SOLICITATION[..24], &nonce, &SOLICITATION[24..], &second].concat();
        assert_eq!(Solicitation::parse(&message).and_then(|read| read.source_link_address), Some(MAC));
        let targets = changed(24, 2);
        assert_eq!(Solicitation::parse(&targets).map(|read| read.source_link_address), Some(None));
    }

    #[test]
    fn groups_and_addresses_of_the_rfcs() {
        let address: Ipv6Addr = "4037::1:800:200e:8c6c".parse().expect("valid");
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ff0e:8c6c");
        assert_eq!(multicast_mac(solicited_node(address)).to_string(), "33:33:ff:0e:8c:6c");
        assert_eq!(multicast_mac(ALL_NODES).to_string(), "33:33:00:00:00:01");
        // RFC 2464, section 4.
        let mac: MacAddress = "34:56:78:9a:bc:de".parse().expect("valid");
        assert_eq!(link_local(mac).to_string(), "fe80::3656:78ff:fe9a:bcde");
        assert_eq!(ALL_NODES.to_string(), "ff02::1");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            kind in prop_oneof![Just(135), Just(136)], mut bytes in vec(any::<u8>(), 0..80), short: bool,
        ) {
            if let [found, code, ..] = &mut bytes[..] {
                (*found, *code) = (kind, 0);
            }
            // Options that are short enough to be read one behind the other.
            for option in bytes.iter_mut().skip(25).step_by(8).filter(|_| short) {
                *option &= 3;
            }
            // Options of routers have lengths of their own, which smoltcp looks at and we don't.
            for kind in bytes.iter_mut().skip(24).step_by(8).filter(|kind| matches!(kind, 3..=5)) {
                *kind = 14;
            }
            let read = Solicitation::parse(&bytes).is_some() || Advertisement::parse(&bytes).is_some();
            if read {
                let packet = Icmpv6Packet::new_checked(&bytes[..]).expect("smoltcp takes it too");
                prop_assert!(NdiscRepr::parse(&packet).is_ok());
            }
        }

        #[test]
        fn a_written_message_reads_back_and_smoltcp_writes_the_same(
            target: [u8; 16], mac in any::<Option<[u8; 6]>>(), router: bool, solicited: bool, override_known: bool,
        ) {
            let target_addr = Ipv6Addr::from(target);
            let mac = mac.map(MacAddress).filter(|mac| mac.is_unicast());
            let target = target_addr;
            prop_assume!(!target.is_multicast());
            let solicitation = Solicitation { target, source_link_address: mac };
            let mut bytes = [0xff; MAX_LEN];
            let len = solicitation.write(&mut bytes);
            prop_assert_eq!(Solicitation::parse(&bytes[..len]), Some(solicitation));
            let theirs = NdiscRepr::NeighborSolicit { target_addr, lladdr: mac.map(hardware) };
            prop_assert_eq!(&bytes[..len], &smoltcp_message(theirs)[..]);

            let advertisement =
                Advertisement { target, router, solicited, override_known, target_link_address: mac };
            let len = advertisement.write(&mut bytes);
            prop_assert_eq!(Advertisement::parse(&bytes[..len]), Some(advertisement));
            let mut flags = NdiscNeighborFlags::empty();
            flags.set(NdiscNeighborFlags::ROUTER, router);
            flags.set(NdiscNeighborFlags::SOLICITED, solicited);
            flags.set(NdiscNeighborFlags::OVERRIDE, override_known);
            let theirs = NdiscRepr::NeighborAdvert { flags, target_addr, lladdr: mac.map(hardware) };
            prop_assert_eq!(&bytes[..len], &smoltcp_message(theirs)[..]);
        }
    }
}
