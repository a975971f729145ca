//! Programs that are started, heard out, and ended.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::failure::Failure;

/// This program, with these words.
pub(crate) fn ourselves() -> Result<Command, Failure> {
    std::env::current_exe().map(Command::new).map_err(Failure::of("this program's own file"))
}

/// Runs a program that prints its result as its last line, in JSON.
pub(crate) fn json_of(command: &mut Command) -> Result<Value, Failure> {
    let output = command.stdin(Stdio::null()).output().map_err(Failure::of("a subject"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(ended(&output));
    }
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(Failure::of("what a subject said"))
}

/// How a program failed: what it said last on standard error, or that it can't be run here.
fn ended(output: &Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr);
    let last =
        said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
    match output.status.code() {
        Some(SKIPPED) => Failure::Skip(last),
        _ => Failure::Failed(format!("{}: {last}", output.status)),
    }
}

/// The exit code of a subject that this machine can't run, so that it is not taken for a failure.
pub(crate) const SKIPPED: i32 = 77;

/// A number in a subject's result.
pub(crate) fn number(value: &Value, name: &str) -> Result<f64, Failure> {
    value
        .pointer(name)
        .and_then(Value::as_f64)
        .ok_or_else(|| Failure::Failed(format!("no {name} in {value}")))
}
