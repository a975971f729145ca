//! SipHash-2-4 (Aumasson and Bernstein, 2012) of a few 64-bit words: the keyed hash of tables
//! whose keys a peer chooses, and of cookies.

/// A secret key, random per start.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashKey(pub [u64; 2]);

impl HashKey {
    /// The hash of the bytes of all `words` in a row, each with its least significant first.
    /// Inputs of different lengths have unrelated hashes.
    #[inline]
    pub fn hash_words<const N: usize>(self, words: [u64; N]) -> u64 {
        let [k0, k1] = self.0;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        words.into_iter().for_each(|word| compress(&mut state, word));
        // The length in bytes stands in the last block's highest byte.
        compress(&mut state, (8 * N as u64) << 56);
        state[2] ^= 0xff;
        (0..4).for_each(|_| round(&mut state));
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

#[inline]
fn compress(state: &mut [u64; 4], block: u64) {
    state[3] ^= block;
    (0..2).for_each(|_| round(state));
    state[0] ^= block;
}

#[inline]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key 00..0f.
    const KEY: HashKey = HashKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);

    #[test]
    fn agrees_with_the_reference_vectors() {
        // vectors_sip64[8], [16] and [24] of the reference implementation: inputs 00.. in a row.
        let word = |first: u8| u64::from_le_bytes(std::array::from_fn(|i| first + i as u8));
        let one = KEY.hash_words([word(0)]);
        let two = KEY.hash_words([word(0), word(8)]);
        let three = KEY.hash_words([word(0), word(8), word(16)]);
        assert_eq!(one.to_le_bytes(), [0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93]);
        assert_eq!(two.to_le_bytes(), [0xdb, 0x9b, 0xc2, 0x57, 0x7f, 0xcc, 0x2a, 0x3f]);
        assert_eq!(three.to_le_bytes(), [0x94, 0xaf, 0x49, 0xf6, 0xc6, 0x50, 0xad, 0xb8]);
    }

    #[test]
    fn agrees_with_the_standard_library() {
        #[allow(deprecated)]
        fn check<const N: usize>(words: [u64; N]) {
            use std::hash::{Hasher, SipHasher};
            let mut hasher = SipHasher::new_with_keys(3, 4);
            words.iter().for_each(|word| hasher.write(&word.to_le_bytes()));
            assert_eq!(HashKey([3, 4]).hash_words(words), hasher.finish(), "{words:?}");
        }
        [0, 1, u64::MAX, 0x0123_4567_89ab_cdef].into_iter().for_each(|word| {
            check([word]);
            check([1, word]);
            check([word, 2, 3, 4, word]);
        });
    }
}
