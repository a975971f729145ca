//! A host on the port under test, a wire to it, and what became of each frame.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use gannet::host::{Addressing, Guards, HashKey, Host, HostConfig, InterfaceAddress, UdpPorts};
use gannet::port::FrameQueue;
use gannet::telemetry::{Counter, Snapshot};
use gannet::wire::ethernet::MacAddress;
use gannet::wire::vlan::{VlanId, Vlans};
use gannet::{Datagram, DatagramQueue as _, Outbox, Service, Time, Verdict, Worker};

use super::build::sum;
use super::frames::{
    ADDRESS, ADDRESS6, ECHO, LONGEST, LONGEST6, MASK, OWN_MAC, QINQ, QINQ_ADDRESS, QINQ_ADDRESS6, RESHAPE,
    SINK, VLAN, VLAN_ADDRESS, reshaped_len,
};

/// How long a frame that has to arrive may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The other end of a port: puts frames in and takes out what the host sent.
pub(crate) trait Wire {
    /// Puts a frame on the wire.
    ///
    /// # Errors
    /// If the wire does not take it.
    fn inject(&mut self, frame: &[u8]) -> io::Result<()>;

    /// The next frame that came out, if there is one.
    fn receive(&mut self) -> Option<Vec<u8>>;
}

/// The service of the suite.
pub(crate) struct Subject;

impl Service for Subject {
    fn on_datagram(&mut self, _now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        match datagram.destination().port() {
            SINK => Verdict::Drop,
            RESHAPE => {
                let longest = if datagram.source().is_ipv4() { LONGEST } else { LONGEST6 };
                datagram.resize(reshaped_len(datagram.payload().len(), longest)).expect("within the buffer");
                datagram.payload_mut().iter_mut().for_each(|byte| *byte ^= MASK);
                Verdict::Reply
            }
            _ => Verdict::Reply,
        }
    }
}

/// What the host of the suite is.
pub(crate) fn host_config(burst: usize) -> HostConfig {
    let vlan = |id| VlanId::new(id).expect("usable");
    let (one, two) = (Vlans::one(vlan(VLAN)), Vlans::two(vlan(QINQ[0]), vlan(QINQ[1])));
    let own = |address, prefix_len, vlans| InterfaceAddress { address, prefix_len, vlans };
    let addresses = vec![
        own(ADDRESS.into(), 24, Vlans::NONE),
        own(ADDRESS6.into(), 64, Vlans::NONE),
        own(VLAN_ADDRESS.into(), 24, one),
        own(QINQ_ADDRESS.into(), 24, two),
        own(QINQ_ADDRESS6.into(), 64, two),
    ];
    let addressing = Addressing::new(addresses, vec![]).expect("no gateway");
    let udp_ports = UdpPorts::from_iter([ECHO, RESHAPE, SINK]);
    let config = HostConfig::new(addressing);
    // The suite stands still in time, and has more to be told than a host tells in a moment.
    let guards = Guards { icmp_rate: Some(100_000), ..config.guards };
    HostConfig { udp_ports, burst, outbox: 4, hash_key: HashKey([1, 2]), guards, ..config }
}

/// What became of a frame: what was sent, and what was counted beside the polls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answers: Vec<Vec<u8>>,
    pub(crate) counted: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// The counters that grew from `before` to `after`.
    pub(crate) fn counted(before: &Snapshot, after: &Snapshot) -> BTreeMap<&'static str, u64> {
        let grown = after.non_zero().map(|(counter, value)| (counter, value - before[counter]));
        grown
            .filter(|&(counter, count)| count > 0 && !matches!(counter, Counter::Polls | Counter::EmptyPolls))
            .map(|(counter, count)| (counter.name(), count))
            .collect()
    }
}

/// A host on a port, with its wire.
pub(crate) struct Rig<Q: FrameQueue, W, S: Service = Subject> {
    pub(crate) worker: Worker<Host<Q>, S>,
    pub(crate) wire: W,
    pub(crate) own: MacAddress,
    pub(crate) now: Time,
    /// Frames of the host that were read from the wire, where a test counts them.
    pub(crate) read: u64,
}

impl<Q: FrameQueue, W: Wire> Rig<Q, W> {
    pub(crate) fn new(queue: Q, wire: W) -> Self {
        Self::with_service(queue, wire, Subject)
    }
}

impl<Q: FrameQueue, W: Wire, S: Service> Rig<Q, W, S> {
    pub(crate) fn with_service(queue: Q, wire: W, service: S) -> Self {
        let own = queue.capabilities().mac;
        let worker = Worker::new(vec![Host::new(queue, host_config(32))], service, 32);
        Self { worker, wire, own, now: Time::ZERO, read: 0 }
    }

    pub(crate) fn counters(&self) -> Snapshot {
        self.worker.queues()[0].counters().snapshot()
    }

    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        self.counters()[counter]
    }

    pub(crate) fn turn(&mut self) -> usize {
        self.worker.poll_once(self.now)
    }

    /// What becomes of some frames that come one right after the other, of which so many
    /// have to arrive. One that the wire refuses does not.
    pub(crate) fn outcome(&mut self, frames: &[&[u8]], patience: Duration) -> Outcome {
        let before = self.counters();
        let taken = frames.iter().filter(|frame| self.wire.inject(frame).is_ok()).count() as u64;
        let arrived = |rig: &Self| rig.counter(Counter::Received) - before[Counter::Received];
        wait_for(patience, || {
            self.turn();
            arrived(self) >= taken
        });
        let sent = (self.counter(Counter::Sent) - before[Counter::Sent]) as usize;
        let mut answers = Vec::new();
        wait_for(PATIENCE, || {
            answers.extend(self.wire.receive());
            answers.len() >= sent
        });
        let counted = Outcome::counted(&before, &self.counters());
        let answers = answers.iter().map(|answer| canonical(answer, self.own)).collect();
        Outcome { answers, counted }
    }

    /// Nothing more comes out.
    pub(crate) fn expect_silence(&mut self) {
        thread::sleep(Duration::from_millis(20));
        self.turn();
        let late = self.wire.receive();
        assert_eq!(late, None, "an answer that no counter tells of");
    }
}

/// Waits until it is done or the time is over. Whether it is done.
pub(crate) fn wait_for(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::yield_now();
    }
}

/// A frame of ours with the host's MAC address in the reference in place of its own, in the
/// link header, in ARP and in advertisements.
pub(crate) fn canonical(frame: &[u8], own: MacAddress) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let link_len = link_len(&frame);
    let ether_type = frame.get(link_len - 2..link_len).unwrap_or_default();
    let is_ipv6 = ether_type == [0x86, 0xdd];
    let arp: &[usize] = if ether_type == [8, 6] { &[link_len + 8, link_len + 18] } else { &[] };
    for &at in [0, 6].iter().chain(arp) {
        if let Some(mac) = frame.get_mut(at..at + 6).filter(|mac| **mac == own.0) {
            mac.copy_from_slice(&OWN_MAC.0);
        }
    }
    if is_ipv6 && frame.get(link_len + 40) == Some(&136) {
        canonical_advertisement(&mut frame[link_len..], own);
    }
    frame
}

/// Length of a link header with its tags, in bytes.
pub(crate) fn link_len(frame: &[u8]) -> usize {
    let is_tag = |at: usize| matches!(frame.get(at..at + 2), Some([0x81, 0] | [0x88, 0xa8]));
    match (is_tag(12), is_tag(16)) {
        (false, _) => 14,
        (true, false) => 18,
        (true, true) => 22,
    }
}

/// Its checksum is made anew if it was right.
fn canonical_advertisement(packet: &mut [u8], own: MacAddress) {
    let pseudo = |packet: &[u8]| [&packet[8..40], &[0, 58, 0, 32]].concat();
    let is_right = packet.len() == 72 && sum(&[&pseudo(packet), &packet[40..]]) == 0xffff;
    if is_right && packet[66..72] == own.0 {
        packet[66..72].copy_from_slice(&OWN_MAC.0);
        packet[42..44].fill(0);
        let checksum = !sum(&[&pseudo(packet), &packet[40..]]);
        packet[42..44].copy_from_slice(&checksum.to_be_bytes());
    }
}
