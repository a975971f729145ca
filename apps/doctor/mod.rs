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

use gannet::Launch;

use check::Check;
use machine::Machine;
use question::Question;

const USAGE: &str = "\
Says what this machine lacks for a command line to start, and the commands that mend it

Usage: gannet doctor [--json] [--try] [APP] [EAL arguments] -- [application arguments]

  APP     bots, echo or gen, whose arguments these are; echo if it is not named
  --json  Print the findings for programs
  --try   Really start with these arguments, too, for a moment and in a process of its own: ports are
          opened and closed, and no service answers. Without it nothing is opened

  gannet doctor -l 0-1 -a 0000:03:00.0 -- --ip 10.77.0.1/24
  gannet doctor -l 1 -- --io af_packet:veth0 --ip 10.77.0.1/24

Exit code: 0 if it would start, 1 if not, 2 for arguments that nobody understands";

/// Runs the application on the words behind its name.
pub(crate) fn run(args: impl Iterator<Item = String>) -> ExitCode {
    let question = Question::read(args);
    if question.wants_help {
        screen::say(USAGE);
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
