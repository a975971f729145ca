//! Who has shown that it receives what we send, and the amplification cap: a source that has not
//! may be a victim whose address was forged, so it is sent few bytes for each byte that came from it.

use std::net::SocketAddr;
use std::time::Duration;

use super::cookie::{Cookie, Cookies};
use super::table::{Fingerprint, Table};
use crate::host::siphash::HashKey;
use crate::time::Time;

/// How long a silent source stays validated.
const VALIDATED: Duration = Duration::from_secs(600);

/// Who is validated, what the others may be sent, and cookies by which they are validated.
///
/// A source is an address and port; bytes are those of UDP payloads. An empty datagram counts
/// as one byte both ways, so that it can be answered, and so that the number of empty ones
/// is bounded too.
#[derive(Debug)]
pub(crate) struct Validation {
    cookies: Cookies,
    key: HashKey,
    /// When validated sources end to be, 16,384 of them in 256 KiB; `None` where they are exempt from
    /// nothing. A source that needs room displaces the one silent for longest.
    validated: Option<Table<Time>>,
    /// `None` where there is no cap.
    cap: Option<Cap>,
}

/// It knows the budgets of 16,384 sources in 384 KiB. The table is not the validated ones', so that
/// sources that anybody can forge displace none of those.
#[derive(Debug)]
struct Cap {
    factor: u64,
    budgets: Table<Budget>,
}

/// Where there is no place, the source heard of longest ago makes room, and of several the
/// one with the least left. What it had left is lost: it is sent less than it might be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Budget {
    heard: Time,
    /// What it may still be sent, in bytes.
    bytes: u64,
}

impl Validation {
    /// With a cap of `amplification` bytes to an unvalidated source for each byte from it. Validated ones
    /// are exempt from that, and where `has_rate` is set from a rate of all sources together.
    pub(crate) fn new(amplification: Option<u32>, has_rate: bool, key: HashKey) -> Self {
        let cap = amplification.map(|factor| Cap { factor: factor.into(), budgets: Table::new() });
        let validated = (cap.is_some() || has_rate).then(Table::new);
        Self { cookies: Cookies::new(key), key, validated, cap }
    }

    /// Whether there is a cap.
    pub(super) fn is_capped(&self) -> bool {
        self.cap.is_some()
    }

    /// A datagram of `bytes` bytes came from `source`.
    #[inline]
    pub(crate) fn received(&mut self, now: Time, source: SocketAddr, bytes: usize) {
        if self.validated.is_none() {
            return;
        }
        let source = self.fingerprint(source);
        if let Some(until) = self.validated(now, source) {
            *until = now + VALIDATED;
        } else if let Some(cap) = &mut self.cap {
            cap.received(now, source, counted(bytes));
        }
    }

    /// Whether `destination` may be sent a datagram of `bytes` bytes; it then counts as sent.
    #[inline]
    pub(crate) fn may_send(&mut self, now: Time, destination: SocketAddr, bytes: usize) -> bool {
        if self.cap.is_none() {
            return true;
        }
        let destination = self.fingerprint(destination);
        self.validated(now, destination).is_some()
            || self.cap.as_mut().is_none_or(|cap| cap.may_send(destination, counted(bytes)))
    }

    /// Whether it has shown that it receives what it is sent.
    pub(super) fn is_validated(&mut self, now: Time, source: SocketAddr) -> bool {
        let source = self.fingerprint(source);
        self.validated(now, source).is_some()
    }

    /// The cookie of `source`, for the datagrams that it sends to `own`.
    pub(crate) fn cookie(&self, now: Time, source: SocketAddr, own: SocketAddr) -> Cookie {
        self.cookies.cookie(now, source, own)
    }

    /// Whether these bytes are a cookie that `source` had for `own` within the last minute; an
    /// older one is good for up to another.
    pub(crate) fn is_valid(&self, now: Time, source: SocketAddr, own: SocketAddr, cookie: &[u8]) -> bool {
        self.cookies.is_valid(now, source, own, cookie)
    }

    /// Takes it that `source` receives what it is sent: there is no cap for it nor a rate of all
    /// together, until nothing has come from it for ten minutes.
    pub(crate) fn validate(&mut self, now: Time, source: SocketAddr) {
        let source = self.fingerprint(source);
        if let Some(validated) = &mut self.validated {
            *validated.entry(source) = now + VALIDATED;
        }
    }

    #[inline]
    fn fingerprint(&self, source: SocketAddr) -> Fingerprint {
        Fingerprint::of_peer(self.key, source, 0)
    }

    #[inline]
    fn validated(&mut self, now: Time, source: Fingerprint) -> Option<&mut Time> {
        self.validated.as_mut()?.find(source).filter(|until| now < **until)
    }
}

#[inline]
fn counted(bytes: usize) -> u64 {
    bytes.max(1) as u64
}

impl Cap {
    #[inline]
    fn received(&mut self, now: Time, source: Fingerprint, bytes: u64) {
        let allowed = bytes.saturating_mul(self.factor);
        let budget = self.budgets.entry(source);
        *budget = Budget { heard: now, bytes: budget.bytes.saturating_add(allowed) };
    }

    #[inline]
    fn may_send(&mut self, destination: Fingerprint, bytes: u64) -> bool {
        let budget = self.budgets.find(destination).filter(|budget| bytes <= budget.bytes);
        budget.map(|budget| budget.bytes -= bytes).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time::ZERO;

    fn capped() -> Validation {
        Validation::new(Some(3), false, HashKey([1, 2]))
    }

    fn source(n: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(0x0a4d_0000 + n / 4), 4000 + (n % 4) as u16).into()
    }

    #[test]
    fn a_source_is_sent_three_times_what_came_from_it() {
        let mut validation = capped();
        validation.received(NOW, source(0), 100);
        assert!(!validation.may_send(NOW, source(0), 301));
        assert!(validation.may_send(NOW, source(0), 299));
        assert!(!validation.may_send(NOW, source(0), 2));
        assert!(validation.may_send(NOW, source(0), 1));
        assert!(!validation.may_send(NOW, source(0), 0));
        validation.received(NOW, source(0), 10);
        assert!(validation.may_send(NOW, source(0), 30));
    }

    #[test]
    fn who_sent_nothing_is_sent_nothing() {
        let mut validation = capped();
        validation.received(NOW, source(0), 1000);
        for other in [source(1), source(4), "[2001:db8::1]:4000".parse().expect("address")] {
            assert!(!validation.may_send(NOW, other, 0));
            assert!(!validation.may_send(NOW, other, 1));
        }
    }

    #[test]
    fn an_empty_datagram_is_answered_by_three_at_most() {
        let mut validation = capped();
        validation.received(NOW, source(0), 0);
        assert_eq!((0..100).filter(|_| validation.may_send(NOW, source(0), 0)).count(), 3);
    }

    #[test]
    fn a_validated_source_is_free_until_it_falls_silent() {
        let (mut validation, half) = (capped(), VALIDATED / 2);
        validation.validate(NOW, source(0));
        assert!(validation.may_send(NOW, source(0), 100_000));
        assert!(!validation.may_send(NOW, source(1), 1), "another port of it is another source");
        validation.received(NOW + half, source(0), 10);
        assert!(validation.may_send(NOW + (VALIDATED + half - Duration::from_nanos(1)), source(0), 100_000));
        assert!(!validation.may_send(NOW + VALIDATED + half, source(0), 1), "nothing was saved up");
        validation.received(NOW + VALIDATED + half, source(0), 10);
        assert!(!validation.may_send(NOW + VALIDATED + half, source(0), 31));
        assert!(validation.may_send(NOW + VALIDATED + half, source(0), 30));
    }

    #[test]
    fn forged_sources_displace_no_validated_one() {
        let mut validation = capped();
        validation.validate(NOW, source(2_000_000));
        for n in 0..1_000_000 {
            let now = NOW + Duration::from_micros(n.into());
            validation.received(now, source(n), 1000);
            assert!(validation.may_send(now, source(n), 3000), "what it is sent now it has a place for");
        }
        assert!(validation.may_send(NOW + Duration::from_secs(1), source(2_000_000), 100_000));
    }

    #[test]
    fn without_a_cap_all_is_sent() {
        let mut validation = Validation::new(None, false, HashKey([1, 2]));
        validation.received(NOW, source(0), 1);
        validation.validate(NOW, source(0));
        assert!(validation.may_send(NOW, source(1), 100_000));
    }

    #[test]
    fn cookies_are_for_their_source() {
        let (validation, own) = (capped(), source(9));
        let Cookie(bytes) = validation.cookie(NOW, source(0), own);
        assert!(validation.is_valid(NOW, source(0), own, &bytes));
        assert!(!validation.is_valid(NOW, source(1), own, &bytes));
    }

    /// What came from each source and what it was sent, in bytes as the cap counts them.
    #[derive(Default)]
    struct Books(HashMap<u32, [u64; 2]>);

    impl Books {
        /// A datagram from a source, or one to it if the cap allows it.
        fn step(&mut self, validation: &mut Validation, now: Time, is_from: bool, n: u32, bytes: usize) {
            let counted = bytes.max(1) as u64;
            let [from, to] = self.0.entry(n).or_default();
            if is_from {
                validation.received(now, source(n), bytes);
                *from += counted;
            } else if validation.may_send(now, source(n), bytes) {
                *to += counted;
            }
        }

        fn worst(&self) -> Option<i128> {
            self.0.values().map(|&[from, to]| i128::from(to) - 3 * i128::from(from)).max()
        }
    }

    #[test]
    fn sources_that_displace_each_other_are_not_sent_more_than_three_times_either() {
        let (mut validation, mut books) = (capped(), Books::default());
        for step in 0..200_000 {
            let random = HashKey([3, 4]).hash_words([step]);
            let (n, bytes) = (random as u32 % 30_000, (random >> 32) as usize % 1500);
            let now = NOW + Duration::from_micros(step);
            books.step(&mut validation, now, random >> 62 == 0, n, bytes);
        }
        assert!(books.worst() <= Some(0));
        let has_all = |&[from, to]: &[u64; 2]| 3 * from - to < 100;
        assert!(books.0.values().any(has_all), "some had nearly all that they might");
        let mut loses = |n: u32, rest: u64| rest > 0 && !validation.may_send(NOW, source(n), rest as usize);
        let displaced = books.0.iter().filter(|&(&n, &[from, to])| loses(n, 3 * from - to)).count();
        assert!(displaced > 1000, "{displaced}");
    }

    proptest! {
        #[test]
        fn no_source_is_sent_more_than_three_times_what_came_from_it(
            steps in prop::collection::vec((any::<bool>(), 0..6_u32, 0..1500_usize, 0..10_u64), 1..300),
        ) {
            let (mut validation, mut books, mut now) = (capped(), Books::default(), NOW);
            for (is_from, n, bytes, seconds) in steps {
                now = now + Duration::from_secs(seconds);
                books.step(&mut validation, now, is_from, n, bytes);
                prop_assert!(books.worst() <= Some(0));
            }
        }
    }
}
