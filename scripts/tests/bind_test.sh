#!/usr/bin/env bash
# scripts/bind over a made-up /sys, with a stand-in for the part of the kernel that binds.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

bind=$scripts/bind
card=0000:03:00.0

test_usage_errors_say_what_is_wrong() {
    expect 2 "$bind"
    output_has "status, vfio or kernel"
    expect 2 "$bind" take eth0
    output_has "'take' is none of"
    expect 2 "$bind" vfio
    output_has "vfio needs a DEV"
    expect 2 "$bind" vfio a b
    output_has "not 'a' and 'b'"
    expect 2 "$bind" kernel a --persist
    output_has "'--persist' is no option of kernel"
    expect 2 "$bind" status a
    output_has "no arguments"
}

test_help_names_the_commands() {
    expect 0 "$bind" --help
    output_has "vfio DEV [--persist] [--force]"
}

test_status_lists_driver_group_node_interface_and_link() {
    machine
    other 0000:03:00.1 0x020000 e1000e
    expect 0 "$bind" status
    output_has "$card  8086:10d3 e1000e       7     1    enp3s0     up"
    output_has "in its group too: 0000:03:00.1"
}

test_status_says_that_there_is_no_iommu_and_no_card() {
    machine
    rm -r "$scratch/sys/class/iommu" "$scratch/sys/bus/pci/devices/$card"
    expect 0 "$bind" status
    output_has "no network card"
    output_has "no IOMMU: switch VT-d or AMD-Vi on"
}

test_a_card_goes_to_vfio_and_back() {
    machine
    expect 0 "$bind" vfio "$card"
    output_has "$card: from e1000e to vfio-pci"
    same vfio-pci "$(cat "$scratch/sys/bus/pci/devices/$card/driver_override")"
    expect 0 "$bind" vfio 03:00.0
    output_has "vfio-pci already"
    expect 0 "$bind" kernel 03:00.0
    output_has "$card: from vfio-pci to e1000e"
    same "" "$(cat "$scratch/sys/bus/pci/devices/$card/driver_override")"
    expect 0 "$bind" kernel "$card"
    output_has "kernel's driver e1000e already"
}

test_a_card_is_found_by_its_interface() {
    machine
    expect 0 "$bind" vfio enp3s0
    output_has "$card: from e1000e to vfio-pci"
    expect 1 "$bind" vfio enp9s0
    output_has "no PCI device and no interface 'enp9s0'"
    mkdir -p "$scratch/sys/class/net/br0"
    expect 1 "$bind" vfio br0
    output_has "'br0' is on no PCI device"
}

test_the_module_is_loaded() {
    machine
    rmdir "$scratch/sys/bus/pci/drivers/vfio-pci"
    stand_in modprobe "[ \"\$1\" != vfio-pci ] || mkdir -p $scratch/sys/bus/pci/drivers/vfio-pci"
    expect 0 "$bind" vfio "$card"
    output_has "to vfio-pci"
}

test_an_absent_module_is_said() {
    machine
    rmdir "$scratch/sys/bus/pci/drivers/vfio-pci"
    expect 1 "$bind" vfio "$card"
    output_has "the module vfio-pci is absent from this kernel, $(uname -r)"
    untouched
}

test_the_default_route_is_not_taken_unless_forced() {
    machine
    printf 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\nenp3s0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\n' \
        >"$scratch/proc/net/route"
    expect 1 "$bind" vfio "$card"
    output_has "enp3s0 ($card) has the default route"
    untouched
    expect 0 "$bind" status
    output_has "default route"
    expect 0 "$bind" vfio "$card" --force
    output_has "to vfio-pci"
}

test_a_default_route_over_a_bridge_and_by_ipv6_counts() {
    machine
    mkdir -p "$scratch/sys/class/net/br0" "$scratch/sys/class/net/bond0"
    : >"$scratch/sys/class/net/br0/lower_bond0"
    : >"$scratch/sys/class/net/bond0/lower_enp3s0"
    local zeros=00000000000000000000000000000000
    printf '%s 00 %s 00 fe80 00000400 00000001 00000000 00000003      br0\n' $zeros $zeros >"$scratch/proc/net/ipv6_route"
    expect 1 "$bind" vfio "$card"
    output_has "default route"
}

test_a_default_route_of_another_table_or_in_parts_counts() {
    local routes
    machine
    for routes in "default via 10.0.0.1 dev enp3s0 table 100" "128.0.0.0/1 via 10.0.0.1 dev enp3s0" \
        $'default proto static metric 100\n\tnexthop via 10.0.0.1 dev enp2s0 weight 1\n\tnexthop via 10.0.1.1 dev enp3s0 weight 1'; do
        stand_in ip "[ \"\$*\" != '-4 route show table all' ] || echo '$routes'"
        expect 1 "$bind" vfio "$card"
        output_has "default route"
    done
    stand_in ip $'echo \'default via 10.0.0.1 dev enp2s0\n10.0.0.0/24 dev enp3s0 scope link\''
    expect 0 "$bind" vfio "$card"
}

test_no_iommu_is_said_unless_the_kernel_does_without() {
    machine
    rm "$scratch/sys/bus/pci/devices/$card/iommu_group"
    expect 1 "$bind" vfio "$card"
    output_has "boot with intel_iommu=on"
    echo "vendor_id : AuthenticAMD" >"$scratch/proc/cpuinfo"
    expect 1 "$bind" vfio "$card"
    output_has "boot with amd_iommu=on"
    untouched
    mkdir -p "$scratch/sys/module/vfio/parameters"
    echo Y >"$scratch/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
    expect 0 "$bind" vfio "$card"
}

test_two_cards_of_a_group_are_bound_one_after_the_other() {
    machine
    other 0000:03:00.1 0x020000 e1000e
    expect 0 "$bind" vfio "$card"
    output_has "$card: from e1000e to vfio-pci"
    output_has "IOMMU group 7 is not viable until 0000:03:00.1 is bound too: $bind vfio 0000:03:00.1"
    expect 0 "$bind" vfio 0000:03:00.1
    output_has "0000:03:00.1: from e1000e to vfio-pci"
    [[ $output != *"not viable"* ]]
}

test_a_disk_in_the_group_is_left_alone() {
    machine
    other 0000:03:00.1 0x010802 nvme
    expect 1 "$bind" vfio "$card" --force
    output_has "IOMMU group 7 has 0000:03:00.1 too, with the driver nvme, which is no network card: put the card into another slot"
    [[ $output != *unbind* ]]
    untouched
    rm "$scratch/sys/bus/pci/devices/0000:03:00.1/driver"
    expect 0 "$bind" vfio "$card"
}

test_a_bridge_in_the_group_is_no_obstacle() {
    machine
    other 0000:00:1c.0 0x060400 shpchp
    expect 0 "$bind" vfio "$card"
}

test_a_disk_is_not_taken() {
    machine
    echo 0x010802 >"$scratch/sys/bus/pci/devices/$card/class"
    expect 1 "$bind" vfio "$card"
    output_has "$card is no network card"
    untouched
}

test_a_card_that_vfio_refuses_goes_back() {
    machine
    : >"$scratch/refuse"
    expect 1 "$bind" vfio "$card"
    output_has "vfio-pci did not take $card, which is back with e1000e"
}

test_a_driver_that_does_not_let_go_keeps_the_card() {
    machine
    local unbind=$scratch/sys/bus/pci/drivers/e1000e/unbind
    rm "$unbind"
    mkdir "$unbind"
    expect 1 "$bind" vfio "$card"
    output_has "vfio-pci did not take $card, which is back with e1000e"
    same "" "$(cat "$scratch/sys/bus/pci/devices/$card/driver_override")"
    untouched
}

test_a_terminal_that_goes_away_leaves_the_card_with_a_driver() {
    machine
    # shellcheck disable=SC2016 # of that shell
    expect 0 bash -c 'echo $$ >"$0/hang_up"; exec "$@"' "$scratch" "$bind" vfio "$card"
    output_has "from e1000e to vfio-pci"
    # shellcheck disable=SC2016
    expect 0 bash -c 'echo $$ >"$0/hang_up"; exec "$@"' "$scratch" "$bind" kernel "$card"
    output_has "from vfio-pci to e1000e"
}

test_kernel_clears_an_override_that_was_left() {
    machine
    echo vfio-pci >"$scratch/sys/bus/pci/devices/$card/driver_override"
    expect 0 "$bind" kernel "$card"
    output_has "kernel's driver e1000e already"
    same "" "$(cat "$scratch/sys/bus/pci/devices/$card/driver_override")"
}

test_a_long_list_of_driverctl_s_is_read_to_its_end() {
    machine
    stand_in driverctl "case \$1 in list-overrides) echo '$card vfio-pci'; seq 100000 || exit 1 ;; *) echo \"\$*\" >>$scratch/asked ;; esac"
    expect 0 "$bind" kernel "$card"
    same "unset-override $card" "$(tail -n 1 "$scratch/asked")"
}

test_a_rule_makes_it_last_and_kernel_removes_it() {
    machine
    command -v driverctl >/dev/null && skip "driverctl is installed"
    expect 0 "$bind" vfio "$card" --persist
    grep -q "KERNEL==\"$card\", ATTR{driver_override}=\"vfio-pci\"" "$scratch/etc/udev/rules.d/60-gannet-$card.rules"
    expect 0 "$bind" kernel "$card"
    output_has "removed $scratch/etc/udev/rules.d/60-gannet-$card.rules"
    [[ ! -e $scratch/etc/udev/rules.d/60-gannet-$card.rules ]]
}

test_driverctl_is_preferred() {
    machine
    stand_in driverctl "case \$1 in list-overrides) echo '$card vfio-pci' ;; *) echo \"\$*\" >>$scratch/asked ;; esac"
    expect 0 "$bind" vfio "$card" --persist
    same "set-override $card vfio-pci" "$(cat "$scratch/asked")"
    expect 0 "$bind" kernel "$card"
    same "unset-override $card" "$(tail -n 1 "$scratch/asked")"
    [[ ! -e $scratch/etc/udev/rules.d/60-gannet-$card.rules ]]
}

test_without_root_the_way_out_is_named() {
    machine
    chmod -R a+rX "$scratch"
    if [[ $EUID == 0 ]]; then
        chmod a-w "$scratch/sys/bus/pci/devices/$card/driver_override"
        expect 1 setpriv --reuid=65534 --regid=65534 --clear-groups bash -s -- vfio "$card" <"$bind"
    else
        chmod a-w "$scratch/sys/bus/pci/devices/$card/driver_override"
        expect 1 "$bind" vfio "$card"
    fi
    output_has "this needs root"
}

# ---- the machine as files -------------------------------------------------------

# One card with a group of its own, an IOMMU, and vfio-pci loaded.
machine() {
    export BIND_ROOT=$scratch
    mkdir -p "$scratch"/{bin,proc/net,sys/class/iommu/dmar0,sys/class/net,sys/bus/pci/drivers/vfio-pci,sys/kernel/iommu_groups/7/devices}
    : >"$scratch/proc/net/route"
    PATH=$scratch/bin:$PATH
    stand_in modprobe "exit 1"
    stand_in ip "exit 1"
    other "$card" 0x020000 e1000e
    mkdir -p "$scratch/sys/bus/pci/devices/$card/net/enp3s0" "$scratch/sys/class/net/enp3s0"
    echo up >"$scratch/sys/class/net/enp3s0/operstate"
    ln -s "$scratch/sys/bus/pci/devices/$card" "$scratch/sys/class/net/enp3s0/device"
    mkfifo "$scratch/sys/bus/pci/drivers_probe"
    kernel_that_binds >/dev/null 2>&1 &
    # shellcheck disable=SC2064 # of this process
    trap "kill $!" EXIT
}

# other ADDRESS CLASS DRIVER: a device in group 7.
other() {
    local dir=$scratch/sys/bus/pci/devices/$1
    mkdir -p "$dir" "$scratch/sys/bus/pci/drivers/$3"
    echo "$2" >"$dir/class"
    echo 0x8086 >"$dir/vendor"
    echo 0x10d3 >"$dir/device"
    echo 1 >"$dir/numa_node"
    echo pci:v00008086d000010D3 >"$dir/modalias"
    : >"$dir/driver_override"
    : >"$scratch/sys/bus/pci/drivers/$3/unbind"
    ln -s "$scratch/sys/bus/pci/drivers/$3" "$dir/driver"
    ln -s "$scratch/sys/kernel/iommu_groups/7" "$dir/iommu_group"
    ln -s "$dir" "$scratch/sys/kernel/iommu_groups/7/devices/$1"
}

# What drivers_probe does: the device gets the driver that its override names, or its own.
kernel_that_binds() {
    local address driver dir=$scratch/sys/bus/pci
    while read -r address <"$dir/drivers_probe"; do
        driver=$(cat "$dir/devices/$address/driver_override")
        [[ ! -e $scratch/refuse || $driver != vfio-pci ]] || continue
        [[ ! -e $scratch/hang_up ]] || { kill -HUP "$(cat "$scratch/hang_up")"; sleep 0.3; }
        ln -sfn "$dir/drivers/${driver:-e1000e}" "$dir/devices/$address/driver"
    done
}

untouched() { same e1000e "$(basename "$(readlink "$scratch/sys/bus/pci/devices/$card/driver")")"; }

stand_in() {
    printf '#!/bin/sh\n%s\n' "$2" >"$scratch/bin/$1"
    chmod +x "$scratch/bin/$1"
}

run_tests
