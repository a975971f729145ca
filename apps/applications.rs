//! The applications of this program and their arguments: usage, manual pages and completions are made from
//! this one list.

use clap::Command;

use crate::{bench, bots, doctor, echo, r#gen, pages};

/// An application's command line.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, how it is used, and those of its arguments that stand before a `--`.
    pub(crate) front: Command,
    /// What stands behind the `--`, where there is one; before it are EAL arguments, too.
    pub(crate) behind: Option<Command>,
}

impl Application {
    /// One without EAL arguments.
    fn plain(name: &'static str, command: Command) -> Self {
        Self { name, front: command, behind: None }
    }

    /// `APP [EAL arguments] -- [application arguments]`
    fn launching(name: &'static str, behind: Command) -> Self {
        let about = behind.get_about().cloned().unwrap_or_default();
        let usage = behind.get_overridden_usage().cloned().unwrap_or_default();
        let front = Command::new(name).about(about).override_usage(usage);
        Self { name, front, behind: Some(behind) }
    }
}

/// All of them, by name.
pub(crate) fn all() -> Vec<Application> {
    vec![
        Application::plain("bench", bench::command()),
        Application::launching("bots", bots::command()),
        Application { name: "doctor", front: doctor::command(), behind: Some(echo::command()) },
        Application::launching("echo", echo::command()),
        Application::launching("game", gannet_game::command()),
        Application::launching("gen", r#gen::command()),
        Application::plain("pages", pages::command()),
    ]
}

/// A line for each: its name and what it does.
pub(crate) fn list() -> String {
    let line = |application: &Application| {
        let about = application.front.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:<9}  {about}\n", application.name)
    };
    all().iter().map(line).collect()
}
