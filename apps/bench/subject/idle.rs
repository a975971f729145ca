//! A receiver that rests while nothing comes: how much CPU it takes then, and how late it finds what
//! comes. A packet's wake-up is the time from just before it is sent to the receiver's own look
//! at the clock; in between come as many quiet milliseconds as the gap has, on average.
//!
//! The receivers are a thread that waits for an eventfd and does nothing else, a worker on an
//! af_packet port whose other end is a UDP socket of the kernel's, so that the kernel's way is in it,
//! and a worker on rings in memory, of which no descriptor tells.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use gannet::host::{Addressing, Host, HostConfig, InterfaceAddress, UdpPorts};
use gannet::idle::{Idle, IdlePolicy};
use gannet::packet::Burst;
use gannet::port::memory::{self, MemoryConfig};
use gannet::port::{FrameQueue, PortConfig, af_packet};
use gannet::sys::{Clock, CpuClock, CpuSet, StopFlag, WaitSet, Wakeup};
use gannet::wire::ethernet::MacAddress;
use gannet::wire::vlan::Vlans;
use gannet::{Datagram, Outbox, Service, Time, Verdict, Worker};

use super::frames::{self, Endpoint};
use crate::bench::failure::Failure;

/// Who waits
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Receiver {
    /// A thread in poll(2) on an eventfd
    Eventfd,
    /// A worker on an af_packet port, `near0`, with a socket behind `far0`
    AfPacket,
    /// A worker on rings in memory
    Memory,
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Who waits
    #[arg(long, value_enum)]
    receiver: Receiver,
    /// The longest sleep where no descriptor tells of packets, in microseconds
    #[arg(long)]
    sleep: Option<u64>,
    /// Between two packets on average, in milliseconds
    #[arg(long)]
    gap: u64,
    #[arg(long)]
    seconds: f64,
    /// The CPU of the receiver
    #[arg(long)]
    cpu: usize,
    /// That of the sender
    #[arg(long)]
    sender_cpu: usize,
}

/// Packets before those that count.
const WARM_UP: usize = 10;
/// A wake-up that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);
const NEAR: Endpoint = endpoint(1, 9_000);
const FAR: Endpoint = endpoint(2, 20_000);
const LEN: usize = 64;

const fn endpoint(host: u8, port: u16) -> Endpoint {
    let mac = MacAddress([2, 0, 0, 0, 0, host]);
    Endpoint { mac, ip: std::net::Ipv4Addr::new(10, 77, 0, host), port }
}

/// What is printed.
#[derive(serde::Serialize)]
struct Figures {
    /// Of the receiver while nothing comes, in per cent.
    cpu: f64,
    wakeup_ns: Wakeups,
}

#[derive(serde::Serialize)]
struct Wakeups {
    p50: f64,
    p99: f64,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let pinned = CpuSet::from_iter([arguments.sender_cpu]).pin_current_thread();
    pinned.map_err(Failure::of("pinning the sender"))?;
    let load = Load {
        packets: (arguments.seconds * 1e3 / arguments.gap.max(1) as f64).ceil() as usize,
        gap: Duration::from_millis(arguments.gap),
        quiet: Duration::from_secs_f64(arguments.seconds / 2.0),
        cpu: arguments.cpu,
        clock: Clock::start(),
    };
    let idle = Idle::new(IdlePolicy::Adaptive);
    let idle =
        arguments.sleep.map(Duration::from_micros).map_or(idle, |longest| idle.with_longest_sleep(longest));
    let figures = match arguments.receiver {
        Receiver::Eventfd => bare(&load),
        Receiver::AfPacket => on_wire(idle, &load),
        Receiver::Memory => in_memory(idle, &load),
    }?;
    println!("{}", serde_json::to_string(&figures).map_err(Failure::of("the figures"))?);
    Ok(())
}

// ---- the sender ----------------------------------------------------------------------------

struct Load {
    packets: usize,
    gap: Duration,
    quiet: Duration,
    cpu: usize,
    clock: Clock,
}

/// When the receiver saw the last packet, in nanoseconds of the clock; 0 while it has not.
#[derive(Clone)]
struct Stamp(Arc<AtomicU64>, Clock);

impl Stamp {
    fn put(&self) {
        self.0.store(self.1.now().as_nanos(), SeqCst);
    }

    /// Nanoseconds from `send` to the stamp that it leads to.
    fn after(&self, send: impl FnOnce() -> Result<(), Failure>) -> Result<f64, Failure> {
        self.0.store(0, SeqCst);
        let (begin, deadline) = (self.1.now().as_nanos(), Instant::now() + PATIENCE);
        send()?;
        loop {
            match self.0.load(SeqCst) {
                0 if Instant::now() > deadline => {
                    return Err(Failure::Failed("a packet did not arrive".to_owned()));
                }
                0 => std::hint::spin_loop(),
                stamp => return Ok(stamp.saturating_sub(begin) as f64),
            }
        }
    }
}

impl Load {
    fn stamp(&self) -> Stamp {
        Stamp(Arc::default(), self.clock)
    }

    /// Waits from zero to two gaps, so that no timer falls in step with it.
    fn pass(&self, number: usize) {
        let share = (number as u32).wrapping_mul(0x9e37_79b9) >> 16;
        thread::sleep(2 * self.gap * share / 0x1_0000);
    }

    /// Measures a receiver whose CPU time that is, and to which `send` sends a packet.
    fn measure(
        &self,
        stamp: &Stamp,
        cpu: CpuClock,
        mut send: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Figures, Failure> {
        let mut after_a_gap = |number| {
            self.pass(number);
            stamp.after(&mut send)
        };
        (0..WARM_UP).try_for_each(|number| after_a_gap(number).map(drop))?;
        let mut wakeups = (0..self.packets).map(after_a_gap).collect::<Result<Vec<_>, _>>()?;
        wakeups.sort_by(f64::total_cmp);
        let used = || cpu.elapsed().map_err(Failure::of("the receiver's CPU time"));
        let (begin, before) = (Instant::now(), used()?);
        thread::sleep(self.quiet);
        let share = (used()? - before).as_secs_f64() / begin.elapsed().as_secs_f64();
        let at = |part: f64| wakeups.get((wakeups.len() as f64 * part) as usize).copied().unwrap_or(0.0);
        Ok(Figures { cpu: 100.0 * share, wakeup_ns: Wakeups { p50: at(0.5), p99: at(0.99) } })
    }
}

// ---- receivers -----------------------------------------------------------------------------

/// Runs `receive` on the receiver's CPU while `send` is measured. `end` ends it.
fn beside(
    load: &Load,
    stamp: &Stamp,
    receive: impl FnOnce() + Send,
    send: impl FnMut() -> Result<(), Failure>,
    end: impl FnOnce(),
) -> Result<Figures, Failure> {
    let (give, take) = bounded(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            let started =
                CpuSet::from_iter([load.cpu]).pin_current_thread().and_then(|()| CpuClock::of_this_thread());
            let is_right = started.is_ok();
            if give.send(started).is_ok() && is_right {
                receive();
            }
        });
        let started = take.recv().map_err(Failure::of("the receiver"))?;
        let figures =
            started.map_err(Failure::of("the receiver")).and_then(|cpu| load.measure(stamp, cpu, send));
        end();
        figures
    })
}

/// A [`Wakeup`] stays readable, so there is one for each packet, and one for the end.
fn bare(load: &Load) -> Result<Figures, Failure> {
    let made = (0..=WARM_UP + load.packets).map(|_| Wakeup::new()).collect::<Result<Vec<_>, _>>();
    let events = made.map_err(Failure::of("eventfds"))?;
    let (stamp, stop) = (load.stamp(), StopFlag::default());
    let mut sets: Vec<_> = events.iter().map(|event| WaitSet::new([event.as_raw_fd()])).collect();
    let receive = {
        let (stamp, stop) = (stamp.clone(), stop.clone());
        move || {
            for set in &mut sets {
                while !set.wait(PATIENCE) && !stop.is_set() {}
                if stop.is_set() {
                    return;
                }
                stamp.put();
            }
        }
    };
    let mut next = events.iter();
    let send = || {
        next.next().into_iter().for_each(Wakeup::wake);
        Ok(())
    };
    beside(load, &stamp, receive, send, || {
        stop.set();
        events.iter().for_each(Wakeup::wake);
    })
}

struct Stamping(Stamp);

impl Service for Stamping {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        self.0.put();
        Verdict::Drop
    }
}

/// A worker on a queue.
fn worker<Q: FrameQueue>(
    queue: Q,
    idle: Idle,
    load: &Load,
    send: impl FnMut() -> Result<(), Failure>,
) -> Result<Figures, Failure> {
    let own = InterfaceAddress { address: NEAR.ip.into(), prefix_len: 24, vlans: Vlans::NONE };
    let addressing = Addressing::new(vec![own], vec![]).map_err(Failure::of("the address"))?;
    let config = HostConfig { udp_ports: UdpPorts::from_iter([NEAR.port]), ..HostConfig::new(addressing) };
    let (stamp, stop) = (load.stamp(), StopFlag::default());
    let mut worker = Worker::new(vec![Host::new(queue, config)], Stamping(stamp.clone()), 0).resting(idle);
    beside(load, &stamp, || worker.run(&load.clock, &stop), send, || stop.set())
}

fn in_memory(idle: Idle, load: &Load) -> Result<Figures, Failure> {
    let (near, mut far) =
        memory::pair(&MemoryConfig { macs: [NEAR.mac, FAR.mac], ..MemoryConfig::default() });
    let mut burst = Burst::with_capacity(1);
    worker(near, idle, load, || {
        far.alloc_burst(&mut burst);
        burst.iter_mut().for_each(|packet| frames::write(packet, FAR, NEAR, LEN));
        far.tx_burst(&mut burst);
        burst.is_empty().then_some(()).ok_or_else(|| Failure::Failed("the ring is full".to_owned()))
    })
}

/// On `near0`; the kernel has the other end's address.
fn on_wire(idle: Idle, load: &Load) -> Result<Figures, Failure> {
    let mut port = af_packet::open("near0", &PortConfig::default()).map_err(Failure::of("a port"))?;
    let queue = port.queues.pop().ok_or_else(|| Failure::Failed("a port has no queue".to_owned()))?;
    let socket =
        UdpSocket::bind(SocketAddr::new(FAR.ip.into(), FAR.port)).map_err(Failure::of("a socket"))?;
    socket.connect(SocketAddr::new(NEAR.ip.into(), NEAR.port)).map_err(Failure::of("a socket"))?;
    worker(queue, idle, load, || socket.send(&[0; 22]).map(drop).map_err(Failure::of("a datagram")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        let cpu = CpuSet::current().expect("CPUs").iter().last().expect("one");
        let gap = Duration::from_micros(100);
        Load { packets: 5, gap, quiet: Duration::from_millis(1), cpu, clock: Clock::start() }
    }

    #[test]
    fn receivers_are_woken_by_each_packet() {
        for figures in [bare(&load()), in_memory(Idle::new(IdlePolicy::Adaptive), &load())] {
            let Figures { cpu, wakeup_ns: Wakeups { p50, p99 } } = figures.expect("woken");
            assert!(cpu >= 0.0 && p50 > 0.0 && p99 >= p50, "{cpu} {p50} {p99}");
        }
    }
}
