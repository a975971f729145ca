//! ICMP errors: what the sender is told of a packet that nobody here takes (RFC 1122, section
//! 3.2.2; RFC 4443, section 2.4). At a limited rate, and never about an error, a group's packet
//! or a fragment: none of them comes here.

use super::Host;
use super::classify::{Addresses, Ip, Refusal};
use super::reply::{self, Header, Style};
use crate::packet::Packet;
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::ethernet;
use crate::wire::extension::Walked;
use crate::wire::protocol::Protocol;
use crate::wire::{icmpv4, icmpv6, ipv6};

/// The longest error, in bytes: what every host can receive (RFC 1812, section 4.3.2.3;
/// RFC 4443, section 2.4).
const MAX_IPV4_LEN: usize = 576;
const MAX_IPV6_LEN: usize = 1280;

/// What an error says: its type, its code and the four bytes behind its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saying {
    V4(icmpv4::Kind, icmpv4::Code, u32),
    V6(icmpv6::Kind, icmpv6::Code, u32),
}

impl Saying {
    /// Nobody takes the packet.
    pub(super) fn refusal(addresses: Addresses, refusal: Refusal) -> Self {
        use icmpv4 as v4;
        use icmpv6 as v6;
        match (addresses, refusal) {
            (Addresses::V4 { .. }, Refusal::Port) => {
                Self::V4(v4::Kind::DESTINATION_UNREACHABLE, v4::Code::PORT, 0)
            }
            // The other refusals are of IPv6 only.
            (
                Addresses::V4 { .. },
                Refusal::Protocol { .. } | Refusal::Route { .. } | Refusal::Option { .. },
            ) => Self::V4(v4::Kind::DESTINATION_UNREACHABLE, v4::Code::PROTOCOL, 0),
            (Addresses::V6 { .. }, Refusal::Port) => {
                Self::V6(v6::Kind::DESTINATION_UNREACHABLE, v6::Code::PORT, 0)
            }
            (Addresses::V6 { .. }, Refusal::Protocol { at }) => {
                Self::V6(v6::Kind::PARAMETER_PROBLEM, v6::Code::NEXT_HEADER, at as u32)
            }
            (Addresses::V6 { .. }, Refusal::Route { at }) => {
                Self::V6(v6::Kind::PARAMETER_PROBLEM, v6::Code::FIELD, at as u32)
            }
            (Addresses::V6 { .. }, Refusal::Option { at }) => {
                Self::V6(v6::Kind::PARAMETER_PROBLEM, v6::Code::OPTION, at as u32)
            }
        }
    }

    /// The answer to the packet is longer than the link's MTU.
    pub(super) fn too_big(addresses: Addresses, mtu: usize) -> Self {
        let mtu = mtu as u32;
        match addresses {
            Addresses::V4 { .. } => {
                Self::V4(icmpv4::Kind::DESTINATION_UNREACHABLE, icmpv4::Code::FRAGMENTATION_NEEDED, mtu)
            }
            Addresses::V6 { .. } => Self::V6(icmpv6::Kind::PACKET_TOO_BIG, icmpv6::Code::NONE, mtu),
        }
    }

    /// The rest of the packet's fragments did not come in time.
    pub(super) fn reassembly_timeout(addresses: Addresses) -> Self {
        match addresses {
            Addresses::V4 { .. } => Self::V4(icmpv4::Kind::TIME_EXCEEDED, icmpv4::Code::REASSEMBLY, 0),
            Addresses::V6 { .. } => Self::V6(icmpv6::Kind::TIME_EXCEEDED, icmpv6::Code::REASSEMBLY, 0),
        }
    }

    /// Writes the message's header over the front of it, and its checksum.
    pub(super) fn write(self, message: &mut [u8], addresses: Addresses) {
        let pseudo_header = addresses.pseudo_header(Protocol::ICMPV6, message.len());
        let Some(header) = message.first_chunk_mut() else { return };
        match self {
            Self::V4(kind, code, rest) => {
                icmpv4::write_error(header, kind, code, rest);
                icmpv4::fill_checksum(message);
            }
            Self::V6(kind, code, rest) => {
                icmpv6::write_error(header, kind, code, rest);
                icmpv6::fill_checksum(message, pseudo_header);
            }
        }
    }
}

/// Whether an IPv6 packet whose extension headers end as `walked` says is an ICMP error or a
/// redirect, about which no error is sent (RFC 4443, section 2.4(e)). One that is cut off
/// before it says may be one.
pub(super) fn is_icmpv6_error(walked: &Walked, payload: &[u8]) -> bool {
    let kind = payload.get(walked.offset).map(|&kind| icmpv6::Kind(kind));
    walked.protocol == Protocol::ICMPV6 && kind.is_none_or(|kind| !kind.may_be_complained_about())
}

impl<Q: FrameQueue> Host<Q> {
    /// The last frame of `rx` is a packet that nobody takes.
    #[cold]
    pub(super) fn refuse(&mut self, now: Time, ip: &Ip, refusal: Refusal) {
        let Some(packet) = self.rx.pop() else { return };
        self.counters.add(refusal.counter(), 1);
        self.egress.tap.record(refusal.counter(), packet.frame());
        self.complain(now, packet, ip, Saying::refusal(ip.addresses, refusal));
    }

    /// Turns a packet that was counted as dropped into the error about it, as far as the rate
    /// allows.
    pub(super) fn complain(&mut self, now: Time, mut packet: Q::Packet, ip: &Ip, saying: Saying) {
        // Such a source names no single node (RFC 4443, section 2.4(e.6)).
        if self.rules.addressing.is_router_anycast(ip.addresses.source()) {
            return self.egress.discard(&mut self.queue, packet);
        }
        if !self.guard.may_complain(now) {
            self.counters.add(Counter::IcmpErrorLimited, 1);
            return self.egress.discard(&mut self.queue, packet);
        }
        self.counters.add(Counter::IcmpErrorSent, 1);
        if write(&mut packet, ip, saying, self.style) {
            self.egress.send(&mut self.queue, packet, Counter::IcmpErrorSent);
        } else {
            self.drop_unsent(packet, Counter::TxNoBuffer);
        }
    }
}

/// Turns a packet into the error about it: a fresh header, the error's, and as much of the
/// packet as fits. `false`, and the packet is no frame any more, if it has no room for that.
fn write<P: Packet>(packet: &mut P, about: &Ip, saying: Saying, style: Style) -> bool {
    let link_len = about.link.len;
    let header_len = about.addresses.header_len();
    let longest = match about.addresses {
        Addresses::V4 { .. } => MAX_IPV4_LEN,
        Addresses::V6 { .. } => MAX_IPV6_LEN,
    };
    let room = packet.room_mut();
    let before = header_len + icmpv4::HEADER_LEN;
    let room_for_ip = room.len().saturating_sub(link_len).min(longest);
    let whole = about.header_len + about.payload_len;
    let quoted = whole.min(room_for_ip.saturating_sub(before));
    // A packet that carries less than those 8 bytes is quoted whole.
    if quoted < whole.min(about.header_len.min(ipv6::HEADER_LEN) + icmpv4::HEADER_LEN) {
        return false;
    }
    room.copy_within(link_len..link_len + quoted, link_len + before);
    let (link, ip) = room.split_at_mut(link_len);
    if let Some(header) = link.first_chunk_mut() {
        ethernet::write_reply(header, style.mac);
    }
    let addresses = about.addresses.turned();
    let payload_len = icmpv4::HEADER_LEN + quoted;
    Header { addresses, differentiated_services: 0, ttl: style.ttl, protocol: addresses.icmp(), payload_len }
        .write(ip);
    saying.write(&mut ip[header_len..before + quoted], addresses);
    reply::finish(packet, link_len + before + quoted);
    true
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::host::{Addressing, InterfaceAddress};
    use crate::wire::vlan::Vlans;
    use crate::{Datagram, Lab, Outbox, Service, Verdict};

    const OWN: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    const PEER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
    /// Destination options before UDP or ICMPv6 with an option that is to be complained about.
    const OPTION: [u8; 8] = [17, 0, 0x9e, 4, 0, 0, 0, 0];
    /// A routing header of a type that nobody knows, with a segment left.
    const ROUTE: [u8; 8] = [17, 0, 9, 1, 0, 0, 0, 0];

    struct Silent;

    impl Service for Silent {
        fn on_datagram(&mut self, _: Time, _: &mut Datagram<'_>, _: &mut Outbox<'_>) -> Verdict {
            Verdict::Drop
        }
    }

    /// What is said in answer to a packet: type, code and the word behind the checksum.
    fn told(from: Ipv6Addr, first: u8, payload: &[u8]) -> Option<(u8, u8, u32)> {
        let mut lab = Lab::with(Silent, |config| {
            let own = InterfaceAddress { address: OWN.into(), prefix_len: 64, vlans: Vlans::NONE };
            config.addressing = Addressing::new(vec![own], Vec::new()).expect("no gateway");
        });
        let len = (payload.len() as u16).to_be_bytes();
        let fixed = [0x60, 0, 0, 0, len[0], len[1], first, 33];
        let link = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
        lab.send_frame(&[&link[..], &fixed, &from.octets(), &OWN.octets(), payload].concat());
        lab.turn();
        let answer = lab.receive_frame()?;
        assert_eq!((answer[20], &answer[38..54]), (58, &from.octets()[..]), "ICMPv6 to the sender");
        let &[kind, code, _, _, a, b, c, d] = answer[54..].first_chunk()?;
        Some((kind, code, u32::from_be_bytes([a, b, c, d])))
    }

    fn behind(header: [u8; 8], carries: &[u8]) -> Vec<u8> {
        [&header[..], carries].concat()
    }

    #[test]
    fn a_sender_is_told_which_header_we_refuse() {
        assert_eq!(told(PEER, 60, &behind(OPTION, &[0; 8])), Some((4, 2, 42)));
        assert_eq!(told(PEER, 43, &behind(ROUTE, &[0; 8])), Some((4, 0, 42)));
        let hop_by_hop = behind([0, 0, 1, 4, 0, 0, 0, 0], &behind([17, 0, 1, 4, 0, 0, 0, 0], &[0; 8]));
        assert_eq!(told(PEER, 60, &hop_by_hop), Some((4, 1, 40)), "which comes first or not at all");
        let mut silent = OPTION;
        silent[2] = 0x5e;
        assert_eq!(told(PEER, 60, &behind(silent, &[0; 8])), None, "as the option wants it");
    }

    #[test]
    fn nobody_is_told_of_an_error_or_of_a_fragment() {
        let (mut option, mut route) = (OPTION, ROUTE);
        (option[0], route[0]) = (58, 58);
        let hop_by_hop = behind([0, 0, 1, 4, 0, 0, 0, 0], &[58, 0, 1, 4, 0, 0, 0, 0]);
        for (first, chain) in [(60, option.to_vec()), (43, route.to_vec()), (60, hop_by_hop)] {
            let told = |carries: &[u8]| told(PEER, first, &[&chain[..], carries].concat());
            for kind in [1, 2, 3, 4, 100, 137] {
                assert_eq!(told(&[kind; 8]), None, "type {kind}");
            }
            assert!(told(&[128; 8]).is_some(), "a ping");
            assert_eq!(told(&[]), None, "of what may be one");
        }
        option[0] = 44;
        assert_eq!(told(PEER, 60, &behind(option, &[17, 0, 0, 1, 0, 0, 0, 1])), None);
    }

    #[test]
    fn routers_are_told_nothing_together() {
        let closed = [0x12, 0x34, 0, 7, 0, 8, 0, 0];
        assert!(told(PEER, 132, &closed).is_some());
        assert_eq!(told(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0), 132, &closed), None);
    }
}
