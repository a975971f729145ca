//! SipHash-2-4 (Aumasson and Bernstein, 2012) of one 64-bit word: the keyed hash of tables
//! whose keys a peer chooses.

/// A secret key, random per start.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashKey(pub [u64; 2]);

impl HashKey {
    /// The hash of the eight bytes of `word`, least significant first.
    pub(super) fn hash(self, word: u64) -> u64 {
        let [k0, k1] = self.0;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        // The message, then its length in the last block's highest byte.
        for block in [word, 8 << 56] {
            state[3] ^= block;
            (0..2).for_each(|_| round(&mut state));
            state[0] ^= block;
        }
        state[2] ^= 0xff;
        (0..4).for_each(|_| round(&mut state));
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

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

    #[test]
    fn agrees_with_the_reference_vector() {
        // vectors_sip64[8] of the reference implementation: key 00..0f, input 00..07.
        let key = HashKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        assert_eq!(
            key.hash(0x0706_0504_0302_0100).to_le_bytes(),
            [0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93]
        );
    }

    #[test]
    #[allow(deprecated)]
    fn agrees_with_the_standard_library() {
        use std::hash::{Hasher, SipHasher};
        for word in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let mut hasher = SipHasher::new_with_keys(3, 4);
            hasher.write(&u64::to_le_bytes(word));
            assert_eq!(HashKey([3, 4]).hash(word), hasher.finish());
        }
    }
}
