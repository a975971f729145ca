//! The memory port: two ends joined in this process. What one end sends the other
//! receives, byte for byte and in order.
//!
//! Its use is tests and tools: no device, no rights, and a peer that is a value in the
//! same test. Each direction is a bounded ring; a full one takes no more, as a device's.
//!
//! ```
//! use gannet::port::memory::{self, MemoryConfig};
//!
//! let (mut near, mut far) = memory::pair(&MemoryConfig::default());
//! far.send_frame(b"a frame")?;
//! assert_eq!(near.receive_frame().as_deref(), Some(&b"a frame"[..]));
//! # Ok::<(), memory::SendFrameError>(())
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::heap::{HeapPacket, HeapPool, UdpChecksumRequest, release_burst};
use super::{Capabilities, FrameQueue, OpenPort, PoolBalance, PortControl, PortDescription};
use crate::packet::{Burst, IpVersion, Packet, RxChecksums};
use crate::telemetry::{Counter, Counters};
use crate::wire::checksum::{Sum, udp_checksum};
use crate::wire::ethernet::{self, MacAddress};

/// A frame of the memory port.
pub type MemoryPacket = HeapPacket;

/// Bytes of two VLAN tags, which a frame may have beyond the Ethernet header and the MTU.
const VLAN_TAGS_LEN: usize = 8;

/// What a pair of ends is made of.
#[derive(Clone, Debug)]
pub struct MemoryConfig {
    /// The ends' own addresses.
    pub macs: [MacAddress; 2],
    /// The longest IP packet in bytes. Buffers have room for it, an Ethernet header and
    /// two VLAN tags.
    pub mtu: u16,
    /// Frames in flight in each direction, at least one.
    pub ring: usize,
    /// Buffers in the pool that both ends share.
    pub buffers: usize,
    /// What both ends are granted.
    pub offloads: MemoryOffloads,
}

/// The offloads that both ends are granted: none by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryOffloads {
    /// See [`Capabilities::rx_ipv4_checksum`].
    pub rx_ipv4_checksum: bool,
    /// See [`Capabilities::rx_udp_checksum`].
    pub rx_udp_checksum: bool,
    /// See [`Capabilities::tx_udp_checksum`]: the sending end completes checksums.
    pub tx_udp_checksum: bool,
    /// See [`Capabilities::tx_shared`]: the parts of a frame are gathered as it is put together.
    pub tx_shared: bool,
    /// See [`Capabilities::unmarked_unfilled_checksums`].
    pub unmarked_unfilled_checksums: bool,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            macs: [MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2])],
            mtu: 1500,
            ring: 256,
            buffers: 1024,
            offloads: MemoryOffloads::default(),
        }
    }
}

/// Why an end did not send a test's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFrameError {
    /// The frame does not fit a buffer.
    #[error("a frame of {len} bytes does not fit a buffer of {room}: raise MemoryConfig::mtu")]
    TooLong {
        /// The frame's length in bytes.
        len: usize,
        /// A buffer's room in bytes.
        room: usize,
    },
    /// All buffers are in use.
    #[error("no free buffer: free what is held, or raise MemoryConfig::buffers")]
    NoBuffer,
    /// The ring to the other end is full, or that end is gone.
    #[error("the ring is full or the other end gone: receive there first, or raise MemoryConfig::ring")]
    Full,
}

/// Two ends joined: what one sends the other receives.
pub fn pair(config: &MemoryConfig) -> (MemoryQueue, MemoryQueue) {
    let room = usize::from(config.mtu) + ethernet::HEADER_LEN + VLAN_TAGS_LEN;
    let pool = HeapPool::new("memory", config.buffers, room);
    let (left_tx, right_rx) = bounded(config.ring.max(1));
    let (right_tx, left_rx) = bounded(config.ring.max(1));
    let link_up = Arc::new(AtomicBool::new(true));
    let end = |mac, tx, rx| MemoryQueue {
        pool: pool.clone(),
        tx,
        rx,
        link_up: Arc::clone(&link_up),
        sent_rx_checksums: RxChecksums::default(),
        capabilities: capabilities(config, mac),
        counters: Arc::default(),
    };
    (end(config.macs[0], left_tx, left_rx), end(config.macs[1], right_tx, right_rx))
}

/// A pair whose first end is an open port of one queue; the second is the peer.
///
/// The pool is the pair's, so it balances at the port's close if the peer has received
/// what was sent to it, or is dropped.
pub fn open(config: &MemoryConfig) -> (OpenPort<MemoryQueue>, MemoryQueue) {
    let (near, far) = pair(config);
    let control = MemoryControl {
        pool: near.pool.clone(),
        link_up: Arc::clone(&near.link_up),
        description: description(config),
    };
    (OpenPort { queues: vec![near], control: Box::new(control) }, far)
}

fn capabilities(config: &MemoryConfig, mac: MacAddress) -> Capabilities {
    Capabilities {
        mac,
        mtu: config.mtu,
        rx_ipv4_checksum: config.offloads.rx_ipv4_checksum,
        rx_udp_checksum: config.offloads.rx_udp_checksum,
        tx_udp_checksum: config.offloads.tx_udp_checksum,
        tx_shared: config.offloads.tx_shared,
        unmarked_unfilled_checksums: config.offloads.unmarked_unfilled_checksums,
    }
}

fn description(config: &MemoryConfig) -> PortDescription {
    let offloads = [
        (config.offloads.rx_ipv4_checksum, "IPv4 checksum on receive"),
        (config.offloads.rx_udp_checksum, "UDP checksum on receive"),
        (config.offloads.tx_udp_checksum, "UDP checksum on send"),
        (config.offloads.tx_shared, "shared payloads"),
    ];
    let mut granted =
        vec![format!("rings of {} frames", config.ring.max(1)), format!("{} buffers", config.buffers)];
    granted.extend(offloads.iter().filter(|(on, _)| *on).map(|(_, name)| format!("{name} offload")));
    PortDescription {
        name: "memory".to_owned(),
        driver: "memory".to_owned(),
        mac: config.macs[0],
        mtu: config.mtu,
        queues: 1,
        numa_node: None,
        granted,
    }
}

/// One end of a pair.
pub struct MemoryQueue {
    pool: HeapPool,
    tx: Sender<InFlight>,
    rx: Receiver<InFlight>,
    /// Cleared by the first end that is dropped.
    link_up: Arc<AtomicBool>,
    sent_rx_checksums: RxChecksums,
    capabilities: Capabilities,
    counters: Arc<Counters>,
}

impl MemoryQueue {
    /// Sends a copy of `frame`.
    ///
    /// # Errors
    /// If the frame is too long, no buffer is free, the ring is full or the other end gone.
    pub fn send_frame(&mut self, frame: &[u8]) -> Result<(), SendFrameError> {
        if self.free_places() == 0 {
            return Err(SendFrameError::Full);
        }
        let mut packet = self.pool.alloc().ok_or(SendFrameError::NoBuffer)?;
        if !packet.fill(frame) {
            let room = packet.room_mut().len();
            packet.release();
            return Err(SendFrameError::TooLong { len: frame.len(), room });
        }
        self.send(packet);
        Ok(())
    }

    /// Receives one frame as a copy, if one is there.
    pub fn receive_frame(&mut self) -> Option<Vec<u8>> {
        let packet = self.receive()?;
        let frame = packet.frame().to_vec();
        packet.release();
        Some(frame)
    }

    /// Sets what the other end is told of the checksums of the frames that this end sends
    /// from now on, whether that check was granted to it or not.
    pub fn set_rx_checksums(&mut self, checksums: RxChecksums) {
        self.sent_rx_checksums = checksums;
    }

    /// The pool that both ends share.
    pub fn pool_balance(&self) -> PoolBalance {
        self.pool.balance()
    }

    fn receive(&mut self) -> Option<HeapPacket> {
        let packet = self.rx.try_recv().ok()?.land();
        self.counters.add(Counter::Received, 1);
        packet
    }

    /// How many frames the ring takes: none if the other end is gone. This end is the
    /// ring's only sender, so a free place stays free.
    fn free_places(&self) -> usize {
        match self.tx.capacity() {
            Some(ring) if self.link_up.load(Ordering::Acquire) => ring - self.tx.len(),
            _ => 0,
        }
    }

    /// Sends a packet into a free place. Where the other end goes in that moment, the
    /// frame is lost and its buffer goes back.
    fn send(&mut self, mut packet: HeapPacket) {
        packet.assert_held();
        if let Some(request) = packet.take_udp_checksum_request()
            && self.capabilities.tx_udp_checksum
        {
            complete_udp_checksum(&mut packet, request);
        }
        packet.set_rx_checksums(self.sent_rx_checksums);
        let counter = match self.tx.try_send(InFlight(Some(packet))) {
            Ok(()) => Counter::Sent,
            Err(_) => Counter::TxRejected,
        };
        self.counters.add(counter, 1);
    }
}

impl FrameQueue for MemoryQueue {
    type Packet = HeapPacket;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    fn rx_burst(&mut self, into: &mut Burst<HeapPacket>) {
        while !into.is_full() {
            let Some(packet) = self.receive() else { break };
            if let Err(packet) = into.push(packet) {
                packet.release();
            }
        }
    }

    fn tx_burst(&mut self, from: &mut Burst<HeapPacket>) {
        let count = self.free_places().min(from.len());
        from.drain_prefix(count).for_each(|packet| self.send(packet));
    }

    fn alloc_burst(&mut self, into: &mut Burst<HeapPacket>) {
        self.pool.alloc_burst(into);
    }

    fn free_burst(&mut self, from: &mut Burst<HeapPacket>) {
        release_burst(from);
    }

    /// The other end was dropped and all that it sent was received.
    fn is_exhausted(&self) -> bool {
        !self.link_up.load(Ordering::Acquire) && self.rx.is_empty()
    }
}

impl Drop for MemoryQueue {
    fn drop(&mut self) {
        self.link_up.store(false, Ordering::Release);
    }
}

/// A packet in a ring: it goes back to its pool if the ring goes before it is received.
struct InFlight(Option<HeapPacket>);

impl InFlight {
    fn land(mut self) -> Option<HeapPacket> {
        self.0.take()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(packet) = self.0.take() {
            packet.release();
        }
    }
}

/// Completes the checksum of a UDP datagram, whose field holds the sum of the pseudo header.
/// Where the version or the lengths contradict the frame, it stays as it is: a device would
/// put it in the wrong place.
fn complete_udp_checksum(packet: &mut HeapPacket, request: UdpChecksumRequest) {
    let UdpChecksumRequest { version, l2_len, l3_len } = request;
    let frame_len = packet.frame_len();
    let Some(ip) = packet.room_mut()[..frame_len].get_mut(l2_len..) else { return };
    if ip.first().map(|byte| byte >> 4) != Some(version_number(version)) {
        return;
    }
    let Some(rest) = ip.get_mut(l3_len..) else { return };
    let Some(&[high, low]) = rest.get(4..6).and_then(|field| field.first_chunk()) else { return };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let Some(datagram) = rest.get_mut(..len) else { return };
    let checksum = udp_checksum(Sum::of(datagram));
    if let Some(field) = datagram.get_mut(6..8) {
        field.copy_from_slice(&checksum);
    }
}

/// The version as the first four bits of an IP header have it.
fn version_number(version: IpVersion) -> u8 {
    match version {
        IpVersion::V4 => 4,
        IpVersion::V6 => 6,
    }
}

/// The control side of an open memory port.
struct MemoryControl {
    pool: HeapPool,
    link_up: Arc<AtomicBool>,
    description: PortDescription,
}

impl PortControl for MemoryControl {
    fn description(&self) -> &PortDescription {
        &self.description
    }

    /// Whether both ends are there.
    fn is_link_up(&mut self) -> bool {
        self.link_up.load(Ordering::Acquire)
    }

    fn extended_statistics(&mut self) -> Vec<(String, u64)> {
        Vec::new()
    }

    fn close(self: Box<Self>) -> Vec<PoolBalance> {
        vec![self.pool.balance()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::RxChecksum;

    fn config(ring: usize, buffers: usize) -> MemoryConfig {
        MemoryConfig { ring, buffers, ..MemoryConfig::default() }
    }

    #[test]
    fn frames_cross_both_ways_in_order() {
        let (mut left, mut right) = pair(&MemoryConfig::default());
        for byte in 0..40 {
            left.send_frame(&[byte; 60]).expect("sent");
            right.send_frame(&[byte; 61]).expect("sent");
        }
        let mut burst = Burst::with_capacity(32);
        right.rx_burst(&mut burst);
        assert_eq!(burst.len(), 32);
        assert!(burst.iter().zip(0..).all(|(packet, byte)| packet.frame() == [byte; 60]));
        right.tx_burst(&mut burst);
        assert!(burst.is_empty());
        let back: Vec<_> = std::iter::from_fn(|| left.receive_frame()).collect();
        assert_eq!(back.len(), 72);
        assert_eq!(back[0], [0; 61]);
        assert_eq!(back[71], [31; 60]);
        while right.receive_frame().is_some() {}
        assert!(left.pool_balance().is_balanced());
        let (left, right) = (left.counters().snapshot(), right.counters().snapshot());
        assert_eq!((left[Counter::Sent], left[Counter::Received]), (40, 72));
        assert_eq!((right[Counter::Sent], right[Counter::Received]), (72, 40));
    }

    #[test]
    fn a_full_ring_takes_a_prefix() {
        let (mut left, mut right) = pair(&config(4, 16));
        let mut burst = Burst::with_capacity(6);
        left.alloc_burst(&mut burst);
        burst.iter_mut().zip(0..).for_each(|(packet, byte)| assert!(packet.fill(&[byte])));
        left.tx_burst(&mut burst);
        assert_eq!(burst.iter().map(|packet| packet.frame()[0]).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(left.counters().snapshot()[Counter::Sent], 4);
        assert_eq!(left.send_frame(b"late"), Err(SendFrameError::Full));
        assert_eq!(right.receive_frame(), Some(vec![0]));
        left.tx_burst(&mut burst);
        assert_eq!(burst.len(), 1);
        left.free_burst(&mut burst);
        let rest: Vec<_> = std::iter::from_fn(|| right.receive_frame()).flatten().collect();
        assert_eq!(rest, [1, 2, 3, 4]);
        assert!(left.pool_balance().is_balanced());
    }

    #[test]
    fn an_empty_pool_is_no_panic() {
        let (mut left, mut right) = pair(&config(16, 2));
        let mut burst = Burst::with_capacity(4);
        left.alloc_burst(&mut burst);
        assert_eq!(burst.len(), 2);
        assert_eq!(right.send_frame(b"frame"), Err(SendFrameError::NoBuffer));
        left.free_burst(&mut burst);
        assert_eq!(right.send_frame(b"frame"), Ok(()));
        assert_eq!(left.receive_frame().as_deref(), Some(&b"frame"[..]));
    }

    #[test]
    fn room_is_for_the_mtu_and_two_tags() {
        let (mut left, mut right) = pair(&MemoryConfig::default());
        assert_eq!(left.send_frame(&[1; 1522]), Ok(()));
        assert_eq!(right.receive_frame(), Some(vec![1; 1522]));
        let error = left.send_frame(&[1; 1523]);
        assert_eq!(error, Err(SendFrameError::TooLong { len: 1523, room: 1522 }));
        assert!(left.pool_balance().is_balanced());
    }

    #[test]
    fn an_end_that_is_gone_takes_nothing_and_leaks_nothing() {
        let (port, mut far) = open(&config(16, 16));
        let OpenPort { mut queues, mut control } = port;
        assert!(control.is_link_up());
        let mut near = queues.pop().expect("one queue");
        far.send_frame(b"last words").expect("sent");
        near.send_frame(b"unheard").expect("sent");
        drop(far);
        assert!(!control.is_link_up());
        assert!(!near.is_exhausted());
        assert_eq!(near.send_frame(b"too late"), Err(SendFrameError::Full));
        let mut burst = Burst::with_capacity(4);
        near.rx_burst(&mut burst);
        assert_eq!(burst[0].frame(), b"last words");
        near.tx_burst(&mut burst);
        assert_eq!(burst.len(), 1);
        assert!(near.is_exhausted());
        near.free_burst(&mut burst);
        drop(near);
        assert_eq!(control.close(), [PoolBalance { name: "memory".to_owned(), size: 16, free: 16 }]);
    }

    #[test]
    fn a_frame_may_go_on_to_another_pair_and_still_goes_home() {
        let (mut a, mut b) = pair(&config(4, 4));
        let (mut c, mut d) = pair(&config(4, 4));
        a.send_frame(b"forwarded").expect("sent");
        let mut burst = Burst::with_capacity(1);
        b.rx_burst(&mut burst);
        c.tx_burst(&mut burst);
        assert_eq!(d.receive_frame().as_deref(), Some(&b"forwarded"[..]));
        assert!(a.pool_balance().is_balanced() && c.pool_balance().is_balanced());
    }

    #[test]
    fn ends_may_live_on_two_threads() {
        let (mut left, mut right) = pair(&config(8, 12));
        let sender = std::thread::spawn(move || {
            for number in 0..10_000_u32 {
                while left.send_frame(&number.to_be_bytes()).is_err() {
                    std::thread::yield_now();
                }
            }
            left
        });
        let mut expected = 0_u32;
        while expected < 10_000 {
            match right.receive_frame() {
                Some(frame) => {
                    assert_eq!(frame, expected.to_be_bytes());
                    expected += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        sender.join().expect("no panic");
        assert!(right.pool_balance().is_balanced());
    }

    #[test]
    fn the_far_end_says_what_the_port_says_of_checksums() {
        let offloads = MemoryOffloads { rx_udp_checksum: true, ..MemoryOffloads::default() };
        let (mut near, mut far) = pair(&MemoryConfig { offloads, ..MemoryConfig::default() });
        assert!(near.capabilities().rx_udp_checksum && !near.capabilities().tx_udp_checksum);
        let marks = RxChecksums { ipv4: RxChecksum::Good, udp: RxChecksum::Unfilled };
        far.set_rx_checksums(marks);
        far.send_frame(b"marked").expect("sent");
        let mut burst = Burst::with_capacity(1);
        near.rx_burst(&mut burst);
        assert_eq!(burst[0].rx_checksums(), marks);
        near.tx_burst(&mut burst);
        far.rx_burst(&mut burst);
        assert_eq!(burst[0].rx_checksums(), RxChecksums::default());
        far.free_burst(&mut burst);
        far.alloc_burst(&mut burst);
        assert_eq!(burst[0].rx_checksums(), RxChecksums::default());
        far.free_burst(&mut burst);
    }

    /// What comes out at the far end of `frame`, sent with a request for its checksum.
    fn completed(frame: &[u8], version: IpVersion, l2_len: usize, l3_len: usize) -> Vec<u8> {
        let offloads = MemoryOffloads { tx_udp_checksum: true, ..MemoryOffloads::default() };
        let (mut near, mut far) = pair(&MemoryConfig { offloads, ..MemoryConfig::default() });
        let mut burst = Burst::with_capacity(1);
        near.alloc_burst(&mut burst);
        assert!(burst[0].fill(frame));
        burst[0].request_udp_checksum(version, l2_len, l3_len);
        near.tx_burst(&mut burst);
        far.receive_frame().expect("a frame")
    }

    /// Headers of that kind, a datagram of 13 bytes whose checksum holds the sum of the pseudo
    /// header, and padding; with that sum.
    fn to_be_completed(version: IpVersion, l2_len: usize) -> (Vec<u8>, Sum) {
        let (first, l3_len, pseudo_header) = match version {
            IpVersion::V4 => (0x45, 20, Sum::pseudo_header_v4([10, 0, 0, 1], [10, 0, 0, 2], 17, 13)),
            // RFC 8200, 8.1: the addresses, the length and the next header.
            IpVersion::V6 => {
                (0x60, 40, Sum::of(&[[0xfd; 16], [0xfe; 16]].concat()) + Sum::of(&[0, 13, 0, 17]))
            }
        };
        let mut frame = vec![0; l2_len + l3_len];
        frame[l2_len] = first;
        frame.extend([0x30, 0x39, 0x00, 0x07, 0x00, 13]);
        frame.extend(pseudo_header.fold());
        frame.extend(b"hello and padding");
        (frame, pseudo_header)
    }

    #[test]
    fn a_requested_udp_checksum_is_completed_on_send() {
        for (version, l3_len) in [(IpVersion::V4, 20), (IpVersion::V6, 40)] {
            // No tag, one, and two.
            for l2_len in [14, 18, 22] {
                let (frame, pseudo_header) = to_be_completed(version, l2_len);
                let received = completed(&frame, version, l2_len, l3_len);
                let datagram = &received[l2_len + l3_len..][..13];
                assert!((pseudo_header + Sum::of(datagram)).is_valid(), "{version:?} behind {l2_len} bytes");
                assert_eq!(received.len(), frame.len());
            }
        }
    }

    #[test]
    fn a_request_that_the_frame_contradicts_changes_nothing() {
        let (frame, _) = to_be_completed(IpVersion::V4, 14);
        for l3_len in [20 + 18, 20 + 24, 500, 60_000, usize::MAX] {
            assert_eq!(completed(&frame, IpVersion::V4, 14, l3_len), frame);
        }
        assert_eq!(completed(&frame, IpVersion::V6, 14, 20), frame, "the other version");
        assert_eq!(completed(&frame, IpVersion::V4, 60_000, 20), frame);
    }
}
