//! The program `gannet`: a room per application, each with the same command line,
//! `gannet APP [EAL arguments] -- [application arguments]`.
#![forbid(unsafe_code)]

mod bench;
mod bots;
mod doctor;
mod echo;
mod r#gen;
mod pointer;
mod version;

use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "\
UDP services past the kernel, on DPDK and on AF_PACKET

Usage: gannet APP [EAL arguments] -- [application arguments]

Applications:
  bench      Measures this program and its peers in turn
  bots       Plays the game with many players, and checks what the server tells them
  doctor     Says what this machine lacks for a start, and what mends it
  echo       Sends every datagram back (RFC 862)
  game       Serves a world in which players move, fight and talk
  gen        Sends datagrams on a schedule and measures their round trips

Options:
  -h, --help     Print this, or with an application its arguments
  -V, --version  Print version, commit, DPDK and CPU features";

fn main() -> ExitCode {
    if let Err(error) = gannet::sys::check_processor() {
        let _ = writeln!(io::stderr(), "error: {error}");
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
        Some("-h" | "--help" | "help") => return print(USAGE),
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
    let _ = writeln!(io::stderr(), "error: {what}\n\n{USAGE}");
    ExitCode::from(2)
}
