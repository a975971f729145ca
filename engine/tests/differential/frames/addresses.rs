//! Every class of source and destination address, over datagrams, datagrams to a closed
//! port and echo requests.

use super::{
    BROADCAST_MAC, CLOSED, ECHO, FAR, FAR6, HOST, HOST_LINK_LOCAL, HOST_MAC, HOST6, LINK, LINK6, OTHER,
    OTHER_LINK_LOCAL, OTHER6, Suite, TESTER, TESTER_LINK_LOCAL, TESTER6, group_mac, solicited_node, v6,
};

const SOURCES: [(&str, [u8; 4]); 27] = [
    ("a neighbour", OTHER),
    ("a host past the router", FAR),
    ("the host itself", HOST),
    ("zero", [0; 4]),
    ("0/8", [0, 1, 2, 3]),
    ("loopback", [127, 0, 0, 1]),
    ("loopback's network", [127, 0, 0, 0]),
    ("loopback's broadcast", [127, 255, 255, 255]),
    ("the link's broadcast", [10, 77, 0, 255]),
    ("the link itself", LINK),
    ("another link's broadcast", [10, 78, 0, 255]),
    ("everybody", [255; 4]),
    ("nearly everybody", [255, 255, 255, 254]),
    ("all hosts", [224, 0, 0, 1]),
    ("a group", [239, 1, 2, 3]),
    ("the last group", [239, 255, 255, 255]),
    ("class E", [240, 0, 0, 1]),
    ("class E's last", [254, 1, 2, 3]),
    ("link-local", [169, 254, 1, 1]),
    ("private, class A", [10, 1, 2, 3]),
    ("private, class B", [172, 16, 1, 1]),
    ("private, class C", [192, 168, 1, 1]),
    ("shared", [100, 64, 0, 1]),
    ("documentation", [192, 0, 2, 1]),
    ("benchmarks", [198, 18, 0, 1]),
    ("the first", [1, 0, 0, 0]),
    ("the last unicast", [223, 255, 255, 255]),
];
const DESTINATIONS: [(&str, [u8; 4], [u8; 6]); 15] = [
    ("the tester", TESTER, HOST_MAC),
    ("a neighbour", OTHER, HOST_MAC),
    ("a host past the router", FAR, HOST_MAC),
    ("zero", [0; 4], HOST_MAC),
    ("0/8", [0, 1, 2, 3], HOST_MAC),
    ("loopback", [127, 0, 0, 1], HOST_MAC),
    ("the link's broadcast", [10, 77, 0, 255], BROADCAST_MAC),
    ("the link itself", LINK, BROADCAST_MAC),
    ("another link's broadcast", [10, 78, 0, 255], BROADCAST_MAC),
    ("everybody", [255; 4], BROADCAST_MAC),
    ("all hosts", [224, 0, 0, 1], [1, 0, 0x5e, 0, 0, 1]),
    ("all routers", [224, 0, 0, 2], [1, 0, 0x5e, 0, 0, 2]),
    ("a group", [239, 1, 2, 3], [1, 0, 0x5e, 1, 2, 3]),
    ("class E", [240, 0, 0, 1], HOST_MAC),
    ("link-local", [169, 254, 1, 1], HOST_MAC),
];
const SOURCES6: [(&str, [u8; 16]); 24] = [
    ("a neighbour", OTHER6),
    ("a host past the router", FAR6),
    ("the tester's link-local", TESTER_LINK_LOCAL),
    ("a neighbour's link-local", OTHER_LINK_LOCAL),
    ("the host itself", HOST6),
    ("the host's link-local", HOST_LINK_LOCAL),
    ("unspecified", [0; 16]),
    ("loopback", v6(0, 0, 0, 1)),
    ("all nodes of the interface", v6(0xff01, 0, 0, 1)),
    ("all nodes", v6(0xff02, 0, 0, 1)),
    ("all routers", v6(0xff02, 0, 0, 2)),
    ("a group of the site", v6(0xff05, 0, 0, 0x123)),
    ("a global group", v6(0xff0e, 0, 0, 0x123)),
    ("the host's solicited-node group", solicited_node(HOST6)),
    ("v4-mapped", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 77, 0, 2]),
    ("v4-compatible", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 77, 0, 2]),
    ("v4-translated", [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 10, 77, 0, 2]),
    ("6to4", v6(0x2002, 0x0a4d, 2, 1)),
    ("Teredo", v6(0x2001, 0, 0, 1)),
    ("unique local", v6(0xfd00, 1, 2, 3)),
    ("site-local", v6(0xfec0, 0, 0, 1)),
    ("discard-only", v6(0x100, 0, 0, 1)),
    ("the link's router anycast", LINK6),
    ("link-local with a subnet", v6(0xfe80, 1, 2, 3)),
];
const DESTINATIONS6: [(&str, [u8; 16]); 36] = [
    ("the host's link-local", HOST_LINK_LOCAL),
    ("the tester", TESTER6),
    ("a neighbour", OTHER6),
    ("a neighbour's link-local", OTHER_LINK_LOCAL),
    ("a host past the router", FAR6),
    ("unspecified", [0; 16]),
    ("loopback", v6(0, 0, 0, 1)),
    ("the link's router anycast", LINK6),
    ("v4-mapped", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 77, 0, 1]),
    ("v4-compatible", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 77, 0, 1]),
    ("site-local", v6(0xfec0, 0, 0, 1)),
    ("unique local", v6(0xfd00, 1, 2, 3)),
    ("the host's solicited-node group", solicited_node(HOST6)),
    ("the solicited-node group of its link-local", solicited_node(HOST_LINK_LOCAL)),
    ("another's solicited-node group", solicited_node(OTHER6)),
    ("all routers", v6(0xff02, 0, 0, 2)),
    ("all listeners", v6(0xff02, 0, 0, 0x16)),
    ("all routers of the interface", v6(0xff01, 0, 0, 2)),
    ("all nodes by prefix", v6(0xff32, 0, 0, 1)),
    ("all nodes, transient", v6(0xff12, 0, 0, 1)),
    ("all nodes of scope 0", v6(0xff00, 0, 0, 1)),
    ("all nodes of scope 1", v6(0xff01, 0, 0, 1)),
    ("all nodes of scope 2", v6(0xff02, 0, 0, 1)),
    ("all nodes of scope 3", v6(0xff03, 0, 0, 1)),
    ("all nodes of scope 4", v6(0xff04, 0, 0, 1)),
    ("all nodes of scope 5", v6(0xff05, 0, 0, 1)),
    ("all nodes of scope 6", v6(0xff06, 0, 0, 1)),
    ("all nodes of scope 7", v6(0xff07, 0, 0, 1)),
    ("all nodes of scope 8", v6(0xff08, 0, 0, 1)),
    ("all nodes of scope 9", v6(0xff09, 0, 0, 1)),
    ("all nodes of scope 10", v6(0xff0a, 0, 0, 1)),
    ("all nodes of scope 11", v6(0xff0b, 0, 0, 1)),
    ("all nodes of scope 12", v6(0xff0c, 0, 0, 1)),
    ("all nodes of scope 13", v6(0xff0d, 0, 0, 1)),
    ("all nodes of scope 14", v6(0xff0e, 0, 0, 1)),
    ("all nodes of scope 15", v6(0xff0f, 0, 0, 1)),
];

/// What is sent between these addresses.
#[derive(Clone, Copy)]
enum Content {
    Hello,
    ToClosedPort,
    Ping,
}

impl Suite {
    pub(super) fn addresses(&mut self) {
        for (what, content) in [
            ("a datagram", Content::Hello),
            ("a datagram to a closed port", Content::ToClosedPort),
            ("a ping", Content::Ping),
        ] {
            for (whom, from) in SOURCES {
                self.between(format!("IPv4 source: {what} from {whom}"), content, from, HOST, HOST_MAC);
            }
            for (whom, to, mac) in DESTINATIONS {
                self.between(format!("IPv4 destination: {what} to {whom}"), content, TESTER, to, mac);
                if mac != HOST_MAC {
                    let name = format!("IPv4 destination: {what} to {whom} by the host's MAC");
                    self.between(name, content, TESTER, to, HOST_MAC);
                }
            }
            for (whom, from) in SOURCES6 {
                self.between6(format!("IPv6 source: {what} from {whom}"), content, from, HOST6, HOST_MAC);
                let name = format!("IPv6 source: {what} from {whom} to the link-local address");
                self.between6(name, content, from, HOST_LINK_LOCAL, HOST_MAC);
            }
            for (whom, to) in DESTINATIONS6 {
                let mac = if to[0] == 0xff { group_mac(to) } else { HOST_MAC };
                self.between6(format!("IPv6 destination: {what} to {whom}"), content, TESTER6, to, mac);
                if mac != HOST_MAC {
                    let name = format!("IPv6 destination: {what} to {whom} by the host's MAC");
                    self.between6(name, content, TESTER6, to, HOST_MAC);
                }
            }
        }
        self.both_ends();
    }

    /// Sources and destinations that are wrong together.
    fn both_ends(&mut self) {
        let name = "IPv4 source: a datagram from the host itself and its own port";
        self.udp4(name, |frame| (frame.ip.from, frame.carries.from) = (HOST, ECHO));
        let name = "IPv4 source: a ping from the link's broadcast to itself";
        self.ping4(name, |frame| (frame.ip.from, frame.ip.to) = ([10, 77, 0, 255], [10, 77, 0, 255]));
        let name = "IPv4 source: a ping from zero to everybody";
        self.ping4(name, |frame| {
            (frame.ip.from, frame.ip.to, frame.link.to) = ([0; 4], [255; 4], BROADCAST_MAC);
        });
        let name = "IPv6 source: a datagram from the host itself and its own port";
        self.udp6(name, |frame| (frame.ip.from, frame.carries.from) = (HOST6, ECHO));
        let name = "IPv6 source: a ping from unspecified to all nodes";
        self.icmp6(name, |frame| {
            (frame.ip.from, frame.ip.to) = ([0; 16], v6(0xff02, 0, 0, 1));
            frame.link.to = group_mac(frame.ip.to);
        });
    }

    fn between(&mut self, name: String, content: Content, from: [u8; 4], to: [u8; 4], mac: [u8; 6]) {
        let (mut hello, mut ping) = (self.hello(), self.ping());
        hello.carries.to = content.port();
        (hello.ip.from, hello.ip.to, hello.link.to) = (from, to, mac);
        (ping.ip.from, ping.ip.to, ping.link.to) = (from, to, mac);
        let is_ping = matches!(content, Content::Ping);
        self.frame(name, if is_ping { ping.bytes() } else { hello.bytes() });
    }

    fn between6(&mut self, name: String, content: Content, from: [u8; 16], to: [u8; 16], mac: [u8; 6]) {
        let (mut hello, mut ping) = (self.hello6(), self.ping6());
        hello.carries.to = content.port();
        (hello.ip.from, hello.ip.to, hello.link.to) = (from, to, mac);
        (ping.ip.from, ping.ip.to, ping.link.to) = (from, to, mac);
        let is_ping = matches!(content, Content::Ping);
        self.frame(name, if is_ping { ping.bytes() } else { hello.bytes() });
    }
}

impl Content {
    fn port(self) -> u16 {
        if matches!(self, Self::ToClosedPort) { CLOSED } else { ECHO }
    }
}
