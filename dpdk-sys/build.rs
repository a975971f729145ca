//! Finds DPDK and binds it.
fn main() {}
