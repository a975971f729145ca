//! Which guards are on, and how strict they are: the text of `--guard`.

use std::fmt;
use std::str::FromStr;

use crate::service::Role;

/// Datagrams a second from one source, where the guard is on by itself.
const RATE: u32 = 5_000;
/// Datagrams a second in all, where the guard is on by itself.
const GLOBAL_RATE: u32 = 1_000_000;
/// Bytes to an unvalidated source for each byte from it (RFC 9000, section 8.1, has the same).
const AMPLIFICATION: u32 = 3;
/// ICMP errors a second.
const ICMP_RATE: u32 = 100;
/// The highest rate: one a nanosecond.
const MAX_RATE: u32 = 1_000_000_000;
/// The highest amplification factor.
const MAX_FACTOR: u32 = 1_000_000;

/// What the user says of the guards. What is not named follows the service's [`Role`]:
///
/// | name            | what it bounds                                      | `Stateless` | `Stateful` | `Client` |
/// |-----------------|-----------------------------------------------------|-------------|------------|----------|
/// | `source-port`   | datagrams from ports of reflectors and from our own | on          | on         | off      |
/// | `rate`          | datagrams a second from a source                    | off         | 5,000      | off      |
/// | `global-rate`   | datagrams a second in all                           | off         | 1,000,000  | off      |
/// | `amplification` | bytes to an unvalidated source per byte from it     | off         | 3          | off      |
/// | `icmp-rate`     | ICMP errors a second that we send                   | 100         | 100        | 100      |
///
/// A client asks reflectors on purpose, thousands of times a second and from as many ports, and
/// answers nobody of its own accord: there is no loop that the guard would end.
///
/// Rates are per lcore. A source is an IPv4 address or an IPv6 /64. A burst of a tenth of a
/// second is let through at once, and of 32 at least. `icmp-rate=off` sends no ICMP errors.
///
/// As text: `rate=5000,global-rate=off,amplification=3,source-port=off,icmp-rate=100`, each
/// part at most once and in any order. `off` alone switches off all guards, and leaves
/// `icmp-rate`, which guards others, as it is; `default` alone names nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardConfig {
    /// Whether datagrams from reflector ports are dropped.
    pub source_port: Option<bool>,
    /// Datagrams a second from a source.
    pub rate: Option<Level>,
    /// Datagrams a second in all.
    pub global_rate: Option<Level>,
    /// Bytes of payload to an unvalidated source for each byte from it.
    pub amplification: Option<Level>,
    /// ICMP errors a second.
    pub icmp_rate: Option<Level>,
}

/// A guard's number, at least 1, or that it is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It limits nothing.
    Off,
    /// It limits to this.
    At(u32),
}

/// The guards of a host, as [`GuardConfig::resolve`] settles them; `None` is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// Whether datagrams from reflector ports are dropped.
    pub source_port: bool,
    /// Datagrams a second from a source, per lcore.
    pub rate: Option<u32>,
    /// Datagrams a second in all, per lcore.
    pub global_rate: Option<u32>,
    /// Bytes of payload to an unvalidated source for each byte from it.
    pub amplification: Option<u32>,
    /// ICMP errors a second, per lcore; `None` sends none.
    pub icmp_rate: Option<u32>,
}

impl GuardConfig {
    /// All guards off. ICMP errors keep their rate.
    pub const OFF: Self = Self {
        source_port: Some(false),
        rate: Some(Level::Off),
        global_rate: Some(Level::Off),
        amplification: Some(Level::Off),
        icmp_rate: None,
    };

    /// The guards of a service of that role.
    pub fn resolve(&self, role: Role) -> Guards {
        let is_stateful = role == Role::Stateful;
        let stateful =
            |said: Option<Level>, number| said.map_or(is_stateful.then_some(number), Level::number);
        Guards {
            source_port: self.source_port.unwrap_or(role != Role::Client),
            rate: stateful(self.rate, RATE),
            global_rate: stateful(self.global_rate, GLOBAL_RATE),
            amplification: stateful(self.amplification, AMPLIFICATION),
            icmp_rate: self.icmp_rate.map_or(Some(ICMP_RATE), Level::number),
        }
    }

    fn levels(&self) -> [(&'static str, Option<Level>); 4] {
        [
            ("rate", self.rate),
            ("global-rate", self.global_rate),
            ("amplification", self.amplification),
            ("icmp-rate", self.icmp_rate),
        ]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), GuardConfigError> {
        let (level, max) = match key {
            "source-port" => {
                self.source_port = Some(switch(value)?);
                return Ok(());
            }
            "rate" => (&mut self.rate, MAX_RATE),
            "global-rate" => (&mut self.global_rate, MAX_RATE),
            "amplification" => (&mut self.amplification, MAX_FACTOR),
            "icmp-rate" => (&mut self.icmp_rate, MAX_RATE),
            _ => return Err(GuardConfigError::UnknownKey(key.to_owned())),
        };
        *level = Some(Level::read(value, max)?);
        Ok(())
    }
}

fn switch(value: &str) -> Result<bool, GuardConfigError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(GuardConfigError::Switch(value.to_owned())),
    }
}

impl Level {
    fn number(self) -> Option<u32> {
        match self {
            Self::Off => None,
            Self::At(number) => Some(number),
        }
    }

    fn read(value: &str, max: u32) -> Result<Self, GuardConfigError> {
        if value == "off" {
            return Ok(Self::Off);
        }
        let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|number| is_plain && (1..=max).contains(number));
        number.map(Self::At).ok_or_else(|| GuardConfigError::Level { value: value.to_owned(), max })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(number) => number.fmt(f),
        }
    }
}

impl fmt::Display for GuardConfig {
    /// What was named, as [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = self.source_port.map(|is_on| if is_on { "on" } else { "off" }.to_owned());
        let levels =
            self.levels().into_iter().map(|(key, level)| (key, level.map(|level| level.to_string())));
        let parts = std::iter::once(("source-port", switch)).chain(levels);
        let named: Vec<_> =
            parts.filter_map(|(key, value)| value.map(|value| format!("{key}={value}"))).collect();
        match named.as_slice() {
            [] => f.write_str("default"),
            named => f.write_str(&named.join(",")),
        }
    }
}

impl FromStr for GuardConfig {
    type Err = GuardConfigError;

    fn from_str(text: &str) -> Result<Self, GuardConfigError> {
        match text {
            "off" => return Ok(Self::OFF),
            "default" => return Ok(Self::default()),
            _ => {}
        }
        let mut config = Self::default();
        let mut keys = Vec::new();
        for part in text.split(',') {
            let (key, value) =
                part.split_once('=').ok_or_else(|| GuardConfigError::NoValue(part.to_owned()))?;
            config.set(key, value)?;
            if keys.contains(&key) {
                return Err(GuardConfigError::Twice(key.to_owned()));
            }
            keys.push(key);
        }
        Ok(config)
    }
}

/// What is wrong with a text of guards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardConfigError {
    /// A part is no `key=value`.
    #[error(
        "guard '{0}' has no value: write rate=5000,source-port=off and the like, with commas and no \
         spaces, or off alone"
    )]
    NoValue(String),
    /// No such guard.
    #[error("there is no guard '{0}': use source-port, rate, global-rate, amplification or icmp-rate")]
    UnknownKey(String),
    /// A guard stands there more than once.
    #[error("guard '{0}' stands there twice: give it once")]
    Twice(String),
    /// Neither on nor off.
    #[error("'{0}' is no switch: write source-port=on or source-port=off")]
    Switch(String),
    /// Not a number in range, and not off.
    #[error("'{value}' is no limit of a guard: write a whole number from 1 to {max}, or off")]
    Level {
        /// What was given.
        value: String,
        /// The highest number that the guard takes.
        max: u32,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_text_reads_and_prints() {
        let text = "source-port=off,rate=5000,global-rate=off,amplification=3,icmp-rate=100";
        let config: GuardConfig = text.parse().expect("valid");
        assert_eq!(config.source_port, Some(false));
        assert_eq!((config.rate, config.global_rate), (Some(Level::At(5000)), Some(Level::Off)));
        assert_eq!(config.to_string(), text);
        assert_eq!(
            "icmp-rate=100,rate=5000".parse::<GuardConfig>().map(|config| config.amplification),
            Ok(None)
        );
    }

    #[test]
    fn off_and_default_stand_alone() {
        assert_eq!("off".parse(), Ok(GuardConfig::OFF));
        assert_eq!("default".parse(), Ok(GuardConfig::default()));
        assert_eq!(GuardConfig::default().to_string(), "default");
        assert_eq!("off,rate=1".parse::<GuardConfig>(), Err(GuardConfigError::NoValue("off".to_owned())));
    }

    #[test]
    fn what_is_not_named_follows_the_role() {
        let open = Guards {
            source_port: true,
            rate: None,
            global_rate: None,
            amplification: None,
            icmp_rate: Some(100),
        };
        let strict =
            Guards { rate: Some(5_000), global_rate: Some(1_000_000), amplification: Some(3), ..open };
        let default = GuardConfig::default();
        assert_eq!(default.resolve(Role::Stateless), open);
        assert_eq!(default.resolve(Role::Stateful), strict);
        let client = Guards { source_port: false, ..open };
        assert_eq!(default.resolve(Role::Client), client);
        let asked: GuardConfig = "source-port=on".parse().expect("valid");
        assert_eq!(asked.resolve(Role::Client), open);
        assert_eq!(GuardConfig::OFF.resolve(Role::Stateful), Guards { source_port: false, ..open });
        let named: GuardConfig = "rate=7,icmp-rate=off,amplification=off".parse().expect("valid");
        assert_eq!(
            named.resolve(Role::Stateful),
            Guards { rate: Some(7), amplification: None, icmp_rate: None, ..strict }
        );
        assert_eq!(named.resolve(Role::Client), Guards { rate: Some(7), icmp_rate: None, ..client });
    }

    #[test]
    fn other_texts_are_refused_with_a_way_out() {
        let error = |text: &str| text.parse::<GuardConfig>().expect_err(text);
        assert_eq!(error(""), GuardConfigError::NoValue(String::new()));
        assert_eq!(error("rate=1,"), GuardConfigError::NoValue(String::new()));
        assert_eq!(error("speed=1"), GuardConfigError::UnknownKey("speed".to_owned()));
        assert_eq!(error("rate=1, rate=1"), GuardConfigError::UnknownKey(" rate".to_owned()));
        assert_eq!(error("rate=1,rate=1"), GuardConfigError::Twice("rate".to_owned()));
        assert_eq!(error("source-port=5"), GuardConfigError::Switch("5".to_owned()));
        for value in ["", "0", "-1", "+1", "1.5", "1k", "on", "1000000001", "4294967296"] {
            let level = GuardConfigError::Level { value: value.to_owned(), max: 1_000_000_000 };
            assert_eq!(error(&format!("rate={value}")), level);
        }
        assert!(error("amplification=1000001").to_string().contains("1 to 1000000, or off"));
        assert!(error("speed=1").to_string().contains("global-rate"));
        assert!(error("rate").to_string().ends_with("no spaces, or off alone"));
    }

    fn level() -> impl Strategy<Value = Option<Level>> {
        prop_oneof![Just(None), Just(Some(Level::Off)), (1..=MAX_FACTOR).prop_map(|n| Some(Level::At(n)))]
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(
            source_port: Option<bool>,
            [rate, global_rate, amplification, icmp_rate] in prop::array::uniform4(level()),
        ) {
            let config = GuardConfig { source_port, rate, global_rate, amplification, icmp_rate };
            prop_assert_eq!(config.to_string().parse(), Ok(config));
        }
    }
}
