#!/usr/bin/env bash
# A program outside the workspace that depends on dpdk-sys links in both forms, shared and static DPDK,
# and finds the drivers of its vdevs: link arguments must reach programs that are not ours.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

target=${CARGO_TARGET_DIR:-$top/target}/link-test

write_program() {
    mkdir -p "$scratch/src"
    cat >"$scratch/Cargo.toml" <<TOML
[package]
name = "outsider"
version = "0.1.0"
edition = "2024"

[dependencies]
dpdk-sys = { path = "$top/dpdk-sys" }

[workspace]
TOML
    cp "$top/Cargo.lock" "$scratch/"
    cat >"$scratch/src/main.rs" <<'RUST'
use std::ffi::CString;

fn main() {
    let arguments = std::env::args().map(|argument| CString::new(argument).unwrap().into_raw());
    let mut arguments: Vec<_> = arguments.collect();
    let read = unsafe { dpdk_sys::rte_eal_init(arguments.len() as i32, arguments.as_mut_ptr()) };
    assert!(read >= 0, "the EAL did not start");
    let (mut port, mut ports) = (0, 0);
    while unsafe { dpdk_sys::rte_eth_find_next(port) } < dpdk_sys::RTE_MAX_ETHPORTS as u64 as _ {
        port = unsafe { dpdk_sys::rte_eth_find_next(port) } + 1;
        ports += 1;
    }
    println!("ports: {ports}");
}
RUST
}

# finds_its_drivers FORM [VARIABLE=VALUE]: builds in that form and starts with two vdevs, or one where a tap is not to be had.
finds_its_drivers() {
    local form=$1 ports=1 vdevs=(--vdev=net_null0)
    shift
    pkg-config --exists libdpdk 2>/dev/null || skip "DPDK is not installed"
    write_program
    expect 0 env "$@" CARGO_TARGET_DIR="$target-$form" cargo build --quiet --manifest-path "$scratch/Cargo.toml"
    if [[ $EUID == 0 && -w /dev/net/tun ]]; then
        ports=2 vdevs+=("--vdev=net_tap0,iface=gannetlink")
    fi
    expect 0 env XDG_RUNTIME_DIR="$scratch" "$target-$form/debug/outsider" \
        --no-huge --no-pci --no-shconf -m 64 -l 0 "${vdevs[@]}"
    output_has "ports: $ports"
}

test_shared() { finds_its_drivers shared; }

test_static() {
    finds_its_drivers static LIBDPDK_STATIC=1
    expect 0 ldd "$target-static/debug/outsider"
    [[ $output != *librte_* ]] || { echo "$output"; exit 1; }
}

run_tests
