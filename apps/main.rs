//! The program `gannet`: a room per application, each with the same command line,
//! `gannet APP [EAL arguments] -- [application arguments]`.
#![forbid(unsafe_code)]

mod applications;
mod bench;
mod bots;
mod doctor;
mod echo;
mod r#gen;
mod pages;
mod pointer;
mod version;

use std::io::{self, Write};
use std::process::ExitCode;

/// The help of the program.
fn usage() -> String {
    let about = "UDP services past the kernel, on DPDK and on AF_PACKET";
    let usage = "Usage: gannet APP [EAL arguments] -- [application arguments]";
    let options = "  -h, --help     Print this, or with an application its arguments
  -V, --version  Print version, commit, DPDK and CPU features";
    format!("{about}\n\n{usage}\n\nApplications:\n{}\nOptions:\n{options}", applications::list())
}

fn main() -> ExitCode {
    if let Err(error) = gannet::sys::check_processor() {
        complain(&error.to_string());
        return ExitCode::FAILURE;
    }
    if let Err(error) = gannet::wire::plain::Kernel::chosen() {
        return usage_error(&error.to_string());
    }
    let mut args = match gannet::command_line() {
        Ok(words) => words.into_iter(),
        Err(error) => error.exit(),
    };
    let program = args.next().unwrap_or_else(|| "gannet".to_owned());
    let words: Vec<_> = args.clone().collect();
    let result = match args.next().as_deref() {
        Some("bench") => return bench::run(&version::line(), args),
        Some("bots") => bots::run(std::iter::once(program + " bots").chain(args)),
        Some("doctor") => return doctor::run(args),
        Some("echo") => echo::run(std::iter::once(program + " echo").chain(args)),
        Some("game") => gannet_game::run(std::iter::once(program + " game").chain(args), version::COMMIT),
        Some("gen") => r#gen::run(std::iter::once(program + " gen").chain(args)),
        Some("pages") => return pages::run(args),
        Some("-h" | "--help" | "help") => return print(&usage()),
        Some("-V" | "--version" | "version") => return print(&version::line()),
        Some(other) => return usage_error(&format!("there is no application '{other}'")),
        None => return usage_error("no application is named"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            if error.is_about_the_machine() {
                let _ = writeln!(io::stderr(), "{}", pointer::line(&words));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn print(text: &str) -> ExitCode {
    // A reader that went away is no reason to panic.
    let _ = writeln!(io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn usage_error(what: &str) -> ExitCode {
    complain(&format!("{what}\n\n{}", usage()));
    ExitCode::from(2)
}

fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "error: {what}");
}
