#!/usr/bin/env bash
# scripts/vm-test: its arguments, and each kind of card in a virtual machine where there is root.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

vm=$scripts/vm-test

test_usage_errors() {
    expect 2 "$vm" --quietly
    output_has "'--quietly' is no NIC"
    expect 0 "$vm" --help
    output_has "e1000e, virtio-net-pci or vmxnet3"
}

test_a_missing_program_is_said() {
    with_rights
    CARGO_TARGET_DIR=$scratch expect 1 "$vm" --no-build
    output_has "is not built"
}

test_a_machine_that_failed_is_gone_before_the_next() {
    local qemu=$scratch/qemu-system-x86_64
    with_rights
    [[ -x ${CARGO_TARGET_DIR:-$top/target}/release/gannet ]] || skip "the release build is not there"
    cat >"$qemu" <<QEMU
#!/bin/sh
[ ! -e $scratch/pid ] || ! kill -0 "\$(cat $scratch/pid)" || echo "the last one is still there"
echo \$\$ >$scratch/pid
echo "vm: echo ended with status 1"
exec sleep 600
QEMU
    chmod +x "$qemu"
    PATH=$scratch:$PATH expect 1 "$vm" --no-build e1000e vmxnet3
    output_has "vmxnet3 failed"
    [[ $output != *"still there"* && $output != *"File exists"* ]] || { echo "$output"; exit 1; }
}

test_e1000e() { card e1000e; }
test_virtio_net_pci() { card virtio-net-pci; }
test_vmxnet3() { card vmxnet3; }

card() {
    with_rights
    expect 0 "$vm" "$1"
    output_has "ok      echo over IPv4"
}

with_rights() {
    [[ $EUID == 0 ]] || skip "a virtual machine's wire needs root"
    [[ -c /dev/net/tun ]] || skip "/dev/net/tun is missing"
    pkg-config --atleast-version=22.11 libdpdk || skip "DPDK is not installed"
}

run_tests
