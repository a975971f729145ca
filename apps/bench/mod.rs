//! `gannet bench`: our speed and that of peers, measured in turn on the same machine.
//!
//! A lab (`labs`) has cases, a case has subjects that do the same work. They are measured in
//! turn (`pairs`), each in a process of its own (`subject`, `peer`), and what comes of it is
//! summed up (`stats`), held against what is wanted (`bars`), told (`report`, `tables`) and drawn (`plot`). What
//! the machine itself takes away from them is measured before and after (`jitter`).

mod bars;
mod failure;
mod jitter;
mod labs;
mod machine;
mod measure;
mod network;
mod pairs;
mod peer;
mod plot;
mod process;
mod report;
mod stats;
mod subject;
mod tables;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, ValueEnum};
use gannet::sys::Signals;

use bars::Bar;
use failure::Failure;
use jitter::Jitter;
use labs::{Bench, Name};
use machine::Machine;
use pairs::say;
use report::{Lab, Report};

/// Measures Gannet and its peers in turn, and tells how they compare
#[derive(Parser)]
#[command(name = "gannet bench")]
struct Arguments {
    /// The labs; all of them if none is named
    #[arg(value_name = "LAB", value_enum)]
    labs: Vec<Name>,

    /// Only the cases of these labs that have this in their name
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,

    /// Rounds in which every subject is measured once, ours and the peer's in turn
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,

    /// How long each measurement takes, in seconds
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,

    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw the results into this file as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Write the tables to this file as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Fail if anything had to be skipped
    #[arg(long)]
    strict: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.05..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "give a number of seconds from 0.05 to 3600".to_owned())
}

/// Its arguments.
pub(crate) fn command() -> clap::Command {
    Arguments::command().name("bench")
}

/// Runs the application on the words behind its name.
pub(crate) fn run(version: &str, words: impl Iterator<Item = String>) -> ExitCode {
    let mut words = words.peekable();
    if words.next_if(|word| word == "subject").is_some() {
        return run_subject(words);
    }
    let arguments = match Arguments::try_parse_from(std::iter::once("gannet bench".to_owned()).chain(words)) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match bench(version, &arguments) {
        Ok(code) => code,
        Err(failure) => {
            say(format_args!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run_subject(words: impl Iterator<Item = String>) -> ExitCode {
    match subject::run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(format_args!("{failure}"));
            match failure {
                Failure::Skip(_) => ExitCode::from(process::SKIPPED),
                Failure::Failed(_) | Failure::Fell(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn bench(version: &str, arguments: &Arguments) -> Result<ExitCode, Failure> {
    if cfg!(debug_assertions) {
        say(format_args!(
            "warning: a debug build is many times slower: build with --release, or use scripts/bench"
        ));
    }
    // Before it takes its time.
    let files = [&arguments.json, &arguments.svg, &arguments.markdown];
    files.into_iter().flatten().try_for_each(|path| write(path, ""))?;
    // So that what is measured is ended, and its namespaces and files go.
    let signals = Signals::catch().map_err(Failure::of("catching signals"))?;
    let is_stopped = || signals.wait(Duration::ZERO).is_some();
    let machine = Machine::here();
    let bench = Bench::new(Duration::from_secs_f64(arguments.seconds), &machine)?;
    let look = |when| look_at_jitter(&bench, when, &is_stopped);
    let mut report = Report {
        version: version.to_owned(),
        machine,
        pairs: arguments.pairs,
        seconds: arguments.seconds,
        bars: Vec::new(),
        noise: Vec::new(),
        labs: Vec::new(),
    };
    report.machine.jitter = look("before");
    for name in Name::value_variants() {
        if arguments.labs.is_empty() || arguments.labs.contains(name) {
            run_lab(*name, arguments, &bench, &mut report, &is_stopped);
        }
    }
    report.machine.jitter.extend(look("after"));
    for name in Name::value_variants() {
        judge(*name, &mut report);
    }
    // A reader that went away is no reason not to keep the results.
    let _ = std::io::stdout().write_all(report.markdown().as_bytes());
    keep(arguments, &report)?;
    let is_bad = report.is_empty() || report.has_failures() || (arguments.strict && report.has_skips());
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the CPUs of the labs lose with nothing on them, for as long as two measurements, but not longer than
/// is needed.
fn look_at_jitter(bench: &Bench, when: &'static str, is_stopped: &dyn Fn() -> bool) -> Vec<Jitter> {
    if is_stopped() {
        return Vec::new();
    }
    let cpus = bench.cpus.all();
    say(format_args!("jitter of CPUs {cpus:?}, {when} the labs"));
    jitter::measure(&cpus, when, jitter::LONG.min(2 * bench.seconds))
}

fn run_lab(
    name: Name,
    arguments: &Arguments,
    bench: &Bench,
    report: &mut Report,
    is_stopped: &dyn Fn() -> bool,
) {
    let is_wanted = |case: &str| arguments.case.as_ref().is_none_or(|text| case.contains(text.as_str()));
    let mut lab = Lab::new(name.word());
    match name.cases(bench) {
        Ok(cases) => {
            for case in cases.into_iter().filter(|case| is_wanted(case.name)) {
                let case_name = case.name;
                let outcome = pairs::run(name.word(), case, report.pairs, is_stopped);
                report.noise.extend(lab.add(case_name, outcome));
            }
        }
        Err(why) => lab.leave(None, None, why),
    }
    report.labs.push(lab);
}

/// Holds the bars of a lab against what it came to, if it was run.
fn judge(name: Name, report: &mut Report) {
    let Some(lab) = report.labs.iter().find(|lab| lab.name == name.word()) else { return };
    let noise: Vec<_> = report.noise.iter().filter(|ratio| ratio.lab == lab.name).cloned().collect();
    let judge = |bar: &Bar| bar.judge(lab, &noise, &report.machine.jitter);
    report.bars.extend(name.bars().iter().filter_map(judge));
}

/// Writes the files that were asked for.
fn keep(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(report).map_err(Failure::of("the JSON"))?;
        write(path, &(json + "\n"))?;
    }
    if let Some(path) = &arguments.svg {
        write(path, &plot::svg(report))?;
    }
    if let Some(path) = &arguments.markdown {
        write(path, &report.markdown())?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| {
        Failure::Failed(format!(
            "{} can't be written: {error}; name a file in a folder that is there",
            path.display()
        ))
    })
}
