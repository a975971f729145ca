//! The game's messages: what is refused is what the page refuses (`docs/game-protocol.md`, read here in
//! the plainest way), and whatever is taken is written back as the same bytes.
//!
//! Input: what is repaired (bit 0: the size, bit 1: the type, by the other bits), the message.

use std::ops::Range;

use gannet_game::protocol::{
    Attack, AttackResult, Challenge, Chat, ENTRIES_MAX, Entry, Header, Join, Leave, Left, Malformed, Move,
    PacketType, Ping, Refusal, Update, UpdateHead, Welcome,
};

use crate::bytes::Bytes;

/// All types that there are, and one that is none.
pub const TYPES: [u32; 17] = [1, 2, 3, 4, 5, 6, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 7];

/// The target.
pub fn game_protocol(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mode = bytes.byte();
    let mut message = bytes.rest().to_vec();
    if mode & 1 != 0 {
        repair_size(&mut message);
    }
    if mode & 2 != 0 {
        put(&mut message, 0, TYPES[usize::from(mode >> 2) % TYPES.len()]);
    }
    judge(&message);
}

/// Makes the header say the size that the message has.
pub fn repair_size(message: &mut [u8]) {
    put(message, 4, message.len() as u32);
}

fn put(message: &mut [u8], at: usize, word: u32) {
    if let Some(place) = message.get_mut(at..at + 4) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// The word at `at`; zero where there is none.
fn word(message: &[u8], at: usize) -> u32 {
    message.get(at..at + 4).map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Holds what is read of a message against what the page says of it.
///
/// # Panics
/// If something right is refused, something wrong is taken, or it is written otherwise than it was.
pub fn judge(message: &[u8]) {
    let is_whole = message.len() >= 16 && word(message, 4) as usize == message.len();
    let header = Header::parse(message);
    assert_eq!(header.is_ok(), is_whole, "the header of {message:02x?}");
    let Ok(header) = header else { return };
    let mut written = message.to_vec();
    header.write(&mut written, message.len());
    assert_eq!(written, message, "the header");
    let Some(written) = rewritten(message, header) else { return };
    assert_eq!(written.is_ok(), is_right(message), "{written:?} of {message:02x?}");
    if let Ok(written) = written {
        let len = if is_of_another_version(message) { 40 } else { message.len() };
        assert_eq!(written[..len], message[..len]);
    }
}

fn is_of_another_version(message: &[u8]) -> bool {
    word(message, 0) == 4 && word(message, 16) != 1
}

/// Whether the page allows it.
pub fn is_right(message: &[u8]) -> bool {
    let len = message.len();
    match word(message, 0) {
        1 | 101 | 107 => len == 44 && are_finite(message, 20..44),
        2 => len == 28,
        3 | 103 => is_chat(message),
        4 => len == 64 && (is_of_another_version(message) || message[40..].iter().all(|&byte| byte == 0)),
        5 | 6 | 106 => len == 20,
        102 => len == 36,
        104 | 109 => len == 24,
        105 => len == 64 && are_finite(message, 36..60),
        108 => is_update(message),
        110 => len == 36 && are_finite(message, 20..32),
        _ => false,
    }
}

/// Whether no word there has all bits of an exponent set.
fn are_finite(message: &[u8], places: Range<usize>) -> bool {
    places.step_by(4).all(|at| word(message, at) & 0x7f80_0000 != 0x7f80_0000)
}

fn is_chat(message: &[u8]) -> bool {
    let Some(text) = message.get(24..) else { return false };
    let Ok(said) = std::str::from_utf8(text) else { return false };
    let is_control = |character: char| matches!(u32::from(character), 0..32 | 127..160);
    (1..=200).contains(&text.len())
        && word(message, 20) as usize == text.len()
        && !said.chars().any(is_control)
}

fn is_update(message: &[u8]) -> bool {
    let count = (word(message, 28) >> 16) as usize;
    message.len() >= 32 && count <= 32 && message.len() == 32 + 36 * count && message[28] < message[29] && {
        let entry = |index| 32 + 36 * index + 8;
        (0..count).all(|index| are_finite(message, entry(index)..entry(index) + 24))
    }
}

/// The message read and written again. `None` for types that are none.
fn rewritten(message: &[u8], header: Header) -> Option<Result<Vec<u8>, Malformed>> {
    let Header { packet_type, timestamp } = header;
    macro_rules! read {
        ($kind:ident $(, $packet_type:expr)?) => {
            $kind::parse(message).map(|read| {
                let mut into = [0xa5; $kind::LEN];
                read.write(&mut into, $($packet_type,)? timestamp);
                into.to_vec()
            })
        };
    }
    Some(match packet_type {
        PacketType::PLAYER_MOVE | PacketType::MOVE_ACK | PacketType::CORRECTION => read!(Move, packet_type),
        PacketType::PLAYER_ATTACK => read!(Attack),
        PacketType::CHAT_MESSAGE | PacketType::CHAT => chat(message, header),
        PacketType::JOIN => read!(Join),
        PacketType::LEAVE => read!(Leave),
        PacketType::PING => read!(Ping),
        // A ping in the same buffer.
        PacketType::PONG => Ping::parse(message).map(|_| message.to_vec()),
        PacketType::ATTACK_RESULT => read!(AttackResult),
        PacketType::CHALLENGE => read!(Challenge),
        PacketType::WELCOME => read!(Welcome),
        PacketType::UPDATE => update(message, timestamp),
        PacketType::ERROR => read!(Refusal),
        PacketType::LEFT => read!(Left),
        _ => return None,
    })
}

fn chat(message: &[u8], header: Header) -> Result<Vec<u8>, Malformed> {
    let chat = Chat::parse(message)?;
    let mut into = vec![0xa5; chat.len()];
    chat.write(&mut into, header.packet_type, header.timestamp);
    Ok(into)
}

fn update(message: &[u8], timestamp: u64) -> Result<Vec<u8>, Malformed> {
    let update = Update::parse(message)?;
    let count = update.entries().len();
    assert!(count <= ENTRIES_MAX, "{count} entries");
    let mut head = [0xa5; UpdateHead::LEN];
    update.head.write(&mut head, count, timestamp);
    let mut into = head.to_vec();
    for entry in update.entries() {
        let mut place = [0xa5; Entry::LEN];
        entry?.write(&mut place);
        into.extend(place);
    }
    Ok(into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_is_right_and_every_type_has_one() {
        let mut seen: Vec<_> = TYPES.into();
        for seed in crate::seeds::of::game_protocol() {
            let mut message = seed[1..].to_vec();
            repair_size(&mut message);
            assert!(is_right(&message), "{message:02x?}");
            seen.retain(|&kind| kind != word(&message, 0));
        }
        assert_eq!(seen, [7], "the type that is none");
    }
}
