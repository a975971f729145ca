//! Which trials are run: one, or those of a search.

use std::time::Duration;

use super::output::{LoadLatency, Results, SearchResult};
use super::search::{LOADS, Point, Search, Step};
use super::tally::Tally;
use super::trial::{Load, Trial};

/// The trials of a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What they have in common.
    base: Trial,
    targets: String,
    kind: Kind,
    /// The trial that runs was offered at that rate; `None` if as fast as it goes.
    offered: Option<f64>,
}

#[derive(Clone, Debug)]
enum Kind {
    Once { is_begun: bool },
    Search { search: Search, latency: Vec<LoadLatency>, is_begun: bool },
}

impl Plan {
    /// One trial.
    pub(crate) fn once(base: Trial, targets: String) -> Self {
        Self { base, targets, kind: Kind::Once { is_begun: false }, offered: None }
    }

    /// A search, whose first trial has the highest rate that it tries.
    pub(crate) fn search(base: Trial, targets: String, search: Search) -> Self {
        let kind = Kind::Search { search, latency: Vec::new(), is_begun: false };
        Self { base, targets, kind, offered: None }
    }

    /// Those that are sent to, for people.
    pub(crate) fn targets(&self) -> &str {
        &self.targets
    }

    /// How long the only trial takes, if that is known.
    pub(crate) fn expected(&self) -> Option<Duration> {
        let is_once = matches!(self.kind, Kind::Once { .. });
        let duration = Some(self.base.duration).filter(|duration| is_once && *duration != Duration::MAX);
        duration.map(|duration| self.base.warmup + duration)
    }

    /// The next trial, if there is one.
    pub(crate) fn next(&mut self) -> Option<Trial> {
        let next = match &mut self.kind {
            Kind::Once { is_begun } => (!std::mem::replace(is_begun, true)).then(|| self.base.load.clone()),
            Kind::Search { is_begun: is_begun @ false, .. } => {
                *is_begun = true;
                Some(self.base.load.clone())
            }
            Kind::Search { search, latency, .. } => match search.next() {
                Step::Try(pps) => Some(Load::Rate(pps)),
                Step::Found => {
                    let load = LOADS.get(latency.len()).filter(|_| search.ndr() > 0.0);
                    load.map(|load| Load::Rate(load * search.ndr()))
                }
            },
        };
        let load = next?;
        self.offered = if let Load::Rate(pps) = load { Some(pps) } else { None };
        Some(Trial { load, ..self.base.clone() })
    }

    /// Takes in what the lcores did in the trial that ran last.
    pub(crate) fn take(&mut self, tally: &Tally, results: &mut Results) {
        match &mut self.kind {
            Kind::Once { .. } => results.main = Some(Box::new(tally.clone())),
            Kind::Search { search, latency, .. } => {
                if search.points().is_empty() || search.next() != Step::Found {
                    search.add(Point {
                        pps: self.offered.unwrap_or(tally.tx_pps()),
                        loss: tally.loss_of_offered(),
                        unsent: tally.unsent_of_offered(),
                    });
                } else if let Some(&load) = LOADS.get(latency.len()) {
                    latency.push(LoadLatency::new(load, tally));
                }
                // The books are those of the latest trial that something came back in.
                if tally.received > 0 || results.main.is_none() {
                    results.main = Some(Box::new(tally.clone()));
                }
            }
        }
    }

    /// What a search found.
    pub(crate) fn points(&self) -> Option<SearchResult> {
        let Kind::Search { search, latency, .. } = &self.kind else { return None };
        Some(SearchResult {
            ndr_pps: search.ndr(),
            pdr_pps: search.pdr(),
            is_own_limit: search.is_own_limit(matches!(self.base.load, Load::Max)),
            trials: search.points().to_vec(),
            latency: latency.clone(),
        })
    }
}
