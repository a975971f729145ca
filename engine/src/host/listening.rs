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

/// The answer that is owed to a query.
#[derive(Debug)]
pub(super) struct Listening {
    key: HashKey,
    due: Time,
    version: Version,
}

impl Listening {
    /// Nothing is owed yet.
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, due: Time::NEVER, version: Version::Two }
    }

    #[inline]
    pub(super) fn is_due(&self, now: Time) -> bool {
        now >= self.due
    }

    /// A query is answered at a moment by chance, that of one before it if it is sooner
    /// (RFC 3810, section 6.2). Who asks in version 1 is answered in it.
    fn heard(&mut self, now: Time, query: &Query) {
        if self.due == Time::NEVER || query.version == Version::One {
            self.version = query.version;
        }
        let chance = self.key.hash_words([now.as_nanos()]);
        let longest = query.max_response_delay.as_nanos() as u64;
        let delay = Duration::from_nanos(chance.checked_rem(longest).unwrap_or(0));
        self.due = self.due.min(now + delay);
    }
}

impl<Q: FrameQueue> Host<Q> {
    /// The last frame of `rx` asks who listens.
    #[cold]
    pub(super) fn listener_query(&mut self, now: Time, query: &Query) {
        self.presence.listening.heard(now, query);
        self.drop_last(Counter::ListenerQueried);
    }

    /// Gives the answer that is due.
    #[cold]
    pub(super) fn answer_listener_query(&mut self) {
        self.presence.listening.due = Time::NEVER;
        self.report_groups(self.presence.listening.version, false);
    }

    /// Says of all links' groups that we listen to them, whoever asked about which: there are few.
    pub(super) fn report_groups(&mut self, version: Version, is_new: bool) {
        let rules = Arc::clone(&self.rules);
        for (vlans, group) in rules.addressing.listened_to() {
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
