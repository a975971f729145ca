//! Packets in parts: fragments in, which are put together and then treated like any packet,
//! and packets that are longer than the MTU out, cut into fragments.

use std::net::SocketAddr;

use super::Host;
use super::classify::{Addresses, Class, Ip, Link, Part, Udp, other_class, udp_class};
use super::errors::{self, Saying};
use super::fragment::{Identifications, Piece, Pieces};
use super::outgoing::{self, Way};
use super::reassembly::{Expired, Fragment, Joined, Outcome, Reason, Reassembly, ReassemblyConfig};
use super::reply::{self, Header};
use super::siphash::HashKey;
use crate::forward::{Forward, Forwards};
use crate::packet::{Packet, RxChecksum};
use crate::port::FrameQueue;
use crate::service::{Datagram, Outbox, Service, Verdict};
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::extension;
use crate::wire::protocol::Protocol;
use crate::wire::vlan::{self, Vlans};
use crate::wire::{fragment, icmpv4, ipv4, ipv6, udp};

/// The longest link header, in bytes.
const MAX_LINK_LEN: usize = ethernet::HEADER_LEN + 2 * vlan::TAG_LEN;
/// The longest error about a packet, in bytes: as long as what is kept of it allows.
const MAX_ERROR_LEN: usize = 256;

/// What a host needs that puts fragments together and makes them.
#[derive(Debug)]
pub(super) struct Fragments {
    reassembly: Reassembly,
    identifications: Identifications,
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

/// A link header that was received, and how much of it there is.
#[derive(Clone, Copy)]
struct LinkHeader {
    bytes: [u8; MAX_LINK_LEN],
    len: usize,
}

impl LinkHeader {
    fn of(frame: &[u8], len: usize) -> Self {
        let mut bytes = [0; MAX_LINK_LEN];
        let len = len.min(MAX_LINK_LEN).min(frame.len());
        bytes[..len].copy_from_slice(&frame[..len]);
        Self { bytes, len }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A packet of ours that has to be cut.
struct Whole<'a> {
    /// The link header, as it is to be sent.
    link: &'a [u8],
    /// The IP header of a packet that need not be cut.
    header: Header,
    /// What it carries.
    payload: &'a [u8],
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
        let mut outbox = Outbox::new(now, self.lent.parts(), self.max_payload, &mut self.guard.validation);
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

    /// A reply of `len` bytes that is longer than the MTU: it is cut, or its sender told that
    /// what he sent is too long to be answered.
    #[cold]
    pub(super) fn reply_oversize(&mut self, now: Time, mut packet: Q::Packet, udp: &Udp, len: usize) {
        let Some(mut fragments) = self.fragments.take() else {
            self.counters.add(Counter::TxOversize, 1);
            self.egress.tap.record(Counter::TxOversize, packet.frame());
            return self.complain(now, packet, &udp.ip, Saying::too_big(udp.ip.addresses, self.mtu));
        };
        let start = udp.payload_start() - udp::HEADER_LEN;
        let link = self.turned(&LinkHeader::of(packet.frame(), udp.ip.link.len));
        let datagram = &mut packet.room_mut()[start..start + udp::HEADER_LEN + len];
        let header = self.reply_header(&udp.ip, Protocol::UDP, datagram.len());
        write_udp(datagram, udp.destination_port, udp.source_port, header.addresses);
        let whole = Whole { link: link.as_slice(), header, payload: datagram };
        self.send_cut(&mut fragments.identifications, &whole, |host, packet| {
            host.egress.send(&mut host.queue, packet, Counter::Replied);
        });
        self.fragments = Some(fragments);
        self.egress.discard(&mut self.queue, packet);
    }

    /// Cuts a datagram of ours whose payload starts at `payload_start`, and sends the pieces.
    #[cold]
    pub(super) fn emit_oversize(
        &mut self,
        now: Time,
        mut packet: Q::Packet,
        payload_start: usize,
        (source_port, destination_port): (u16, u16),
        way: Way,
    ) {
        let Way { addresses, route, .. } = way;
        if !outgoing::place_headers(&mut packet, payload_start, udp::HEADER_LEN) {
            return self.drop_unsent(packet, Counter::TxNoBuffer);
        }
        let Some(mut fragments) = self.fragments.take() else {
            return self.drop_unsent(packet, Counter::TxOversize);
        };
        let (len, ttl, protocol) = (packet.frame_len(), self.style.ttl, Protocol::UDP);
        let datagram = &mut packet.room_mut()[..len];
        write_udp(datagram, source_port, destination_port, addresses);
        let mut link = [0; MAX_LINK_LEN];
        let (own, ether_type) = (self.style.mac, addresses.ether_type());
        let link_len = outgoing::write_link(&mut link, MacAddress::default(), own, route.vlans, ether_type);
        let header = Header { addresses, differentiated_services: 0, ttl, protocol, payload_len: len };
        let whole = Whole { link: &link[..link_len], header, payload: datagram };
        self.send_cut(&mut fragments.identifications, &whole, |host, piece| {
            host.hand_over(now, piece, way);
        });
        self.fragments = Some(fragments);
        self.egress.discard(&mut self.queue, packet);
    }

    /// Sends a packet that was counted as one to be sent, in as many pieces as it takes.
    fn send_cut(
        &mut self,
        identifications: &mut Identifications,
        whole: &Whole<'_>,
        mut send: impl FnMut(&mut Self, Q::Packet),
    ) {
        let addresses = whole.header.addresses;
        let is_whole = addresses.header_len() + whole.payload.len() <= self.mtu;
        let extra = match addresses {
            Addresses::V6 { .. } if !is_whole => fragment::HEADER_LEN,
            _ => 0,
        };
        let pieces = Pieces::new(whole.payload.len(), self.mtu, addresses.header_len() + extra);
        let Some(pieces) = pieces else { return self.counters.add(Counter::TxOversize, 1) };
        self.counters.add(Counter::FragmentsAdded, pieces.count_left().saturating_sub(1) as u64);
        let identification =
            if is_whole { 0 } else { identifications.next(addresses.source(), addresses.destination()) };
        for piece in pieces {
            let Some(mut packet) = self.blank() else { continue };
            if write_piece(&mut packet, whole, piece, identification, is_whole) {
                send(self, packet);
            } else {
                self.drop_unsent(packet, Counter::TxOversize);
            }
        }
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

    fn reply_header(&self, ip: &Ip, protocol: Protocol, payload_len: usize) -> Header {
        Header {
            addresses: ip.addresses.turned(),
            differentiated_services: ip.differentiated_services,
            ttl: self.style.ttl,
            protocol,
            payload_len,
        }
    }

    /// The link header of an answer.
    fn turned(&self, link: &LinkHeader) -> LinkHeader {
        let mut turned = *link;
        if let Some(header) = turned.bytes.first_chunk_mut() {
            ethernet::write_reply(header, self.style.mac);
        }
        turned
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

/// Writes the UDP header of a whole datagram, its checksum over all of it.
fn write_udp(datagram: &mut [u8], source_port: u16, destination_port: u16, addresses: Addresses) {
    let len = datagram.len();
    let Some(header) = datagram.first_chunk_mut() else { return };
    udp::write(header, source_port, destination_port, len as u16, [0, 0]);
    let checksum = udp_checksum(addresses.pseudo_header(Protocol::UDP, len) + Sum::of(datagram));
    datagram[6..8].copy_from_slice(&checksum);
}

/// Makes a frame of one piece. `false` if the packet has no room for it.
fn write_piece<P: Packet>(
    packet: &mut P,
    whole: &Whole<'_>,
    piece: Piece,
    identification: u32,
    is_whole: bool,
) -> bool {
    let Whole { link, header, payload } = whole;
    let Piece { offset, len, more } = piece;
    let at = link.len();
    let room = packet.room_mut();
    let extension_len = match header.addresses {
        Addresses::V6 { .. } if !is_whole => fragment::HEADER_LEN,
        _ => 0,
    };
    let start = at + header.addresses.header_len() + extension_len;
    let (Some(payload), true) = (payload.get(offset..offset + len), start + len <= room.len()) else {
        return false;
    };
    room[..at].copy_from_slice(link);
    room[start..start + len].copy_from_slice(payload);
    let header = Header { payload_len: extension_len + len, ..*header };
    if is_whole {
        header.write(&mut room[at..]);
    } else {
        write_fragment_headers(&mut room[at..start], header, offset as u16, more, identification);
    }
    reply::finish(packet, start + len);
    true
}

fn write_fragment_headers(into: &mut [u8], header: Header, offset: u16, more: bool, identification: u32) {
    let Header { differentiated_services, ttl, protocol, payload_len, .. } = header;
    match header.addresses {
        Addresses::V4 { source, destination } => {
            let payload_len = payload_len as u16;
            let header =
                ipv4::Header { differentiated_services, ttl, protocol, source, destination, payload_len };
            let part = ipv4::Fragment { identification: identification as u16, offset, more };
            if let Some(into) = into.first_chunk_mut() {
                header.write_fragment(part, into);
            }
        }
        Addresses::V6 { .. } => {
            Header { protocol: Protocol::FRAGMENT, ..header }.write(into);
            let part = fragment::Header { next_header: protocol.0, offset, more, identification };
            if let Some(into) = into.get_mut(ipv6::HEADER_LEN..).and_then(|into| into.first_chunk_mut()) {
                part.write(into);
            }
        }
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
