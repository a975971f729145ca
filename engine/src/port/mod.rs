//! Ports: frames in, frames out.
//!
//! A port is a device that is opened once and split into one [`FrameQueue`] per worker
//! lcore. The queues go to their workers; the [`PortControl`] stays with the control
//! plane, which describes the port, reads its statistics and closes it.
//!
//! | port | frames come from | needs |
//! |---|---|---|
//! | `dpdk` | any poll-mode driver | DPDK, mostly root and hugepages |
//! | [`af_packet`] | a Linux interface, through a memory-mapped ring | `CAP_NET_RAW` |
//! | [`socket`] | the kernel's UDP sockets: datagrams, and no frames | nothing |
//! | [`memory`] | the other end of a pair in this process | nothing |
//! | [`pcap`] | a capture file, replayed; what is sent is recorded | nothing |
//! | [`fault`] | any other queue, with losses and worse put in | nothing |

pub mod af_packet;
#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod fault;
mod heap;
pub mod memory;
pub mod pcap;
pub mod socket;

use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;

use serde::Serialize;

use crate::packet::{Burst, Packet};
use crate::sys::CapabilitySet;
use crate::telemetry::Counters;
use crate::time::Time;
use crate::wire::ethernet::MacAddress;

/// Which of a program's ports: their order on the command line, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PortId(pub u16);

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One lcore's queue pair of a port: receives, sends, lends and takes back buffers.
///
/// No method waits, and none of them makes a foreign or system call per packet.
///
/// A queue counts [`Received`](crate::telemetry::Counter::Received) and
/// [`Sent`](crate::telemetry::Counter::Sent), and by name the frames that it drops itself;
/// all else is the host's to count.
pub trait FrameQueue: Send {
    /// A frame in one of this port's buffers.
    type Packet: Packet;

    /// What this queue's device is and what it was granted.
    fn capabilities(&self) -> &Capabilities;

    /// This queue's counters. The lcore that owns the queue is their only writer.
    fn counters(&self) -> &Arc<Counters>;

    /// Appends received frames to `into`, at most as many as it has room for.
    fn rx_burst(&mut self, into: &mut Burst<Self::Packet>);

    /// Tells the time of the turn that begins, for a port that reads no clock and wants to know it.
    #[inline]
    fn turn(&mut self, now: Time) {
        let _ = now;
    }

    /// Sends a prefix of `from` and removes it; what it took is the port's until it
    /// completes. The rest stays with the caller, in order.
    fn tx_burst(&mut self, from: &mut Burst<Self::Packet>);

    /// Appends empty packets (`frame_len() == 0`, with [`HEADROOM`] bytes of headroom or
    /// more) to `into` until it is full or the pool is empty.
    fn alloc_burst(&mut self, into: &mut Burst<Self::Packet>);

    /// Gives all of `from` back to the pools that the packets came from.
    fn free_burst(&mut self, from: &mut Burst<Self::Packet>);

    /// Makes a packet fit to be held beyond the present poll. A port whose received
    /// packets pin a slot of its ring copies it into a buffer of its own.
    ///
    /// # Errors
    /// Gives the packet back, unchanged, if there is no buffer for the copy.
    fn hold(&mut self, packet: Self::Packet) -> Result<Self::Packet, Self::Packet> {
        Ok(packet)
    }

    /// Whether no frame will ever be received again: a replay that came to its end.
    fn is_exhausted(&self) -> bool {
        false
    }

    /// A descriptor that is readable (poll(2)) when there is a frame to receive; `None` where
    /// only polling the queue tells. It stays the same as long as the queue lives.
    fn wait_fd(&self) -> Option<RawFd> {
        None
    }

    /// Has the device make [`wait_fd`](Self::wait_fd) readable from now on, by an interrupt or
    /// whatever it has. `false` if a frame is there already, or the device can't: then the
    /// worker must not wait. A system call or two, made when there is nothing else to do.
    fn arm_wakeup(&mut self) -> bool {
        true
    }

    /// Ends what [`arm_wakeup`](Self::arm_wakeup) may have begun: the queue is polled again.
    fn disarm_wakeup(&mut self) {}
}

/// Bytes that every packet from [`FrameQueue::alloc_burst`] has in front of its frame: room
/// for Ethernet, two VLAN tags, IPv6 and UDP, rounded up to a multiple of 16.
pub const HEADROOM: usize = 80;

/// What a queue's device is and what it was granted.
#[derive(Clone, Debug, Serialize)]
pub struct Capabilities {
    /// The device's own address.
    pub mac: MacAddress,
    /// The longest IP packet that it sends, in bytes.
    pub mtu: u16,
    /// [`RxChecksums::ipv4`](crate::packet::RxChecksums::ipv4) counts.
    pub rx_ipv4_checksum: bool,
    /// [`RxChecksums::udp`](crate::packet::RxChecksums::udp) counts.
    pub rx_udp_checksum: bool,
    /// [`Packet::request_udp_checksum`] works.
    pub tx_udp_checksum: bool,
    /// [`Packet::chain`] works: the device sends frames of several parts, and gives up what others
    /// still have.
    pub tx_shared: bool,
    /// The device delivers datagrams of this machine's own kernel with the transmit
    /// checksum unfilled and does not mark them (DPDK's net_af_packet): a UDP checksum
    /// that equals the sum of the pseudo header is such a one.
    pub unmarked_unfilled_checksums: bool,
}

/// What all ports are asked for when they are opened.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// Queue pairs wanted, one per worker lcore. A device that has fewer gives fewer.
    pub queues: usize,
    /// Packets that a burst moves at most.
    pub burst: usize,
    /// Packets that the host may hold per queue, beyond the bursts in flight
    /// (rooms lent to the service, the neighbour queue).
    pub held: usize,
    /// Receive descriptors (ring slots) per queue; `None` for the port's default.
    pub rx_descriptors: Option<u16>,
    /// Transmit descriptors per queue; `None` for the port's default.
    pub tx_descriptors: Option<u16>,
    /// The longest IP packet in bytes; `None` for what the device has.
    pub mtu: Option<u16>,
    /// Ask the device for frames to every address.
    pub promiscuous: bool,
    /// Ask the device for frames to every group (multicast) address: IPv6 neighbours are
    /// asked for at the groups of their addresses (RFC 4291, 2.7.1).
    pub all_multicast: bool,
    /// Ask the device to tell of received frames, so that a worker can wait for them
    /// ([`FrameQueue::wait_fd`]). Ports that always can do without being asked.
    pub wakeups: bool,
    /// Nothing is forwarded to the port from another: every packet that it is given to send came
    /// from itself, so a device may give them back in bulk to one pool
    /// (`RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE`).
    pub only_own_packets: bool,
    /// Frames are to end with payloads that other frames have too ([`Packet::chain`]).
    pub shares: bool,
    /// What frames are spread over several queues by.
    pub rss: RssFields,
    /// The secret that the spreading is keyed with; `None` for the port's own key, which
    /// anyone may know and so aim all flows at one queue.
    pub rss_key: Option<RssKey>,
}

/// What frames are spread over a port's queues by (receive side scaling).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RssFields {
    /// Addresses and ports, so that a flow keeps its queue. Fragments, which have no ports,
    /// may come to another queue than the rest of their flow.
    #[default]
    Flow,
    /// Addresses only, so that all between two hosts meets in one queue, fragments too.
    Addresses,
}

/// Random bytes for the key of RSS, as many as any device that we know takes.
#[derive(Clone)]
pub struct RssKey(pub [u8; Self::LEN]);

impl RssKey {
    /// Length in bytes. Most devices take 40 (Toeplitz over two IPv6 addresses and the
    /// ports), some 52 or 64; a shorter key is the first bytes of it.
    pub const LEN: usize = 64;
}

impl fmt::Debug for RssKey {
    /// Keeps the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RssKey(..)")
    }
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            queues: 1,
            burst: 32,
            held: 256,
            rx_descriptors: None,
            tx_descriptors: None,
            mtu: None,
            promiscuous: false,
            all_multicast: false,
            wakeups: false,
            only_own_packets: false,
            shares: false,
            rss: RssFields::default(),
            rss_key: None,
        }
    }
}

/// An open port: its queues, to be moved to their workers, and its control side.
pub struct OpenPort<Q> {
    /// One per worker lcore, at most as many as were asked for, at least one.
    pub queues: Vec<Q>,
    /// What stays with the control plane.
    pub control: Box<dyn PortControl>,
}

/// The control plane's side of an open port.
pub trait PortControl: Send {
    /// What was opened.
    fn description(&self) -> &PortDescription;

    /// Whether the device has its link now: frames flow. A system call, or several.
    fn is_link_up(&mut self) -> bool;

    /// Looks whether the device is there, and has it serve again where it was gone and is back.
    /// Called a few times a second; it may take its time.
    fn look_after(&mut self) -> Found {
        Found::Same
    }

    /// The device's own statistics, by the names that its driver gives them.
    fn extended_statistics(&mut self) -> Vec<(String, u64)>;

    /// What the device goes on to need of the rights that it took to open it, until it is closed.
    fn keeps(&self) -> CapabilitySet {
        CapabilitySet::NONE
    }

    /// Closes the device and says how many buffers of its pools came back. Called when
    /// all its queues have been drained and dropped.
    fn close(self: Box<Self>) -> Vec<PoolBalance>;
}

/// What a look at a port's device found. Each change is found once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// All is as it was.
    Same,
    /// The device does not serve from now on, for this reason; it is looked for.
    Gone(String),
    /// It serves again. Its own address may be another than before.
    Renewed(MacAddress),
    /// It will not serve again in this process: why, and what to do.
    Lost(String),
}

/// What a port is and what it was granted, for the log, the ready line and the report.
#[derive(Clone, Debug, Serialize)]
pub struct PortDescription {
    /// The port's name, as the user knows it: `net_tap0`, `0000:03:00.0`, `veth0`.
    pub name: String,
    /// `dpdk net_tap`, `af_packet`, `pcap`, `memory`.
    pub driver: String,
    /// The device's own address.
    pub mac: MacAddress,
    /// The longest IP packet that it sends, in bytes.
    pub mtu: u16,
    /// Queue pairs opened.
    pub queues: usize,
    /// NUMA node, where the device has one.
    pub numa_node: Option<u32>,
    /// What was negotiated, a line each: RSS, descriptors, offloads, and what the device
    /// gave less of than was asked.
    pub granted: Vec<String>,
}

/// A pool's buffers at its port's close: as many free as there are, or something leaked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolBalance {
    /// The pool's name.
    pub name: String,
    /// Buffers in all.
    pub size: usize,
    /// Buffers that are back.
    pub free: usize,
}

impl PoolBalance {
    /// Whether every buffer came back.
    pub fn is_balanced(&self) -> bool {
        self.free == self.size
    }
}
