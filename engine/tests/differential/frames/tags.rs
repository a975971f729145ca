//! Frames with VLAN tags, kept apart: a kernel without the module 802.1Q drops them all but
//! those of VLAN 0, and one with it has whatever interfaces were configured. They are read
//! by us and by etherparse, and the conformance suite has what we answer.

use super::{Case, Suite, pattern};

/// 802.1Q, 802.1ad, and what stood for the latter before.
const TAG_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// All cases with tags.
pub(crate) fn tagged() -> Vec<Case> {
    let mut suite = Suite { cases: Vec::new() };
    for (what, frame) in [("a datagram", suite.hello().bytes()), ("an IPv6 datagram", suite.hello6().bytes())]
    {
        for tag_type in TAG_TYPES {
            for control in [0, 1, 5, 0x0fff, 0x1000, 0x2005, 0xe000, 0xffff] {
                let tags = [tag_type, control];
                suite.tags(format!("tags: {what} in {tag_type:#06x} {control:#06x}"), &frame, &tags);
            }
            for inner in TAG_TYPES {
                let tags = [tag_type, 5, inner, 6];
                suite.tags(format!("tags: {what} in {tag_type:#06x} in {inner:#06x}"), &frame, &tags);
            }
        }
        suite.tags(format!("tags: {what} in three"), &frame, &[0x8100, 5, 0x8100, 6, 0x8100, 7]);
        suite.tags(format!("tags: {what} in forty"), &frame, &[0x8100, 5].repeat(40));
        let behind = [&frame[..12], &[0x81, 0, 0, 5], &frame[12..], &pattern(20)].concat();
        for len in 12..behind.len() {
            suite.frame(format!("tags: {what} cut to {len} bytes"), behind[..len].to_vec());
        }
    }
    suite.cases
}

impl Suite {
    fn tags(&mut self, name: String, frame: &[u8], words: &[u16]) {
        let tags: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.frame(name, [&frame[..12], &tags, &frame[12..]].concat());
    }
}
