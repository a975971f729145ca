//! Our addresses made known on their links: whether nobody else has them (RFC 4862,
//! section 5.4), and, at the start and whenever the link comes up, that we have them
//! (RFC 5227, section 2.3; RFC 4861, section 7.2.6).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::Host;
use super::addressing::{InterfaceAddress, Own6};
use super::lane::Lane;
use super::listening::Listening;
use super::siphash::HashKey;
use super::ways::Ways;
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::ethernet::MacAddress;
use crate::wire::ndp;

/// How long somebody has to object to an address of ours (`RetransTimer`, RFC 4861, section 10).
const OBJECTION: Duration = Duration::from_secs(1);

/// How the control plane tells a host that its port's link came up.
#[derive(Clone, Debug, Default)]
pub struct LinkUp(Arc<News>);

#[derive(Debug, Default)]
struct News {
    is_new: AtomicBool,
    /// The port's MAC address as a number; 0 where it is what it was.
    mac: AtomicU64,
}

impl LinkUp {
    /// The link came up: the host will say that it is there.
    pub fn raise(&self) {
        self.0.is_new.store(true, Release);
    }

    /// The port has another device, of that address: the host takes it for its own, and says so.
    pub fn raise_as(&self, mac: MacAddress) {
        let number = mac.0.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        self.0.mac.store(number, Release);
        self.raise();
    }

    #[inline]
    fn is_raised(&self) -> bool {
        self.0.is_new.load(Relaxed)
    }

    /// Takes the news. Whether there was any.
    fn take(&self) -> bool {
        self.0.is_new.swap(false, Acquire)
    }

    #[inline]
    fn has_mac(&self) -> bool {
        self.0.mac.load(Acquire) != 0
    }

    /// Takes the new address, if there is one.
    fn take_mac(&self) -> Option<MacAddress> {
        let number = self.0.mac.swap(0, Relaxed);
        let [_, _, mac @ ..] = number.to_be_bytes();
        (number != 0).then_some(MacAddress(mac))
    }
}

/// Where the host is with its addresses.
#[derive(Debug)]
pub(super) struct Presence {
    stage: Stage,
    link_up: LinkUp,
    pub(super) listening: Listening,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Another host of the port does it, or none.
    Silent,
    /// The addresses are ours.
    Present,
    /// Nothing was said yet.
    Begin,
    /// Who has one of our addresses can object until then.
    Asked(Time),
}

impl Presence {
    pub(super) fn new(announces: bool, key: HashKey) -> Self {
        let stage = if announces { Stage::Begin } else { Stage::Silent };
        Self { stage, link_up: LinkUp::default(), listening: Listening::new(key) }
    }

    /// Whether there is something to do.
    #[inline]
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.is_step_due(now) || self.listening.is_due(now)
    }

    #[inline]
    fn is_step_due(&self, now: Time) -> bool {
        match self.stage {
            Stage::Silent | Stage::Present => self.link_up.is_raised(),
            Stage::Begin => true,
            Stage::Asked(deadline) => now >= deadline || self.link_up.has_mac(),
        }
    }

    /// When there is something to do, as far as time decides that.
    pub(super) fn next_deadline(&self) -> Time {
        let step = match self.stage {
            Stage::Silent | Stage::Present => Time::NEVER,
            Stage::Begin => Time::ZERO,
            Stage::Asked(deadline) => deadline,
        };
        step.min(self.listening.deadline())
    }
}

impl<Q: FrameQueue> Host<Q> {
    /// How the control plane says that the port's link came up.
    pub fn link_up(&self) -> LinkUp {
        self.presence.link_up.clone()
    }

    /// Takes the next step on the way to being known, or gives an answer that is due.
    #[cold]
    pub(super) fn step_presence(&mut self, now: Time) {
        if self.presence.is_step_due(now) {
            self.step_announcements(now);
        }
        if self.presence.listening.is_due(now) {
            self.answer_listener_query(now);
        }
        self.egress.flush(&mut self.queue);
    }

    fn step_announcements(&mut self, now: Time) {
        // Before the address, which was told before it. Until the stage is one of these the news waits.
        let hears = matches!(self.presence.stage, Stage::Silent | Stage::Present);
        let is_new = hears && self.presence.link_up.take();
        if let Some(mac) = self.presence.link_up.take_mac() {
            self.become_station(now, mac);
        }
        match self.presence.stage {
            Stage::Silent => {}
            Stage::Asked(deadline) if now < deadline => {}
            Stage::Begin => {
                self.announce_ipv4();
                // First, so that who objects is heard (RFC 4862, section 5.4.2).
                self.report_new_groups();
                self.each_ipv6(Self::question);
                self.presence.stage = Stage::Asked(now + OBJECTION);
            }
            Stage::Asked(_) => {
                self.each_ipv6(|_, own| own.state.settle());
                self.report_new_groups();
                self.each_ipv6(Self::announce_ipv6);
                self.presence.stage = Stage::Present;
            }
            Stage::Present => {
                if is_new {
                    self.announce_ipv4();
                    self.report_new_groups();
                    self.each_ipv6(Self::announce_ipv6);
                }
            }
        }
    }

    /// The port has a device of another address from now on. Our IPv6 addresses stay what they are.
    fn become_station(&mut self, now: Time, mac: MacAddress) {
        self.style.mac = mac;
        Arc::make_mut(&mut self.rules).mac = mac;
        // What is prepared for them has the old address in it.
        self.ways = Ways::new();
        // What is at the other end of the wire may be another, too.
        self.neighbours.doubt(now);
        if self.lane.is_some() {
            self.lane = Lane::new(&self.rules, &self.guard, self.style, self.mtu, self.trusted.udp);
        }
    }

    /// Asks whether somebody has an address of ours. It says nothing of us.
    fn question(&mut self, own: &Own6) {
        self.solicit(own.vlans, Ipv6Addr::UNSPECIFIED, own.address);
    }

    /// Somebody else has an address that we were about to use, or asks for it at the same time.
    pub(super) fn object(&mut self, own: &Own6) {
        if own.state.set_duplicate() {
            self.counters.add(Counter::DuplicateAddress, 1);
        }
    }

    /// An ARP announcement for each IPv4 address: a request for what we have.
    fn announce_ipv4(&mut self) {
        let rules = Arc::clone(&self.rules);
        for &InterfaceAddress { address, vlans, .. } in rules.addressing.addresses() {
            if let IpAddr::V4(address) = address {
                self.request(vlans, address, address);
            }
        }
    }

    /// An unasked advertisement to all nodes.
    fn announce_ipv6(&mut self, own: &Own6) {
        if !own.state.is_usable() {
            return;
        }
        let advertisement = ndp::Advertisement {
            target: own.address,
            router: false,
            solicited: false,
            override_known: true,
            target_link_address: Some(self.style.mac),
        };
        let mut message = [0; ndp::MAX_LEN];
        advertisement.write(&mut message);
        self.send_ndp(own.vlans, own.address, ndp::ALL_NODES, &mut message, Counter::NdpAnnounced);
    }

    fn each_ipv6(&mut self, mut each: impl FnMut(&mut Self, &Own6)) {
        let rules = Arc::clone(&self.rules);
        rules.addressing.ipv6().iter().for_each(|own| each(self, own));
    }
}
