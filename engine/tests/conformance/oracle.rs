//! The independent judge: smoltcp reads the answers and verifies their checksums.

use gannet::wire::ethernet::MacAddress;
use smoltcp::wire::{
    ArpOperation, ArpPacket, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4DstUnreachable,
    Icmpv4Message, Icmpv4Packet, Icmpv6DstUnreachable, Icmpv6Message, Icmpv6Packet, Icmpv6ParamProblem,
    IpAddress, IpProtocol, Ipv4Packet, Ipv6ExtHeader, Ipv6Packet, NdiscNeighborFlags, NdiscOption,
    NdiscOptionType, UdpPacket,
};

use super::frames::{Case, LONGEST, LONGEST6, RESHAPE, Verdict, reshaped};
use super::rig::link_len;

/// The shortest frame that leaves, in bytes.
const SHORTEST: usize = 60;
/// The longest packet about another, in bytes.
const LONGEST_ERROR: usize = 576;
const LONGEST_ERROR6: usize = 1280;
/// What the host and its link are like.
const MTU: u32 = 1500;
const HOPS: u8 = 64;
/// Where in the packet stands what is refused in an extension header: in the suite it is the third
/// byte of the first one, the kind of an option or of a route.
const REFUSED_AT: u32 = 42;

/// Holds the answers to a frame against its verdict.
pub(crate) fn judge(case: &Case, answers: &[Vec<u8>], own: MacAddress) {
    let name = &case.name;
    match (case.verdict, answers) {
        (Verdict::Silent(_), []) => {}
        (Verdict::Silent(_), _) => panic!("{name}: answered with {answers:02x?}"),
        (Verdict::Answered, [answer]) => Judge { name, told: None, own }.frame(&case.frame, answer),
        (Verdict::Told(why), [answer]) => Judge { name, told: Some(why), own }.frame(&case.frame, answer),
        (Verdict::Answered | Verdict::Told(_), _) => panic!("{name}: {} answers", answers.len()),
    }
}

/// What is known of a frame beside its bytes.
struct Judge<'a> {
    name: &'a str,
    /// Why nobody took it, if the answer is to be an ICMP error.
    told: Option<&'static str>,
    own: MacAddress,
}

impl Judge<'_> {
    fn frame(&self, request: &[u8], answer: &[u8]) {
        let Self { name, own, .. } = self;
        assert!(answer.len() >= SHORTEST, "{name}: {} bytes", answer.len());
        let ((asked_tags, request), (tags, answer)) = (untagged(request), untagged(answer));
        assert_eq!(tags, asked_tags, "{name}: the tags");
        let asked = EthernetFrame::new_checked(&request[..]).expect(name);
        let link = EthernetFrame::new_checked(&answer[..]).expect(name);
        assert_eq!(link.src_addr().0, own.0, "{name}: from us");
        assert_eq!(link.ethertype(), asked.ethertype(), "{name}");
        let (used, to) = match link.ethertype() {
            EthernetProtocol::Arp => (self.arp(asked.payload(), link.payload()), asked.src_addr()),
            EthernetProtocol::Ipv4 => (self.ipv4(asked.payload(), link.payload()), asked.src_addr()),
            EthernetProtocol::Ipv6 => self.ipv6(&asked, link.payload()),
            other => panic!("{name}: answered with {other}"),
        };
        assert_eq!(link.dst_addr(), to, "{name}: to the sender");
        let (used, padding) = link.payload().split_at(used);
        assert!(padding.iter().all(|&byte| byte == 0), "{name}: padded with {padding:02x?}");
        let len = 14 + tags.len() + used.len();
        assert_eq!(padding.len(), SHORTEST.saturating_sub(len), "{name}: bytes of padding");
    }

    /// Gives the length of the packet.
    fn arp(&self, asked: &[u8], answer: &[u8]) -> usize {
        let Self { name, own, .. } = self;
        let asked = ArpPacket::new_checked(asked).expect(name);
        let answer = ArpPacket::new_checked(answer).expect(name);
        assert_eq!(answer.operation(), ArpOperation::Reply, "{name}");
        assert_eq!(answer.hardware_type(), asked.hardware_type(), "{name}");
        assert_eq!(answer.protocol_type(), asked.protocol_type(), "{name}");
        assert_eq!(answer.source_hardware_addr(), own.0, "{name}");
        assert_eq!(answer.source_protocol_addr(), asked.target_protocol_addr(), "{name}");
        assert_eq!(answer.target_hardware_addr(), asked.source_hardware_addr(), "{name}");
        assert_eq!(answer.target_protocol_addr(), asked.source_protocol_addr(), "{name}");
        28
    }

    /// Gives the length of the packet.
    fn ipv4(&self, request: &[u8], answer: &[u8]) -> usize {
        let name = self.name;
        let asked = Ipv4Packet::new_checked(request).expect(name);
        let answer = Ipv4Packet::new_checked(answer).expect(name);
        assert!(answer.verify_checksum(), "{name}: IP checksum");
        assert_eq!((answer.version(), answer.header_len()), (4, 20), "{name}: no options");
        assert_eq!((answer.src_addr(), answer.dst_addr()), (asked.dst_addr(), asked.src_addr()), "{name}");
        assert_eq!(answer.hop_limit(), HOPS, "{name}: TTL");
        assert!(answer.dont_frag() && !answer.more_frags(), "{name}: whole");
        assert_eq!((answer.ident(), answer.frag_offset()), (0, 0), "{name}: whole");
        if let Some(why) = self.told {
            assert_eq!((answer.dscp(), answer.ecn()), (0, 0), "{name}: traffic class");
            assert_eq!(answer.next_header(), IpProtocol::Icmp, "{name}");
            let about = &request[..asked.total_len().into()];
            self.error(why, &about[..about.len().min(LONGEST_ERROR - 28)], answer.payload());
            return answer.total_len().into();
        }
        assert_eq!((answer.dscp(), answer.ecn()), (asked.dscp(), 0), "{name}: traffic class");
        assert_eq!(answer.next_header(), asked.next_header(), "{name}");
        let addresses = (answer.src_addr().into(), answer.dst_addr().into());
        match answer.next_header() {
            IpProtocol::Udp => self.udp(asked.payload(), answer.payload(), addresses, LONGEST),
            IpProtocol::Icmp => self.echo(asked.payload(), answer.payload()),
            other => panic!("{name}: answered with {other}"),
        }
        answer.total_len().into()
    }

    /// Gives the length of the packet, and whom it has to be for.
    fn ipv6(&self, asked_link: &EthernetFrame<&[u8]>, answer: &[u8]) -> (usize, EthernetAddress) {
        let (name, request) = (self.name, asked_link.payload());
        let asked = Ipv6Packet::new_checked(request).expect(name);
        let answer = Ipv6Packet::new_checked(answer).expect(name);
        assert_eq!((answer.version(), answer.flow_label()), (6, 0), "{name}");
        let carried = carried(&asked);
        let is_ndp = carried.protocol == IpProtocol::Icmpv6 && carried.payload.first() == Some(&135);
        let len = answer.total_len();
        if is_ndp {
            assert_eq!(answer.traffic_class(), asked.traffic_class() & !3, "{name}: traffic class");
            return (len, self.advertisement(asked_link, &asked, &answer));
        }
        assert_eq!((answer.src_addr(), answer.dst_addr()), (asked.dst_addr(), asked.src_addr()), "{name}");
        assert_eq!(answer.hop_limit(), HOPS, "{name}: hop limit");
        if let Some(why) = self.told {
            assert_eq!(answer.traffic_class(), 0, "{name}: traffic class");
            assert_eq!(answer.next_header(), IpProtocol::Icmpv6, "{name}");
            let about = &request[..asked.total_len()];
            self.error6(why, &about[..about.len().min(LONGEST_ERROR6 - 48)], &carried, &answer);
            return (len, asked_link.src_addr());
        }
        assert_eq!(answer.traffic_class(), asked.traffic_class() & !3, "{name}: traffic class");
        assert_eq!(answer.next_header(), carried.protocol, "{name}: no extension headers");
        let addresses = (answer.src_addr().into(), answer.dst_addr().into());
        match answer.next_header() {
            IpProtocol::Udp => self.udp(carried.payload, answer.payload(), addresses, LONGEST6),
            IpProtocol::Icmpv6 => self.echo6(carried.payload, &answer),
            other => panic!("{name}: answered with {other}"),
        }
        (len, asked_link.src_addr())
    }

    fn udp(&self, asked: &[u8], answer: &[u8], (from, to): (IpAddress, IpAddress), longest: usize) {
        let (name, answer_len) = (self.name, answer.len());
        let asked = UdpPacket::new_checked(asked).expect(name);
        let answer = UdpPacket::new_checked(answer).expect(name);
        assert_eq!((answer.src_port(), answer.dst_port()), (asked.dst_port(), asked.src_port()), "{name}");
        assert_ne!(answer.checksum(), 0, "{name}: a checksum");
        assert!(answer.verify_checksum(&from, &to), "{name}: UDP checksum");
        assert_eq!(usize::from(answer.len()), answer_len, "{name}: UDP length");
        match asked.dst_port() {
            RESHAPE => assert_eq!(answer.payload(), reshaped(asked.payload(), longest), "{name}"),
            _ => assert_eq!(answer.payload(), asked.payload(), "{name}"),
        }
    }

    fn echo(&self, asked: &[u8], answer: &[u8]) {
        let name = self.name;
        let asked = Icmpv4Packet::new_checked(asked).expect(name);
        let answer = Icmpv4Packet::new_checked(answer).expect(name);
        assert_eq!((answer.msg_type(), answer.msg_code()), (Icmpv4Message::EchoReply, 0), "{name}");
        assert!(answer.verify_checksum(), "{name}: ICMP checksum");
        let numbers = (answer.echo_ident(), answer.echo_seq_no());
        assert_eq!(numbers, (asked.echo_ident(), asked.echo_seq_no()), "{name}");
        assert_eq!(answer.data(), asked.data(), "{name}");
    }

    fn echo6(&self, asked: &[u8], ip: &Ipv6Packet<&[u8]>) {
        let name = self.name;
        let asked = Icmpv6Packet::new_checked(asked).expect(name);
        let answer = Icmpv6Packet::new_checked(ip.payload()).expect(name);
        assert_eq!((answer.msg_type(), answer.msg_code()), (Icmpv6Message::EchoReply, 0), "{name}");
        assert!(answer.verify_checksum(&ip.src_addr(), &ip.dst_addr()), "{name}: ICMPv6 checksum");
        let numbers = (answer.echo_ident(), answer.echo_seq_no());
        assert_eq!(numbers, (asked.echo_ident(), asked.echo_seq_no()), "{name}");
        assert_eq!(answer.payload(), asked.payload(), "{name}");
    }

    /// An ICMP error that quotes `about`.
    fn error(&self, why: &str, about: &[u8], message: &[u8]) {
        let name = self.name;
        let answer = Icmpv4Packet::new_checked(message).expect(name);
        assert!(answer.verify_checksum(), "{name}: ICMP checksum");
        assert_eq!(answer.msg_type(), Icmpv4Message::DstUnreachable, "{name}");
        let (code, rest) = match why {
            "udp_port_closed" => (Icmpv4DstUnreachable::PortUnreachable, 0),
            "protocol_unknown" => (Icmpv4DstUnreachable::ProtoUnreachable, 0),
            "tx_oversize" => (Icmpv4DstUnreachable::FragRequired, MTU),
            other => panic!("{name}: nobody is told of {other}"),
        };
        assert_eq!(Icmpv4DstUnreachable::from(answer.msg_code()), code, "{name}");
        assert_eq!(message[4..8], rest.to_be_bytes(), "{name}: what follows the checksum");
        assert_eq!(&message[8..], about, "{name}: the quote");
    }

    /// An ICMPv6 error that quotes `about`.
    fn error6(&self, why: &str, about: &[u8], carried: &Carried<'_>, ip: &Ipv6Packet<&[u8]>) {
        let (name, message) = (self.name, ip.payload());
        let answer = Icmpv6Packet::new_checked(message).expect(name);
        assert!(answer.verify_checksum(&ip.src_addr(), &ip.dst_addr()), "{name}: ICMPv6 checksum");
        let (kind, code, rest) = match why {
            "udp_port_closed" => {
                (Icmpv6Message::DstUnreachable, Icmpv6DstUnreachable::PortUnreachable.into(), 0)
            }
            "protocol_unknown" => {
                (Icmpv6Message::ParamProblem, Icmpv6ParamProblem::UnrecognizedNxtHdr.into(), carried.named_at)
            }
            "ipv6_extension" => {
                (Icmpv6Message::ParamProblem, Icmpv6ParamProblem::UnrecognizedOption.into(), REFUSED_AT)
            }
            "ipv6_routing_header" => {
                (Icmpv6Message::ParamProblem, Icmpv6ParamProblem::ErroneousHdrField.into(), REFUSED_AT)
            }
            "tx_oversize" => (Icmpv6Message::PktTooBig, 0, MTU),
            other => panic!("{name}: nobody is told of {other}"),
        };
        assert_eq!((answer.msg_type(), answer.msg_code()), (kind, code), "{name}");
        assert_eq!(message[4..8], rest.to_be_bytes(), "{name}: what follows the checksum");
        assert_eq!(&message[8..], about, "{name}: the quote");
    }

    /// The answer to a solicitation. Gives whom it has to be for.
    fn advertisement(
        &self,
        link: &EthernetFrame<&[u8]>,
        asked_ip: &Ipv6Packet<&[u8]>,
        ip: &Ipv6Packet<&[u8]>,
    ) -> EthernetAddress {
        let Self { name, own, .. } = self;
        let asked = Icmpv6Packet::new_checked(asked_ip.payload()).expect(name);
        let answer = Icmpv6Packet::new_checked(ip.payload()).expect(name);
        assert!(answer.verify_checksum(&ip.src_addr(), &ip.dst_addr()), "{name}: ICMPv6 checksum");
        assert_eq!((answer.msg_type(), answer.msg_code()), (Icmpv6Message::NeighborAdvert, 0), "{name}");
        assert_eq!(
            (ip.src_addr(), answer.target_addr()),
            (asked.target_addr(), asked.target_addr()),
            "{name}"
        );
        assert_eq!(ip.hop_limit(), 255, "{name}: hop limit");
        let option = NdiscOption::new_checked(answer.payload()).expect(name);
        assert_eq!(option.option_type(), NdiscOptionType::TargetLinkLayerAddr, "{name}");
        assert_eq!(option.link_layer_addr().as_bytes(), own.0, "{name}");
        assert_eq!(answer.payload().len(), 8, "{name}: one option");
        let override_known = NdiscNeighborFlags::OVERRIDE;
        if asked_ip.src_addr().is_unspecified() {
            assert_eq!(answer.neighbor_flags(), override_known, "{name}");
            assert_eq!(ip.dst_addr().octets()[..2], [0xff, 2], "{name}: to all nodes");
            assert_eq!(ip.dst_addr().octets()[2..], [&[0; 13][..], &[1]].concat(), "{name}: to all nodes");
            return EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
        }
        assert_eq!(answer.neighbor_flags(), NdiscNeighborFlags::SOLICITED | override_known, "{name}");
        assert_eq!(ip.dst_addr(), asked_ip.src_addr(), "{name}");
        link.src_addr()
    }
}

/// The tags of a frame, and the frame without them: smoltcp knows of none.
fn untagged(frame: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let end = link_len(frame) - 2;
    (frame[12..end].to_vec(), [&frame[..12], &frame[end..]].concat())
}

/// What stands behind the extension headers of an IPv6 packet.
struct Carried<'a> {
    protocol: IpProtocol,
    /// Where in the packet its number stands.
    named_at: u32,
    payload: &'a [u8],
}

fn carried<'a>(packet: &Ipv6Packet<&'a [u8]>) -> Carried<'a> {
    let mut carried = Carried { protocol: packet.next_header(), named_at: 6, payload: packet.payload() };
    while let IpProtocol::HopByHop | IpProtocol::Ipv6Route | IpProtocol::Ipv6Frag | IpProtocol::Ipv6Opts =
        carried.protocol
    {
        // Hop-by-hop options come first, or count as an unknown protocol (RFC 8200, section 4).
        if carried.protocol == IpProtocol::HopByHop && carried.named_at != 6 {
            break;
        }
        let header = Ipv6ExtHeader::new_checked(carried.payload).expect("an extension header");
        carried.protocol = header.next_header();
        carried.named_at = 40 + (packet.payload().len() - carried.payload.len()) as u32;
        carried.payload = &carried.payload[8 + usize::from(header.header_len()) * 8..];
    }
    carried
}
