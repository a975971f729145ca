//! The file of `--config`: application arguments in TOML, under the names of their options.
//!
//! ```toml
//! io = "af_packet:eth0"
//! ip = ["10.77.0.1/24"]
//! udp-port = [7]
//! stats = "10s"
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest file, in bytes.
const LONGEST: u64 = 1 << 20;

/// What is wrong with a file of `--config`.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("--config {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no TOML.
    #[error("{}:{line}: this is no TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A key or its value is not what the program takes.
    #[error("{}:{line}: {key}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) entries: Vec<Entry>,
}

/// A key of a file, and the words that a command line would have in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) words: Vec<String>,
}

impl ConfigFile {
    /// Reads a file of arguments of that command.
    pub(super) fn read(path: &Path, command: &Command) -> Result<Self, ConfigError> {
        Self::of(path, File::open(path), command)
    }

    /// Reads one again while the program runs, which nothing may hold up.
    pub(super) fn read_again(&self, command: &Command) -> Result<Self, ConfigError> {
        Self::of(&self.path, open_regular(&self.path), command)
    }

    fn of(path: &Path, file: io::Result<File>, command: &Command) -> Result<Self, ConfigError> {
        let text = file.and_then(text);
        let text = text.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text, command)
    }

    fn parse(path: &Path, text: &str, command: &Command) -> Result<Self, ConfigError> {
        let line_of = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_of(error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        })?;
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let (line, key) = (line_of(key.span().start), AsRef::<str>::as_ref(key.get_ref()).to_owned());
            match words(&key, value.get_ref(), command) {
                Ok(words) => Ok(Entry { key, line, words }),
                Err(reason) => Err(ConfigError::Key { path: path.to_owned(), line, key, reason }),
            }
        };
        let entries = table.get_ref().iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), entries })
    }

    /// What is wrong with the value of an entry.
    pub(super) fn wrong(&self, entry: &Entry, reason: String) -> ConfigError {
        ConfigError::Key { path: self.path.clone(), line: entry.line, key: entry.key.clone(), reason }
    }

    /// The words of a key; none where it is not in the file.
    pub(super) fn words_of(&self, key: &str) -> &[String] {
        self.entries.iter().find(|entry| entry.key == key).map_or(&[], |entry| &entry.words)
    }
}

/// Opens a file that gives what it has at once. A pipe, say, would have its reader wait for a writer.
fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file, and only such are read again")),
    }
}

fn text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            "it is longer than 1 MiB, so it is something else",
        ));
    }
    Ok(text)
}

/// The words of a command line that say the same.
fn words(key: &str, value: &DeValue<'_>, command: &Command) -> Result<Vec<String>, String> {
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(key));
    let arg = arg.filter(|_| key != "config").ok_or_else(|| no_such_argument(key, command))?;
    let word = |value| Ok(format!("--{key}={}", scalar(value)?));
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => Ok(vec![format!("--{key}")]),
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err("write true or false".to_owned()),
        (ArgAction::Append, DeValue::Array(values)) => {
            values.iter().map(|value| word(value.get_ref())).collect()
        }
        (ArgAction::Append, _) => {
            Err(format!("it is repeatable, so write an array, as in {key} = [{}]", example(arg)))
        }
        (_, DeValue::Array(_)) => Err(format!("it is there once, so write {key} = {}", example(arg))),
        _ => Ok(vec![word(value)?]),
    }
}

fn no_such_argument(key: &str, command: &Command) -> String {
    let is_known = |name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name));
    let app = command.get_name();
    match key.replace('_', "-") {
        _ if key == "config" => {
            "a file of arguments names no other: write that on the command line".to_owned()
        }
        name if name != key && is_known(&name) => format!("write {name}, as on the command line"),
        _ => format!("{app} has no such argument; its --help has those that there are"),
    }
}

/// A value's place in a text.
fn example(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first());
    format!("\"{}\"", name.map_or("VALUE", |name| name.as_str()))
}

/// A value as a word.
fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Integer(_) => Err("write the number in decimal".to_owned()),
        DeValue::Boolean(_) => Err("it is no switch: write a text or a number".to_owned()),
        _ => Err("write a text or a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;
    use crate::launch::CommonArgs;

    fn parse(text: &str) -> Result<ConfigFile, String> {
        let command = CommonArgs::augment_args(Command::new("echo"));
        ConfigFile::parse(Path::new("a.toml"), text, &command).map_err(|error| error.to_string())
    }

    #[test]
    fn values_become_words() {
        let file = parse(
            "# ours\nip = [\"10.77.0.1/24\", 'fd00::1/64']\nudp-port = [7, \"8-9\"]\nttl = 6_4\n\n\
             promiscuous = true\nno-announce = false\nstats = \"10s\"\n",
        );
        let file = file.expect("valid");
        for (key, words) in [
            ("ip", ["--ip=10.77.0.1/24", "--ip=fd00::1/64"].as_slice()),
            ("udp-port", &["--udp-port=7", "--udp-port=8-9"]),
            ("ttl", &["--ttl=64"]),
            ("promiscuous", &["--promiscuous"]),
            ("no-announce", &[]),
            ("stats", &["--stats=10s"]),
            ("mtu", &[]),
        ] {
            assert_eq!(file.words_of(key), words, "{key}");
        }
        assert_eq!(file.entries.iter().find(|entry| entry.key == "ttl").map(|entry| entry.line), Some(4));
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_file_has_is_read_or_refused(text: String, key in "[a-z-]{1,9}", value in "\\PC*") {
            let _ = (parse(&text), parse(&format!("{key} = {value}")), parse(&format!("ttl = {value}")));
        }
    }

    #[test]
    fn a_file_without_an_end_is_none() {
        let command = CommonArgs::augment_args(Command::new("echo"));
        let error = ConfigFile::read(Path::new("/dev/zero"), &command).expect_err("too long").to_string();
        assert!(error.starts_with("--config /dev/zero: it is longer than 1 MiB"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_file_line_and_key() {
        for (text, said) in [
            ("ttl = 1\nrate = \"1k\"", "a.toml:2: rate: echo has no such argument"),
            ("udp_port = [7]", "a.toml:1: udp_port: write udp-port, as on the command line"),
            ("config = \"b\"", "a.toml:1: config: a file of arguments names no other"),
            (
                "\n\nip = \"10.77.0.1/24\"",
                "a.toml:3: ip: it is repeatable, so write an array, as in ip = [\"ADDR/LEN\"]",
            ),
            ("stats = [\"1s\"]", "a.toml:1: stats: it is there once, so write stats = \"TIME\""),
            ("promiscuous = 1", "a.toml:1: promiscuous: write true or false"),
            ("stats = true", "a.toml:1: stats: it is no switch: write a text or a number"),
            ("ttl = 0x40", "a.toml:1: ttl: write the number in decimal"),
            ("stats = 2000-01-01", "a.toml:1: stats: write a text or a number"),
            ("[echo]\nttl = 1", "a.toml:1: echo: echo has no such argument"),
            ("ttl = 1\nttl = 2", "a.toml:2: this is no TOML: duplicate key"),
            ("ttl = 1\nip = [", "a.toml:2: this is no TOML: "),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(said), "'{text}' gives: {error}");
        }
    }
}
