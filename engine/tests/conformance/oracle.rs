//! The independent judge: smoltcp reads the answers and verifies their checksums.

use gannet::wire::ethernet::MacAddress;
use smoltcp::wire::{
    ArpOperation, ArpPacket, EthernetFrame, EthernetProtocol, Icmpv4Message, Icmpv4Packet, IpProtocol,
    Ipv4Packet, UdpPacket,
};

use super::frames::{Case, RESHAPE, Verdict, reshaped};

/// The shortest frame that leaves, in bytes.
const SHORTEST: usize = 60;

/// Holds the answers to a frame against its verdict.
pub(crate) fn judge(case: &Case, answers: &[Vec<u8>], own: MacAddress) {
    let name = &case.name;
    match (case.verdict, answers) {
        (Verdict::Silent(_), []) => {}
        (Verdict::Silent(_), _) => panic!("{name}: answered with {answers:02x?}"),
        (Verdict::Answered, [answer]) => judge_answer(name, &case.frame, answer, own),
        (Verdict::Answered, _) => panic!("{name}: {} answers", answers.len()),
    }
}

fn judge_answer(name: &str, request: &[u8], answer: &[u8], own: MacAddress) {
    assert!(answer.len() >= SHORTEST, "{name}: {} bytes", answer.len());
    let ((asked_tag, request), (tag, answer)) = (untagged(request), untagged(answer));
    assert_eq!(tag, asked_tag, "{name}: the tag");
    let asked = EthernetFrame::new_checked(&request[..]).expect(name);
    let link = EthernetFrame::new_checked(&answer[..]).expect(name);
    assert_eq!(link.dst_addr(), asked.src_addr(), "{name}: to the sender");
    assert_eq!(link.src_addr().0, own.0, "{name}: from us");
    assert_eq!(link.ethertype(), asked.ethertype(), "{name}");
    let used = match link.ethertype() {
        EthernetProtocol::Arp => judge_arp(name, asked.payload(), link.payload(), own),
        EthernetProtocol::Ipv4 => judge_ipv4(name, asked.payload(), link.payload()),
        other => panic!("{name}: answered with {other}"),
    };
    let (used, padding) = link.payload().split_at(used);
    assert!(padding.iter().all(|&byte| byte == 0), "{name}: padded with {padding:02x?}");
    let len = 14 + tag.map_or(0, |_| 4) + used.len();
    assert_eq!(padding.len(), SHORTEST.saturating_sub(len), "{name}: bytes of padding");
}

/// The tag of a frame, and the frame without it: smoltcp knows of none.
fn untagged(frame: &[u8]) -> (Option<[u8; 4]>, Vec<u8>) {
    match frame[12..] {
        [0x81, 0, a, b, ..] => (Some([0x81, 0, a, b]), [&frame[..12], &frame[16..]].concat()),
        _ => (None, frame.to_vec()),
    }
}

/// Gives the length of the packet.
fn judge_arp(name: &str, asked: &[u8], answer: &[u8], own: MacAddress) -> usize {
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
fn judge_ipv4(name: &str, asked: &[u8], answer: &[u8]) -> usize {
    let asked = Ipv4Packet::new_checked(asked).expect(name);
    let answer = Ipv4Packet::new_checked(answer).expect(name);
    assert!(answer.verify_checksum(), "{name}: IP checksum");
    assert_eq!((answer.version(), answer.header_len()), (4, 20), "{name}: no options");
    assert_eq!((answer.src_addr(), answer.dst_addr()), (asked.dst_addr(), asked.src_addr()), "{name}");
    assert_eq!(answer.hop_limit(), 64, "{name}: TTL");
    assert_eq!((answer.dscp(), answer.ecn()), (asked.dscp(), 0), "{name}: traffic class");
    assert_eq!(answer.next_header(), asked.next_header(), "{name}");
    assert!(answer.dont_frag() && !answer.more_frags(), "{name}: whole");
    assert_eq!((answer.ident(), answer.frag_offset()), (0, 0), "{name}: whole");
    match answer.next_header() {
        IpProtocol::Udp => judge_udp(name, &asked, &answer),
        IpProtocol::Icmp => judge_echo(name, asked.payload(), answer.payload()),
        other => panic!("{name}: answered with {other}"),
    }
    answer.total_len().into()
}

fn judge_udp(name: &str, asked_ip: &Ipv4Packet<&[u8]>, ip: &Ipv4Packet<&[u8]>) {
    let asked = UdpPacket::new_checked(asked_ip.payload()).expect(name);
    let answer = UdpPacket::new_checked(ip.payload()).expect(name);
    assert_eq!((answer.src_port(), answer.dst_port()), (asked.dst_port(), asked.src_port()), "{name}");
    assert_ne!(answer.checksum(), 0, "{name}: a checksum");
    assert!(answer.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()), "{name}: UDP checksum");
    assert_eq!(usize::from(answer.len()), ip.payload().len(), "{name}: UDP length");
    match asked.dst_port() {
        RESHAPE => assert_eq!(answer.payload(), reshaped(asked.payload()), "{name}"),
        _ => assert_eq!(answer.payload(), asked.payload(), "{name}"),
    }
}

fn judge_echo(name: &str, asked: &[u8], answer: &[u8]) {
    let asked = Icmpv4Packet::new_checked(asked).expect(name);
    let answer = Icmpv4Packet::new_checked(answer).expect(name);
    assert_eq!((answer.msg_type(), answer.msg_code()), (Icmpv4Message::EchoReply, 0), "{name}");
    assert!(answer.verify_checksum(), "{name}: ICMP checksum");
    assert_eq!(
        (answer.echo_ident(), answer.echo_seq_no()),
        (asked.echo_ident(), asked.echo_seq_no()),
        "{name}"
    );
    assert_eq!(answer.data(), asked.data(), "{name}");
}
