//! ARP: every field wrong, gratuitous, probes, and for others (RFC 826, RFC 5227).

use super::super::build::Arp;
use super::{
    BROADCAST_MAC, FAR, HOST, HOST_MAC, LINK, OTHER, OTHER_MAC, Suite, TESTER, TESTER_MAC, arp_request,
    pattern,
};

/// Addresses that stand where one of a host should.
const ADDRESSES: [(&str, [u8; 4]); 12] = [
    ("the tester", TESTER),
    ("the host", HOST),
    ("another host", OTHER),
    ("a host past the router", FAR),
    ("nobody", [0; 4]),
    ("the link's broadcast", [10, 77, 0, 255]),
    ("the link itself", LINK),
    ("everybody", [255; 4]),
    ("a group", [224, 0, 0, 1]),
    ("loopback", [127, 0, 0, 1]),
    ("class E", [240, 0, 0, 1]),
    ("link-local", [169, 254, 1, 1]),
];
const MACS: [(&str, [u8; 6]); 6] = [
    ("the tester's", TESTER_MAC),
    ("the host's", HOST_MAC),
    ("another host's", OTHER_MAC),
    ("zero", [0; 6]),
    ("everybody's", BROADCAST_MAC),
    ("a group's", [1, 0, 0x5e, 0, 0, 1]),
];

impl Suite {
    pub(super) fn arp(&mut self) {
        self.arp_packet("ARP: request, unpadded", |arp| arp.padding.clear());
        self.arp_packet("ARP: request to the host alone", |arp| arp.link.to = HOST_MAC);
        for len in [1, 17, 18, 19, 100, 1400] {
            self.arp_packet(format!("ARP: request and {len} bytes of anything"), |arp| {
                arp.padding = pattern(len);
            });
        }
        self.arp_preambles();
        for operation in (0..=25).chain([255, 256, 257, 512, 513, 0x7fff, 0x8001, 0xffff]) {
            self.arp_packet(format!("ARP: operation {operation}"), |arp| arp.operation = operation);
            self.arp_packet(format!("ARP: operation {operation} to the host alone"), |arp| {
                (arp.operation, arp.link.to) = (operation, HOST_MAC);
            });
        }
        for (operation, verb) in [(1, "request"), (2, "reply")] {
            self.arp_addresses(operation, verb);
        }
    }

    fn arp_preambles(&mut self) {
        for hardware in [0, 2, 3, 4, 5, 6, 7, 15, 24, 32, 256, 257, 0xffff_u16] {
            self.arp_packet(format!("ARP: hardware type {hardware}"), |arp| {
                arp.preamble[..2].copy_from_slice(&hardware.to_be_bytes());
            });
        }
        for protocol in [0, 1, 8, 0x0600, 0x0801, 0x0806, 0x1000, 0x86dd, 0xffff_u16] {
            self.arp_packet(format!("ARP: protocol type {protocol:#06x}"), |arp| {
                arp.preamble[2..4].copy_from_slice(&protocol.to_be_bytes());
            });
        }
        for len in (0..=16).chain([20, 32, 64, 127, 128, 254, 255]) {
            if len != 6 {
                self.arp_packet(format!("ARP: hardware addresses of {len} bytes"), |arp| {
                    arp.preamble[4] = len;
                });
            }
            if len != 4 {
                self.arp_packet(format!("ARP: protocol addresses of {len} bytes"), |arp| {
                    arp.preamble[5] = len;
                });
            }
        }
    }

    fn arp_addresses(&mut self, operation: u16, verb: &str) {
        for (who, sender) in ADDRESSES {
            for (whom, target) in ADDRESSES {
                self.arp_packet(format!("ARP: {verb} from {who} about {whom}"), |arp| {
                    (arp.operation, arp.sender.1, arp.target.1) = (operation, sender, target);
                });
            }
        }
        for (whose, mac) in MACS {
            self.arp_packet(format!("ARP: {verb}, sender MAC {whose}"), |arp| {
                (arp.operation, arp.sender.0) = (operation, mac);
            });
            self.arp_packet(format!("ARP: {verb}, sender MAC and link source {whose}"), |arp| {
                (arp.operation, arp.sender.0, arp.link.from) = (operation, mac, mac);
            });
            self.arp_packet(format!("ARP: {verb}, target MAC {whose}"), |arp| {
                (arp.operation, arp.target.0) = (operation, mac);
            });
            self.arp_packet(format!("ARP: {verb} to the host alone, target MAC {whose}"), |arp| {
                (arp.operation, arp.target.0, arp.link.to) = (operation, mac, HOST_MAC);
            });
        }
    }

    fn arp_packet(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Arp)) {
        let mut packet = arp_request();
        change(&mut packet);
        self.frame(name, packet.bytes());
    }
}
