//! Our host, with the kernel's addresses, on a memory port and a clock that is moved.

use std::time::Duration;

use gannet::host::{
    Addressing, FragmentPolicy, GuardConfig, Host, HostConfig, InterfaceAddress, Level, UdpPorts,
};
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
use gannet::telemetry::Snapshot;
use gannet::wire::ethernet::MacAddress;
use gannet::wire::vlan::Vlans;
use gannet::{Datagram, DatagramQueue as _, Outbox, Service, Time, Verdict, Worker};

use super::build::{ARP, Arp, Frame, ICMPV6, IPV6, Ipv6, Link, Message};
use super::frames::{ECHO, HOST, HOST_MAC, HOST6, TESTER, TESTER_MAC, arp_request, ipv6_header};

const BURST: usize = 32;
/// How long fragments wait for the others.
const REASSEMBLY: Duration = Duration::from_secs(30);
/// Between two cases: no limit on a rate holds back an answer.
const PAUSE: Duration = Duration::from_secs(1);
/// Pauses without a word after which all is said.
const QUIET: usize = 3;
/// ICMPv6 types of neighbour discovery.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Turns at the start, in which a host may say who it is.
const SETTLED: usize = 10;

/// The host and the other end of its wire.
pub(crate) struct Ours {
    worker: Worker<Host<MemoryQueue>, Echo>,
    wire: MemoryQueue,
    now: Time,
}

struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

impl Ours {
    pub(crate) fn new() -> Self {
        let macs = [HOST_MAC, TESTER_MAC].map(MacAddress);
        let (queue, wire) = memory::pair(&MemoryConfig { macs, ..MemoryConfig::default() });
        let worker = Worker::new(vec![Host::new(queue, config())], Echo, 8 * BURST);
        let mut ours = Self { worker, wire, now: Time::ZERO };
        (0..SETTLED).for_each(|_| drop(ours.answers("the start", &[])));
        ours
    }

    /// What our host answers to frames, sent one behind the other, and once they waited in
    /// vain for others.
    pub(crate) fn answers(&mut self, name: &str, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        frames.iter().for_each(|frame| self.send(name, frame));
        let mut answers = self.take_turns();
        self.now = self.now + REASSEMBLY;
        let mut quiet = 0;
        while quiet < QUIET {
            let said = self.take_turns();
            quiet = if said.is_empty() { quiet + 1 } else { 0 };
            for frame in said {
                match neighbour(&frame) {
                    Some(answer) => self.send(name, &answer),
                    None => answers.push(frame),
                }
            }
            self.now = self.now + PAUSE;
        }
        answers
    }

    fn send(&mut self, name: &str, frame: &[u8]) {
        self.wire.send_frame(frame).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Lets the host do all that there is to do now. Gives what it sent.
    fn take_turns(&mut self) -> Vec<Vec<u8>> {
        while self.worker.poll_once(self.now) > 0 {}
        std::iter::from_fn(|| self.wire.receive_frame()).collect()
    }

    /// Ends the run: every buffer is back and every frame explained.
    pub(crate) fn finish(mut self) -> Snapshot {
        self.worker.drain();
        while self.wire.receive_frame().is_some() {}
        assert!(self.wire.pool_balance().is_balanced(), "{:?}", self.wire.pool_balance());
        let counters = self.worker.queues()[0].counters().snapshot();
        assert!(counters.balance().is_exact(), "{:?}", counters.balance());
        counters
    }
}

fn config() -> HostConfig {
    let own = |address, prefix_len| InterfaceAddress { address, prefix_len, vlans: Vlans::NONE };
    let addresses = vec![own(HOST.into(), 24), own(HOST6.into(), 64)];
    let mut addressing = Addressing::new(addresses, vec![TESTER.into()]).expect("a router on the link");
    addressing.add_link_locals(MacAddress(HOST_MAC));
    let guards = GuardConfig { icmp_rate: Some(Level::At(1_000_000)), ..GuardConfig::OFF };
    HostConfig {
        udp_ports: UdpPorts::from_iter([ECHO]),
        burst: BURST,
        outbox: BURST,
        fragments: FragmentPolicy::Reassemble,
        guards: guards.resolve(Echo::ROLE),
        ..HostConfig::new(addressing)
    }
}

/// The tester's answer to who asks for a neighbour: it is all of them, as the kernel was told.
fn neighbour(frame: &[u8]) -> Option<Vec<u8>> {
    let (ether_type, packet) = frame.get(12..)?.split_first_chunk()?;
    let to_host = |ether_type| Link { to: HOST_MAC, from: TESTER_MAC, ether_type };
    match u16::from_be_bytes(*ether_type) {
        ARP if packet.get(7) == Some(&1) => {
            let asked = *packet.get(24..)?.first_chunk()?;
            let (sender, target) = ((TESTER_MAC, asked), (HOST_MAC, HOST));
            Some(Arp { link: to_host(ARP), operation: 2, sender, target, ..arp_request() }.bytes())
        }
        IPV6 if packet.get(40) == Some(&SOLICITATION) => {
            let (asker, asked) = (*packet.get(8..)?.first_chunk()?, packet.get(48..64)?);
            let body = [&[0x60, 0, 0, 0], asked, &[2, 1], &TESTER_MAC].concat();
            let from = *asked.first_chunk()?;
            let ip = Ipv6 { from, to: asker, hop_limit: 255, ..ipv6_header(ICMPV6) };
            let carries = Message::new(ADVERTISEMENT, 0, &body);
            Some(Frame { link: to_host(IPV6), ip, carries, padding: Vec::new() }.bytes())
        }
        _ => None,
    }
}
