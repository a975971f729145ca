//! Rates: token buckets, one for everything or one for each source.
//!
//! A bucket is a single number: the moment at which it will be full again. A datagram moves
//! that by what a token takes to come back, and is refused if the bucket would then be more
//! than empty (the virtual scheduling of ITU-T I.371, annex A). Who is refused pays nothing,
//! so a source that sends too much still gets its rate.

use std::net::IpAddr;

use super::table::{Fingerprint, Table};
use crate::host::siphash::HashKey;
use crate::time::Time;

/// Moments are counted in sixteenths of a nanosecond, so that high rates are exact to some
/// parts in a thousand: a rate that does not divide a second is that much lower than named.
/// They last for 36 years.
const PARTS_PER_NANO: u64 = 16;
const PARTS_PER_SECOND: u64 = PARTS_PER_NANO * 1_000_000_000;
/// Tokens of the smallest bucket.
const LEAST_BURST: u32 = 32;

/// How fast tokens come back, and how many a bucket holds: those of a tenth of a second, and
/// [`LEAST_BURST`] at least.
#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Between two tokens.
    interval: u64,
    /// Until an empty bucket is full.
    depth: u64,
}

impl Limit {
    fn per_second(rate: u32) -> Self {
        let interval = PARTS_PER_SECOND.div_ceil(rate.max(1).into());
        Self { interval, depth: interval * u64::from(LEAST_BURST.max(rate / 10)) }
    }

    /// Takes a token from a bucket, if it has one.
    #[inline]
    fn take(self, now: Time, full_at: &mut u64) -> bool {
        let now = now.as_nanos().saturating_mul(PARTS_PER_NANO);
        let next = now.max(*full_at).saturating_add(self.interval);
        let is_there = next - now <= self.depth;
        if is_there {
            *full_at = next;
        }
        is_there
    }
}

/// A single rate.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: Limit,
    full_at: u64,
}

impl Bucket {
    /// A full one, for so many a second.
    pub(crate) fn new(rate: u32) -> Self {
        Self { limit: Limit::per_second(rate), full_at: 0 }
    }

    /// Whether one more may pass; it has then passed.
    #[inline]
    pub(crate) fn take(&mut self, now: Time) -> bool {
        self.limit.take(now, &mut self.full_at)
    }
}

/// The rate of each source: an IPv4 address, or an IPv6 /64.
///
/// It knows the last 16,384 sources, in 256 KiB; a datagram touches two cache lines of that.
/// Where a source needs the place of another, the fullest bucket goes: its source is hardly
/// to be told from a new one, so what is over its rate stays however many sources come.
#[derive(Debug)]
pub(crate) struct Rates {
    limit: Limit,
    key: HashKey,
    full_at: Table<u64>,
}

impl Rates {
    /// For so many datagrams a second from a source.
    pub(crate) fn new(rate: u32, key: HashKey) -> Self {
        Self { limit: Limit::per_second(rate), key, full_at: Table::new() }
    }

    /// Whether one more datagram may pass; it has then passed.
    #[inline]
    pub(crate) fn take(&mut self, now: Time, source: IpAddr) -> bool {
        let bucket = self.full_at.entry(Fingerprint::of_network(self.key, source));
        self.limit.take(now, bucket)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const KEY: HashKey = HashKey([1, 2]);

    fn nanos(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    /// Datagrams that pass when `per_second` come evenly for `seconds`.
    fn passing(mut take: impl FnMut(Time) -> bool, per_second: u64, seconds: u64) -> u64 {
        let step = 1_000_000_000 / per_second;
        (0..per_second * seconds).filter(|n| take(nanos(n * step))).count() as u64
    }

    #[test]
    fn what_comes_too_fast_gets_its_burst_and_then_its_rate() {
        // The last of 10 seconds begins 50 us before their end, in which no token comes.
        let mut bucket = Bucket::new(5_000);
        assert_eq!(passing(|now| bucket.take(now), 20_000, 10), 500 + 50_000 - 1);
        let mut slow = Bucket::new(7);
        assert_eq!(passing(|now| slow.take(now), 1_000, 100), 32 + 700 - 1);
    }

    #[test]
    fn a_rate_of_a_fraction_of_a_nanosecond_is_met_within_a_few_parts_in_a_thousand() {
        let mut bucket = Bucket::new(30_000_000);
        assert!((0..3_000_000).all(|_| bucket.take(Time::ZERO)), "a tenth of a second's");
        let passed = (0..1_000_000).filter(|n| bucket.take(nanos(n * 10))).count();
        assert_eq!(passed, 299_625, "of 300,000 in 10 ms");
    }

    #[test]
    fn what_keeps_to_its_rate_passes() {
        let mut bucket = Bucket::new(1_000_000);
        assert_eq!(passing(|now| bucket.take(now), 1_000_000, 2), 2_000_000);
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_gives_no_tokens() {
        let mut bucket = Bucket::new(100);
        let start = nanos(1_000_000_000);
        assert_eq!((0..1000).filter(|_| bucket.take(start)).count(), 32);
        assert!((0..1000).all(|n| !bucket.take(nanos(n))));
        assert!(!bucket.take(start + Duration::from_millis(9)));
        assert!(bucket.take(start + Duration::from_millis(10)));
        assert!(!bucket.take(start + Duration::from_millis(10)));
    }

    #[test]
    fn a_bucket_does_not_hold_more_than_its_burst() {
        let mut bucket = Bucket::new(1_000);
        assert_eq!((0..1000).filter(|_| bucket.take(Time::ZERO)).count(), 100);
        let later = Time::ZERO + Duration::from_secs(3600);
        assert_eq!((0..1000).filter(|_| bucket.take(later)).count(), 100);
    }

    #[test]
    fn sources_have_buckets_of_their_own_and_a_64_has_one() {
        let mut rates = Rates::new(100, KEY);
        let mut passed = |source: IpAddr| (0..1000).filter(|_| rates.take(Time::ZERO, source)).count();
        assert_eq!(passed([10, 77, 0, 1].into()), 32);
        assert_eq!(passed([10, 77, 0, 2].into()), 32);
        assert_eq!(passed([10, 77, 0, 1].into()), 0);
        let v6 = |text: &str| text.parse::<IpAddr>().expect("address");
        assert_eq!(passed(v6("2001:db8::1")), 32);
        assert_eq!(passed(v6("2001:db8::2")), 0);
        assert_eq!(passed(v6("2001:db8:0:1::1")), 32);
    }

    #[test]
    fn a_million_sources_neither_free_a_fast_one_nor_stop_a_slow_one() {
        let mut rates = Rates::new(5_000, KEY);
        let (fast, slow): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let (mut of_fast, mut of_slow) = (0, 0);
        for n in 0..1_000_000_u32 {
            let now = nanos(u64::from(n) * 1_000);
            assert!(rates.take(now, Ipv4Addr::from_bits(0x2000_0000 + n).into()), "a new source");
            // 20,000 and 1,000 a second.
            of_fast += u32::from(n % 50 == 0 && rates.take(now, fast));
            of_slow += u32::from(n % 1_000 == 0 && rates.take(now, slow));
        }
        assert_eq!((of_fast, of_slow), (500 + 5_000 - 1, 1_000));
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_has_more_than_its_burst_and_rate(
            rate in 1_u32..100_000,
            steps in prop::collection::vec(0_u64..2_000_000, 1..500),
        ) {
            let mut bucket = Bucket::new(rate);
            let burst = u64::from(rate / 10).max(32);
            let (mut now, mut passed) = (0, 0);
            for step in steps {
                now += step;
                passed += u64::from(bucket.take(nanos(now)));
                prop_assert!(passed <= burst + now * u64::from(rate) / 1_000_000_000);
            }
        }
    }
}
