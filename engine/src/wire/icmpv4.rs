//! ICMP for IPv4: echo (RFC 792; RFC 1122, section 3.2.2.6).

use super::checksum::{self, Sum};

/// Length in bytes of the header that all messages share.
pub const HEADER_LEN: usize = 8;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

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

#[cfg(test)]
mod tests {
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
}
