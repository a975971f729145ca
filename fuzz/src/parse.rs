//! The wire formats against independent readers: etherparse, and the plain sums of [`crate::layout`].
//!
//! Input: a frame.

use etherparse::{
    ArpPacketSlice, Ethernet2HeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, SingleVlanSlice, UdpSlice,
};
use gannet::wire::checksum::{self, Sum, udp_checksum};
use gannet::wire::ethernet::{self, EtherType};
use gannet::wire::extension::{self, Walked};
use gannet::wire::protocol::Protocol;
use gannet::wire::vlan::{self, Vlans};
use gannet::wire::{arp, fragment, icmpv4, icmpv6, ipv4, ipv6, ndp, udp};

use crate::layout::sum;

/// The target.
pub fn parse(data: &[u8]) {
    sums(data);
    let (ours, theirs) = (ethernet::Header::split(data), Ethernet2HeaderSlice::from_slice(data));
    assert_eq!(ours.is_some(), theirs.is_ok(), "Ethernet");
    let (Some((header, rest)), Ok(theirs)) = (ours, theirs) else { return };
    assert_eq!((header.destination().0, header.source().0), (theirs.destination(), theirs.source()));
    assert_eq!(header.ether_type().0, theirs.ether_type().0);
    let untagged = vlan::split(header.ether_type(), rest).ok();
    assert_eq!(untagged.map(|it| (it.vlans, it.ether_type, it.payload)), tags(header.ether_type(), rest));
    let Some(vlan::Untagged { ether_type, payload, tags_len, .. }) = untagged else { return };
    assert_eq!(rest.len(), tags_len + payload.len());
    match ether_type {
        EtherType::IPV4 => version4(payload),
        EtherType::IPV6 => version6(payload),
        EtherType::ARP => address_resolution(payload),
        _ => {}
    }
}

/// The VLANs, and what is behind the tags.
fn tags(mut ether_type: EtherType, mut bytes: &[u8]) -> Option<(Vlans, EtherType, &[u8])> {
    let (mut kinds, mut ids) = (Vec::new(), Vec::new());
    while matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN) && kinds.len() < 3 {
        let tag = SingleVlanSlice::from_slice(bytes).ok()?;
        kinds.push(ether_type);
        ids.push(tag.vlan_identifier().value());
        (ether_type, bytes) = (EtherType(tag.ether_type().0), tag.payload_slice());
    }
    let named: Vec<_> = ids.iter().filter(|&&id| id != 0).map(|&id| vlan::VlanId::new(id)).collect();
    let vlans = match (&kinds[..], &named[..]) {
        ([] | [EtherType::VLAN] | [_, EtherType::VLAN], []) => Vlans::NONE,
        ([EtherType::SERVICE_VLAN, _], _) if ids[0] != 0 && ids[1] == 0 => return None,
        ([EtherType::VLAN] | [_, EtherType::VLAN], &[one]) => Vlans::one(one?),
        ([_, EtherType::VLAN], &[outer, inner]) => Vlans::two(outer?, inner?),
        _ => return None,
    };
    Some((vlans, ether_type, bytes))
}

fn version4(bytes: &[u8]) {
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
    let (source, destination) = (packet.source(), packet.destination());
    let pseudo_header = |protocol, len| {
        let plain =
            [&header.source()[..], &header.destination(), &[0, protocol], &u16::to_be_bytes(len as u16)];
        (ipv4::pseudo_header(source, destination, Protocol(protocol), len as u16), plain.concat())
    };
    match packet.protocol() {
        Protocol::UDP => datagram(packet.payload(), pseudo_header),
        Protocol::ICMP => message(packet.payload()),
        _ => {}
    }
}

fn version6(bytes: &[u8]) {
    let theirs = Ipv6HeaderSlice::from_slice(bytes).ok();
    let theirs = theirs.filter(|header| 40 + usize::from(header.payload_length()) <= bytes.len());
    let ours = ipv6::Packet::parse(bytes).ok();
    assert_eq!(ours.is_some(), theirs.is_some(), "IPv6");
    let (Some(packet), Some(header)) = (ours, theirs) else { return };
    assert_eq!((packet.source(), packet.destination()), (header.source_addr(), header.destination_addr()));
    assert_eq!((packet.next_header().0, packet.hop_limit()), (header.next_header().0, header.hop_limit()));
    assert_eq!(packet.differentiated_services() >> 2, header.dscp().value());
    assert_eq!(packet.payload(), &bytes[40..40 + usize::from(header.payload_length())]);
    let walked = extension::walk(packet.next_header(), packet.payload());
    assert_eq!(
        walked.ok().map(summary),
        chain(packet.next_header().0, packet.payload()),
        "extension headers"
    );
    let Ok(Walked { protocol, offset, fragment: None, .. }) = walked else { return };
    let pseudo_header = |protocol, len| {
        let plain =
            [&header.source()[..], &header.destination(), &u32::to_be_bytes(len as u32), &[0, protocol]];
        let sum = ipv6::pseudo_header(packet.source(), packet.destination(), Protocol(protocol), len as u32);
        (sum, plain.concat())
    };
    match protocol {
        Protocol::UDP => datagram(&packet.payload()[offset..], pseudo_header),
        Protocol::ICMPV6 => message6(&packet.payload()[offset..], pseudo_header),
        _ => {}
    }
}

/// What a walk found: protocol, length in bytes, and of a fragment its offset, more, identification.
type Chain = (u8, usize, Option<(u16, bool, u32)>);

fn summary(walked: Walked) -> Chain {
    let fragment = walked.fragment.map(|part| (part.offset, part.more, part.identification));
    (walked.protocol.0, walked.offset, fragment)
}

/// The walk, each header read by etherparse; `None` where it is refused.
fn chain(first: u8, payload: &[u8]) -> Option<Chain> {
    let (mut next, mut at, mut fragments) = (first, 0, 0);
    for count in 0.. {
        if !matches!(next, 0 | 43 | 44 | 60) {
            break;
        }
        if count == extension::MAX_HEADERS || (next == 0 && at > 0) {
            return None;
        }
        let raw = Ipv6RawExtHeaderSlice::from_slice(&payload[at..]);
        let part = Ipv6FragmentHeaderSlice::from_slice(&payload[at..]).ok().filter(|_| next == 44);
        let header = part.as_ref().map(|part| part.slice()).or(raw.as_ref().ok().map(|raw| raw.slice()));
        let header = header.filter(|_| next != 44 || part.is_some())?;
        fragments += u32::from(next == 44);
        let is_route_over = next != 43 || (header[2] != 0 && header[3] == 0);
        if at + header.len() > extension::MAX_BYTES || fragments > 1 || !is_route_over {
            return None;
        }
        if matches!(next, 0 | 60) && !are_harmless(&header[2..]) {
            return None;
        }
        (next, at) = (header[0], at + header.len());
        if let Some(part) = part.filter(|part| part.is_fragmenting_payload()) {
            assert_fragment_header(part.slice());
            let offset = part.fragment_offset().value() * 8;
            return Some((next, at, Some((offset, part.more_fragments(), part.identification()))));
        }
    }
    Some((next, at, None))
}

/// Whether options may be skipped: few of them, padding that is short and zero, none that demands
/// to be known.
fn are_harmless(mut bytes: &[u8]) -> bool {
    let (mut padding, mut known) = (0, 0);
    loop {
        let before = bytes.len();
        match *bytes {
            [] => return true,
            [0, ref rest @ ..] => bytes = rest,
            [_] => return false,
            [kind, len, ref rest @ ..] => {
                let Some((value, behind)) = rest.split_at_checked(len.into()) else { return false };
                if kind >= 0x40 || (kind == 1 && value.iter().any(|&byte| byte != 0)) {
                    return false;
                }
                if kind != 1 {
                    (padding, known) = (0, known + 1);
                    bytes = behind;
                    if known > extension::MAX_OPTIONS {
                        return false;
                    }
                    continue;
                }
                bytes = behind;
            }
        }
        padding += before - bytes.len();
        if padding > extension::MAX_PADDING {
            return false;
        }
    }
}

/// The wire's own fragment header says the same, and writes what it read.
fn assert_fragment_header(bytes: &[u8]) {
    let header = fragment::Header::parse(bytes).expect("8 bytes");
    let mut written = [0; fragment::HEADER_LEN];
    header.write(&mut written);
    assert_eq!((written[0], &written[4..]), (bytes[0], &bytes[4..]));
    assert_eq!((written[2], written[3] & 0xf9), (bytes[2], bytes[3] & 0xf9));
    assert!(!header.is_atomic());
}

/// `pseudo_header` gives the sum of what stands in front of so many bytes of a protocol, and the bytes.
fn datagram(bytes: &[u8], pseudo_header: impl Fn(u8, usize) -> (Sum, Vec<u8>)) {
    // A length of zero is a jumbogram's, which we don't have (RFC 2675).
    let theirs = UdpSlice::from_slice(bytes).ok().filter(|datagram| datagram.length() != 0);
    let ours = udp::Datagram::parse(bytes).ok();
    assert_eq!(ours.is_some(), theirs.is_some(), "UDP");
    let (Some(datagram), Some(theirs)) = (ours, theirs) else { return };
    assert_eq!(datagram.source_port(), theirs.source_port());
    assert_eq!(datagram.destination_port(), theirs.destination_port());
    assert_eq!(u16::from_be_bytes(datagram.checksum()), theirs.checksum());
    assert_eq!(datagram.payload(), theirs.payload());
    let (ours, pseudo) = pseudo_header(17, datagram.len().into());
    let (valid, unfilled) = (sum(&[&pseudo, theirs.slice()]), sum(&[&pseudo]));
    assert_eq!(datagram.is_checksum_valid(ours), valid == 0xffff);
    assert_eq!(datagram.is_checksum_unfilled(ours), theirs.checksum() == unfilled, "unfilled");
}

fn message(bytes: &[u8]) {
    use icmpv4::Message;
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

fn message6(bytes: &[u8], pseudo_header: impl Fn(u8, usize) -> (Sum, Vec<u8>)) {
    use icmpv6::{Kind, Message};
    let (ours, pseudo) = pseudo_header(58, bytes.len());
    let is_valid = bytes.len() >= 8 && sum(&[&pseudo, bytes]) == 0xffff;
    let expected = match bytes {
        [128, 0, ..] if is_valid => Message::EchoRequest,
        [kind, ..] if is_valid && *kind != 128 => Message::Other(Kind(*kind)),
        _ => Message::Malformed,
    };
    assert_eq!(icmpv6::parse(bytes, ours), expected);
    if expected == Message::EchoRequest {
        let mut reply = bytes.to_vec();
        icmpv6::write_echo_reply(reply.first_chunk_mut().expect("a header"));
        assert_eq!((reply[0], sum(&[&pseudo, &reply])), (129, 0xffff), "the reply's checksum");
    }
    discovery(bytes);
}

/// Neighbour discovery, whatever the checksum.
fn discovery(bytes: &[u8]) {
    let fields = |kind, option| {
        let (header, options) = bytes.split_at_checked(24)?;
        let target: [u8; 16] = header[8..].try_into().ok()?;
        let station = station(options, option)?;
        (header[0] == kind && header[1] == 0 && target[0] != 0xff).then_some((target, header[4], station))
    };
    let asked = ndp::Solicitation::parse(bytes);
    let seen = asked.map(|asked| (asked.target.octets(), asked.source_link_address.map(|mac| mac.0)));
    assert_eq!(seen, fields(135, 1).map(|(target, _, station)| (target, station)), "a solicitation");
    let answer = ndp::Advertisement::parse(bytes);
    let seen = answer.map(|answer| {
        let flags = [answer.router, answer.solicited, answer.override_known];
        let flags = flags.iter().fold(0, |flags, &flag| flags << 1 | u8::from(flag));
        (answer.target.octets(), flags, answer.target_link_address.map(|mac| mac.0))
    });
    let expected = fields(136, 2).map(|(target, flags, station)| (target, flags >> 5, station));
    assert_eq!(seen, expected, "an advertisement");
    let mut written = [0; ndp::MAX_LEN];
    if let Some(asked) = asked {
        let len = asked.write(&mut written);
        assert_eq!(ndp::Solicitation::parse(&written[..len]), Some(asked));
    }
    if let Some(answer) = answer {
        let len = answer.write(&mut written);
        assert_eq!(ndp::Advertisement::parse(&written[..len]), Some(answer));
    }
}

/// The first link-layer address of that kind; the outer `None` for options that are no good.
fn station(mut options: &[u8], kind: u8) -> Option<Option<[u8; 6]>> {
    let mut found = None;
    while !options.is_empty() {
        let len = usize::from(*options.get(1)?) * 8;
        let (option, rest) = options.split_at_checked(len).filter(|_| len > 0)?;
        if option[0] == kind {
            let mac: [u8; 6] = option[2..].try_into().ok()?;
            (mac[0] & 1 == 0 && mac != [0; 6]).then_some(())?;
            found = found.or(Some(mac));
        }
        options = rest;
    }
    Some(found)
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
