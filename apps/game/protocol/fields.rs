//! Numbers in their places. A place lies in the message: it is of a fixed length that was checked,
//! so that none of this panics and the compiler sees that.

use super::{Malformed, Vector};

/// Four bytes at `at`.
#[inline(always)]
fn four<const N: usize>(message: &[u8; N], at: usize) -> [u8; 4] {
    [message[at], message[at + 1], message[at + 2], message[at + 3]]
}

#[inline(always)]
pub(super) fn u16_at<const N: usize>(message: &[u8; N], at: usize) -> u16 {
    u16::from_le_bytes([message[at], message[at + 1]])
}

#[inline(always)]
pub(super) fn u32_at<const N: usize>(message: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes(four(message, at))
}

#[inline(always)]
pub(super) fn u64_at<const N: usize>(message: &[u8; N], at: usize) -> u64 {
    u64::from(u32_at(message, at)) | u64::from(u32_at(message, at + 4)) << 32
}

/// A number that is finite.
///
/// # Errors
/// [`Malformed::NotFinite`].
#[inline(always)]
pub(super) fn f32_at<const N: usize>(message: &[u8; N], at: usize) -> Result<f32, Malformed> {
    let number = f32::from_le_bytes(four(message, at));
    if number.is_finite() { Ok(number) } else { Err(Malformed::NotFinite) }
}

/// Three numbers that are finite.
///
/// # Errors
/// [`Malformed::NotFinite`].
#[inline(always)]
pub(super) fn vector_at<const N: usize>(message: &[u8; N], at: usize) -> Result<Vector, Malformed> {
    let number = |index: usize| f32::from_le_bytes(four(message, at + 4 * index));
    let vector = Vector { x: number(0), y: number(1), z: number(2) };
    if vector.is_finite() { Ok(vector) } else { Err(Malformed::NotFinite) }
}

/// Puts bytes at `at`.
#[inline(always)]
pub(super) fn put<const N: usize, const M: usize>(message: &mut [u8; N], at: usize, bytes: [u8; M]) {
    message[at..at + M].copy_from_slice(&bytes);
}

/// Puts three numbers at `at`.
#[inline(always)]
pub(super) fn put_vector<const N: usize>(message: &mut [u8; N], at: usize, vector: Vector) {
    put(message, at, vector.x.to_le_bytes());
    put(message, at + 4, vector.y.to_le_bytes());
    put(message, at + 8, vector.z.to_le_bytes());
}

/// A message of a fixed length.
///
/// # Errors
/// [`Malformed::Size`] if the payload has another.
#[inline(always)]
pub(super) fn whole<const N: usize>(payload: &[u8]) -> Result<&[u8; N], Malformed> {
    payload.try_into().map_err(|_| Malformed::Size)
}
