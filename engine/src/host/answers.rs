//! What the host answers itself: ARP, neighbour discovery and echo requests.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::classify::{Addresses, Arp, Ip};
use super::errors::Saying;
use super::neighbours::Neighbour;
use super::peers::Learned;
use super::{Host, reply};
use crate::packet::Packet;
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::{arp, ndp};

impl<Q: FrameQueue> Host<Q> {
    /// The last frame of `rx` is an ARP packet.
    #[cold]
    pub(super) fn arp(&mut self, now: Time, arp: &Arp) {
        let Some(mut packet) = self.rx.pop() else { return };
        let vlans = arp.link.vlans;
        let own = self.rules.addressing.is_own_ipv4(vlans, arp.packet.target_ip);
        if self.rules.addressing.is_own_ipv4(vlans, arp.packet.sender_ip)
            && arp.packet.sender_mac != self.style.mac
        {
            self.counters.add(Counter::AddressConflict, 1);
        }
        // Who has no address yet asks from 0.0.0.0 (RFC 5227).
        let sender = arp.packet.sender_ip;
        if !sender.is_unspecified() && !self.rules.addressing.is_possible_source(sender) {
            return self.drop_received(packet, Counter::ArpMalformed);
        }
        match arp.packet.operation {
            arp::Operation::REQUEST if own => {
                self.counters.add(Counter::ArpAnswered, 1);
                self.egress.tap.record(Counter::ArpAnswered, packet.frame());
                reply::arp(&mut packet, arp, self.style);
                self.host_reply(packet);
            }
            arp::Operation::REPLY if own => {
                let neighbour = Neighbour { vlans, address: arp.packet.sender_ip.into() };
                let learned = Learned { neighbour, mac: arp.packet.sender_mac };
                let reason = match self.take_answer(now, learned) {
                    Belief::Learned => Counter::ArpLearned,
                    Belief::Shared => Counter::ArpShared,
                    Belief::Unasked => Counter::ArpUnsolicited,
                };
                self.drop_received(packet, reason);
            }
            _ => self.drop_received(packet, Counter::ArpNotOurs),
        }
    }

    /// Takes an answer in or hands it to the port's other lcores, one of which may have asked.
    fn take_answer(&mut self, now: Time, learned: Learned) -> Belief {
        if self.neighbours.is_asked_for(learned.neighbour) {
            self.learn(now, learned);
            return Belief::Learned;
        }
        match &self.peers {
            Some(peers) => {
                peers.tell(learned);
                Belief::Shared
            }
            None => Belief::Unasked,
        }
    }

    /// The last frame of `rx` is a neighbour solicitation (RFC 4861, section 7.2.3).
    #[cold]
    pub(super) fn solicitation(&mut self, ip: &Ip, asked: &ndp::Solicitation) {
        let Some(mut packet) = self.rx.pop() else { return };
        let Addresses::V6 { source, .. } = ip.addresses else {
            return self.drop_received(packet, Counter::NdpMalformed);
        };
        let rules = Arc::clone(&self.rules);
        let Some(own) = rules.addressing.own_ipv6(ip.link.vlans, asked.target) else {
            return self.drop_received(packet, Counter::NdpNotOurs);
        };
        if !own.state.is_usable() {
            // Somebody else is about to use it too: neither may (RFC 4862, section 5.4.3). But a
            // link may hand us back our own question (RFC 7527).
            if source.is_unspecified() && !self.is_from_ourselves(&packet) {
                self.object(own);
            }
            return self.drop_received(packet, Counter::AddressTentative);
        }
        self.counters.add(Counter::NdpAnswered, 1);
        self.egress.tap.record(Counter::NdpAnswered, packet.frame());
        self.counters.add(Counter::HostReplied, 1);
        if reply::advertisement(&mut packet, ip, source, asked.target, self.style) {
            self.egress.send(&mut self.queue, packet, Counter::HostReplied);
        } else {
            self.drop_unsent(packet, Counter::TxNoBuffer);
        }
    }

    fn is_from_ourselves(&self, packet: &Q::Packet) -> bool {
        ethernet::Header::split(packet.frame()).is_some_and(|(header, _)| header.source() == self.style.mac)
    }

    /// The last frame of `rx` is a neighbour advertisement (RFC 4861, section 7.2.5).
    #[cold]
    pub(super) fn advertisement(&mut self, now: Time, ip: &Ip, answer: &ndp::Advertisement) {
        let Some(packet) = self.rx.pop() else { return };
        let reason = self.advertised(now, ip, answer.target, answer.target_link_address);
        self.drop_received(packet, reason);
    }

    fn advertised(&mut self, now: Time, ip: &Ip, target: Ipv6Addr, mac: Option<MacAddress>) -> Counter {
        let rules = Arc::clone(&self.rules);
        if let Some(own) = rules.addressing.own_ipv6(ip.link.vlans, target) {
            self.object(own);
            self.counters.add(Counter::AddressConflict, 1);
            return Counter::NdpUnsolicited;
        }
        let Some(mac) = mac.filter(|mac| mac.is_unicast()) else { return Counter::NdpUnsolicited };
        let neighbour = Neighbour { vlans: ip.link.vlans, address: IpAddr::V6(target) };
        match self.take_answer(now, Learned { neighbour, mac }) {
            Belief::Learned => Counter::NdpLearned,
            Belief::Shared => Counter::NdpShared,
            Belief::Unasked => Counter::NdpUnsolicited,
        }
    }

    /// The last frame of `rx` is an echo request.
    #[cold]
    pub(super) fn echo(&mut self, now: Time, echo: &Ip) {
        let Some(mut packet) = self.rx.pop() else { return };
        self.counters.add(Counter::EchoAnswered, 1);
        self.egress.tap.record(Counter::EchoAnswered, packet.frame());
        if echo.addresses.header_len() + echo.payload_len > self.mtu {
            self.counters.add(Counter::HostReplied, 1);
            self.counters.add(Counter::TxOversize, 1);
            self.egress.tap.record(Counter::TxOversize, packet.frame());
            return self.complain(now, packet, echo, Saying::too_big(echo.addresses, self.mtu));
        }
        reply::echo(&mut packet, echo, self.style);
        self.host_reply(packet);
    }
}

/// What became of a neighbour's answer.
enum Belief {
    Learned,
    Shared,
    Unasked,
}
