//! Neighbour discovery, and each of its rules broken (RFC 4861, section 7.1).

use super::super::build::Checksum;
use super::super::build6::{Body, ICMPV6, Packet6, options_header};
use super::Verdict::{self, Answered, Silent};
use super::ipv6::octets;
use super::{CLIENT_MAC, QINQ_ADDRESS6, QINQ_CLIENT6, Suite};

/// The group of our address, and the MAC address of it.
const OUR_GROUP: &str = "ff02::1:ff00:1";
const OUR_GROUP_MAC: [u8; 6] = [0x33, 0x33, 0xff, 0, 0, 1];

/// A message about an address: a solicitation (135) or an advertisement (136).
fn message(kind: u8, flags: u8, target: &str, options: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0, flags, 0, 0, 0][..], &octets(target), options].concat()
}

/// A link-layer address: the source's (1) or the target's (2).
fn link_address(kind: u8, mac: [u8; 6]) -> Vec<u8> {
    [&[kind, 1][..], &mac].concat()
}

fn from_client() -> Vec<u8> {
    link_address(1, CLIENT_MAC.0)
}

impl Suite {
    /// A solicitation for our address to its group, after `change` had its way with it.
    fn solicitation(&mut self, name: &str, verdict: Verdict, change: impl FnOnce(&mut Packet6)) {
        self.ip6(name, verdict, |packet| {
            packet.icmp(message(135, 0, "fd00:77::1", &from_client()));
            packet.hop_limit = 255;
            (packet.to, packet.link.to) = (octets(OUR_GROUP), OUR_GROUP_MAC);
            change(packet);
        });
    }

    pub(super) fn solicitations(&mut self) {
        let to_us = |packet: &mut Packet6, own: [u8; 6]| {
            (packet.to, packet.link.to) = (octets("fd00:77::1"), own);
        };
        let own = self.own.0;
        self.solicitation("solicitation", Answered, |_| ());
        self.solicitation("solicitation to our address", Answered, |packet| to_us(packet, own));
        self.solicitation("solicitation to our address, no option", Answered, |packet| {
            to_us(packet, own);
            packet.icmp(message(135, 0, "fd00:77::1", &[]));
        });
        self.solicitation("solicitation to all nodes", Answered, |packet| {
            (packet.to, packet.link.to) = (octets("ff02::1"), [0x33, 0x33, 0, 0, 0, 1]);
        });
        self.solicitation("solicitation from afar", Answered, |packet| {
            packet.from = octets("2001:db8::9");
        });
        self.solicitation("solicitation with options that nobody knows", Answered, |packet| {
            let options = [&[14, 1, 1, 2, 3, 4, 5, 6][..], &from_client(), &[99, 2], &[0; 14]].concat();
            packet.icmp(message(135, 0, "fd00:77::1", &options));
        });
        self.solicitation("solicitation with a reserved field", Answered, |packet| {
            packet.icmp(message(135, 0xff, "fd00:77::1", &from_client()));
        });
        self.solicitation("is our address free?", Answered, |packet| {
            packet.icmp(message(135, 0, "fd00:77::1", &[]));
            packet.from = [0; 16];
        });
        self.solicitation("solicitation in QinQ", Answered, |packet| {
            packet.link.tags = vec![0x88, 0xa8, 0x60, 100, 0x81, 0, 0, 200];
            packet.icmp(message(135, 0, &QINQ_ADDRESS6.to_string(), &from_client()));
            packet.from = QINQ_CLIENT6.octets();
        });
        self.others_solicitations();
        self.broken_solicitations(own);
    }

    fn others_solicitations(&mut self) {
        self.solicitation("solicitation for another of our group", Silent("ndp_not_ours"), |packet| {
            packet.icmp(message(135, 0, "fd00:78::1", &from_client()));
        });
        self.solicitation("solicitation for our address in QinQ", Silent("ndp_not_ours"), |packet| {
            packet.icmp(message(135, 0, &QINQ_ADDRESS6.to_string(), &from_client()));
        });
        self.solicitation("solicitation to another group", Silent("group_ip"), |packet| {
            packet.icmp(message(135, 0, "fd00:77::2", &from_client()));
            (packet.to, packet.link.to) = (octets("ff02::1:ff00:2"), [0x33, 0x33, 0xff, 0, 0, 2]);
        });
    }

    /// RFC 4861, section 7.1.1.
    fn broken_solicitations(&mut self, own: [u8; 6]) {
        let broken = Silent("ndp_malformed");
        for hop_limit in [0, 64, 254] {
            let name = format!("solicitation with {hop_limit} hops left");
            self.solicitation(&name, Silent("group_ip"), |packet| packet.hop_limit = hop_limit);
            let name = format!("solicitation to our address with {hop_limit} hops left");
            self.solicitation(&name, broken, |packet| {
                (packet.to, packet.link.to) = (octets("fd00:77::1"), own);
                packet.hop_limit = hop_limit;
            });
        }
        self.solicitation("solicitation, checksum off by one", Silent("icmp_malformed"), |packet| {
            let message = message(135, 0, "fd00:77::1", &from_client());
            packet.body = Body::Icmp(message, Checksum::Wrong);
        });
        self.solicitation("solicitation of code 1", broken, |packet| {
            let mut message = message(135, 0, "fd00:77::1", &from_client());
            message[1] = 1;
            packet.icmp(message);
        });
        for len in [8, 16, 23] {
            self.solicitation(&format!("solicitation of {len} bytes"), broken, |packet| {
                packet.icmp(message(135, 0, "fd00:77::1", &[])[..len].to_vec());
            });
        }
        for target in ["ff02::1", OUR_GROUP] {
            self.solicitation(&format!("solicitation for the group {target}"), broken, |packet| {
                packet.icmp(message(135, 0, target, &from_client()));
            });
        }
        for (name, options) in [
            ("an option of no length", vec![1, 0, 2, 0, 0, 0, 0, 2]),
            ("an option of no length behind", [from_client(), vec![14, 0, 0, 0, 0, 0, 0, 0]].concat()),
            ("an option over the end", vec![14, 2, 0, 0, 0, 0, 0, 0]),
            ("half an option", vec![1, 1, 2, 0]),
            ("a byte behind", [from_client(), vec![1]].concat()),
            ("a long MAC address", [&[1, 2], &[2; 14][..]].concat()),
            ("a group's MAC address", link_address(1, [0x33, 0x33, 0, 0, 0, 1])),
        ] {
            self.solicitation(&format!("solicitation with {name}"), broken, |packet| {
                packet.icmp(message(135, 0, "fd00:77::1", &options));
            });
        }
        self.solicitation("is our address free? with a MAC address", broken, |packet| packet.from = [0; 16]);
        self.solicitation("is our address free? to all nodes", broken, |packet| {
            packet.icmp(message(135, 0, "fd00:77::1", &[]));
            (packet.from, packet.to) = ([0; 16], octets("ff02::1"));
        });
        self.solicitation("is our address free? to us", Silent("source_ip"), |packet| {
            packet.icmp(message(135, 0, "fd00:77::1", &[]));
            (packet.from, packet.to, packet.link.to) = ([0; 16], octets("fd00:77::1"), own);
        });
        for from in ["ff02::1", "::1"] {
            self.solicitation(&format!("solicitation from {from}"), broken, |packet| {
                packet.from = octets(from)
            });
        }
        self.solicitation("solicitation from our address", Silent("source_ip"), |packet| {
            packet.from = octets("fd00:77::1");
        });
        self.solicitation("solicitation behind options", Silent("group_ip"), |packet| {
            packet.extensions = vec![(60, options_header(&[]))];
        });
    }

    /// An advertisement that nobody asked for, after `change` had its way with it.
    fn advertisement(&mut self, name: &str, reason: &'static str, change: impl FnOnce(&mut Packet6)) {
        self.ip6(name, Silent(reason), |packet| {
            packet.icmp(message(136, 0x60, "fd00:77::2", &link_address(2, CLIENT_MAC.0)));
            packet.hop_limit = 255;
            change(packet);
        });
    }

    /// RFC 4861, section 7.1.2, and what comes of those that are right.
    pub(super) fn advertisements(&mut self) {
        let to_all = |packet: &mut Packet6| {
            (packet.to, packet.link.to) = (octets("ff02::1"), [0x33, 0x33, 0, 0, 0, 1]);
        };
        let unasked = |target: &str| message(136, 0x20, target, &link_address(2, CLIENT_MAC.0));
        self.advertisement("advertisement", "ndp_unsolicited", |_| ());
        self.advertisement("advertisement without an option", "ndp_unsolicited", |packet| {
            packet.icmp(message(136, 0x60, "fd00:77::2", &[]));
        });
        self.advertisement("advertisement to all nodes", "ndp_unsolicited", |packet| {
            packet.icmp(unasked("fd00:77::2"));
            to_all(packet);
        });
        self.advertisement("somebody else advertises our address", "ndp_unsolicited", |packet| {
            packet.icmp(unasked("fd00:77::1"));
            to_all(packet);
        });
        let broken = "ndp_malformed";
        self.advertisement("advertisement to all nodes that says it was asked for", broken, to_all);
        self.advertisement("advertisement from nowhere", broken, |packet| {
            packet.icmp(unasked("fd00:77::2"));
            to_all(packet);
            packet.from = [0; 16];
        });
        self.advertisement("advertisement with 254 hops left", broken, |packet| packet.hop_limit = 254);
        self.advertisement("advertisement of code 1", broken, |packet| {
            let mut message = unasked("fd00:77::2");
            message[1] = 1;
            packet.icmp(message);
        });
        self.advertisement("advertisement of 23 bytes", broken, |packet| {
            packet.icmp(unasked("fd00:77::2")[..23].to_vec());
        });
        self.advertisement("advertisement of a group", broken, |packet| packet.icmp(unasked("ff02::1")));
        self.advertisement("advertisement with an option of no length", broken, |packet| {
            packet.icmp(message(136, 0x60, "fd00:77::2", &[2, 0, 2, 0, 0, 0, 0, 2]));
        });
        self.advertisement("advertisement, checksum off by one", "icmp_malformed", |packet| {
            (packet.protocol, packet.body) = (ICMPV6, Body::Icmp(unasked("fd00:77::2"), Checksum::Wrong));
        });
        for (kind, what) in [(133, "router solicitation"), (134, "router advertisement"), (137, "redirect")] {
            let bytes = [&[kind, 0, 0, 0][..], &[0; 36]].concat();
            self.advertisement(what, "ndp_ignored", |packet| packet.icmp(bytes.clone()));
            self.advertisement(&format!("{what} with 64 hops left"), broken, |packet| {
                packet.icmp(bytes);
                packet.hop_limit = 64;
            });
        }
    }
}
