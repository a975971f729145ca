//! The wire formats against independent readers: etherparse, and the plain sums of [`crate::layout`].
//!
//! Input: a frame.

use etherparse::{ArpPacketSlice, Ethernet2HeaderSlice, Ipv4HeaderSlice, SingleVlanSlice, UdpSlice};
use gannet::wire::checksum::{self, Sum, udp_checksum};
use gannet::wire::ethernet::{self, EtherType};
use gannet::wire::icmpv4::{self, Message};
use gannet::wire::vlan::Tag;
use gannet::wire::{arp, ipv4, udp};

use crate::layout::sum;

/// The target.
pub fn parse(data: &[u8]) {
    sums(data);
    let (ours, theirs) = (ethernet::Header::split(data), Ethernet2HeaderSlice::from_slice(data));
    assert_eq!(ours.is_some(), theirs.is_ok(), "Ethernet");
    let (Some((header, mut rest)), Ok(theirs)) = (ours, theirs) else { return };
    assert_eq!((header.destination().0, header.source().0), (theirs.destination(), theirs.source()));
    assert_eq!(header.ether_type().0, theirs.ether_type().0);
    let mut ether_type = header.ether_type();
    while matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) {
        let Some(next) = tag(rest) else { return };
        (ether_type, rest) = next;
    }
    match ether_type {
        EtherType::IPV4 => ip(rest),
        EtherType::ARP => address_resolution(rest),
        _ => {}
    }
}

fn tag(bytes: &[u8]) -> Option<(EtherType, &[u8])> {
    let (ours, theirs) = (Tag::split(bytes), SingleVlanSlice::from_slice(bytes));
    assert_eq!(ours.is_some(), theirs.is_ok(), "a tag");
    let (tag, rest) = ours?;
    let theirs = theirs.ok()?;
    assert_eq!(tag.id(), theirs.vlan_identifier().value());
    assert_eq!(tag.ether_type().0, theirs.ether_type().0);
    assert_eq!(rest, theirs.payload_slice());
    Some((tag.ether_type(), rest))
}

fn ip(bytes: &[u8]) {
    let theirs = Ipv4HeaderSlice::from_slice(bytes).ok();
    // It reads a header; whether the packet fits the bytes is asked here.
    let theirs = theirs.filter(|header| {
        let (header_len, total_len) = (header.slice().len(), usize::from(header.total_len()));
        header_len <= total_len && total_len <= bytes.len()
    });
    let ours = ipv4::Packet::parse(bytes).ok();
    assert_eq!(ours.is_some(), theirs.is_some(), "IPv4");
    let (Some(packet), Some(header)) = (ours, theirs) else { return };
    assert_eq!((packet.header_len(), packet.total_len()), (header.slice().len(), header.total_len().into()));
    assert_eq!((packet.source(), packet.destination()), (header.source_addr(), header.destination_addr()));
    assert_eq!(packet.protocol().0, header.protocol().0);
    assert_eq!(packet.is_fragment(), header.is_fragmenting_payload());
    assert_eq!(packet.differentiated_services() >> 2, header.dcp().value());
    assert_eq!(packet.payload(), &bytes[header.slice().len()..header.total_len().into()]);
    assert_eq!(packet.is_checksum_valid(), sum(&[header.slice()]) == 0xffff, "IPv4 checksum");
    match packet.protocol() {
        ipv4::Protocol::UDP => datagram(packet, header.source(), header.destination()),
        ipv4::Protocol::ICMP => message(packet.payload()),
        _ => {}
    }
}

fn datagram(packet: ipv4::Packet<'_>, source: [u8; 4], destination: [u8; 4]) {
    let bytes = packet.payload();
    // A length of zero is a jumbogram's, which IPv4 has not (RFC 2675).
    let theirs = UdpSlice::from_slice(bytes).ok().filter(|datagram| datagram.length() != 0);
    let ours = udp::Datagram::parse(bytes).ok();
    assert_eq!(ours.is_some(), theirs.is_some(), "UDP");
    let (Some(datagram), Some(theirs)) = (ours, theirs) else { return };
    assert_eq!(datagram.source_port(), theirs.source_port());
    assert_eq!(datagram.destination_port(), theirs.destination_port());
    assert_eq!(u16::from_be_bytes(datagram.checksum()), theirs.checksum());
    assert_eq!(datagram.payload(), theirs.payload());
    let pseudo = [&source[..], &destination, &[0, 17], &theirs.length().to_be_bytes()].concat();
    let (valid, unfilled) = (sum(&[&pseudo, theirs.slice()]), sum(&[&pseudo]));
    assert_eq!(datagram.is_checksum_valid(packet.source(), packet.destination()), valid == 0xffff);
    let is_unfilled = datagram.is_checksum_unfilled(packet.source(), packet.destination());
    assert_eq!(is_unfilled, theirs.checksum() == unfilled, "unfilled");
}

fn message(bytes: &[u8]) {
    let expected = match bytes {
        [8, 0, ..] if bytes.len() >= 8 && sum(&[bytes]) == 0xffff => Message::EchoRequest,
        [8, 0, ..] => Message::Malformed,
        _ if bytes.len() < 8 => Message::Malformed,
        _ => Message::Other,
    };
    assert_eq!(icmpv4::parse(bytes), expected);
    if expected == Message::EchoRequest {
        let mut reply = bytes.to_vec();
        icmpv4::write_echo_reply(reply.first_chunk_mut().expect("a header"));
        assert_eq!((reply[0], sum(&[&reply])), (0, 0xffff), "the reply's checksum");
    }
}

fn address_resolution(bytes: &[u8]) {
    let theirs = ArpPacketSlice::from_slice(bytes).ok().map(|packet| packet.to_packet());
    let theirs = theirs.and_then(|packet| packet.try_eth_ipv4().ok());
    let ours = arp::Packet::parse(bytes);
    assert_eq!(ours.is_some(), theirs.is_some(), "ARP");
    let (Some(packet), Some(theirs)) = (ours, theirs) else { return };
    assert_eq!(packet.operation.0, theirs.operation.0);
    assert_eq!((packet.sender_mac.0, packet.sender_ip), (theirs.sender_mac, theirs.sender_ipv4.into()));
    assert_eq!((packet.target_mac.0, packet.target_ip), (theirs.target_mac, theirs.target_ipv4.into()));
    let mut written = [0; arp::PACKET_LEN];
    packet.write(&mut written);
    assert_eq!(written, bytes[..arp::PACKET_LEN]);
}

/// Sums in pieces, at every alignment, and their update.
fn sums(data: &[u8]) {
    let whole = sum(&[data]).to_be_bytes();
    assert_eq!(Sum::of(data).fold(), whole);
    let (first, rest) = data.split_at(data.len() / 4 * 2);
    assert_eq!((Sum::of(first) + Sum::of(rest)).fold(), whole, "in two pieces");
    assert_ne!(udp_checksum(Sum::of(data)), [0, 0], "zero says that there is none");
    if let [a, b, c, d, rest @ ..] = data
        && rest.iter().any(|&byte| byte != 0)
    {
        // The first word gives way to the second.
        let before = Sum::of(data).checksum();
        let after = Sum::of(&[&[*c, *d, *c, *d], rest].concat()).checksum();
        assert_eq!(checksum::update(before, [*a, *b], [*c, *d]), after, "updated");
    }
}
