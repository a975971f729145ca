//! What the host answers itself: ARP and ICMP echo.

use super::classify::{Arp, Ipv4};
use super::neighbours::Neighbour;
use super::peers::Learned;
use super::{Host, reply};
use crate::packet::Packet;
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::{arp, udp};

impl<Q: FrameQueue> Host<Q> {
    /// The last frame of `rx` is an ARP packet.
    #[cold]
    pub(super) fn arp(&mut self, now: Time, arp: &Arp) {
        let Some(mut packet) = self.rx.pop() else { return };
        let own = self.rules.addressing.is_own(arp.link.vlan, arp.packet.target_ip);
        match arp.packet.operation {
            arp::Operation::REQUEST if own => {
                self.counters.add(Counter::ArpAnswered, 1);
                self.egress.tap.record(Counter::ArpAnswered, packet.frame());
                reply::arp(&mut packet, arp, self.style);
                self.host_reply(packet);
            }
            arp::Operation::REPLY if own => {
                let neighbour = Neighbour { vlan: arp.link.vlan, address: arp.packet.sender_ip };
                let reason = self.arp_reply(now, Learned { neighbour, mac: arp.packet.sender_mac });
                self.drop_received(packet, reason);
            }
            _ => self.drop_received(packet, Counter::ArpNotOurs),
        }
    }

    /// Takes an answer in or hands it to the port's other lcores, one of which may have asked.
    fn arp_reply(&mut self, now: Time, learned: Learned) -> Counter {
        if self.neighbours.is_asked_for(learned.neighbour) {
            self.learn(now, learned);
            return Counter::ArpLearned;
        }
        match &self.peers {
            Some(peers) => {
                peers.tell(learned);
                Counter::ArpShared
            }
            None => Counter::ArpUnsolicited,
        }
    }

    /// The last frame of `rx` is an ICMP echo request.
    #[cold]
    pub(super) fn echo(&mut self, echo: &Ipv4) {
        let Some(mut packet) = self.rx.pop() else { return };
        self.counters.add(Counter::EchoAnswered, 1);
        self.egress.tap.record(Counter::EchoAnswered, packet.frame());
        if echo.payload_len > self.max_payload + udp::HEADER_LEN {
            self.counters.add(Counter::HostReplied, 1);
            return self.drop_unsent(packet, Counter::TxOversize);
        }
        reply::echo(&mut packet, echo, self.style);
        self.host_reply(packet);
    }
}
