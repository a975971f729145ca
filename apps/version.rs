//! The version line: what was built, from what, and what of this CPU is used.

/// `gannet 0.1.0 (commit 0123abc, DPDK 22.11.11, checksums with AVX2)`
pub(crate) fn line() -> String {
    let commit = env!("GANNET_GIT_COMMIT");
    let dpdk = option_env!("GANNET_DPDK_VERSION").map_or("no DPDK".to_owned(), |built| {
        let running = gannet::dpdk_version().unwrap_or_else(|| built.to_owned());
        if running.contains(built) { running } else { format!("{running}, built with {built}") }
    });
    let kernel = gannet::wire::checksum::kernel_name();
    format!("gannet {} (commit {commit}, {dpdk}, checksum kernel {kernel})", env!("CARGO_PKG_VERSION"))
}
