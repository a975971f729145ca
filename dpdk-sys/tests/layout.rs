//! The layout that libclang told bindgen is the one that the C compiler used, and it is the
//! one that DPDK's ABI promises.

use std::collections::BTreeSet;
use std::ffi::CString;

use dpdk_sys::*;

#[test]
fn an_mbuf_is_two_cache_lines() {
    assert_eq!(size_of::<rte_mbuf>(), 128);
    assert_eq!(align_of::<rte_mbuf>(), 64);
    // SAFETY: a constant function.
    assert_eq!(unsafe { shim_mbuf_size() }, 128);
}

#[test]
fn mbuf_fields_lie_where_the_c_compiler_put_them() {
    let fields = [
        ("buf_addr", DPDK_SYS_MBUF_buf_addr, 0),
        ("data_off", DPDK_SYS_MBUF_data_off, 16),
        ("refcnt", DPDK_SYS_MBUF_refcnt, 18),
        ("nb_segs", DPDK_SYS_MBUF_nb_segs, 20),
        ("port", DPDK_SYS_MBUF_port, 22),
        ("ol_flags", DPDK_SYS_MBUF_ol_flags, 24),
        ("pkt_len", DPDK_SYS_MBUF_pkt_len, 36),
        ("data_len", DPDK_SYS_MBUF_data_len, 40),
        ("buf_len", DPDK_SYS_MBUF_buf_len, 54),
        ("pool", DPDK_SYS_MBUF_pool, 56),
        ("next", DPDK_SYS_MBUF_next, 64),
        ("tx_offload", DPDK_SYS_MBUF_tx_offload, 72),
    ];
    for (name, bound, promised) in fields {
        let field = CString::new(name).expect("no zero byte");
        // SAFETY: a zero-terminated string that outlives the call.
        let compiled = unsafe { shim_mbuf_offset(field.as_ptr()) };
        assert_eq!((bound, compiled), (promised, promised), "rte_mbuf.{name}");
    }
    // SAFETY: as above.
    assert_eq!(unsafe { shim_mbuf_offset(c"no_such_field".as_ptr()) }, usize::MAX);
}

#[test]
fn the_documentation_has_the_same_functions_and_constants() {
    if !VERSION.starts_with("22.11.") {
        eprintln!("skipped: the documentation shows DPDK 22.11, this is {VERSION}");
        return;
    }
    let built = include_str!(concat!(env!("OUT_DIR"), "/bindings.rs"));
    let committed = include_str!("../bindings/documentation.rs");
    assert_eq!(names(built), names(committed), "copy bindings.rs from OUT_DIR to bindings/documentation.rs");
}

/// Names of the functions and of our own constants.
fn names(bindings: &str) -> BTreeSet<&str> {
    bindings
        .lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let function = line
                .strip_prefix("pub fn ")
                .filter(|name| name.starts_with("rte_") || name.starts_with("shim_"));
            let constant = line.strip_prefix("pub const ").filter(|name| name.starts_with("DPDK_SYS_"));
            function.or(constant)?.split(['(', ':']).next()
        })
        .collect()
}
