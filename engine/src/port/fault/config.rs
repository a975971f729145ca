//! Which faults, and how often: the text of `--fault`.

use std::fmt;
use std::str::FromStr;

use super::random::SplitMix64;

/// Parts of a whole that a [`Probability`] counts in: 0.0001 % each.
const WHOLE: u32 = 1_000_000;
/// Parts in one per cent.
const PER_CENT: u32 = WHOLE / 100;

/// How often something happens, in steps of 0.0001 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probability(u32);

impl Probability {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It happens every time.
    pub const ALWAYS: Self = Self(WHOLE);

    /// So many times in a million; more than that is always.
    pub const fn per_million(times: u32) -> Self {
        Self(if times < WHOLE { times } else { WHOLE })
    }

    /// Whether it happens this time. Takes one number, whatever the probability.
    pub(super) fn happens(self, random: &mut SplitMix64) -> bool {
        random.below(WHOLE as usize) < self.0 as usize
    }
}

impl fmt::Display for Probability {
    /// In per cent: `0.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / f64::from(PER_CENT))
    }
}

impl FromStr for Probability {
    type Err = FaultConfigError;

    /// Reads per cents with their sign (`0.5%`, up to `100%`) or a fraction below one (`0.005`).
    fn from_str(text: &str) -> Result<Self, FaultConfigError> {
        let error = || FaultConfigError::Probability(text.to_owned());
        let (number, unit, limit) = match text.strip_suffix('%') {
            Some(number) => (number, PER_CENT, 100.0),
            // A bare 1 could be meant as either, so it is neither.
            None => (text, WHOLE, 1.0_f64.next_down()),
        };
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number: f64 = number.parse().ok().filter(|_| is_plain).ok_or_else(error)?;
        if !(0.0..=limit).contains(&number) {
            return Err(error());
        }
        let parts = (number * f64::from(unit)).round() as u32;
        if parts == 0 && number > 0.0 {
            return Err(error());
        }
        Ok(Self(parts))
    }
}

/// Which faults a [`Fault`](super::Fault) port makes, and how often. None by default.
///
/// As text: `loss=1%,duplicate=0.5%,reorder=2%,truncate=1%,short-tx=10%,seed=7`, each part
/// at most once and in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultConfig {
    /// Received frames that are lost.
    pub loss: Probability,
    /// Received frames that come twice.
    pub duplicate: Probability,
    /// Received frames that later ones overtake.
    pub reorder: Probability,
    /// Received frames whose end is cut off.
    pub truncate: Probability,
    /// Bursts of which only a part is sent at once.
    pub short_tx: Probability,
    /// Where the random numbers start. The same seed makes the same faults of the same bursts.
    pub seed: u64,
}

impl FaultConfig {
    fn probabilities(&self) -> [(&'static str, Probability); 5] {
        [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("truncate", self.truncate),
            ("short-tx", self.short_tx),
        ]
    }

    /// Whether received frames are left alone.
    pub(super) fn spares_receive(&self) -> bool {
        [self.loss, self.duplicate, self.reorder, self.truncate].iter().all(|&p| p == Probability::NEVER)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), FaultConfigError> {
        let probability = match key {
            "loss" => &mut self.loss,
            "duplicate" => &mut self.duplicate,
            "reorder" => &mut self.reorder,
            "truncate" => &mut self.truncate,
            "short-tx" => &mut self.short_tx,
            "seed" => {
                self.seed = value.parse().map_err(|_| FaultConfigError::Seed(value.to_owned()))?;
                return Ok(());
            }
            _ => return Err(FaultConfigError::UnknownKey(key.to_owned())),
        };
        *probability = value.parse()?;
        Ok(())
    }
}

impl fmt::Display for FaultConfig {
    /// The faults that are on, and the seed, as [`FromStr`] reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = self.probabilities().into_iter().filter(|&(_, p)| p != Probability::NEVER);
        for (key, probability) in on {
            write!(f, "{key}={probability},")?;
        }
        write!(f, "seed={}", self.seed)
    }
}

impl FromStr for FaultConfig {
    type Err = FaultConfigError;

    fn from_str(text: &str) -> Result<Self, FaultConfigError> {
        let mut config = Self::default();
        let mut keys = Vec::new();
        for part in text.split(',') {
            let (key, value) =
                part.split_once('=').ok_or_else(|| FaultConfigError::NoValue(part.to_owned()))?;
            config.set(key, value)?;
            if keys.contains(&key) {
                return Err(FaultConfigError::Twice(key.to_owned()));
            }
            keys.push(key);
        }
        Ok(config)
    }
}

/// What is wrong with a text of faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultConfigError {
    /// A part is no `key=value`.
    #[error("fault '{0}' has no value: write loss=1%,seed=7 and the like, with commas and no spaces")]
    NoValue(String),
    /// No such fault.
    #[error("there is no fault '{0}': use loss, duplicate, reorder, truncate, short-tx or seed")]
    UnknownKey(String),
    /// A fault stands there more than once.
    #[error("fault '{0}' stands there twice: give it once")]
    Twice(String),
    /// Not a probability, or out of range.
    #[error(
        "'{0}' is no probability: write 0% to 100% in steps of 0.0001%, or a fraction below 1 such as 0.01"
    )]
    Probability(String),
    /// Not a seed.
    #[error("'{0}' is no seed: write a whole number from 0 to 18446744073709551615")]
    Seed(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_text_reads_and_prints() {
        let text = "loss=1%,duplicate=0.5%,reorder=2%,truncate=0.0001%,short-tx=10%,seed=7";
        let config: FaultConfig = text.parse().expect("valid");
        assert_eq!(config.duplicate, Probability::per_million(5000));
        assert_eq!(config.truncate, Probability::per_million(1));
        assert_eq!(config.seed, 7);
        assert_eq!(config.to_string(), text);
        assert_eq!("seed=0".parse(), Ok(FaultConfig::default()));
        assert_eq!(FaultConfig::default().to_string(), "seed=0");
    }

    #[test]
    fn fractions_and_per_cents_are_the_same() {
        for (fraction, per_cent) in [("0.01", "1%"), ("0", "0%"), (".5", "50.0%"), ("0.07", "7%")] {
            assert_eq!(fraction.parse::<Probability>(), per_cent.parse(), "{fraction}");
        }
        assert_eq!("100%".parse(), Ok(Probability::ALWAYS));
    }

    #[test]
    fn other_texts_are_refused_with_a_way_out() {
        let bad = [
            "100.1%", "-1%", "1", "1.0", "5", "nan", "inf", "1e-2", "+1%", "", "%", "1%%", "1 %", "0.00001%",
        ];
        for text in bad {
            assert_eq!(text.parse::<Probability>(), Err(FaultConfigError::Probability(text.to_owned())));
        }
        let error = |text: &str| text.parse::<FaultConfig>().expect_err(text);
        assert_eq!(error(""), FaultConfigError::NoValue(String::new()));
        assert_eq!(error("loss"), FaultConfigError::NoValue("loss".to_owned()));
        assert_eq!(error("loss=1%,"), FaultConfigError::NoValue(String::new()));
        assert_eq!(error("delay=1%"), FaultConfigError::UnknownKey("delay".to_owned()));
        assert_eq!(error("loss=1%, seed=1"), FaultConfigError::UnknownKey(" seed".to_owned()));
        assert_eq!(error("loss=1%,loss=2%"), FaultConfigError::Twice("loss".to_owned()));
        assert_eq!(error("loss=101%"), FaultConfigError::Probability("101%".to_owned()));
        assert_eq!(error("seed=x"), FaultConfigError::Seed("x".to_owned()));
        assert!(error("delay=1%").to_string().contains("reorder"));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(parts in prop::array::uniform5(0..=WHOLE), seed: u64) {
            let [loss, duplicate, reorder, truncate, short_tx] = parts.map(Probability);
            let config = FaultConfig { loss, duplicate, reorder, truncate, short_tx, seed };
            prop_assert_eq!(config.to_string().parse(), Ok(config));
        }
    }
}
