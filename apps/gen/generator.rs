//! The service of one lcore: it sends by its schedule, whatever comes back, and measures that.
//!
//! It rests until it is told of a trial, sends, lingers for the last answers, and gives its
//! tally away. What it is sent it never answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use gannet::telemetry::Durations;
use gannet::wire::checksum::Sum;
use gannet::{Datagram, Outbox, Role, SendError, Service, Tick, Time, Verdict};

use super::board::{Board, Line};
use super::flows::Turns;
use super::payload::{Codec, Read, STAMP_LEN, Series, Stamp};
use super::sending::{Sending, Turn};
use super::sizes::Lengths;
use super::tally::Tally;
use super::trial::{Pace, Place, Trial};
use super::window::{Arrival, Window};

/// How often a resting generator looks for something to do.
const REST: Duration = Duration::from_millis(1);
/// How often it asks whether somebody is there.
const PROBE_INTERVAL: Duration = Duration::from_millis(20);
/// Datagrams of a tick at most: what comes back has its turn between them.
pub(super) const BURST: usize = 32;
/// The same where nothing comes back. They are still in the processor's nearest cache when they are sent.
const BLOCK: usize = 64;
/// How long after its end a trial may still send what it owes, in nanoseconds.
const GRACE: u64 = 50_000_000;

/// What a generator is told to do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Ask every target for an answer, again and again.
    Probe,
    /// Run a trial of that number.
    Run(u8, Arc<Trial>),
}

/// What a generator is made of, beside its channels.
pub(crate) struct Parts {
    pub(crate) place: Place,
    pub(crate) board: Arc<Board>,
    pub(crate) flows: Turns,
    /// How many of the flows are probed: the first ones, one for each target.
    pub(crate) probes: usize,
    pub(crate) codec: Codec,
    /// Lengths of payloads over IPv4 and IPv6.
    pub(crate) lengths: [Lengths; 2],
    /// The addresses from which answers come.
    pub(crate) remotes: Vec<SocketAddr>,
    /// Answers can't be matched to what was sent, and are only counted.
    pub(crate) is_replay: bool,
}

/// One lcore's generator.
pub(crate) struct Generator {
    parts: Parts,
    orders: Receiver<Order>,
    results: Sender<Box<Tally>>,
    phase: Phase,
    windows: Vec<Window>,
    tally: Box<Tally>,
    round_trips: Arc<Durations>,
}

enum Phase {
    Resting,
    /// Until when it waits before it asks again.
    Probing(Time),
    Sending(Sending),
    /// Until when it waits for answers.
    Lingering(Time),
}

impl Generator {
    pub(crate) fn new(parts: Parts, orders: Receiver<Order>, results: Sender<Box<Tally>>) -> Self {
        let windows = std::iter::repeat_with(Window::new).take(parts.place.lcores).collect();
        let tally = Box::new(Tally::new());
        let own = parts.board.lines.get(parts.place.lcore);
        let round_trips = own.map(|line| Arc::clone(&line.round_trips)).unwrap_or_default();
        Self { parts, orders, results, phase: Phase::Resting, windows, tally, round_trips }
    }

    fn line(&self) -> &Line {
        &self.parts.board.lines[self.parts.place.lcore]
    }

    fn publish(&self) {
        let line = self.line();
        line.sent.store(self.tally.sent, Relaxed);
        line.received.store(self.tally.received, Relaxed);
    }

    /// Begins with what it is told to do, if there is something.
    fn take_order(&mut self, now: Time) -> Tick {
        self.phase = match self.orders.try_recv() {
            Ok(Order::Probe) => Phase::Probing(now),
            Ok(Order::Run(number, trial)) => {
                Phase::Sending(Sending::new(now, trial, number, self.parts.place))
            }
            Err(_) => return Tick::Done(now + REST),
        };
        Tick::More
    }

    fn probe(&mut self, outbox: &mut Outbox<'_>) {
        let stream = self.parts.place.lcore as u8;
        for (number, flow) in self.parts.flows.first(self.parts.probes).iter().enumerate() {
            let stamp = Stamp { stream, trial: 0, sequence: number as u64, intended: 0 };
            let write = |room: &mut [u8]| self.parts.codec.write(stamp, room);
            // What does not fit now is sent the next time.
            let _ = outbox.send_with(flow.from, flow.to, STAMP_LEN, write);
        }
    }

    /// Sends what is due.
    #[inline]
    fn send(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Turn {
        let Phase::Sending(sending) = &mut self.phase else { return Turn::More };
        sending.account(now, &mut self.tally);
        let elapsed = now.since(sending.start).as_nanos() as u64;
        self.tally.nanos = elapsed.saturating_sub(sending.measured_from);
        if elapsed >= sending.end.saturating_add(GRACE) {
            self.tally.unsent = sending.left();
            return Turn::Over;
        }
        match sending.pace {
            Pace::At(_) => return self.send_due(elapsed, outbox),
            Pace::Max => return self.send_block(elapsed, outbox),
            Pace::Replay(_) => {}
        }
        for _ in 0..BURST.min(outbox.free()) {
            let Some(due) = sending.next(elapsed, self.tally.sent) else { return sending.last_turn() };
            if due > elapsed {
                return sending.wait(due);
            }
            let flow = *self.parts.flows.peek();
            if let Err(error) = sending.replay(due, flow, outbox) {
                return self.refused(error);
            }
            self.tally.sent += u64::from(due >= sending.measured_from);
            self.parts.flows.advance();
        }
        Turn::More
    }

    /// Sends what is due by a schedule: in runs, though each has a moment of its own.
    #[inline]
    fn send_due(&mut self, elapsed: u64, outbox: &mut Outbox<'_>) -> Turn {
        let Phase::Sending(sending) = &mut self.phase else { return Turn::More };
        sending.draw(elapsed, self.tally.sent, BURST.min(outbox.free()));
        while let series @ [first, ..] = sending.series() {
            let mut stamp = sending.stamp(*first, self.parts.place);
            let before = stamp.sequence;
            let sent = self.parts.send_run(&mut stamp, series.len(), outbox, |run, number, room| {
                run.write_later(number, (series[usize::from(number)] - first) as u32, room)
            });
            let count = stamp.sequence - before;
            self.tally.sent += if *first >= sending.measured_from { count } else { 0 };
            sending.note_sent(count as usize);
            if let Err(error) = sent {
                return self.refused(error);
            }
        }
        match sending.next(elapsed, self.tally.sent) {
            Some(due) if due > elapsed => sending.wait(due),
            Some(_) => Turn::More,
            None => sending.last_turn(),
        }
    }

    /// Sends as fast as it goes.
    #[inline]
    fn send_block(&mut self, elapsed: u64, outbox: &mut Outbox<'_>) -> Turn {
        let Phase::Sending(sending) = &mut self.phase else { return Turn::More };
        if sending.next(elapsed, self.tally.sent).is_none() {
            return sending.last_turn();
        }
        let is_measured = elapsed >= sending.measured_from;
        let left = if is_measured { sending.count - self.tally.sent } else { u64::MAX };
        let is_heard = !sending.trial.linger.is_zero();
        let most = if is_heard { BURST } else { BLOCK };
        let block = left.min(most.min(outbox.free()) as u64);
        let mut stamp = sending.stamp(elapsed, self.parts.place);
        let before = stamp.sequence;
        let (mut left, mut result) = (block, Ok(()));
        while left > 0 && result.is_ok() {
            result = self
                .parts
                .send_run(&mut stamp, left as usize, outbox, |run, number, room| run.write(number, room));
            left = (before + block).saturating_sub(stamp.sequence);
        }
        let count = stamp.sequence - before;
        if is_measured {
            sending.sequence += count;
            self.tally.sent += count;
        } else {
            sending.warm_sequence += count;
        }
        // Where no answers are waited for, none has to be heard before what comes next.
        let then = if is_heard { Turn::More } else { Turn::Again };
        result.map_or_else(|error| self.refused(error), |()| then)
    }

    /// The outbox did not take a datagram: it is sent later, or never.
    #[cold]
    fn refused(&self, error: SendError) -> Turn {
        let SendError::TooLong(error) = error else { return Turn::More };
        let [len, max] = &self.parts.board.too_long;
        max.store(error.max as u64, Relaxed);
        len.store(error.len as u64, Relaxed);
        Turn::Over
    }

    /// All is sent: the answers to it have some time left.
    fn linger(&mut self, now: Time) {
        let Phase::Sending(sending) = &self.phase else { return };
        if self.tally.sent < sending.count && sending.end != u64::MAX {
            // The gap behind the last one belongs to the time that it was sent in.
            self.tally.nanos = self.tally.nanos.max(sending.end - sending.measured_from);
        }
        let until = now + sending.trial.linger;
        self.line().is_sending.store(false, Relaxed);
        self.phase = Phase::Lingering(until);
    }

    /// Gives the tally away and begins a new one.
    fn close(&mut self) {
        self.publish();
        let tally = std::mem::replace(&mut self.tally, Box::new(Tally::new()));
        self.windows.iter_mut().for_each(Window::clear);
        self.phase = Phase::Resting;
        // Whoever does not want it any more is gone.
        let _ = self.results.send(tally);
    }

    /// Takes an answer in.
    #[inline]
    fn hear(&mut self, now: Time, stamp: Stamp) {
        let trial = self.parts.board.trial.load(Relaxed);
        if stamp.trial == 0 {
            if let Some(line) = self.parts.board.lines.get(usize::from(stamp.stream)) {
                line.hear_probe(stamp.sequence);
            }
            return;
        }
        let window = self.windows.get_mut(usize::from(stamp.stream)).filter(|_| stamp.trial == trial);
        let Some(window) = window else {
            self.tally.strays += 1;
            return;
        };
        let arrival = window.take(stamp.sequence);
        if arrival == Arrival::Duplicate {
            self.tally.duplicates += 1;
            return;
        }
        self.tally.reordered += u64::from(arrival == Arrival::Reordered);
        self.tally.received += 1;
        let round_trip = now.as_nanos().saturating_sub(stamp.intended);
        self.tally.measure(round_trip);
        self.round_trips.record(round_trip);
    }

    /// A datagram that is none of ours, or not as it was sent; a replay's answers all are.
    fn hear_other(&mut self, datagram: &Datagram<'_>) {
        if !self.parts.remotes.contains(&datagram.source()) {
            self.tally.strays += 1;
        } else if self.parts.is_replay {
            self.tally.received += 1;
        } else {
            self.tally.corrupted += 1;
        }
    }
}

impl Parts {
    /// Sends at most `most` datagrams, the first of them with this stamp, as far as they differ in no more
    /// than their number, the moment when they are meant to leave and the port that they leave from. `write` puts
    /// the one of that number into its place.
    #[inline]
    fn send_run(
        &mut self,
        stamp: &mut Stamp,
        most: usize,
        outbox: &mut Outbox<'_>,
        write: impl Fn(&Series<'_>, u16, &mut [u8]) -> Sum + Copy,
    ) -> Result<(), SendError> {
        let lengths = &mut self.lengths[usize::from(!self.flows.peek().to.is_ipv4())];
        let (len, alike) = lengths.alike(most);
        let (first, ports) = self.flows.run(alike);
        lengths.skip(ports.len());
        let (series, free) = (self.codec.series(*stamp, len), outbox.free());
        let sent = outbox
            .stream(first.from, first.to, len)
            // No more than a block of them.
            .send_each(ports, move |number, room| write(&series, number as u16, room));
        stamp.sequence += (free - outbox.free()) as u64;
        sent
    }
}

impl Service for Generator {
    const ROLE: Role = Role::Client;

    #[inline]
    fn on_datagram(&mut self, now: Time, datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        match self.parts.codec.read(datagram.payload()) {
            Read::Whole(stamp) => self.hear(now, stamp),
            Read::Broken => self.hear_other(datagram),
        }
        Verdict::Drop
    }

    #[inline]
    fn on_tick(&mut self, now: Time, outbox: &mut Outbox<'_>) -> Tick {
        match &self.phase {
            Phase::Sending(_) => {
                let turn = self.send(now, outbox);
                self.publish();
                match turn {
                    Turn::Until(due) => return Tick::Done(due),
                    Turn::More => {}
                    Turn::Again => return Tick::Again,
                    Turn::Over => self.linger(now),
                }
                Tick::More
            }
            Phase::Lingering(until) => {
                let is_over = now >= *until;
                self.publish();
                if is_over || self.parts.board.is_complete() {
                    self.close();
                }
                Tick::Done(now + REST)
            }
            Phase::Probing(until) => {
                if now >= *until {
                    self.probe(outbox);
                    self.phase = Phase::Probing(now + PROBE_INTERVAL);
                }
                self.take_order(now)
            }
            Phase::Resting => self.take_order(now),
        }
    }
}

impl Drop for Generator {
    /// A trial that is cut short has a tally too.
    fn drop(&mut self) {
        if matches!(self.phase, Phase::Sending(_) | Phase::Lingering(_)) {
            self.close();
        }
    }
}
