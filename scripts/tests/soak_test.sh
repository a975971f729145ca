#!/usr/bin/env bash
# scripts/soak: its arguments, half a minute of it with a test for each check, what its judge finds in runs
# that go wrong, and what is left behind after Ctrl-C.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

soak=$scripts/soak
log=$(mktemp)
trap 'rm -f "$log"' EXIT

test_usage_errors() {
    expect 2 "$soak"
    output_has "say for how many minutes"
    expect 2 "$soak" forever
    expect 2 "$soak" 0.1
    output_has "too short"
    expect 2 "$soak" 1 --bots none
    output_has "--bots needs a number"
    expect 2 "$soak" 1 --lcores 0
    output_has "--lcores needs a number"
    expect 2 "$soak" 1 --session soon
    expect 2 "$soak" 1 --check-loss much
    output_has "--check-loss needs a percentage"
    expect 2 "$soak" 1 --quietly
    output_has "'--quietly' is no option"
}

test_soak_succeeds() { same 0 "$soak_status"; }
test_it_was_watched_to_the_end() { check "it was watched to the end"; }
test_memory_is_flat() { check "memory is flat"; }
test_it_never_stands_still() { check "it never stands still"; }
test_every_buffer_is_back() { check "every buffer is back"; }
test_every_packet_is_explained() { check "every packet is explained"; }
test_players_come_and_go() { check "players come and go"; }
test_players_come_back_with_their_token() { check "players come back with their token"; }
test_the_bots_find_nothing_wrong() { check "the bots find nothing wrong"; }
test_the_last_line_counts() { same "8 passed, 0 failed" "$(tail -n 1 "$log")"; }

test_a_good_run_is_judged_good() {
    good_run
    expect 0 judged
    output_has "8 passed, 0 failed"
}

test_memory_that_grows_is_found() {
    good_run
    awk '{ $2 += 100 * NR; print }' "$scratch/samples" >"$scratch/grown"
    mv "$scratch/grown" "$scratch/samples"
    expect 1 judged
    output_has "FAILED  memory is flat: 1200 KiB more"
    output_has "7 passed, 1 failed"
}

test_a_run_that_nobody_watched_to_the_end_is_found() {
    good_run
    sed -i '18,$d' "$scratch/samples"
    expect 1 judged
    output_has "FAILED  it was watched to the end: the last look after 32 of 38 s"
    output_has "7 passed, 1 failed"
    : >"$scratch/samples"
    expect 1 judged
    output_has "the last look after 0 of 38 s"
}

test_a_server_that_stands_still_is_found() {
    good_run
    sed -i '10s/ [0-9]* [0-9]* / 90 90 /' "$scratch/samples"
    expect 1 judged
    output_has "FAILED  it never stands still"
}

test_lost_buffers_and_packets_are_found() {
    good_run
    sed -i 's/"pools_balanced": true, "balanced": true/"pools_balanced": false, "balanced": false/' "$scratch/game.json"
    expect 1 judged
    output_has "FAILED  every buffer is back"
    output_has "FAILED  every packet is explained"
}

test_players_that_never_leave_are_found() {
    good_run
    sed -i 's/"left": 500, "timed_out"/"left": 400, "timed_out"/' "$scratch/game.json"
    expect 1 judged
    output_has "FAILED  players come and go: 500 came, 400 left, 0 were silent, 100 stayed"
}

test_players_that_never_come_back_are_found() {
    good_run
    sed -i 's/"rejoined": 40, "renumbered"/"rejoined": 0, "renumbered"/' "$scratch/bots.json"
    expect 1 judged
    output_has "FAILED  players come back with their token: 0 came back from another address"
    output_has "7 passed, 1 failed"
}

test_what_bots_find_is_told() {
    good_run
    sed -i 's/"violations": \[\]/"violations": ["3 positions are wrong"]/' "$scratch/bots.json"
    expect 1 judged
    output_has "FAILED  the bots find nothing wrong: 3 positions are wrong"
}

test_a_missing_program_is_said() {
    CARGO_TARGET_DIR=$scratch expect 1 "$soak" 1 --no-build
    output_has "is not built"
}

test_a_server_that_fails_shows_its_log() {
    mkdir -p "$scratch/release"
    printf '#!/bin/sh\necho "error: broken on purpose"\nexit 1\n' >"$scratch/release/gannet"
    chmod -R a+rx "$scratch"
    CARGO_TARGET_DIR=$scratch expect 1 "$soak" 1 --no-build
    output_has "| error: broken on purpose"
    output_has "ended before it was ready"
}

test_ctrl_c_leaves_nothing_behind() {
    local pid status=0
    mkdir "$scratch/tmp"
    TMPDIR=$scratch/tmp env --default-signal=INT "$soak" 1 --no-build >"$scratch/log" 2>&1 &
    pid=$!
    until [[ -s $(echo "$scratch"/tmp/*/samples) ]]; do
        kill -0 "$pid" || { cat "$scratch/log"; exit 1; }
        sleep 0.1
    done
    kill -INT "$pid"
    wait "$pid" || status=$?
    same 130 "$status"
    same "" "$(ls "$scratch/tmp")"
    same "" "$(ip netns list 2>/dev/null | grep "^gannet-$pid-")"
    same "" "$(pgrep -fa "$scratch/[t]mp")" # server and bots are given files there
}

# Files of a run that went well: 20 looks in 38 s.
good_run() {
    local look
    for ((look = 0; look < 20; look++)); do
        echo "$((look * 2)).0 9000 $((look * 1000)) $((look * 2000)) $((look * 20)) $((look * 19)) $((look * 900))"
    done >"$scratch/samples"
    cat >"$scratch/game.json" <<'JSON'
{ "pools_balanced": true, "balanced": true, "totals": { "received": 20000, "sent": 40000 },
  "ports": [ { "pools": [ { "name": "pool", "free": 8, "size": 8 } ] } ],
  "game": { "events": { "joined": 500, "left": 500, "timed_out": 0, "forsaken": 0, "rejoined": 40 } } }
JSON
    cat >"$scratch/bots.json" <<'JSON'
{ "pools_balanced": true, "balanced": true,
  "bots": { "joined": 500, "left": 500, "left_unheard": 0, "unfinished": 0, "violations": [],
            "rejoined": 40, "renumbered": 0, "moves": 20000, "updates": 18000, "updates_lost": 0 } }
JSON
}

judged() { "$soak.py" judge "$scratch/samples" "$scratch/game.json" "$scratch/bots.json" --growth 1024 --seconds 38; }

# check NAME: it is in the log, and holds.
check() {
    grep -q "^ok      $1: " "$log" || { echo "no good line '$1'"; cat "$log"; exit 1; }
}

soak_status=0
# Other programs run beside it.
"$soak" 0.5 --bots 100 --check-loss 1 </dev/null 2>&1 | tee "$log" || soak_status=$?
run_tests
