//! The suite: every kind of frame, with a name and what has to become of it.

mod ipv6;
mod ndp;
mod tags;

use std::net::{Ipv4Addr, Ipv6Addr};

use gannet::wire::ethernet::MacAddress;

use super::build::{Arp, Checksum, ICMP, IPV6, Link, Packet, UDP, icmp};
use super::build6::Packet6;

/// The host's addresses, that in [`VLAN`], and those in the two VLANs of [`QINQ`].
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(crate) const ADDRESS6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 1);
pub(crate) const VLAN_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
pub(crate) const VLAN: u16 = 5;
pub(crate) const QINQ_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);
pub(crate) const QINQ_ADDRESS6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x79, 0, 0, 0, 0, 0, 1);
/// The outer and the inner one.
pub(crate) const QINQ: [u16; 2] = [100, 200];
/// Who sends the frames.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub(crate) const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 2);
pub(crate) const VLAN_CLIENT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
pub(crate) const QINQ_CLIENT: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 2);
pub(crate) const QINQ_CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x79, 0, 0, 0, 0, 0, 2);
pub(crate) const CLIENT_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
/// The host's MAC address in the reference.
pub(crate) const OWN_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

/// UDP ports of the service: it sends back what came, or something else (see
/// [`reshaped`]), or nothing.
pub(crate) const ECHO: u16 = 7;
pub(crate) const RESHAPE: u16 = 9;
pub(crate) const SINK: u16 = 10;
/// The longest payloads that the MTU allows, in bytes: over IPv4, and over IPv6.
pub(crate) const LONGEST: usize = 1472;
pub(crate) const LONGEST6: usize = 1452;

/// A frame of the suite.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) frame: Vec<u8>,
    pub(crate) verdict: Verdict,
}

/// What has to become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is answered with one frame.
    Answered,
    /// It is not answered, and counted under this name.
    Silent(&'static str),
    /// It is counted under this name, and its sender told so with an ICMP error.
    Told(&'static str),
}

/// What the service makes of a payload on port [`RESHAPE`]: one of even length is cut in
/// half, one of odd length grows up to `longest`, and every byte is another.
pub(crate) fn reshaped(payload: &[u8], longest: usize) -> Vec<u8> {
    let mut reshaped = payload.to_vec();
    reshaped.resize(reshaped_len(payload.len(), longest), 0);
    reshaped.iter_mut().for_each(|byte| *byte ^= MASK);
    reshaped
}

/// How long that is.
pub(crate) fn reshaped_len(len: usize, longest: usize) -> usize {
    if len.is_multiple_of(2) { len / 2 } else { (len + 13).min(longest) }
}

pub(crate) const MASK: u8 = 0x5a;

/// Bytes without a pattern that a fault could keep.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 + len * 7 + index / 256) as u8).collect()
}

/// All frames, for a host with that MAC address.
pub(crate) fn suite(own: MacAddress) -> Vec<Case> {
    let mut suite = Suite { own, cases: Vec::new() };
    suite.datagrams();
    suite.tags();
    suite.arp();
    suite.icmp();
    suite.broken_links();
    suite.broken_ipv4();
    suite.addresses();
    suite.broken_udp();
    suite.truncations();
    suite.ipv6();
    suite.icmpv6();
    suite.solicitations();
    suite.advertisements();
    suite.cases
}

use Verdict::{Answered, Silent, Told};

struct Suite {
    own: MacAddress,
    cases: Vec<Case>,
}

impl Suite {
    fn frame(&mut self, name: impl Into<String>, verdict: Verdict, frame: Vec<u8>) {
        self.cases.push(Case { name: name.into(), frame, verdict });
    }

    /// A datagram "hello" after `change` had its way with it.
    fn ip(&mut self, name: impl Into<String>, verdict: Verdict, change: impl FnOnce(&mut Packet)) {
        let mut packet = Packet::hello(self.own);
        change(&mut packet);
        self.frame(name, verdict, packet.frame());
    }

    /// The same over IPv6.
    fn ip6(&mut self, name: impl Into<String>, verdict: Verdict, change: impl FnOnce(&mut Packet6)) {
        let mut packet = Packet6::hello(self.own);
        change(&mut packet);
        self.frame(name, verdict, packet.frame());
    }

    fn ping(&mut self, name: impl Into<String>, verdict: Verdict, message: Vec<u8>) {
        self.ip(name, verdict, |packet| (packet.protocol, packet.body) = (ICMP, Some(message)));
    }

    /// An ARP request for our address after `change` had its way with it.
    fn arp_packet(&mut self, name: impl Into<String>, verdict: Verdict, change: impl FnOnce(&mut Arp)) {
        let mut packet = Arp::request(self.own);
        change(&mut packet);
        self.frame(name, verdict, packet.frame());
    }

    fn datagrams(&mut self) {
        for (port, what) in [(ECHO, "echo"), (RESHAPE, "reshape")] {
            for len in [0, 1, 2, 3, 17, 18, 19, 63, 64, 511, 512, 1000, 1458, 1459, 1471, LONGEST] {
                self.ip(format!("{what}: {len} bytes"), Answered, |packet| {
                    (packet.udp.to, packet.udp.payload) = (port, pattern(len));
                });
                self.ip(format!("{what}: {len} bytes, no checksum"), Answered, |packet| {
                    (packet.udp.to, packet.udp.payload) = (port, pattern(len));
                    packet.udp.checksum = Checksum::Is(0);
                });
            }
            // 42 bytes of headers: 18 more make the shortest frame of a wire.
            for len in [0, 1, 17, 18] {
                for (padding, byte) in [("zeros", 0), ("ones", 0xff)] {
                    self.ip(format!("{what}: {len} bytes padded with {padding}"), Answered, |packet| {
                        (packet.udp.to, packet.udp.payload) = (port, pattern(len));
                        packet.padding = vec![byte; 18 - len];
                    });
                }
            }
            self.ip(format!("{what}: a trailer of 100 bytes"), Answered, |packet| {
                (packet.udp.to, packet.padding) = (port, pattern(100));
            });
            for behind in [1, 2, 40] {
                self.ip(format!("{what}: {behind} bytes behind the UDP length"), Answered, |packet| {
                    (packet.udp.to, packet.udp.behind) = (port, pattern(behind));
                });
            }
            for ihl in 6..=15 {
                self.ip(format!("{what}: {} bytes of options", (ihl - 5) * 4), Answered, |packet| {
                    packet.udp.to = port;
                    packet.options = options((ihl - 5) * 4);
                });
            }
            self.ip(format!("{what}: options, no checksum and padding"), Answered, |packet| {
                (packet.udp.to, packet.udp.checksum) = (port, Checksum::Is(0));
                (packet.options, packet.padding) = (options(8), vec![0xee; 5]);
            });
        }
        for ttl in [0, 1, 255] {
            self.ip(format!("TTL {ttl}"), Answered, |packet| packet.ttl = ttl);
        }
        for tos in [0x01, 0x02, 0x03, 0xb8, 0xbb, 0xff] {
            self.ip(format!("traffic class {tos:#04x}"), Answered, |packet| packet.tos = tos);
        }
        for id in [0, 0xffff] {
            self.ip(format!("identification {id:#x}"), Answered, |packet| packet.id = id);
        }
        self.ip("don't fragment", Answered, |packet| packet.fragment = 0x4000);
        self.ip("the reserved flag", Answered, |packet| packet.fragment = 0x8000);
        for port in [1, 8, 54, 65535] {
            self.ip(format!("from port {port}"), Answered, |packet| packet.udp.from = port);
        }
        for port in [7, 13, 17, 19, 37, 53, 69, 123, RESHAPE, SINK] {
            let name = format!("from port {port} of a service");
            self.ip(name, Silent("reflector_port"), |packet| packet.udp.from = port);
        }
        self.ip("a checksum of all ones", Answered, |packet| {
            packet.udp.payload = balanced(packet, 0);
        });
        self.ip("an answer with a checksum of all ones", Answered, |packet| {
            packet.udp.to = RESHAPE;
            packet.udp.payload = balanced(packet, MASK);
        });
        self.ip("the service drops it", Silent("service_dropped"), |packet| packet.udp.to = SINK);
    }

    fn arp(&mut self) {
        let own = self.own.0;
        self.arp_packet("ARP request", Answered, |_| ());
        self.arp_packet("ARP request, padded", Answered, |packet| packet.padding = vec![0xee; 18]);
        self.arp_packet("ARP request to our MAC address", Answered, |packet| packet.link.to = own);
        self.arp_packet("ARP request to a multicast", Answered, |packet| {
            packet.link.to = [1, 0, 0x5e, 0, 0, 1]
        });
        self.arp_packet("ARP request with a target MAC address", Answered, |packet| {
            packet.target.0 = [0xff; 6]
        });
        self.arp_packet("ARP probe", Answered, |packet| packet.sender.1 = [0; 4]);
        self.arp_packet("ARP request from afar", Answered, |packet| packet.sender.1 = [192, 0, 2, 1]);
        self.arp_packet("somebody else announces our address", Silent("arp_malformed"), |packet| {
            packet.sender.1 = ADDRESS.octets();
        });
        for (name, target) in [
            ("ARP request for another", [10, 77, 0, 3]),
            ("ARP announcement", CLIENT.octets()),
            ("ARP request for the broadcast address", [10, 77, 0, 255]),
            ("ARP request for no address", [0; 4]),
        ] {
            self.arp_packet(name, Silent("arp_not_ours"), |packet| packet.target.1 = target);
        }
        self.arp_packet("ARP reply that nobody asked for", Silent("arp_unsolicited"), |packet| {
            (packet.operation, packet.link.to, packet.target.0) = (2, own, own);
        });
        self.arp_packet("ARP reply to everybody about us", Silent("arp_unsolicited"), |packet| {
            packet.operation = 2
        });
        self.arp_packet("ARP reply announcing an address", Silent("arp_not_ours"), |packet| {
            (packet.operation, packet.target.1) = (2, CLIENT.octets());
        });
        for operation in [0, 3, 4, 8, 0x0100, 0xffff] {
            self.arp_packet(format!("ARP operation {operation}"), Silent("arp_not_ours"), |packet| {
                packet.operation = operation;
            });
        }
        let malformed = Silent("arp_malformed");
        for (name, at, byte) in [
            ("ARP of hardware type 6", 1, 6),
            ("ARP of hardware type 256", 0, 1),
            ("ARP for another protocol", 2, 0x86),
            ("ARP with hardware addresses of 8 bytes", 4, 8),
            ("ARP with protocol addresses of 16 bytes", 5, 16),
            ("ARP with addresses of no length", 5, 0),
        ] {
            self.arp_packet(name, malformed, |packet| packet.preamble[at] = byte);
        }
        self.arp_packet("ARP of another sender than the frame's", malformed, |packet| packet.sender.0[5] = 9);
        self.arp_packet("ARP request to another station", Silent("not_our_mac"), |packet| {
            packet.link.to = [2, 0, 0, 0, 0, 9];
        });
    }

    fn icmp(&mut self) {
        for len in [0, 1, 2, 17, 18, 19, 56, 57, 1471, LONGEST] {
            self.ping(format!("echo request: {len} bytes"), Answered, icmp(8, 0, &pattern(len)));
        }
        self.ping("echo request over the MTU", Told("tx_oversize"), icmp(8, 0, &pattern(LONGEST + 1)));
        self.ip("echo request with options", Answered, |packet| {
            (packet.protocol, packet.body) = (ICMP, Some(icmp(8, 0, b"ping")));
            packet.options = options(40);
        });
        self.ip("echo request, padded", Answered, |packet| {
            (packet.protocol, packet.body) = (ICMP, Some(icmp(8, 0, b"ping")));
            packet.padding = vec![0xee; 14];
        });
        self.ip("echo request of a traffic class", Answered, |packet| {
            (packet.protocol, packet.body) = (ICMP, Some(icmp(8, 0, b"ping")));
            packet.tos = 0x2e << 2 | 3;
        });
        self.ip("echo request to everybody", Silent("group_ip"), |packet| {
            (packet.protocol, packet.body) = (ICMP, Some(icmp(8, 0, b"ping")));
            (packet.to, packet.link.to) = ([10, 77, 0, 255], [0xff; 6]);
        });
        // The sum stays odd, so that no flipped bit is hidden by the two zeros.
        let mut broken = icmp(8, 0, b"ping");
        broken[11] ^= 1;
        self.ping("echo request with a wrong checksum", Silent("icmp_malformed"), broken);
        let mut unfilled = icmp(8, 0, b"ping");
        unfilled[2..4].fill(0);
        self.ping("echo request without a checksum", Silent("icmp_malformed"), unfilled);
        for len in [0, 1, 2, 4, 7] {
            self.ping(
                format!("ICMP message of {len} bytes"),
                Silent("icmp_malformed"),
                icmp(8, 0, b"")[..len].to_vec(),
            );
        }
        self.ping("echo request of code 1", Silent("icmp_other"), icmp(8, 1, b"ping"));
        for kind in [0, 3, 4, 5, 9, 11, 12, 13, 17, 255] {
            self.ping(
                format!("ICMP type {kind}"),
                Silent("icmp_other"),
                icmp(kind, 0, b"Not a request, but data."),
            );
        }
    }

    fn broken_links(&mut self) {
        let own = self.own.0;
        for (name, to, verdict) in [
            ("another station's MAC address", [2, 0, 0, 0, 0, 9], "not_our_mac"),
            ("our MAC address but for a bit of each byte", own.map(|byte| byte ^ 0x40), "not_our_mac"),
            ("datagram in a broadcast frame", [0xff; 6], "group_mac"),
            ("datagram in a multicast frame", [1, 0, 0x5e, 1, 2, 3], "group_mac"),
            ("datagram in an IPv6 multicast frame", [0x33, 0x33, 0, 0, 0, 1], "group_mac"),
            ("datagram to no MAC address", [0; 6], "not_our_mac"),
        ] {
            self.ip(name, Silent(verdict), |packet| packet.link.to = to);
        }
        for (name, from) in [
            ("from the broadcast MAC address", [0xff; 6]),
            ("from a multicast MAC address", [1, 0, 0x5e, 0, 0, 1]),
            ("from no MAC address", [0; 6]),
        ] {
            self.ip(name, Silent("source_mac"), |packet| packet.link.from = from);
        }
        // A TAP's two ends share one.
        self.ip("from our own MAC address", Answered, |packet| packet.link.from = own);
        for (name, ether_type) in [
            ("802.3 with a length", 46),
            ("802.3 with the longest length", 1500),
            ("wake-on-LAN", 0x0842),
            ("RARP", 0x8035),
            ("MPLS", 0x8847),
            ("PPPoE", 0x8864),
            ("LLDP to us", 0x88cc),
            ("the loopback test", 0x9000),
            ("local experiments", 0x88b5),
            ("EtherType 0", 0),
            ("EtherType 0xffff", 0xffff),
        ] {
            let frame = Link::new(self.own, ether_type).frame(&pattern(46));
            self.frame(name, Silent("ether_type_unknown"), frame);
        }
        let lldp = Link { to: [1, 0x80, 0xc2, 0, 0, 0x0e], ..Link::new(self.own, 0x88cc) };
        self.frame("LLDP to its group", Silent("ether_type_unknown"), lldp.frame(&pattern(60)));
        let no_packet = Link::new(self.own, IPV6);
        self.frame("IPv6 and no packet", Silent("ipv6_malformed"), no_packet.frame(&pattern(46)));
        let to_group = Link { to: [0x33, 0x33, 0, 0, 0, 1], ..no_packet };
        self.frame("IPv6 and no packet, to a group", Silent("ipv6_malformed"), to_group.frame(&pattern(72)));
    }

    fn broken_ipv4(&mut self) {
        let malformed = Silent("ipv4_malformed");
        for version in [0, 1, 5, 6, 15] {
            self.ip(format!("IP version {version}"), malformed, |packet| packet.version = version);
        }
        for ihl in 0..5 {
            self.ip(format!("IHL {ihl}"), malformed, |packet| packet.ihl = Some(ihl));
        }
        self.ip("IHL beyond the total length", malformed, |packet| packet.ihl = Some(15));
        self.ip("IHL over the UDP header", Silent("udp_malformed"), |packet| {
            // The checksum is right for the longer header: what it covers is sums to zero.
            (packet.ihl, packet.body) = (Some(7), Some(vec![0; 8]));
        });
        for (len, what) in [(0, "no"), (19, "a short"), (34, "a long"), (65535, "the longest")] {
            let name = format!("{what} total length");
            self.ip(name, malformed, |packet| packet.total_len = Some(len));
        }
        for len in [20, 21, 27, 28, 32] {
            let verdict = Silent("udp_malformed");
            self.ip(format!("total length {len}, less than UDP says"), verdict, |packet| {
                packet.total_len = Some(len);
            });
        }
        for (name, checksum) in [
            ("IP checksum off by one", Checksum::Wrong),
            ("IP checksum 0", Checksum::Is(0)),
            ("IP checksum of ones", Checksum::Is(0xffff)),
        ] {
            self.ip(name, Silent("ipv4_checksum"), |packet| packet.checksum = checksum);
        }
        self.ip("IP checksum off by one, with options", Silent("ipv4_checksum"), |packet| {
            (packet.options, packet.checksum) = (options(4), Checksum::Wrong);
        });
        // Each of a datagram of its own: nothing can make a whole of them.
        for (number, (name, fragment)) in [
            ("first fragment", 0x2000),
            ("middle fragment", 0x2001),
            ("last fragment", 0x0001),
            ("last fragment, far behind", 0x1fff),
            ("first fragment that must not be one", 0x6000),
        ]
        .into_iter()
        .enumerate()
        {
            self.ip(name, Silent("fragment"), |packet| {
                (packet.fragment, packet.id) = (fragment, 0x5000 + number as u16);
            });
        }
        self.ip("first fragment of an echo request", Silent("fragment"), |packet| {
            (packet.protocol, packet.body) = (ICMP, Some(icmp(8, 0, b"ping")));
            (packet.fragment, packet.id) = (0x2000, 0x5010);
        });
        for protocol in [0, 2, 4, 6, 16, 18, 41, 47, 50, 58, 132, 136, 255] {
            self.ip(format!("protocol {protocol}"), Told("protocol_unknown"), |packet| {
                packet.protocol = protocol;
            });
        }
        for len in [0, 1, 7, 8, 547, 548, 549, 1480] {
            self.ip(format!("protocol 99, {len} bytes"), Told("protocol_unknown"), |packet| {
                (packet.protocol, packet.body) = (99, Some(pattern(len)));
            });
        }
        self.ip("protocol 99, options and padding", Told("protocol_unknown"), |packet| {
            (packet.protocol, packet.body) = (99, Some(pattern(5)));
            (packet.options, packet.padding) = (options(40), vec![0xee; 3]);
        });
    }

    fn addresses(&mut self) {
        for (to, verdict) in [
            ([10, 77, 0, 3], "not_our_ip"),
            ([10, 77, 0, 0], "not_our_ip"),
            ([10, 77, 1, 1], "not_our_ip"),
            ([0, 0, 0, 0], "not_our_ip"),
            ([127, 0, 0, 1], "not_our_ip"),
            ([169, 254, 0, 1], "not_our_ip"),
            ([192, 0, 2, 1], "not_our_ip"),
            ([240, 0, 0, 1], "not_our_ip"),
            ([10, 77, 0, 255], "group_ip"),
            ([10, 78, 0, 255], "group_ip"),
            ([224, 0, 0, 1], "group_ip"),
            ([239, 255, 255, 255], "group_ip"),
            ([255, 255, 255, 255], "group_ip"),
        ] {
            let name = format!("to {}", Ipv4Addr::from(to));
            self.ip(name, Silent(verdict), |packet| packet.to = to);
        }
        self.ip("to everybody on the link", Silent("group_ip"), |packet| {
            (packet.to, packet.link.to) = ([10, 77, 0, 255], [0xff; 6]);
        });
        self.ip("to a group", Silent("group_ip"), |packet| {
            (packet.to, packet.link.to) = ([224, 0, 0, 251], [1, 0, 0x5e, 0, 0, 251]);
        });
        for from in [
            [0, 0, 0, 0],
            [0, 1, 2, 3],
            [127, 0, 0, 1],
            [127, 255, 255, 255],
            [224, 0, 0, 1],
            [239, 1, 2, 3],
            [240, 0, 0, 1],
            [255, 255, 255, 255],
            [10, 77, 0, 255],
            [10, 78, 0, 255],
            [10, 77, 0, 1],
            [10, 78, 0, 1],
        ] {
            let name = format!("from {}", Ipv4Addr::from(from));
            self.ip(name, Silent("source_ip"), |packet| packet.from = from);
        }
        for from in [
            [1, 0, 0, 1],
            [126, 1, 2, 3],
            [128, 0, 0, 1],
            [169, 254, 1, 1],
            [192, 0, 2, 1],
            [223, 255, 255, 254],
        ] {
            let name = format!("from {}", Ipv4Addr::from(from));
            self.ip(name, Answered, |packet| packet.from = from);
        }
    }

    fn broken_udp(&mut self) {
        for len in [0, 1, 7, 14, 100, 65535] {
            self.ip(format!("UDP length {len}"), Silent("udp_malformed"), |packet| {
                packet.udp.len = Some(len)
            });
        }
        for len in [0, 1, 7] {
            self.ip(format!("{len} bytes of UDP"), Silent("udp_malformed"), |packet| {
                (packet.protocol, packet.body) = (UDP, Some(vec![0; len]));
            });
        }
        for len in [8, 9, 12] {
            self.ip(format!("UDP length {len} of 13"), Answered, |packet| {
                packet.udp.behind = packet.udp.payload.split_off(len - 8);
            });
        }
        let checksum = Silent("udp_checksum");
        self.ip("UDP checksum off by one", checksum, |packet| packet.udp.checksum = Checksum::Wrong);
        self.ip("UDP checksum of ones", checksum, |packet| packet.udp.checksum = Checksum::Is(0xffff));
        self.ip("UDP checksum off by one, odd length", checksum, |packet| {
            (packet.udp.checksum, packet.udp.payload) = (Checksum::Wrong, pattern(1471));
        });
        self.ip("UDP checksum off by one, options", checksum, |packet| {
            (packet.udp.checksum, packet.options) = (Checksum::Wrong, options(20));
        });
        self.ip("UDP checksum off by one, our VLAN", checksum, |packet| {
            (packet.udp.checksum, packet.link.tags) = (Checksum::Wrong, vec![0x81, 0, 0, 5]);
            (packet.from, packet.to) = (VLAN_CLIENT.octets(), VLAN_ADDRESS.octets());
        });
        self.ip("UDP checksum of the pseudo header only", checksum, |packet| {
            packet.udp.checksum = Checksum::Unfilled;
        });
        for (port, what) in [(ECHO, "echo"), (RESHAPE, "reshape")] {
            self.ip(format!("UDP checksum over the bytes behind, {what}"), checksum, |packet| {
                (packet.udp.to, packet.udp.checksum) = (port, Checksum::OverAll);
                packet.udp.behind = pattern(6);
            });
        }
        for port in [0, 1, 8, 1024, 65535] {
            self.ip(format!("to closed port {port}"), Told("udp_port_closed"), |packet| packet.udp.to = port);
        }
        for len in [0, 1, 519, 520, 521, LONGEST] {
            self.ip(format!("{len} bytes to a closed port"), Told("udp_port_closed"), |packet| {
                (packet.udp.to, packet.udp.payload) = (99, pattern(len));
            });
        }
        self.ip("to a closed port, with options and padding", Told("udp_port_closed"), |packet| {
            (packet.udp.to, packet.options, packet.padding) = (99, options(12), vec![0xee; 9]);
        });
        self.ip("to a closed port, a wrong checksum", Silent("udp_checksum"), |packet| {
            (packet.udp.to, packet.udp.checksum) = (99, Checksum::Wrong);
        });
        self.ip("to a closed port, from nobody", Silent("source_ip"), |packet| {
            (packet.udp.to, packet.from) = (99, [0; 4]);
        });
        self.ip("to a closed port, in a broadcast frame", Silent("group_mac"), |packet| {
            (packet.udp.to, packet.link.to) = (99, [0xff; 6]);
        });
        self.ip("to a closed port of everybody", Silent("group_ip"), |packet| {
            (packet.udp.to, packet.to) = (99, [10, 77, 0, 255]);
        });
        self.ip("from port 0", Silent("source_port"), |packet| packet.udp.from = 0);
        for len in [LONGEST + 1, LONGEST + 4] {
            self.ip(format!("{len} bytes, over the MTU"), Told("tx_oversize"), |packet| {
                packet.udp.payload = pattern(len);
            });
        }
    }

    fn truncations(&mut self) {
        let whole = Packet::hello(self.own).frame();
        for len in 0..14 {
            self.frame(format!("runt of {len} bytes"), Silent("runt"), whole[..len].to_vec());
        }
        for len in 14..whole.len() {
            let name = format!("datagram cut to {len} bytes");
            self.frame(name, Silent("ipv4_malformed"), whole[..len].to_vec());
        }
        let request = Arp::request(self.own).frame();
        for len in 14..request.len() {
            let name = format!("ARP request cut to {len} bytes");
            self.frame(name, Silent("arp_malformed"), request[..len].to_vec());
        }
        let tagged = [&whole[..12], &[0x81, 0, 0, 5], &whole[12..]].concat();
        for (len, verdict) in [
            (14, "runt"),
            (15, "runt"),
            (17, "runt"),
            (18, "ipv4_malformed"),
            (19, "ipv4_malformed"),
            (20, "ipv4_malformed"),
            (50, "ipv4_malformed"),
        ] {
            let name = format!("tagged frame cut to {len} bytes");
            self.frame(name, Silent(verdict), tagged[..len].to_vec());
        }
    }
}

/// Options of `len` bytes, a multiple of 4: a router alert and no operations.
fn options(len: usize) -> Vec<u8> {
    let mut options = vec![1; len];
    options[..4].copy_from_slice(&[0x94, 4, 0, 0]);
    options
}

/// A payload of 3 bytes that has the checksum zero of a datagram (sent as all ones) come out
/// where the service changes its bytes with `mask`, and if it does, appends to it.
fn balanced(packet: &Packet, mask: u8) -> Vec<u8> {
    let mut packet = packet.clone();
    let answer = |first: [u8; 2]| {
        let request = [first[0] ^ mask, first[1] ^ mask, mask];
        if mask == 0 { request.to_vec() } else { reshaped(&request, LONGEST) }
    };
    packet.udp.payload = answer([0, 0]);
    let frame = packet.frame();
    let missing = [frame[40], frame[41]];
    packet.udp.payload = answer(missing);
    assert_eq!(packet.frame()[40..42], [0xff, 0xff], "balanced");
    vec![missing[0] ^ mask, missing[1] ^ mask, mask]
}

#[test]
fn the_suite_is_large_and_its_names_are_unique() {
    let suite = suite(OWN_MAC);
    let names: std::collections::HashSet<_> = suite.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), suite.len());
    assert!(suite.len() >= 600, "{} frames", suite.len());
}
