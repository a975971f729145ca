//! Differential: the same frames to the kernel's UDP echo and to ours, and where the answers
//! differ a reason that is written down.
//!
//! | file | subject |
//! |---|---|
//! | `frames`, `build` | the suite: every kind of frame by name, valid and wrong in each direction |
//! | `kernel`, `echo` | the kernel as the host, in namespaces |
//! | `ours` | our host on a memory port, with the same addresses |
//! | `meaning`, `joining` | what an answer means, in one frame or in fragments |
//! | `compare` | the comparison of the two |
//! | `reasons` | the table of differences, each with its reason |
//! | `parse`, `parse6` | how we read the same frames, and how etherparse does |
//! | `lab` | namespaces, raw sockets |
//!
//! What takes root prints `skipped: NAME: REASON` without it and passes; with `CI=true` it fails.
//!
//! The kernel is not sent what it would answer by how it was configured, so that no one answer
//! stands for all: frames with VLAN tags (`frames/tags.rs` says more), and the protocols of
//! tunnels, of IPsec and of transports that are modules (`CONFIGURED` in `frames/ipv4.rs` and
//! `frames/ipv6.rs`). Nor frames over 1,514 bytes: the far end of a veth pair drops them itself.
//!
//! Both put fragments together and answer in fragments what is over the MTU, which are put
//! together before they are compared. The kernel waits a second for the missing ones, ours 30
//! on its own clock; what they say then belongs to the case whose fragment it quotes. Our
//! guards are off: each answer is for what the packet is, not for who sent how many.

mod build;
mod compare;
mod echo;
mod frames;
mod joining;
mod kernel;
mod lab;
mod meaning;
mod ours;
mod parse;
mod parse6;
mod reasons;
