//! VLAN tags: what has none of ours is dropped, and a reply has those that its question had.

use super::{dropped_as, hello, one};

#[test]
fn a_tag_of_no_vlan_of_ours_is_dropped_and_a_priority_tag_answered() {
    let tagged = |tag: [u8; 4]| {
        let mut frame = hello();
        frame.splice(12..12, tag);
        frame
    };
    assert_eq!(dropped_as(&tagged([0x81, 0, 0, 5])), "vlan_not_ours");
    assert_eq!(dropped_as(&tagged([0x88, 0xa8, 0, 0])), "vlan_not_ours");
    let reply = one(&tagged([0x81, 0, 0x60, 0])).0.expect("an answer");
    assert_eq!(reply[12..18], [0x81, 0, 0x60, 0, 8, 0], "the tag it came with");
}
