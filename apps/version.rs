//! The version line: what was built, from what, and what of this CPU is used.

/// The commit that it was built from, abbreviated; `unknown` outside of a repository.
pub(crate) const COMMIT: &str = env!("GANNET_GIT_COMMIT");

/// The day of the commit; `unknown` like it.
pub(crate) const DATE: &str = env!("GANNET_GIT_DATE");

/// `gannet 0.1.0 (commit 0123456789ab, DPDK 22.11.11, vector kernel avx2)`
pub(crate) fn line() -> String {
    let built = env!("GANNET_DPDK_VERSION");
    let dpdk = gannet::dpdk_version().map_or("no DPDK".to_owned(), |running| {
        if running.strip_prefix("DPDK ") == Some(built) {
            running
        } else {
            format!("{running}, built with {built}")
        }
    });
    let kernel = gannet::wire::plain::Kernel::best().name();
    format!("gannet {} (commit {COMMIT}, {dpdk}, vector kernel {kernel})", env!("CARGO_PKG_VERSION"))
}
