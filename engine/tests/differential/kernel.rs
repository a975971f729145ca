//! The kernel as the host: a UDP echo in a namespace of its own, asked through a raw socket
//! at the other end of a veth pair.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::build::{Frame, IPV4, IPV6, Ip, Link, UDP, Udp};
use super::echo::Echo;
use super::frames::{
    ECHO, HOST, HOST_LINK_LOCAL, HOST_MAC, HOST6, LINK, LINK6, OTHER, OTHER_LINK_LOCAL, OTHER6, TESTER,
    TESTER_LINK_LOCAL, TESTER_MAC, TESTER6, ipv4_header, ipv6_header,
};
use super::lab::{Namespace, PacketSocket, has_program, stay_on_one_processor};
use super::meaning::late_quote;

/// The port that markers come from.
const MARKER: u16 = 4661;
/// How long after the last case fragments that waited in vain are all reported: twice the
/// time that they have to wait.
const LATE: Duration = Duration::from_secs(2);
/// How long the echo of a marker may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the kernel is told before its interface is there: to say nothing of its own accord,
/// to answer as fast as it can, and to believe nothing about routes.
const SETTINGS: [(&str, &str); 23] = [
    // One socket for each version.
    ("ipv6/bindv6only", "1"),
    ("ipv4/ip_forward", "0"),
    ("ipv6/conf/all/forwarding", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/default/accept_redirects", "0"),
    ("ipv4/conf/all/accept_redirects", "0"),
    ("ipv4/conf/default/accept_source_route", "0"),
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv4/icmp_ratemask", "0"),
    ("ipv4/icmp_msgs_per_sec", "1000000"),
    ("ipv4/icmp_msgs_burst", "1000000"),
    ("ipv4/ip_no_pmtu_disc", "2"),
    ("ipv4/ipfrag_time", "1"),
    ("ipv6/ip6frag_time", "1"),
    ("ipv6/icmp/ratelimit", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_redirects", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/disable_ipv6", "0"),
    ("ipv6/conf/all/disable_ipv6", "0"),
];

/// The kernel, its echo servers and the wire to them.
pub(crate) struct Kernel {
    wire: PacketSocket,
    _echo: Echo,
    markers: u32,
    /// What came late, while other cases were asked.
    late: Vec<Vec<u8>>,
    _namespaces: [Namespace; 2],
}

impl Kernel {
    /// # Errors
    /// Why there is none here.
    pub(crate) fn new() -> Result<Self, String> {
        if !Path::new("/proc/sys/net/ipv6").exists() {
            return Err("this kernel has no IPv6".to_owned());
        }
        if !has_program("ethtool") {
            return Err("the program ethtool is not there".to_owned());
        }
        let host = Namespace::new("host")?;
        let tester = Namespace::new("tester")?;
        host.set(&SETTINGS);
        tester.set(&[("ipv6/conf/all/disable_ipv6", "1"), ("ipv6/conf/default/disable_ipv6", "1")]);
        join(&host, &tester);
        stay_on_one_processor();
        let echo = host.inside(|| Echo::start(ECHO));
        let wire = tester.inside(|| PacketSocket::bind("far0"));
        Ok(Self { wire, _echo: echo, markers: 0, late: Vec::new(), _namespaces: [host, tester] })
    }

    /// What the kernel answers to frames, sent one behind the other.
    ///
    /// # Panics
    /// If it takes none of them, or stops answering.
    pub(crate) fn answers(&mut self, name: &str, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        for frame in frames {
            match self.wire.send(frame) {
                Ok(()) => {}
                // No wire carries them.
                Err(error) if frame.len() < 14 && error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => panic!("{name}: {} bytes: {error}", frame.len()),
            }
        }
        self.until_marked(name)
    }

    /// Sends a marker to each server and collects what comes until both are back: behind
    /// everything that the frames before had for an answer.
    fn until_marked(&mut self, name: &str) -> Vec<Vec<u8>> {
        self.markers += 1;
        let payload = format!("marker {}", self.markers).into_bytes();
        let markers = markers(&payload);
        markers.iter().for_each(|marker| self.wire.send(marker).expect("a marker"));
        let (mut answers, mut missing) = (Vec::new(), markers.len());
        let deadline = Instant::now() + PATIENCE;
        while missing > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{name}: the kernel answers no more");
            match self.wire.receive(left) {
                Some(frame) if frame.ends_with(&payload) => missing -= 1,
                Some(frame) if late_quote(&frame).is_some() => self.late.push(frame),
                Some(frame) => answers.push(frame),
                None => {}
            }
        }
        answers
    }

    /// What fragments that waited in vain had for an answer, of all cases.
    pub(crate) fn late_answers(&mut self) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + LATE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return std::mem::take(&mut self.late);
            }
            self.late.extend(self.wire.receive(left).filter(|frame| late_quote(frame).is_some()));
        }
    }
}

/// Joins the namespaces and gives the host its addresses, and the tester as the neighbour
/// that it knows and the router.
fn join(host: &Namespace, tester: &Namespace) {
    host.ip(&format!("link add near0 type veth peer name far0 netns {}", tester.name()));
    tester.ip(&format!("link set far0 address {} mtu 2000 up", text(TESTER_MAC)));
    host.ip(&format!("link set near0 address {} up", text(HOST_MAC)));
    // Its answers are to leave with their checksums complete.
    host.run("ethtool -K near0 tx off");
    host.ip("link set lo up");
    host.ip(&format!("addr add {}/24 dev near0", Ipv4Addr::from(HOST)));
    host.ip(&format!("addr add {}/64 dev near0 nodad", Ipv6Addr::from(HOST6)));
    for address in [TESTER, OTHER, LINK] {
        neighbour(host, &Ipv4Addr::from(address).to_string());
    }
    for address in [TESTER6, TESTER_LINK_LOCAL, OTHER6, OTHER_LINK_LOCAL, LINK6] {
        neighbour(host, &Ipv6Addr::from(address).to_string());
    }
    host.ip(&format!("route add default via {}", Ipv4Addr::from(TESTER)));
    host.ip(&format!("-6 route add default via {} dev near0", Ipv6Addr::from(TESTER_LINK_LOCAL)));
    let (link_local, started) = (Ipv6Addr::from(HOST_LINK_LOCAL).to_string(), Instant::now());
    while !host.says("addr show near0", &link_local) || host.says("addr show near0", "tentative") {
        assert!(started.elapsed() < PATIENCE, "near0 has its addresses");
        thread::yield_now();
    }
}

fn neighbour(host: &Namespace, address: &str) {
    host.ip(&format!("neigh replace {address} lladdr {} dev near0 nud permanent", text(TESTER_MAC)));
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A valid datagram to each server.
fn markers(payload: &[u8]) -> [Vec<u8>; 2] {
    [marker(IPV4, ipv4_header(0xffff, UDP), payload), marker(IPV6, ipv6_header(UDP), payload)]
}

fn marker(ether_type: u16, ip: impl Ip, payload: &[u8]) -> Vec<u8> {
    let link = Link { to: HOST_MAC, from: TESTER_MAC, ether_type };
    Frame { link, ip, carries: Udp::new(MARKER, ECHO, payload), padding: Vec::new() }.bytes()
}
