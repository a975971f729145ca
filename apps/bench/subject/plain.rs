//! An echo written by hand, for one port and one purpose: what `Service` and `Host` are
//! measured against. It validates and counts what they do of a plain datagram, and has
//! nothing of what else they are for (ARP, ICMP, IPv6, VLANs, fragments, an outbox).

use gannet::host::UdpPorts;
use gannet::packet::{Burst, Packet};
use gannet::port::FrameQueue;
use gannet::sys::StopFlag;
use gannet::telemetry::Counter;
use gannet::wire::checksum::Sum;
use gannet::wire::ethernet::{self, EtherType, MacAddress};
use gannet::wire::protocol::Protocol;
use gannet::wire::{ipv4, udp};

use super::frames::Endpoint;

/// The congestion bits (RFC 3168), which a reply does not repeat.
const ECN: u8 = 0x03;
const UDP_AT: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
const HEADERS_LEN: usize = UDP_AT + udp::HEADER_LEN;

/// Echoes on one queue.
pub(super) struct Plain<Q: FrameQueue> {
    queue: Q,
    rules: Rules,
    rx: Burst<Q::Packet>,
    tx: Burst<Q::Packet>,
    spent: Burst<Q::Packet>,
}

/// What is ours.
struct Rules {
    mac: MacAddress,
    ip: std::net::Ipv4Addr,
    ports: UdpPorts,
    /// Source ports that are not answered: those of reflectors, and our own.
    refused: UdpPorts,
}

/// What of a valid datagram its reply is made from.
struct Valid {
    udp_len: u16,
    /// The UDP checksum, which stays right when source and destination change places.
    checksum: [u8; 2],
}

impl<Q: FrameQueue> Plain<Q> {
    /// Answers for `own`, whose ports are `ports`.
    pub(super) fn new(queue: Q, own: Endpoint, ports: UdpPorts, burst: usize) -> Self {
        let reflectors = [7, 13, 17, 19, 37, 53, 69, 123];
        let refused = reflectors.into_iter().chain((1..=u16::MAX).filter(|&port| ports.contains(port)));
        let rules = Rules { mac: own.mac, ip: own.ip, refused: refused.collect(), ports };
        let [rx, tx, spent] = [(); 3].map(|()| Burst::with_capacity(burst));
        Self { queue, rules, rx, tx, spent }
    }

    /// One burst.
    #[inline]
    fn turn(&mut self) {
        let Self { queue, rules, rx, tx, spent } = self;
        queue.rx_burst(rx);
        rx.iter().for_each(Packet::prefetch);
        for mut packet in rx.drain() {
            let to = match rules.answer(&mut packet) {
                Ok(()) => &mut *tx,
                Err(reason) => {
                    queue.counters().add(reason, 1);
                    &mut *spent
                }
            };
            // All are as long.
            let _ = to.push(packet);
        }
        if !tx.is_empty() {
            queue.counters().add(Counter::Delivered, tx.len() as u64);
            queue.counters().add(Counter::Replied, tx.len() as u64);
            queue.tx_burst(tx);
            queue.counters().add(Counter::TxFull, tx.len() as u64);
            queue.free_burst(tx);
        }
        if !spent.is_empty() {
            queue.free_burst(spent);
        }
    }

    /// Gives back what waits to be received.
    fn drain(&mut self) {
        loop {
            self.queue.rx_burst(&mut self.rx);
            if self.rx.is_empty() {
                return;
            }
            self.queue.free_burst(&mut self.rx);
        }
    }
}

/// Polls all in turn until `stop` is set.
pub(super) fn run<Q: FrameQueue>(mut ends: Vec<Plain<Q>>, stop: &StopFlag) {
    while !stop.is_set() {
        ends.iter_mut().for_each(Plain::turn);
    }
    ends.iter_mut().for_each(Plain::drain);
}

impl Rules {
    /// Makes a datagram its reply.
    #[inline(always)]
    fn answer(&self, packet: &mut impl Packet) -> Result<(), Counter> {
        let Valid { udp_len, checksum } = self.validate(packet.frame())?;
        let Some(headers) = packet.room_mut().first_chunk_mut::<HEADERS_LEN>() else { return Ok(()) };
        let (destination, source, ports) = (quad(headers, 26), quad(headers, 30), quad(headers, 34));
        headers.copy_within(6..12, 0);
        headers[6..12].copy_from_slice(&self.mac.0);
        let [len_high, len_low] = (udp_len + ipv4::HEADER_LEN as u16).to_be_bytes();
        // Not to be fragmented, 64 hops, UDP.
        let first = [0x45, headers[15] & !ECN, len_high, len_low];
        let fields = [first, [0, 0, 0x40, 0], [64, 17, 0, 0], source, destination];
        let checksum_of_header = !fold(fields.into_iter().map(u32::from_ne_bytes).map(u64::from).sum());
        let [c, d] = checksum_of_header.to_ne_bytes();
        headers[14..18].copy_from_slice(&first);
        headers[18..22].copy_from_slice(&[0, 0, 0x40, 0]);
        headers[22..26].copy_from_slice(&[64, 17, c, d]);
        headers[26..30].copy_from_slice(&source);
        headers[30..34].copy_from_slice(&destination);
        let [a, b, c, d] = ports;
        headers[34..38].copy_from_slice(&[c, d, a, b]);
        headers[38..40].copy_from_slice(&udp_len.to_be_bytes());
        headers[40..42].copy_from_slice(&checksum);
        packet.set_frame_len((UDP_AT + usize::from(udp_len)).max(ethernet::MIN_FRAME_LEN));
        Ok(())
    }

    /// The checks of a host, in its order.
    #[inline(always)]
    fn validate(&self, frame: &[u8]) -> Result<Valid, Counter> {
        let Some(headers) = frame.first_chunk::<HEADERS_LEN>() else { return Err(Counter::Runt) };
        if headers[..6] != self.mac.0 {
            return Err(Counter::NotOurMac);
        }
        if headers[6] & 1 != 0 || headers[6..12] == [0; 6] {
            return Err(Counter::SourceMac);
        }
        if headers[12..14] != EtherType::IPV4.0.to_be_bytes() {
            return Err(Counter::EtherTypeUnknown);
        }
        let total_len = usize::from(word(headers, 16));
        // Options are a matter for a host.
        if headers[14] != 0x45
            || total_len < ipv4::HEADER_LEN
            || total_len > frame.len() - ethernet::HEADER_LEN
        {
            return Err(Counter::Ipv4Malformed);
        }
        if fold((14..34).step_by(4).map(|at| u64::from(u32::from_ne_bytes(quad(headers, at)))).sum())
            != 0xffff
        {
            return Err(Counter::Ipv4Checksum);
        }
        if headers[30..34] != self.ip.octets() {
            return Err(Counter::NotOurIp);
        }
        let first = headers[26];
        if first.wrapping_sub(1) >= 223 || first == 127 || headers[26..30] == headers[30..34] {
            return Err(Counter::SourceIp);
        }
        if word(headers, 20) & 0x3fff != 0 {
            return Err(Counter::Fragment);
        }
        if headers[23] != Protocol::UDP.0 {
            return Err(Counter::ProtocolUnknown);
        }
        self.validate_udp(frame, headers, total_len - ipv4::HEADER_LEN)
    }

    #[inline(always)]
    fn validate_udp(&self, frame: &[u8], headers: &[u8; HEADERS_LEN], room: usize) -> Result<Valid, Counter> {
        let udp_len = word(headers, 38);
        let datagram = frame.get(UDP_AT..UDP_AT + usize::from(udp_len));
        let Some(datagram) = datagram.filter(|_| (8..=room).contains(&usize::from(udp_len))) else {
            return Err(Counter::UdpMalformed);
        };
        let checksum = [headers[40], headers[41]];
        if checksum != [0, 0] {
            let (source, destination) = (quad(headers, 26), quad(headers, 30));
            let pseudo_header = Sum::pseudo_header_v4(source, destination, Protocol::UDP.0, udp_len);
            if !(pseudo_header + Sum::of(datagram)).is_valid() {
                return Err(Counter::UdpChecksum);
            }
        }
        let (source_port, port) = (word(headers, 34), word(headers, 36));
        if !self.ports.contains(port) {
            return Err(Counter::UdpPortClosed);
        }
        if source_port == 0 {
            return Err(Counter::SourcePort);
        }
        if self.refused.contains(source_port) {
            return Err(Counter::ReflectorPort);
        }
        Ok(Valid { udp_len, checksum })
    }
}

/// The 16-bit field at `at`.
#[inline(always)]
fn word(headers: &[u8; HEADERS_LEN], at: usize) -> u16 {
    u16::from_be_bytes([headers[at], headers[at + 1]])
}

/// The 4 bytes at `at`.
#[inline(always)]
fn quad(headers: &[u8; HEADERS_LEN], at: usize) -> [u8; 4] {
    [headers[at], headers[at + 1], headers[at + 2], headers[at + 3]]
}

/// A sum of 32-bit words as one of 16-bit words, with the carries added (RFC 1071), in the
/// order of bytes that they lie in.
#[inline(always)]
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gannet::port::memory::{self, MemoryConfig, MemoryQueue};
    use gannet::telemetry::Kind;
    use gannet::{Time, Worker};

    use super::super::frames::write;
    use super::super::recycle::{WRONGS, spoil};
    use super::super::ring::{Echo, host};
    use super::*;

    const OWN: Endpoint = Endpoint {
        mac: MacAddress([2, 0, 0, 0, 0, 1]),
        ip: std::net::Ipv4Addr::new(10, 77, 0, 1),
        port: 9_000,
    };
    const OTHER: Endpoint = Endpoint {
        mac: MacAddress([2, 0, 0, 0, 0, 2]),
        ip: std::net::Ipv4Addr::new(10, 77, 0, 2),
        port: 20_000,
    };

    /// What becomes of one frame: the answer, and how many were dropped.
    fn outcome<T>(
        (len, wrong): (usize, Option<usize>),
        serve: impl FnOnce(MemoryQueue) -> T,
    ) -> (Vec<Vec<u8>>, u64) {
        let (queue, mut wire) =
            memory::pair(&MemoryConfig { macs: [OWN.mac, OTHER.mac], ..MemoryConfig::default() });
        let counters = Arc::clone(queue.counters());
        let mut burst = Burst::with_capacity(1);
        wire.alloc_burst(&mut burst);
        for packet in burst.iter_mut() {
            write(packet, OTHER, OWN, len);
            wrong.into_iter().for_each(|wrong| spoil(packet, wrong));
        }
        wire.tx_burst(&mut burst);
        let _served = serve(queue);
        wire.rx_burst(&mut burst);
        let answers = burst.iter().map(|packet| packet.frame().to_vec()).collect();
        wire.free_burst(&mut burst);
        (answers, counters.snapshot().total(Kind::RxDrop))
    }

    #[test]
    fn it_does_what_a_host_does() {
        let ports = || [OWN.port].into_iter().collect::<UdpPorts>();
        let wrongs = (0..WRONGS).map(Some).chain([None]);
        let all = wrongs.flat_map(|wrong| [60, 64, 1_499].map(|len| (len, wrong)));
        for frame in all {
            let by_hand = outcome(frame, |queue| {
                let mut plain = Plain::new(queue, OWN, ports(), 32);
                plain.turn();
                plain
            });
            let by_host = outcome(frame, |queue| {
                let mut worker = Worker::new(vec![host(queue, OWN, ports())], Echo, 0);
                worker.poll_once(Time::from_nanos(1));
                worker
            });
            assert_eq!(by_hand, by_host, "{frame:?}");
            let (_, wrong) = frame;
            let wanted = if wrong.is_some() { (0, 1) } else { (1, 0) };
            assert_eq!((by_hand.0.len(), by_hand.1), wanted, "{frame:?}");
        }
    }
}
