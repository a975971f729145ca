//! VLAN tags: one, two, and a priority without a VLAN.

use super::super::build::{ICMP, Packet, icmp};
use super::super::build6::{Packet6, options_header};
use super::Verdict::{Answered, Silent, Told};
use super::{
    ADDRESS, ECHO, LONGEST, QINQ_ADDRESS, QINQ_ADDRESS6, QINQ_CLIENT, QINQ_CLIENT6, RESHAPE, Suite,
    VLAN_ADDRESS, VLAN_CLIENT, options, pattern,
};

impl Suite {
    pub(super) fn tags(&mut self) {
        let tagged = |tags: &[u8]| {
            let tags = tags.to_vec();
            move |packet: &mut Packet| packet.link.tags = tags
        };
        let in_vlan = |tags: &[u8]| {
            let tags = tags.to_vec();
            move |packet: &mut Packet| {
                packet.link.tags = tags;
                (packet.from, packet.to) = (VLAN_CLIENT.octets(), VLAN_ADDRESS.octets());
            }
        };
        for (priority, what) in
            [(0, "our VLAN"), (0x60, "our VLAN, priority 3"), (0x10, "our VLAN, drop eligible")]
        {
            self.ip(what, Answered, in_vlan(&[0x81, 0, priority, 5]));
        }
        for len in [0, 1, 512, LONGEST] {
            for port in [ECHO, RESHAPE] {
                self.ip(format!("our VLAN, {len} bytes to port {port}"), Answered, |packet| {
                    in_vlan(&[0x81, 0, 0, 5])(packet);
                    (packet.udp.to, packet.udp.payload) = (port, pattern(len));
                });
            }
        }
        self.ip("our VLAN, options", Answered, |packet| {
            in_vlan(&[0x81, 0, 0, 5])(packet);
            packet.options = options(12);
        });
        self.ip("our VLAN, echo request", Answered, |packet| {
            in_vlan(&[0x81, 0, 0, 5])(packet);
            (packet.protocol, packet.body) = (ICMP, Some(icmp(8, 0, b"ping")));
        });
        self.ip("our VLAN, padded", Answered, |packet| {
            in_vlan(&[0x81, 0, 0, 5])(packet);
            packet.padding = vec![0xee; 9];
        });
        for (name, target, verdict) in [
            ("our VLAN, ARP request", VLAN_ADDRESS, Answered),
            ("our VLAN, ARP request for the address outside", ADDRESS, Silent("arp_not_ours")),
        ] {
            self.arp_packet(name, verdict, |packet| {
                packet.link.tags = vec![0x81, 0, 0, 5];
                (packet.sender.1, packet.target.1) = (VLAN_CLIENT.octets(), target.octets());
            });
        }
        self.ip("our VLAN, the address outside", Silent("not_our_ip"), tagged(&[0x81, 0, 0, 5]));
        self.ip("no VLAN, the address inside", Silent("not_our_ip"), in_vlan(&[]));
        self.arp_packet("no VLAN, ARP request for the address inside", Silent("arp_not_ours"), |packet| {
            packet.target.1 = VLAN_ADDRESS.octets();
        });
        self.ip("priority tag 0", Answered, tagged(&[0x81, 0, 0, 0]));
        self.ip("priority tag 3", Answered, tagged(&[0x81, 0, 0x60, 0]));
        self.arp_packet("priority tag, ARP request", Answered, |packet| {
            packet.link.tags = vec![0x81, 0, 0x60, 0]
        });
        for vlan in [1_u16, 6, 261, 4094, 4095] {
            let [high, low] = vlan.to_be_bytes();
            self.ip(format!("VLAN {vlan}"), Silent("vlan_not_ours"), tagged(&[0x81, 0, high, low]));
        }
        let foreign = Silent("vlan_not_ours");
        self.ip("service tag of our number", foreign, in_vlan(&[0x88, 0xa8, 0, 5]));
        self.ip("service tag 0", foreign, tagged(&[0x88, 0xa8, 0, 0]));
        self.ip("two tags, the outer a service tag", foreign, in_vlan(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 5]));
        self.ip("two tags, both ours", foreign, in_vlan(&[0x81, 0, 0, 5, 0x81, 0, 0, 5]));
        self.ip("two tags, the outer a priority", Answered, in_vlan(&[0x81, 0, 0, 0, 0x81, 0, 0, 5]));
        self.ip("two tags, the outer foreign", foreign, in_vlan(&[0x81, 0, 0, 6, 0x81, 0, 0, 5]));
        self.ip("a tag before 802.1Q", Silent("ether_type_unknown"), in_vlan(&[0x91, 0, 0, 5]));
        self.ip("two tags, the inner a priority", Answered, in_vlan(&[0x81, 0, 0, 5, 0x81, 0, 0x60, 0]));
        self.ip("two priority tags", Answered, tagged(&[0x81, 0, 0x20, 0, 0x81, 0, 0x60, 0]));
        self.ip("a closed port in our VLAN", Told("udp_port_closed"), |packet| {
            in_vlan(&[0x81, 0, 0x60, 5])(packet);
            packet.udp.to = 99;
        });
        self.ip6("our VLAN, the IPv6 address outside", Silent("not_our_ip"), |packet| {
            packet.link.tags = vec![0x81, 0, 0, 5];
        });
        self.ip6("priority tag, IPv6", Answered, |packet| packet.link.tags = vec![0x81, 0, 0x60, 0]);
        self.double_tags();
    }

    /// An address in an 802.1Q VLAN inside a provider's.
    fn double_tags(&mut self) {
        let in_both = |tags: [u8; 8]| {
            move |packet: &mut Packet| {
                packet.link.tags = tags.to_vec();
                (packet.from, packet.to) = (QINQ_CLIENT.octets(), QINQ_ADDRESS.octets());
            }
        };
        let in_both6 = |tags: [u8; 8]| {
            move |packet: &mut Packet6| {
                packet.link.tags = tags.to_vec();
                (packet.from, packet.to) = (QINQ_CLIENT6.octets(), QINQ_ADDRESS6.octets());
            }
        };
        let tags = |announced: [u8; 2], outer: u8, inner: u8| {
            [announced[0], announced[1], outer, 100, 0x81, 0, inner, 200]
        };
        let (service, customer) = ([0x88, 0xa8], [0x81, 0]);
        for (announced, what) in [(service, "a service tag"), (customer, "802.1Q twice")] {
            self.ip(format!("QinQ, {what}"), Answered, in_both(tags(announced, 0, 0)));
            self.ip(format!("QinQ, {what}, priorities"), Answered, in_both(tags(announced, 0x60, 0xa0)));
            self.ip6(format!("QinQ, {what}, IPv6"), Answered, in_both6(tags(announced, 0x10, 0)));
            for len in [0, 9, 10, 511, LONGEST] {
                for port in [ECHO, RESHAPE] {
                    let name = format!("QinQ, {what}, {len} bytes to port {port}");
                    self.ip(name, Answered, |packet| {
                        in_both(tags(announced, 0, 0))(packet);
                        (packet.udp.to, packet.udp.payload) = (port, pattern(len));
                    });
                }
            }
            self.ip(format!("QinQ, {what}, echo request"), Answered, |packet| {
                in_both(tags(announced, 0, 0))(packet);
                (packet.protocol, packet.body) = (ICMP, Some(icmp(8, 0, b"ping")));
            });
            self.ip(format!("QinQ, {what}, options"), Answered, |packet| {
                in_both(tags(announced, 0, 0))(packet);
                packet.options = options(12);
            });
            self.ip6(format!("QinQ, {what}, IPv6 with options"), Answered, |packet| {
                in_both6(tags(announced, 0, 0))(packet);
                packet.extensions = vec![(0, options_header(&[1, 0]))];
            });
            self.ip(format!("QinQ, {what}, a closed port"), Told("udp_port_closed"), |packet| {
                in_both(tags(announced, 0x60, 0))(packet);
                packet.udp.to = 99;
            });
            self.arp_packet(format!("QinQ, {what}, ARP request"), Answered, |packet| {
                packet.link.tags = tags(announced, 0, 0).to_vec();
                (packet.sender.1, packet.target.1) = (QINQ_CLIENT.octets(), QINQ_ADDRESS.octets());
            });
        }
        let foreign = Silent("vlan_not_ours");
        for (name, tags) in [
            ("QinQ, the VLANs swapped", [0x88, 0xa8, 0, 200, 0x81, 0, 0, 100]),
            ("QinQ, another outer VLAN", [0x88, 0xa8, 0, 101, 0x81, 0, 0, 200]),
            ("QinQ, another inner VLAN", [0x88, 0xa8, 0, 100, 0x81, 0, 0, 201]),
            ("QinQ, the inner a priority", [0x88, 0xa8, 0, 100, 0x81, 0, 0, 0]),
            ("QinQ, two service tags", [0x88, 0xa8, 0, 100, 0x88, 0xa8, 0, 200]),
            ("QinQ, the outer 4095", [0x88, 0xa8, 0x0f, 0xff, 0x81, 0, 0, 200]),
        ] {
            self.ip(name, foreign, in_both(tags));
        }
        self.ip("a third tag", foreign, |packet| {
            in_both(tags(service, 0, 0))(packet);
            packet.link.tags.extend([0x81, 0, 0, 5]);
        });
        self.ip("QinQ, the address outside", Silent("not_our_ip"), |packet| {
            packet.link.tags = tags(service, 0, 0).to_vec();
        });
        let mut whole = Packet::hello(self.own);
        in_both(tags(service, 0, 0))(&mut whole);
        let whole = whole.frame();
        for (len, verdict) in [(18, "runt"), (21, "runt"), (22, "ipv4_malformed"), (54, "ipv4_malformed")] {
            self.frame(format!("QinQ frame cut to {len} bytes"), Silent(verdict), whole[..len].to_vec());
        }
    }
}
