//! A thing that was looked at: how it stands, what was found, and what mends it.

use serde::Serialize;

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// As it should be: green.
    Ok,
    /// It would start, but slower than it could, or with a trap: yellow.
    Warning,
    /// It would not start: red.
    Error,
    /// The line that is asked about does without it.
    Unneeded,
}

/// A thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What it is, in a word or two.
    pub(crate) name: String,
    pub(crate) status: Status,
    /// What was found, in a sentence.
    pub(crate) found: String,
    /// The commands that mend it, in the order in which they are to be run; or advice, where no
    /// command does it.
    pub(crate) mend: Vec<String>,
}

impl Check {
    pub(crate) fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), status: Status::Ok, found: found.into(), mend: Vec::new() }
    }

    pub(crate) fn warning(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { status: Status::Warning, ..Self::ok(name, found) }
    }

    pub(crate) fn error(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { status: Status::Error, ..Self::ok(name, found) }
    }

    /// With a command that mends it.
    pub(crate) fn mend(mut self, command: impl Into<String>) -> Self {
        self.mend.push(command.into());
        self
    }

    /// Of a thing that the line starts without.
    pub(crate) fn at_most_warning(self) -> Self {
        if self.is_error() { Self { status: Status::Warning, ..self } } else { self }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.status == Status::Error
    }

    /// Of a thing that the line does without nothing is said but what was found.
    pub(crate) fn needed_if(self, is_needed: bool) -> Self {
        if is_needed { self } else { Self { status: Status::Unneeded, mend: Vec::new(), ..self } }
    }
}
