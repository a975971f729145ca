//! Conformance: the same frames through every frame port, and the same replies out of it.
//!
//! | file | subject |
//! |---|---|
//! | `frames`, `build`, `build6` | the suite: some hundred frames by name, each with its verdict |
//! | `oracle` | smoltcp reads and verifies every answer of the reference |
//! | `rig`, `conform` | a host on a port, and the comparison with the reference |
//! | `memory`, `pcap`, `af_packet`, `dpdk` | the ports, each with the frames that its wire can't carry, and why |
//! | `kernel` | the kernel as the peer, and tshark as the reader of what we send |
//! | `ownership` | short sends, full rings, empty pools: nothing is lost |
//! | `shared` | one payload to many: the same frames, shared or copied |
//! | `neighbours` | two hosts of ours that find each other |
//! | `poison` | lies about neighbours, told to a host of ours that calls one |
//! | `lab` | namespaces, raw sockets, capture files |
//!
//! What takes root prints `skipped: NAME: REASON` without it and passes; with `CI=true` it fails.

mod af_packet;
mod build;
mod build6;
mod conform;
#[cfg(feature = "dpdk")]
mod dpdk;
mod frames;
mod kernel;
mod lab;
mod memory;
mod neighbours;
mod oracle;
mod ownership;
mod pcap;
mod poison;
mod rig;
mod shared;
