//! An echo written by hand, for one port and one purpose: what `Service` and `Host` are
//! measured against. It validates and counts what they do of a plain datagram, and has
//! nothing of what else they are for (ARP, ICMP, IPv6, VLANs, fragments, an outbox).

use gannet::host::UdpPorts;
use gannet::packet::{Burst, Packet};
use gannet::port::FrameQueue;
use gannet::sys::StopFlag;
use gannet::telemetry::Counter;
use gannet::wire::ethernet::{self, EtherType, MacAddress};
use gannet::wire::protocol::Protocol;
use gannet::wire::{ipv4, udp};

use super::frames::Endpoint;

const UDP_AT: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;

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
    source: std::net::Ipv4Addr,
    source_port: u16,
    port: u16,
    udp_len: u16,
    differentiated_services: u8,
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
    #[inline]
    fn answer(&self, packet: &mut impl Packet) -> Result<(), Counter> {
        let valid = self.validate(packet.frame())?;
        let frame = packet.room_mut();
        if let Some(link) = frame.first_chunk_mut() {
            ethernet::write_reply(link, self.mac);
        }
        let header = ipv4::Header {
            differentiated_services: valid.differentiated_services,
            ttl: 64,
            protocol: Protocol::UDP,
            source: self.ip,
            destination: valid.source,
            payload_len: valid.udp_len,
        };
        if let Some(ip) = frame[ethernet::HEADER_LEN..].first_chunk_mut() {
            header.write(ip);
        }
        if let Some(udp) = frame[UDP_AT..].first_chunk_mut() {
            udp::write(udp, valid.port, valid.source_port, valid.udp_len, valid.checksum);
        }
        packet.set_frame_len((UDP_AT + usize::from(valid.udp_len)).max(ethernet::MIN_FRAME_LEN));
        Ok(())
    }

    /// The checks of a host, in its order.
    #[inline]
    fn validate(&self, frame: &[u8]) -> Result<Valid, Counter> {
        let (link, rest) = ethernet::Header::split(frame).ok_or(Counter::Runt)?;
        if link.destination() != self.mac {
            return Err(Counter::NotOurMac);
        }
        if !link.source().is_unicast() {
            return Err(Counter::SourceMac);
        }
        if link.ether_type() != EtherType::IPV4 {
            return Err(Counter::EtherTypeUnknown);
        }
        let packet = ipv4::Packet::parse(rest).map_err(|_| Counter::Ipv4Malformed)?;
        if !packet.is_checksum_valid() {
            return Err(Counter::Ipv4Checksum);
        }
        if packet.destination() != self.ip {
            return Err(Counter::NotOurIp);
        }
        let first = packet.source().octets()[0];
        if first.wrapping_sub(1) >= 223 || first == 127 || packet.source() == self.ip {
            return Err(Counter::SourceIp);
        }
        if packet.header_len() != ipv4::HEADER_LEN {
            return Err(Counter::Ipv4SourceRoute);
        }
        if packet.is_fragment() {
            return Err(Counter::Fragment);
        }
        if packet.protocol() != Protocol::UDP {
            return Err(Counter::ProtocolUnknown);
        }
        self.validate_udp(packet)
    }

    #[inline]
    fn validate_udp(&self, packet: ipv4::Packet<'_>) -> Result<Valid, Counter> {
        let datagram = udp::Datagram::parse(packet.payload()).map_err(|_| Counter::UdpMalformed)?;
        let udp_len = datagram.len();
        let (source, destination) = (packet.source(), packet.destination());
        if datagram.checksum() != [0, 0] {
            let pseudo_header = ipv4::pseudo_header(source, destination, Protocol::UDP, udp_len);
            if !datagram.is_checksum_valid(pseudo_header) {
                return Err(Counter::UdpChecksum);
            }
        }
        let (source_port, port) = (datagram.source_port(), datagram.destination_port());
        if !self.ports.contains(port) {
            return Err(Counter::UdpPortClosed);
        }
        if source_port == 0 {
            return Err(Counter::SourcePort);
        }
        if self.refused.contains(source_port) {
            return Err(Counter::ReflectorPort);
        }
        Ok(Valid {
            source,
            source_port,
            port,
            udp_len,
            differentiated_services: packet.differentiated_services(),
            checksum: datagram.checksum(),
        })
    }
}
