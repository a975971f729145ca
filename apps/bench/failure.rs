//! Why something was not measured.

/// Why something was not measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// This machine or this build can't.
    #[error("{0}")]
    Skip(String),
    /// It should have worked.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// A failure with what was tried in front.
    pub(crate) fn of<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self::Failed(format!("{what}: {error}"))
    }
}
