//! How long the frames are, and what fills them.

use std::fmt;
use std::str::FromStr;

use super::payload::STAMP_LEN;
use super::random::SplitMix64;

/// Ethernet, IPv4 and UDP in front of a payload, in bytes.
const HEADERS_V4: usize = 14 + 20 + 8;
/// Ethernet, IPv6 and UDP.
const HEADERS_V6: usize = 14 + 40 + 8;
/// The simple IMIX: 7 short frames, 4 of middling length and 1 long one.
const IMIX: [usize; 12] = [64, 576, 64, 64, 576, 64, 64, 576, 64, 1500, 576, 64];
/// Lengths that are drawn for a range, and then repeated.
const DRAWN: usize = 4096;
/// The longest IPv4 packet and its Ethernet header.
const MAX_FRAME: usize = 65_535 + 14;

/// `--size`: frame lengths in bytes, from the Ethernet header to the end of the payload, without
/// VLAN tags and the frame check sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Fixed(usize),
    /// Drawn evenly, both ends included.
    Range(usize, usize),
    /// 64, 576 and 1,500 bytes in a ratio of 7 to 4 to 1.
    Imix,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number = text.parse().ok().filter(|number| (1..=MAX_FRAME).contains(number));
            number.ok_or("give a number of bytes, a range as in 64-1500, or imix")
        };
        match text.split_once('-') {
            _ if text == "imix" => Ok(Self::Imix),
            None => Ok(Self::Fixed(number(text)?)),
            Some((from, to)) => match (number(from)?, number(to)?) {
                (from, to) if from <= to => Ok(Self::Range(from, to)),
                _ => Err("the range goes down: write the shorter length first".to_owned()),
            },
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(len) => len.fmt(f),
            Self::Range(from, to) => write!(f, "{from}-{to}"),
            Self::Imix => write!(f, "imix"),
        }
    }
}

/// A frame that is too short for what its datagram has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--size {len} is too short: with the {STAMP_LEN} bytes that measure, the shortest frame to {family} \
     has {min} bytes"
)]
pub(crate) struct TooShort {
    len: usize,
    min: usize,
    family: &'static str,
}

/// The lengths of payloads, in turn and over again.
#[derive(Clone, Debug)]
pub(crate) struct Lengths {
    payloads: Box<[u16]>,
    next: usize,
}

impl Lengths {
    /// Those of frames over IPv4 or IPv6; without a size the shortest that there are. The short
    /// frame of the IMIX has 84 bytes with IPv6.
    pub(crate) fn new(size: Option<Size>, is_ipv4: bool, seed: u64) -> Result<Self, TooShort> {
        let (headers, family) = if is_ipv4 { (HEADERS_V4, "IPv4") } else { (HEADERS_V6, "IPv6") };
        let min = headers + STAMP_LEN;
        let mut random = SplitMix64::new(seed);
        let frames: Vec<_> = match size {
            None => vec![min],
            Some(Size::Fixed(len)) => vec![len],
            Some(Size::Range(from, to)) => {
                let span = (to - from + 1) as u64;
                (0..DRAWN).map(|_| from + random.below(span) as usize).chain([from]).collect()
            }
            Some(Size::Imix) => IMIX.map(|len| len.max(min)).into(),
        };
        let shortest = frames.iter().copied().min().unwrap_or(min);
        if shortest < min {
            return Err(TooShort { len: shortest, min, family });
        }
        let payload = |frame: &usize| u16::try_from(frame - headers).unwrap_or(u16::MAX);
        Ok(Self { payloads: frames.iter().map(payload).collect(), next: 0 })
    }

    /// The longest, in bytes.
    pub(crate) fn max(&self) -> usize {
        self.payloads.iter().copied().max().unwrap_or_default().into()
    }

    /// What the next one will be, in bytes, and how many will be so from there on, at most `most`.
    #[inline]
    pub(crate) fn alike(&self, most: usize) -> (usize, usize) {
        let next = self.payloads[self.next];
        let count = if self.payloads.len() == 1 {
            most
        } else {
            self.payloads[self.next..].iter().take(most).take_while(|&&len| len == next).count()
        };
        (next.into(), count)
    }

    /// Goes on behind so many that are alike.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) {
        if self.payloads.len() > 1 {
            self.next = (self.next + count) % self.payloads.len();
        }
    }
}

/// `--payload`: what stands behind the stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Zeros,
    /// The same random bytes in each datagram.
    Random,
    /// The low byte of the place in the payload.
    Counting,
    /// A text, over and over.
    Text(String),
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("text:")) {
            ("zeros", _) => Ok(Self::Zeros),
            ("random", _) => Ok(Self::Random),
            ("counting", _) => Ok(Self::Counting),
            (_, Some(text)) if !text.is_empty() => Ok(Self::Text(text.to_owned())),
            _ => Err("there are zeros, random, counting and text:WORDS".to_owned()),
        }
    }
}

impl Pattern {
    /// A payload of `len` bytes of it.
    pub(crate) fn filler(&self, len: usize, seed: u64) -> Box<[u8]> {
        let mut random = SplitMix64::new(seed);
        match self {
            Self::Zeros => vec![0; len].into(),
            Self::Random => (0..len).map(|_| random.next() as u8).collect(),
            Self::Counting => (0..len).map(|place| place as u8).collect(),
            Self::Text(text) => text.bytes().cycle().take(len).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, size) in
            [("64", Size::Fixed(64)), ("64-1500", Size::Range(64, 1500)), ("imix", Size::Imix)]
        {
            assert_eq!((text.parse(), size.to_string().as_str()), (Ok(size), text));
        }
        for bad in ["", "0", "x", "65550", "64-", "-64", "1500-64", "64-1500-1"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    fn drawn(size: Option<Size>, is_ipv4: bool, count: usize) -> Vec<usize> {
        let mut lengths = Lengths::new(size, is_ipv4, 1).expect("long enough");
        let next = |_| {
            let (len, _) = lengths.alike(1);
            lengths.skip(1);
            len
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn the_shortest_frame_holds_the_stamp() {
        assert_eq!(drawn(None, true, 2), [22, 22]);
        assert_eq!(drawn(Some(Size::Fixed(64)), true, 2), [22, 22]);
        assert_eq!(drawn(None, false, 1), [22]);
        let error = Lengths::new(Some(Size::Fixed(63)), true, 1).expect_err("too short").to_string();
        assert!(error.contains("--size 63") && error.contains("IPv4 has 64 bytes"), "{error}");
        let error = Lengths::new(Some(Size::Range(64, 1500)), false, 1).expect_err("too short").to_string();
        assert!(error.contains("IPv6 has 84 bytes"), "{error}");
    }

    #[test]
    fn the_imix_has_its_ratio() {
        let lens = drawn(Some(Size::Imix), true, 24);
        let count = |len: usize| lens.iter().filter(|&&other| other == len - HEADERS_V4).count();
        assert_eq!([count(64), count(576), count(1500)], [14, 8, 2]);
        assert!(drawn(Some(Size::Imix), false, 12).contains(&22));
    }

    #[test]
    fn those_that_are_alike_are_counted() {
        let mut imix = Lengths::new(Some(Size::Imix), true, 1).expect("long enough");
        let mut all = Vec::new();
        while all.len() < 25 {
            let (len, count) = imix.alike(16);
            assert!((1..=2).contains(&count), "{count}");
            assert_eq!(imix.alike(1), (len, 1));
            imix.skip(count);
            all.extend(std::iter::repeat_n(len, count));
        }
        assert_eq!(all[..24], drawn(Some(Size::Imix), true, 24));
        let mut one = Lengths::new(None, true, 1).expect("long enough");
        assert_eq!(one.alike(16), (22, 16));
        one.skip(16);
        assert_eq!(one.alike(1), (22, 1));
    }

    #[test]
    fn a_range_is_drawn_evenly() {
        let lens = drawn(Some(Size::Range(100, 199)), true, 4000);
        assert!(lens.iter().all(|len| (58..158).contains(len)));
        let low = lens.iter().filter(|&&len| len < 108).count();
        assert!((1800..2200).contains(&low), "{low}");
    }

    #[test]
    fn patterns_fill() {
        let filler = |text: &str| text.parse::<Pattern>().expect("valid").filler(5, 1);
        assert_eq!(*filler("zeros"), [0; 5]);
        assert_eq!(*filler("counting"), [0, 1, 2, 3, 4]);
        assert_eq!(*filler("text:ab"), *b"ababa");
        assert_ne!(*filler("random"), [0; 5]);
        assert!("ones".parse::<Pattern>().is_err() && "text:".parse::<Pattern>().is_err());
    }
}
