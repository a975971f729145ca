#!/usr/bin/env bash
# Hugepages for DPDK: reserves them, shows them and gives them back, per NUMA node.
#
#   ./hugepages.sh reserve SIZE [--node N] [--1g]    have SIZE free on every node, or on node N
#   ./hugepages.sh show                              total and free per node and page size, mount points
#   ./hugepages.sh release [SIZE] [--node N] [--1g]  give back the free pages, at most SIZE per node
#
# SIZE is a number with M or G (512M, 2G), rounded up to whole pages. Pages are of 2 MiB; with --1g,
# of 1 GiB. "reserve" counts the pages that are free already, so it may be run twice; it mounts
# hugetlbfs where no mount of that page size is found. "release" never takes a page that is in use
# and says who holds it. "reserve" and "release" need root.
#
# Exit: 0 done, 1 not or not all of it (what was got is kept), 2 usage.
set -euo pipefail

# Where /sys and /proc are found; the tests put a tree of their own here.
root=${HUGEPAGES_ROOT:-}
# The name in the mount table that tells our mounts from those of others.
mount_source=gannet-hugepages
kib_per_gib=1048576

main() {
    case ${1:-} in
        -h | --help) usage ;;
        reserve | show | release)
            parse_arguments "$@"
            "$command"
            ;;
        '') usage_error "what to do is missing: reserve, show or release" ;;
        *) usage_error "'$1' is none of reserve, show, release" ;;
    esac
}

# ---- reserve ----------------------------------------------------------------

reserve() {
    local node failed=0
    [[ -n $size_kib ]] || usage_error "reserve needs a SIZE, such as 512M"
    need_page_size
    for node in $(chosen_nodes); do
        reserve_on "$node" || failed=1
    done
    mount_hugetlbfs || failed=1
    return "$failed"
}

# Sees to it that node $1 has enough free pages.
reserve_on() {
    local node=$1 want free extra
    want=$(pages_of "$size_kib")
    free=$(pages "$node" free)
    extra=$((want - free))
    if ((extra <= 0)); then
        say "node $node: $free pages of $page_name are free already ($(human $((free * page_kib))))"
        return 0
    fi
    need_writable "$node"
    enough_memory "$node" "$extra" || return 1
    grow "$node" "$extra"
    if (($(pages "$node" free) < want)); then
        compact "$node"
        grow "$node" $((want - $(pages "$node" free)))
    fi
    report_reserved "$node" "$want"
}

# Asks the kernel for $2 pages more on node $1. It gives what it can, without an error.
grow() {
    echo $(($(pages "$1" nr) + $2)) >"$(page_dir "$1")/nr_hugepages" || true
}

# Asks the kernel to move small pages together on node $1. Not every kernel lets us.
compact() {
    say "node $1: not enough whole blocks, compacting memory"
    { echo 1 >"$(node_dir "$1")/compact"; } 2>/dev/null ||
        { echo 1 >"$root/proc/sys/vm/compact_memory"; } 2>/dev/null ||
        say "node $1: this kernel refused to compact memory"
}

# Says no before anything is touched where the memory is not there: the kernel would push every
# other program aside first, and then fail.
enough_memory() {
    local available
    available=$(available_kib "$1")
    (($2 * page_kib <= available)) && return 0
    complain "node $1: $2 more pages of $page_name are $(human $(($2 * page_kib)))," \
        "but the node has $(human "$available") to give; stop something or ask for less"
}

report_reserved() {
    local node=$1 want=$2 free
    free=$(pages "$node" free)
    say "node $node: $free pages of $page_name are free ($(human $((free * page_kib)))), asked for $want"
    ((free >= want)) && return 0
    complain "node $node: not more, because memory is fragmented: $(human "$(available_kib "$node")") can be" \
        "given, $(human "$(whole_blocks_kib "$node")") of it lies in whole blocks now." \
        "$(remedy)"
}

remedy() {
    if ((page_kib == kib_per_gib)); then
        echo "Reserve 1 GiB pages at boot: default_hugepagesz=1G hugepagesz=1G hugepages=N on the kernel's command line"
    else
        echo "Stop large programs and try again, or reserve soon after boot (vm.nr_hugepages in /etc/sysctl.d)"
    fi
}

mount_hugetlbfs() {
    local where=/dev/hugepages
    ((page_kib == kib_per_gib)) && where=/dev/hugepages1G
    if [[ -n $(mounts_of "$page_kib") ]] || (($(pages_everywhere) == 0)); then
        return 0
    fi
    [[ $EUID == 0 ]] || { complain "mounting hugetlbfs on $where needs root"; return 1; }
    mkdir -p "$where"
    if mount -t hugetlbfs -o "pagesize=$((page_kib / 1024))M" "$mount_source" "$where"; then
        say "mounted hugetlbfs for pages of $page_name on $where"
    else
        complain "hugetlbfs could not be mounted on $where (a container without the right to mount?);" \
            "DPDK can use the pages without a mount: pass --in-memory"
    fi
}

# ---- show -------------------------------------------------------------------

show() {
    local node kib
    [[ -z $size_kib && -z $only_node && $page_kib == 2048 ]] || usage_error "show takes no arguments"
    printf '%-5s %-6s %7s %7s  %s\n' node page total free 'free memory'
    for node in $(all_nodes); do
        for kib in $(page_sizes); do
            choose_page "$kib"
            show_row "$node"
        done
    done
    for kib in $(page_sizes); do
        choose_page "$kib"
        say "mounted for $page_name: $(mounts_of "$kib" | paste -sd ' ' | grep . || echo none)"
    done
}

show_row() {
    local free
    free=$(pages "$1" free)
    printf '%-5s %-6s %7s %7s  %s\n' "$1" "${page_name/ /}" "$(pages "$1" nr)" "$free" "$(human $((free * page_kib)))"
}

# ---- release ----------------------------------------------------------------

release() {
    local node kib failed=0 sizes=$page_kib
    need_page_size
    if [[ -z $size_kib && $page_kib != "$kib_per_gib" ]]; then
        sizes=$(page_sizes)
    fi
    for kib in $sizes; do
        choose_page "$kib"
        for node in $(chosen_nodes); do
            release_on "$node" || failed=1
        done
        unmount_ours
    done
    return "$failed"
}

# Gives back the free pages of node $1; those in use stay, and that is not a failure.
release_on() {
    local node=$1 total give
    total=$(pages "$node" nr)
    if ((total == 0)); then
        say "node $node: no pages of $page_name are reserved"
        return 0
    fi
    give=$(pages "$node" free)
    if [[ -n $size_kib ]] && (($(pages_of "$size_kib") < give)); then
        give=$(pages_of "$size_kib")
    fi
    if ((give > 0)); then
        need_writable "$node"
        echo $((total - give)) >"$(page_dir "$node")/nr_hugepages"
    fi
    report_released "$node" "$total"
}

report_released() {
    local node=$1 left free held
    left=$(pages "$node" nr)
    free=$(pages "$node" free)
    held=$((left - free))
    say "node $node: gave back $(($2 - left)) pages of $page_name, $left left, $held of them in use"
    ((held == 0)) || say_holders
}

# Names the processes and the left-over files that hold hugepages.
say_holders() {
    local status pid kib mount
    for status in "$root"/proc/[0-9]*/smaps_rollup; do
        kib=$(awk '/_Hugetlb:/ { sum += $2 } END { print sum + 0 }' "$status" 2>/dev/null) || continue
        pid=${status%/smaps_rollup}
        ((kib == 0)) || say "  held: $(human "$kib") by process ${pid##*/} ($(cat "$pid/comm" 2>/dev/null || echo ended))"
    done
    for mount in $(mounts_of "$page_kib"); do
        find "$mount" -type f -printf '  held: by the file %p; remove it when no DPDK program uses it\n' 2>/dev/null || true
    done
}

# Takes down a mount that "reserve" made, once no page of its size is left.
unmount_ours() {
    local where node left=0
    for node in $(all_nodes); do
        left=$((left + $(pages "$node" nr)))
    done
    ((left == 0)) || return 0
    for where in $(mounts_of "$page_kib" "$mount_source"); do
        if umount "$where" 2>/dev/null; then
            rmdir "$where" 2>/dev/null || true
            say "unmounted $where"
        fi
    done
}

# ---- what the kernel says ---------------------------------------------------

all_nodes() {
    local dir
    for dir in "$root"/sys/devices/system/node/node[0-9]*/hugepages; do
        dir=${dir%/hugepages}
        [[ ! -d $dir ]] || echo "${dir##*node}"
    done | sort -n
}

chosen_nodes() {
    echo "${only_node:-$(all_nodes)}"
}

node_dir() { echo "$root/sys/devices/system/node/node$1"; }
page_dir() { echo "$(node_dir "$1")/hugepages/hugepages-${page_kib}kB"; }

# pages NODE nr|free: a count from the kernel.
pages() { cat "$(page_dir "$1")/$2_hugepages"; }

# Pages of all nodes, free or not.
pages_everywhere() {
    local node sum=0
    for node in $(all_nodes); do
        sum=$((sum + $(pages "$node" nr)))
    done
    echo "$sum"
}

# Whole pages that SIZE (KiB) needs.
pages_of() { echo $((($1 + page_kib - 1) / page_kib)); }

# The page sizes of this kernel that the script deals with, in KiB.
page_sizes() {
    local kib
    for kib in 2048 "$kib_per_gib"; do
        [[ ! -d $root/sys/kernel/mm/hugepages/hugepages-${kib}kB ]] || echo "$kib"
    done
}

# Memory of a node that is free or can be freed by dropping file pages, in KiB.
available_kib() {
    awk '$3 ~ /^(MemFree|Active\(file\)|Inactive\(file\)|SReclaimable):$/ { sum += $4 } END { print sum + 0 }' \
        "$(node_dir "$1")/meminfo"
}

# Free memory of a node in blocks of at least a page, in KiB. The kernel lists blocks up to 4 MiB,
# so for 1 GiB pages this is an upper bound.
whole_blocks_kib() {
    awk -v node="$1," -v base="$(($(getconf PAGESIZE) / 1024))" -v page="$((page_kib > 4096 ? 4096 : page_kib))" '
        $2 == node { for (order = 0; order <= NF - 5; order++) {
            block = base * 2 ^ order
            if (block >= page) sum += $(order + 5) * block } }
        END { printf "%d\n", sum }' "$root/proc/buddyinfo"
}

# mounts_of PAGE_KIB [SOURCE]: where hugetlbfs of that page size is mounted.
mounts_of() {
    awk -v page="pagesize=$(($1 / 1024))M" -v source="${2:-}" '
        $3 == "hugetlbfs" && (source == "" || $1 == source) {
            n = split($4, option, ",")
            for (i = 1; i <= n; i++) if (option[i] == page) print $2 }' "$root/proc/mounts"
}

# ---- checks -----------------------------------------------------------------

need_page_size() {
    local way_out="the kernel was built without hugetlbfs; pass --no-huge to DPDK"
    ((page_kib != kib_per_gib)) || way_out="the processor or the kernel lacks them; leave out --1g"
    [[ -d $root/sys/kernel/mm/hugepages/hugepages-${page_kib}kB ]] ||
        fail "this machine has no hugepages of $page_name ($way_out)"
    [[ -n $(all_nodes) ]] || fail "no NUMA node is listed under /sys/devices/system/node: is /sys mounted?"
    [[ -z $only_node || -d $(node_dir "$only_node") ]] ||
        fail "there is no node $only_node; nodes here: $(all_nodes | paste -sd ' ')"
}

need_writable() {
    [[ ! -w $(page_dir "$1")/nr_hugepages ]] || return 0
    [[ $EUID == 0 ]] || fail "this needs root: sudo ./hugepages.sh $arguments"
    fail "/sys is read-only here (a container?): reserve the pages on the host, or pass --no-huge to DPDK"
}

# ---- arguments and words ----------------------------------------------------

# Sets command, size_kib (empty when not given), only_node (empty: every node), page_kib, page_name.
parse_arguments() {
    arguments=$*
    command=$1 size_kib='' only_node=''
    choose_page 2048
    shift
    while (($# > 0)); do
        case $1 in
            --node)
                [[ ${2:-} =~ ^[0-9]+$ ]] || usage_error "--node needs a number, not '${2:-}'"
                only_node=$((10#$2))
                shift
                ;;
            --1g) choose_page "$kib_per_gib" ;;
            -h | --help) usage && exit 0 ;;
            -*) usage_error "'$1' is no option of $command" ;;
            *) parse_size "$1" ;;
        esac
        shift
    done
}

parse_size() {
    [[ -z $size_kib ]] || usage_error "SIZE is given twice: '$1'"
    [[ $1 =~ ^([1-9][0-9]{0,6})([MG])$ ]] || usage_error "'$1' is no SIZE: a number with M or G, such as 512M"
    size_kib=$((BASH_REMATCH[1] * 1024))
    [[ ${BASH_REMATCH[2]} == M ]] || size_kib=$((size_kib * 1024))
}

choose_page() {
    page_kib=$1
    page_name="2 MiB"
    [[ $1 != "$kib_per_gib" ]] || page_name="1 GiB"
}

human() {
    if (($1 >= kib_per_gib)); then
        awk -v kib="$1" 'BEGIN { printf "%.4g GiB\n", kib / 1048576 }'
    else
        echo "$(($1 / 1024)) MiB"
    fi
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }
say() { echo "$*"; }
complain() { echo "hugepages.sh: $*" >&2; return 1; }
fail() { complain "$@" || exit 1; }
usage_error() { complain "$*; see ./hugepages.sh --help" || exit 2; }

main "$@"
