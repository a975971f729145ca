//! Packets that are longer than the MTU, cut into fragments on their way out.

use super::Host;
use super::classify::{Addresses, Ip, Udp};
use super::errors::Saying;
use super::fragment::{Identifications, Piece, Pieces};
use super::outgoing::{self, Way};
use super::reply::{self, Header};
use crate::packet::Packet;
use crate::port::FrameQueue;
use crate::telemetry::Counter;
use crate::time::Time;
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::protocol::Protocol;
use crate::wire::{fragment, ipv4, ipv6, udp, vlan};

/// The longest link header, in bytes.
const MAX_LINK_LEN: usize = ethernet::HEADER_LEN + 2 * vlan::TAG_LEN;

/// A link header that was received, and how much of it there is.
#[derive(Clone, Copy)]
pub(super) struct LinkHeader {
    bytes: [u8; MAX_LINK_LEN],
    len: usize,
}

impl LinkHeader {
    pub(super) fn of(frame: &[u8], len: usize) -> Self {
        let mut bytes = [0; MAX_LINK_LEN];
        let len = len.min(MAX_LINK_LEN).min(frame.len());
        bytes[..len].copy_from_slice(&frame[..len]);
        Self { bytes, len }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A packet of ours that has to be cut.
pub(super) struct Whole<'a> {
    /// The link header, as it is to be sent.
    pub(super) link: &'a [u8],
    /// The IP header of a packet that need not be cut.
    pub(super) header: Header,
    /// What it carries.
    pub(super) payload: &'a [u8],
}

impl<Q: FrameQueue> Host<Q> {
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
    pub(super) fn send_cut(
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

    pub(super) fn reply_header(&self, ip: &Ip, protocol: Protocol, payload_len: usize) -> Header {
        Header {
            addresses: ip.addresses.turned(),
            differentiated_services: ip.differentiated_services,
            ttl: self.style.ttl,
            protocol,
            payload_len,
        }
    }

    /// The link header of an answer.
    pub(super) fn turned(&self, link: &LinkHeader) -> LinkHeader {
        let mut turned = *link;
        if let Some(header) = turned.bytes.first_chunk_mut() {
            ethernet::write_reply(header, self.style.mac);
        }
        turned
    }
}

/// Writes the UDP header of a whole datagram, its checksum over all of it.
pub(super) fn write_udp(datagram: &mut [u8], source_port: u16, destination_port: u16, addresses: Addresses) {
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
