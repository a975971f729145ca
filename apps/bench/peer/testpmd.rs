//! DPDK's `dpdk-testpmd`, driven by its prompt.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};

use crate::bench::failure::Failure;

/// How long a command or the start may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// What it prints, unbuffered, when it waits for a command. All else it prints late.
const PROMPT: &[u8] = b"testpmd> ";

/// Which packets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Received,
    Sent,
}

/// A running testpmd. It is killed if it is dropped before its end.
pub(crate) struct Testpmd {
    child: Child,
    stdin: ChildStdin,
    /// What it printed, and `None` for each prompt.
    chunks: Receiver<Option<Vec<u8>>>,
    said: Vec<u8>,
    stderr: Option<JoinHandle<String>>,
}

impl Testpmd {
    /// Starts it with these words, EAL arguments and then its own behind `--`, and waits for
    /// its prompt. `command` is what runs it: the program, or that in a namespace.
    pub(crate) fn start(mut command: Command, words: &[String]) -> Result<Self, Failure> {
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            Failure::Skip(format!("dpdk-testpmd does not start: {error}; it is in Debian's package dpdk"))
        })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(mut errors)) = pipes else {
            return Err(Failure::Failed("dpdk-testpmd: no pipes".to_owned()));
        };
        let (sender, chunks) = unbounded();
        thread::spawn(move || {
            let mut tail = Vec::new();
            read_to_prompts(stdout, &mut tail, |chunk| sender.send(chunk).is_ok());
        });
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = errors.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut testpmd = Self { child, stdin, chunks, said: Vec::new(), stderr: Some(stderr) };
        testpmd.wait_for_prompt()?;
        Ok(testpmd)
    }

    /// Gives it a command and waits until it is done.
    pub(crate) fn command(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.stdin, "{line}").map_err(|error| self.failure(&format!("'{line}': {error}")))?;
        self.wait_for_prompt()
    }

    /// Packets that it receives or sends in a second, over `seconds`. Call it once the traffic flows; it
    /// ends testpmd.
    pub(crate) fn measure(mut self, counted: Counted, seconds: Duration) -> Result<f64, Failure> {
        self.command("show port stats all")?;
        thread::sleep(seconds);
        self.command("show port stats all")?;
        let said = self.quit()?;
        per_second(&said, counted)
            .ok_or_else(|| Failure::Failed(format!("dpdk-testpmd said no rates: {}", last_lines(&said))))
    }

    /// Ticks of the turns of its loop that had packets, for a packet; from what it said last to
    /// `show fwd stats all`, started with `--record-core-cycles`.
    pub(crate) fn ticks_per_packet(said: &str) -> Option<f64> {
        let ticks = said.rsplit("CPU cycles/packet=").next().filter(|ticks| ticks.len() < said.len());
        ticks?.split_whitespace().next()?.parse().ok()
    }

    /// Ends it and gives all that it printed. How it ends is not looked at: it has said what was asked.
    pub(crate) fn quit(mut self) -> Result<String, Failure> {
        let _ = writeln!(self.stdin, "stop\nquit");
        loop {
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(chunk) => self.said.extend(chunk.into_iter().flatten()),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err(self.failure("it did not end")),
            }
        }
        let _ = self.child.wait();
        Ok(String::from_utf8_lossy(&self.said).into_owned())
    }

    fn wait_for_prompt(&mut self) -> Result<(), Failure> {
        loop {
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(Some(chunk)) => self.said.extend(chunk),
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.failure(&format!("no prompt: {error}"))),
            }
        }
    }

    fn failure(&mut self, what: &str) -> Failure {
        let _ = self.child.kill();
        // What has ended before is not killed.
        let status = self.child.wait().ok();
        let errors = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let said = String::from_utf8_lossy(&self.said);
        let why = format!("dpdk-testpmd: {what}; {} {}", last_lines(&said), last_lines(&errors));
        Failure::of_end(status, why)
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands on what is read, in pieces, and `None` where a prompt stands. Ends with the stream,
/// or when nobody listens.
fn read_to_prompts(mut from: impl Read, tail: &mut Vec<u8>, mut hand: impl FnMut(Option<Vec<u8>>) -> bool) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        tail.extend(&buffer[..count]);
        while let Some(at) = tail.windows(PROMPT.len()).position(|window| window == PROMPT) {
            let before = tail.drain(..at + PROMPT.len()).collect();
            if !hand(Some(before)) || !hand(None) {
                return;
            }
        }
    }
    let _ = hand(Some(std::mem::take(tail)));
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

/// The rate of the last of two `show port stats all`, all ports together.
fn per_second(said: &str, counted: Counted) -> Option<f64> {
    let name = match counted {
        Counted::Received => "Rx-pps:",
        Counted::Sent => "Tx-pps:",
    };
    let after = |line: &str| line.split(name).nth(1)?.split_whitespace().next()?.parse().ok();
    let rates: Vec<f64> = said.lines().filter_map(after).collect();
    // Each look prints a block per port.
    let ports = rates.len() / 2;
    Some(rates[rates.len() - ports..].iter().sum()).filter(|_| ports > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What DPDK 22.11.11 printed between two looks at one port, with `--record-core-cycles`.
    const SAID: &str = include_str!("testpmd_said.txt");

    #[test]
    fn captured_text_is_read() {
        assert_eq!(per_second(SAID, Counted::Received), Some(129_810_569.0));
        assert_eq!(per_second(SAID, Counted::Sent), Some(129_810_569.0));
        assert_eq!(Testpmd::ticks_per_packet(SAID), Some(19.14));
    }

    #[test]
    fn several_ports_are_added_up() {
        let look = |a: u64, b: u64| format!("  Rx-pps:  {a}  Rx-bps: 0\n  Rx-pps: {b} Rx-bps: 0\n");
        assert_eq!(per_second(&(look(0, 0) + &look(100, 11)), Counted::Received), Some(111.0));
        assert_eq!(
            (per_second("Bye...\n", Counted::Sent), Testpmd::ticks_per_packet("Bye...\n")),
            (None, None)
        );
    }

    #[test]
    fn prompts_are_found_across_reads() {
        let mut chunks = Vec::new();
        let text = b"Configuring\ntestpmd> "
            .as_slice()
            .chain(b"start\nDone test".as_slice())
            .chain(b"pmd> ".as_slice());
        read_to_prompts(text, &mut Vec::new(), |chunk| {
            chunks.push(chunk.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
            true
        });
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            chunks,
            [some("Configuring\ntestpmd> "), None, some("start\nDone testpmd> "), None, some("")]
        );
    }

    #[test]
    fn one_that_fell_is_told_from_one_that_ended() {
        let ended = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]);
            Testpmd::start(shell, &[]).err().expect("no prompt")
        };
        assert!(matches!(ended("kill -SEGV $$"), Failure::Fell(_)));
        assert!(matches!(ended("exit 1"), Failure::Failed(_)));
    }

    #[test]
    fn a_program_that_is_not_there_is_a_skip() {
        let failure =
            Testpmd::start(Command::new("/nonexistent/dpdk-testpmd"), &[]).err().expect("no program");
        assert!(matches!(&failure, Failure::Skip(why) if why.contains("package dpdk")), "{failure}");
    }
}
