//! Trouble on the way out and in the pool: packets are dropped and counted, no buffer is
//! lost, and traffic resumes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use gannet::packet::Burst;
use gannet::port::fault::{Fault, FaultConfig};
use gannet::port::memory::{self, MemoryConfig};
use gannet::port::{Capabilities, FrameQueue};
use gannet::telemetry::{Counter, Counters};
use gannet::{Datagram, Outbox, Service, Tick, Time, Verdict};

use super::build::Packet;
use super::conform::finish_memory;
use super::frames::{ADDRESS, ECHO};
use super::rig::{Rig, Wire, wait_for};

/// How long something that has to happen may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Frames that are on their way at a time.
const TRAIN: usize = 8;

/// Has a port's sends come short, its peer stop reading and its pool run dry. `is_bounded`
/// says that what the peer does not read fills the port up.
pub(crate) fn troubles<Q: FrameQueue, W: Wire>(
    name: &str,
    queue: Q,
    wire: W,
    is_bounded: bool,
) -> Rig<Fault<Hoarder<Q>>, W, Talker> {
    let faults: FaultConfig = "short-tx=30%,seed=7".parse().expect("valid");
    let (queue, switch) = Hoarder::new(queue);
    let talker = Talker::default();
    let call = Arc::clone(&talker.call);
    let mut rig = Rig::with_service(Fault::new(queue, faults), wire, talker);
    short_sends(name, &mut rig);
    a_peer_stops_reading(name, &mut rig, is_bounded);
    the_pool_runs_dry(name, &mut rig, &switch, &call);
    rig.worker.drain();
    assert!(rig.counters().balance().is_exact(), "{name}: {:?}", rig.counters().balance());
    rig
}

#[test]
fn troubles_on_memory() {
    let (near, far) = memory::pair(&MemoryConfig { ring: 64, buffers: 256, ..MemoryConfig::default() });
    finish_memory(troubles("memory", near, far, true));
}

/// What a short send leaves over is dropped by name, and all else arrives.
fn short_sends<Q: FrameQueue, W: Wire>(name: &str, rig: &mut Rig<Q, W, Talker>) {
    let mut came = 0;
    for _ in 0..100 {
        assert_eq!(offer(rig, TRAIN), TRAIN, "{name}");
        came += read(rig);
    }
    let counters = rig.counters();
    let (sent, full) = (counters[Counter::Sent], counters[Counter::TxFull]);
    assert!(counters[Counter::FaultShortTx] > 0 && full > 0, "{name}: nothing was left over");
    assert_eq!((came, sent + full), (sent, 100 * TRAIN as u64), "{name}");
    assert!(counters.balance().is_exact(), "{name}: {:?}", counters.balance());
}

fn a_peer_stops_reading<Q: FrameQueue, W: Wire>(name: &str, rig: &mut Rig<Q, W, Talker>, is_bounded: bool) {
    let before = rig.counters();
    for _ in 0..100 {
        offer(rig, TRAIN);
    }
    let counters = rig.counters();
    assert!(counters.balance().is_exact(), "{name}: {:?}", counters.balance());
    let sent = counters[Counter::Sent] - before[Counter::Sent];
    if is_bounded {
        assert!(sent <= 64, "{name}: {sent} sent into a ring of 64");
    }
    while rig.wire.receive().is_some() {}
    resumes(name, rig);
}

fn the_pool_runs_dry<Q: FrameQueue, W: Wire>(
    name: &str,
    rig: &mut Rig<Q, W, Talker>,
    hoard: &AtomicBool,
    call: &AtomicBool,
) {
    // The rooms that the service writes to are lent before, so that something leaves.
    rig.turn();
    hoard.store(true, Relaxed);
    call.store(true, Relaxed);
    let asked = wait_for(PATIENCE, || {
        rig.turn();
        rig.counter(Counter::ArpRequested) > 0
    });
    assert!(asked, "{name}: the service's datagram wants a neighbour");
    assert!(rig.counter(Counter::TxNoBuffer) > 0, "{name}: there is no buffer to ask with");
    // Whether the port can receive now is its own affair; nobody may wait for it.
    for _ in 0..20 {
        for _ in 0..TRAIN {
            let _ = rig.wire.inject(&Packet::hello(rig.own).frame());
        }
        rig.turn();
    }
    hoard.store(false, Relaxed);
    resumes(name, rig);
    // The neighbour is asked for again, with a buffer now, and given up.
    let requests = rig.counter(Counter::ArpRequested);
    for _ in 0..5 {
        rig.now = rig.now + Duration::from_secs(1);
        rig.turn();
        while rig.wire.receive().is_some() {}
    }
    assert!(rig.counter(Counter::ArpRequested) > requests, "{name}");
    assert_eq!(rig.counter(Counter::TxUnreachable), rig.counter(Counter::Originated), "{name}");
    resumes(name, rig);
}

/// Frames go in and are answered, but for those that the faults cost.
fn resumes<Q: FrameQueue, W: Wire>(name: &str, rig: &mut Rig<Q, W, Talker>) {
    let again = wait_for(PATIENCE, || {
        let _ = rig.wire.inject(&Packet::hello(rig.own).frame());
        rig.turn();
        rig.wire.receive().is_some()
    });
    assert!(again, "{name}: traffic does not resume");
    // What was on its way meanwhile.
    wait_for(Duration::from_millis(50), || {
        rig.turn();
        while rig.wire.receive().is_some() {}
        false
    });
}

/// Puts frames on the wire and has the host take all of them. Gives how many.
fn offer<Q: FrameQueue, W: Wire>(rig: &mut Rig<Q, W, Talker>, frames: usize) -> usize {
    let before = rig.counter(Counter::Received);
    let frame = Packet::hello(rig.own).frame();
    let taken = (0..frames).filter(|_| rig.wire.inject(&frame).is_ok()).count();
    wait_for(PATIENCE, || {
        rig.turn();
        rig.counter(Counter::Received) - before >= taken as u64
    });
    (rig.counter(Counter::Received) - before) as usize
}

/// Reads what the host sent, all of it. Gives how many.
fn read<Q: FrameQueue, W: Wire>(rig: &mut Rig<Q, W, Talker>) -> u64 {
    let expected = rig.counter(Counter::Sent) - rig.read;
    let mut came = 0;
    wait_for(PATIENCE, || {
        came += u64::from(rig.wire.receive().is_some());
        came >= expected
    });
    rig.read += came;
    came
}

/// Answers, and where it is told to, writes a datagram to a neighbour that is not there.
#[derive(Default)]
pub(crate) struct Talker {
    call: Arc<AtomicBool>,
}

impl Service for Talker {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Reply
    }

    fn on_tick(&mut self, _now: Time, outbox: &mut Outbox<'_>) -> Tick {
        if self.call.swap(false, Relaxed) {
            outbox.send((ADDRESS, ECHO).into(), ([10, 77, 0, 99], 9).into(), b"anybody?").expect("a room");
        }
        Tick::More
    }
}

/// A queue that takes all buffers of its pool while a switch is on.
pub(crate) struct Hoarder<Q: FrameQueue> {
    inner: Q,
    hoard: Burst<Q::Packet>,
    switch: Arc<AtomicBool>,
}

impl<Q: FrameQueue> Hoarder<Q> {
    fn new(inner: Q) -> (Self, Arc<AtomicBool>) {
        let switch = Arc::<AtomicBool>::default();
        (Self { inner, hoard: Burst::with_capacity(1 << 16), switch: Arc::clone(&switch) }, switch)
    }
}

impl<Q: FrameQueue> FrameQueue for Hoarder<Q> {
    type Packet = Q::Packet;

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn counters(&self) -> &Arc<Counters> {
        self.inner.counters()
    }

    fn rx_burst(&mut self, into: &mut Burst<Q::Packet>) {
        if self.switch.load(Relaxed) {
            self.inner.alloc_burst(&mut self.hoard);
        } else if !self.hoard.is_empty() {
            self.inner.free_burst(&mut self.hoard);
        }
        self.inner.rx_burst(into);
    }

    fn tx_burst(&mut self, from: &mut Burst<Q::Packet>) {
        self.inner.tx_burst(from);
    }

    fn alloc_burst(&mut self, into: &mut Burst<Q::Packet>) {
        if !self.switch.load(Relaxed) {
            self.inner.alloc_burst(into);
        }
    }

    fn free_burst(&mut self, from: &mut Burst<Q::Packet>) {
        self.inner.free_burst(from);
    }

    fn hold(&mut self, packet: Q::Packet) -> Result<Q::Packet, Q::Packet> {
        self.inner.hold(packet)
    }
}

impl<Q: FrameQueue> Drop for Hoarder<Q> {
    fn drop(&mut self) {
        self.inner.free_burst(&mut self.hoard);
    }
}
