//! What the guards cost on a clean flow: ticks of the time-stamp counter that a host spends on a
//! datagram which it echoes, with and without them, on the memory port.
//!
//! ```text
//! cargo bench -p gannet --no-default-features --bench guards [-- PAIRS]
//! ```
//!
//! A subject is compared with the host without guards in pairs, one run after the other, so
//! that what else the machine does hits both; first that host with itself, for the noise. Of a
//! run the median burst counts, in which nothing interrupted it. A row has the medians of the
//! runs and of the pairs' differences.

use gannet::host::{Addressing, GuardConfig, Guards, Host, HostConfig, InterfaceAddress, Level};
use gannet::packet::{Burst, Packet};
use gannet::port::FrameQueue;
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
use gannet::wire::ethernet::{self, EtherType, MacAddress};
use gannet::wire::protocol::Protocol;
use gannet::wire::vlan::Vlans;
use gannet::wire::{ipv4, udp};
use gannet::{Datagram, Outbox, Role, Service, Time, Verdict, Worker};

const MACS: [MacAddress; 2] = [MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2])];
const BURST: usize = 32;
/// Bursts of a run, and of the run before the first, in which tables fill.
const BURSTS: usize = 1 << 12;
const WARM_UP: usize = 1 << 15;
const PAYLOAD_LEN: usize = 18;
const FRAME_LEN: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN + udp::HEADER_LEN + PAYLOAD_LEN;
const PAIRS: usize = 51;

struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

/// A host and the other end of its wire.
struct Subject {
    worker: Worker<Host<MemoryQueue>, Echo>,
    wire: MemoryQueue,
    burst: Burst<<MemoryQueue as FrameQueue>::Packet>,
    sources: u32,
    next_source: u32,
    now: Time,
}

impl Subject {
    fn new(guards: Guards, sources: u32) -> Self {
        let (queue, wire) = memory::pair(&MemoryConfig { macs: MACS, ..MemoryConfig::default() });
        let own = InterfaceAddress { address: [10, 0, 0, 1].into(), prefix_len: 8, vlans: Vlans::NONE };
        let addressing = Addressing::new(vec![own], vec![]).expect("no gateway");
        let host = Host::new(queue, HostConfig { guards, burst: BURST, ..HostConfig::new(addressing) });
        let worker = Worker::new(vec![host], Echo, 0);
        Self {
            worker,
            wire,
            burst: Burst::with_capacity(BURST),
            sources,
            next_source: 0,
            now: Time::from_nanos(1),
        }
    }

    /// Ticks a datagram, in the median burst.
    fn run(&mut self, bursts: usize) -> f64 {
        median((0..bursts).map(|_| self.echo() as f64).collect()) / BURST as f64
    }

    /// Ticks for a burst.
    fn echo(&mut self) -> u64 {
        self.wire.alloc_burst(&mut self.burst);
        for packet in self.burst.iter_mut() {
            write(packet, self.next_source);
            self.next_source = (self.next_source + 1) % self.sources;
        }
        self.wire.tx_burst(&mut self.burst);
        // A million datagrams a second.
        self.now = self.now + std::time::Duration::from_micros(BURST as u64);
        let begin = ticks();
        let received = self.worker.poll_once(self.now);
        let spent = ticks() - begin;
        assert_eq!(received, BURST);
        self.wire.rx_burst(&mut self.burst);
        assert_eq!(self.burst.len(), BURST, "each is answered");
        self.wire.free_burst(&mut self.burst);
        spent
    }
}

/// A datagram from one of the sources, to a port of nobody in particular.
fn write(packet: &mut impl Packet, source: u32) {
    packet.set_frame_len(FRAME_LEN);
    let (link, rest) = packet.room_mut().split_at_mut(ethernet::HEADER_LEN);
    let (ip, rest) = rest.split_at_mut(ipv4::HEADER_LEN);
    if let (Some(link), Some(ip), Some(udp)) =
        (link.first_chunk_mut(), ip.first_chunk_mut(), rest.first_chunk_mut())
    {
        ethernet::write(link, MACS[0], MACS[1], EtherType::IPV4);
        let header = ipv4::Header {
            differentiated_services: 0,
            ttl: 64,
            protocol: Protocol::UDP,
            source: (0x0a01_0000 + source).into(),
            destination: [10, 0, 0, 1].into(),
            payload_len: (udp::HEADER_LEN + PAYLOAD_LEN) as u16,
        };
        header.write(ip);
        udp::write(udp, 40_000, 9_000, (udp::HEADER_LEN + PAYLOAD_LEN) as u16, [0, 0]);
    }
}

#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    // SAFETY: every x86-64 CPU has the instruction, and Linux lets user programs use it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Nanoseconds, where there is no such counter.
#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    use std::sync::OnceLock;
    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
    ORIGIN.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare(name: &str, guards: Guards, sources: u32, pairs: usize) {
    let off = GuardConfig::OFF.resolve(Role::Stateless);
    let (mut without, mut with) = (Subject::new(off, sources), Subject::new(guards, sources));
    let _ = (without.run(WARM_UP), with.run(WARM_UP));
    let runs: Vec<_> = (0..pairs).map(|_| (without.run(BURSTS), with.run(BURSTS))).collect();
    let column = |each: fn(&(f64, f64)) -> f64| median(runs.iter().map(each).collect());
    println!(
        "{name:<44} {sources:>9} {:>9.1} {:>9.1} {:>+9.1}",
        column(|run| run.0),
        column(|run| run.1),
        column(|run| run.1 - run.0),
    );
}

fn main() {
    // Cargo passes `--bench` too.
    let pairs = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(PAIRS).max(1);
    let by_role = |role| GuardConfig::default().resolve(role);
    let off = GuardConfig::OFF.resolve(Role::Stateless);
    let rate = GuardConfig { rate: Some(Level::At(500_000_000)), ..GuardConfig::OFF };
    let cap = GuardConfig { amplification: Some(Level::At(3)), ..GuardConfig::OFF };
    println!("ticks a datagram, medians of {pairs} pairs of {BURSTS} bursts of {BURST}");
    println!("{:<44} {:>9} {:>9} {:>9} {:>9}", "guards", "sources", "without", "with", "more");
    for sources in [1, 1_000_000] {
        compare("none (the noise)", off, sources, pairs);
        compare("those of a stateless service", by_role(Role::Stateless), sources, pairs);
        compare("rate", rate.resolve(Role::Stateless), sources, pairs);
        compare("amplification", cap.resolve(Role::Stateless), sources, pairs);
    }
}
