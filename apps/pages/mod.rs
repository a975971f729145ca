//! `gannet pages`: the manual pages of this program, and completions for shells, made from the arguments
//! that it reads (`applications`). Packages have them from here.

mod completions;
mod eal;
mod manual;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

use crate::applications;

/// Writes manual pages and completions for shells
#[derive(Debug, Parser)]
#[command(name = "gannet pages")]
struct Arguments {
    /// Where they go; made if it is not there
    folder: PathBuf,
}

/// Its arguments.
pub(crate) fn command() -> clap::Command {
    Arguments::command().name("pages")
}

/// Runs the application on the words behind its name.
pub(crate) fn run(words: impl Iterator<Item = String>) -> ExitCode {
    match Arguments::try_parse_from(std::iter::once("gannet pages".to_owned()).chain(words)) {
        Err(error) => error.exit(),
        Ok(Arguments { folder }) => match write_all(&folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err((path, error)) => {
                crate::complain(&format!("{}: {error}: name a folder that can be written", path.display()));
                ExitCode::FAILURE
            }
        },
    }
}

/// A file that can't be written, and why.
type Failure = (PathBuf, io::Error);

fn write_all(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    let applications = applications::all();
    let files = manual::pages(&applications).into_iter().chain(completions::scripts(&applications));
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| (path, error))?;
    }
    Ok(())
}
