//! What the judge needs of a processor: a few operations on a column.

use super::{AT_A_TIME, Eight, Head};

/// The same four bytes of several frames, as 32-bit words in the order of memory: the first two
/// bytes are the low half on the little-endian machines that have vector kernels, and whatever
/// the machine the halves are named by their place.
pub(super) trait Lanes: Copy {
    /// Frames in a column: 4 or 8.
    const COUNT: usize;

    /// Numbers `at` and following.
    fn load(from: &Eight, at: usize) -> Self;
    /// Makes numbers `at` and following these.
    fn store(self, into: &mut Eight, at: usize);
    /// The columns of heads `at` and following: the 16 bytes from `from` on, 48 at most.
    fn columns(heads: &[&Head; AT_A_TIME], at: usize, from: usize) -> [Self; 4];
    /// The sums over the payloads of heads `at` and following, as little-endian words. Where a
    /// payload is not short, anything.
    fn payload_sums(heads: &[&Head; AT_A_TIME], at: usize) -> Self;

    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// Modulo 2^32.
    fn add(self, other: Self) -> Self;
    /// All ones where the words are the same.
    fn eq(self, other: Self) -> Self;
    /// All ones where the word is greater, both having a sign.
    fn gt(self, other: Self) -> Self;
    /// The high half, as a number.
    fn high(self) -> Self;
    /// The low half, read in the other byte order.
    fn low_swapped(self) -> Self;
    /// A bit for each word: its highest.
    fn bits(self) -> u32;
}
