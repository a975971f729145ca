//! `gannet game`: the arguments, the lcores, and the control plane's side.

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use clap::error::ErrorKind;
use gannet::host::Level;
use gannet::sys::random_bytes;
use gannet::telemetry::{Exhibit, Family, FamilyKind, Measured, Report};
use gannet::{App, Companion, Error, Launch, LcoreId};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::args::GameArgs;
use crate::counters::{Counters, Event};
use crate::map::{Board, Map};
use crate::protocol::DEFAULT_PORT;
use crate::rules::Rules;
use crate::server::{Game, Setup, Sum};
use crate::world::MAX_PLAYERS;

const APP: App = App {
    name: "game",
    about: "Serves a world in which players move, fight and talk",
    udp_port: Some(DEFAULT_PORT),
};
/// Lcores at most.
const MAX_LCORES: usize = 64;

/// Runs the application on the words behind its name. `commit` is what the program was built from.
///
/// # Errors
/// What [`Launch::serve_beside`] gives, and what is wrong with the arguments.
pub fn run(args: impl Iterator<Item = String>, commit: &'static str) -> gannet::Result<()> {
    let (launch, setup, args) = read(args)?;
    let mut control = Control::new(&setup, &args)?;
    let staff = Arc::clone(&control.staff);
    let board = control.board.clone();
    let players = setup.players;
    let mut refused = None;
    let report = launch.built_from(commit).serve_beside(&mut control, |lcores| {
        refused = refusal(lcores.len(), players);
        if refused.is_some() {
            return Vec::new();
        }
        let mut games = setup.games(lcores.len() as u32);
        games.iter_mut().zip(board.iter().cycle()).for_each(|(game, board)| game.show_on(Arc::clone(board)));
        let members = lcores.iter().copied().zip(games.iter().map(Watched::of)).collect();
        *staff.lock().unwrap_or_else(PoisonError::into_inner) = members;
        games
    });
    if let Some(why) = refused {
        return Err(Error::Program(why));
    }
    let report = report?;
    control.finish(&report)
}

/// Why so many lcores can't have so many players, if they can't.
fn refusal(lcores: usize, players: u32) -> Option<String> {
    if lcores > MAX_LCORES {
        return Some(format!(
            "{lcores} lcores: a player's number has room for {MAX_LCORES}; name fewer with -l"
        ));
    }
    let most = lcores as u64 * u64::from(MAX_PLAYERS);
    (u64::from(players) > most).then(|| {
        format!("--players {players}: an lcore takes {MAX_PLAYERS} and there are {lcores}; name more lcores with -l")
    })
}

/// Its arguments behind the `--`.
pub fn command() -> clap::Command {
    APP.command::<GameArgs>("gannet game")
}

/// Reads the words behind its name, and starts nothing.
///
/// # Errors
/// What is wrong with them.
pub fn parse(args: impl Iterator<Item = String>) -> gannet::Result<Launch> {
    read(args).map(|(launch, ..)| launch)
}

fn read(args: impl Iterator<Item = String>) -> gannet::Result<(Launch, Setup, GameArgs)> {
    let (mut launch, args) = Launch::try_parse_from::<GameArgs>(APP, args)?;
    // Nobody is sent more than it sends who has not shown, by the cookie, that it receives that.
    launch.args_mut().guard.amplification.get_or_insert(Level::Off);
    let mut rules = Rules::new(args.players, args.world, args.cell).map_err(usage)?;
    (rules.tick_rate, rules.top_speed, rules.timeout) = (args.tick_rate, args.top_speed, args.timeout);
    rules.seats_per_address = args.seats_per_address;
    let seed = match args.seed {
        Some(seed) => [seed, 0],
        None => {
            let bytes = random_bytes::<16>().map_err(|error| Error::Program(error.to_string()))?;
            let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
            [word(0), word(8)]
        }
    };
    let setup = Setup { rules, players: args.players, seed, lateness: Sum::default() };
    Ok((launch, setup, args))
}

/// What the user said can't be done.
fn usage(what: impl std::fmt::Display) -> Error {
    Error::Arguments(clap::Error::raw(ErrorKind::ValueValidation, format!("{what}\n")))
}

/// What is read of an lcore while it runs.
#[derive(Clone, Debug)]
struct Watched {
    counters: Arc<Counters>,
    lateness: Arc<gannet::telemetry::Durations>,
}

impl Watched {
    fn of(game: &Game) -> Self {
        Self { counters: Arc::clone(game.counters()), lateness: Arc::clone(game.lateness()) }
    }
}

/// The lcores, once they are known.
type Staff = Arc<Mutex<Vec<(LcoreId, Watched)>>>;

/// The control plane's side of the game.
struct Control {
    staff: Staff,
    lateness: Sum,
    players: u32,
    board: Option<Arc<Board>>,
    map: Option<Map>,
}

const LATENESS: Family = Family::new(
    "gannet_game_tick_lateness_seconds",
    FamilyKind::Histogram,
    &["lcore"],
    "How late behind the moment at which they were due ticks ended.",
);

impl Control {
    fn new(setup: &Setup, args: &GameArgs) -> gannet::Result<Self> {
        let board = args.map.as_ref().map(|_| Arc::new(Board::new(MAX_LCORES, setup.players as usize)));
        let map = args
            .map
            .as_ref()
            .zip(board.as_ref())
            .map(|(output, board)| Map::new(output, setup.rules.cells() as usize, Arc::clone(board)));
        let map = map.transpose().map_err(|error| Error::Program(error.to_string()))?;
        let staff = Staff::default();
        Ok(Self { staff, lateness: Arc::clone(&setup.lateness), players: setup.players, board, map })
    }

    fn staff(&self) -> Vec<(LcoreId, Watched)> {
        self.staff.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, event: Event) -> u64 {
        self.staff().iter().map(|(_, watched)| watched.counters.count(event)).sum()
    }

    /// The picture, and a table of what happened.
    fn finish(self, report: &Report) -> gannet::Result<()> {
        let table = self.table(report);
        let finished = self.map.map_or(Ok(()), Map::finish);
        // A reader that went away is no failure.
        let _ = writeln!(io::stdout(), "{table}");
        finished.map_err(|error| Error::Program(error.to_string()))
    }

    fn table(&self, report: &Report) -> String {
        let seconds = report.elapsed.as_secs_f64();
        let lateness = self.lateness.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = vec![format!("game: {seconds:.1} s, {} players at most", self.players)];
        for &event in Event::ALL {
            let count = self.count(event);
            if count > 0 {
                lines.push(format!(
                    "  {:<22}{count:>14}{:>14.1}/s",
                    event.name(),
                    count as f64 / seconds.max(1e-9)
                ));
            }
        }
        let late = |name, histogram: &Histogram<u64>| {
            let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
            format!(
                "  ticks {name} late by, us: p50 {:.1}, p99 {:.1}, p99.9 {:.1}, most {:.1}",
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0)
            )
        };
        lines.push(late("began", &lateness.begin));
        lines.push(late("ended", &lateness.end));
        lines.join("\n")
    }
}

impl Companion for Control {
    fn exhibits(&self) -> Vec<Exhibit> {
        let staff = self.staff();
        let lateness = staff
            .iter()
            .map(|(lcore, watched)| (lcore.to_string(), Measured::from(Arc::clone(&watched.lateness))));
        let lateness = Exhibit { family: LATENESS, members: lateness.collect() };
        let events = Event::ALL.iter().map(|&event| Exhibit {
            family: event.family(),
            members: staff
                .iter()
                .map(|(lcore, watched)| {
                    let counters = Arc::clone(&watched.counters);
                    (lcore.to_string(), Measured::number(move || counters.count(event)))
                })
                .collect(),
        });
        std::iter::once(lateness).chain(events).collect()
    }

    fn look(&mut self) -> ControlFlow<()> {
        self.map.iter_mut().for_each(Map::look);
        ControlFlow::Continue(())
    }

    fn report(&mut self, report: &mut Report) {
        self.map.iter_mut().for_each(Map::leave);
        let lateness = self.lateness.lock().unwrap_or_else(PoisonError::into_inner);
        let events: serde_json::Map<String, Value> =
            Event::ALL.iter().map(|&event| (event.name().to_owned(), self.count(event).into())).collect();
        let nanos = |histogram: &Histogram<u64>| {
            let at = |quantile| histogram.value_at_quantile(quantile);
            json!({ "p50": at(0.5), "p99": at(0.99), "p99_9": at(0.999), "max": at(1.0), "count": histogram.len() })
        };
        let game = json!({
            "players": self.players,
            "events": events,
            "tick_begin_lateness_ns": nanos(&lateness.begin),
            "tick_end_lateness_ns": nanos(&lateness.end),
        });
        report.extra.insert("game".to_owned(), game);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lcores_have_room_for_so_many_players() {
        assert_eq!(refusal(1, MAX_PLAYERS), None);
        assert_eq!(refusal(2, MAX_PLAYERS + 1), None);
        assert!(refusal(1, MAX_PLAYERS + 1).is_some_and(|why| why.contains("1048577")));
        assert!(refusal(65, 1).is_some_and(|why| why.contains("65 lcores")));
    }
}
