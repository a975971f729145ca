//! Completions for bash, zsh and fish. Generators know of commands with arguments and not of a `--` behind
//! which others stand, so two programs are made up: `gannet_line` has what stands before it, `gannet_behind`
//! what stands behind, and a switch for each shell (`sections/`) asks one or the other.

use clap::Command;
use clap_complete::{Shell, generate};

use super::eal;
use crate::applications::Application;

// No dash: the generator for bash gets lost between a dash and a space (clap_complete 4.6.11).
const LINE: &str = "gannet_line";
const BEHIND: &str = "gannet_behind";

/// Names of files and the scripts that go into them.
pub(super) fn scripts(applications: &[Application]) -> Vec<(String, String)> {
    [
        ("gannet.bash", Shell::Bash, include_str!("sections/switch.bash")),
        ("_gannet", Shell::Zsh, include_str!("sections/switch.zsh")),
        ("gannet.fish", Shell::Fish, include_str!("sections/switch.fish")),
    ]
    .map(|(file, shell, switch)| (file.to_owned(), script(shell, switch, applications)))
    .into()
}

fn script(shell: Shell, switch: &str, applications: &[Application]) -> String {
    let with_line = applications.iter().filter(|application| application.behind.is_some());
    let names: Vec<_> = with_line.map(|application| application.name).collect();
    let names = names.join(if shell == Shell::Fish { " " } else { "|" });
    let (line, behind) = (generated(shell, line(applications)), generated(shell, behind(applications)));
    // That line of zsh's counts at the top of a file, where the switch has its own.
    let parts = [line, behind].map(|part| part.replace("#compdef", "# made for:"));
    switch.replace("APPLICATIONS", &names).replace("GENERATED", &parts.concat())
}

fn line(applications: &[Application]) -> Command {
    let of = |application: &Application| {
        let eal = application.behind.as_ref().map_or(Vec::new(), |_| eal::arguments());
        application.front.clone().args(eal)
    };
    Command::new(LINE).disable_help_subcommand(true).version("").subcommands(applications.iter().map(of))
}

fn behind(applications: &[Application]) -> Command {
    let of = |application: &Application| {
        let behind = application.behind.clone();
        behind.map(|behind| behind.name(application.name))
    };
    Command::new(BEHIND).disable_help_subcommand(true).subcommands(applications.iter().filter_map(of))
}

fn generated(shell: Shell, mut command: Command) -> String {
    let (name, mut bytes) = (command.get_name().to_owned(), Vec::new());
    generate(shell, &mut command, name, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
