//! The program `gannet`: a room per application, each with the same command line,
//! `gannet APP [EAL arguments] -- [application arguments]`.
#![forbid(unsafe_code)]

mod echo;
mod version;

use std::process::ExitCode;

const USAGE: &str = "\
UDP services past the kernel, on DPDK and on AF_PACKET

Usage: gannet APP [EAL arguments] -- [application arguments]

Applications:
  echo       Sends every datagram back (RFC 862)

Options:
  -h, --help     Print this, or with an application its arguments
  -V, --version  Print version, commit, DPDK and CPU features";

fn main() -> ExitCode {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_else(|| "gannet".to_owned());
    let result = match args.next().as_deref() {
        Some("echo") => echo::run(std::iter::once(program + " echo").chain(args)),
        Some("-h" | "--help" | "help") => return print(USAGE),
        Some("-V" | "--version" | "version") => return print(&version::line()),
        Some(other) => return usage_error(&format!("there is no application '{other}'")),
        None => return usage_error("no application is named"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}

fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

fn usage_error(what: &str) -> ExitCode {
    eprintln!("error: {what}\n\n{USAGE}");
    ExitCode::from(2)
}
