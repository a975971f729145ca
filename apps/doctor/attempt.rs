//! The strongest check: really starting, in a process of its own.
//!
//! DPDK can be started once per process and may end it, and says what is wrong on standard
//! error only; so the doctor starts itself again with the same arguments. That process opens
//! the ports as the program would, serves nobody, closes them and ends.

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use gannet::{Datagram, Io, Launch, Outbox, Service, Time, Verdict};

use super::check::Check;
use super::question::Question;

const NAME: &str = "start";

/// Starts with the arguments and says how it went.
pub(crate) fn check(question: &Question, launch: &Launch) -> Check {
    let asked = launch.requested();
    if matches!(asked.io, Io::PcapOut(_)) || asked.vdevs.iter().any(|vdev| vdev.contains(",tx_pcap=")) {
        return Check::ok(NAME, "not tried: it would empty the capture that it writes").needed_if(false);
    }
    let program = std::env::current_exe();
    let run = program.and_then(|program| {
        Command::new(program).args(question.attempt()).stdin(Stdio::null()).stdout(Stdio::null()).output()
    });
    match run {
        Err(error) => Check::error(NAME, format!("the program could not be run again: {error}")),
        Ok(output) if output.status.success() => Check::ok(NAME, "tried: it started, and stopped again"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let error = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
            // DPDK ends the program with a backtrace below what it says.
            let panic = said.lines().skip_while(|line| !line.starts_with("PANIC")).nth(1);
            let last = panic.or(said.lines().last()).map(|line| format!("{}: {line}", output.status));
            let found = error.map(str::to_owned).or(last).unwrap_or_else(|| output.status.to_string());
            let eal = said.lines().rfind(|line| line.starts_with("EAL: "));
            let eal = eal.map(|line| format!(" ({line})")).unwrap_or_default();
            Check::error(NAME, format!("tried: {found}{eal}"))
        }
    }
}

/// Answers nothing.
struct Silent;

impl Service for Silent {
    fn on_datagram(&mut self, _now: Time, _datagram: &mut Datagram<'_>, _outbox: &mut Outbox<'_>) -> Verdict {
        Verdict::Drop
    }
}

/// Opens the ports, and closes them at once.
pub(crate) fn start(mut launch: Launch) -> ExitCode {
    let args = launch.args_mut();
    args.duration = Some(Duration::ZERO);
    // Sockets announce nothing, and refuse to be told so.
    args.no_announce = args.io != Io::Socket;
    (args.json, args.capture, args.stats) = (None, None, None);
    // What an earlier run recorded is not ours to empty.
    if let Io::Pcap { output, .. } = &mut args.io {
        *output = None;
    }
    match launch.serve(|_lcore| Silent) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}
