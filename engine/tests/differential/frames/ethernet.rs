//! The link: addresses, EtherTypes, padding and trailers.

use super::{BROADCAST_MAC, HOST_MAC, OTHER_MAC, Suite, TESTER_MAC, arp_request, pattern};

/// Whom a frame is for.
const DESTINATIONS: [(&str, [u8; 6]); 12] = [
    ("the host", HOST_MAC),
    ("everybody", BROADCAST_MAC),
    ("another host", OTHER_MAC),
    ("its own sender", TESTER_MAC),
    ("nobody", [0; 6]),
    ("the group of all IPv4 hosts", [1, 0, 0x5e, 0, 0, 1]),
    ("the group of all IPv6 nodes", [0x33, 0x33, 0, 0, 0, 1]),
    ("a group that nobody is in", [1, 0, 0x5e, 1, 2, 3]),
    ("the bridges", [1, 0x80, 0xc2, 0, 0, 0]),
    ("the host's with the group bit set", [3, 0, 0, 0, 0, 1]),
    ("the host's with the local bit cleared", [0, 0, 0, 0, 0, 1]),
    ("the host's but for the last bit", [2, 0, 0, 0, 0, 0]),
];
/// Whom a frame is from.
const SOURCES: [(&str, [u8; 6]); 6] = [
    ("everybody", BROADCAST_MAC),
    ("a group", [1, 0, 0x5e, 0, 0, 1]),
    ("the host's own with the group bit set", [3, 0, 0, 0, 0, 1]),
    ("nobody", [0; 6]),
    ("the host itself", HOST_MAC),
    ("another host", OTHER_MAC),
];
/// Frames that say another type than what they carry: lengths, and types beside the right
/// ones. Those of tags are kept apart, in `tags`.
const TYPES: [u16; 34] = [
    0, 1, 45, 46, 60, 1500, 1501, 1535, 1536, 0x0700, 0x07ff, 0x0801, 0x0802, 0x0804, 0x0805, 0x0807, 0x0808,
    0x0842, 0x1800, 0x4800, 0x8035, 0x809b, 0x8137, 0x86dc, 0x86de, 0x8808, 0x8809, 0x8863, 0x88b5, 0x88cc,
    0x88f7, 0x9000, 0xfffe, 0xffff,
];

impl Suite {
    pub(super) fn ethernet(&mut self) {
        for (what, frame) in self.valid() {
            for (whom, mac) in DESTINATIONS {
                self.changed(format!("Ethernet: {what} to {whom}"), &frame, |bytes| {
                    bytes[..6].copy_from_slice(&mac);
                });
            }
            for (whom, mac) in SOURCES {
                self.changed(format!("Ethernet: {what} from {whom}"), &frame, |bytes| {
                    bytes[6..12].copy_from_slice(&mac);
                });
            }
            self.padding(what, &frame);
        }
        for (what, frame) in self.valid() {
            for ether_type in TYPES.into_iter().chain([0x0800, 0x0806, 0x86dd]) {
                if frame[12..14] != ether_type.to_be_bytes() {
                    self.changed(format!("Ethernet: {what} of type {ether_type:#06x}"), &frame, |bytes| {
                        bytes[12..14].copy_from_slice(&ether_type.to_be_bytes());
                    });
                }
            }
            self.changed(format!("Ethernet: {what} in LLC and SNAP"), &frame, |bytes| {
                let len = (bytes.len() - 14 + 8) as u16;
                let snap = [&len.to_be_bytes()[..], &[0xaa, 0xaa, 3, 0, 0, 0]].concat();
                bytes.splice(12..12, snap);
            });
        }
    }

    /// A valid frame of each kind, with its name.
    fn valid(&self) -> [(&'static str, Vec<u8>); 5] {
        [
            ("a datagram", self.hello().bytes()),
            ("an echo request", self.ping().bytes()),
            ("an ARP request", arp_request().bytes()),
            ("an IPv6 datagram", self.hello6().bytes()),
            ("an IPv6 echo request", self.ping6().bytes()),
        ]
    }

    fn padding(&mut self, what: &str, frame: &[u8]) {
        for len in [1, 2, 3, 4, 8, 13, 18, 40, 46, 100, 500, 1400] {
            for (kind, byte) in [("zeros", Some(0)), ("ones", Some(0xff)), ("anything", None)] {
                let behind = byte.map_or_else(|| pattern(len), |byte| vec![byte; len]);
                self.changed(format!("Ethernet: {what} and {len} bytes of {kind}"), frame, |bytes| {
                    bytes.extend(behind);
                });
            }
        }
    }

    fn changed(&mut self, name: String, frame: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = frame.to_vec();
        change(&mut frame);
        self.frame(name, frame);
    }
}
