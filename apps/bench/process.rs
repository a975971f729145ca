//! Programs that are started, heard out, and ended.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use serde_json::Value;

use super::failure::Failure;
use super::labs::unique;

/// The exit code of a subject that this machine can't run, so that it is not taken for a failure.
pub(crate) const SKIPPED: u8 = 77;
/// How long a start or an end may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// This program's own file.
pub(crate) fn ourselves() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(Failure::of("this program's own file"))
}

/// Runs a program that prints its result as its last line, in JSON.
pub(crate) fn json_of(command: &mut Command) -> Result<Value, Failure> {
    let output = command.stdin(Stdio::null()).output().map_err(Failure::of("a subject"))?;
    succeeded(&output)?;
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.lines().last().unwrap_or_default()).map_err(Failure::of("what a subject said"))
}

fn read(file: &Path) -> Result<Value, Failure> {
    let text = fs::read_to_string(file).map_err(Failure::of("a report"))?;
    serde_json::from_str(&text).map_err(Failure::of("a report"))
}

/// How a program failed, if it did.
fn succeeded(output: &Output) -> Result<(), Failure> {
    let why = why(&String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => Ok(()),
        Some(code) if code == i32::from(SKIPPED) => Err(Failure::Skip(why)),
        _ => Err(Failure::of_end(Some(output.status), format!("{}: {why}", output.status))),
    }
}

/// The line of standard error that says why a program failed.
fn why(said: &str) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find(|line| line.starts_with("error"));
    error.or_else(|| lines().next_back()).unwrap_or("it said nothing").to_owned()
}

/// A number in a program's result, by its JSON pointer.
pub(crate) fn number(value: &Value, pointer: &str) -> Result<f64, Failure> {
    let number = value.pointer(pointer).and_then(Value::as_f64);
    number.ok_or_else(|| Failure::Failed(format!("a report has no number {pointer}")))
}

/// A program that says when it is ready, and runs on. It is killed if it is dropped before.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::of("a program"))?;
        let (Some(stdout), Some(mut errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Failure::Failed("a program has no pipes".to_owned()));
        };
        let (sender, lines) = unbounded();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = errors.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self { child, lines, stderr: Some(stderr) })
    }

    /// Waits for the line that says that it is ready.
    pub(crate) fn ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_deadline(deadline) {
                Ok(line) if line.starts_with("ready") => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(self.failure("it was not ready")),
            }
        }
    }

    /// Stops it as a user would, and waits for its end.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        // An interrupt may be ignored where this was started in the background.
        let terminate = format!("kill -TERM {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &terminate]).status();
        self.end(PATIENCE)
    }

    /// Waits for its end, which it comes to by itself in less than `longest`.
    pub(crate) fn end(mut self, longest: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + longest;
        // Its output ends with it.
        while self.lines.recv_deadline(deadline).is_ok() {}
        if Instant::now() >= deadline {
            return Err(self.failure("it did not stop"));
        }
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failure(&status.to_string())),
            Err(error) => Err(self.failure(&error.to_string())),
        }
    }

    fn failure(&mut self, what: &str) -> Failure {
        let _ = self.child.kill();
        // What has ended before is not killed.
        let status = self.child.wait().ok();
        let said = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Failure::of_end(status, format!("{what}: {}", why(&said)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder for the files of a measurement, gone with its value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(unique());
        fs::create_dir(&path).map_err(Failure::of("a folder for temporary files"))?;
        Ok(Self(path))
    }

    /// The file of that name in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The report of that name in it.
    pub(crate) fn report(&self, name: &str) -> Result<Value, Failure> {
        read(&self.file(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_last_line_is_the_result() {
        let value = json_of(&mut shell("echo words; echo '{\"a\": {\"b\": 2}}'")).expect("JSON");
        assert_eq!(number(&value, "/a/b"), Ok(2.0));
        assert!(number(&value, "/a/c").is_err());
    }

    #[test]
    fn failures_and_skips_are_told_apart_with_their_reason() {
        let failed = json_of(&mut shell("echo 'error: no wire' >&2; echo more >&2; exit 1"));
        assert_eq!(failed, Err(Failure::Failed("exit status: 1: error: no wire".to_owned())));
        let fallen = json_of(&mut shell("echo 'INFO: the link' >&2; kill -SEGV $$"));
        assert_eq!(fallen, Err(Failure::Fell("signal: 11 (SIGSEGV): INFO: the link".to_owned())));
        let killed = json_of(&mut shell("kill -KILL $$")).expect_err("it ended");
        assert!(matches!(&killed, Failure::Failed(why) if why.contains("SIGKILL")), "{killed}");
        let skipped = json_of(&mut shell("echo 'no DPDK' >&2; exit 77"));
        assert_eq!(skipped, Err(Failure::Skip("no DPDK".to_owned())));
    }

    #[test]
    fn a_server_is_stopped_and_its_end_is_seen() {
        let script = "trap 'exit 0' TERM; echo ready: now; while :; do sleep 0.01; done";
        let mut server = Server::start(&mut shell(script)).expect("a shell");
        server.ready().expect("it says so");
        server.stop().expect("in time");
        let mut broken = Server::start(&mut shell("echo 'error: no port' >&2; exit 1")).expect("a shell");
        let why = broken.ready().expect_err("it ended").to_string();
        assert!(why.contains("no port"), "{why}");
        let mut falling = Server::start(&mut shell("kill -SEGV $$")).expect("a shell");
        assert!(matches!(falling.ready(), Err(Failure::Fell(_))));
        let mut falling = Server::start(&mut shell("echo ready; read x; kill -SEGV $$")).expect("a shell");
        falling.ready().expect("it says so");
        assert!(matches!(falling.end(PATIENCE), Err(Failure::Fell(_))));
    }
}
