//! The formats on the wire: pure functions over bytes, big-endian as the wire is.
//!
//! A parser takes the bytes that are really there, checks every length against them once
//! and gives a view whose getters can't fail. "Not ours" and "malformed" are values.

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod extension;
pub mod fragment;
pub mod icmpv4;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod mld;
pub mod ndp;
pub mod plain;
pub mod protocol;
pub mod udp;
pub mod vlan;
