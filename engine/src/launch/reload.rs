//! Arguments of which a file has a part: how they are found, and what has changed when the file is read
//! again.

use std::collections::BTreeSet;
use std::path::Path;

use clap::error::ContextKind;
use clap::{ArgMatches, Command, FromArgMatches as _};

use super::args::CommonArgs;
use super::config_file::ConfigFile;
use super::error::Error;
use super::plan;

/// What can change while workers run.
const CHANGEABLE: [&str; 2] = ["stats", "watchdog"];

/// Arguments of which a file has a part.
#[derive(Clone, Debug)]
pub(super) struct Configured {
    command: Command,
    /// The application's half of the command line.
    words: Vec<String>,
    file: ConfigFile,
}

/// What a file says that was read again.
#[derive(Debug)]
pub(super) struct Reloaded {
    /// The arguments as they would be at a start.
    pub(super) args: CommonArgs,
}

impl Configured {
    /// Reads the file that the words name, if they name one.
    pub(super) fn find(command: &Command, words: Vec<String>) -> Result<Option<Self>, Error> {
        let Some(path) = path(&words) else { return Ok(None) };
        let file = ConfigFile::read(Path::new(path), command)?;
        Ok(Some(Self { command: command.clone(), file, words }))
    }

    /// The arguments of the file, but those that the command line has too, and of the command line.
    pub(super) fn matches(&self) -> Result<ArgMatches, Error> {
        let said = said(&self.words);
        let entries = self.file.entries.iter().filter(|entry| !said.contains(entry.key.as_str()));
        let of_file = entries.flat_map(|entry| &entry.words);
        let name = self.command.get_name().to_owned();
        let words = std::iter::once(&name).chain(of_file).chain(&self.words);
        self.command.clone().try_get_matches_from(words).map_err(|error| self.located(error))
    }

    /// Reads the file again, and says of each change whether it takes a restart. After an error all is
    /// as it was.
    pub(super) fn reload(&mut self) -> Result<Reloaded, Error> {
        let file = self.file.read_again(&self.command)?;
        let next = Self { file, ..self.clone() };
        let args = CommonArgs::from_arg_matches(&next.matches()?)?;
        plan::check(&args)?;
        self.announce(&next.file);
        *self = next;
        Ok(Reloaded { args })
    }

    fn announce(&self, next: &ConfigFile) {
        let path = next.path.display();
        let changed = changed(&self.file, next);
        if changed.is_empty() {
            tracing::info!("SIGHUP: {path}: nothing has changed");
        }
        for key in changed {
            if said(&self.words).contains(key) {
                tracing::warn!("SIGHUP: {path}: {key} has changed, but the command line's --{key} counts");
            } else if CHANGEABLE.contains(&key) {
                tracing::info!("SIGHUP: {path}: {key} has changed, from now on");
            } else {
                tracing::warn!("SIGHUP: {path}: {key} has changed, which takes a restart");
            }
        }
    }

    /// An error about a value that is the file's is said to be there.
    fn located(&self, error: clap::Error) -> Error {
        let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
        let is_meant = |key: &str| argument.split([' ', '=']).next() == Some(&format!("--{key}"));
        let said = said(&self.words);
        let entry = self.file.entries.iter().find(|entry| is_meant(&entry.key));
        match entry.filter(|entry| !said.contains(entry.key.as_str())) {
            Some(entry) => {
                let message = error.to_string();
                let reason = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
                self.file.wrong(entry, reason.to_owned()).into()
            }
            None => error.into(),
        }
    }
}

/// The value of `--config`.
fn path(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| word == "--config" || word.starts_with("--config="))?;
    words[at].strip_prefix("--config=").or_else(|| words.get(at + 1).map(String::as_str))
}

/// The options that the words name.
fn said(words: &[String]) -> BTreeSet<&str> {
    words.iter().filter_map(|word| word.strip_prefix("--")?.split('=').next()).collect()
}

/// The keys whose words differ.
fn changed<'a>(before: &'a ConfigFile, now: &'a ConfigFile) -> BTreeSet<&'a str> {
    let keys = before.entries.iter().chain(&now.entries).map(|entry| entry.key.as_str());
    keys.filter(|key| before.words_of(key) != now.words_of(key)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use clap::Args as _;

    use super::*;

    /// A file of its own, gone with its value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("gannet-{name}-{}.toml", std::process::id()));
            fs::write(&path, text).expect("written");
            Self(path)
        }

        fn configured(&self, words: &str) -> Result<Configured, String> {
            let command = CommonArgs::augment_args(Command::new("echo"));
            let config = format!("--config {} {words}", self.0.display());
            let words = config.split_whitespace().map(str::to_owned).collect();
            let found = Configured::find(&command, words).map_err(|error| error.to_string())?;
            Ok(found.expect("a file is named"))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn args(configured: &Configured) -> CommonArgs {
        let matches = configured.matches().expect("valid");
        CommonArgs::from_arg_matches(&matches).expect("valid")
    }

    #[test]
    fn the_command_line_wins_and_takes_the_place_of_a_whole_list() {
        let file = Scratch::new("wins", "ttl = 9\nudp-port = [7, 8]\nmtu = 900\nno-announce = true\n");
        let args = args(&file.configured("--ttl=3 --udp-port 9").expect("valid"));
        assert_eq!((args.ttl, args.mtu, args.no_announce, args.udp_ports.len()), (3, Some(900), true, 1));
    }

    #[test]
    fn a_value_that_the_program_refuses_is_where_it_stands() {
        let file = Scratch::new("refused", "ip = [\"10.77.0.1/24\"]\nttl = 256\n");
        let refused =
            |words| file.configured(words).expect("read").matches().map_err(|error| error.to_string());
        let said = refused("").expect_err("too high");
        assert!(said.starts_with(&format!("{}:2: ttl: invalid value '256'", file.0.display())), "{said}");
        assert!(refused("--ttl 1").is_ok(), "it is not looked at");
        let said = refused("--ttl 1 --mtu 1").expect_err("too low");
        assert!(!said.contains(".toml"), "{said}");
    }

    #[test]
    fn changes_are_found_and_a_broken_file_changes_nothing() {
        let file = Scratch::new("changes", "stats = \"1s\"\nttl = 9\nip = [\"10.77.0.1/24\"]\n");
        let mut configured = file.configured("").expect("valid");
        let before = configured.file.clone();
        for broken in ["stats = ", "stats = \"soon\"", "ip = [\"0.0.0.0/0\"]"] {
            fs::write(&file.0, broken).expect("written");
            assert!(configured.reload().is_err(), "{broken}");
            assert_eq!(configured.file, before, "{broken}");
        }
        fs::write(&file.0, "# moved\nstats = \"5s\"\nip = [\"10.77.0.1/24\"]\nmtu = 900\n").expect("written");
        let reloaded = configured.reload().expect("valid");
        assert_eq!(reloaded.args.stats, Some(Duration::from_secs(5)));
        assert_eq!(changed(&before, &configured.file), BTreeSet::from(["mtu", "stats", "ttl"]));
    }

    #[test]
    fn what_could_hold_the_program_up_is_not_read_again() {
        let file = Scratch::new("pipe", "ttl = 9\n");
        let mut configured = file.configured("").expect("valid");
        for make in ["mkfifo", "ln -s /dev/null"] {
            fs::remove_file(&file.0).expect("it was there");
            let mut words = make.split(' ');
            let mut command = std::process::Command::new(words.next().expect("a program"));
            assert!(command.args(words).arg(&file.0).status().expect("it runs").success());
            let error = configured.reload().expect_err(make).to_string();
            assert!(error.ends_with(".toml: it is no regular file, and only such are read again"), "{error}");
        }
    }

    #[test]
    fn options_are_found_in_the_words() {
        let words: Vec<_> = "--ttl=3 --config a.toml --ip 1 -x".split(' ').map(str::to_owned).collect();
        assert_eq!((said(&words), path(&words)), (BTreeSet::from(["config", "ip", "ttl"]), Some("a.toml")));
        assert_eq!(path(&["--config=b".to_owned()]), Some("b"));
        assert_eq!(path(&["--config".to_owned()]), None);
    }
}
