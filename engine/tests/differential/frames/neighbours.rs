//! Neighbour Discovery: each rule of RFC 4861 (sections 6.1, 7.1 and 8.1) violated.

use super::super::build::{Field, Message};
use super::{
    FAR6, HOST_LINK_LOCAL, HOST_MAC, HOST6, LINK6, OTHER_LINK_LOCAL, OTHER_MAC, OTHER6, Ping6, Suite,
    TESTER_LINK_LOCAL, TESTER_MAC, TESTER6, group_mac, pattern, solicited_node, v6,
};

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
/// Options: the sender's link address, the target's.
const SOURCE_LINK: u8 = 1;
const TARGET_LINK: u8 = 2;
const ALL_NODES: [u8; 16] = v6(0xff02, 0, 0, 1);

/// Addresses that stand where one of a host should.
const ADDRESSES: [(&str, [u8; 16]); 13] = [
    ("the host", HOST6),
    ("the host's link-local", HOST_LINK_LOCAL),
    ("the tester", TESTER6),
    ("the tester's link-local", TESTER_LINK_LOCAL),
    ("a neighbour", OTHER6),
    ("a neighbour's link-local", OTHER_LINK_LOCAL),
    ("a host past the router", FAR6),
    ("unspecified", [0; 16]),
    ("loopback", v6(0, 0, 0, 1)),
    ("all nodes", ALL_NODES),
    ("the host's solicited-node group", solicited_node(HOST6)),
    ("v4-mapped", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 77, 0, 1]),
    ("the link's router anycast", LINK6),
];

impl Suite {
    pub(super) fn neighbours(&mut self) {
        self.solicitation("IPv6 ND: solicitation", |_| {});
        for (who, from) in ADDRESSES {
            for (whom, target) in ADDRESSES {
                self.solicitation(format!("IPv6 ND: solicitation from {who} about {whom}"), |frame| {
                    frame.ip.from = from;
                    frame.carries.body[4..20].copy_from_slice(&target);
                });
            }
            self.solicitation(format!("IPv6 ND: solicitation to {who}"), |frame| {
                frame.ip.to = from;
                frame.link.to = if from[0] == 0xff { group_mac(from) } else { HOST_MAC };
            });
        }
        self.common_rules("solicitation", |suite| suite.solicited());
        self.common_rules("advertisement", |suite| suite.advertised(0x60));
        self.link_options("solicitation", SOURCE_LINK, |suite| suite.solicited());
        self.link_options("advertisement", TARGET_LINK, |suite| suite.advertised(0x60));
        self.duplicates();
        self.advertisements();
        self.routers();
    }

    /// "Who has the host's address?", as a kernel asks it.
    fn solicited(&self) -> Ping6 {
        let mut frame = self.ping6();
        (frame.ip.to, frame.ip.hop_limit) = (solicited_node(HOST6), 255);
        frame.link.to = group_mac(frame.ip.to);
        let link = [&[SOURCE_LINK, 1][..], &TESTER_MAC].concat();
        frame.carries = Message::new(SOLICITATION, 0, &[&[0; 4][..], &HOST6, &link].concat());
        frame
    }

    /// "The tester is here", to the host alone.
    fn advertised(&self, flags: u8) -> Ping6 {
        let mut frame = self.ping6();
        frame.ip.hop_limit = 255;
        let link = [&[TARGET_LINK, 1][..], &TESTER_MAC].concat();
        frame.carries = Message::new(ADVERTISEMENT, 0, &[&[flags, 0, 0, 0][..], &TESTER6, &link].concat());
        frame
    }

    fn solicitation(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Ping6)) {
        let mut frame = self.solicited();
        change(&mut frame);
        self.frame(name, frame.bytes());
    }

    fn common_rules(&mut self, what: &str, make: fn(&Self) -> Ping6) {
        let mut add = |name: String, change: &dyn Fn(&mut Ping6)| {
            let mut frame = make(self);
            change(&mut frame);
            self.frame(format!("IPv6 ND: {what} {name}"), frame.bytes());
        };
        for hops in [0, 1, 63, 64, 128, 253, 254] {
            add(format!("of hop limit {hops}"), &|frame| frame.ip.hop_limit = hops);
        }
        for code in [1, 2, 127, 128, 255] {
            add(format!("of code {code}"), &|frame| frame.carries.code = code);
        }
        for len in (0..28).rev() {
            add(format!("of {} bytes", 4 + len), &|frame| frame.carries.body.truncate(len));
        }
        for off in [-256, -1, 1, 256] {
            add(format!("with a checksum off by {off}"), &|frame| frame.carries.checksum = Field::Off(off));
        }
        add("with a checksum of zero".into(), &|frame| frame.carries.checksum = Field::Is(0));
        for reserved in [[0, 0, 0, 1], [0, 1, 0, 0], [0x1f, 0, 0, 0], [0x1f, 0xff, 0xff, 0xff]] {
            add(format!("with reserved bits {reserved:02x?}"), &|frame| {
                frame.carries.body.iter_mut().zip(reserved).for_each(|(byte, bits)| *byte |= bits);
            });
        }
    }

    fn link_options(&mut self, what: &str, kind: u8, make: fn(&Self) -> Ping6) {
        let mut add = |name: String, options: &[u8]| {
            let mut frame = make(self);
            frame.carries.body.truncate(20);
            frame.carries.body.extend(options);
            self.frame(format!("IPv6 ND: {what} with {name}"), frame.bytes());
        };
        add("no option".into(), &[]);
        let link = [&[kind, 1][..], &TESTER_MAC].concat();
        for words in [0, 2, 3, 31, 255] {
            add(format!("a link address of {words} words"), &[&[kind, words][..], &TESTER_MAC].concat());
        }
        add("a link address of two words".into(), &[&[kind, 2][..], &TESTER_MAC, &[0; 8]].concat());
        add("two link addresses".into(), &[&link[..], &[kind, 1], &OTHER_MAC].concat());
        add("the other link address".into(), &[&[3 - kind, 1][..], &OTHER_MAC].concat());
        for (whose, mac) in [
            ("another's", OTHER_MAC),
            ("a group's", [0x33, 0x33, 0, 0, 0, 1]),
            ("everybody's", [0xff; 6]),
            ("no", [0; 6]),
            ("the host's", HOST_MAC),
        ] {
            add(format!("{whose} link address"), &[&[kind, 1][..], &mac].concat());
        }
        for option in (3..=14).chain([24, 25, 31, 37, 38, 127, 128, 253, 254, 255]) {
            add(format!("option {option}"), &[&[option, 1, 0, 0, 0, 0, 0, 0][..], &link].concat());
            add(
                format!("option {option} of no words"),
                &[&link[..], &[option, 0, 0, 0, 0, 0, 0, 0]].concat(),
            );
        }
        for len in 1..8 {
            add(format!("{len} bytes of an option"), &[&link[..], &link[..len]].concat());
        }
        add("forty options".into(), &[14, 1, 0, 0, 0, 0, 0, 0].repeat(40));
    }

    /// Duplicate address detection for the host's own addresses, and wrong in each rule.
    fn duplicates(&mut self) {
        for (what, target) in [("the address", HOST6), ("the link-local address", HOST_LINK_LOCAL)] {
            let mut probe = self.solicited();
            probe.ip.from = [0; 16];
            probe.ip.to = solicited_node(target);
            probe.link.to = group_mac(probe.ip.to);
            probe.carries.body.truncate(20);
            probe.carries.body[4..].copy_from_slice(&target);
            self.frame(format!("IPv6 ND: probe of {what}"), probe.bytes());
            let mut nonce = probe.clone();
            nonce.carries.body.extend([14, 1, 1, 2, 3, 4, 5, 6]);
            self.frame(format!("IPv6 ND: probe of {what} with a nonce"), nonce.bytes());
            for (whom, to) in [("the host", target), ("all nodes", ALL_NODES)] {
                let mut probe = probe.clone();
                probe.ip.to = to;
                probe.link.to = if to == target { HOST_MAC } else { group_mac(to) };
                self.frame(format!("IPv6 ND: probe of {what} to {whom}"), probe.bytes());
            }
            probe.carries.body.extend([&[SOURCE_LINK, 1][..], &TESTER_MAC].concat());
            self.frame(format!("IPv6 ND: probe of {what} with a link address"), probe.bytes());
        }
    }

    fn advertisements(&mut self) {
        for flags in (0..8).map(|flags| flags << 5) {
            for (whom, to) in [("the host", HOST6), ("all nodes", ALL_NODES)] {
                for (who, target) in ADDRESSES {
                    let mut frame = self.advertised(flags);
                    frame.ip.to = to;
                    frame.link.to = if to == HOST6 { HOST_MAC } else { group_mac(to) };
                    frame.carries.body[4..20].copy_from_slice(&target);
                    let name = format!("IPv6 ND: advertisement of {who} to {whom}, flags {flags:#04x}");
                    self.frame(name, frame.bytes());
                }
            }
        }
    }

    /// Routers' messages and redirects, which a host without configuration from the wire
    /// does not answer.
    fn routers(&mut self) {
        let redirect = [&[0; 4][..], &TESTER_LINK_LOCAL, &FAR6].concat();
        for (what, kind, body) in [
            ("router solicitation", ROUTER_SOLICITATION, vec![0; 4]),
            ("router advertisement", ROUTER_ADVERTISEMENT, vec![0; 12]),
            ("redirect", REDIRECT, redirect),
            ("inverse solicitation", 141, pattern(20)),
            ("home agent request", 144, vec![0; 4]),
            ("node information", 139, pattern(20)),
            ("certification path", 148, vec![0; 8]),
            ("multicast router", 151, vec![0; 4]),
        ] {
            for (who, from) in [("a router", TESTER_LINK_LOCAL), ("a host", TESTER6), ("nobody", [0; 16])] {
                for (whom, to) in
                    [("the host", HOST6), ("its link-local", HOST_LINK_LOCAL), ("all nodes", ALL_NODES)]
                {
                    for hops in [255, 64] {
                        let mut frame = self.ping6();
                        (frame.ip.from, frame.ip.to, frame.ip.hop_limit) = (from, to, hops);
                        frame.link.to = if to == ALL_NODES { group_mac(to) } else { HOST_MAC };
                        frame.carries = Message::new(kind, 0, &body);
                        let name = format!("IPv6 ND: {what} from {who} to {whom}, hop limit {hops}");
                        self.frame(name, frame.bytes());
                    }
                }
            }
        }
    }
}
