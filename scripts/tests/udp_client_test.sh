#!/usr/bin/env bash
# udp_client.py against a kernel echo that is right, loses, repeats or spoils; udp_pcap.py on its own.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

client=$scripts/udp_client.py

test_every_datagram_of_every_size_comes_back() {
    start_echo none
    expect 0 "$client" --to "127.0.0.1:$port" --count 1000 --rate 5000 --json "$scratch/report.json"
    same "1000 1000 0 0 0 0" "$(counts)"
    same True "$(report 'r["p50_us"] <= r["p99_us"] <= r["max_us"] and r["p50_us"] > 0')"
}

test_ipv6_has_room_for_a_little_less() {
    grep -qs ' lo$' /proc/net/if_inet6 || skip "no IPv6 on the loopback here"
    start_echo none ::1
    expect 0 "$client" --to "[::1]:$port" --count 1000 --rate 5000 --json "$scratch/report.json"
    same "1000 1000 0 0 0 0" "$(counts)"
    same "[::1]:$port [1, 1452]" "$(report 'r["to"] + " " + str(r["sizes"])')"
}

test_lost_datagrams_are_counted() {
    start_echo lose
    expect 1 "$client" --to "127.0.0.1:$port" --count 100 --timeout 0.2 --json "$scratch/report.json"
    same "100 90 10 0 0 0" "$(counts)"
}

test_repeated_answers_are_counted() {
    start_echo twice
    expect 1 "$client" --to "127.0.0.1:$port" --count 100 --json "$scratch/report.json"
    same "100 100 0 10 0 0" "$(counts)"
}

test_spoiled_answers_are_counted() {
    start_echo spoil
    expect 1 "$client" --to "127.0.0.1:$port" --count 100 --timeout 0.2 --json "$scratch/report.json"
    same "100 90 10 0 10 0" "$(counts)"
}

test_a_closed_port_is_seen() {
    start_echo none
    stop_echo
    expect 1 "$client" --to "127.0.0.1:$port" --count 3 --timeout 0.2 --json "$scratch/report.json"
    same True "$(report 'r["answered"] == 0 and r["refused"] > 0')"
}

test_usage_errors() {
    expect 2 "$client"
    expect 2 "$client" --to nowhere
    output_has "'nowhere' is not ADDR:PORT"
    expect 2 "$client" --to ::1:7
    output_has "'::1:7' is not ADDR:PORT, or [ADDR]:PORT for IPv6"
    expect 2 "$client" --to '[127.0.0.1]:7'
    expect 2 "$client" --to '[::1]:0'
    output_has "no port from 1 to 65535"
    expect 2 "$client" --to 127.0.0.1:7 --count 0
    expect 2 "$client" --to 127.0.0.1:7 --sizes 9-1
}

test_pcap_answers_are_checked_byte_by_byte() {
    local pcap=$scripts/udp_pcap.py
    expect 0 "$pcap" make "$scratch/in.pcap" --count 40 --to 10.77.0.1:7 --mac 02:00:00:00:00:01
    expect 1 "$pcap" check "$scratch/in.pcap" "$scratch/in.pcap"
    output_has '"answered": 0, "duplicates": 0, "wrong": 40'
    answer_pcap
    expect 0 "$pcap" check "$scratch/in.pcap" "$scratch/out.pcap"
    output_has '"sent": 40, "answered": 40'
    answer_pcap spoiled
    expect 1 "$pcap" check "$scratch/in.pcap" "$scratch/out.pcap"
    output_has '"answered": 39, "duplicates": 0, "wrong": 1'
}

# Swaps the addresses and ports of in.pcap into out.pcap, which leaves the checksums right; "spoiled"
# changes the first checksum.
answer_pcap() {
    python3 - "$scratch/in.pcap" "$scratch/out.pcap" "$@" <<'PYTHON'
import struct, sys
data = open(sys.argv[1], "rb").read()
out, at = data[:24], 24
while at < len(data):
    size = struct.unpack_from("<I", data, at + 8)[0]
    f = bytearray(data[at + 16 : at + 16 + size])
    f[0:6], f[6:12], f[26:30], f[30:34], f[34:36], f[36:38] = f[6:12], f[0:6], f[30:34], f[26:30], f[36:38], f[34:36]
    if sys.argv[3:] and at == 24:
        f[40] ^= 1
    out += data[at : at + 16] + f
    at += 16 + size
open(sys.argv[2], "wb").write(out)
PYTHON
}

# ---- the echo and the report ---------------------------------------------------

# start_echo FAULT [ADDRESS]: sets $port; the echo ends with the test.
start_echo() {
    "$tests/udp_echo.py" "${2:-127.0.0.1}" "$1" >"$scratch/port" &
    echo_pid=$!
    trap stop_echo EXIT
    until [[ -s $scratch/port ]]; do sleep 0.05; done
    port=$(cat "$scratch/port")
}

stop_echo() {
    kill "$echo_pid" 2>/dev/null || true
    wait "$echo_pid" 2>/dev/null || true
}

report() { python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$scratch/report.json" "$1"; }
counts() { report '"%(sent)d %(answered)d %(lost)d %(duplicates)d %(wrong)d %(refused)d" % r'; }

run_tests
