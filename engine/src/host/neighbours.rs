//! The neighbour table: which MAC address a host of the link has, asked for with ARP
//! (RFC 826; retries and rate as RFC 1122, section 2.3.2.1, has them) or with neighbour
//! solicitations (RFC 4861, section 7.2.2, whose figures are the same).
//!
//! Only answers to our own requests are believed. The table and the queue of packets that
//! wait for an answer are allocated once and bounded.

use std::net::IpAddr;
use std::time::Duration;

use super::siphash::HashKey;
use crate::time::Time;
use crate::wire::ethernet::MacAddress;
use crate::wire::vlan::Vlans;

/// Neighbours that the table holds; a power of two. Under the fuzzer so few that it fills them.
const SLOTS: usize = if cfg!(fuzzing) { 32 } else { 1024 };
/// Places where a neighbour may stand.
const PROBES: usize = 8;
/// Packets that wait for one neighbour at most.
const HELD_PER_NEIGHBOUR: usize = 32;
/// Packets that wait in all at most.
pub(super) const HELD: usize = 128;
/// Requests before a neighbour counts as absent, and the time between them.
const ATTEMPTS: u8 = 3;
const RETRY: Duration = Duration::from_secs(1);
/// How long an answer is believed before the neighbour is asked again.
const REACHABLE: Duration = Duration::from_secs(30);

/// A neighbour: an address on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) vlans: Vlans,
    pub(super) address: IpAddr,
}

/// A question to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) neighbour: Neighbour,
    /// Our address that asks.
    pub(super) from: IpAddr,
}

/// What the table knows of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    /// Its address; `None` while it is being asked for.
    pub(super) mac: Option<MacAddress>,
    /// A request has to be sent now.
    pub(super) ask: bool,
}

/// No place for another neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableFull;

/// What has to be done for a neighbour that does not answer.
#[derive(Debug)]
pub(super) enum Step<P> {
    /// Send another request.
    Ask(Request),
    /// Drop a packet that waited for it.
    GiveUp(P),
}

#[derive(Debug)]
struct Entry {
    neighbour: Neighbour,
    from: IpAddr,
    /// What it answered last, if it ever did.
    mac: Option<MacAddress>,
    /// Requests since then, and the time of the next step: the next request, or the end.
    attempts: u8,
    deadline: Time,
}

impl Entry {
    fn is_asked_for(&self) -> bool {
        self.attempts > 0
    }
}

#[derive(Debug)]
pub(super) struct Neighbours<P> {
    /// What the user says, which is never asked for and never forgotten.
    fixed: Box<[(IpAddr, MacAddress)]>,
    slots: Box<[Option<Entry>]>,
    key: HashKey,
    held: Vec<(Neighbour, P)>,
    next_deadline: Time,
}

impl<P> Default for Neighbours<P> {
    /// A table with no places.
    fn default() -> Self {
        Self {
            fixed: Box::default(),
            slots: Box::default(),
            key: HashKey::default(),
            held: Vec::new(),
            next_deadline: Time::NEVER,
        }
    }
}

impl<P> Neighbours<P> {
    /// A table that knows `fixed` for good.
    pub(super) fn new(key: HashKey, fixed: Vec<(IpAddr, MacAddress)>) -> Self {
        let slots = std::iter::repeat_with(|| None).take(SLOTS).collect();
        Self { fixed: fixed.into(), slots, key, held: Vec::with_capacity(HELD), next_deadline: Time::NEVER }
    }

    /// When [`step`](Self::step) has something to do.
    #[inline]
    pub(super) fn next_deadline(&self) -> Time {
        self.next_deadline
    }

    /// Looks a neighbour up for a packet from `from`, one of our addresses.
    pub(super) fn lookup(
        &mut self,
        now: Time,
        neighbour: Neighbour,
        from: IpAddr,
    ) -> Result<Lookup, TableFull> {
        if let Some(mac) = self.fixed(neighbour) {
            return Ok(Lookup { mac: Some(mac), ask: false });
        }
        let slot = self.slot(now, neighbour).ok_or(TableFull)?;
        let entry =
            self.slots[slot].get_or_insert(Entry { neighbour, from, mac: None, attempts: 0, deadline: now });
        let ask = !entry.is_asked_for() && now >= entry.deadline;
        if ask {
            entry.attempts = 1;
            entry.deadline = now + RETRY;
            self.next_deadline = self.next_deadline.min(entry.deadline);
        }
        Ok(Lookup { mac: entry.mac, ask })
    }

    /// The address of a neighbour that need not be asked for it, and until when that is so.
    pub(super) fn known(&self, now: Time, neighbour: Neighbour) -> Option<(MacAddress, Time)> {
        if let Some(mac) = self.fixed(neighbour) {
            return Some((mac, Time::NEVER));
        }
        let entry = self.slots[self.find(neighbour)?].as_ref()?;
        let is_believed = !entry.is_asked_for() && now < entry.deadline;
        entry.mac.filter(|_| is_believed).map(|mac| (mac, entry.deadline))
    }

    fn fixed(&self, neighbour: Neighbour) -> Option<MacAddress> {
        let fixed = self.fixed.iter().find(|(address, _)| *address == neighbour.address);
        fixed.map(|(_, mac)| *mac)
    }

    /// Keeps a packet until its neighbour answers.
    ///
    /// # Errors
    /// Gives it back if too many wait.
    pub(super) fn hold(&mut self, neighbour: Neighbour, packet: P) -> Result<(), P> {
        let waiting = self.held.iter().filter(|(other, _)| *other == neighbour).count();
        if self.held.len() == HELD || waiting >= HELD_PER_NEIGHBOUR {
            return Err(packet);
        }
        self.held.push((neighbour, packet));
        Ok(())
    }

    /// Whether it is being asked for.
    pub(super) fn is_asked_for(&self, neighbour: Neighbour) -> bool {
        self.find(neighbour).is_some_and(|slot| self.slots[slot].as_ref().is_some_and(Entry::is_asked_for))
    }

    /// Takes an answer in. Gives the packets that waited for it; none if nobody asked.
    pub(super) fn learn(
        &mut self,
        now: Time,
        neighbour: Neighbour,
        mac: MacAddress,
    ) -> impl Iterator<Item = P> + '_ {
        let entry = self
            .find(neighbour)
            .and_then(|slot| self.slots[slot].as_mut())
            .filter(|entry| entry.is_asked_for());
        let is_learned = entry.is_some();
        if let Some(entry) = entry {
            (entry.mac, entry.attempts, entry.deadline) = (Some(mac), 0, now + REACHABLE);
        }
        self.held
            .extract_if(.., move |(waiting, _)| is_learned && *waiting == neighbour)
            .map(|(_, packet)| packet)
    }

    /// Takes the next step for every neighbour whose time has come: it is asked again, or
    /// forgotten, and what waits for it is given up.
    pub(super) fn step(&mut self, now: Time, mut each: impl FnMut(Step<P>)) {
        self.next_deadline = Time::NEVER;
        for slot in &mut self.slots {
            let Some(entry) = slot.as_mut().filter(|entry| entry.is_asked_for()) else { continue };
            if now >= entry.deadline && entry.attempts == ATTEMPTS {
                let neighbour = entry.neighbour;
                *slot = None;
                let waiting = self.held.extract_if(.., |(waiting, _)| *waiting == neighbour);
                waiting.for_each(|(_, packet)| each(Step::GiveUp(packet)));
                continue;
            }
            if now >= entry.deadline {
                entry.attempts += 1;
                entry.deadline = now + RETRY;
                each(Step::Ask(Request { neighbour: entry.neighbour, from: entry.from }));
            }
            self.next_deadline = self.next_deadline.min(entry.deadline);
        }
    }

    /// Has every neighbour that answered asked again when something is next sent to it. Until it answers its
    /// old address is used, which mostly is right.
    pub(super) fn doubt(&mut self, now: Time) {
        let entries = self.slots.iter_mut().flatten().filter(|entry| !entry.is_asked_for());
        entries.for_each(|entry| entry.deadline = entry.deadline.min(now));
    }

    /// Forgets everything. Gives the packets that waited.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = P> + '_ {
        self.slots.iter_mut().for_each(|slot| *slot = None);
        self.next_deadline = Time::NEVER;
        self.held.drain(..).map(|(_, packet)| packet)
    }

    fn places(&self, neighbour: Neighbour) -> impl Iterator<Item = usize> + use<P> {
        let address = match neighbour.address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let words = [(address >> 64) as u64, address as u64, u64::from(neighbour.vlans.to_bits())];
        let start = self.key.hash_words(words) as usize;
        (0..PROBES).map(move |step| start.wrapping_add(step) & (SLOTS - 1))
    }

    fn find(&self, neighbour: Neighbour) -> Option<usize> {
        self.places(neighbour)
            .find(|&slot| self.slots[slot].as_ref().is_some_and(|entry| entry.neighbour == neighbour))
    }

    /// Where the neighbour stands or can stand: a free place, or that of one whose answer is
    /// no longer believed.
    fn slot(&mut self, now: Time, neighbour: Neighbour) -> Option<usize> {
        let place =
            self.find(neighbour).or_else(|| self.places(neighbour).find(|&slot| self.slots[slot].is_none()));
        place.or_else(|| {
            let is_stale = |entry: &Entry| !entry.is_asked_for() && now >= entry.deadline;
            let stale =
                self.places(neighbour).find(|&slot| self.slots[slot].as_ref().is_some_and(is_stale))?;
            self.slots[stale] = None;
            Some(stale)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

    fn neighbour(bits: u32) -> Neighbour {
        Neighbour { vlans: Vlans::NONE, address: Ipv4Addr::from_bits(bits).into() }
    }

    fn table() -> Neighbours<u32> {
        Neighbours::new(HashKey([1, 2]), Vec::new())
    }

    #[test]
    fn packets_wait_for_the_answer_in_order() {
        let mut table = table();
        let (now, peer) = (Time::ZERO, neighbour(9));
        assert_eq!(table.lookup(now, peer, OWN), Ok(Lookup { mac: None, ask: true }));
        assert_eq!(table.lookup(now, peer, OWN), Ok(Lookup { mac: None, ask: false }));
        table.hold(peer, 1).expect("room");
        table.hold(neighbour(10), 2).expect("room");
        table.hold(peer, 3).expect("room");
        assert!(table.is_asked_for(peer));
        assert_eq!(table.learn(now, peer, MAC).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(table.lookup(now, peer, OWN), Ok(Lookup { mac: Some(MAC), ask: false }));
    }

    #[test]
    fn an_unasked_answer_is_not_believed() {
        let mut table = table();
        assert_eq!(table.learn(Time::ZERO, neighbour(9), MAC).count(), 0);
        assert_eq!(table.lookup(Time::ZERO, neighbour(9), OWN), Ok(Lookup { mac: None, ask: true }));
        assert_eq!(table.learn(Time::ZERO, neighbour(9), MAC).count(), 0);
        let other = MacAddress([2, 0, 0, 0, 0, 10]);
        assert_eq!(table.learn(Time::ZERO, neighbour(9), other).count(), 0);
        assert_eq!(table.lookup(Time::ZERO, neighbour(9), OWN).map(|lookup| lookup.mac), Ok(Some(MAC)));
    }

    #[test]
    fn what_is_known_is_known_until_it_has_to_be_renewed() {
        let mut table = table();
        let (peer, now) = (neighbour(9), Time::ZERO);
        table.lookup(now, peer, OWN).expect("room");
        assert_eq!(table.known(now, peer), None);
        table.learn(now, peer, MAC).for_each(drop);
        let end = now + REACHABLE;
        assert_eq!(table.known(now, peer), Some((MAC, end)));
        assert_eq!(table.known(end, peer), None);
        table.lookup(end, peer, OWN).expect("room");
        assert_eq!(table.known(end, peer), None, "it is being asked for");
        table.learn(end, peer, MAC).for_each(drop);
        assert_eq!(table.known(end, peer), Some((MAC, end + REACHABLE)));
    }

    #[test]
    fn a_fixed_neighbour_is_never_asked_for() {
        let fixed = vec![(neighbour(9).address, MAC)];
        let mut table = Neighbours::<u32>::new(HashKey([1, 2]), fixed);
        for now in [Time::ZERO, Time::ZERO + REACHABLE * 100] {
            assert_eq!(table.lookup(now, neighbour(9), OWN), Ok(Lookup { mac: Some(MAC), ask: false }));
            assert_eq!(table.known(now, neighbour(9)), Some((MAC, Time::NEVER)));
        }
        assert_eq!(table.next_deadline(), Time::NEVER);
        table.clear().for_each(drop);
        assert_eq!(table.known(Time::ZERO, neighbour(9)), Some((MAC, Time::NEVER)));
    }

    #[test]
    fn a_silent_neighbour_is_asked_three_times_and_forgotten() {
        let mut table = table();
        let (peer, mut now) = (neighbour(9), Time::ZERO);
        table.lookup(now, peer, OWN).expect("room");
        table.hold(peer, 7).expect("room");
        let (mut asked, mut dropped) = (1, Vec::new());
        while table.next_deadline() != Time::NEVER {
            now = table.next_deadline();
            table.step(now, |step| match step {
                Step::Ask(request) => {
                    assert_eq!(request, Request { neighbour: peer, from: OWN });
                    asked += 1;
                }
                Step::GiveUp(packet) => dropped.push(packet),
            });
        }
        assert_eq!((asked, dropped), (3, vec![7]));
        assert_eq!(now, Time::ZERO + RETRY * 3);
        assert!(!table.is_asked_for(peer));
    }

    #[test]
    fn an_old_answer_is_used_while_it_is_renewed() {
        let mut table = table();
        let peer = neighbour(9);
        table.lookup(Time::ZERO, peer, OWN).expect("room");
        table.learn(Time::ZERO, peer, MAC).for_each(drop);
        let later = Time::ZERO + REACHABLE;
        assert_eq!(table.lookup(later, peer, OWN), Ok(Lookup { mac: Some(MAC), ask: true }));
        assert_eq!(table.lookup(later, peer, OWN), Ok(Lookup { mac: Some(MAC), ask: false }));
        let moved = MacAddress([2, 0, 0, 0, 0, 10]);
        table.learn(later, peer, moved).for_each(drop);
        assert_eq!(table.lookup(later, peer, OWN), Ok(Lookup { mac: Some(moved), ask: false }));
    }

    #[test]
    fn a_doubted_neighbour_is_asked_again_at_once() {
        let fixed = vec![(neighbour(8).address, MAC)];
        let mut table = Neighbours::<u32>::new(HashKey([1, 2]), fixed);
        let now = Time::ZERO + RETRY;
        table.lookup(Time::ZERO, neighbour(9), OWN).expect("room");
        table.learn(Time::ZERO, neighbour(9), MAC).for_each(drop);
        table.lookup(Time::ZERO, neighbour(10), OWN).expect("room");
        table.doubt(now);
        assert_eq!(table.known(now, neighbour(9)), None);
        assert_eq!(table.lookup(now, neighbour(9), OWN), Ok(Lookup { mac: Some(MAC), ask: true }));
        assert_eq!(table.lookup(now, neighbour(9), OWN), Ok(Lookup { mac: Some(MAC), ask: false }));
        assert_eq!(table.lookup(now, neighbour(8), OWN), Ok(Lookup { mac: Some(MAC), ask: false }));
        assert_eq!(table.lookup(now, neighbour(10), OWN), Ok(Lookup { mac: None, ask: false }), "it waits");
    }

    #[test]
    fn table_and_queue_are_bounded() {
        let mut table = table();
        let full = (0..100_000).filter(|&n| table.lookup(Time::ZERO, neighbour(n), OWN).is_err()).count();
        assert!(full >= 100_000 - SLOTS);
        let held = (0..10_000).filter(|&n| table.hold(neighbour(n % 2), n).is_ok()).count();
        assert_eq!(held, 2 * HELD_PER_NEIGHBOUR);
        let held = (0..10_000).filter(|&n| table.hold(neighbour(100 + n), n).is_ok()).count();
        assert_eq!(held, HELD - 2 * HELD_PER_NEIGHBOUR);
        assert_eq!(table.clear().count(), HELD);
    }
}
