//! The findings on a screen, and for programs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use serde::Serialize;

use super::check::{Check, Status};
use super::would_start;

/// The width of a line's words of status and of its name.
const STATUS_WIDTH: usize = 8;
const NAME_WIDTH: usize = 20;

/// A line for each check, and below it what mends it.
pub(crate) fn text(command: &str, checks: &[Check]) -> String {
    // https://no-color.org
    let is_coloured =
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut text = format!("{command}\n\n");
    for check in checks {
        let status = painted(check.status, is_coloured);
        let _ = writeln!(text, "  {status} {:NAME_WIDTH$} {}", check.name, check.found);
        for command in &check.mend {
            let _ = writeln!(text, "  {:STATUS_WIDTH$} {:NAME_WIDTH$}   mend: {command}", "", "");
        }
    }
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let verdict = match (count(Status::Error), count(Status::Warning)) {
        (0, 0) => "it would start".to_owned(),
        (0, warnings) => format!("it would start, with {}", counted(warnings, "warning")),
        (errors, _) => format!("it would not start: {}", counted(errors, "error")),
    };
    let _ = write!(text, "\n{verdict}");
    text
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn painted(status: Status, is_coloured: bool) -> String {
    let (word, colour) = match status {
        Status::Ok => ("ok", 32),
        Status::Warning => ("warning", 33),
        Status::Error => ("error", 31),
        Status::Unneeded => ("unneeded", 90),
    };
    if is_coloured {
        format!("\x1b[{colour}m{word:STATUS_WIDTH$}\x1b[0m")
    } else {
        format!("{word:STATUS_WIDTH$}")
    }
}

/// The same as JSON.
pub(crate) fn json(command: &str, checks: &[Check]) -> String {
    #[derive(Serialize)]
    struct Findings<'a> {
        command: &'a str,
        would_start: bool,
        checks: &'a [Check],
    }
    let findings = Findings { command, would_start: would_start(checks), checks };
    serde_json::to_string_pretty(&findings).unwrap_or_default()
}

/// Prints to standard output. A reader that went away is no reason to panic.
pub(crate) fn say(text: impl AsRef<str>) {
    let _ = writeln!(io::stdout(), "{}", text.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_line_and_what_mends_it() {
        let checks = [
            Check::ok("tun", "there"),
            Check::warning("cores", "slow"),
            Check::error("hugepages", "none").mend("./hugepages.sh reserve 512M"),
            Check::error("nic", "lost").mend("no matter").needed_if(false),
        ];
        let text = text("gannet echo", &checks);
        assert!(text.contains("  ok       tun                  there\n"), "{text}");
        assert!(
            text.contains("mend: ./hugepages.sh reserve 512M\n") && !text.contains("no matter"),
            "{text}"
        );
        assert!(text.ends_with("\nit would not start: 1 error") && !text.contains('\x1b'), "{text}");
        assert!(super::text("", &checks[..2]).ends_with("it would start, with 1 warning"));
        assert_eq!(painted(Status::Error, true), "\x1b[31merror   \x1b[0m");
    }

    #[test]
    fn programs_get_json() {
        let text = json("gannet echo", &[Check::error("hugepages", "none").mend("reserve")]);
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&read["would_start"], &read["command"]), (&false.into(), &"gannet echo".into()));
        assert_eq!(read["checks"][0]["status"], "error");
        assert_eq!(read["checks"][0]["mend"][0], "reserve");
    }
}
