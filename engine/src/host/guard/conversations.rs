//! Whom we spoke to first: a DNS server that we asked, an echo that a generator tests. Their
//! answers come from the ports of reflectors, and as fast as we asked.

use std::net::SocketAddr;
use std::time::Duration;

use super::table::{Fingerprint, Table};
use crate::host::siphash::HashKey;
use crate::time::Time;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Answers to one datagram: it may be doubled on the way, or answered in parts. A bound, so
/// that two services that take each other for their server fall silent.
const ANSWERS: u32 = 4;

/// The answers that we wait for from an address and port, at a port of ours.
///
/// It knows the 16,384 pairs that we sent to last, in 384 KiB.
#[derive(Debug)]
pub(crate) struct Conversations {
    key: HashKey,
    open: Table<Conversation>,
}

/// Where there is no place, the one that ends first makes room, and of several the one
/// with the fewest answers left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Conversation {
    ends: Time,
    answers: u32,
}

impl Conversations {
    /// None yet.
    pub(crate) fn new(key: HashKey) -> Self {
        Self { key, open: Table::new() }
    }

    /// We sent a datagram of our own accord, which is no reply, from this port.
    #[inline]
    pub(crate) fn sent(&mut self, now: Time, own_port: u16, remote: SocketAddr) {
        let conversation = self.open.entry(Fingerprint::of_peer(self.key, remote, own_port));
        let waiting = if now < conversation.ends { conversation.answers } else { 0 };
        *conversation = Conversation { ends: now + PATIENCE, answers: waiting.saturating_add(ANSWERS) };
    }

    /// Whether a datagram to this port may answer one of ours. It then counts as an answer.
    #[inline]
    pub(crate) fn is_answer(&mut self, now: Time, own_port: u16, remote: SocketAddr) -> bool {
        let peer = Fingerprint::of_peer(self.key, remote, own_port);
        let open = self.open.find(peer).filter(|open| now < open.ends && open.answers > 0);
        open.map(|open| open.answers -= 1).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("address and port")
    }

    fn conversations() -> Conversations {
        Conversations::new(HashKey([1, 2]))
    }

    #[test]
    fn only_whom_we_asked_answers() {
        let (mut table, server, now) = (conversations(), at("10.77.0.2:53"), Time::ZERO);
        assert!(!table.is_answer(now, 4000, server));
        table.sent(now, 4000, server);
        assert!(!table.is_answer(now, 4001, server));
        assert!(!table.is_answer(now, 4000, at("10.77.0.2:54")));
        assert!(!table.is_answer(now, 4000, at("10.77.0.3:53")));
        assert!(!table.is_answer(now, 4000, at("[2001:db8::2]:53")));
        assert!(table.is_answer(now, 4000, server));
    }

    #[test]
    fn an_answer_comes_in_time() {
        let (mut table, server) = (conversations(), at("[2001:db8::2]:123"));
        table.sent(Time::ZERO, 4000, server);
        assert!(table.is_answer(Time::ZERO + (PATIENCE - Duration::from_nanos(1)), 4000, server));
        assert!(!table.is_answer(Time::ZERO + PATIENCE, 4000, server));
        table.sent(Time::ZERO + PATIENCE, 4000, server);
        let answers = (0..100).filter(|_| table.is_answer(Time::ZERO + PATIENCE, 4000, server)).count();
        assert_eq!(answers, 4, "what was left of the last time is gone");
    }

    #[test]
    fn each_datagram_of_ours_has_a_few_answers() {
        let (mut table, server, now) = (conversations(), at("10.77.0.2:7"), Time::ZERO);
        (0..3).for_each(|_| table.sent(now, 4000, server));
        assert_eq!((0..100).filter(|_| table.is_answer(now, 4000, server)).count(), 12);
        table.sent(now, 4000, server);
        assert!(table.is_answer(now, 4000, server));
    }

    #[test]
    fn the_last_pairs_are_known_and_the_table_stays_small() {
        let (mut table, server) = (conversations(), at("10.77.0.2:7"));
        let each = || (0..1_000_000).map(|n| (Time::from_nanos(n), n as u16, at_port(server, n)));
        each().for_each(|(now, own_port, remote)| table.sent(now, own_port, remote));
        let now = Time::from_nanos(1_000_000);
        let known: Vec<_> = each().map(|(_, own, remote)| table.is_answer(now, own, remote)).collect();
        assert!(known[known.len() - 2_000..].iter().all(|&is_known| is_known));
        assert!(known.iter().filter(|&&is_known| is_known).count() <= 16_384);
    }

    /// A port of its own for each 65,536 pairs.
    fn at_port(server: SocketAddr, n: u64) -> SocketAddr {
        SocketAddr::new(server.ip(), 7 + (n >> 16) as u16)
    }
}
