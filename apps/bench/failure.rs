//! Why something was not measured.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The number of the signal (`signal(7)`).
const SIGSEGV: i32 = 11;

/// Why something was not measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// This machine or this build can't.
    #[error("{0}")]
    Skip(String),
    /// It should have worked.
    #[error("{0}")]
    Failed(String),
    /// It should have worked, and a program fell: it was ended by SIGSEGV.
    #[error("{0}")]
    Fell(String),
}

impl Failure {
    /// A failure with what was tried in front.
    pub(crate) fn of<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self::Failed(format!("{what}: {error}"))
    }

    /// Of a program that should not have ended like this, if it has.
    pub(crate) fn of_end(status: Option<ExitStatus>, why: String) -> Self {
        let has_fallen = status.and_then(|status| status.signal()) == Some(SIGSEGV);
        if has_fallen { Self::Fell(why) } else { Self::Failed(why) }
    }
}
