//! The control plane's side: asks whether the targets are there, has the lcores run trial after
//! trial, shows how it goes, and ends the run.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use gannet::telemetry::{Counter, Exhibit, Family, FamilyKind, Report};
use gannet::{Companion, LcoreId};

use super::board::Board;
use super::generator::Order;
use super::output::{OwnError, Results};
use super::plan::Plan;
use super::screen::Screen;
use super::tally::Tally;
use super::trial::Trial;

/// How long the targets may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long their MAC addresses may take where nobody answers.
const HEAD_START: Duration = Duration::from_millis(100);

/// What the lcores measure, among the metrics.
const ROUND_TRIPS: Family = Family::new(
    "gannet_gen_round_trip_seconds",
    FamilyKind::Histogram,
    &["lcore"],
    "From the moment that a datagram was meant to leave to its answer, by the lcore that heard it.",
);

/// What joins the control plane and the lcores.
#[derive(Debug)]
pub(crate) struct Wires {
    pub(crate) lcores: Vec<LcoreId>,
    pub(crate) board: Arc<Board>,
    pub(crate) orders: Vec<Sender<Order>>,
    pub(crate) results: Receiver<Box<Tally>>,
    /// How many probes each lcore sends at a time.
    pub(crate) probes: usize,
}

/// Whom the generator waits for before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    /// For an answer from each target.
    Answers,
    /// For none, but the targets' MAC addresses are found out beforehand.
    Silent,
    /// Nothing is sent beforehand.
    Not,
}

/// The generator's part of the control plane.
pub(crate) struct Conductor {
    wires: Arc<OnceLock<Wires>>,
    plan: Plan,
    probing: Probing,
    stage: Stage,
    screen: Screen,
    number: u8,
    own: OwnError,
    /// What all lcores did in each trial.
    results: Results,
    /// Why the run ended before its time.
    pub(crate) failure: Option<String>,
}

enum Stage {
    Waiting,
    Probing(Instant),
    /// The tallies that came in, and how many.
    Running(Box<Tally>, usize),
    Over,
}

impl Conductor {
    pub(crate) fn new(wires: Arc<OnceLock<Wires>>, plan: Plan, probing: Probing, own: OwnError) -> Self {
        let screen = Screen::new(plan.expected());
        Self {
            wires,
            plan,
            probing,
            stage: Stage::Waiting,
            screen,
            number: 0,
            own,
            results: Results::default(),
            failure: None,
        }
    }

    /// What it all came to.
    pub(crate) fn results(&self) -> &Results {
        &self.results
    }

    fn order(&self, order: &Order) {
        let orders = self.wires.get().into_iter().flat_map(|wires| &wires.orders);
        // An lcore that is gone has ended the run already.
        orders.for_each(|lcore| _ = lcore.send(order.clone()));
    }

    /// Has the next trial run, or ends.
    fn go_on(&mut self) -> ControlFlow<()> {
        match self.plan.next() {
            Some(trial) => {
                self.run(trial);
                ControlFlow::Continue(())
            }
            None => {
                self.stage = Stage::Over;
                ControlFlow::Break(())
            }
        }
    }

    fn run(&mut self, trial: Trial) {
        self.number = self.number.checked_add(1).unwrap_or(1);
        if let Some(wires) = self.wires.get() {
            wires.board.begin(self.number);
        }
        self.screen.begin(&trial);
        self.order(&Order::Run(self.number, Arc::new(trial)));
        self.stage = Stage::Running(Box::new(Tally::new()), 0);
    }

    fn look_at_probes(&mut self, since: Instant) -> ControlFlow<()> {
        let Some(wires) = self.wires.get() else { return ControlFlow::Break(()) };
        let is_answered = wires.board.all_answered(wires.probes);
        match self.probing {
            Probing::Answers if !is_answered && since.elapsed() < PATIENCE => ControlFlow::Continue(()),
            Probing::Answers if !wires.board.any_answered() => {
                self.stage = Stage::Over;
                ControlFlow::Break(())
            }
            Probing::Silent if since.elapsed() < HEAD_START => ControlFlow::Continue(()),
            _ => self.go_on(),
        }
    }

    fn look_at_trial(&mut self) -> ControlFlow<()> {
        let Some(wires) = self.wires.get() else { return ControlFlow::Break(()) };
        let Stage::Running(sum, done) = &mut self.stage else { return ControlFlow::Continue(()) };
        while let Ok(tally) = wires.results.try_recv() {
            sum.add(&tally);
            *done += 1;
        }
        self.screen.show(wires.board.totals());
        let [len, max] = wires.board.too_long.each_ref().map(|word| word.load(Relaxed));
        if len > 0 {
            self.failure = Some(format!(
                "a datagram of {len} bytes of payload does not fit: the port's MTU leaves {max}; choose a \
                 shorter --size, or raise --mtu"
            ));
            return ControlFlow::Break(());
        }
        if *done < wires.orders.len() {
            return ControlFlow::Continue(());
        }
        self.finish_trial();
        self.go_on()
    }

    fn finish_trial(&mut self) {
        if let Stage::Running(sum, _) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.screen.end();
            self.plan.take(&sum, &mut self.results);
        }
    }
}

impl Companion for Conductor {
    fn ready(&mut self) {
        if self.probing == Probing::Not {
            let _ = self.go_on();
        } else {
            self.order(&Order::Probe);
            self.stage = Stage::Probing(Instant::now());
        }
    }

    fn exhibits(&self) -> Vec<Exhibit> {
        let lines =
            self.wires.get().into_iter().flat_map(|wires| wires.lcores.iter().zip(&wires.board.lines));
        let members = lines.map(|(lcore, line)| (lcore.to_string(), Arc::clone(&line.round_trips).into()));
        vec![Exhibit { family: ROUND_TRIPS, members: members.collect() }]
    }

    fn look(&mut self) -> ControlFlow<()> {
        match self.stage {
            Stage::Waiting => ControlFlow::Continue(()),
            Stage::Probing(since) => self.look_at_probes(since),
            Stage::Running(..) => self.look_at_trial(),
            Stage::Over => ControlFlow::Break(()),
        }
    }

    fn report(&mut self, report: &mut Report) {
        // A trial that was cut short came with the end of its lcores.
        if let (Some(wires), Stage::Running(sum, _)) = (self.wires.get(), &mut self.stage) {
            while let Ok(tally) = wires.results.try_recv() {
                sum.add(&tally);
            }
        }
        self.finish_trial();
        self.results.own = self.own;
        self.results.points = self.plan.points();
        report.extra.insert("generator".to_owned(), self.results.json());
        if self.failure.is_none() && !self.is_satisfied() {
            self.failure = Some(self.why_nothing(report));
        }
    }
}

impl Conductor {
    fn is_satisfied(&self) -> bool {
        let main = self.results.main.as_deref();
        main.is_some_and(|main| main.sent > 0 && (main.received > 0 || self.probing != Probing::Answers))
    }

    /// What the engine's counters say of why nothing came back.
    fn why_nothing(&self, report: &Report) -> String {
        let to = self.plan.targets();
        let any = |counters: &[Counter]| counters.iter().any(|counter| report.totals[*counter] > 0);
        if any(&[Counter::TxNoRoute]) {
            return format!(
                "there is no way to {to}: it is on no link of ours; pass --gateway, or another --ip"
            );
        }
        if !any(&[Counter::Sent]) {
            return format!("nothing was sent to {to}");
        }
        if any(&[Counter::TxUnreachable, Counter::TxNeighbourQueueFull, Counter::TxStopping]) {
            return format!(
                "nothing answered: nobody on the link has the MAC address of {to}, or of the gateway to it; \
                 is it up? (--neighbour ADDR=MAC names one, --no-replies only sends)"
            );
        }
        format!(
            "nothing answered: {to} was found and sent nothing back; does a service listen there that \
             returns datagrams as they come, as gannet echo does? (--no-replies only sends)"
        )
    }
}
