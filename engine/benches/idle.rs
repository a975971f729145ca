//! What rest costs: CPU while nothing comes, and how late a packet finds its service, by policy
//! and port.
//!
//! ```text
//! cargo bench -p gannet --no-default-features --bench idle [-- PACKETS [SUBJECT…]]
//! ```
//!
//! A subject is a word of the first column, or its begin before a dash. A packet comes 5 ms after
//! the one before, on average. Its
//! wake-up is the time from just before it is sent to the service's own look at the clock. Of a
//! bare eventfd it is that from just before the write to behind the poll of a thread that does
//! nothing else. A packet of the `wire` is sent by a UDP socket of the kernel's, through a veth
//! pair to an af_packet port, so the kernel's way is in it; one of `memory` is put into a ring
//! by another thread, and no descriptor tells of it. The sender has the first CPU and the
//! receiver the last. `idle` is the receiving thread's CPU time while no packets come, `loaded`
//! that while they do.
//!
//! `gap` shows what polling before a wait costs and gains, at other gaps. `sleeps` is the
//! curve of CPU against wake-up where no descriptor tells of packets, by the bound of a sleep; a
//! packet comes every 20 ms then.
//!
//! The wire takes root, and is left out without.

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use gannet::host::{Addressing, Host, HostConfig, InterfaceAddress, UdpPorts};
use gannet::idle::{Idle, IdlePolicy};
use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
use gannet::port::{FrameQueue, PortConfig, af_packet};
use gannet::sys::{Clock, CpuClock, CpuSet, StopFlag};
use gannet::wire::ethernet::{self, EtherType, MacAddress};
use gannet::wire::protocol::Protocol;
use gannet::wire::vlan::Vlans;
use gannet::wire::{ipv4, udp};
use gannet::{Datagram, Outbox, Service, Time, Verdict, Worker};

const PACKETS: usize = 400;
/// A subject's packets come in so many rounds, and all subjects take turns, so that what else
/// the machine does hits them alike.
const ROUNDS: usize = 5;
const WARM_UP: usize = 10;
const GAP: Duration = Duration::from_millis(5);
const LONG_GAP: Duration = Duration::from_millis(20);
const QUIET: Duration = Duration::from_millis(200);
const POLICIES: [IdlePolicy; 4] =
    [IdlePolicy::Spin, IdlePolicy::Pause, IdlePolicy::Sleep, IdlePolicy::Adaptive];
/// Bounds of sleeps, in microseconds.
const SLEEPS: [u64; 7] = [50, 100, 250, 500, 1000, 2000, 5000];
const PORT: u16 = 9000;
const MACS: [MacAddress; 2] = [MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2])];

/// When the receiver saw the last packet, in nanoseconds of the clock; 0 while it has not.
#[derive(Clone)]
struct Stamp(Arc<AtomicU64>, Clock);

impl Stamp {
    fn new(clock: Clock) -> Self {
        Self(Arc::default(), clock)
    }

    fn put(&self) {
        self.0.store(self.1.now().as_nanos(), SeqCst);
    }

    /// Nanoseconds from `send` to the stamp that it leads to.
    fn after(&self, send: impl FnOnce()) -> f64 {
        self.0.store(0, SeqCst);
        let begin = self.1.now().as_nanos();
        send();
        loop {
            match self.0.load(SeqCst) {
                0 => std::hint::spin_loop(),
                stamp => return stamp.saturating_sub(begin) as f64,
            }
        }
    }
}

struct Stamping(Stamp);

impl Service for Stamping {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        self.0.put();
        Verdict::Drop
    }
}

/// What is measured, and on which CPU.
#[derive(Clone, Copy)]
struct Load {
    packets: usize,
    /// Mean time between them; from zero to twice that, so that no timer falls in step with it.
    gap: Duration,
    clock: Clock,
    receiver: Option<usize>,
}

impl Load {
    /// Waits for the next packet's time: asleep if that is long.
    fn pass(&self, number: usize) {
        let share = (number as u32).wrapping_mul(0x9e37_79b9) >> 16;
        let until = self.clock.now() + 2 * self.gap * share / 0x1_0000;
        if self.gap >= Duration::from_millis(1) {
            thread::sleep(until - self.clock.now());
        }
        while self.clock.now() < until {
            std::hint::spin_loop();
        }
    }
}

/// A row of the table.
struct Row {
    idle: f64,
    loaded: f64,
    /// Ascending.
    wakeups: Vec<f64>,
    rounds: u32,
}

/// Measures a receiver whose CPU time is that, and to which `send` sends a packet.
fn measure(load: Load, stamp: &Stamp, cpu: CpuClock, mut send: impl FnMut()) -> Row {
    let mut after_a_gap = |number| {
        load.pass(number);
        stamp.after(&mut send)
    };
    (0..WARM_UP).for_each(|number| _ = after_a_gap(number));
    let share = |work: &mut dyn FnMut()| {
        let used = || cpu.elapsed().expect("the thread lives");
        let (begin, before) = (load.clock.now(), used());
        work();
        (used() - before).as_secs_f64() / (load.clock.now() - begin).as_secs_f64()
    };
    let mut wakeups = Vec::with_capacity(load.packets);
    let loaded = share(&mut || wakeups.extend((0..load.packets).map(&mut after_a_gap)));
    let idle = share(&mut || thread::sleep(QUIET));
    wakeups.sort_by(f64::total_cmp);
    Row { idle, loaded, wakeups, rounds: 1 }
}

impl Row {
    /// This and another of the same subject.
    fn and(mut self, other: Self) -> Self {
        self.wakeups.extend(other.wakeups);
        self.wakeups.sort_by(f64::total_cmp);
        let mean = |mine: f64, its: f64| (mine * f64::from(self.rounds) + its) / f64::from(self.rounds + 1);
        let (idle, loaded) = (mean(self.idle, other.idle), mean(self.loaded, other.loaded));
        Self { idle, loaded, rounds: self.rounds + 1, ..self }
    }

    fn print(&self, subject: &str, what: &str) {
        let at = |share: f64| self.wakeups[(self.wakeups.len() as f64 * share) as usize] / 1000.0;
        println!(
            "{subject:<15} {what:<36} {:>8.2} {:>8.2} {:>8.1} {:>8.1} {:>8.1}",
            100.0 * self.idle,
            100.0 * self.loaded,
            at(0.5),
            at(0.9),
            at(0.99),
        );
    }
}

fn pin(cpu: Option<usize>) {
    CpuSet::from_iter(cpu).pin_current_thread().expect("a CPU of ours");
}

// ---- receivers ---------------------------------------------------------------------------

/// A thread that waits for an eventfd and does nothing else.
fn bare(load: Load) -> Row {
    // SAFETY: the call takes no pointers.
    let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    assert!(event >= 0, "{}", io::Error::last_os_error());
    let (stamp, stop) = (Stamp::new(load.clock), StopFlag::default());
    let (give, take) = crossbeam_channel::bounded(1);
    let waiter = {
        let (stamp, stop) = (stamp.clone(), stop.clone());
        move || {
            pin(load.receiver);
            give.send(CpuClock::of_this_thread().expect("a clock")).expect("taken");
            loop {
                let mut entry = libc::pollfd { fd: event, events: libc::POLLIN, revents: 0 };
                let mut count = 0_u64;
                // SAFETY: one entry, and the eight bytes of a number.
                unsafe {
                    libc::poll(&raw mut entry, 1, -1);
                    if !stop.is_set() {
                        stamp.put();
                    }
                    libc::read(event, (&raw mut count).cast(), size_of::<u64>());
                }
                if stop.is_set() {
                    break;
                }
            }
        }
    };
    let write = || {
        let one = 1_u64;
        // SAFETY: the eight bytes of a number.
        assert_eq!(unsafe { libc::write(event, (&raw const one).cast(), size_of::<u64>()) }, 8);
    };
    let row = thread::scope(|scope| {
        scope.spawn(waiter);
        let row = measure(load, &stamp, take.recv().expect("it started"), write);
        stop.set();
        write();
        row
    });
    // SAFETY: nobody uses it any more.
    unsafe { libc::close(event) };
    row
}

/// A worker on a queue.
fn worker<Q: FrameQueue>(queue: Q, idle: Idle, load: Load, send: impl FnMut()) -> Row {
    let own = InterfaceAddress { address: [10, 0, 0, 1].into(), prefix_len: 24, vlans: Vlans::NONE };
    let addressing = Addressing::new(vec![own], vec![]).expect("no gateway");
    let config = HostConfig { udp_ports: UdpPorts::from_iter([PORT]), ..HostConfig::new(addressing) };
    let (stamp, stop) = (Stamp::new(load.clock), StopFlag::default());
    let mut worker = Worker::new(vec![Host::new(queue, config)], Stamping(stamp.clone()), 0).resting(idle);
    let (give, take) = crossbeam_channel::bounded(1);
    thread::scope(|scope| {
        let stopped = stop.clone();
        scope.spawn(move || {
            pin(load.receiver);
            give.send(CpuClock::of_this_thread().expect("a clock")).expect("taken");
            worker.run(&load.clock, &stopped);
        });
        let row = measure(load, &stamp, take.recv().expect("it started"), send);
        stop.set();
        row
    })
}

/// On one end of a pair in memory.
fn in_memory(idle: Idle, load: Load) -> Row {
    let (near, mut far) = memory::pair(&MemoryConfig { macs: MACS, ..MemoryConfig::default() });
    worker(near, idle, load, || send_frame(&mut far))
}

fn send_frame(queue: &mut MemoryQueue) {
    const PAYLOAD_LEN: u16 = 18;
    const UDP_LEN: u16 = udp::HEADER_LEN as u16 + PAYLOAD_LEN;
    let (mut link, mut ip, mut datagram) =
        ([0; ethernet::HEADER_LEN], [0; ipv4::HEADER_LEN], [0; udp::HEADER_LEN]);
    ethernet::write(&mut link, MACS[0], MACS[1], EtherType::IPV4);
    let header = ipv4::Header {
        differentiated_services: 0,
        ttl: 64,
        protocol: Protocol::UDP,
        source: [10, 0, 0, 2].into(),
        destination: [10, 0, 0, 1].into(),
        payload_len: UDP_LEN,
    };
    header.write(&mut ip);
    udp::write(&mut datagram, 40_000, PORT, UDP_LEN, [0, 0]);
    let frame = [&link[..], &ip, &datagram, &[0; PAYLOAD_LEN as usize]].concat();
    queue.send_frame(&frame).expect("a place");
}

// ---- the wire ----------------------------------------------------------------------------

/// Two namespaces, joined by a veth pair: `wake0` is the port's end, `wake1` the kernel's.
struct Wire([String; 2]);

impl Wire {
    fn new() -> Option<Self> {
        let names = ["near", "far"].map(|end| format!("gannet-idle-{end}-{}", std::process::id()));
        let wire = Self(names);
        let [near, far] = &wire.0;
        let quiet = |name: &String| {
            let silence =
                "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; echo 0 >/proc/sys/net/ipv4/ip_forward";
            ip(&["netns", "add", name]) && ip(&["netns", "exec", name, "sh", "-c", silence])
        };
        let is_up = quiet(near)
            && quiet(far)
            && ip(&[
                "-n", near, "link", "add", "wake0", "type", "veth", "peer", "name", "wake1", "netns", far,
            ])
            && ip(&["-n", near, "link", "set", "wake0", "up"])
            && ip(&["-n", far, "link", "set", "wake1", "up"])
            && ip(&["-n", far, "addr", "add", "10.0.0.2/24", "dev", "wake1"]);
        is_up.then_some(wire)
    }

    fn measure(&self, idle: Idle, load: Load) -> Row {
        let [near, far] = &self.0;
        let config = PortConfig::default();
        let mut port = inside(near, || af_packet::open("wake0", &config)).expect("a port");
        let socket = inside(far, || UdpSocket::bind("10.0.0.2:0")).expect("a socket");
        socket.connect(("10.0.0.1", PORT)).expect("a way there");
        let queue = port.queues.remove(0);
        worker(queue, idle, load, || assert_eq!(socket.send(&[0; 18]).expect("sent"), 18))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in &self.0 {
            ip(&["netns", "del", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Runs `work` on a thread in the namespace.
fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{namespace}")).expect("the namespace");
    let run = || {
        // SAFETY: the call takes a descriptor that is open, and moves this thread only.
        let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(entered, 0, "setns: {}", io::Error::last_os_error());
        work()
    };
    thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
}

/// A row's name, what it is about, and how it is measured.
type Subject<'a> = (String, String, Box<dyn Fn(Load) -> Row + 'a>);

fn main() {
    // Cargo passes `--bench` too.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let packets = words.first().and_then(|word| word.parse().ok()).unwrap_or(PACKETS).max(ROUNDS);
    let chosen = words.get(1..).unwrap_or_default();
    let names = |word: &str, subject: &str| {
        subject.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let is_chosen = |subject: &str| chosen.is_empty() || chosen.iter().any(|word| names(word, subject));
    let cpus: Vec<_> = CpuSet::current().expect("CPUs").iter().collect();
    pin(cpus.first().copied());
    let load =
        Load { packets: packets / ROUNDS, gap: GAP, clock: Clock::start(), receiver: cpus.last().copied() };
    let wire = Wire::new();
    let mut subjects = subjects(wire.as_ref());
    subjects.retain(|(name, ..)| is_chosen(name));
    let mut rows: Vec<Vec<Row>> = subjects.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((.., measure), row) in subjects.iter().zip(&mut rows) {
            row.push(measure(load));
        }
    }
    println!("{packets} packets each; CPU in per cent, wake-ups in microseconds");
    println!("{:<52} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "idle", "loaded", "p50", "p90", "p99");
    for ((name, what, _), row) in subjects.iter().zip(rows) {
        row.into_iter().reduce(Row::and).into_iter().for_each(|row| row.print(name, what));
    }
}

fn subjects(wire: Option<&Wire>) -> Vec<Subject<'_>> {
    let mut all: Vec<Subject<'_>> =
        vec![("eventfd".to_owned(), "a thread in poll(2)".to_owned(), Box::new(bare))];
    for policy in POLICIES {
        let on_wire = |wire| move |load| Wire::measure(wire, Idle::new(policy), load);
        let what = "af_packet on veth".to_owned();
        all.extend(wire.map(|wire| (format!("wire-{policy}"), what, Box::new(on_wire(wire)) as Box<_>)));
    }
    for policy in POLICIES {
        let name = format!("memory-{policy}");
        all.push((name, "rings".to_owned(), Box::new(move |load| in_memory(Idle::new(policy), load))));
    }
    for micros in SLEEPS {
        let idle = Idle::new(IdlePolicy::Adaptive).with_longest_sleep(Duration::from_micros(micros));
        let measure =
            move |load: Load| in_memory(idle, Load { gap: LONG_GAP, packets: load.packets / 4 + 1, ..load });
        all.push((format!("sleeps-{micros}"), "rings, adaptive".to_owned(), Box::new(measure)));
    }
    all.extend(wire.into_iter().flat_map(thresholds));
    all
}

/// How long to poll before a wait.
fn thresholds(wire: &Wire) -> Vec<Subject<'_>> {
    let each = |gap, wait_after| {
        let idle = Idle::after(Duration::from_micros(wait_after), Duration::from_micros(wait_after));
        let measure = move |load| wire.measure(idle, Load { gap: Duration::from_micros(gap), ..load });
        let what = format!("wire, waits after {wait_after} us");
        (format!("gap-{gap}"), what, Box::new(measure) as Box<_>)
    };
    let gaps = [50, 100, 200, 1000].into_iter();
    gaps.flat_map(|gap| [0, 20, 50, 100, 200].map(|wait_after| each(gap, wait_after))).collect()
}
