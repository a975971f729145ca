//! Fragments without sense, against a slow model that knows the rules and nothing of how they
//! are kept: every outcome is the model's, and the books balance after every frame.

use super::*;

const DATAGRAMS: usize = 10;
const FRAGMENTS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(30);

/// A fragment of the soup: small numbers, so that they meet.
#[derive(Clone, Debug)]
struct Spoonful {
    is_ipv6: bool,
    source: u8,
    identification: u32,
    offset: usize,
    len: usize,
    more: bool,
    byte: u8,
    /// Time that passes before it, in seconds.
    pause: u64,
}

fn spoonful() -> impl Strategy<Value = Spoonful> {
    let offset = prop_oneof![40 => (0..8_usize).prop_map(|units| units * 8), 1 => Just(65_504_usize)];
    let len = prop_oneof![20 => Just(8_usize), 2 => Just(16_usize), 1 => 0..40_usize];
    let pause = prop_oneof![80 => Just(0), 8 => 1..10_u64, 1 => 20..40_u64];
    let byte = prop_oneof![20 => Just(0), 1 => Just(1)];
    (any::<bool>(), 0..3_u8, 0..3_u32, offset, len, prop::bool::weighted(0.85), byte, pause).prop_map(
        |(is_ipv6, source, identification, offset, len, more, byte, pause)| Spoonful {
            is_ipv6,
            source,
            identification,
            offset,
            len,
            more,
            byte,
            pause,
        },
    )
}

/// A datagram of the model: its fragments as they came.
#[derive(Debug)]
struct Draft {
    key: (bool, u8, u32),
    start: Time,
    parts: Vec<Spoonful>,
    is_condemned: bool,
}

/// The datagrams in the order in which their first frames came.
#[derive(Debug, Default)]
struct Model(Vec<Draft>);

impl Model {
    fn held(&self) -> usize {
        self.0.iter().map(|draft| draft.parts.len()).sum()
    }

    /// Gives the frames of each datagram that expires aloud.
    fn step(&mut self, now: Time) -> Vec<usize> {
        let over = self.0.extract_if(.., |draft| now >= draft.start + TIMEOUT);
        over.filter(|draft| !draft.is_condemned).map(|draft| draft.parts.len()).collect()
    }

    fn evict(&mut self, key: (bool, u8, u32)) -> usize {
        let is_same = |draft: &Draft| (draft.key.0, draft.key.1) == (key.0, key.1);
        let victim = if self.0.iter().filter(|draft| is_same(draft)).count() == DATAGRAMS / 4 {
            self.0.iter().position(is_same)
        } else {
            (self.0.len() == DATAGRAMS).then_some(0)
        };
        victim.map_or(0, |victim| self.0.remove(victim).parts.len())
    }

    /// What has to become of a frame: how many are evicted, and the outcome, as text.
    fn insert(&mut self, now: Time, part: &Spoonful) -> (usize, String) {
        if let Some(reason) = alone(part) {
            return (0, format!("{:?}", dropped(reason, 0)));
        }
        let key = (part.is_ipv6, part.source, part.identification);
        let mut evicted = 0;
        if !self.0.iter().any(|draft| draft.key == key) {
            evicted = self.evict(key);
            self.0.push(Draft { key, start: now, parts: Vec::new(), is_condemned: false });
        }
        let index = self.0.iter().position(|draft| draft.key == key).expect("just made");
        let outcome = self.0[index].add(part);
        if outcome.starts_with("complete") {
            self.0.remove(index);
        }
        (evicted, outcome)
    }
}

impl Draft {
    fn add(&mut self, part: &Spoonful) -> String {
        match self.verdict(part) {
            Ok(()) => {
                self.parts.push(part.clone());
                self.bytes().map_or("Held".into(), |bytes| complete(&bytes, self.parts.len()))
            }
            Err(Reason::Duplicate) => format!("{:?}", dropped(Reason::Duplicate, 0)),
            Err(reason) => {
                self.is_condemned = true;
                format!("{:?}", dropped(reason, std::mem::take(&mut self.parts).len()))
            }
        }
    }

    fn verdict(&self, part: &Spoonful) -> Result<(), Reason> {
        let end = |part: &Spoonful| part.offset + part.len;
        let disagree = |one: &Spoonful, other: &Spoonful| {
            !one.more && end(other) >= end(one) && (other.more || end(other) > end(one))
        };
        let same =
            |other: &Spoonful| (other.offset, other.len, other.byte) == (part.offset, part.len, part.byte);
        if self.is_condemned {
            Err(Reason::Condemned)
        } else if self.parts.iter().any(|other| disagree(other, part) || disagree(part, other)) {
            Err(Reason::Contradiction)
        } else if self.parts.iter().any(same) {
            Err(Reason::Duplicate)
        } else if self.parts.iter().any(|other| other.offset < end(part) && part.offset < end(other)) {
            Err(Reason::Overlap)
        } else if self.parts.len() == FRAGMENTS {
            Err(Reason::TooMany)
        } else {
            Ok(())
        }
    }

    /// The datagram byte by byte, if none is missing.
    fn bytes(&self) -> Option<Vec<u8>> {
        let last = self.parts.iter().find(|part| !part.more)?;
        let byte_at = |at| self.parts.iter().find(|part| (part.offset..part.offset + part.len).contains(&at));
        (0..last.offset + last.len).map(|at| byte_at(at).map(|part| part.byte)).collect()
    }
}

/// What is wrong with a frame of the soup whatever came before it.
fn alone(part: &Spoonful) -> Option<Reason> {
    let longest = if part.is_ipv6 { 65_535 } else { 65_515 };
    if part.len == 0 || part.more && !part.len.is_multiple_of(8) {
        Some(Reason::Malformed)
    } else if part.offset + part.len > longest {
        Some(Reason::TooLong)
    } else {
        (part.offset == 0 && part.len < 8).then_some(Reason::HeaderChain)
    }
}

fn complete(bytes: &[u8], fragments: usize) -> String {
    format!("complete: {bytes:?} of {fragments}")
}

fn insert_part(reassembly: &mut Reassembly, now: Time, part: &Spoonful) -> (usize, String, usize) {
    let bytes = vec![part.byte; part.len];
    let made = if part.is_ipv6 { fragment6 } else { fragment };
    let source = match part.is_ipv6 {
        true => IpAddr::V6((u128::from(part.source) << 64).into()),
        false => IpAddr::V4(u32::from(part.source).into()),
    };
    let identification = part.identification;
    let fragment = Fragment { source, identification, ..made(part.offset, part.more, &bytes) };
    let Insertion { evicted, outcome } = reassembly.insert(now, &fragment);
    match outcome {
        Outcome::Held => (evicted, "Held".into(), 0),
        Outcome::Dropped { fragments, .. } => (evicted, format!("{outcome:?}"), 1 + fragments),
        Outcome::Complete(joined) => {
            let bytes = &reassembly.room_mut(&joined)[..joined.len];
            (evicted, complete(bytes, joined.fragments), joined.fragments)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_outcome_is_the_models_and_the_books_balance(soup in vec(spoonful(), 0..200)) {
        let (mut reassembly, mut model) = (reassembly(DATAGRAMS, FRAGMENTS), Model::default());
        let (mut now, mut ended) = (Time::ZERO, 0);
        for (index, part) in soup.iter().enumerate() {
            // A nanosecond each, so that no two datagrams are of one age.
            now = now + Duration::from_secs(part.pause) + Duration::from_nanos(1);
            let mut expired = Vec::new();
            if now >= reassembly.next_deadline() {
                reassembly.step(now, |datagram| expired.push(datagram.fragments));
            }
            ended += expired.iter().sum::<usize>();
            let mut expected = model.step(now);
            expired.sort();
            expected.sort();
            prop_assert_eq!(expired, expected);
            let (evicted, outcome, frames) = insert_part(&mut reassembly, now, part);
            prop_assert_eq!((evicted, outcome), model.insert(now, part), "{:?}", part);
            ended += evicted + frames;
            prop_assert_eq!(reassembly.held(), model.held());
            prop_assert_eq!(ended + reassembly.held(), index + 1);
            prop_assert!(reassembly.held() <= DATAGRAMS * FRAGMENTS);
        }
        let held = reassembly.held();
        prop_assert_eq!((reassembly.clear(), reassembly.held()), (held, 0));
    }
}
