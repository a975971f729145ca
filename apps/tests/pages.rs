//! `gannet pages`: what the manual pages say is what the program takes, and the shells offer it.

mod common;

use std::fs;
use std::process::{Command, Output};

use common::program::gannet;
use common::{Program, Scratch, script, skip};

/// Gives the words' first line and the arguments that a help lists, as `--io` or `-l`.
fn arguments(help: &str) -> Vec<String> {
    let words = help.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(|line| {
        line.split_whitespace().take(2).map(|word| word.trim_end_matches(',').to_owned()).collect::<Vec<_>>()
    });
    words.filter(|word| word.starts_with('-') && word.len() > 1).collect()
}

fn printed(arguments: &str) -> String {
    let ended = Program::start(&mut gannet(arguments)).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    ended.stdout
}

/// The applications that the program's help lists.
fn applications() -> Vec<String> {
    let help = printed("--help");
    let list = help.split("Applications:\n").nth(1).expect("a list").split("\n\n").next().expect("it ends");
    list.lines().map(|line| line.split_whitespace().next().expect("a name").to_owned()).collect()
}

/// A folder with all pages and completions.
fn written() -> Scratch {
    let scratch = Scratch::new();
    printed(&format!("pages {}", scratch.path().display()));
    scratch
}

fn page(folder: &Scratch, name: &str) -> String {
    let path = folder.path().join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    ["\\fB", "\\fI", "\\fR"].iter().fold(text.replace("\\-", "-"), |text, font| text.replace(font, ""))
}

/// What stands around the words of a page.
const SEPARATORS: [char; 6] = [',', ' ', '\n', '[', '<', '"'];

/// What a program prints; `None` where there is no such program.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        result => Some(result.expect("it runs")),
    }
}

#[test]
fn every_argument_is_on_the_page_of_its_application() {
    let folder = written();
    let applications = applications();
    assert!(applications.len() >= 5, "{applications:?}");
    for application in applications {
        let page = page(&folder, &format!("gannet-{application}.1"));
        let entries: Vec<_> = page.split(".TP\n").skip(1).filter_map(|entry| entry.lines().next()).collect();
        let arguments = arguments(&printed(&format!("{application} --help")));
        assert!(arguments.contains(&"--help".to_owned()), "{application}: {arguments:?}");
        for argument in arguments {
            let is_there = entries.iter().any(|entry| entry.split(SEPARATORS).any(|word| word == argument));
            assert!(is_there, "{argument} of {application} is not in:\n{page}");
        }
    }
    assert!(page(&folder, "gannet.1").contains("gannet-echo(1)"));
}

#[test]
fn every_eal_argument_on_a_page_is_one() {
    let folder = written();
    let page = page(&folder, "gannet-echo.1");
    let section = page.split(".SH \"EAL ARGUMENTS").nth(1).expect("a section").split(".SH").next();
    let is_one = |word: &&str| word.starts_with('-') && word.len() > 1;
    let words = section.expect("it ends").split(SEPARATORS);
    let arguments: Vec<_> = words.filter(is_one).filter(|word| *word != "--" && *word != "--io").collect();
    assert!(arguments.len() > 15, "{arguments:?}");
    for argument in arguments {
        let ended = Program::start(&mut gannet(&format!("echo {argument} 0 -- --io socket"))).end();
        assert!(!ended.stderr.contains("unknown EAL argument"), "{argument}: {ended:#?}");
    }
}

#[test]
fn the_formatters_find_no_fault_with_the_pages() {
    let folder = written();
    let pages: Vec<_> = applications().iter().map(|application| format!("gannet-{application}.1")).collect();
    for page in pages.iter().map(String::as_str).chain(["gannet.1"]) {
        let path = folder.path().join(page);
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l"])
            .arg(&path)
            .env("LC_ALL", "C.UTF-8")
            .env("MANWIDTH", "80");
        let Some(man) = output(&mut man) else {
            return skip("the_formatters_find_no_fault_with_the_pages", "man is not installed (man-db)");
        };
        let text = String::from_utf8_lossy(&man.stdout);
        assert!(man.status.success() && man.stderr.is_empty(), "{page}: {man:?}");
        assert!(text.contains("SEE ALSO") && text.contains("EXIT STATUS"), "{page}: {text}");
        let mut mandoc = Command::new("mandoc");
        let Some(lint) = output(mandoc.args(["-Tlint", "-Werror"]).arg(&path)) else {
            return skip("the_formatters_find_no_fault_with_the_pages", "mandoc is not installed");
        };
        assert!(lint.status.success() && lint.stdout.is_empty(), "{page}: {lint:?}");
    }
}

/// What is asked of a shell, and a word that it offers and one that it does not.
const LINES: [(&str, &str, &str); 8] = [
    ("gannet ec", "echo", "gen"),
    ("gannet echo --no", "--no-huge", "--no-announce"),
    ("gannet echo -l 0 --no-pci -- --no", "--no-announce", "--no-huge"),
    ("gannet echo -l 0 -- --io socket --i", "--idle", "--in-memory"),
    ("gannet gen -l 0 -- --ra", "--rate", "--no-huge"),
    ("gannet doctor --j", "--json", "--io"),
    ("gannet doctor --json gen -l 1 -- --ra", "--rate", "--try"),
    ("gannet doctor -l 1 -- --pro", "--promiscuous", "--proc-type"),
];

#[track_caller]
fn offers(test: &str, shell: fn(&Scratch, &str) -> Command) {
    let folder = written();
    for (line, there, not_there) in LINES {
        let mut command = shell(&folder, line);
        let Some(said) = output(&mut command) else {
            return skip(test, &format!("{} is not installed", command.get_program().display()));
        };
        let text = String::from_utf8_lossy(&said.stdout);
        let offered: Vec<_> = text.split_whitespace().collect();
        let is_right = offered.contains(&there) && !offered.contains(&not_there);
        assert!(is_right, "'{line}' wants {there} and not {not_there}: {said:?}");
    }
}

#[test]
fn bash_offers_what_fits() {
    // As bash calls it: with the words before the cursor, the last one and the one before that.
    const CALL: &str = r#"
        . "$1/gannet.bash"
        read -ra COMP_WORDS <<<"$2"
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _gannet gannet "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        echo "${COMPREPLY[@]}""#;
    offers("bash_offers_what_fits", |folder, line| {
        let mut bash = Command::new("bash");
        bash.args(["-uc", CALL, "bash"]).arg(folder.path()).arg(line);
        bash
    });
}

#[test]
fn zsh_offers_what_fits() {
    offers("zsh_offers_what_fits", |folder, line| {
        let mut zsh = Command::new("zsh");
        zsh.arg(script("../apps/tests/complete.zsh")).arg(folder.path()).arg(line);
        zsh
    });
}

#[test]
fn fish_offers_what_fits() {
    const CALL: &str = "source $argv[1]/gannet.fish; complete -C $argv[2] | string replace -r '\\t.*' ''";
    offers("fish_offers_what_fits", |folder, line| {
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", CALL]).arg(folder.path()).arg(line).env("HOME", folder.path());
        fish
    });
}

#[test]
fn a_folder_that_can_t_be_written_is_named() {
    let ended = Program::start(&mut gannet("pages /dev/null/pages")).end();
    assert!(ended.code == Some(1) && ended.stderr.contains("/dev/null/pages"), "{ended:#?}");
    assert_eq!(Program::start(&mut gannet("pages")).end().code, Some(2));
}
