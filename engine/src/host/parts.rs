//! Packets in parts: fragments are put together, and what they make is treated like any packet.

use std::net::SocketAddr;

use super::Host;
use super::classify::{Addresses, Class, Ip, Link, Part, Udp, other_class, udp_class};
use super::cut::{LinkHeader, Whole, write_udp};
use super::errors::{self, Saying};
use super::fragment::Identifications;
use super::outgoing::Way;
use super::reassembly::{Expired, Fragment, Joined, Outcome, Reason, Reassembly, ReassemblyConfig};
use super::reply;
use super::siphash::HashKey;
use crate::forward::{Forward, Forwards};
use crate::packet::{Packet, RxChecksum};
use crate::port::FrameQueue;
use crate::service::{Datagram, Limits, Outbox, Service, Verdict};
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::extension;
use crate::wire::protocol::Protocol;
use crate::wire::vlan::Vlans;
use crate::wire::{icmpv4, ipv6, udp};

/// The longest error about a packet, in bytes: as long as what is kept of it allows.
const MAX_ERROR_LEN: usize = 256;

/// What a host needs that puts fragments together and makes them.
#[derive(Debug)]
pub(super) struct Fragments {
    reassembly: Reassembly,
    pub(super) identifications: Identifications,
}

impl Fragments {
    pub(super) fn new(key: HashKey) -> Self {
        Self {
            reassembly: Reassembly::new(ReassemblyConfig::default()),
            identifications: Identifications::new(key),
        }
    }

    /// Forgets all fragments. Gives how many there were.
    pub(super) fn clear(&mut self) -> usize {
        self.reassembly.clear()
    }
}

impl<Q: FrameQueue> Host<Q> {
    /// When [`step_fragments`](Self::step_fragments) may have something to do.
    #[inline]
    pub(super) fn fragments_deadline(&self) -> Time {
        self.fragments.as_ref().map_or(Time::NEVER, |fragments| fragments.reassembly.next_deadline())
    }

    /// The last frame of `rx` is a fragment.
    #[cold]
    pub(super) fn part<S: Service>(
        &mut self,
        now: Time,
        ip: &Ip,
        part: &Part,
        service: &mut S,
        forwards: &mut Forwards<Q::Packet>,
    ) {
        if now >= self.fragments_deadline() {
            self.step_fragments(now);
        }
        let Some(packet) = self.rx.pop() else { return };
        let link = LinkHeader::of(packet.frame(), ip.link.len);
        let outcome = self.insert(now, packet.frame(), ip, part);
        let became = match &outcome {
            None | Some(Outcome::Held) => Counter::FragmentHeld,
            Some(Outcome::Dropped { reason, .. }) => counter(*reason),
            Some(Outcome::Complete(_)) => Counter::FragmentJoined,
        };
        self.egress.tap.record(became, packet.frame());
        self.egress.discard(&mut self.queue, packet);
        match outcome {
            None | Some(Outcome::Held) => self.counters.add(Counter::FragmentHeld, 1),
            Some(Outcome::Dropped { reason, fragments }) => {
                self.counters.add(counter(reason), 1 + fragments as u64);
            }
            Some(Outcome::Complete(joined)) => {
                self.counters.add(Counter::FragmentJoined, joined.fragments as u64);
                self.counters.add(Counter::Reassembled, 1);
                self.take_in_joined(now, &joined, ip.link.vlans, &link, service, forwards);
            }
        }
    }

    fn insert(&mut self, now: Time, frame: &[u8], ip: &Ip, part: &Part) -> Option<Outcome> {
        let start = ip.link.len + ip.header_len;
        let fragment = Fragment {
            link: ip.link.vlans.to_bits(),
            source: ip.addresses.source(),
            destination: ip.addresses.destination(),
            protocol: part.protocol.0,
            identification: part.identification,
            differentiated_services: ip.differentiated_services,
            offset: part.offset,
            more: part.more,
            header: frame.get(ip.link.len..start)?,
            payload: frame.get(start..start + ip.payload_len)?,
        };
        let insertion = self.fragments.as_mut()?.reassembly.insert(now, &fragment);
        self.counters.add(Counter::FragmentEvicted, insertion.evicted as u64);
        Some(insertion.outcome)
    }

    /// A packet that was put together: what it carries goes where that of any packet goes.
    fn take_in_joined<S: Service>(
        &mut self,
        now: Time,
        joined: &Joined,
        vlans: Vlans,
        link: &LinkHeader,
        service: &mut S,
        forwards: &mut Forwards<Q::Packet>,
    ) {
        match self.classify_joined(joined, vlans) {
            Ok(Class::Udp(udp)) => self.deliver_joined(now, joined, &udp, link, service, forwards),
            Ok(Class::Echo(ip)) => self.echo_joined(joined, &ip, link),
            // Nobody is sent an error about fragments.
            Ok(Class::Refused(_, refusal)) => self.counters.add(refusal.counter(), 1),
            // Neighbour discovery does not come in fragments (RFC 6980).
            Ok(_) => self.counters.add(Counter::NdpMalformed, 1),
            Err(reason) => self.counters.add(reason, 1),
        }
    }

    /// `header_len` of the packet is that of extension headers which stand in its room.
    fn classify_joined(&mut self, joined: &Joined, vlans: Vlans) -> Result<Class, Counter> {
        let Some(fragments) = &mut self.fragments else { return Err(Counter::Fragment) };
        let room = fragments.reassembly.room_mut(joined);
        let payload = room.get(..joined.len).ok_or(Counter::Fragment)?;
        let addresses = Addresses::new(joined.source, joined.destination).ok_or(Counter::Fragment)?;
        let mut ip = Ip {
            link: Link { len: 0, vlans },
            header_len: 0,
            payload_len: payload.len(),
            differentiated_services: joined.differentiated_services,
            addresses,
        };
        let mut protocol = Protocol(joined.protocol);
        if let Addresses::V6 { .. } = addresses {
            let walked = extension::walk(protocol, payload).map_err(|_| Counter::Ipv6Extension)?;
            if walked.fragment.is_some() || protocol == Protocol::HOP_BY_HOP {
                return Err(Counter::Ipv6Extension);
            }
            protocol = walked.protocol;
            ip.header_len = walked.offset;
            ip.payload_len -= walked.offset;
        }
        let payload = &payload[ip.header_len..];
        match protocol {
            Protocol::UDP => udp_class(payload, ip, RxChecksum::Unknown, &self.rules),
            protocol => other_class(protocol, payload, ip, 0),
        }
    }

    fn deliver_joined<S: Service>(
        &mut self,
        now: Time,
        joined: &Joined,
        udp: &Udp,
        link: &LinkHeader,
        service: &mut S,
        forwards: &mut Forwards<Q::Packet>,
    ) {
        let source = SocketAddr::new(udp.ip.addresses.source(), udp.source_port);
        if let Err(reason) = self.guard.admit(now, source, udp.destination_port, udp.payload_len) {
            return self.counters.add(reason, 1);
        }
        let Some(fragments) = &mut self.fragments else { return };
        self.counters.add(Counter::Delivered, 1);
        let (start, max_payload) = (udp.payload_start(), self.max_payload.to(source.ip()));
        let room = fragments.reassembly.room_mut(joined);
        let mut datagram = Datagram::new(room, start, udp.payload_len, max_payload, udp.arrival(self.port));
        let limits = Limits::of_host(self.max_payload, self.whole_payload, self.is_unguarded, &self.ways);
        let mut outbox = Outbox::new(now, self.lent.parts(), limits, &mut self.guard.validation);
        let verdict = service.on_datagram(now, &mut datagram, &mut outbox);
        let (len, _) = datagram.outcome();
        match verdict {
            Verdict::Drop => self.counters.add(Counter::ServiceDropped, 1),
            Verdict::Reply if !self.guard.validation.may_send(now, source, len) => {
                self.counters.add(Counter::Replied, 1);
                self.counters.add(Counter::TxAmplification, 1);
            }
            Verdict::Reply => {
                self.counters.add(Counter::Replied, 1);
                self.reply_joined(joined, udp, len, link);
            }
            Verdict::Forward { port, from, to } => {
                if let Some(packet) = self.copy_joined(joined, start, len) {
                    let forward = Forward { packet, payload_start: 0, port: Some(port), from, to };
                    self.forward(forward, forwards);
                }
            }
        }
    }

    /// Sends the payload in the room of a packet that was put together back to its source.
    fn reply_joined(&mut self, joined: &Joined, udp: &Udp, len: usize, link: &LinkHeader) {
        let Some(mut fragments) = self.fragments.take() else { return };
        let room = fragments.reassembly.room_mut(joined);
        let start = udp.payload_start() - udp::HEADER_LEN;
        let datagram = &mut room[start..start + udp::HEADER_LEN + len];
        let header = self.reply_header(&udp.ip, Protocol::UDP, datagram.len());
        write_udp(datagram, udp.destination_port, udp.source_port, header.addresses);
        let link = self.turned(link);
        let whole = Whole { link: link.as_slice(), header, payload: datagram };
        self.send_cut(&mut fragments.identifications, &whole, |host, packet| {
            host.egress.send(&mut host.queue, packet, Counter::Replied);
        });
        self.fragments = Some(fragments);
    }

    /// Answers an echo request that was put together.
    fn echo_joined(&mut self, joined: &Joined, ip: &Ip, link: &LinkHeader) {
        self.counters.add(Counter::EchoAnswered, 1);
        self.counters.add(Counter::HostReplied, 1);
        let Some(mut fragments) = self.fragments.take() else { return };
        let room = fragments.reassembly.room_mut(joined);
        let message = &mut room[ip.header_len..ip.header_len + ip.payload_len];
        if let Some(header) = message.first_chunk_mut() {
            reply::write_echo_reply(header, ip.addresses);
        }
        let link = self.turned(link);
        let header = self.reply_header(ip, ip.addresses.icmp(), message.len());
        let whole = Whole { link: link.as_slice(), header, payload: message };
        self.send_cut(&mut fragments.identifications, &whole, |host, packet| {
            host.egress.send(&mut host.queue, packet, Counter::HostReplied);
        });
        self.fragments = Some(fragments);
    }

    /// Gives up the packets whose fragments did not all come in time, and tells their senders.
    #[cold]
    pub(super) fn step_fragments(&mut self, now: Time) {
        let Some(mut fragments) = self.fragments.take() else { return };
        fragments.reassembly.step(now, |expired| {
            self.counters.add(Counter::FragmentTimeout, expired.fragments as u64);
            self.complain_late(now, &expired);
        });
        self.fragments = Some(fragments);
        self.egress.flush(&mut self.queue);
    }

    /// Tells a sender that the first of his fragments waited in vain (RFC 792; RFC 8200, 4.5).
    fn complain_late(&mut self, now: Time, expired: &Expired<'_>) {
        let Some(quote) = expired.quote.filter(|quote| !is_about_icmp_error(quote)) else { return };
        if self.rules.addressing.is_router_anycast(expired.source) {
            return;
        }
        let addresses = Addresses::new(expired.destination, expired.source);
        let route = self.rules.addressing.route(expired.destination, expired.source);
        let Some((addresses, route)) = addresses.zip(route) else { return };
        if !self.guard.may_complain(now) {
            return self.counters.add(Counter::IcmpErrorLimited, 1);
        }
        self.counters.add(Counter::IcmpErrorSent, 1);
        let Some(mut packet) = self.blank() else { return };
        let protocol = addresses.icmp();
        let quote = &quote[..quote.len().min(MAX_ERROR_LEN)];
        let len = icmpv4::HEADER_LEN + quote.len();
        let at = self.write_headers(&mut packet, route.vlans, addresses, protocol, len, self.style.ttl);
        let Some(message) = packet.room_mut().get_mut(at..at + len) else {
            return self.drop_unsent(packet, Counter::TxNoBuffer);
        };
        message[icmpv4::HEADER_LEN..].copy_from_slice(quote);
        Saying::reassembly_timeout(addresses).write(message, addresses);
        reply::finish(&mut packet, at + len);
        self.hand_over(now, packet, Way { addresses, route, reason: Counter::IcmpErrorSent });
    }

    /// A packet of ours that holds the payload of one that was put together.
    fn copy_joined(&mut self, joined: &Joined, start: usize, len: usize) -> Option<Q::Packet> {
        self.queue.alloc_burst(&mut self.request);
        let packet = self.request.pop();
        let room = self.fragments.as_mut().map(|fragments| fragments.reassembly.room_mut(joined));
        let payload = room.and_then(|room| room.get(start..start + len));
        let (Some(mut packet), Some(payload)) = (packet, payload) else {
            self.counters.add(Counter::ForwardNoRoom, 1);
            return None;
        };
        let Some(into) = packet.room_mut().get_mut(..len) else {
            self.counters.add(Counter::ForwardNoRoom, 1);
            self.egress.discard(&mut self.queue, packet);
            return None;
        };
        into.copy_from_slice(payload);
        packet.set_frame_len(len);
        Some(packet)
    }
}

fn counter(reason: Reason) -> Counter {
    match reason {
        Reason::Malformed | Reason::TooLong | Reason::HeaderChain | Reason::Contradiction => {
            Counter::FragmentMalformed
        }
        Reason::Duplicate => Counter::FragmentDuplicate,
        Reason::Overlap => Counter::FragmentOverlap,
        Reason::TooMany | Reason::Condemned => Counter::FragmentTooMany,
    }
}

/// Whether the first fragment that `quote` begins with, which may be longer, is of an ICMP
/// error, about which nobody is told anything. What can't be told from so much may be one.
fn is_about_icmp_error(quote: &[u8]) -> bool {
    if let Some((header, payload)) = quote.split_first_chunk::<{ ipv6::HEADER_LEN }>()
        && header[0] >> 4 == 6
    {
        let walked = extension::skim(Protocol(header[ipv6::NEXT_HEADER_AT]), payload);
        return walked.map_or(true, |walked| errors::is_icmpv6_error(&walked, payload));
    }
    let header_len = quote.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let kind = quote.get(header_len).copied();
    quote.get(9) == Some(&Protocol::ICMP.0)
        && kind.is_none_or(|kind| !icmpv4::Kind(kind).may_be_complained_about())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a fragment of an IPv6 packet that is longer than what is kept of it.
    fn quote(chain: &[u8], kind: u8) -> Vec<u8> {
        let mut quote = vec![0; ipv6::HEADER_LEN];
        (quote[0], quote[4], quote[6]) = (0x60, 4, Protocol::FRAGMENT.0);
        quote.extend(chain);
        quote.push(kind);
        quote.resize(128, 0);
        quote
    }

    #[test]
    fn an_icmpv6_error_is_known_by_its_first_fragment() {
        let fragment = [58, 0, 0, 1, 0, 0, 0, 9];
        for (kind, expected) in [(1, true), (3, true), (127, true), (137, true), (128, false), (129, false)] {
            assert_eq!(is_about_icmp_error(&quote(&fragment, kind)), expected, "type {kind}");
        }
        assert!(!is_about_icmp_error(&quote(&[17, 0, 0, 1, 0, 0, 0, 9], 1)), "a datagram");
        assert!(is_about_icmp_error(&quote(&fragment, 128)[..48]), "nothing of it is there");
    }

    #[test]
    fn an_icmp_error_is_known_by_its_first_fragment() {
        let quote = |protocol, kind| {
            let mut quote = [0; 28];
            (quote[0], quote[9], quote[20]) = (0x45, protocol, kind);
            quote
        };
        assert!(is_about_icmp_error(&quote(1, 3)) && !is_about_icmp_error(&quote(1, 8)));
        assert!(is_about_icmp_error(&quote(1, 99)), "nobody knows");
        assert!(!is_about_icmp_error(&quote(17, 3)));
    }
}
