//! A worker's rest on a real clock: ticks and frames come though it waits, the stop wakes it,
//! and what lcores hand to each other is taken.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use gannet::host::{Addressing, Host, HostConfig, InterfaceAddress};
use gannet::idle::{Idle, IdlePolicy};
use gannet::port::PortId;
use gannet::port::memory::{self, MemoryConfig, MemoryPacket, MemoryQueue};
use gannet::sys::{Clock, StopFlag, Wakeup};
use gannet::telemetry::{Counter, Counters, LcoreSnapshot};
use gannet::wire::vlan::Vlans;
use gannet::{Datagram, DatagramQueue, Forwards, Outbox, Service, Tick, Time, Verdict, Worker};

const WAITING: [IdlePolicy; 2] = [IdlePolicy::Sleep, IdlePolicy::Adaptive];
const MILLISECOND: Duration = Duration::from_millis(1);

/// A host, and the other end of its wire.
fn host() -> (Host<MemoryQueue>, MemoryQueue) {
    let (queue, end) = memory::pair(&MemoryConfig::default());
    let own = InterfaceAddress { address: [10, 0, 0, 1].into(), prefix_len: 24, vlans: Vlans::NONE };
    let addressing = Addressing::new(vec![own], vec![]).expect("no gateway");
    (Host::new(queue, HostConfig::new(addressing)), end)
}

/// A host with a descriptor that would tell of frames, of which there are none.
struct Told {
    host: Host<MemoryQueue>,
    wakeup: Wakeup,
    is_armed: bool,
    /// It has always something to do this much later.
    due_after: Option<Duration>,
    polled_at: Time,
}

impl Told {
    fn new(due_after: Option<Duration>) -> Self {
        let wakeup = Wakeup::new().expect("a descriptor");
        Self { host: host().0, wakeup, is_armed: false, due_after, polled_at: Time::ZERO }
    }
}

impl DatagramQueue for Told {
    type Packet = MemoryPacket;

    fn port(&self) -> PortId {
        self.host.port()
    }

    fn counters(&self) -> &Arc<Counters> {
        self.host.counters()
    }

    fn poll<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<MemoryPacket>,
    ) -> usize {
        assert!(!self.is_armed, "it is disarmed before it is polled");
        self.polled_at = now;
        self.host.poll(now, service, forwards)
    }

    fn tick<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<MemoryPacket>,
    ) -> Tick {
        self.host.tick(now, service, forwards)
    }

    fn take_forwards(&mut self, now: Time, forwards: &mut Forwards<MemoryPacket>) {
        self.host.take_forwards(now, forwards);
    }

    fn discard_forwards(&mut self, forwards: &mut Forwards<MemoryPacket>) {
        self.host.discard_forwards(forwards);
    }

    fn is_exhausted(&self) -> bool {
        false
    }

    fn drain(&mut self) {
        self.host.drain();
    }

    fn next_deadline(&self) -> Time {
        self.due_after.map_or(Time::NEVER, |later| self.polled_at + later)
    }

    fn wait_fd(&self) -> Option<RawFd> {
        Some(self.wakeup.as_raw_fd())
    }

    fn arm_wakeup(&mut self) -> bool {
        self.is_armed = true;
        true
    }

    fn disarm_wakeup(&mut self) {
        self.is_armed = false;
    }
}

/// Ticks every millisecond, makes up for what it missed, and stops the worker after so many.
struct Ticking {
    left: u64,
    deadline: Time,
    stop: StopFlag,
}

impl Service for Ticking {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Drop
    }

    fn on_tick(&mut self, now: Time, _outbox: &mut Outbox<'_>) -> Tick {
        assert!(now >= self.deadline, "not before it is due");
        self.deadline = self.deadline.max(Time::from_nanos(1)) + MILLISECOND;
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.stop.set();
        }
        Tick::Done(self.deadline)
    }
}

const TICKS: u64 = 200;

/// What the lcore did until that many ticks had come.
fn tick(queue: impl DatagramQueue, policy: IdlePolicy) -> LcoreSnapshot {
    let stop = StopFlag::default();
    let service = Ticking { left: TICKS, deadline: Time::ZERO, stop: stop.clone() };
    let mut worker = Worker::new(vec![queue], service, 0).resting(Idle::new(policy));
    worker.run(&Clock::start(), &stop);
    assert_eq!(worker.service().left, 0);
    worker.lcore().snapshot()
}

#[test]
fn ticks_come_though_nothing_arrives() {
    for policy in WAITING {
        // With a descriptor it would wait ten times as long, and then make up for ten ticks at once.
        let told = tick(Told::new(None), policy);
        assert!(told.waits > TICKS / 4, "{policy}: {told:?}");
        let untold = tick(host().0, policy);
        assert!(untold.waits > TICKS / 4, "{policy}: {untold:?}");
        for figures in [told, untold] {
            assert!(figures.busy_ticks > 0 && figures.asleep_ticks > figures.busy_ticks, "{figures:?}");
            assert!(figures.wakeups <= 1, "nothing woke it but the stop: {figures:?}");
        }
    }
}

#[test]
fn a_queue_with_something_due_is_not_waited_for() {
    let due = tick(Told::new(Some(Duration::from_micros(50))), IdlePolicy::Sleep);
    assert_eq!(due.waits, 0, "{due:?}");
}

#[test]
fn spin_and_pause_never_wait() {
    for policy in [IdlePolicy::Spin, IdlePolicy::Pause] {
        assert_eq!(tick(Told::new(None), policy).waits, 0, "{policy}");
    }
}

/// Does nothing of its own accord.
struct Still;

impl Service for Still {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Drop
    }
}

#[test]
fn the_stop_wakes_a_worker_that_waits() {
    // It may come just between two waits.
    let was_woken = (0..100).any(|_| {
        let stop = StopFlag::default();
        let mut worker = Worker::new(vec![Told::new(None)], Still, 0).resting(Idle::new(IdlePolicy::Sleep));
        let lcore = Arc::clone(worker.lcore());
        thread::scope(|scope| {
            scope.spawn(|| worker.run(&Clock::start(), &stop));
            while lcore.snapshot().waits < 2 {
                thread::sleep(MILLISECOND);
            }
            stop.set();
        });
        lcore.snapshot().wakeups == 1
    });
    assert!(was_woken, "each wait came to its end");
}

#[test]
fn frames_that_nothing_tells_of_are_found() {
    for policy in WAITING {
        let (host, mut end) = host();
        let (counters, stop) = (Arc::clone(host.counters()), StopFlag::default());
        let mut worker = Worker::new(vec![host], Still, 0).resting(Idle::new(policy));
        thread::scope(|scope| {
            scope.spawn(|| worker.run(&Clock::start(), &stop));
            for frame in 1..=20 {
                thread::sleep(5 * MILLISECOND);
                end.send_frame(b"a runt").expect("room");
                while counters.snapshot()[Counter::Received] < frame {
                    thread::yield_now();
                }
            }
            stop.set();
        });
        assert!(worker.lcore().snapshot().waits > 0);
    }
}

/// Takes a number from one lcore and hands the next on to another, as `examples/wired.rs` does.
struct Wired {
    before: Receiver<u64>,
    behind: Sender<u64>,
    stop: StopFlag,
}

impl Service for Wired {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Drop
    }

    fn on_tick(&mut self, now: Time, _outbox: &mut Outbox<'_>) -> Tick {
        if let Ok(number) = self.before.try_recv() {
            if number == TICKS {
                self.stop.set();
            }
            let _ = self.behind.try_send(number + 1);
        }
        Tick::Done(now + MILLISECOND)
    }
}

#[test]
fn lcores_that_rest_take_what_others_hand_them() {
    for policy in WAITING {
        let (stop, clock) = (StopFlag::default(), Clock::start());
        let (to_first, to_second) = (bounded(1), bounded(1));
        to_first.0.send(0).expect("room");
        let wired = |before: &Receiver<u64>, behind: &Sender<u64>| Wired {
            before: before.clone(),
            behind: behind.clone(),
            stop: stop.clone(),
        };
        let services = [wired(&to_first.1, &to_second.0), wired(&to_second.1, &to_first.0)];
        let figures = thread::scope(|scope| {
            let run = |service| {
                let mut worker = Worker::new(vec![Told::new(None)], service, 0).resting(Idle::new(policy));
                let stop = stop.clone();
                scope.spawn(move || {
                    worker.run(&clock, &stop);
                    worker.lcore().snapshot()
                })
            };
            services.map(run).map(|thread| thread.join().expect("no panic"))
        });
        assert!(figures.iter().all(|figures| figures.waits > TICKS / 4), "{policy}: {figures:?}");
    }
}
