#!/usr/bin/env bash
# scripts/demo: its arguments, the demo itself with fewer datagrams and a test for each row, that of the
# game with fewer bots and seconds, an engine that fails, and what is left behind after Ctrl-C.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

demo=$scripts/demo
table=$(mktemp)
trap 'rm -f "$table"' EXIT

test_usage_errors() {
    expect 2 "$demo" --count
    output_has "--count needs a number"
    expect 2 "$demo" --rate fast
    expect 2 "$demo" --quietly
    output_has "'--quietly' is no option"
    expect 2 "$demo" game --seconds soon
    output_has "--seconds needs a number"
    expect 2 "$demo" game --count 5
    output_has "'--count' is no option of this demo"
    expect 2 "$demo" --bots 5
    expect 2 "$demo" game --check-loss much
    output_has "--check-loss needs a percentage"
    expect 2 "$demo" --check-loss 1
    output_has "'--check-loss' is no option of this demo"
}

test_demo_succeeds() { same 0 "$demo_status"; }
test_row_dpdk_net_tap() { row "dpdk net_tap"; }
test_row_dpdk_net_af_packet() { row "dpdk net_af_packet"; }
test_row_af_packet() { row "af_packet"; }
test_row_socket() { row "socket"; }
test_row_dpdk_net_tap_ipv6() { row "dpdk net_tap IPv6"; }
test_row_af_packet_ipv6() { row "af_packet IPv6"; }
test_row_dpdk_net_ring() { row "dpdk net_ring"; }
test_row_dpdk_net_pcap() { row "dpdk net_pcap"; }
test_row_memory() { row "memory"; }

test_the_game_has_a_table() {
    ! grep -q '^  .*namespace' "$table" || skip "no network namespaces here"
    expect 0 "$demo" game --no-build --bots 60 --seconds 3 --check-loss 1 # other programs run beside it
    output_has "60 bots play for 3 s"
    output_has "checks: all hold, every packet is explained"
    echo "$output" >"$scratch/table"
    grep -Eq '^players joined +60 +60$' "$scratch/table"
    grep -Eq '^moves acknowledged +[1-9][0-9,]+ +[1-9][0-9,]+$' "$scratch/table"
    grep -Eq '^ack round trip p99.9, ms +[0-9.]+$' "$scratch/table"
    grep -Eq '^tick end late p99.9, ms +[0-9.]+ *$' "$scratch/table"
}

test_a_game_whose_checks_fail_is_a_failure() {
    echo '{ "balanced": true, "game": { "events": { "joined": 5 }, "tick_end_lateness_ns": null } }' >"$scratch/game"
    python3 - "$scratch/bots" <<'PYTHON'
import json, sys
zeros = "refused_full refused_address rejoined refused_version refused_otherwise moves acknowledged corrected moves_lost updates entries \
    updates_lost late attacks hits kills chats chats_returned chats_heard left places_agreed".split()
bots = dict.fromkeys(zeros, 0) | {"joined": 5, "violations": ["7 are wrong"], "round_trip_ns": None, "update_age_ns": None}
json.dump({"balanced": False, "bots": bots}, open(sys.argv[1], "w"))
PYTHON
    expect 1 "$scripts/game_table.py" "$scratch/game" "$scratch/bots"
    output_has "checks: 7 are wrong; the counters of the bots do not add up"
}

test_a_missing_program_is_said() {
    CARGO_TARGET_DIR=$scratch expect 1 "$demo" --no-build
    output_has "is not built"
}

test_an_engine_that_fails_shows_its_log() {
    mkdir -p "$scratch/release/examples"
    printf '#!/bin/sh\necho "error: broken on purpose"\nexit 1\n' >"$scratch/release/gannet"
    cp "$scratch/release/gannet" "$scratch/release/examples/lab"
    chmod -R a+rx "$scratch"
    CARGO_TARGET_DIR=$scratch expect 1 "$demo" --no-build --count 10
    output_has "| error: broken on purpose"
    output_has "FAILED: the lab ended with status 1"
}

test_ctrl_c_leaves_nothing_behind() {
    local pid status=0 before
    ! grep -q '^  .*namespace' "$table" || skip "no network namespaces here"
    before=$(reserved_pages)
    mkdir "$scratch/tmp"
    TMPDIR=$scratch/tmp env --default-signal=INT "$demo" --no-build --count 100000 >"$scratch/log" 2>&1 &
    pid=$!
    until grep -q '^  [a-z]' "$scratch/log"; do
        kill -0 "$pid" || { cat "$scratch/log"; exit 1; }
        sleep 0.1
    done
    sleep 1
    kill -INT "$pid"
    wait "$pid" || status=$?
    same 130 "$status"
    same "" "$(ls "$scratch/tmp")"
    same "" "$(ip netns list | grep "^gannet-$pid-")"
    same "" "$(pgrep -fa "$scratch/[t]mp")" # engine and client are given files there
    same "$before" "$(reserved_pages)"
}

reserved_pages() { cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages 2>/dev/null || true; }

# row NAME: the row is in the table and balanced, or among the missing with a reason.
row() {
    local reason
    reason=$(sed -n "s/^  $1: //p" "$table")
    [[ -z $reason ]] || skip_row "$reason"
    grep -Eq "^$1 +500 +500 .*balanced$" "$table" || { echo "no good row '$1'"; exit 1; }
}

skip_row() {
    echo "skipped: ${FUNCNAME[2]}: $1"
    [[ ${CI:-} != true ]] || exit 1
    exit 0
}

demo_status=0
"$demo" --count 500 </dev/null 2>&1 | tee "$table" || demo_status=$?
run_tests
