//! Which frames are written down, and where: the text of `--capture`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::host::capture::Reasons;
use crate::telemetry::Counter;

/// What `--capture` writes down, and where.
///
/// As text: `FILE[,reason=NAME…]`, the names being those of counters, or `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureConfig {
    /// The file, in the pcapng format.
    pub path: PathBuf,
    /// Which frames go into it.
    pub frames: CapturedFrames,
}

/// Which frames go into a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CapturedFrames {
    /// Those that the host drops.
    #[default]
    Drops,
    /// Those that the host counts as one of these.
    Named(Vec<Counter>),
    /// All that are received and sent.
    All,
}

impl CapturedFrames {
    pub(super) fn reasons(&self) -> Reasons {
        match self {
            Self::Drops => Reasons::drops(),
            Self::Named(counters) => Reasons::of(counters.iter().copied()),
            Self::All => Reasons::all(),
        }
    }

    fn add(&mut self, name: &str) -> Result<(), CaptureConfigError> {
        match (&mut *self, name) {
            (Self::Drops, "all") => *self = Self::All,
            (Self::All, "all") => return Err(CaptureConfigError::Twice(name.to_owned())),
            (Self::All, _) | (Self::Named(_), "all") => return Err(CaptureConfigError::MoreThanAll),
            (Self::Drops, name) => *self = Self::Named(vec![reason(name)?]),
            (Self::Named(counters), name) => {
                let counter = reason(name)?;
                if counters.contains(&counter) {
                    return Err(CaptureConfigError::Twice(name.to_owned()));
                }
                counters.push(counter);
            }
        }
        Ok(())
    }
}

fn reason(name: &str) -> Result<Counter, CaptureConfigError> {
    if let Some(counter) = Reasons::visible().find(|counter| counter.name() == name) {
        return Ok(counter);
    }
    let is_counter = Counter::ALL.iter().any(|counter| counter.name() == name);
    let error = if is_counter { CaptureConfigError::Unseen } else { CaptureConfigError::Unknown };
    Err(error(name.to_owned()))
}

/// The reasons that there are, for people.
fn known() -> String {
    Reasons::visible().map(Counter::name).chain(["all"]).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for CaptureConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match &self.frames {
            CapturedFrames::Drops => Ok(()),
            CapturedFrames::All => write!(f, ",reason=all"),
            CapturedFrames::Named(counters) => {
                counters.iter().try_for_each(|counter| write!(f, ",reason={}", counter.name()))
            }
        }
    }
}

impl FromStr for CaptureConfig {
    type Err = CaptureConfigError;

    fn from_str(text: &str) -> Result<Self, CaptureConfigError> {
        let mut parts = text.split(',');
        let path = parts.next().filter(|path| !path.is_empty()).ok_or(CaptureConfigError::NoFile)?;
        let mut frames = CapturedFrames::default();
        for part in parts {
            let name =
                part.strip_prefix("reason=").ok_or_else(|| CaptureConfigError::Part(part.to_owned()))?;
            frames.add(name)?;
        }
        Ok(Self { path: path.into(), frames })
    }
}

/// What is wrong with a text of a capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureConfigError {
    /// No file.
    #[error("the file is missing: write drops.pcapng, or drops.pcapng,reason=udp_checksum")]
    NoFile,
    /// What follows the file is no reason.
    #[error(
        "'{0}' is no reason=NAME: write FILE,reason=udp_checksum,reason=fragment and the like; \
         the file's name has no comma"
    )]
    Part(String),
    /// No such counter.
    #[error("there is no reason '{0}': there are {known}", known = known())]
    Unknown(String),
    /// A counter of something else than frames that the host has.
    #[error(
        "the host has no whole frame in its hands when '{0}' is counted (a port drops frames of its own, \
         a stop gives them back in bulk, and what has no route has no headers): there are {known}",
        known = known()
    )]
    Unseen(String),
    /// A reason stands there more than once.
    #[error("reason '{0}' stands there twice: give it once")]
    Twice(String),
    /// `all` beside others.
    #[error("reason=all has the others in it: give it alone")]
    MoreThanAll,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> CaptureConfig {
        text.parse().expect("valid")
    }

    fn error(text: &str) -> CaptureConfigError {
        text.parse::<CaptureConfig>().expect_err("invalid")
    }

    #[test]
    fn texts_read_and_print() {
        let named = CapturedFrames::Named(vec![Counter::UdpChecksum, Counter::Fragment]);
        for (text, frames) in [
            ("drops.pcapng", CapturedFrames::Drops),
            ("/tmp/a=b", CapturedFrames::Drops),
            ("x.pcapng,reason=all", CapturedFrames::All),
            ("x.pcapng,reason=udp_checksum,reason=fragment", named),
        ] {
            let config = parsed(text);
            assert_eq!(config.frames, frames);
            assert_eq!(config.to_string(), text);
        }
        assert_eq!(parsed("a b.pcapng,reason=all").path, PathBuf::from("a b.pcapng"));
    }

    #[test]
    fn every_reason_that_is_named_reads_back() {
        for name in known().split(", ") {
            assert_eq!(parsed(&format!("f,reason={name}")).to_string(), format!("f,reason={name}"));
        }
    }

    #[test]
    fn other_texts_are_refused_with_a_way_out() {
        assert_eq!(error(""), CaptureConfigError::NoFile);
        assert_eq!(error(",reason=all"), CaptureConfigError::NoFile);
        assert_eq!(error("f,"), CaptureConfigError::Part(String::new()));
        assert_eq!(error("f,runt"), CaptureConfigError::Part("runt".to_owned()));
        assert_eq!(error("f, reason=runt"), CaptureConfigError::Part(" reason=runt".to_owned()));
        assert_eq!(error("f,reason="), CaptureConfigError::Unknown(String::new()));
        assert_eq!(error("f,reason=Runt"), CaptureConfigError::Unknown("Runt".to_owned()));
        assert_eq!(error("f,reason=runt,reason=runt"), CaptureConfigError::Twice("runt".to_owned()));
        assert_eq!(error("f,reason=all,reason=all"), CaptureConfigError::Twice("all".to_owned()));
        assert_eq!(error("f,reason=all,reason=runt"), CaptureConfigError::MoreThanAll);
        assert_eq!(error("f,reason=runt,reason=all"), CaptureConfigError::MoreThanAll);
        for unseen in ["rx_truncated", "tx_no_route", "stopping", "fault_lost", "polls", "received"] {
            let error = error(&format!("f,reason={unseen}"));
            assert_eq!(error, CaptureConfigError::Unseen(unseen.to_owned()));
            let said = error.to_string();
            assert!(said.contains("udp_checksum, ") && said.ends_with("all"), "{said}");
        }
    }
}
