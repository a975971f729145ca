//! The control plane's side: lets the bots begin, shows how it goes, has them leave, and ends the run.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use gannet::telemetry::{Counter, Exhibit, Family, FamilyKind, Measured, Report};
use gannet::{Companion, LcoreId};

use super::board::{Board, Line, Totals};
use super::output::{Limits, Results};
use super::tally::Tally;

/// How long the server may take to make the first bot a player.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a line is printed.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// What the lcores measure, among the metrics.
const ROUND_TRIPS: Family = Family::new(
    "gannet_bots_round_trip_seconds",
    FamilyKind::Histogram,
    &["lcore"],
    "From the moment that a move was meant to leave to its acknowledgement, by the lcore that heard it.",
);
const AGES: Family = Family::new(
    "gannet_bots_update_age_seconds",
    FamilyKind::Histogram,
    &["lcore"],
    "From the moment that a move was meant to leave to an update that has it, by the lcore that heard it.",
);

/// Where an lcore shows a count.
type Word = fn(&Line) -> &AtomicU64;

/// What the lcores count, among the metrics.
const COUNTS: [(Family, Word); 6] = [
    (family("gannet_bots_playing", FamilyKind::Gauge, "Bots that are players."), |line| &line.playing),
    (family("gannet_bots_joined", FamilyKind::Counter, "Joins that made a bot a player."), |line| {
        &line.joined
    }),
    (family("gannet_bots_refused", FamilyKind::Counter, "Joins that were refused."), |line| &line.refused),
    (family("gannet_bots_moves", FamilyKind::Counter, "Moves that were sent."), |line| &line.moves),
    (family("gannet_bots_answered", FamilyKind::Counter, "Moves that were answered."), |line| &line.answered),
    (family("gannet_bots_updates", FamilyKind::Counter, "Updates that came."), |line| &line.updates),
];

const fn family(name: &'static str, kind: FamilyKind, help: &'static str) -> Family {
    Family::new(name, kind, &["lcore"], help)
}

/// What joins the control plane and the lcores.
#[derive(Debug)]
pub(crate) struct Wires {
    pub(crate) lcores: Vec<LcoreId>,
    pub(crate) board: Arc<Board>,
    pub(crate) results: Receiver<Box<Tally>>,
}

/// How long what takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// How long they play; without it until a signal comes.
    pub(crate) duration: Option<Duration>,
    /// In which time they join.
    pub(crate) ramp: Duration,
    /// How long leaving may take.
    pub(crate) linger: Duration,
}

/// The bots' part of the control plane.
pub(crate) struct Conductor {
    wires: Arc<OnceLock<Wires>>,
    times: Times,
    to: String,
    limits: Limits,
    stage: Stage,
    shown: (Instant, Totals),
    /// What all lcores did.
    pub(crate) results: Results,
    /// Why the run is a failure.
    pub(crate) failure: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Waiting,
    Playing(Instant),
    Closing(Instant),
}

impl Conductor {
    pub(crate) fn new(wires: Arc<OnceLock<Wires>>, times: Times, to: String, limits: Limits) -> Self {
        let shown = (Instant::now(), Totals::default());
        let (stage, results, failure) = (Stage::Waiting, Results::default(), None);
        Self { wires, times, to, limits, stage, shown, results, failure }
    }

    fn look_at_play(&mut self, since: Instant) -> ControlFlow<()> {
        let Some(wires) = self.wires.get() else { return ControlFlow::Break(()) };
        let totals = wires.board.totals();
        let elapsed = since.elapsed();
        if totals.joined == 0 && elapsed > PATIENCE + self.times.ramp {
            return ControlFlow::Break(());
        }
        if self.times.duration.is_some_and(|duration| elapsed >= duration) {
            wires.board.closes.store(true, Relaxed);
            self.stage = Stage::Closing(Instant::now());
        }
        self.show(elapsed, totals);
        ControlFlow::Continue(())
    }

    fn look_at_close(&self, since: Instant) -> ControlFlow<()> {
        let is_over = self.wires.get().is_none_or(|wires| wires.board.is_over());
        if is_over || since.elapsed() >= self.times.linger {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn show(&mut self, elapsed: Duration, now: Totals) {
        let (last, before) = self.shown;
        let since = last.elapsed();
        if since < LINE_INTERVAL {
            return;
        }
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / since.as_secs_f64()).round();
        super::say(&format!(
            "bots: {:.0} s, {} playing, moves {}/s, answered {}/s, updates {}/s, refused {}",
            elapsed.as_secs_f64(),
            now.playing,
            rate(now.moves, before.moves),
            rate(now.answered, before.answered),
            rate(now.updates, before.updates),
            now.refused,
        ));
        self.shown = (Instant::now(), now);
    }

    /// What the engine's counters say of why nobody plays.
    fn why_nobody(&self, report: &Report) -> String {
        let (to, counts) = (&self.to, &self.results.tally.counts);
        let any = |counter: Counter| report.totals[counter] > 0;
        if counts.refused_full > 0 {
            return format!("nobody could join: the server at {to} is full; has it room for --players?");
        }
        if counts.refused_address > 0 {
            return format!(
                "nobody could join: the server at {to} takes no more players of our addresses; has it room for \
                 them with --seats-per-address?"
            );
        }
        if counts.refused_version > 0 {
            return format!("nobody could join: the server at {to} speaks another version of the protocol");
        }
        if any(Counter::TxNoRoute) {
            return format!(
                "there is no way to {to}: it is on no link of ours; pass --gateway, or another --ip"
            );
        }
        if !any(Counter::Sent) {
            return format!("nobody could join: nothing was sent to {to}");
        }
        if [Counter::TxUnreachable, Counter::TxNeighbourQueueFull, Counter::TxStopping].into_iter().any(any) {
            return format!(
                "nobody could join: nobody on the link has the MAC address of {to}, or of the gateway to it; is it up?"
            );
        }
        format!("nobody could join: {to} sent no welcome; does gannet game listen there?")
    }
}

impl Companion for Conductor {
    fn ready(&mut self) {
        if let Some(wires) = self.wires.get() {
            wires.board.begins.store(true, Relaxed);
        }
        self.stage = Stage::Playing(Instant::now());
    }

    fn exhibits(&self) -> Vec<Exhibit> {
        let Some(wires) = self.wires.get() else { return Vec::new() };
        let exhibit = |family: Family, measured: &dyn Fn(usize) -> Measured| {
            let lcores = wires.lcores.iter().enumerate();
            let members = lcores.map(|(place, lcore)| (lcore.to_string(), measured(place)));
            Exhibit { family, members: members.collect() }
        };
        let line = |place: usize| &wires.board.lines[place];
        let durations = [
            exhibit(ROUND_TRIPS, &|place| Arc::clone(&line(place).round_trips).into()),
            exhibit(AGES, &|place| Arc::clone(&line(place).ages).into()),
        ];
        let counts = COUNTS.into_iter().map(|(family, count)| {
            exhibit(family, &|place| {
                let board = Arc::clone(&wires.board);
                Measured::number(move || count(&board.lines[place]).load(Relaxed))
            })
        });
        durations.into_iter().chain(counts).collect()
    }

    fn look(&mut self) -> ControlFlow<()> {
        match self.stage {
            Stage::Waiting => ControlFlow::Continue(()),
            Stage::Playing(since) => self.look_at_play(since),
            Stage::Closing(since) => self.look_at_close(since),
        }
    }

    fn report(&mut self, report: &mut Report) {
        if let Some(wires) = self.wires.get() {
            wires.results.try_iter().for_each(|tally| self.results.tally.add(&tally));
        }
        self.results.seconds = report.elapsed.as_secs_f64();
        let counts = &self.results.tally.counts;
        let mut violations = self.limits.violations(&self.results.tally);
        if counts.joined == 0 {
            violations.insert(0, self.why_nobody(report));
        }
        self.failure = Some(violations.join("; ")).filter(|failure| !failure.is_empty());
        self.results.violations = violations;
        report.extra.insert("bots".to_owned(), self.results.json());
    }
}
