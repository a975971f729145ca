//! The control plane: signals, the run's duration, lines of statistics. It never touches a packet.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};

use super::companion::Companion;
use super::eal_args::LcoreId;
use super::link::LostPort;
use super::panic::Panicked;
use super::reload::Configured;
use super::rounds::Rounds;
use super::say;
use super::status::Status;
use crate::host::Addressing;
use crate::sys::{Signals, StopFlag};
use crate::telemetry::{Kind, LcoreSnapshot, Snapshot};

/// How long the control plane sleeps between looks at its workers.
const NAP: Duration = Duration::from_millis(50);

/// A worker that ended, and how.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) lcore: LcoreId,
    pub(super) result: Result<(), Panicked>,
}

/// What ended a run that nobody wanted to end.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The lcore whose service panicked.
    pub(super) panicked: Option<LcoreId>,
    pub(super) lost: Option<LostPort>,
}

/// What is said when the addresses are known to be ours.
pub(super) struct Start<'a> {
    /// Makes the line that says that the program is ready.
    pub(super) ready: Box<dyn Fn() -> String + Send + 'a>,
    pub(super) addressing: &'a [Addressing],
}

/// What the control plane watches.
pub(super) struct Control<'a> {
    pub(super) signals: Signals,
    pub(super) stop: StopFlag,
    pub(super) start: Start<'a>,
    pub(super) ended: Receiver<Ended>,
    pub(super) rounds: Rounds<'a>,
    pub(super) configured: Option<Configured>,
    pub(super) companion: &'a mut dyn Companion,
    pub(super) duration: Option<Duration>,
    pub(super) stats: Option<Duration>,
}

impl Control<'_> {
    /// Watches until a signal, the end of the duration, of the workers, or of the companion; then has
    /// all workers stop. Gives what went wrong, if anything did.
    pub(super) fn run(mut self) -> Failures {
        let begin = Instant::now();
        let (totals, lcores) = self.totals();
        let mut statistics = Statistics { begin, last: begin, before: totals, lcores_before: lcores };
        let (mut panicked, mut is_ready) = (None, false);
        while panicked.is_none() {
            if !is_ready && self.start.addressing.iter().all(Addressing::is_settled) {
                self.say_ready();
                self.companion.ready();
                is_ready = true;
            }
            if is_ready && self.companion.look().is_break() {
                break;
            }
            let is_over = self.duration.is_some_and(|duration| begin.elapsed() >= duration);
            if is_over || self.signals.wait(self.nap(&statistics, begin)).is_some() {
                break;
            }
            match self.ended.try_recv() {
                Ok(Ended { lcore, result: Err(Panicked) }) => panicked = Some(lcore),
                // All senders are gone when all workers have ended.
                Err(TryRecvError::Disconnected) => break,
                Ok(Ended { lcore, result: Ok(()) }) => self.rounds.dismiss(lcore),
                Err(TryRecvError::Empty) => {}
            }
            self.rounds.make(Instant::now());
            if self.rounds.lost.is_some() {
                break;
            }
            if self.signals.take_hang_up() {
                self.reload(is_ready);
            }
            if self.stats.is_some_and(|interval| statistics.last.elapsed() >= interval) {
                statistics.print(self.totals());
            }
        }
        self.rounds.manager.stopping();
        self.stop.set();
        // A worker may panic in its last turn; wait for all of them.
        let failed = self.ended.iter().filter(|ended| ended.result.is_err()).map(|ended| ended.lcore).next();
        Failures { panicked: panicked.or(failed), lost: self.rounds.lost }
    }

    /// Reads the configuration again, and takes over what can change while workers run.
    fn reload(&mut self, is_ready: bool) {
        let Some(configured) = &mut self.configured else { return };
        self.rounds.manager.reloading();
        match configured.reload() {
            Ok(reloaded) => {
                self.stats = reloaded.args.stats;
                self.rounds.watchdog.set_patience(reloaded.args.watchdog);
            }
            Err(error) => tracing::error!("SIGHUP: all stays as it was: {error}"),
        }
        if is_ready {
            self.rounds.manager.ready(&(self.start.ready)());
        }
    }

    fn say_ready(&mut self) {
        for (port, addressing) in self.start.addressing.iter().enumerate() {
            for address in addressing.duplicates() {
                tracing::error!(
                    "another host on the link of port {port} has {address}: it is not used; give us another"
                );
            }
        }
        let line = (self.start.ready)();
        say(&line);
        self.rounds.ready(&line);
    }

    /// How long to sleep: until the next thing is due, and never long.
    fn nap(&self, statistics: &Statistics, begin: Instant) -> Duration {
        let until_end = self.duration.map(|duration| duration.saturating_sub(begin.elapsed()));
        let until_line = self.stats.map(|interval| interval.saturating_sub(statistics.last.elapsed()));
        [until_end, until_line].into_iter().flatten().fold(NAP, Duration::min)
    }

    fn totals(&self) -> (Snapshot, Vec<(LcoreId, LcoreSnapshot)>) {
        let Status { queues, lcores, .. } = &*self.rounds.status;
        let mut totals = Snapshot::default();
        queues.iter().for_each(|queue| totals += &queue.counters.snapshot());
        (totals, lcores.iter().map(|worker| (worker.lcore, worker.counters.snapshot())).collect())
    }
}

/// The live lines.
struct Statistics {
    begin: Instant,
    last: Instant,
    before: Snapshot,
    lcores_before: Vec<(LcoreId, LcoreSnapshot)>,
}

impl Statistics {
    /// Prints what happened since the last line: rates, how busy each lcore was, and every drop
    /// by name.
    fn print(&mut self, (now, lcores): (Snapshot, Vec<(LcoreId, LcoreSnapshot)>)) {
        let elapsed = self.last.elapsed();
        let seconds = elapsed.as_secs_f64();
        let rate = |kind| ((now.total(kind) - self.before.total(kind)) as f64 / seconds).round();
        let drops: Vec<_> = now
            .non_zero()
            .filter(|(counter, _)| matches!(counter.kind(), Kind::RxDrop | Kind::TxDrop))
            .map(|(counter, value)| (counter, value - self.before[counter]))
            .filter(|&(_, value)| value != 0)
            .map(|(counter, value)| format!(" {}={value}", counter.name()))
            .collect();
        let usages = lcores.iter().zip(&self.lcores_before).map(|((lcore, now), (_, before))| {
            let figures = now.since(before);
            let wakeups = (figures.wakeups as f64 / seconds).round();
            format!(" lcore {lcore} ({}, {wakeups} wake-ups/s),", figures.usage(elapsed))
        });
        say(format_args!(
            "stats: {:.1} s, received {}/s, sent {}/s,{} dropped{}",
            self.begin.elapsed().as_secs_f64(),
            rate(Kind::Received),
            rate(Kind::Sent),
            usages.collect::<String>(),
            if drops.is_empty() { " none".to_owned() } else { drops.concat() },
        ));
        self.last = Instant::now();
        self.before = now;
        self.lcores_before = lcores;
    }
}
