//! IPv6: datagrams, extension headers, addresses, and echo requests.

use std::net::Ipv6Addr;

use super::super::build::Checksum;
use super::super::build6::{
    Body, DESTINATION, FRAGMENT, HOP_BY_HOP, ICMPV6, Packet6, ROUTING, echo_request, fragment_header,
    options_header, routing_header,
};
use super::Verdict::{self, Answered, Silent, Told};
use super::{ECHO, LONGEST6, RESHAPE, SINK, Suite, pattern};

impl Suite {
    pub(super) fn ipv6(&mut self) {
        self.datagrams6();
        self.extension_headers();
        self.broken_extension_headers();
        self.fragments6();
        self.next_headers();
        self.broken_ipv6();
        self.addresses6();
        self.broken_udp6();
    }

    fn datagrams6(&mut self) {
        for (port, what) in [(ECHO, "echo"), (RESHAPE, "reshape")] {
            for len in [0, 1, 2, 3, 17, 18, 19, 63, 64, 511, 512, 1000, 1438, 1439, 1451, LONGEST6] {
                self.ip6(format!("IPv6 {what}: {len} bytes"), Answered, |packet| {
                    let udp = packet.udp();
                    (udp.to, udp.payload) = (port, pattern(len));
                });
            }
            self.ip6(format!("IPv6 {what}: a trailer of 100 bytes"), Answered, |packet| {
                (packet.udp().to, packet.padding) = (port, pattern(100));
            });
            for behind in [1, 2, 40] {
                let name = format!("IPv6 {what}: {behind} bytes behind the UDP length");
                self.ip6(name, Answered, |packet| {
                    let udp = packet.udp();
                    (udp.to, udp.behind) = (port, pattern(behind));
                });
            }
        }
        for hop_limit in [0, 1, 255] {
            self.ip6(format!("hop limit {hop_limit}"), Answered, |packet| packet.hop_limit = hop_limit);
        }
        for class in [0x01, 0x02, 0x03, 0xb8, 0xbb, 0xff] {
            let name = format!("IPv6 traffic class {class:#04x}");
            self.ip6(name, Answered, |packet| packet.traffic_class = class);
        }
        for label in [0, 0xfffff] {
            self.ip6(format!("flow label {label:#x}"), Answered, |packet| packet.flow_label = label);
        }
        for port in [1, 8, 65535] {
            self.ip6(format!("IPv6 from port {port}"), Answered, |packet| packet.udp().from = port);
        }
        for port in [7, 53, 123, SINK] {
            let name = format!("IPv6 from port {port} of a service");
            self.ip6(name, Silent("reflector_port"), |packet| packet.udp().from = port);
        }
        self.ip6("IPv6, the service drops it", Silent("service_dropped"), |packet| packet.udp().to = SINK);
    }

    fn extended(&mut self, name: &str, verdict: Verdict, extensions: &[(u8, Vec<u8>)]) {
        self.ip6(name, verdict, |packet| packet.extensions = extensions.to_vec());
    }

    fn extension_headers(&mut self) {
        // Options that are padding, and one that nobody knows and everybody may skip.
        let options = [1, 2, 0, 0, 0x1e, 1, 7];
        let destination = (DESTINATION, options_header(&options));
        let hop_by_hop = (HOP_BY_HOP, options_header(&[5, 2, 0, 0]));
        self.extended("hop-by-hop options", Answered, std::slice::from_ref(&hop_by_hop));
        self.extended("destination options", Answered, std::slice::from_ref(&destination));
        self.extended("options twice", Answered, &[hop_by_hop.clone(), destination.clone()]);
        self.extended("eight headers", Answered, &vec![destination.clone(); 8]);
        let long = [&[0x1e, 253][..], &[7; 253], &[0x1e, 253], &[7; 253]].concat();
        self.extended("512 bytes of headers", Answered, &[(DESTINATION, options_header(&long))]);
        let padding = options_header(&[1, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        self.extended("padding that fills nothing up", Silent("ipv6_extension"), &[(DESTINATION, padding)]);
        self.extended("a route at its end", Answered, &[(ROUTING, routing_header(2, 0, 1))]);
        self.extended("a fragment that is all", Answered, &[(FRAGMENT, fragment_header(0, false, 77))]);
        let all = [
            hop_by_hop,
            destination.clone(),
            (ROUTING, routing_header(4, 0, 2)),
            (FRAGMENT, fragment_header(0, false, 78)),
            destination.clone(),
        ];
        self.extended("every header", Answered, &all);
        for len in [0, 5, 512, LONGEST6 - 16] {
            for port in [ECHO, RESHAPE] {
                let name = format!("{len} bytes behind options, to port {port}");
                self.ip6(name, Answered, |packet| {
                    packet.extensions = vec![destination.clone()];
                    let udp = packet.udp();
                    (udp.to, udp.payload) = (port, pattern(len));
                });
            }
        }
        self.ip6("a wrong checksum behind options", Silent("udp_checksum"), |packet| {
            packet.extensions = vec![destination.clone()];
            packet.udp().checksum = Checksum::Wrong;
        });
        self.ip6("a closed port behind options", Told("udp_port_closed"), |packet| {
            packet.extensions = vec![destination.clone()];
            packet.udp().to = 99;
        });
        self.ip6("echo request behind options", Answered, |packet| {
            packet.extensions = vec![destination];
            packet.icmp(echo_request(b"ping"));
        });
    }

    fn broken_extension_headers(&mut self) {
        let refused = Silent("ipv6_extension");
        let destination = (DESTINATION, options_header(&[]));
        self.extended("nine headers", refused, &vec![destination.clone(); 9]);
        let long = [[&[0x1e, 253][..], &[7; 253]].concat(), vec![0x1e, 255], vec![7; 255]].concat();
        self.extended("520 bytes of headers", refused, &[(DESTINATION, options_header(&long))]);
        self.extended(
            "hop-by-hop options that are not first",
            Told("protocol_unknown"),
            &[destination, (HOP_BY_HOP, options_header(&[]))],
        );
        let told = Told("ipv6_extension");
        for (name, verdict, options) in [
            ("an option that must be known", refused, [0x41, 1, 0]),
            ("an option that asks for an error", told, [0x81, 1, 0]),
            ("an option that asks for an error of unicasts", told, [0xc1, 1, 0]),
            ("an option that may change on the way", told, [0xe5, 1, 0]),
            ("an option over the end", refused, [1, 40, 0]),
        ] {
            for (number, where_) in [(HOP_BY_HOP, "hop-by-hop"), (DESTINATION, "destination")] {
                self.extended(&format!("{name}, {where_}"), verdict, &[(number, options_header(&options))]);
            }
        }
        let mut long = options_header(&[]);
        long[1] = 200;
        self.extended("a header over the end", refused, &[(DESTINATION, long)]);
        self.ip6("options cut short", refused, |packet| {
            (packet.protocol, packet.body) = (DESTINATION, Body::Bytes(vec![17, 0, 1, 4, 0, 0, 0]));
        });
        self.ip6("options and no more bytes", refused, |packet| {
            (packet.protocol, packet.body) = (HOP_BY_HOP, Body::Bytes(Vec::new()));
        });
        let routed = Told("ipv6_routing_header");
        for (name, kind, left) in [
            ("a source route", 0, 1),
            ("a source route at its end", 0, 0),
            ("a mobile's route", 2, 1),
            ("a segment route", 4, 1),
            ("a route that nobody knows", 200, 3),
        ] {
            self.extended(name, routed, &[(ROUTING, routing_header(kind, left, 1))]);
        }
    }

    fn fragments6(&mut self) {
        // Each of a datagram of its own: nothing can make a whole of them.
        for (number, (name, offset, more)) in [
            ("first", 0, true),
            ("middle", 8, true),
            ("last", 8, false),
            ("last and far behind", 65528, false),
        ]
        .into_iter()
        .enumerate()
        {
            let header = fragment_header(offset, more, 0x6000 + number as u32);
            self.extended(&format!("IPv6 fragment, {name}"), Silent("fragment"), &[(FRAGMENT, header)]);
        }
        self.ip6("IPv6 fragment of an echo request", Silent("fragment"), |packet| {
            packet.extensions = vec![(FRAGMENT, fragment_header(0, true, 0x6010))];
            packet.icmp(echo_request(b"ping"));
        });
        self.extended(
            "IPv6 fragment behind options",
            Silent("fragment"),
            &[(DESTINATION, options_header(&[])), (FRAGMENT, fragment_header(0, true, 0x6011))],
        );
    }

    fn next_headers(&mut self) {
        for number in [1, 2, 4, 6, 41, 47, 50, 51, 132, 135, 136, 140, 255] {
            self.ip6(format!("next header {number}"), Told("protocol_unknown"), |packet| {
                packet.protocol = number;
            });
        }
        for len in [0, 1, 7, 8, 1191, 1192, 1193, 1460] {
            self.ip6(format!("next header 99, {len} bytes"), Told("protocol_unknown"), |packet| {
                (packet.protocol, packet.body) = (99, Body::Bytes(pattern(len)));
            });
        }
        self.ip6("next header 99 behind options", Told("protocol_unknown"), |packet| {
            packet.protocol = 99;
            packet.extensions = vec![
                (HOP_BY_HOP, options_header(&[])),
                (DESTINATION, options_header(&[&[0x1e, 12][..], &[7; 12]].concat())),
            ];
        });
        self.ip6("no next header", Silent("protocol_unknown"), |packet| packet.protocol = 59);
        self.ip6("no next header and nothing behind", Silent("protocol_unknown"), |packet| {
            (packet.protocol, packet.body) = (59, Body::Bytes(Vec::new()));
        });
    }

    fn broken_ipv6(&mut self) {
        let malformed = Silent("ipv6_malformed");
        for version in [0, 4, 5, 7, 15] {
            self.ip6(format!("IPv6 of version {version}"), malformed, |packet| packet.version = version);
        }
        for len in [14, 100, 65535] {
            let name = format!("IPv6 payload length {len} of 13");
            self.ip6(name, malformed, |packet| packet.payload_len = Some(len));
        }
        for len in [0, 1, 7, 8, 12] {
            let name = format!("IPv6 payload length {len}, less than UDP says");
            self.ip6(name, Silent("udp_malformed"), |packet| packet.payload_len = Some(len));
        }
        let whole = Packet6::hello(self.own).frame();
        for len in 14..whole.len() {
            self.frame(format!("IPv6 cut to {len} bytes"), malformed, whole[..len].to_vec());
        }
    }

    fn addresses6(&mut self) {
        for (to, verdict) in [
            ("fd00:77::2", "not_our_ip"),
            ("fd00:77::", "not_our_ip"),
            ("fd00:79::1", "not_our_ip"),
            ("fe80::1", "not_our_ip"),
            ("::", "not_our_ip"),
            ("::1", "not_our_ip"),
            ("::ffff:10.77.0.1", "not_our_ip"),
            ("ff02::1", "group_ip"),
            ("ff02::2", "group_ip"),
            ("ff02::1:ff00:1", "group_ip"),
            ("ff05::1:3", "group_ip"),
            ("ff0e::101", "group_ip"),
        ] {
            self.ip6(format!("to {to}"), Silent(verdict), |packet| packet.to = octets(to));
        }
        self.ip6("to all nodes, in their frame", Silent("group_ip"), |packet| {
            (packet.to, packet.link.to) = (octets("ff02::1"), [0x33, 0x33, 0, 0, 0, 1]);
        });
        self.ip6("an IPv6 datagram in a group's frame", Silent("group_mac"), |packet| {
            packet.link.to = [0x33, 0x33, 0, 0, 0, 1];
        });
        self.ip6("an IPv6 datagram in a broadcast frame", Silent("group_mac"), |packet| {
            packet.link.to = [0xff; 6];
        });
        for from in ["::", "::1", "ff02::1", "ff0e::1", "::ffff:10.77.0.2", "fd00:77::1", "fd00:79::1"] {
            self.ip6(format!("from {from}"), Silent("source_ip"), |packet| packet.from = octets(from));
            self.ip6(format!("from {from} to a closed port"), Silent("source_ip"), |packet| {
                (packet.from, packet.udp().to) = (octets(from), 99);
            });
        }
        for from in ["fe80::9", "2001:db8::1", "fd00:77::ffff", "fd00:78::1", "1::", "64:ff9b::a4d:2"] {
            self.ip6(format!("from {from}"), Answered, |packet| packet.from = octets(from));
        }
    }

    fn broken_udp6(&mut self) {
        for len in [0, 1, 7, 14, 100, 65535] {
            self.ip6(format!("IPv6, UDP length {len}"), Silent("udp_malformed"), |packet| {
                packet.udp().len = Some(len);
            });
        }
        for len in [8, 9, 12] {
            self.ip6(format!("IPv6, UDP length {len} of 13"), Answered, |packet| {
                let udp = packet.udp();
                udp.behind = udp.payload.split_off(len - 8);
            });
        }
        for (name, checksum) in [
            ("IPv6 without a UDP checksum", Checksum::Is(0)),
            ("IPv6, UDP checksum off by one", Checksum::Wrong),
            ("IPv6, UDP checksum of ones", Checksum::Is(0xffff)),
            ("IPv6, UDP checksum of the pseudo header only", Checksum::Unfilled),
        ] {
            self.ip6(name, Silent("udp_checksum"), |packet| packet.udp().checksum = checksum);
        }
        self.ip6("IPv6, UDP checksum over the bytes behind", Silent("udp_checksum"), |packet| {
            let udp = packet.udp();
            (udp.checksum, udp.behind) = (Checksum::OverAll, pattern(6));
        });
        for port in [0, 1, 8, 1024, 65535] {
            self.ip6(format!("IPv6 to closed port {port}"), Told("udp_port_closed"), |packet| {
                packet.udp().to = port;
            });
        }
        for len in [0, 1, 1183, 1184, 1185, LONGEST6] {
            self.ip6(format!("IPv6, {len} bytes to a closed port"), Told("udp_port_closed"), |packet| {
                let udp = packet.udp();
                (udp.to, udp.payload) = (99, pattern(len));
            });
        }
        self.ip6("IPv6 from port 0", Silent("source_port"), |packet| packet.udp().from = 0);
        for len in [LONGEST6 + 1, LONGEST6 + 4] {
            self.ip6(format!("IPv6, {len} bytes, over the MTU"), Told("tx_oversize"), |packet| {
                packet.udp().payload = pattern(len);
            });
        }
    }

    pub(super) fn icmpv6(&mut self) {
        for len in [0, 1, 2, 17, 18, 19, 56, 57, 1451, LONGEST6] {
            self.ip6(format!("IPv6 echo request: {len} bytes"), Answered, |packet| {
                packet.icmp(echo_request(&pattern(len)));
            });
        }
        self.ip6("IPv6 echo request with all hops left", Answered, |packet| {
            packet.icmp(echo_request(b"ping"));
            packet.hop_limit = 255;
        });
        self.ip6("IPv6 echo request of a traffic class", Answered, |packet| {
            packet.icmp(echo_request(b"ping"));
            packet.traffic_class = 0x2e << 2 | 3;
        });
        self.ip6("IPv6 echo request over the MTU", Told("tx_oversize"), |packet| {
            packet.icmp(echo_request(&pattern(LONGEST6 + 1)));
        });
        for (hop_limit, what) in [(64, "some"), (255, "all")] {
            self.ip6(
                format!("IPv6 echo request to all nodes, {what} hops left"),
                Silent("group_ip"),
                |packet| {
                    packet.icmp(echo_request(b"ping"));
                    packet.hop_limit = hop_limit;
                    (packet.to, packet.link.to) = (octets("ff02::1"), [0x33, 0x33, 0, 0, 0, 1]);
                },
            );
        }
        for (name, checksum) in [
            ("IPv6 echo request with a wrong checksum", Checksum::Wrong),
            ("IPv6 echo request without a checksum", Checksum::Is(0)),
        ] {
            self.ip6(name, Silent("icmp_malformed"), |packet| {
                (packet.protocol, packet.body) = (ICMPV6, Body::Icmp(echo_request(b"ping"), checksum));
            });
        }
        for len in [0, 1, 2, 3, 4, 7] {
            self.ip6(format!("ICMPv6 message of {len} bytes"), Silent("icmp_malformed"), |packet| {
                (packet.protocol, packet.body) =
                    (ICMPV6, Body::Bytes(vec![128, 0, 0x12, 0x34, 0, 0, 0][..len].to_vec()));
            });
        }
        for kind in [1, 2, 3, 4, 127, 129, 130, 131, 132, 143, 255] {
            self.ip6(format!("ICMPv6 type {kind}"), Silent("icmp_other"), |packet| {
                packet.icmp([&[kind, 0, 0, 0, 0, 0, 0, 0][..], b"Not a request, but data."].concat());
            });
        }
    }
}

pub(super) fn octets(address: &str) -> [u8; 16] {
    address.parse::<Ipv6Addr>().expect(address).octets()
}
