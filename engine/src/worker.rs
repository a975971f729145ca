//! The loop of one lcore: poll every queue, hand datagrams to the service, send, tick, rest.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use crate::forward::Forwards;
use crate::idle::{Idle, IdlePolicy, LONGEST_WAIT, Pause, wait_before};
use crate::port::PortId;
use crate::service::{Service, Tick};
use crate::sys::{Clock, StopFlag, TightTimers, WaitSet};
use crate::telemetry::{Counters, LcoreCounters};
use crate::time::Time;

/// A queue that carries datagrams: a [`Host`](crate::host::Host) on a frame queue, or a
/// kernel socket. A service can't tell the difference.
pub trait DatagramQueue: Send {
    /// What a datagram is in while it is forwarded.
    type Packet: Send;

    /// The port that it is a queue of.
    fn port(&self) -> PortId;

    /// Its counters.
    fn counters(&self) -> &Arc<Counters>;

    /// Receives a burst, has the service answer it and sends what it answers. Datagrams for
    /// other ports go into `forwards`. Gives how many frames were received.
    fn poll<S: Service>(
        &mut self,
        now: Time,
        service: &mut S,
        forwards: &mut Forwards<Self::Packet>,
    ) -> usize;

    /// Calls the service's [`on_tick`](Service::on_tick) and sends what it has to send.
    fn tick<S: Service>(&mut self, now: Time, service: &mut S, forwards: &mut Forwards<Self::Packet>)
    -> Tick;

    /// Sends those of `forwards` that leave by this port.
    fn take_forwards(&mut self, now: Time, forwards: &mut Forwards<Self::Packet>);

    /// Drops and counts all of `forwards`: no port of the worker took them.
    fn discard_forwards(&mut self, forwards: &mut Forwards<Self::Packet>);

    /// Whether nothing will ever be received again.
    fn is_exhausted(&self) -> bool;

    /// When it has something to do though nothing is received: the worker polls it then.
    fn next_deadline(&self) -> Time {
        Time::NEVER
    }

    /// A descriptor that is readable when there is something to receive. It stays the same.
    fn wait_fd(&self) -> Option<RawFd> {
        None
    }

    /// Has its device make that descriptor readable from now on. `false` if there is something
    /// to receive already, or the device can't: then the worker must not wait.
    fn arm_wakeup(&mut self) -> bool {
        true
    }

    /// After a wait, or none because another queue could not be armed: the worker polls again.
    fn disarm_wakeup(&mut self) {}

    /// Gives every packet back that is held or waits to be received. The last call.
    fn drain(&mut self);
}

/// One lcore's queues and its service.
#[derive(Debug)]
pub struct Worker<Q: DatagramQueue, S> {
    queues: Vec<Q>,
    service: S,
    forwards: Forwards<Q::Packet>,
    next_tick: Time,
    idle: Idle,
    lcore: Arc<LcoreCounters>,
}

/// Pause instructions between two polls of a worker that pauses: a fraction of a microsecond.
const PAUSES: usize = 8;

/// What a turn of the loop found to do.
#[derive(Clone, Copy, Debug)]
struct Turn {
    received: usize,
    ticked: bool,
}

/// As many turns have one reading of the clock at most, where each has [`FULL`] frames and those before were no longer
/// than [`SHORT`]: then a reading would take as long as a frame or two of each turn. As long as turns stay so, the
/// time is two microseconds old at most.
const TURNS_A_READING: u64 = 4;
pub(crate) const FULL: usize = 32;
const SHORT: Duration = Duration::from_nanos(500);

/// The turns since the clock was read.
#[derive(Clone, Copy, Debug)]
struct Turns {
    count: u64,
    /// What all of them received. Only the last one can have had a tick.
    received: usize,
    /// How many may be in one reading.
    longest: u64,
}

impl Turns {
    const NONE: Self = Self { count: 0, received: 0, longest: 1 };

    /// Counts a turn; says whether the clock is to be read after it.
    #[inline]
    fn end_with(&mut self, turn: Turn) -> bool {
        self.count += 1;
        self.received += turn.received;
        self.count >= self.longest || turn.received < FULL || turn.ticked
    }

    /// The clock was read, so many nanoseconds after the last time. As many may follow as were like these.
    #[inline]
    fn took(&mut self, nanos: u64) {
        let are_short = u128::from(nanos) <= SHORT.as_nanos() * u128::from(self.count);
        let longest = if are_short && self.received >= FULL { TURNS_A_READING } else { 1 };
        *self = Self { longest, ..Self::NONE };
    }
}

impl<Q: DatagramQueue, S: Service> Worker<Q, S> {
    /// A worker on its queue of each port. `forwards` is how many datagrams a poll can
    /// forward from port to port. It rests by the default policy.
    pub fn new(queues: Vec<Q>, service: S, forwards: usize) -> Self {
        Self {
            queues,
            service,
            forwards: Forwards::with_capacity(forwards),
            next_tick: Time::ZERO,
            idle: Idle::new(IdlePolicy::default()),
            lcore: Arc::default(),
        }
    }

    /// With another way to rest while no packets come.
    pub fn resting(mut self, idle: Idle) -> Self {
        self.idle = idle;
        self
    }

    /// Polls until `stop` is set or no queue can receive again, then gives every packet back.
    /// The clock is read once a turn, or once in a few where they are full and short.
    pub fn run(&mut self, clock: &Clock, stop: &StopFlag) {
        let lcore = Arc::clone(&self.lcore);
        let _running = lcore.begin();
        let mut rest = self.idle.waits().then(|| Rest::new(&self.queues, stop));
        let mut begin = clock.ticks();
        let mut now = clock.time(begin);
        let mut turns = Turns::NONE;
        while !stop.is_set() {
            let turn = self.turn(now);
            if !turns.end_with(turn) {
                continue;
            }
            if turn.received == 0 && self.queues.iter().all(Q::is_exhausted) {
                break;
            }
            let are_busy = turns.received > 0 || turn.ticked;
            let mut woken = None;
            match self.idle.after_turn(turns.received, now) {
                // The time of turns with work is to hold no rest.
                _ if are_busy => {}
                Pause::None => std::hint::spin_loop(),
                Pause::Relax => (0..PAUSES).for_each(|_| std::hint::spin_loop()),
                Pause::Wait(longest) => woken = rest.as_mut().and_then(|rest| self.wait(rest, now, longest)),
            }
            let end = clock.ticks();
            let then = std::mem::replace(&mut now, clock.time(end));
            let nanos = now.as_nanos().saturating_sub(then.as_nanos());
            lcore.turns(turns.count, end.saturating_sub(begin), nanos, are_busy);
            turns.took(nanos);
            if let Some(was_woken) = woken {
                lcore.waited(end.saturating_sub(begin), was_woken);
            }
            begin = end;
        }
        self.drain();
    }

    /// One turn at the time `now`: a burst of every queue, and the service's tick if it is
    /// due. Gives how many frames were received.
    #[inline]
    pub fn poll_once(&mut self, now: Time) -> usize {
        self.turn(now).received
    }

    #[inline]
    fn turn(&mut self, now: Time) -> Turn {
        let mut received = 0;
        for queue in &mut self.queues {
            received += queue.poll(now, &mut self.service, &mut self.forwards);
        }
        let ticked = now >= self.next_tick;
        if ticked {
            self.tick(now);
        }
        if !self.forwards.is_empty() {
            self.forward(now);
        }
        Turn { received, ticked }
    }

    /// Waits until a queue has something to receive, the worker is to stop, or something is due:
    /// where every queue has a descriptor for [`LONGEST_WAIT`] at most, else for `longest`. Says
    /// whether a descriptor ended it; `None` if there was no time to wait.
    #[cold]
    fn wait(&mut self, rest: &mut Rest, now: Time, longest: Duration) -> Option<bool> {
        let longest = if rest.is_told { LONGEST_WAIT } else { longest };
        let deadlines = self.queues.iter().map(Q::next_deadline);
        let deadline = deadlines.fold(self.next_tick, Time::min);
        let longest = wait_before(deadline, now, longest)?;
        let armed = self.queues.iter_mut().all(Q::arm_wakeup);
        let woken = armed.then(|| rest.descriptors.wait(longest));
        self.queues.iter_mut().for_each(Q::disarm_wakeup);
        woken
    }

    /// Gives every packet back that its queues hold.
    pub fn drain(&mut self) {
        self.discard_forwards();
        self.queues.iter_mut().for_each(Q::drain);
    }

    /// Its service.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Its queues.
    pub fn queues(&self) -> &[Q] {
        &self.queues
    }

    /// What it does with its lcore's time.
    pub fn lcore(&self) -> &Arc<LcoreCounters> {
        &self.lcore
    }

    fn tick(&mut self, now: Time) {
        let Some(queue) = self.queues.first_mut() else { return };
        self.next_tick = match queue.tick(now, &mut self.service, &mut self.forwards) {
            Tick::Done(deadline) => deadline,
            Tick::More | Tick::Again => now,
        };
    }

    fn forward(&mut self, now: Time) {
        for queue in &mut self.queues {
            queue.take_forwards(now, &mut self.forwards);
        }
        self.discard_forwards();
    }
}

/// What a worker waits with, as long as it runs.
struct Rest {
    descriptors: WaitSet,
    /// Each queue has a descriptor, so that no frame waits for the end of a sleep.
    is_told: bool,
    _timers: TightTimers,
}

impl Rest {
    fn new<Q: DatagramQueue>(queues: &[Q], stop: &StopFlag) -> Self {
        let of_queues: Vec<_> = queues.iter().map(Q::wait_fd).collect();
        Self {
            is_told: of_queues.iter().all(Option::is_some),
            descriptors: WaitSet::new(of_queues.into_iter().chain([stop.wait_fd()]).flatten()),
            _timers: TightTimers::start(),
        }
    }
}

impl<Q: DatagramQueue, S> Worker<Q, S> {
    /// Drops and counts what no port took.
    fn discard_forwards(&mut self) {
        if let Some(queue) = self.queues.first_mut() {
            queue.discard_forwards(&mut self.forwards);
        }
    }
}

impl<Q: DatagramQueue, S> Drop for Worker<Q, S> {
    /// Where a service panicked, packets may be on their way from port to port.
    fn drop(&mut self) {
        self.discard_forwards();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many turns like this the clock is read, each time.
    fn readings(turn: Turn, nanos_a_turn: u64) -> [u64; 3] {
        let mut turns = Turns::NONE;
        std::array::from_fn(|_| {
            while !turns.end_with(turn) {}
            let count = turns.count;
            turns.took(count * nanos_a_turn);
            count
        })
    }

    #[test]
    fn full_and_short_turns_have_one_reading_of_the_clock() {
        let full = Turn { received: FULL, ticked: false };
        assert_eq!(readings(full, 500), [1, TURNS_A_READING, TURNS_A_READING]);
        assert_eq!(readings(full, 501), [1; 3], "long ones");
        assert_eq!(readings(Turn { received: FULL - 1, ..full }, 100), [1; 3]);
        assert_eq!(readings(Turn { ticked: true, ..full }, 100), [1; 3], "a tick is told how late it is");
    }

    #[test]
    fn a_turn_that_is_not_full_ends_a_reading() {
        let (full, empty) = (Turn { received: FULL, ticked: false }, Turn { received: 0, ticked: false });
        let mut turns = Turns { longest: TURNS_A_READING, ..Turns::NONE };
        assert!(!turns.end_with(full) && turns.end_with(empty));
        assert_eq!(
            (turns.count, turns.received),
            (2, FULL),
            "what came before an empty turn is not forgotten"
        );
        turns.took(10);
        assert!(!turns.end_with(full));
        turns = Turns::NONE;
        assert!(turns.end_with(empty));
        turns.took(10);
        assert!(turns.end_with(full), "empty ones were short, and say nothing of full ones");
    }
}
