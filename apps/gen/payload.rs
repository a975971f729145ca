//! What a datagram of the generator carries, so that its answer tells which it is, when it was
//! meant to leave, and whether it came back as it was.
//!
//! | bytes  | what                                                                    |
//! |--------|-------------------------------------------------------------------------|
//! | 0..2   | `Gn`                                                                    |
//! | 2      | the stream: the number of the lcore that sent it                        |
//! | 3      | the trial; 0 for datagrams that are not measured                        |
//! | 4..12  | its number in the stream, from 0                                        |
//! | 12..20 | when it was meant to leave, in nanoseconds of the generator's clock     |
//! | 20..22 | a check over all that, the payload's length and the run's secret        |
//! | 22..   | the filler                                                              |
//!
//! Numbers are big-endian. The check finds 65,535 of 65,536 changes; the filler is compared.

use gannet::wire::checksum::Sum;

/// Length in bytes of what the filler stands behind.
pub(crate) const STAMP_LEN: usize = 22;

const MAGIC: [u8; 2] = *b"Gn";

/// What a datagram of a run says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) stream: u8,
    pub(crate) trial: u8,
    pub(crate) sequence: u64,
    /// Nanoseconds of the generator's clock.
    pub(crate) intended: u64,
}

/// What a payload turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// One of this run's, whole.
    Whole(Stamp),
    /// None of ours, or not as it was sent.
    Broken,
}

/// Writes and reads the payloads of one run.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    /// Tells runs apart.
    secret: u64,
    filler: Box<[u8]>,
}

impl Codec {
    /// With a filler for payloads of up to its length, stamp included.
    pub(crate) fn new(secret: u64, filler: Box<[u8]>) -> Self {
        Self { secret, filler }
    }

    /// Fills a payload, of [`STAMP_LEN`] bytes or more and no longer than the filler.
    #[inline]
    pub(crate) fn write(&self, stamp: Stamp, into: &mut [u8]) {
        let len = into.len();
        let Some((head, rest)) = into.split_first_chunk_mut::<STAMP_LEN>() else { return };
        *head = Words::new(self.secret, stamp, len).bytes();
        if !rest.is_empty() {
            rest.copy_from_slice(&self.filler[STAMP_LEN..len]);
        }
    }

    /// Payloads of that length, [`STAMP_LEN`] bytes or more and no more than the filler, that are numbered
    /// from `first` on.
    #[inline]
    pub(crate) fn series(&self, first: Stamp, len: usize) -> Series<'_> {
        let filler = self.filler.get(STAMP_LEN..len).unwrap_or_default();
        let sum = Words::new(self.secret, first, len).unchecked_sum() + Sum::of(filler);
        let seed = check_seed(self.secret, first, len);
        Series {
            kind: kind(first),
            seed,
            state: mix(seed, first.intended),
            first,
            filler,
            sum: u16::from_be_bytes(sum.fold()),
        }
    }

    /// Reads the payload of an answer.
    #[inline]
    pub(crate) fn read(&self, payload: &[u8]) -> Read {
        let Some((head, rest)) = payload.split_first_chunk::<STAMP_LEN>() else { return Read::Broken };
        let [_, _, stream, trial, s0, s1, s2, s3, s4, s5, s6, s7, i0, i1, i2, i3, i4, i5, i6, i7, ..] = *head;
        let stamp = Stamp {
            stream,
            trial,
            sequence: u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            intended: u64::from_be_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
        };
        let is_whole = *head == Words::new(self.secret, stamp, payload.len()).bytes()
            && self.filler.get(STAMP_LEN..payload.len()).is_some_and(|filler| filler == rest);
        if is_whole { Read::Whole(stamp) } else { Read::Broken }
    }
}

/// Payloads of one length: they differ in their number, and may in the moment when they are meant to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    /// What stamps begin with.
    kind: [u8; 4],
    /// What their checks have in common.
    seed: u64,
    /// The same for those that are meant to leave when the first one is.
    state: u64,
    first: Stamp,
    filler: &'a [u8],
    /// Of the first one, all but its check, folded: what is added to it has no carries to look for.
    sum: u16,
}

impl Series<'_> {
    /// Fills the payload that is so many behind the first, and is meant to leave when that is. Gives its sum.
    #[inline]
    pub(crate) fn write(&self, number: u16, into: &mut [u8]) -> Sum {
        self.write_as(number, self.first.intended, self.state, into)
    }

    /// Fills the payload that is so many behind the first, and is meant to leave so many nanoseconds after it.
    /// Gives its sum.
    #[inline]
    pub(crate) fn write_later(&self, number: u16, later: u32, into: &mut [u8]) -> Sum {
        let intended = self.first.intended + u64::from(later);
        self.write_as(number, intended, mix(self.seed, intended), into) + Sum::of_u32(later)
    }

    #[inline]
    fn write_as(&self, number: u16, intended: u64, state: u64, into: &mut [u8]) -> Sum {
        let Some((head, rest)) = into.split_first_chunk_mut::<STAMP_LEN>() else { return Sum::ZERO };
        // Field by field: none of them is to be shifted into another.
        let sequence = self.first.sequence + u64::from(number);
        let check = check(state, sequence);
        head[..4].copy_from_slice(&self.kind);
        head[4..12].copy_from_slice(&sequence.to_be_bytes());
        head[12..20].copy_from_slice(&intended.to_be_bytes());
        head[20..].copy_from_slice(&check.to_be_bytes());
        if !self.filler.is_empty() {
            rest.copy_from_slice(self.filler);
        }
        // A ones-complement sum grows by as much as a number in it does.
        Sum::of_u16(self.sum) + Sum::of_u16(number) + Sum::of_u16(check)
    }
}

/// A stamp in few wide words, which are written at once and read back in such.
#[derive(Clone, Copy)]
struct Words {
    first: u64,
    second: u64,
    /// The end of the second one again, and what is behind it.
    third: u64,
}

impl Words {
    #[inline]
    fn new(secret: u64, stamp: Stamp, len: usize) -> Self {
        let Stamp { sequence, intended, .. } = stamp;
        let check = check(mix(check_seed(secret, stamp, len), intended), sequence);
        Self {
            first: u64::from(u32::from_be_bytes(kind(stamp))) << 32 | sequence >> 32,
            second: sequence << 32 | intended >> 32,
            third: intended << 16 | u64::from(check),
        }
    }

    /// The sum over all bytes but the check.
    #[inline]
    fn unchecked_sum(self) -> Sum {
        // The third word's first bytes are the second one's last.
        Sum::of_u64(self.first) + Sum::of_u64(self.second) + Sum::of_u32((self.third >> 16) as u32)
    }

    #[inline]
    fn bytes(self) -> [u8; STAMP_LEN] {
        let mut bytes = [0; STAMP_LEN];
        bytes[..8].copy_from_slice(&self.first.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.second.to_be_bytes());
        bytes[14..].copy_from_slice(&self.third.to_be_bytes());
        bytes
    }
}

/// What a stamp begins with.
#[inline]
fn kind(stamp: Stamp) -> [u8; 4] {
    [MAGIC[0], MAGIC[1], stamp.stream, stamp.trial]
}

/// The check of the datagram with that number: the number comes last, since what is before it, those that
/// leave at one moment have in common.
#[inline]
fn check(state: u64, sequence: u64) -> u16 {
    (mix(state, sequence) >> 48) as u16
}

/// What a check begins with, of a payload of that length in bytes; the moment is mixed into it first.
#[inline]
fn check_seed(secret: u64, stamp: Stamp, len: usize) -> u64 {
    secret ^ (u64::from(stamp.stream) << 56 | u64::from(stamp.trial) << 48 | len as u64)
}

/// Spreads each bit of both over the upper half of the result.
#[inline]
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codec(secret: u64) -> Codec {
        Codec::new(secret, (0..1472).map(|at| at as u8).collect())
    }

    fn stamps() -> impl Strategy<Value = Stamp> {
        (any::<u8>(), any::<u8>(), any::<u64>(), any::<u64>())
            .prop_map(|(stream, trial, sequence, intended)| Stamp { stream, trial, sequence, intended })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(stamp in stamps(), len in STAMP_LEN..=1472, secret: u64) {
            let mut payload = vec![0; len];
            codec(secret).write(stamp, &mut payload);
            prop_assert_eq!(&payload[STAMP_LEN..], &codec(0).filler[STAMP_LEN..len]);
            prop_assert_eq!(codec(secret).read(&payload), Read::Whole(stamp));
        }

        #[test]
        fn a_series_is_numbered_and_summed(
            stamp in stamps(), number: u16, later: u32, len in STAMP_LEN..=1472, secret: u64,
        ) {
            let first = Stamp { sequence: stamp.sequence >> 1, intended: stamp.intended >> 1, ..stamp };
            let codec = codec(secret);
            let series = codec.series(first, len);
            let (mut payload, mut alone) = (vec![0; len], vec![0; len]);
            let sequence = first.sequence + u64::from(number);
            for (intended, later) in [(first.intended, None), (first.intended + u64::from(later), Some(later))] {
                let sum = match later {
                    None => series.write(number, &mut payload),
                    Some(later) => series.write_later(number, later, &mut payload),
                };
                codec.write(Stamp { sequence, intended, ..first }, &mut alone);
                prop_assert_eq!(sum.fold(), Sum::of(&payload).fold());
                prop_assert_eq!(&payload, &alone);
            }
        }

        #[test]
        fn a_changed_payload_is_broken(
            stamp in stamps(), len in STAMP_LEN..=200, at in 0..200_usize, bit in 0..8_u32, cut in 0..200_usize,
        ) {
            let mut payload = vec![0; len];
            codec(1).write(stamp, &mut payload);
            prop_assert_eq!(codec(1).read(&payload[..cut % len]), Read::Broken);
            payload[at % len] ^= 1_u8 << bit;
            prop_assert_eq!(codec(1).read(&payload), Read::Broken);
        }

        #[test]
        fn anything_can_be_read(payload in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = codec(1).read(&payload);
        }
    }

    #[test]
    fn the_map_is_the_documented_one() {
        let stamp = Stamp { stream: 1, trial: 2, sequence: 3, intended: 0x0405 };
        let mut payload = [0xff; 24];
        codec(9).write(stamp, &mut payload);
        let expected = *b"Gn\x01\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\x04\x05";
        assert_eq!(payload[..20], expected);
        assert_eq!(payload[22..], [22, 23]);
    }

    #[test]
    fn another_run_s_is_not_ours() {
        let mut payload = [0; STAMP_LEN];
        codec(1).write(Stamp::default(), &mut payload);
        assert_eq!(codec(2).read(&payload), Read::Broken);
    }
}
