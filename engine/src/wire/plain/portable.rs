//! Columns in plain Rust, for processors without a vector kernel.

use super::lanes::Lanes;
use super::{AT_A_TIME, Eight, HEADERS_LEN, Head, SHORT};

/// Eight words.
#[derive(Clone, Copy)]
pub(super) struct Portable([u32; AT_A_TIME]);

impl Portable {
    fn zip(self, other: Self, with: impl Fn(u32, u32) -> u32) -> Self {
        Self(std::array::from_fn(|index| with(self.0[index], other.0[index])))
    }
}

/// Little-endian whatever the machine, so that the halves are where the judge expects them.
fn word(head: &Head, at: usize) -> u32 {
    let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
    u32::from_le_bytes(bytes)
}

impl Lanes for Portable {
    const COUNT: usize = AT_A_TIME;

    fn load(from: &Eight, _at: usize) -> Self {
        Self(from.0)
    }

    fn store(self, into: &mut Eight, _at: usize) {
        into.0 = self.0;
    }

    fn columns(heads: &[&Head; AT_A_TIME], _at: usize, from: usize) -> [Self; 4] {
        [0, 4, 8, 12].map(|at| Self(heads.map(|head| word(head, from + at))))
    }

    fn payload_sums(heads: &[&Head; AT_A_TIME], _at: usize) -> Self {
        Self(heads.map(|head| {
            let len = usize::from(head[39]).saturating_sub(8).min(SHORT);
            let (words, last) = head[HEADERS_LEN..HEADERS_LEN + len].as_chunks();
            let sum: u32 = words.iter().map(|&word| u32::from(u16::from_le_bytes(word))).sum();
            sum + last.first().map_or(0, |&byte| byte.into())
        }))
    }

    fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    fn or(self, other: Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    fn xor(self, other: Self) -> Self {
        self.zip(other, |a, b| a ^ b)
    }

    fn add(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_add)
    }

    fn eq(self, other: Self) -> Self {
        self.zip(other, |a, b| if a == b { u32::MAX } else { 0 })
    }

    fn gt(self, other: Self) -> Self {
        self.zip(other, |a, b| if a.cast_signed() > b.cast_signed() { u32::MAX } else { 0 })
    }

    fn high(self) -> Self {
        Self(self.0.map(|word| word >> 16))
    }

    fn low_swapped(self) -> Self {
        Self(self.0.map(|word| u32::from((word as u16).swap_bytes())))
    }

    fn bits(self) -> u32 {
        self.0.iter().rev().fold(0, |bits, word| bits << 1 | word >> 31)
    }
}
