//! The log of a program.

use std::io::IsTerminal;

use super::eal_args;

/// Starts the log on standard error, unless the program has one already. It is coloured on a terminal
/// whose user did not ask for none (`NO_COLOR`).
pub(super) fn start(eal: &[String]) {
    let level = eal_args::log_level(eal).unwrap_or(tracing::Level::INFO);
    let is_coloured =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(is_coloured)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .without_time()
        .try_init();
}
