//! Raw bindings to the system's DPDK, 22.11 or newer, as `pkg-config libdpdk` finds it.
//!
//! No opinions: names, types and constants are DPDK's own, made by bindgen at build time
//! from what is installed. Three things are added:
//! - `shim_…` functions stand for DPDK's static inlines (`shim.c`);
//! - `DPDK_SYS_…` constants stand for flags that bindgen can't evaluate (`wrapper.h`);
//! - `rte_mbuf` is opaque; the offsets of its fields are `DPDK_SYS_MBUF_…`.
//!
//! # Packages and linking
//! Debian: `apt-get install libdpdk-dev dpdk libclang-dev`. By default DPDK is linked shared
//! and the EAL loads every driver of its PMD folder. With `LIBDPDK_STATIC=1` in the build's
//! environment all of DPDK goes into the program, drivers included, and the libraries that
//! they use (libnuma, libpcap, rdma-core …) stay shared; their `-dev` packages are
//! dependencies of `libdpdk-dev`. Either way the link arguments reach every program that
//! depends on this crate. Dependents' build scripts see `DEP_DPDK_VERSION` and
//! `DEP_DPDK_LIBDIR`.
//!
//! # The next DPDK release
//! 1. Build and test against it: `PKG_CONFIG_PATH=… cargo test -p dpdk-sys -p gannet`, in
//!    both link forms.
//! 2. A name that was renamed or became an inline: fix `wrapper.h`, `shim.c` and the
//!    allowlist in `build.rs`, for the old release too.
//! 3. A layout test fails: the ABI of `rte_mbuf` moved; check every user of `DPDK_SYS_MBUF_…`.
//! 4. If the minimum moves: `MINIMUM` in `build.rs`, and copy the new `bindings.rs` from
//!    Cargo's `OUT_DIR` to `bindings/documentation.rs`.

#![no_std]

/// The DPDK release that these bindings were built against, as pkg-config names it.
pub const VERSION: &str = env!("DPDK_SYS_VERSION");

pub use generated::*;

#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnameable_types,
    unreachable_pub,
    unused_qualifications,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
