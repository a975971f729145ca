//! ICMP for IPv6: every type and code, lengths, checksums, errors and what they quote, and
//! multicast listener messages (RFC 4443, RFC 2710, RFC 3810).

use super::super::build::{
    Carried as _, DESTINATION_OPTIONS, FRAGMENT, Field, HOP_BY_HOP, Ip as _, Message, NO_NEXT_HEADER,
    ROUTING, Udp, fragment, options, routing,
};
use super::{
    CLIENT, CLOSED, ECHO, FAR6, HOST6, PING6, Suite, TESTER_LINK_LOCAL, group_mac, pattern, solicited_node,
    v6,
};

const ECHO_REPLY: u8 = 129;

impl Suite {
    pub(super) fn icmpv6(&mut self) {
        let lens = (0..=40).chain([56, 63, 64, 65, 127, 255, 256, 511, 512, 1000, 1400, 1451, 1452]);
        for len in lens {
            self.icmp6(format!("IPv6 ICMP: echo of {len} bytes"), |frame| {
                frame.carries = Message::echo(PING6, &pattern(len));
            });
        }
        for code in (1..=16).chain([127, 128, 255]) {
            self.icmp6(format!("IPv6 ICMP: echo of code {code}"), |frame| frame.carries.code = code);
            self.icmp6(format!("IPv6 ICMP: echo reply of code {code}"), |frame| {
                (frame.carries.kind, frame.carries.code) = (ECHO_REPLY, code);
            });
        }
        for kind in (0..=255).filter(|&kind| kind != PING6) {
            self.icmp6(format!("IPv6 ICMP: type {kind}"), |frame| frame.carries.kind = kind);
        }
        for len in 0..=4 {
            self.icmp6(format!("IPv6 ICMP: echo with a header of {} bytes", 4 + len), |frame| {
                frame.carries.body.truncate(len);
            });
        }
        self.icmp6_checksums();
        self.errors6();
        self.listeners();
    }

    fn icmp6_checksums(&mut self) {
        for kind in [PING6, ECHO_REPLY, 1] {
            let checksums = [
                ("0", Field::Is(0)),
                ("0xffff", Field::Is(0xffff)),
                ("-256", Field::Off(-256)),
                ("-1", Field::Off(-1)),
                ("+1", Field::Off(1)),
                ("+256", Field::Off(256)),
            ];
            for (what, checksum) in checksums {
                self.icmp6(format!("IPv6 ICMP: type {kind} with checksum {what}"), |frame| {
                    (frame.carries.kind, frame.carries.checksum) = (kind, checksum);
                });
            }
        }
        let mut without = self.ping6();
        let right = Message::echo(PING6, b"hello").bytes(&self.hello().ip);
        without.carries.body = right[4..].to_vec();
        without.carries.checksum = Field::Is(u16::from_be_bytes([right[2], right[3]]));
        self.frame("IPv6 ICMP: checksum without the pseudo header", without.bytes());
    }

    fn errors6(&mut self) {
        for (kind, codes) in [(1, 0..=9), (2, 0..=1), (3, 0..=2), (4, 0..=4), (100, 0..=0), (127, 0..=0)] {
            for code in codes {
                for (what, quote) in self.quotes6() {
                    self.icmp6(format!("IPv6 ICMP: error {kind}/{code} about {what}"), |frame| {
                        frame.carries = Message::new(kind, code, &[&[0, 0, 5, 0], &quote[..]].concat());
                    });
                }
            }
        }
        self.refused_errors6();
        let quote = self.quote6(Udp::new(ECHO, CLIENT, b"hello"));
        for len in 0..quote.len() {
            self.icmp6(format!("IPv6 ICMP: error about {len} bytes"), |frame| {
                frame.carries = Message::new(1, 4, &[&[0; 4], &quote[..len]].concat());
            });
        }
        for mtu in [0, 1, 68, 1279, 1280, 1499, 1500, 65_535, u32::MAX] {
            self.icmp6(format!("IPv6 ICMP: packet too big, MTU {mtu}"), |frame| {
                frame.carries = Message::new(2, 0, &[&mtu.to_be_bytes()[..], &quote].concat());
            });
        }
    }

    /// Behind what a sender is told of, and in fragments of which others are missing.
    fn refused_errors6(&mut self) {
        let padding = |kind| (kind, options(&[]));
        for kind in [1, 2, 3, 4, 100, 127, 128, 129, 137, 200] {
            for (what, chain) in [
                ("an unknown option", vec![(DESTINATION_OPTIONS, options(&[0x9e, 4, 0, 0, 0, 0]))]),
                ("an unknown hop-by-hop option", vec![(HOP_BY_HOP, options(&[0xde, 4, 0, 0, 0, 0]))]),
                ("an unknown route", vec![(ROUTING, routing(9, 1, &[]))]),
                ("misplaced options", vec![padding(DESTINATION_OPTIONS), padding(HOP_BY_HOP)]),
                ("a fragment header", vec![(FRAGMENT, fragment(0, true, 0x7_0000 + u32::from(self.id())))]),
            ] {
                for len in [32, 256] {
                    let mut chain = chain.clone();
                    if let Some((FRAGMENT, header)) = chain.first_mut() {
                        header[6] ^= (len / 8) as u8;
                    }
                    self.icmp6(format!("IPv6 ICMP: type {kind} of {len} bytes behind {what}"), |frame| {
                        frame.ip.chain = chain;
                        frame.carries = Message::new(kind, 0, &pattern(len - 4));
                    });
                }
            }
        }
    }

    fn quotes6(&self) -> [(&'static str, Vec<u8>); 4] {
        let mut echo = self.ping6();
        (echo.ip.from, echo.ip.to) = (HOST6, FAR6);
        [
            ("a reply", self.quote6(Udp::new(ECHO, CLIENT, b"hello"))),
            ("what was not sent", self.quote6(Udp::new(CLOSED, CLIENT, b"hello"))),
            ("a ping", echo.ip.packet(&echo.carries.bytes(&echo.ip))),
            ("nonsense", pattern(48)),
        ]
    }

    /// A packet of the host to another host: what a kernel hears of those to the tester it
    /// would believe.
    fn quote6(&self, udp: Udp) -> Vec<u8> {
        let mut frame = self.hello6();
        (frame.ip.from, frame.ip.to) = (HOST6, FAR6);
        frame.ip.packet(&udp.bytes(&frame.ip))
    }

    /// Queries and reports. What answers a query comes late, and is no answer to a frame.
    fn listeners(&mut self) {
        let alert = vec![(HOP_BY_HOP, options(&[5, 2, 0, 0]))];
        for (what, kind, len) in [
            ("query", 130, 24),
            ("query, version 1", 130, 20),
            ("report", 131, 20),
            ("done", 132, 20),
            ("report, version 2", 143, 24),
        ] {
            for (how, hop_limit, chain) in [
                ("", 1, alert.clone()),
                (" without an alert", 1, Vec::new()),
                (" of hop limit 64", 64, alert.clone()),
            ] {
                self.icmp6(format!("IPv6 listeners: {what}{how}"), |frame| {
                    (frame.ip.from, frame.ip.to) = (TESTER_LINK_LOCAL, v6(0xff02, 0, 0, 1));
                    (frame.ip.hop_limit, frame.ip.chain) = (hop_limit, chain);
                    frame.link.to = group_mac(frame.ip.to);
                    frame.carries = Message::new(kind, 0, &vec![0; len]);
                });
            }
            for len in [0, 4, 16, 19, 21, 23, 25] {
                self.icmp6(format!("IPv6 listeners: {what} of {len} bytes"), |frame| {
                    (frame.ip.from, frame.ip.to) = (TESTER_LINK_LOCAL, v6(0xff02, 0, 0, 1));
                    (frame.ip.hop_limit, frame.ip.chain) = (1, alert.clone());
                    frame.link.to = group_mac(frame.ip.to);
                    frame.carries = Message::new(kind, 0, &vec![0; len]);
                });
            }
        }
        self.icmp6("IPv6 ICMP: echo to the solicited-node group", |frame| {
            frame.ip.to = solicited_node(HOST6);
            frame.link.to = group_mac(frame.ip.to);
        });
        self.icmp6("IPv6 ICMP: echo under no next header", |frame| frame.ip.protocol = NO_NEXT_HEADER);
    }
}
