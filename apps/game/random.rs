//! Randomness that a seed fixes.

use gannet::host::HashKey;

/// Numbers that nobody guesses who does not know the seed, each from its own count: SipHash of how
/// many there were.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: HashKey,
    count: u64,
}

impl Random {
    /// The sequence of a seed; lcores have one each.
    pub(crate) fn new(seed: HashKey, lcore: u32) -> Self {
        let of = |label| seed.hash_words([label, lcore.into()]);
        Self { key: HashKey([of(0), of(1)]), count: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.count += 1;
        self.key.hash_words([self.count])
    }

    /// A number from 0 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        // 24 bits are what the type holds.
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }
}
