//! The suite: every kind of frame, valid and wrong in each direction, by name.

mod addresses;
mod arp;
mod ethernet;
mod extensions;
mod icmpv4;
mod icmpv6;
mod ipv4;
mod ipv6;
mod large;
mod neighbours;
mod options;
mod tags;
mod truncations;
mod udp;

use std::collections::HashSet;
use std::net::Ipv6Addr;

pub(crate) use tags::tagged;

use super::build::{ARP, IPV4, IPV6};
use super::build::{Arp, Field, Frame, ICMP, ICMPV6, Ipv4, Ipv6, Link, Message, UDP, Udp};

/// The host under test: the kernel, and ours.
pub(crate) const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const HOST: [u8; 4] = [10, 77, 0, 1];
pub(crate) const HOST6: [u8; 16] = v6(0x2001, 0xdb8, 0x77, 1);
/// Its link-local address, made of the MAC address (RFC 4291, appendix A).
pub(crate) const HOST_LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 1];
/// Who sends the frames.
pub(crate) const TESTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(crate) const TESTER: [u8; 4] = [10, 77, 0, 2];
pub(crate) const TESTER6: [u8; 16] = v6(0x2001, 0xdb8, 0x77, 2);
pub(crate) const TESTER_LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 2];
/// Another host of the link, and hosts past the router, which the tester is.
pub(crate) const OTHER: [u8; 4] = [10, 77, 0, 99];
pub(crate) const OTHER6: [u8; 16] = v6(0x2001, 0xdb8, 0x77, 0x99);
pub(crate) const OTHER_LINK_LOCAL: [u8; 16] = v6(0xfe80, 0, 0, 0x99);
pub(crate) const FAR: [u8; 4] = [198, 51, 100, 9];
pub(crate) const FAR6: [u8; 16] = v6(0x2001, 0xdb8, 0x99, 9);
/// The link's own addresses: its number, and the anycast address of its routers.
pub(crate) const LINK: [u8; 4] = [10, 77, 0, 0];
pub(crate) const LINK6: [u8; 16] = v6(0x2001, 0xdb8, 0x77, 0);
pub(crate) const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x99];
pub(crate) const BROADCAST_MAC: [u8; 6] = [0xff; 6];

/// The port of the echo service, the tester's, and one that nobody listens on.
pub(crate) const ECHO: u16 = 7;
pub(crate) const CLIENT: u16 = 4660;
pub(crate) const CLOSED: u16 = 9999;

/// ICMP types.
pub(crate) const PING: u8 = 8;
pub(crate) const PING6: u8 = 128;

/// Frames that are sent in turn, and answered in turn.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) frames: Vec<Vec<u8>>,
}

pub(crate) type Datagram = Frame<Ipv4, Udp>;
pub(crate) type Ping = Frame<Ipv4, Message>;
pub(crate) type Datagram6 = Frame<Ipv6, Udp>;
pub(crate) type Ping6 = Frame<Ipv6, Message>;

/// All cases but for those with tags, for which see [`tagged`].
pub(crate) fn suite() -> Vec<Case> {
    let mut suite = Suite { cases: Vec::new() };
    suite.ethernet();
    suite.arp();
    suite.ipv4();
    suite.options();
    suite.udp();
    suite.icmpv4();
    suite.ipv6();
    suite.extensions();
    suite.addresses();
    suite.icmpv6();
    suite.neighbours();
    suite.truncations();
    suite.large();
    let names: HashSet<_> = suite.cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), suite.cases.len(), "every case has a name of its own");
    suite.cases
}

/// The cases so far.
pub(super) struct Suite {
    cases: Vec<Case>,
}

impl Suite {
    pub(super) fn frame(&mut self, name: impl Into<String>, frame: Vec<u8>) {
        self.frames(name, vec![frame]);
    }

    pub(super) fn frames(&mut self, name: impl Into<String>, frames: Vec<Vec<u8>>) {
        self.cases.push(Case { name: name.into(), frames });
    }

    /// A number that no other case has: fragments of two cases never meet.
    pub(super) fn id(&self) -> u16 {
        self.cases.len() as u16
    }

    pub(super) fn hello(&self) -> Datagram {
        let link = Link { to: HOST_MAC, from: TESTER_MAC, ether_type: IPV4 };
        let carries = Udp::new(CLIENT, ECHO, b"hello");
        Frame { link, ip: ipv4_header(self.id(), UDP), carries, padding: Vec::new() }
    }

    pub(super) fn ping(&self) -> Ping {
        let Frame { link, padding, .. } = self.hello();
        Frame { link, ip: ipv4_header(self.id(), ICMP), carries: Message::echo(PING, b"hello"), padding }
    }

    pub(super) fn hello6(&self) -> Datagram6 {
        let link = Link { to: HOST_MAC, from: TESTER_MAC, ether_type: IPV6 };
        let carries = Udp::new(CLIENT, ECHO, b"hello");
        Frame { link, ip: ipv6_header(UDP), carries, padding: Vec::new() }
    }

    pub(super) fn ping6(&self) -> Ping6 {
        let Frame { link, padding, .. } = self.hello6();
        Frame { link, ip: ipv6_header(ICMPV6), carries: Message::echo(PING6, b"hello"), padding }
    }

    /// "hello" from the tester to the echo port after `change` had its way with it.
    pub(super) fn udp4(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Datagram)) {
        let mut frame = self.hello();
        change(&mut frame);
        self.frame(name, frame.bytes());
    }

    /// An echo request after `change` had its way with it.
    pub(super) fn ping4(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Ping)) {
        let mut frame = self.ping();
        change(&mut frame);
        self.frame(name, frame.bytes());
    }

    pub(super) fn udp6(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Datagram6)) {
        let mut frame = self.hello6();
        change(&mut frame);
        self.frame(name, frame.bytes());
    }

    pub(super) fn icmp6(&mut self, name: impl Into<String>, change: impl FnOnce(&mut Ping6)) {
        let mut frame = self.ping6();
        change(&mut frame);
        self.frame(name, frame.bytes());
    }
}

/// "Who has the host's address?", to everybody.
pub(crate) fn arp_request() -> Arp {
    Arp {
        link: Link { to: BROADCAST_MAC, from: TESTER_MAC, ether_type: ARP },
        preamble: [0, 1, 8, 0, 6, 4],
        operation: 1,
        sender: (TESTER_MAC, TESTER),
        target: ([0; 6], HOST),
        padding: vec![0; 18],
    }
}

pub(crate) fn ipv4_header(id: u16, protocol: u8) -> Ipv4 {
    Ipv4 {
        version: 4,
        header_len: Field::Right,
        tos: 0,
        total_len: Field::Right,
        id,
        fragment: 0,
        ttl: 33,
        protocol,
        checksum: Field::Right,
        from: TESTER,
        to: HOST,
        options: Vec::new(),
    }
}

pub(crate) fn ipv6_header(protocol: u8) -> Ipv6 {
    Ipv6 {
        version: 6,
        class: 0,
        flow: 0,
        payload_len: Field::Right,
        hop_limit: 33,
        from: TESTER6,
        to: HOST6,
        chain: Vec::new(),
        protocol,
    }
}

/// Bytes without a pattern that a fault could keep.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 + len * 7 + index / 256) as u8).collect()
}

/// The address of these first three groups and this last one.
pub(crate) const fn v6(a: u16, b: u16, c: u16, last: u16) -> [u8; 16] {
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last).octets()
}

/// The group on which the owner of an address is asked for (RFC 4291, section 2.7.1).
pub(super) const fn solicited_node(address: [u8; 16]) -> [u8; 16] {
    let [.., a, b, c] = address;
    [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]
}

/// The MAC address of a group (RFC 2464, section 7).
pub(super) const fn group_mac(group: [u8; 16]) -> [u8; 6] {
    let [.., a, b, c, d] = group;
    [0x33, 0x33, a, b, c, d]
}
