#!/usr/bin/env bash
# hugepages.sh: arguments, a tree of files in place of the kernel, and one real page where there is root.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

hugepages=$top/hugepages.sh

test_usage_errors_say_what_is_wrong() {
    expect 2 "$hugepages"
    output_has "reserve, show or release"
    expect 2 "$hugepages" grow 512M
    output_has "'grow' is none of"
    expect 2 "$hugepages" reserve
    output_has "needs a SIZE"
    expect 2 "$hugepages" reserve 512
    output_has "'512' is no SIZE"
    expect 2 "$hugepages" reserve 512M 1G
    output_has "twice"
    expect 2 "$hugepages" reserve 512M --node east
    output_has "--node needs a number, not 'east'"
    expect 2 "$hugepages" release --all
    output_has "'--all' is no option of release"
}

test_help_names_the_commands() {
    expect 0 "$hugepages" --help
    output_has "reserve SIZE [--node N] [--1g]"
    output_has "release [SIZE]"
}

test_show_lists_every_node_size_and_mount() {
    fake_kernel 2048:8:3 2048:4:4
    expect 0 "$hugepages" show
    output_has "0     2MiB         8       3  6 MiB"
    output_has "1     2MiB         4       4  8 MiB"
    output_has "mounted for 2 MiB: /dev/hugepages /mnt/more"
}

test_reserve_counts_pages_that_are_free_already() {
    fake_kernel 2048:8:8
    expect 0 "$hugepages" reserve 15M
    output_has "8 pages of 2 MiB are free already"
    same 8 "$(cat "$(pages_file 0 2048 nr)")"
}

test_reserve_says_why_it_did_not_get_more() {
    fake_kernel 2048:0:0 # files don't give pages: nothing becomes free
    expect 1 "$hugepages" reserve 64M
    output_has "0 pages of 2 MiB are free (0 MiB), asked for 32"
    output_has "memory is fragmented: 1 GiB can be given, 84 MiB of it lies in whole blocks"
    same 1 "$(cat "$scratch/sys/devices/system/node/node0/compact")"
}

test_reserve_refuses_more_than_the_memory_of_the_node() {
    fake_kernel 2048:0:0
    expect 1 "$hugepages" reserve 8G
    output_has "the node has 1 GiB to give"
    same 0 "$(cat "$(pages_file 0 2048 nr)")"
}

test_reserve_on_one_node_leaves_the_others() {
    fake_kernel 2048:0:0 2048:1:1
    expect 1 "$hugepages" reserve 4M --node 1
    output_has "node 1:"
    same 0 "$(cat "$(pages_file 0 2048 nr)")"
    expect 1 "$hugepages" reserve 4M --node 9
    output_has "there is no node 9; nodes here: 0 1"
}

test_no_gigabyte_pages_is_said() {
    fake_kernel 2048:0:0
    expect 1 "$hugepages" reserve 1G --1g
    output_has "no hugepages of 1 GiB"
    output_has "leave out --1g"
}

test_release_keeps_what_is_in_use() {
    fake_kernel 2048:8:5
    expect 0 "$hugepages" release
    output_has "gave back 5 pages"
    same 3 "$(cat "$(pages_file 0 2048 nr)")"
}

test_release_of_a_size_gives_back_no_more() {
    fake_kernel 2048:8:5
    expect 0 "$hugepages" release 4M
    same 6 "$(cat "$(pages_file 0 2048 nr)")"
}

test_without_root_the_way_out_is_named() {
    [[ $EUID != 0 ]] || expect 0 chmod 755 "$scratch"
    fake_kernel 2048:0:0
    chmod a-w "$(pages_file 0 2048 nr)"
    expect 1 as_nobody "$hugepages" reserve 64M --node 0
    output_has "this needs root: sudo ./hugepages.sh reserve 64M --node 0"
}

test_one_page_of_the_real_kernel() {
    local file=/sys/devices/system/node/node0/hugepages/hugepages-2048kB before
    [[ -w $file/nr_hugepages ]] || skip "no right to write $file/nr_hugepages (root, and /sys not read-only)"
    before=$(cat $file/nr_hugepages)
    expect 0 "$hugepages" reserve $(($(cat $file/free_hugepages) * 2 + 2))M --node 0
    same $((before + 1)) "$(cat $file/nr_hugepages)"
    output_has "pages of 2 MiB are free"
    expect 0 "$hugepages" release 2M --node 0
    same "$before" "$(cat $file/nr_hugepages)"
}

# ---- the kernel as files -------------------------------------------------------

# fake_kernel KIB:TOTAL:FREE…: one node for each argument, with 1 GiB that can be given, of which
# 84 MiB lie in whole blocks.
fake_kernel() {
    local node=0 spec kib total free
    export HUGEPAGES_ROOT=$scratch
    mkdir -p "$scratch/proc" "$scratch/sys/kernel/mm/hugepages/hugepages-2048kB"
    : >"$scratch/proc/buddyinfo"
    printf 'hugetlbfs %s hugetlbfs rw,pagesize=2M 0 0\n' /dev/hugepages /mnt/more >"$scratch/proc/mounts"
    for spec in "$@"; do
        IFS=: read -r kib total free <<<"$spec"
        mkdir -p "$(dirname "$(pages_file $node "$kib" nr)")"
        echo "$total" >"$(pages_file $node "$kib" nr)"
        echo "$free" >"$(pages_file $node "$kib" free)"
        : >"$scratch/sys/devices/system/node/node$node/compact"
        printf 'Node %d %s: %d kB\n' $node MemFree 524288 $node 'Inactive(file)' 524288 $node Active 9 \
            >"$scratch/sys/devices/system/node/node$node/meminfo"
        echo "Node $node, zone Normal 9 9 9 9 9 9 9 9 9 10 16" >>"$scratch/proc/buddyinfo"
        node=$((node + 1))
    done
}

pages_file() { echo "$scratch/sys/devices/system/node/node$1/hugepages/hugepages-$2kB/$3_hugepages"; }

as_nobody() {
    if [[ $EUID == 0 ]]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups bash -s -- "${@:2}" <"$1"
    else
        "$@"
    fi
}

run_tests
