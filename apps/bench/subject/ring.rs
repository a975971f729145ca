//! An echo on two ring ports joined crosswise, with a host of its own address on each end:
//! every reply of one is a request to the other, so nothing is left but our own cost. All
//! datagrams have UDP checksums, since every reply of a host has one.
//!
//! A wire is such a pair of ports, served by one lcore. What is in flight goes round for ever.

use std::iter;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gannet::host::{Addressing, Host, HostConfig, InterfaceAddress, UdpPorts};
use gannet::packet::Burst;
use gannet::port::dpdk::{self, DpdkQueue, Eal};
use gannet::port::{FrameQueue, OpenPort, PortConfig, PortControl};
use gannet::sys::{Clock, StopFlag};
use gannet::telemetry::{Counter, Counters, Kind, LcoreCounters, Snapshot};
use gannet::wire::plain::Kernel;
use gannet::wire::vlan::Vlans;
use gannet::{Datagram, Outbox, Service, Time, Verdict, Worker};

use super::frames::{self, Endpoint};
use super::plain::{self, Plain, Rules, Turn};
use super::recycle::{Recycling, spoil};
use super::vectors::Vectors;
use crate::bench::failure::Failure;

const BURST: usize = 32;
/// Frames that go round, of both directions together, as many as testpmd's `tx_first 31`.
const IN_FLIGHT: usize = 31 * BURST;
/// Room of each ring, all of them and the invalid ones of a burst.
const RING: usize = 1024;
/// Invalid frames of each end, more than there can be in a burst.
const STOCK: usize = 64;
/// What is not measured at the start: caches, branch predictors, clock frequency.
const WARM_UP: Duration = Duration::from_millis(100);
/// The ports of the two ends; that of the second is the first of its flows.
const PORTS: [u16; 2] = [9_000, 20_000];
const SHORT: usize = 64;
const LONG: usize = 1_500;

/// What an lcore runs
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Loop {
    /// A host and a service, in the engine's worker
    Gannet,
    /// A loop by hand that validates and counts the same
    Plain,
    /// The same with the engine's vector kernels
    Vectors,
}

/// What goes round
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Traffic {
    /// One flow of 64 bytes
    One,
    /// Flows of many source ports, 64 bytes
    Flows,
    /// Flows of many source ports, 64 to 1,500 bytes, one frame in twenty invalid
    Mix,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What an lcore runs
    #[arg(long = "loop", value_enum)]
    runs: Loop,
    /// What goes round
    #[arg(long, value_enum)]
    traffic: Traffic,
    /// Flows, but of the traffic that has one
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    flows: u16,
    /// Pairs of ports, an lcore each, the last one on the main lcore if the others are taken
    #[arg(long, default_value_t = 1)]
    wires: usize,
    #[arg(long)]
    seconds: f64,
    /// EAL arguments, with no spaces in any
    #[arg(long, allow_hyphen_values = true)]
    eal: String,
}

pub(super) struct Echo;

impl Service for Echo {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }
}

/// The work of an lcore, and what it counts.
pub(super) struct Work {
    pub(super) run: Box<dyn FnOnce() + Send>,
    pub(super) counters: Vec<Arc<Counters>>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let words: Vec<_> = arguments.eal.split_whitespace().map(str::to_owned).collect();
    let eal = Eal::init(&words).map_err(Failure::of("the EAL"))?;
    let stop = StopFlag::default();
    let mut controls = Vec::new();
    let mut works = Vec::new();
    for _ in 0..arguments.wires {
        let (queues, wire) = open(&eal, RING)?;
        works.push(work(arguments, queues, &stop)?);
        controls.extend(wire);
    }
    let counters: Vec<_> = works.iter().flat_map(|work| work.counters.iter().cloned()).collect();
    let affinity = eal.initial_affinity();
    let seconds = Duration::from_secs_f64(arguments.seconds);
    let timing = {
        let (counters, stop) = (counters.clone(), stop.clone());
        thread::spawn(move || {
            affinity.apply();
            measure(&counters, seconds, &stop)
        })
    };
    launch(&eal, works)?;
    let (packets, elapsed) = timing.join().map_err(|_| Failure::Failed("the timing panicked".to_owned()))?;
    let totals = totals(&counters);
    for control in controls {
        control.close();
    }
    check(&totals, arguments)?;
    let wrong = totals.total(Kind::RxDrop) - totals[Counter::Stopping];
    println!(
        "{}",
        serde_json::json!({
            "packets": packets,
            "received": totals[Counter::Received],
            "seconds": elapsed.as_secs_f64(),
            "kernel": Kernel::best().name(),
            "invalid_share": wrong as f64 / totals[Counter::Received].max(1) as f64,
        })
    );
    Ok(())
}

/// Gives each lcore its work; the main one works, too, if the others are taken. Waits for all.
pub(super) fn launch(eal: &Eal, works: Vec<Work>) -> Result<(), Failure> {
    let lcores = eal.lcores().workers.clone();
    if works.len() > lcores.len() + 1 {
        return Err(Failure::Skip(format!("{} wires want as many lcores", works.len())));
    }
    let mut lcores_left = lcores.iter();
    for work in works {
        match lcores_left.next() {
            Some(&lcore) => eal.launch(lcore, work.run).map_err(Failure::of("an lcore"))?,
            None => (work.run)(),
        }
    }
    // The EAL's own way to wait spins, next to what is measured.
    while lcores.iter().any(|&lcore| eal.is_running(lcore)) {
        thread::sleep(Duration::from_millis(1));
    }
    let panicked = lcores.iter().any(|&lcore| eal.wait(lcore).is_err());
    if panicked { Err(Failure::Failed("an lcore panicked".to_owned())) } else { Ok(()) }
}

/// Frames that were received in `seconds`, and how long that really was.
fn measure(counters: &[Arc<Counters>], seconds: Duration, stop: &StopFlag) -> (u64, Duration) {
    let received = || counters.iter().map(|counters| counters.snapshot()[Counter::Received]).sum::<u64>();
    thread::sleep(WARM_UP);
    let (before, begin) = (received(), Instant::now());
    thread::sleep(seconds);
    let (after, elapsed) = (received(), begin.elapsed());
    stop.set();
    (after - before, elapsed)
}

fn totals(counters: &[Arc<Counters>]) -> Snapshot {
    let mut totals = Snapshot::default();
    counters.iter().for_each(|counters| totals += &counters.snapshot());
    totals
}

/// Whether what was to go round did go round, to the end.
fn check(totals: &Snapshot, arguments: &Arguments) -> Result<(), Failure> {
    let wrong = totals.total(Kind::RxDrop) - totals[Counter::Stopping];
    let said: Vec<_> =
        totals.non_zero().map(|(counter, value)| format!("{} {value}", counter.name())).collect();
    let is_right = totals[Counter::TxFull] == 0 && (wrong > 0) == (arguments.traffic == Traffic::Mix);
    is_right.then_some(()).ok_or_else(|| Failure::Failed(format!("frames were lost: {}", said.join(", "))))
}

pub(super) type Opened = ([DpdkQueue; 2], Vec<Box<dyn PortControl>>);

/// A pair of ports, joined, with room for so many frames each way.
pub(super) fn open(eal: &Eal, room: usize) -> Result<Opened, Failure> {
    let (left, right) = dpdk::crosswise_rings(eal, room).map_err(Failure::of("rings"))?;
    let config = PortConfig { burst: BURST, held: room, ..PortConfig::default() };
    let mut controls = Vec::new();
    let mut queue = |device| {
        let OpenPort { mut queues, control } =
            dpdk::open(eal, device, &config).map_err(Failure::of("a ring port"))?;
        controls.push(control);
        queues.pop().ok_or_else(|| Failure::Failed("a ring port has no queue".to_owned()))
    };
    let queues = [queue(left)?, queue(right)?];
    Ok((queues, controls))
}

/// What is at the ends of a wire.
fn endpoints(queues: &[DpdkQueue; 2]) -> [Endpoint; 2] {
    [0, 1].map(|end: usize| Endpoint {
        mac: queues[end].capabilities().mac,
        ip: Ipv4Addr::new(10, 77, 0, 1 + end as u8),
        port: PORTS[end],
    })
}

/// Fills a wire, and makes the work that keeps it going.
fn work(arguments: &Arguments, mut queues: [DpdkQueue; 2], stop: &StopFlag) -> Result<Work, Failure> {
    let ends = endpoints(&queues);
    let traffic = Frames::new(arguments);
    let (left, right) = queues.split_at_mut(1);
    traffic.send(&mut left[0], ends[0], ends[1], 0..IN_FLIGHT / 2)?;
    traffic.send(&mut right[0], ends[1], ends[0], IN_FLIGHT / 2..IN_FLIGHT)?;
    match arguments.traffic {
        Traffic::One | Traffic::Flows => Ok(looping(arguments, queues, ends, stop)),
        Traffic::Mix => {
            let [left, right] = queues;
            let queues =
                [traffic.with_stock(left, ends[1], ends[0])?, traffic.with_stock(right, ends[0], ends[1])?];
            Ok(looping(arguments, queues, ends, stop))
        }
    }
}

fn looping<Q: FrameQueue + 'static>(
    arguments: &Arguments,
    queues: [Q; 2],
    ends: [Endpoint; 2],
    stop: &StopFlag,
) -> Work {
    let stop = stop.clone();
    let flows = PORTS[1]..PORTS[1] + Frames::new(arguments).flows;
    let ports = [iter::once(PORTS[0]).collect(), flows.collect::<UdpPorts>()];
    let counters = queues.iter().map(|queue| Arc::clone(queue.counters())).collect();
    let each = queues.into_iter().zip(ends).zip(ports);
    let run: Box<dyn FnOnce() + Send> = match arguments.runs {
        Loop::Gannet => {
            let hosts = each.map(|((queue, own), ports)| host(queue, own, ports)).collect();
            let mut worker = Worker::new(hosts, Echo, 0);
            Box::new(move || worker.run(&Clock::start(), &stop))
        }
        Loop::Plain => by_hand(each.map(|((queue, own), ports)| (queue, Rules::new(own, ports))), stop),
        Loop::Vectors => by_hand(each.map(|((queue, own), ports)| (queue, Vectors::new(own, ports))), stop),
    };
    Work { run, counters }
}

fn by_hand<Q: FrameQueue + 'static, R: Turn + Send + 'static>(
    ends: impl Iterator<Item = (Q, R)>,
    stop: StopFlag,
) -> Box<dyn FnOnce() + Send> {
    let ends = ends.map(|(queue, rules)| Plain::new(queue, rules, BURST)).collect();
    Box::new(move || plain::run(ends, &LcoreCounters::default(), &stop))
}

/// A host with the default guards of a stateless service.
pub(super) fn host<Q: FrameQueue>(queue: Q, own: Endpoint, udp_ports: UdpPorts) -> Host<Q> {
    let own = InterfaceAddress { address: own.ip.into(), prefix_len: 24, vlans: Vlans::NONE };
    let addressing = Addressing::new(vec![own], Vec::new()).expect("there is no gateway to be off the link");
    Host::new(queue, HostConfig { burst: BURST, udp_ports, ..HostConfig::new(addressing) })
}

/// The frames of a run.
struct Frames {
    is_mix: bool,
    flows: u16,
}

impl Frames {
    fn new(arguments: &Arguments) -> Self {
        let flows = if arguments.traffic == Traffic::One { 1 } else { arguments.flows };
        Self { is_mix: arguments.traffic == Traffic::Mix, flows }
    }

    /// Writes the `number`-th of them. The second port is the one that has the flows.
    fn write(
        &self,
        packet: &mut impl gannet::packet::Packet,
        mut from: Endpoint,
        mut to: Endpoint,
        number: usize,
    ) {
        // Spread over both, with no period that they share.
        let flow = (number.wrapping_mul(2_654_435_761) >> 7) as u16 % self.flows;
        let client = if from.port == PORTS[1] { &mut from } else { &mut to };
        client.port += flow;
        let more = if self.is_mix { number.wrapping_mul(40_503) % (LONG - SHORT + 1) } else { 0 };
        frames::write(packet, from, to, SHORT + more);
    }

    /// Puts those of these numbers on the wire.
    fn send<Q: FrameQueue>(
        &self,
        queue: &mut Q,
        from: Endpoint,
        to: Endpoint,
        numbers: Range<usize>,
    ) -> Result<(), Failure> {
        let count = numbers.len();
        let mut burst = Burst::with_capacity(count);
        queue.alloc_burst(&mut burst);
        let is_full = burst.is_full();
        burst.iter_mut().zip(numbers).for_each(|(packet, number)| self.write(packet, from, to, number));
        queue.tx_burst(&mut burst);
        let is_sent = burst.is_empty();
        queue.free_burst(&mut burst);
        let enough = is_full && is_sent;
        enough.then_some(()).ok_or_else(|| Failure::Failed(format!("{count} frames do not fit the rings")))
    }

    /// A queue that receives invalid frames among the others, which are from `from` to `to`.
    fn with_stock<Q: FrameQueue>(
        &self,
        mut queue: Q,
        from: Endpoint,
        to: Endpoint,
    ) -> Result<Recycling<Q>, Failure> {
        let mut stock = Burst::with_capacity(STOCK);
        queue.alloc_burst(&mut stock);
        if !stock.is_full() {
            queue.free_burst(&mut stock);
            return Err(Failure::Failed(format!("no room for {STOCK} invalid frames")));
        }
        for (number, packet) in stock.iter_mut().enumerate() {
            self.write(packet, from, to, number);
            spoil(packet, number);
        }
        Ok(Recycling::new(queue, stock))
    }
}
