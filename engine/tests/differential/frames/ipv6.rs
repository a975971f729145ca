//! IPv6: version, payload length, hop limit, next header (RFC 8200 section 3).

use super::super::build::{Field, ICMPV6, Ip as _, UDP};
use super::{Suite, pattern};

/// Next headers that a kernel answers by how it was configured: tunnels, security, mobility
/// and transports that are modules.
const CONFIGURED: [u8; 13] = [4, 33, 41, 47, 50, 51, 55, 94, 103, 108, 115, 132, 136];
/// Mobility (RFC 6275), host identity (RFC 7401), shim (RFC 5533): extension headers too.
const LATER: [u8; 3] = [135, 139, 140];
/// Next headers with a meaning of their own, which `extensions` is about.
const KNOWN: [u8; 6] = [0, UDP, 43, 44, 59, 60];

impl Suite {
    pub(super) fn ipv6(&mut self) {
        self.udp6("IPv6: hello", |_| {});
        self.icmp6("IPv6: ping", |_| {});
        for version in (0..=15).filter(|&version| version != 6) {
            self.udp6(format!("IPv6: version {version}"), |frame| frame.ip.version = version);
        }
        for class in [1, 2, 3, 0x28, 0xb8, 0xfc, 0xff] {
            self.udp6(format!("IPv6: traffic class {class:#04x}"), |frame| frame.ip.class = class);
        }
        for flow in [1, 0xff, 0x1_0000, 0xf_ffff] {
            self.udp6(format!("IPv6: flow label {flow:#x}"), |frame| frame.ip.flow = flow);
        }
        for hops in [0, 1, 2, 63, 64, 254, 255] {
            self.udp6(format!("IPv6: hop limit {hops}"), |frame| frame.ip.hop_limit = hops);
            self.icmp6(format!("IPv6: hop limit {hops} of a ping"), |frame| frame.ip.hop_limit = hops);
        }
        self.payload_lengths();
        let others = (0..=255).filter(|next| ![&CONFIGURED[..], &KNOWN, &LATER].concat().contains(next));
        for next in others {
            self.udp6(format!("IPv6: next header {next} over a datagram"), |frame| {
                frame.ip.protocol = next;
            });
        }
        self.icmp6("IPv6: a ping said to be UDP", |frame| frame.ip.protocol = UDP);
        self.udp6("IPv6: a datagram said to be ICMP", |frame| frame.ip.protocol = ICMPV6);
        self.other_versions();
    }

    fn payload_lengths(&mut self) {
        let offs = (-13..=-1).chain(1..=20).map(|off| (format!("off by {off}"), Field::Off(off)));
        let values = [0, 1, 7, 8, 9, 40, 53, 1280, 1460, 0x7fff, 0x8000, 0xffff];
        let values = values.map(|value| (format!("said to be {value}"), Field::Is(value)));
        for (what, len) in offs.chain(values) {
            self.udp6(format!("IPv6: payload length {what}"), |frame| frame.ip.payload_len = len);
            self.udp6(format!("IPv6: payload length {what}, bytes behind it"), |frame| {
                (frame.ip.payload_len, frame.padding) = (len, vec![0; 20]);
            });
            self.icmp6(format!("IPv6: payload length of a ping {what}"), |frame| {
                frame.ip.payload_len = len;
            });
        }
    }

    /// A packet of one version in frames of the other.
    fn other_versions(&mut self) {
        let (four, six) = (self.hello(), self.hello6());
        let packet = four.ip.packet(&pattern(60));
        self.frame("IPv6: an IPv4 packet under its EtherType", six.link.frame(&packet));
        let packet = six.ip.packet(&pattern(60));
        self.frame("IPv4: an IPv6 packet under its EtherType", four.link.frame(&packet));
    }
}
