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
            (Addresses::V4 { .. }, Refusal::Protocol { .. }) => {
                Self::V4(v4::Kind::DESTINATION_UNREACHABLE, v4::Code::PROTOCOL, 0)
            }
            (Addresses::V6 { .. }, Refusal::Port) => {
                Self::V6(v6::Kind::DESTINATION_UNREACHABLE, v6::Code::PORT, 0)
            }
            (Addresses::V6 { .. }, Refusal::Protocol { at }) => {
                Self::V6(v6::Kind::PARAMETER_PROBLEM, v6::Code::NEXT_HEADER, at as u32)
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

impl<Q: FrameQueue> Host<Q> {
    /// The last frame of `rx` is a packet that nobody takes.
    #[cold]
    pub(super) fn refuse(&mut self, now: Time, ip: &Ip, refusal: Refusal) {
        let Some(packet) = self.rx.pop() else { return };
        self.counters.add(refusal.counter(), 1);
        self.complain(now, packet, ip, Saying::refusal(ip.addresses, refusal));
    }

    /// Turns a packet that was counted as dropped into the error about it, as far as the rate
    /// allows.
    pub(super) fn complain(&mut self, now: Time, mut packet: Q::Packet, ip: &Ip, saying: Saying) {
        if !self.guard.may_complain(now) {
            self.counters.add(Counter::IcmpErrorLimited, 1);
            return self.egress.discard(&mut self.queue, packet);
        }
        self.counters.add(Counter::IcmpErrorSent, 1);
        if write(&mut packet, ip, saying, self.style) {
            self.egress.send(&mut self.queue, packet);
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
