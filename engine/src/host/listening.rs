//! Which groups we listen to, said to routers and switches: those of our IPv6 addresses, to which
//! neighbours send their questions (RFC 3810; RFC 4861, section 7.2.1). A switch that reads along
//! would keep the questions from us otherwise.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use super::Host;
use super::classify::Addresses;
use super::siphash::HashKey;
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::mld::{self, Query, Report, Version};
use crate::wire::ndp;
use crate::wire::vlan::Vlans;

/// The least time between two answers: a query makes as many frames as we have groups.
const PACE: Duration = Duration::from_secs(1);

/// The answer that is owed to queries.
#[derive(Debug)]
pub(super) struct Listening {
    key: HashKey,
    due: Time,
    /// Not before this one.
    next: Time,
    version: Version,
    /// The link that asked; `None` if several did.
    link: Option<Vlans>,
}

impl Listening {
    /// Nothing is owed yet.
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, due: Time::NEVER, next: Time::ZERO, version: Version::Two, link: None }
    }

    #[inline]
    pub(super) fn is_due(&self, now: Time) -> bool {
        now >= self.due
    }

    /// When the answer is due, if one is owed.
    pub(super) fn deadline(&self) -> Time {
        self.due
    }

    /// A query is answered at a moment by chance, that of one before it if it is sooner
    /// (RFC 3810, section 6.2). Who asks in version 1 is answered in it.
    fn heard(&mut self, now: Time, vlans: Vlans, query: &Query) {
        if self.due == Time::NEVER {
            (self.version, self.link) = (query.version, Some(vlans));
        }
        if query.version == Version::One {
            self.version = Version::One;
        }
        self.link = self.link.filter(|&link| link == vlans);
        let chance = self.key.hash_words([now.as_nanos()]);
        let longest = query.max_response_delay.as_nanos() as u64;
        let delay = Duration::from_nanos(chance.checked_rem(longest).unwrap_or(0));
        self.due = self.due.min((now + delay).max(self.next));
    }
}

impl<Q: FrameQueue> Host<Q> {
    /// The last frame of `rx` asks who listens.
    #[cold]
    pub(super) fn listener_query(&mut self, now: Time, vlans: Vlans, query: &Query) {
        self.presence.listening.heard(now, vlans, query);
        self.drop_last(Counter::ListenerQueried);
    }

    /// Gives the answer that is due.
    #[cold]
    pub(super) fn answer_listener_query(&mut self, now: Time) {
        let listening = &mut self.presence.listening;
        (listening.due, listening.next) = (Time::NEVER, now + PACE);
        let (version, link) = (listening.version, listening.link);
        self.report_groups(|vlans| link.is_none_or(|link| link == vlans), version, false);
    }

    /// Says that we listen to our groups at the start, and when a link came up.
    pub(super) fn report_new_groups(&mut self) {
        self.report_groups(|_| true, Version::Two, true);
    }

    /// Reports all groups of these links, whichever was asked about: there are few.
    fn report_groups(&mut self, is_meant: impl Fn(Vlans) -> bool, version: Version, is_new: bool) {
        let rules = Arc::clone(&self.rules);
        for (vlans, group) in rules.addressing.listened_to().into_iter().filter(|&(vlans, _)| is_meant(vlans))
        {
            let from = rules.addressing.link_local(vlans).unwrap_or(Ipv6Addr::UNSPECIFIED);
            self.report_group(vlans, from, Report { version, group, is_new });
        }
    }

    fn report_group(&mut self, vlans: Vlans, from: Ipv6Addr, report: Report) {
        let mut message = [0; mld::MAX_REPORT_LEN];
        let len = report.write(&mut message);
        let addresses = Addresses::V6 { source: from, destination: report.destination() };
        self.send_to_group(vlans, addresses, &mld::ALERT, &mut message[..len], Counter::ListenerReported);
    }
}

impl super::Addressing {
    /// The groups of our IPv6 addresses with their links, each once. Of an address that is
    /// another host's we are no listener.
    fn listened_to(&self) -> Vec<(Vlans, Ipv6Addr)> {
        let mut groups = Vec::new();
        for own in self.ipv6().iter().filter(|own| !own.state.is_duplicate()) {
            let group = (own.vlans, ndp::solicited_node(own.address));
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }

    /// Our link-local address on a link, as soon as it may be used.
    fn link_local(&self, vlans: Vlans) -> Option<Ipv6Addr> {
        let is_it = |own: &&super::addressing::Own6| {
            own.vlans == vlans && own.address.is_unicast_link_local() && own.state.is_usable()
        };
        self.ipv6().iter().find(is_it).map(|own| own.address)
    }
}
