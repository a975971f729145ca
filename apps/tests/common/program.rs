//! A program as a process: started, waited for until it is ready, stopped, and heard out.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a start or an unasked end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// `gannet` with these words behind its name.
pub(crate) fn gannet(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
    command.args(arguments.split_whitespace());
    command
}

/// A running program. It is killed if the test ends before it.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    stdout: Vec<String>,
    stderr: Option<JoinHandle<()>>,
    /// What it has written to its standard error.
    log: Arc<Mutex<String>>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut pipe = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::<Mutex<String>>::default();
        let written = Arc::clone(&log);
        let stderr = thread::spawn(move || {
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                written.lock().expect("no panic").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { child, lines, stdout: Vec::new(), stderr: Some(stderr), log }
    }

    /// Waits for the line that says that it is ready, and gives it.
    pub(crate) fn ready(&mut self) -> String {
        self.line_with("ready: ")
    }

    /// Waits for a line of its standard output that begins so.
    pub(crate) fn line_with(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.stdout.push(line.clone());
                    if line.starts_with(beginning) {
                        return line;
                    }
                }
                Err(why) => {
                    let _ = self.child.kill();
                    let ended = self.finish();
                    panic!("no line '{beginning}…' ({why}): {ended:#?}");
                }
            }
        }
    }

    /// Waits until so many lines of its log have these words.
    #[track_caller]
    pub(crate) fn wait_until_said(&self, words: &str, times: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log.lock().expect("no panic").clone();
            if log.lines().filter(|line| line.contains(words)).count() as u64 >= times {
                return;
            }
            assert!(Instant::now() < deadline, "'{words}' not said {times} times after {PATIENCE:?}: {log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it is ready, or gives its end.
    pub(crate) fn ready_or_end(&mut self) -> Option<Ended> {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.stdout.push(line);
            if self.stdout.last().is_some_and(|line| line.starts_with("ready: ")) {
                return None;
            }
        }
        let _ = self.child.kill();
        Some(self.finish())
    }

    /// The memory that it has touched and still has, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&status).unwrap_or_else(|error| panic!("{status}: {error}"));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1024
    }

    /// Sends it a signal, by its name without SIG.
    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -s {signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Sends it a signal, `INT` or `TERM`; it has to stop within a second.
    pub(crate) fn stop(self, signal: &str) -> Ended {
        let begin = Instant::now();
        self.signal(signal);
        let ended = self.end();
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(1), "it took {took:?} to stop: {ended:#?}");
        ended
    }

    /// Waits for its end, which it comes to of itself.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Its output ends with it.
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.stdout.push(line),
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("it did not end: {:#?}", self.finish());
                }
            }
        }
    }

    fn finish(&mut self) -> Ended {
        let code = self.child.wait().expect("its status").code();
        self.stdout.extend(self.lines.iter());
        self.stderr.take().map(JoinHandle::join).transpose().expect("no panic");
        let stderr = self.log.lock().expect("no panic").clone();
        assert!(!stderr.contains('\x1b'), "colours for no terminal: {stderr:?}");
        Ended { code, stdout: self.stdout.join("\n"), stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.stderr.is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
