//! ICMP for IPv6: echo and errors (RFC 4443).

use super::checksum::{self, Sum};

/// Length in bytes of the header of echoes and errors. No message that we know is shorter.
pub const HEADER_LEN: usize = 8;

/// What a message is (IANA's ICMPv6 type numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u8);

impl Kind {
    /// Error: nobody there takes the packet.
    pub const DESTINATION_UNREACHABLE: Self = Self(1);
    /// Error: the packet is longer than a link takes.
    pub const PACKET_TOO_BIG: Self = Self(2);
    /// Error: no hop left, or a fragment did not come in time.
    pub const TIME_EXCEEDED: Self = Self(3);
    /// Error: a field that the receiver can't deal with.
    pub const PARAMETER_PROBLEM: Self = Self(4);
    /// To be sent back.
    pub const ECHO_REQUEST: Self = Self(128);
    /// What was sent back.
    pub const ECHO_REPLY: Self = Self(129);
    /// Multicast listener query (RFC 2710, RFC 3810).
    pub const LISTENER_QUERY: Self = Self(130);
    /// Multicast listener report, version 1 (RFC 2710).
    pub const LISTENER_REPORT_V1: Self = Self(131);
    /// Router solicitation (RFC 4861).
    pub const ROUTER_SOLICITATION: Self = Self(133);
    /// Router advertisement (RFC 4861).
    pub const ROUTER_ADVERTISEMENT: Self = Self(134);
    /// Neighbour solicitation (RFC 4861).
    pub const NEIGHBOUR_SOLICITATION: Self = Self(135);
    /// Neighbour advertisement (RFC 4861).
    pub const NEIGHBOUR_ADVERTISEMENT: Self = Self(136);
    /// Redirect (RFC 4861). It is no error, but as little as one may it be answered with an
    /// error (RFC 4443, section 2.4(e)).
    pub const REDIRECT: Self = Self(137);
    /// Multicast listener report, version 2 (RFC 3810).
    pub const LISTENER_REPORT: Self = Self(143);

    /// Whether it is an error, known or not (RFC 4443, section 2.1).
    #[inline]
    pub fn is_error(self) -> bool {
        self.0 < 128
    }

    /// Whether an error about such a message may be sent (RFC 4443, section 2.4(e)).
    #[inline]
    pub fn may_be_complained_about(self) -> bool {
        !self.is_error() && self != Self::REDIRECT
    }
}

/// What an error says beside its kind (RFC 4443, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    /// The only code of [`Kind::PACKET_TOO_BIG`].
    pub const NONE: Self = Self(0);
    /// [`Kind::DESTINATION_UNREACHABLE`]: nobody listens on the port.
    pub const PORT: Self = Self(4);
    /// [`Kind::TIME_EXCEEDED`]: a fragment did not come in time.
    pub const REASSEMBLY: Self = Self(1);
    /// [`Kind::PARAMETER_PROBLEM`]: a field that can't be dealt with.
    pub const FIELD: Self = Self(0);
    /// [`Kind::PARAMETER_PROBLEM`]: a next header that isn't known.
    pub const NEXT_HEADER: Self = Self(1);
    /// [`Kind::PARAMETER_PROBLEM`]: an option that isn't known.
    pub const OPTION: Self = Self(2);
}

/// What a host does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A valid echo request.
    EchoRequest,
    /// Any other message; its checksum is right.
    Other(Kind),
    /// Shorter than a header, or its checksum is wrong, or an echo request of another code than 0.
    Malformed,
}

/// Classifies the message that an IPv6 packet carries behind its extension headers.
/// `pseudo_header` is the sum over its addresses, the whole message's length and ICMPv6.
pub fn parse(bytes: &[u8], pseudo_header: Sum) -> Message {
    if bytes.len() < HEADER_LEN || !(pseudo_header + Sum::of(bytes)).is_valid() {
        return Message::Malformed;
    }
    match *bytes {
        [kind, 0, ..] if Kind(kind) == Kind::ECHO_REQUEST => Message::EchoRequest,
        [kind, ..] if Kind(kind) != Kind::ECHO_REQUEST => Message::Other(Kind(kind)),
        _ => Message::Malformed,
    }
}

/// Turns a valid echo request into its reply, in place: the type changes, and the checksum
/// with it (RFC 1624). That source and destination change places does not change the sum; a
/// request to a group, whose reply comes from another address, is not for this function.
pub fn write_echo_reply(message: &mut [u8; HEADER_LEN]) {
    let (request, reply) = (Kind::ECHO_REQUEST.0, Kind::ECHO_REPLY.0);
    let updated = checksum::update([message[2], message[3]], [request, 0], [reply, 0]);
    message[0] = reply;
    message[2..4].copy_from_slice(&updated);
}

/// Writes the header of an error, its checksum zero: [`fill_checksum`] is for when the packet
/// that it is about stands behind it. `rest` is the MTU of [`Kind::PACKET_TOO_BIG`], the
/// pointer of [`Kind::PARAMETER_PROBLEM`] and else zero.
pub fn write_error(into: &mut [u8; HEADER_LEN], kind: Kind, code: Code, rest: u32) {
    let [a, b, c, d] = rest.to_be_bytes();
    *into = [kind.0, code.0, 0, 0, a, b, c, d];
}

/// Puts the checksum into a whole message, whatever was in its field. `pseudo_header` is as
/// for [`parse`]. A message without such a field stays as it is.
pub fn fill_checksum(message: &mut [u8], pseudo_header: Sum) {
    if let Some(field) = message.get_mut(2..4) {
        field.fill(0);
        let checksum = (pseudo_header + Sum::of(message)).checksum();
        message[2..4].copy_from_slice(&checksum);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{Icmpv6Packet, Icmpv6Repr};

    use super::*;
    use crate::wire::ipv6::{self, Protocol};

    const SOURCE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    const DESTINATION: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    /// The example, made with smoltcp: an echo request from SOURCE to DESTINATION.
    const REQUEST: Icmpv6Repr<'_> = Icmpv6Repr::EchoRequest { ident: 0x1234, seq_no: 1, data: b"ping!" };

    fn pseudo_header(source: Ipv6Addr, destination: Ipv6Addr, len: usize) -> Sum {
        ipv6::pseudo_header(source, destination, Protocol::ICMPV6, len as u32)
    }

    fn smoltcp_message(repr: &Icmpv6Repr<'_>) -> Vec<u8> {
        let mut bytes = vec![0; repr.buffer_len()];
        let checksums = ChecksumCapabilities::default();
        repr.emit(&SOURCE, &DESTINATION, &mut Icmpv6Packet::new_unchecked(&mut bytes), &checksums);
        bytes
    }

    fn parse_sent(bytes: &[u8]) -> Message {
        parse(bytes, pseudo_header(SOURCE, DESTINATION, bytes.len()))
    }

    #[test]
    fn a_request_becomes_the_reply_that_smoltcp_reads() {
        let mut message = smoltcp_message(&REQUEST);
        assert_eq!(parse_sent(&message), Message::EchoRequest);
        write_echo_reply(message.first_chunk_mut().expect("long enough"));
        let reply = Icmpv6Packet::new_checked(&message[..]).expect("long enough");
        assert_eq!(
            Icmpv6Repr::parse(&DESTINATION, &SOURCE, &reply, &ChecksumCapabilities::default()),
            Ok(Icmpv6Repr::EchoReply { ident: 0x1234, seq_no: 1, data: b"ping!" })
        );
        assert_eq!(parse_sent(&message), Message::Other(Kind::ECHO_REPLY));
    }

    #[test]
    fn broken_messages_are_malformed() {
        let good = smoltcp_message(&REQUEST);
        for index in 0..good.len() {
            let mut message = good.clone();
            message[index] ^= 1;
            assert_eq!(parse_sent(&message), Message::Malformed, "byte {index}");
        }
        let elsewhere = parse(&good, pseudo_header(SOURCE, SOURCE, good.len()));
        assert_eq!(elsewhere, Message::Malformed, "for another address");
        for len in 0..HEADER_LEN {
            let mut short = good[..len].to_vec();
            fill_checksum(&mut short, pseudo_header(SOURCE, DESTINATION, len));
            assert_eq!(parse_sent(&short), Message::Malformed, "{len} bytes");
        }
        let mut code = good;
        code[1] = 1;
        fill_checksum(&mut code, pseudo_header(SOURCE, DESTINATION, 13));
        assert_eq!(parse_sent(&code), Message::Malformed);
    }

    #[test]
    fn an_error_reads_as_smoltcp_wrote_it() {
        let header = smoltcp::wire::Ipv6Repr {
            src_addr: DESTINATION,
            dst_addr: SOURCE,
            next_header: smoltcp::wire::IpProtocol::Udp,
            payload_len: 4,
            hop_limit: 64,
        };
        let data = &[1, 2, 3, 4];
        let theirs = smoltcp_message(&Icmpv6Repr::PktTooBig { mtu: 1280, header, data });
        let mut ours = theirs.clone();
        ours[..HEADER_LEN].fill(0xff);
        let start = ours.first_chunk_mut().expect("long enough");
        write_error(start, Kind::PACKET_TOO_BIG, Code::NONE, 1280);
        let sum = pseudo_header(SOURCE, DESTINATION, ours.len());
        fill_checksum(&mut ours, sum);
        assert_eq!(ours, theirs);
        assert_eq!(parse_sent(&ours), Message::Other(Kind::PACKET_TOO_BIG));
        let reason = smoltcp::wire::Icmpv6DstUnreachable::PortUnreachable;
        let theirs = smoltcp_message(&Icmpv6Repr::DstUnreachable { reason, header, data });
        assert_eq!(theirs[..2], [Kind::DESTINATION_UNREACHABLE.0, Code::PORT.0]);
    }

    #[test]
    fn errors_are_the_lower_half() {
        assert!(Kind::PARAMETER_PROBLEM.is_error() && Kind(127).is_error());
        assert!(!Kind::ECHO_REQUEST.is_error() && !Kind::REDIRECT.is_error());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), fill: bool) {
            if fill {
                let sum = pseudo_header(SOURCE, DESTINATION, bytes.len());
                fill_checksum(&mut bytes, sum);
            }
            let expected = match bytes[..] {
                [128, 0, ..] => Message::EchoRequest,
                [128, ..] | [] => Message::Malformed,
                [kind, ..] => Message::Other(Kind(kind)),
            };
            let is_valid = fill && bytes.len() >= HEADER_LEN;
            if is_valid {
                prop_assert_eq!(parse_sent(&bytes), expected);
            } else if bytes.len() < HEADER_LEN {
                prop_assert_eq!(parse_sent(&bytes), Message::Malformed);
            }
        }
    }
}
