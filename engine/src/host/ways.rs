//! The ways that datagrams of ours took lately: between the same two addresses the headers are
//! the same but for ports, lengths and checksums, so they are copied and those written anew.

use std::net::{IpAddr, SocketAddr};

use super::classify::Addresses;
use super::outgoing::write_link;
use super::reply::{self, Header, Style};
use crate::packet::{IpVersion, Packet, Tail, Written};
use crate::time::Time;
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::protocol::Protocol;
use crate::wire::vlan::{self, Vlans};
use crate::wire::{ipv4, ipv6, udp};

/// Ways that are kept; a power of two.
const PLACES: usize = if cfg!(fuzzing) { 8 } else { 256 };
/// Link header with two tags, IPv6 and UDP, and what fills the last of the words that are copied at once.
const MAX_HEADERS_LEN: usize =
    (ethernet::HEADER_LEN + 2 * vlan::TAG_LEN + ipv6::HEADER_LEN + udp::HEADER_LEN).next_multiple_of(16);
/// What most frames have in front of their payload: no tags, IPv4 and UDP.
pub(crate) const PLAIN_HEADERS_LEN: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN + udp::HEADER_LEN;
/// Where an IPv4 header has its total length and its checksum.
const IPV4_LEN_AT: usize = 2;
const IPV4_CHECKSUM_AT: usize = 10;
/// Where an IPv6 header has the length of what it carries.
const IPV6_LEN_AT: usize = 4;

/// The ways that are kept, each in the one place that its addresses have.
///
/// A way is not taken longer than its neighbour's answer is believed, and what is believed does
/// not change meanwhile; addresses of ours that may be used stay so. So none is ever taken back, but all when the port has another device (`become_station`).
#[derive(Debug)]
pub(crate) struct Ways(Box<[Option<Ready>]>);

impl Ways {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(std::iter::repeat_with(|| None).take(PLACES).collect())
    }

    /// The way between two addresses, if it was taken before and may still be.
    #[inline]
    pub(crate) fn find(&self, now: Time, from: &SocketAddr, to: &SocketAddr) -> Option<&Ready> {
        let ready = self.0.get(place(bits(from), bits(to)))?.as_ref()?;
        (ready.is_between(from, to) && now < ready.until).then_some(ready)
    }

    /// Keeps a way, in the place of another if need be.
    pub(super) fn keep(&mut self, ready: Ready) {
        let [from, to] = [ready.from, ready.to].map(|address| bits(&SocketAddr::new(address, 0)));
        if let Some(kept) = self.0.get_mut(place(from, to)) {
            *kept = Some(ready);
        }
    }
}

/// Where the way between two addresses stands. Who chooses addresses that share a place makes
/// them slower for himself.
#[inline]
fn place(from: u64, to: u64) -> usize {
    let mixed = (from.rotate_left(32) ^ to).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize % PLACES
}

/// An address, in a word.
#[inline]
fn bits(end: &SocketAddr) -> u64 {
    match end {
        SocketAddr::V4(end) => u64::from(end.ip().to_bits()),
        SocketAddr::V6(end) => (end.ip().to_bits() >> 64) as u64 ^ end.ip().to_bits() as u64,
    }
}

/// Makes a frame of what was written into a packet from its start on.
#[inline]
pub(super) fn finish<P: Packet>(packet: &mut P, written: Written) {
    if let Some((version, l2_len, l3_len)) = written.checksum() {
        packet.request_udp_checksum(version, l2_len, l3_len);
    }
    reply::finish(packet, written.frame_len());
}

/// Makes a frame of the headers that were written into a packet from its start on and a payload that
/// it shares with others. `false` if that is not possible, and they are no frame yet.
#[inline]
pub(super) fn finish_chained<P: Packet>(packet: &mut P, written: Written, tail: &mut Tail<P>) -> bool {
    packet.set_frame_len(written.headers_len());
    if !packet.chain(tail) {
        return false;
    }
    if let Some((version, l2_len, l3_len)) = written.checksum() {
        packet.request_udp_checksum(version, l2_len, l3_len);
    }
    true
}

/// The headers of a way, ready to be copied.
#[derive(Debug)]
pub(crate) struct Ready {
    from: IpAddr,
    to: IpAddr,
    /// When the neighbour has to be asked again.
    until: Time,
    /// With zeros where a datagram has lengths, ports and checksums of its own.
    headers: [u8; MAX_HEADERS_LEN],
    ip_at: usize,
    udp_at: usize,
    /// The sum of the IP header, without the total length of IPv4.
    ip: Sum,
    /// The sum of the pseudo header, without the length.
    pseudo_header: Sum,
    /// The port completes UDP checksums.
    tx_udp_checksum: bool,
}

impl Ready {
    /// The way to the station `mac`, good until that moment.
    pub(super) fn new(
        addresses: Addresses,
        vlans: Vlans,
        mac: MacAddress,
        until: Time,
        style: Style,
    ) -> Self {
        let mut headers = [0; MAX_HEADERS_LEN];
        let ip_at = write_link(&mut headers, mac, style.mac, vlans, addresses.ether_type());
        let udp_at = ip_at + addresses.header_len();
        let (ttl, protocol) = (style.ttl, Protocol::UDP);
        Header { addresses, differentiated_services: 0, ttl, protocol, payload_len: 0 }
            .write(&mut headers[ip_at..]);
        if let Addresses::V4 { .. } = addresses {
            headers[ip_at + IPV4_LEN_AT..][..2].fill(0);
            headers[ip_at + IPV4_CHECKSUM_AT..][..2].fill(0);
        }
        Self {
            from: addresses.source(),
            to: addresses.destination(),
            until,
            ip_at,
            udp_at,
            ip: Sum::of(&headers[ip_at..udp_at]),
            pseudo_header: addresses.pseudo_header(protocol, 0),
            headers,
            tx_udp_checksum: style.tx_udp_checksum,
        }
    }

    #[inline]
    fn is_between(&self, from: &SocketAddr, to: &SocketAddr) -> bool {
        match (self.from, self.to, from, to) {
            (IpAddr::V4(a), IpAddr::V4(b), SocketAddr::V4(from), SocketAddr::V4(to)) => {
                a == *from.ip() && b == *to.ip()
            }
            (IpAddr::V6(a), IpAddr::V6(b), SocketAddr::V6(from), SocketAddr::V6(to)) => {
                a == *from.ip() && b == *to.ip()
            }
            _ => false,
        }
    }

    /// Bytes in front of the payload.
    #[inline]
    pub(crate) fn headers_len(&self) -> usize {
        self.udp_at + udp::HEADER_LEN
    }

    /// Writes the headers of a datagram with `payload_len` bytes of payload, which stand behind
    /// the room for them, and makes a frame of it. The caller's MTU sees to the length.
    #[inline]
    pub(super) fn write<P: Packet>(
        &self,
        packet: &mut P,
        payload_len: usize,
        source_port: u16,
        destination_port: u16,
    ) {
        let end = self.headers_len() + payload_len;
        let Some(frame) = packet.room_mut().get_mut(..end) else { return };
        let (headers, payload) = frame.split_at_mut(self.headers_len());
        let ports = (source_port, destination_port);
        let written = self.fill(headers, payload.len(), ports, || Sum::of(payload));
        finish(packet, written);
    }

    /// Writes the headers of a datagram between these ports, source and destination, into just
    /// their room. Its payload is of `payload_len` bytes, whose sum `sum` is called for if it is
    /// needed.
    #[inline]
    pub(crate) fn fill(
        &self,
        headers: &mut [u8],
        payload_len: usize,
        (source_port, destination_port): (u16, u16),
        sum: impl FnOnce() -> Sum,
    ) -> Written {
        let frame_len = self.headers_len() + payload_len;
        let udp_len = udp::HEADER_LEN + payload_len;
        self.copy_headers(headers);
        let (ip, header) = headers[self.ip_at..].split_at_mut(self.udp_at - self.ip_at);
        self.write_ip_len(ip, udp_len as u16);
        if let Some(header) = header.first_chunk_mut() {
            let ports = Sum::of_u16(source_port) + Sum::of_u16(destination_port);
            let checksum = self.udp_checksum(ports, payload_len, sum);
            udp::write(header, source_port, destination_port, udp_len as u16, checksum);
        }
        let version = if self.from.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        Written::new(frame_len, self.ip_at, self.udp_at, self.tx_udp_checksum.then_some(version))
    }

    /// The headers of datagrams with `payload_len` bytes of payload to this port.
    #[inline]
    pub(crate) fn prepare(&self, destination_port: u16, payload_len: usize) -> Prepared {
        let udp_len = (udp::HEADER_LEN + payload_len) as u16;
        let mut headers = self.headers;
        self.write_ip_len(&mut headers[self.ip_at..self.udp_at], udp_len);
        let len = Sum::of_u16(udp_len);
        let pseudo_header = self.pseudo_header + len;
        // A sum that is folded ends the checksum of those that the port completes.
        let asked = if self.tx_udp_checksum { pseudo_header.fold() } else { [0; 2] };
        if let Some(header) = headers[self.udp_at..].first_chunk_mut() {
            udp::write(header, 0, destination_port, udp_len, asked);
        }
        let version = if self.from.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        let completes = self.tx_udp_checksum.then_some(version);
        Prepared {
            headers,
            headers_len: self.headers_len(),
            sum: pseudo_header + len + Sum::of_u16(destination_port),
            written: Written::new(self.headers_len() + payload_len, self.ip_at, self.udp_at, completes),
        }
    }

    #[inline]
    fn copy_headers(&self, into: &mut [u8]) {
        copy_headers(&self.headers, self.headers_len(), into);
    }

    #[inline]
    fn write_ip_len(&self, ip: &mut [u8], udp_len: u16) {
        if let Some(ip) = ip.first_chunk_mut::<{ ipv6::HEADER_LEN }>() {
            ip[IPV6_LEN_AT..][..2].copy_from_slice(&udp_len.to_be_bytes());
        } else if let Some(ip) = ip.first_chunk_mut::<{ ipv4::HEADER_LEN }>() {
            let len = udp_len.wrapping_add(ipv4::HEADER_LEN as u16);
            ip[IPV4_LEN_AT..][..2].copy_from_slice(&len.to_be_bytes());
            ip[IPV4_CHECKSUM_AT..][..2].copy_from_slice(&(self.ip + Sum::of_u16(len)).checksum());
        }
    }

    /// The UDP checksum; what the port takes, where it completes it. The header is not read
    /// back, which would wait for its bytes to be written.
    #[inline]
    fn udp_checksum(&self, ports: Sum, payload_len: usize, sum: impl FnOnce() -> Sum) -> [u8; 2] {
        let len = Sum::of_u16((udp::HEADER_LEN + payload_len) as u16);
        let pseudo_header = self.pseudo_header + len;
        if self.tx_udp_checksum {
            return pseudo_header.fold();
        }
        udp_checksum(pseudo_header + ports + len + sum())
    }
}

/// Copies headers, those of the usual length in a few instructions.
#[inline]
fn copy_headers(headers: &[u8; MAX_HEADERS_LEN], len: usize, into: &mut [u8]) {
    if len == PLAIN_HEADERS_LEN
        && let (Some(into), Some(headers)) =
            (into.first_chunk_mut::<PLAIN_HEADERS_LEN>(), headers.first_chunk())
    {
        *into = *headers;
    } else {
        into[..len].copy_from_slice(&headers[..len]);
    }
}

/// The headers of datagrams that differ in their payload and the port that they leave from and
/// nothing else, not in their length either: but for that port and the UDP checksum they are the
/// same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// With zeros for the port that they leave from.
    headers: [u8; MAX_HEADERS_LEN],
    headers_len: usize,
    /// What the UDP checksum is of, without that port and the payload.
    sum: Sum,
    written: Written,
}

impl Prepared {
    /// Bytes in front of the payload.
    #[inline]
    pub(crate) fn headers_len(&self) -> usize {
        self.headers_len
    }

    /// What is to be known of each frame.
    #[inline]
    pub(crate) fn written(&self) -> Written {
        self.written
    }

    /// Whether the checksum is ours to complete.
    #[inline]
    fn is_summed(&self) -> bool {
        self.written.checksum().is_none()
    }

    /// Headers of the usual kind, whose checksum is ours to complete; `None` for others.
    #[inline]
    pub(crate) fn plain(&self) -> Option<Plain> {
        let is_plain = self.headers_len == PLAIN_HEADERS_LEN && self.is_summed();
        Plain::new(self.headers.first_chunk().filter(|_| is_plain)?, self.sum)
    }

    /// Writes the headers of a datagram from a port of ours into just their room. Its payload has that
    /// sum.
    #[inline]
    pub(crate) fn write(&self, into: &mut [u8], source_port: u16, payload: Sum) {
        // Nothing here is written and read again: that would wait for the write.
        copy_headers(&self.headers, self.headers_len, into);
        let Some(header) = into.last_chunk_mut::<{ udp::HEADER_LEN }>() else { return };
        header[..2].copy_from_slice(&source_port.to_be_bytes());
        if self.is_summed() {
            let checksum = udp_checksum(self.sum + Sum::of_u16(source_port) + payload);
            header[udp::HEADER_LEN - 2..].copy_from_slice(&checksum);
        }
    }
}

/// Where the UDP header stands in such headers, and from where on they are one word and the checksum.
const PLAIN_UDP_AT: usize = PLAIN_HEADERS_LEN - udp::HEADER_LEN;
const PLAIN_WORD_AT: usize = PLAIN_UDP_AT - 2;

/// What most have: no tags, IPv4, and a checksum that is ours to complete. In few pieces, each of which
/// is stored at once: stores are what writing them costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    front: [u8; PLAIN_WORD_AT],
    /// The end of our address, ports and length, big-endian, with zeros for the port that they leave from.
    word: u64,
    /// What the UDP checksum is of, without that port and the payload, folded: what is added to it has no
    /// carries to look for.
    sum: u16,
}

impl Plain {
    fn new(headers: &[u8; PLAIN_HEADERS_LEN], sum: Sum) -> Option<Self> {
        let (front, rest) = headers.split_first_chunk()?;
        let word = u64::from_be_bytes(*rest.first_chunk()?);
        Some(Self { front: *front, word, sum: u16::from_be_bytes(sum.fold()) })
    }

    /// As [`Prepared::write`].
    #[inline]
    pub(crate) fn write(&self, into: &mut [u8; PLAIN_HEADERS_LEN], source_port: u16, payload: Sum) {
        let (front, rest) = into.split_at_mut(PLAIN_WORD_AT);
        let (word, checksum) = rest.split_at_mut(size_of::<u64>());
        front.copy_from_slice(&self.front);
        word.copy_from_slice(&(self.word | u64::from(source_port) << 32).to_be_bytes());
        let sum = Sum::of_u16(self.sum) + Sum::of_u16(source_port) + payload;
        checksum.copy_from_slice(&udp_checksum(sum));
    }
}
