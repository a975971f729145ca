//! `gannet doctor`: what this machine lacks for a command line to start, and what mends it.
//!
//! It reads the line with the parser of the program (`question`), looks at the machine (`machine`:
//! files below a root folder and a few calls, so that a test can put up a whole machine), judges
//! what it finds (`checks`, one file per subject) and prints a line for each (`screen`). Looking
//! changes nothing and sends nothing. `--try` goes further and really starts, in a process of its
//! own (`attempt`): that opens the port for a moment, which is why it has to be asked for.

mod attempt;
mod check;
mod checks;
mod machine;
mod pmd;
mod question;
mod screen;

use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use gannet::Launch;

use check::Check;
use machine::Machine;
use question::Question;

/// Its own arguments, for its help and its page; [`Question`] reads them, among those of the EAL and of the
/// application that is asked about.
pub(crate) fn command() -> Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    Command::new("doctor")
        .about("Says what this machine lacks for a start, and what mends it")
        .override_usage("gannet doctor [--json] [--try] [APP] [EAL arguments] -- [application arguments]")
        .arg(switch("json", "Print the findings for programs"))
        .arg(switch(
            "try",
            "Really start with these arguments, too, for a moment and in a process of its own: ports are \
             opened and closed, and no service answers. Without it nothing is opened",
        ))
        .arg(
            Arg::new("APP")
                .value_parser(["bots", "echo", "game", "gen"])
                .help("The application whose arguments these are; echo if it is not named"),
        )
        .after_help(
            "  gannet doctor -l 0-1 -a 0000:03:00.0 -- --ip 10.77.0.1/24\n\
             \x20 gannet doctor -l 1 -- --io af_packet:veth0 --ip 10.77.0.1/24\n\n\
             Exit code: 0 if it would start, 1 if not, 2 for arguments that nobody understands",
        )
}

/// Runs the application on the words behind its name.
pub(crate) fn run(args: impl Iterator<Item = String>) -> ExitCode {
    let question = Question::read(args);
    if question.wants_help {
        screen::say(command().render_help().to_string().trim_end());
        return ExitCode::SUCCESS;
    }
    match question.launch() {
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
        Ok(launch) if question.is_attempt => attempt::start(launch),
        Ok(launch) => examine(&question, &launch),
    }
}

fn examine(question: &Question, launch: &Launch) -> ExitCode {
    let mut checks = checks::all(launch, &Machine::this());
    if question.tries && would_start(&checks) {
        checks.push(attempt::check(question, launch));
    }
    let command = question.command();
    screen::say(if question.json {
        screen::json(&command, &checks)
    } else {
        screen::text(&command, &checks)
    });
    ExitCode::from(u8::from(!would_start(&checks)))
}

fn would_start(checks: &[Check]) -> bool {
    !checks.iter().any(Check::is_error)
}
