//! ICMP for IPv4: echo and errors (RFC 792; RFC 1122, section 3.2.2).

use super::checksum::{self, Sum};

/// Length in bytes of the header that all messages share.
pub const HEADER_LEN: usize = 8;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

/// What a message is (IANA's ICMP type numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u8);

impl Kind {
    /// What was sent back.
    pub const ECHO_REPLY: Self = Self(ECHO_REPLY);
    /// Error: nobody there takes the packet.
    pub const DESTINATION_UNREACHABLE: Self = Self(3);
    /// To be sent back.
    pub const ECHO_REQUEST: Self = Self(ECHO_REQUEST);
    /// Error: no hop left, or a fragment did not come in time.
    pub const TIME_EXCEEDED: Self = Self(11);

    /// Whether it is an error (RFC 1122, section 3.2.2): unreachable, source quench, redirect,
    /// time exceeded or parameter problem.
    #[inline]
    pub fn is_error(self) -> bool {
        matches!(self.0, 3 | 4 | 5 | 11 | 12)
    }

    /// Whether an error about such a message may be sent: it is a question or an answer that
    /// is known (RFC 792, RFC 950). Numbers don't tell errors from others, so that what is
    /// unknown may be one.
    #[inline]
    pub fn may_be_complained_about(self) -> bool {
        matches!(self.0, ECHO_REPLY | ECHO_REQUEST | 13..=18)
    }
}

/// What an error says beside its kind (RFC 792).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    /// [`Kind::DESTINATION_UNREACHABLE`]: nobody there speaks the protocol.
    pub const PROTOCOL: Self = Self(2);
    /// [`Kind::DESTINATION_UNREACHABLE`]: nobody listens on the port.
    pub const PORT: Self = Self(3);
    /// [`Kind::DESTINATION_UNREACHABLE`]: longer than a link takes, and not to be fragmented.
    pub const FRAGMENTATION_NEEDED: Self = Self(4);
    /// [`Kind::TIME_EXCEEDED`]: a fragment did not come in time.
    pub const REASSEMBLY: Self = Self(1);
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// An echo request whose checksum is right.
    EchoRequest,
    /// Any other message.
    Other,
    /// Shorter than a header, or its checksum is wrong.
    Malformed,
}

/// Classifies the message that is an IP packet's whole payload.
pub fn parse(bytes: &[u8]) -> Message {
    match bytes {
        [ECHO_REQUEST, 0, ..] if bytes.len() >= HEADER_LEN && Sum::of(bytes).is_valid() => {
            Message::EchoRequest
        }
        [ECHO_REQUEST, 0, ..] => Message::Malformed,
        _ if bytes.len() < HEADER_LEN => Message::Malformed,
        _ => Message::Other,
    }
}

/// Turns a valid echo request into its reply, in place: the type changes, and the checksum
/// with it (RFC 1624). Identifier, sequence number and data stay.
pub fn write_echo_reply(message: &mut [u8; HEADER_LEN]) {
    let updated = checksum::update([message[2], message[3]], [ECHO_REQUEST, 0], [ECHO_REPLY, 0]);
    message[0] = ECHO_REPLY;
    // Of a reply of nothing but zeros the update gives 0x0000, which is wrong; all ones is right
    // wherever it gives that.
    let checksum = if updated == [0, 0] { [0xff, 0xff] } else { updated };
    message[2..4].copy_from_slice(&checksum);
}

/// Writes the header of an error, its checksum zero: [`fill_checksum`] is for when the packet
/// that it is about stands behind it. `rest` is the MTU of [`Code::FRAGMENTATION_NEEDED`]
/// (RFC 1191, section 4) and else zero.
pub fn write_error(into: &mut [u8; HEADER_LEN], kind: Kind, code: Code, rest: u32) {
    let [a, b, c, d] = rest.to_be_bytes();
    *into = [kind.0, code.0, 0, 0, a, b, c, d];
}

/// Puts the checksum into a whole message, whatever was in its field. A message without such
/// a field stays as it is.
pub fn fill_checksum(message: &mut [u8]) {
    if let Some(field) = message.get_mut(2..4) {
        field.fill(0);
        let checksum = Sum::of(message).checksum();
        message[2..4].copy_from_slice(&checksum);
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Repr};

    use super::*;

    fn request() -> [u8; 12] {
        let mut message = [8, 0, 0, 0, 0x12, 0x34, 0, 1, b'p', b'i', b'n', b'g'];
        let checksum = Sum::of(&message).checksum();
        message[2..4].copy_from_slice(&checksum);
        message
    }

    #[test]
    fn a_request_becomes_a_valid_reply() {
        let mut message = request();
        assert_eq!(parse(&message), Message::EchoRequest);
        write_echo_reply(message.first_chunk_mut().expect("long enough"));
        assert_eq!(message[0], ECHO_REPLY);
        assert!(Sum::of(&message).is_valid());
        assert_eq!(message[4..], request()[4..]);
        assert_eq!(parse(&message), Message::Other);
    }

    #[test]
    fn a_reply_of_nothing_but_zeros_is_valid_and_so_is_one_that_sums_to_none() {
        for identifier in [[0, 0], [0xff, 0xff]] {
            let mut message = [8, 0, 0, 0, identifier[0], identifier[1], 0, 0];
            let checksum = Sum::of(&message).checksum();
            message[2..4].copy_from_slice(&checksum);
            assert_eq!(parse(&message), Message::EchoRequest);
            write_echo_reply(&mut message);
            assert!(Sum::of(&message).is_valid(), "{message:02x?}");
        }
    }

    #[test]
    fn broken_messages_are_malformed() {
        let mut message = request();
        assert_eq!(parse(&message[..7]), Message::Malformed);
        assert_eq!(parse(&[]), Message::Malformed);
        message[11] ^= 1;
        assert_eq!(parse(&message), Message::Malformed);
    }

    #[test]
    fn an_error_reads_as_smoltcp_wrote_it() {
        let header = Ipv4Repr {
            src_addr: [10, 77, 0, 2].into(),
            dst_addr: [10, 77, 0, 1].into(),
            next_header: IpProtocol::Udp,
            payload_len: 8,
            hop_limit: 64,
        };
        for (reason, code) in [
            (Icmpv4DstUnreachable::ProtoUnreachable, Code::PROTOCOL),
            (Icmpv4DstUnreachable::PortUnreachable, Code::PORT),
        ] {
            let repr = Icmpv4Repr::DstUnreachable { reason, header, data: &[1, 2, 3, 4, 5, 6, 7, 8] };
            let mut theirs = vec![0; repr.buffer_len()];
            repr.emit(&mut Icmpv4Packet::new_unchecked(&mut theirs), &ChecksumCapabilities::default());
            let mut ours = theirs.clone();
            ours[..HEADER_LEN].fill(0xff);
            let start = ours.first_chunk_mut().expect("long enough");
            write_error(start, Kind::DESTINATION_UNREACHABLE, code, 0);
            fill_checksum(&mut ours);
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn the_mtu_is_in_the_last_two_bytes() {
        let mut header = [0xff; HEADER_LEN];
        write_error(&mut header, Kind::DESTINATION_UNREACHABLE, Code::FRAGMENTATION_NEEDED, 1500);
        assert_eq!(header, [3, 4, 0, 0, 0, 0, 0x05, 0xdc]);
        fill_checksum(&mut header);
        assert!(Sum::of(&header).is_valid());
        fill_checksum(&mut header[..3]);
    }

    #[test]
    fn errors_are_told_from_questions() {
        let errors: Vec<u8> = (0..=255).filter(|&kind| Kind(kind).is_error()).collect();
        assert_eq!(errors, [3, 4, 5, 11, 12]);
        let others: Vec<u8> = (0..=255).filter(|&kind| Kind(kind).may_be_complained_about()).collect();
        assert_eq!(others, [0, 8, 13, 14, 15, 16, 17, 18]);
    }
}
