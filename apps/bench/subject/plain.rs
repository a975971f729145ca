//! An echo written by hand, for one port and one purpose: what `Service` and `Host` are
//! measured against. It validates and counts what they do of a plain datagram, and counts polls and the
//! time that turns take. It never rests. It has nothing of what else they are for (ARP, ICMP, IPv6, VLANs,
//! fragments, an outbox).
//!
//! Frames are looked at one by one here; `vectors` looks at eight at a time, as a host does.

use gannet::host::UdpPorts;
use gannet::packet::{Burst, Packet};
use gannet::port::FrameQueue;
use gannet::sys::{Clock, StopFlag};
use gannet::telemetry::{Counter, Counters, LcoreCounters};
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
pub(super) struct Plain<Q: FrameQueue, R = Rules> {
    queue: Q,
    rules: R,
    rx: Burst<Q::Packet>,
    tx: Burst<Q::Packet>,
}

/// How the frames of a burst become their replies.
pub(super) trait Turn {
    /// Makes valid frames their replies, and moves the others behind them. Says how many are
    /// valid; the others are counted.
    fn turn<P: Packet>(&mut self, frames: &mut [P], counters: &Counters) -> usize;
}

/// What is ours.
pub(super) struct Rules {
    mac: MacAddress,
    ip: std::net::Ipv4Addr,
    ports: UdpPorts,
    /// Source ports that are not answered: those of reflectors, and our own.
    refused: UdpPorts,
}

/// What of a valid datagram its reply is made from.
struct Valid {
    udp_len: u16,
    /// The first four bytes of the reply's IP header.
    first: [u8; 4],
    /// The checksum of that header, in the order of bytes that it is written in.
    checksum: u16,
}

impl<Q: FrameQueue, R: Turn> Plain<Q, R> {
    pub(super) fn new(queue: Q, rules: R, burst: usize) -> Self {
        let [rx, tx] = [(); 2].map(|()| Burst::with_capacity(burst));
        Self { queue, rules, rx, tx }
    }

    /// One burst. Says of how many frames.
    #[inline]
    fn turn(&mut self) -> usize {
        let Self { queue, rules, rx, tx } = self;
        queue.rx_burst(rx);
        let received = rx.len();
        queue.counters().add(Counter::Polls, 1);
        queue.counters().add(Counter::EmptyPolls, u64::from(received == 0));
        rx.iter().for_each(Packet::prefetch);
        let valid = rules.turn(&mut *rx, queue.counters());
        if valid > 0 {
            queue.counters().add(Counter::Delivered, valid as u64);
            queue.counters().add(Counter::Replied, valid as u64);
            // The burst itself is sent if all of it is valid.
            if valid < rx.len() {
                tx.append_first(rx, valid);
            } else {
                tx.swap_with(rx);
            }
            queue.tx_burst(tx);
            queue.counters().add(Counter::TxFull, tx.len() as u64);
            queue.free_burst(tx);
        }
        if !rx.is_empty() {
            queue.free_burst(rx);
        }
        received
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

/// As many turns have one reading of the clock, always: those of a worker do under load.
const TURNS: u64 = 4;

/// Polls all in turn until `stop` is set, and counts how long that takes.
pub(super) fn run<Q: FrameQueue, R: Turn>(
    mut ends: Vec<Plain<Q, R>>,
    lcore: &LcoreCounters,
    stop: &StopFlag,
) {
    let clock = Clock::start();
    let mut begin = clock.ticks();
    while !stop.is_set() {
        let received: usize = (0..TURNS).map(|_| ends.iter_mut().map(Plain::turn).sum::<usize>()).sum();
        let end = clock.ticks();
        let nanos = clock.time(end).as_nanos() - clock.time(begin).as_nanos();
        lcore.turns(TURNS, end - begin, nanos, received > 0);
        begin = end;
    }
    ends.iter_mut().for_each(Plain::drain);
}

impl Turn for Rules {
    #[inline]
    fn turn<P: Packet>(&mut self, frames: &mut [P], counters: &Counters) -> usize {
        let mut valid = 0;
        for at in 0..frames.len() {
            match self.answer(&mut frames[at]) {
                Ok(()) => {
                    keep(frames, valid, at);
                    valid += 1;
                }
                Err(reason) => counters.add(reason, 1),
            }
        }
        valid
    }
}

/// Moves the valid frame `at` behind the `valid` others.
#[inline]
pub(super) fn keep<P>(frames: &mut [P], valid: usize, at: usize) {
    if valid < at {
        frames.swap(valid, at);
    }
}

impl Rules {
    /// Answers for `own`, whose ports are `ports`.
    pub(super) fn new(own: Endpoint, ports: UdpPorts) -> Self {
        let reflectors = [7, 13, 17, 19, 37, 53, 69, 123];
        let refused = reflectors.into_iter().chain((1..=u16::MAX).filter(|&port| ports.contains(port)));
        Self { mac: own.mac, ip: own.ip, refused: refused.collect(), ports }
    }

    /// Whether a datagram between these ports is for us and is answered.
    #[inline(always)]
    pub(super) fn takes(&self, source_port: u16, port: u16) -> bool {
        self.ports.contains(port) && source_port != 0 && !self.refused.contains(source_port)
    }

    /// Makes a datagram its reply.
    #[inline(always)]
    pub(super) fn answer(&self, packet: &mut impl Packet) -> Result<(), Counter> {
        let Valid { udp_len, first, checksum } = self.validate(packet.frame())?;
        let len = (UDP_AT + usize::from(udp_len)).max(ethernet::MIN_FRAME_LEN);
        let Some(headers) = packet.room_mut().first_chunk_mut::<HEADERS_LEN>() else { return Ok(()) };
        let sender: [u8; 6] = bytes(headers, 6);
        let (ends, ports) = (bytes(headers, 26), bytes(headers, 34));
        headers[..6].copy_from_slice(&sender);
        headers[6..12].copy_from_slice(&self.mac.0);
        // Not to be fragmented, 64 hops, UDP, whose length and checksum stay as they are.
        headers[14..18].copy_from_slice(&first);
        let [a, b] = checksum.to_ne_bytes();
        headers[18..26].copy_from_slice(&[0, 0, 0x40, 0, 64, 17, a, b]);
        headers[26..34].copy_from_slice(&u64::from_ne_bytes(ends).rotate_left(32).to_ne_bytes());
        headers[34..38].copy_from_slice(&u32::from_ne_bytes(ports).rotate_left(16).to_ne_bytes());
        if packet.frame_len() != len {
            packet.set_frame_len(len);
        }
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
        let four = |at| u64::from(u32::from_ne_bytes(bytes(headers, at)));
        let addresses = four(26) + four(30);
        if fold(four(14) + four(18) + four(22) + addresses) != 0xffff {
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
        let udp_len = self.validate_udp(frame, headers, addresses, total_len - ipv4::HEADER_LEN)?;
        let [len_high, len_low] = (udp_len + ipv4::HEADER_LEN as u16).to_be_bytes();
        let first = [0x45, headers[15] & !ECN, len_high, len_low];
        let fresh = [first, [0, 0, 0x40, 0], [64, 17, 0, 0]].map(|four| u64::from(u32::from_ne_bytes(four)));
        Ok(Valid { udp_len, first, checksum: !fold(fresh.into_iter().sum::<u64>() + addresses) })
    }

    /// Its length. `addresses` is the sum of the two.
    #[inline(always)]
    fn validate_udp(
        &self,
        frame: &[u8],
        headers: &[u8; HEADERS_LEN],
        addresses: u64,
        room: usize,
    ) -> Result<u16, Counter> {
        let udp_len = word(headers, 38);
        let datagram = frame.get(UDP_AT..UDP_AT + usize::from(udp_len));
        let Some(datagram) = datagram.filter(|_| (8..=room).contains(&usize::from(udp_len))) else {
            return Err(Counter::UdpMalformed);
        };
        let pseudo_header =
            addresses + u64::from(u16::from(Protocol::UDP.0).to_be()) + u64::from(udp_len.to_be());
        let sum = || u64::from(u16::from_ne_bytes(Sum::of(datagram).fold()));
        // Zero says that there is none.
        if headers[40..42] != [0, 0] && fold(pseudo_header + sum()) != 0xffff {
            return Err(Counter::UdpChecksum);
        }
        let (source_port, port) = (word(headers, 34), word(headers, 36));
        if self.takes(source_port, port) {
            return Ok(udp_len);
        }
        Err(match source_port {
            _ if !self.ports.contains(port) => Counter::UdpPortClosed,
            0 => Counter::SourcePort,
            _ => Counter::ReflectorPort,
        })
    }
}

/// The 16-bit field at `at`.
#[inline(always)]
fn word(headers: &[u8; HEADERS_LEN], at: usize) -> u16 {
    u16::from_be_bytes([headers[at], headers[at + 1]])
}

/// Some bytes from `at` on.
#[inline(always)]
fn bytes<const LEN: usize>(headers: &[u8; HEADERS_LEN], at: usize) -> [u8; LEN] {
    std::array::from_fn(|index| headers[at + index])
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
    use super::super::vectors::Vectors;
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

    /// Eight that are judged at a time, and one.
    const FRAMES: usize = 9;

    /// What becomes of a burst of such frames: the answers, and how many were dropped.
    fn outcome<T>(
        (len, wrong): (usize, Option<usize>),
        serve: impl FnOnce(MemoryQueue) -> T,
    ) -> (Vec<Vec<u8>>, u64) {
        let (queue, mut wire) =
            memory::pair(&MemoryConfig { macs: [OWN.mac, OTHER.mac], ..MemoryConfig::default() });
        let counters = Arc::clone(queue.counters());
        let mut burst = Burst::with_capacity(FRAMES);
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

    /// The same by a loop by hand.
    fn by_hand(frame: (usize, Option<usize>), rules: impl Turn) -> (Vec<Vec<u8>>, u64) {
        outcome(frame, |queue| {
            let mut plain = Plain::new(queue, rules, 32);
            plain.turn();
            plain
        })
    }

    #[test]
    fn loops_by_hand_do_what_a_host_does() {
        let ports = || [OWN.port].into_iter().collect::<UdpPorts>();
        let wrongs = (0..WRONGS).map(Some).chain([None]);
        let all = wrongs.flat_map(|wrong| [60, 64, 65, 1_499].map(|len| (len, wrong)));
        for frame in all {
            let by_host = outcome(frame, |queue| {
                let mut worker = Worker::new(vec![host(queue, OWN, ports())], Echo, 0);
                worker.poll_once(Time::from_nanos(1));
                worker
            });
            assert_eq!(by_hand(frame, Rules::new(OWN, ports())), by_host, "{frame:?}");
            assert_eq!(by_hand(frame, Vectors::new(OWN, ports())), by_host, "vectors, {frame:?}");
            let (_, wrong) = frame;
            let wanted = if wrong.is_some() { (0, FRAMES) } else { (FRAMES, 0) };
            assert_eq!((by_host.0.len(), by_host.1 as usize), wanted, "{frame:?}");
        }
    }

    #[test]
    fn invalid_frames_change_places_with_valid_ones_that_keep_their_order() {
        let mut frames = [0, 1, 2, 3, 4];
        let valid = [1, 2, 4].into_iter().fold(0, |valid, at| {
            keep(&mut frames, valid, at);
            valid + 1
        });
        assert_eq!((valid, &frames[..3]), (3, &[1, 2, 4][..]));
    }
}
