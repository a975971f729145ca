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

use super::frames::{ECHO, HOST, HOST_MAC, HOST6, TESTER, TESTER_MAC};

const BURST: usize = 32;
/// Between two cases: no limit on a rate holds back an answer.
const PAUSE: Duration = Duration::from_secs(1);
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

    /// What our host answers to frames, sent one behind the other.
    pub(crate) fn answers(&mut self, name: &str, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        self.now = self.now + PAUSE;
        for frame in frames {
            self.wire.send_frame(frame).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
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
