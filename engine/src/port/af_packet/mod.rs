//! A Linux interface as a port, with no DPDK: packet sockets with memory-mapped rings.
//!
//! A queue is a socket with a receive ring of its own. The kernel writes each frame into a
//! slot; the reply is made in that slot, and `sendmmsg` sends a burst of them straight from
//! there, past the queueing discipline. Then the slots are released. Several queues are a
//! fanout group: the kernel hashes a flow's addresses and ports, or only its addresses, and so
//! always gives it to the same one.
//!
//! The ring is TPACKET_V2's, one slot per frame. V3 fills blocks of many frames and hands
//! over a block when it is full or its time is up: on a veth pair, before this port was
//! written, V2 answered in 15 to 30 µs and V3 in 397 to 1,000 µs (no benchmark of this
//! repository repeats that). V3 also packs its frames one behind the other, so
//! that a reply can't outgrow its request, and one frame that is held pins all of its block.
//!
//! | file | subject |
//! |---|---|
//! | `interface` | what the kernel says of the interface |
//! | `plan`, `geometry` | sizes, checked and laid out, with no kernel |
//! | `socket`, `filter`, `spread`, `mapping` | the system calls, and the programs for the kernel |
//! | `ring`, `pool`, `home` | slots, buffers, and who has them |
//! | `packet`, `queue`, `transmit` | the port's [`Packet`](crate::packet::Packet) and [`FrameQueue`](crate::port::FrameQueue) |
//! | `control` | description, statistics, close |
//! | `renewal` | an interface that was deleted and is there again |
//!
//! What its wire can't carry: frames longer than a slot, counted as
//! [`RxTruncated`](crate::telemetry::Counter::RxTruncated), and super-frames, in which a
//! sender on this machine (`UDP_SEGMENT`, as QUIC senders use it) leaves several datagrams
//! for its device to cut. One would arrive as a single datagram, their payloads joined; a
//! filter marks it, and it is dropped as
//! [`RxSuperFrame`](crate::telemetry::Counter::RxSuperFrame). The filter takes Linux 5.7 and
//! CAP_BPF. Where it is refused, the port says so among what was granted, and super-frames
//! that fit a slot come through as they are.
//!
//! The kernel's own stack sees the frames too. Give the port an address that the kernel does
//! not have, in a namespace with `ip_forward=0`, or both will answer.

mod control;
mod error;
mod filter;
mod geometry;
mod home;
mod interface;
mod mapping;
mod open;
mod packet;
mod plan;
mod pool;
mod queue;
mod renewal;
mod ring;
mod socket;
mod spread;
#[cfg(test)]
mod tests;
mod transmit;

pub use error::AfPacketError;
#[cfg(feature = "dpdk")]
pub(super) use interface::Query;
pub use open::open;
pub use packet::AfPacketPacket;
pub use queue::AfPacketQueue;
