//! A valid frame of each kind, cut at every byte.

use super::super::build::{
    DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMP, Message, ROUTING, fragment, options, routing,
};
use super::{HOST6, PING, Suite, TESTER_MAC, arp_request, group_mac, solicited_node};

impl Suite {
    pub(super) fn truncations(&mut self) {
        for (what, frame) in [
            ("IPv4 cut: a datagram", self.hello().bytes()),
            ("IPv4 cut: a ping", self.ping().bytes()),
            ("IPv4 cut: a datagram with options", self.with_options()),
            ("IPv4 cut: a timestamp request", self.timestamp_request()),
            ("ARP cut: a request", arp_request().bytes()),
            ("IPv6 cut: a datagram", self.hello6().bytes()),
            ("IPv6 cut: a ping", self.ping6().bytes()),
            ("IPv6 cut: a datagram after a chain", self.after_a_chain()),
            ("IPv6 cut: a solicitation", self.plain_solicitation()),
        ] {
            for len in 0..frame.len() {
                self.frame(format!("{what}, {len} bytes"), frame[..len].to_vec());
            }
        }
    }

    fn with_options(&self) -> Vec<u8> {
        let mut frame = self.hello();
        frame.ip.options = vec![7, 7, 4, 0, 0, 0, 0, 0];
        frame.bytes()
    }

    fn timestamp_request(&self) -> Vec<u8> {
        let mut frame = self.ping();
        frame.ip.protocol = ICMP;
        frame.carries = Message { kind: 13, ..Message::echo(PING, &[0; 12]) };
        frame.bytes()
    }

    fn after_a_chain(&self) -> Vec<u8> {
        let mut frame = self.hello6();
        frame.ip.chain = vec![
            (HOP_BY_HOP, options(&[])),
            (DESTINATION_OPTIONS, options(&[0x1e, 4, 0, 0, 0, 0])),
            (ROUTING, routing(253, 0, &[])),
            (FRAGMENT, fragment(0, false, 1)),
        ];
        frame.bytes()
    }

    fn plain_solicitation(&self) -> Vec<u8> {
        let mut frame = self.ping6();
        (frame.ip.to, frame.ip.hop_limit) = (solicited_node(HOST6), 255);
        frame.link.to = group_mac(frame.ip.to);
        let body = [&[0; 4][..], &HOST6, &[1, 1], &TESTER_MAC].concat();
        frame.carries = Message::new(135, 0, &body);
        frame.bytes()
    }
}
