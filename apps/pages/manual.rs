//! Manual pages: `gannet(1)` and one for each application. What a command's arguments don't say stands in
//! `sections/`, in roff.

use std::io;

use clap::Command;
use clap_mangen::Man;

use super::eal;
use crate::applications::Application;

/// What is to be said of the EAL's arguments.
const EAL: &str = include_str!("sections/eal.roff");
/// What every application has that opens ports.
const LAUNCH: &str = include_str!("sections/launch.roff");
/// What the program's page has of its own.
const PROGRAM: &str = include_str!("sections/gannet.roff");

/// Names of files and the pages that go into them.
pub(super) fn pages(applications: &[Application]) -> Vec<(String, String)> {
    let of_applications = applications.iter().map(|application| {
        let name = format!("gannet-{}", application.name);
        (format!("{name}.1"), application_page(&name, application) + &see_also(&name, applications))
    });
    let program = program_page(applications) + &see_also("gannet", applications);
    std::iter::once(("gannet.1".to_owned(), program)).chain(of_applications).collect()
}

fn program_page(applications: &[Application]) -> String {
    let command = Command::new("gannet")
        .about("UDP services past the kernel, on DPDK and on AF_PACKET")
        .override_usage("gannet APP [EAL arguments] -- [application arguments]\ngannet --help | --version")
        .subcommand_help_heading("APPLICATIONS")
        .subcommands(applications.iter().map(|application| application.front.clone()))
        .disable_help_subcommand(true);
    let page = Page::of("gannet", command);
    page.top() + &page.part(Man::render_subcommands_section) + PROGRAM
}

fn application_page(name: &str, application: &Application) -> String {
    let front = Page::of(name, application.front.clone());
    let options = |command: &Command| Page::of(name, command.clone()).part(Man::render_options_section);
    let has_own = application.front.get_arguments().next().is_some();
    let own_options = if has_own { options(&application.front) } else { String::new() };
    let behind = application.behind.as_ref().map(|behind| {
        let eal = Command::new("eal").disable_help_flag(true).args(eal::arguments());
        // The doctor reads those of others, which stand on their own pages.
        let rest = if has_own { String::new() } else { options(behind) + LAUNCH };
        options(&eal) + EAL + &rest
    });
    front.top() + &own_options + &behind.unwrap_or_default() + own(application.name)
}

/// What an application's page has of its own.
fn own(application: &str) -> &'static str {
    match application {
        "bench" => include_str!("sections/bench.roff"),
        "bots" => include_str!("sections/bots.roff"),
        "doctor" => include_str!("sections/doctor.roff"),
        "echo" => include_str!("sections/echo.roff"),
        "game" => include_str!("sections/game.roff"),
        "gen" => include_str!("sections/gen.roff"),
        "pages" => include_str!("sections/pages.roff"),
        _ => "",
    }
}

fn see_also(name: &str, applications: &[Application]) -> String {
    let all = applications.iter().map(|application| format!("gannet-{}", application.name));
    let others = std::iter::once("gannet".to_owned()).chain(all).filter(|other| other != name);
    let others: Vec<_> = others.map(|other| format!(".BR {} (1)", other.replace('-', "\\-"))).collect();
    format!(".SH SEE ALSO\n{}\n", others.join(" ,\n"))
}

/// A page that is rendered a part at a time.
struct Page(Man);

impl Page {
    fn of(name: &str, command: Command) -> Self {
        let usage_name = name.replacen('-', " ", 1);
        let man = Man::new(command.display_name(name.to_owned()).bin_name(usage_name));
        let source = format!("gannet {}", env!("CARGO_PKG_VERSION"));
        Self(man.date(crate::version::DATE).source(source).manual("Gannet"))
    }

    /// All that stands above the arguments.
    fn top(&self) -> String {
        self.part(Man::render_title)
            + &self.part(Man::render_name_section)
            + &self.part(Man::render_synopsis_section)
            + &self.part(Man::render_description_section)
    }

    fn part(&self, render: fn(&Man, &mut dyn io::Write) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        // Into memory, which takes all of it.
        let _ = render(&self.0, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
