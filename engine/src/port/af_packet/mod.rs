//! A Linux interface as a port, with no DPDK: packet sockets with memory-mapped rings.
//!
//! A queue is a socket with a receive ring of its own. The kernel writes each frame into a
//! slot; the reply is made in that slot, and `sendmmsg` sends a burst of them straight from
//! there, past the queueing discipline. Then the slots are released. Several queues are a
//! fanout group: the kernel hashes a flow's addresses and ports and so always gives it to
//! the same one.
//!
//! The ring is TPACKET_V2's, one slot per frame. V3 fills blocks of many frames and hands
//! over a block when it is full or its time is up: measured on a veth pair, V2 answers in
//! 15 to 30 µs and V3 in 397 to 1,000 µs. V3 also packs its frames one behind the other, so
//! that a reply can't outgrow its request, and one frame that is held pins all of its block.
//!
//! | file | subject |
//! |---|---|
//! | `interface` | what the kernel says of the interface |
//! | `plan`, `geometry` | sizes, checked and laid out, with no kernel |
//! | `socket`, `mapping` | the system calls |
//! | `ring`, `pool`, `home` | slots, buffers, and who has them |
//! | `packet`, `queue`, `transmit` | the port's [`Packet`](crate::packet::Packet) and [`FrameQueue`](crate::port::FrameQueue) |
//! | `control` | description, statistics, close |
//!
//! What its wire can't carry: frames longer than a slot, such as the super-frames of a peer
//! that leaves segmentation to its device. They are counted as
//! [`RxTruncated`](crate::telemetry::Counter::RxTruncated).
//!
//! The kernel's own stack sees the frames too. Give the port an address that the kernel does
//! not have, in a namespace with `ip_forward=0`, or both will answer.

mod control;
mod error;
mod geometry;
mod home;
mod interface;
mod mapping;
mod open;
mod packet;
mod plan;
mod pool;
mod queue;
mod ring;
mod socket;
#[cfg(test)]
mod tests;
mod transmit;

pub use error::AfPacketError;
pub use open::open;
pub use packet::AfPacketPacket;
pub use queue::AfPacketQueue;
