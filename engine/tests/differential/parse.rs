//! How we read the frames of the suite, and changed ones, against etherparse: the same
//! verdict on lengths, and the same fields.

use std::sync::LazyLock;

use etherparse::{ArpPacketSlice, IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, SingleVlanSlice, UdpSlice};
use gannet::wire::ethernet::{self, EtherType};
use gannet::wire::vlan::VlanId;
use gannet::wire::{arp, ipv4, ipv6, udp, vlan};
use proptest::prelude::*;
use proptest::sample::Index;

use super::frames::{suite, tagged};
use super::parse6::{compare_extensions, compare_icmpv6};

static FRAMES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| suite().into_iter().chain(tagged()).flat_map(|case| case.frames).collect());

#[test]
fn every_frame_of_the_suite_reads_as_etherparse_reads_it() {
    let read = FRAMES
        .iter()
        .map(|frame| compare(frame))
        .fold(Layers::default(), |read, layers| std::array::from_fn(|index| read[index] + layers[index]));
    // Each comparison has seen what is valid, many times.
    assert!(read.iter().all(|&count| count > 500), "IPv4, IPv6, UDP, ICMPv6: {read:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A few bytes of a frame changed, most of them in its headers, and its end cut off.
    #[test]
    fn changed_frames_read_as_etherparse_reads_them(
        frame: Index,
        changes in prop::collection::vec((14..80_usize, any::<u8>()), 0..5),
        end in prop::option::of(any::<Index>()),
    ) {
        let mut frame = frame.get(&FRAMES).clone();
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        if let Some(end) = end {
            frame.truncate(end.index(frame.len() + 1));
        }
        compare(&frame);
    }
}

/// How many IPv4 packets, IPv6 packets, datagrams and ICMPv6 messages both found valid.
type Layers = [usize; 4];

fn compare(frame: &[u8]) -> Layers {
    let Some((link, rest)) = compare_links(frame) else { return Layers::default() };
    let Some((ether_type, rest)) = compare_tags(link, rest) else { return Layers::default() };
    match ether_type {
        EtherType::ARP => {
            compare_arp(rest);
            Layers::default()
        }
        EtherType::IPV4 => compare_ipv4(rest).map_or(Layers::default(), |datagrams| [1, 0, datagrams, 0]),
        EtherType::IPV6 => compare_ipv6(rest).unwrap_or_default(),
        _ => Layers::default(),
    }
}

fn compare_links(frame: &[u8]) -> Option<(EtherType, &[u8])> {
    let (ours, theirs) =
        (ethernet::Header::split(frame), etherparse::Ethernet2Slice::from_slice_without_fcs(frame));
    let (Some((ours, rest)), Ok(theirs)) = (&ours, &theirs) else {
        assert_eq!(ours.is_some(), theirs.is_ok(), "{frame:02x?}");
        return None;
    };
    assert_eq!((ours.destination().0, ours.source().0), (theirs.destination(), theirs.source()));
    assert_eq!(ours.ether_type().0, theirs.ether_type().0);
    assert_eq!(*rest, theirs.payload_slice());
    Some((ours.ether_type(), rest))
}

/// Gives what is behind the tags, if there are some and both find them fit for a host.
fn compare_tags(ether_type: EtherType, bytes: &[u8]) -> Option<(EtherType, &[u8])> {
    let ours = vlan::split(ether_type, bytes);
    let theirs = tags(ether_type, bytes).filter(|(tags, ..)| are_for_a_host(tags));
    let (Ok(ours), Some((tags, ether_type, rest))) = (&ours, theirs.as_ref()) else {
        assert_eq!(ours.is_ok(), theirs.is_some(), "{bytes:02x?}");
        return None;
    };
    // Identifier 0 is a priority and no VLAN.
    let named: Vec<_> = tags.iter().map(|&(_, id)| id).filter(|&id| id != 0).collect();
    assert_eq!(ours.vlans.iter().map(VlanId::number).collect::<Vec<_>>(), named);
    assert_eq!((ours.ether_type, ours.payload, ours.tags_len), (*ether_type, *rest, 4 * tags.len()));
    Some((ours.ether_type, ours.payload))
}

/// Which EtherType announced a tag, and its identifier.
type ReadTag = (EtherType, u16);

/// Tags up to the third and what follows, as etherparse reads them.
fn tags(mut ether_type: EtherType, mut rest: &[u8]) -> Option<(Vec<ReadTag>, EtherType, &[u8])> {
    let mut tags = Vec::new();
    while matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) && tags.len() < 3 {
        let tag = SingleVlanSlice::from_slice(rest).ok()?;
        tags.push((ether_type, tag.vlan_identifier().value()));
        (ether_type, rest) = (EtherType(tag.ether_type().0), &rest[4..]);
    }
    Some((tags, ether_type, rest))
}

/// Tags that a host may be addressed by: up to two, a service tag only around another, and
/// none with the reserved identifier.
fn are_for_a_host(tags: &[ReadTag]) -> bool {
    let is_reserved = tags.iter().any(|&(_, id)| id == 0xfff);
    let is_usable = match *tags {
        [] | [(EtherType::VLAN, _)] => true,
        // A service tag's VLAN is another than the 802.1Q VLAN of this number.
        [(EtherType::SERVICE_VLAN, outer), (EtherType::VLAN, inner)] => outer == 0 || inner != 0,
        [(EtherType::VLAN, _), (EtherType::VLAN, _)] => true,
        _ => false,
    };
    is_usable && !is_reserved
}

fn compare_arp(bytes: &[u8]) {
    let ours = arp::Packet::parse(bytes);
    let theirs =
        ArpPacketSlice::from_slice(bytes).ok().and_then(|packet| packet.to_packet().try_eth_ipv4().ok());
    let (Some(ours), Some(theirs)) = (&ours, &theirs) else {
        assert_eq!(ours.is_some(), theirs.is_some(), "{bytes:02x?}");
        return;
    };
    assert_eq!(ours.operation.0, theirs.operation.0);
    assert_eq!((ours.sender_mac.0, ours.target_mac.0), (theirs.sender_mac, theirs.target_mac));
    assert_eq!((ours.sender_ip.octets(), ours.target_ip.octets()), (theirs.sender_ipv4, theirs.target_ipv4));
}

/// Gives how many datagrams were valid in a packet that was.
fn compare_ipv4(bytes: &[u8]) -> Option<usize> {
    let ours = ipv4::Packet::parse(bytes);
    // etherparse looks at lengths and at the bytes that are there in two steps.
    let theirs = Ipv4HeaderSlice::from_slice(bytes).ok().and_then(|header| {
        let payload = bytes.get(header.slice().len()..usize::from(header.total_len()))?;
        Some((header, payload))
    });
    let (Ok(ours), Some((header, payload))) = (&ours, &theirs) else {
        assert_eq!(ours.is_ok(), theirs.is_some(), "{bytes:02x?}");
        return None;
    };
    let fixed = header.to_header();
    assert_eq!(
        (ours.header_len(), ours.total_len()),
        (header.slice().len(), usize::from(header.total_len()))
    );
    assert_eq!((ours.source(), ours.destination()), (header.source_addr(), header.destination_addr()));
    assert_eq!(ours.protocol().0, header.protocol().0);
    assert_eq!(ours.differentiated_services(), header.dcp().value() << 2);
    assert_eq!(ours.is_fragment(), header.is_fragmenting_payload(), "{bytes:02x?}");
    // etherparse computes it from the fields that it knows, which the reserved flag isn't.
    let is_reserved_clear = bytes[6] & 0x80 == 0;
    let is_right = is_same_checksum(fixed.calc_header_checksum(), fixed.header_checksum);
    assert!(!is_reserved_clear || ours.is_checksum_valid() == is_right, "{bytes:02x?}");
    assert_eq!(ours.payload(), *payload);
    let sum = |len| ipv4::pseudo_header(ours.source(), ours.destination(), ipv4::Protocol::UDP, len);
    let is_udp = header.protocol() == IpNumber::UDP && !ours.is_fragment();
    let datagram = is_udp.then(|| compare_udp(payload)).flatten();
    if let Some((ours, theirs)) = &datagram {
        let right = theirs.to_header().calc_checksum_ipv4_raw(
            header.source(),
            header.destination(),
            theirs.payload(),
        );
        expect_checksum(*ours, sum(ours.len()), right.expect("not too long"));
    }
    Some(datagram.iter().count())
}

/// Gives what was valid in a packet that was itself, with its extension headers.
fn compare_ipv6(bytes: &[u8]) -> Option<Layers> {
    let ours = ipv6::Packet::parse(bytes);
    let theirs = Ipv6HeaderSlice::from_slice(bytes).ok().and_then(|header| {
        let payload = bytes.get(40..40 + usize::from(header.payload_length()))?;
        Some((header, payload))
    });
    let (Ok(ours), Some((header, payload))) = (&ours, &theirs) else {
        assert_eq!(ours.is_ok(), theirs.is_some(), "{bytes:02x?}");
        return None;
    };
    assert_eq!((ours.source(), ours.destination()), (header.source_addr(), header.destination_addr()));
    assert_eq!((ours.next_header().0, ours.hop_limit()), (header.next_header().0, header.hop_limit()));
    assert_eq!(ours.differentiated_services(), header.traffic_class() & 0xfc);
    assert_eq!(ours.payload(), *payload);
    let sum =
        |len| ipv6::pseudo_header(ours.source(), ours.destination(), ipv6::Protocol::UDP, u32::from(len));
    let (protocol, payload) = compare_extensions(ours.next_header(), payload)?;
    if protocol == ipv6::Protocol::ICMPV6 {
        let valid = compare_icmpv6(payload, ours.source(), ours.destination());
        return Some([0, 1, 0, valid.into()]);
    }
    let datagram = (protocol == ipv6::Protocol::UDP).then(|| compare_udp(payload)).flatten();
    if let Some((ours, theirs)) = &datagram {
        let right = theirs.to_header().calc_checksum_ipv6_raw(
            header.source(),
            header.destination(),
            theirs.payload(),
        );
        expect_checksum(*ours, sum(ours.len()), right.expect("not too long"));
    }
    Some([0, 1, datagram.iter().count(), 0])
}

/// Gives a datagram that both found valid.
fn compare_udp(bytes: &[u8]) -> Option<(udp::Datagram<'_>, UdpSlice<'_>)> {
    let ours = udp::Datagram::parse(bytes);
    // etherparse takes a length of zero for "as long as the packet", a jumbogram's (RFC 2675).
    let theirs = UdpSlice::from_slice(bytes).ok().filter(|datagram| datagram.length() != 0);
    let (Ok(ours), Some(theirs)) = (ours, &theirs) else {
        assert_eq!(ours.is_ok(), theirs.is_some(), "{bytes:02x?}");
        return None;
    };
    assert_eq!(ours.source_port(), theirs.source_port());
    assert_eq!(ours.destination_port(), theirs.destination_port());
    assert_eq!((ours.len(), ours.payload()), (theirs.length(), theirs.payload()));
    assert_eq!(ours.checksum(), theirs.checksum().to_be_bytes());
    Some((ours, theirs.clone()))
}

/// `right` is what etherparse computes for a datagram.
fn expect_checksum(datagram: udp::Datagram<'_>, pseudo_header: gannet::wire::checksum::Sum, right: u16) {
    let field = u16::from_be_bytes(datagram.checksum());
    assert_eq!(datagram.is_checksum_valid(pseudo_header), is_same_checksum(right, field), "{datagram:02x?}");
}

/// The ones' complement has two zeros: a sum is right with either (RFC 1071).
fn is_same_checksum(left: u16, right: u16) -> bool {
    left == right || left ^ right == 0xffff && (left == 0 || right == 0)
}
