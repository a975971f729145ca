#!/usr/bin/env bash
# `gannet echo` and the tools of a network engineer: ping, arping, ndisc6, traceroute, nmap, hping3,
# scapy and tcpreplay, and duplicate address detection by the kernel. After each the program still
# answers, stops on SIGTERM and has explained every packet. All in two namespaces.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
# shellcheck source=../lib.sh
. "$scripts/lib.sh"

near=gannet-$$-near far=gannet-$$-far
ours=10.77.0.1 ours6=fd00::1
gannet=${CARGO_TARGET_DIR:-$top/target}/debug/gannet

# ---- ping ------------------------------------------------------------------------

test_ping_ipv4_of_every_size() {
    needs ping
    start
    pings "$ours" $(seq 0 32 1472) 1471 1472
    stop
}

test_ping_ipv6_of_every_size() {
    needs ping
    start
    pings "$ours6" $(seq 0 32 1452) 1451 1452
    stop
}

test_ping_in_fragments() {
    needs ping
    start --fragments reassemble
    pings "$ours" 1473 1480 2952 2953 8000 $(seq 10000 11111 65000) 65506 65507
    pings "$ours6" 1453 2900 8000 $(seq 10000 11111 65000) 65506 65507
    stop
    counted reassembled
}

test_ping_in_fragments_gets_nothing_where_they_are_dropped() {
    needs ping
    start
    expect 1 client ping -c 2 -i 0.2 -W 1 -s 1473 "$ours"
    expect 1 client ping -c 2 -i 0.2 -W 1 -s 1453 "$ours6"
    stop
    same 8 "$(counter fragment)"
}

test_ping_of_groups_gets_nothing() {
    needs ping
    start
    expect 1 client ping -b -c 3 -i 0.2 -W 1 10.77.0.255
    expect 1 client ping -b -c 3 -i 0.2 -W 1 255.255.255.255 -I far0
    expect 1 client ping -c 3 -i 0.2 -W 1 224.0.0.1 -I far0
    expect 1 client ping -L -c 3 -i 0.2 -W 1 ff02::1%far0
    stop
    # Those of the end.
    same 2 "$(counter echo_answered)"
    counted group_ip
}

# ---- whose address it is ------------------------------------------------------------

test_arping_gets_one_answer() {
    needs arping
    start
    expect 0 client arping -c 3 -W 0.2 -i far0 "$ours"
    output_has "3 packets received"
    # One of two stations with our address would make it exit with 1.
    expect 0 client arping -d -c 3 -W 0.2 -i far0 "$ours"
    output_has "3 packets transmitted, 3 packets received"
    # As a host asks that has no address yet (RFC 5227).
    expect 0 client arping -0 -c 1 -i far0 "$ours"
    expect 1 client arping -c 2 -W 0.2 -i far0 10.77.0.99
    stop
    counted arp_answered
}

test_ndisc6_finds_our_mac() {
    needs ndisc6
    start
    expect 0 client ndisc6 -q -1 "$ours6" far0
    same "$mac" "${output,,}"
    expect 2 client ndisc6 -q -1 -w 500 -r 1 fd00::99 far0
    stop
    counted ndp_answered
}

test_the_kernel_finds_our_address_taken() {
    start
    client ip addr add "$ours6/64" dev far0
    until_shown 5 dadfailed client ip -6 addr show dev far0
    client ip addr del "$ours6/64" dev far0
    stop
}

# The other way round: the address that the kernel has is not used, and the other one is.
test_we_find_the_kernels_address_taken() {
    needs ping
    announce=yes start --ip fd00::2/64
    sleep 1.5
    pings "$ours6" 100
    stop
    same 1 "$(counter duplicate_address)"
    # The other one, and that of the link alone.
    same 2 "$(counter ndp_announced)"
}

# ---- looking for us -----------------------------------------------------------------

test_traceroute_takes_one_hop() {
    needs traceroute
    start
    local to way
    for to in "$ours" "$ours6"; do
        # To closed UDP ports, one after the other; by echo requests; to the port that is open.
        for way in "" -I "-U -p 7"; do
            # shellcheck disable=SC2086 # words
            expect 0 client traceroute -n -m 5 -N 3 -q 3 -w 1 $way "$to"
            same "1 $to" "$(sed 1d <<<"$output" | awk '{ print $1, $2 }')"
            [[ $output != *'*'* && $output != *'!'* ]] || fail "$output"
        done
    done
    stop
    counted icmp_error_sent
}

test_nmap_tells_open_from_closed() {
    needs nmap
    start --udp-port 5000
    local ports family
    for family in "$ours" "-6 $ours6"; do
        # shellcheck disable=SC2086 # words
        expect 0 client nmap -sU -n -Pn --reason --max-retries 2 --host-timeout 20s -p 7,9,5000,5001 $family
        ports=$(awk '/^[0-9]+\/udp/ { print $1, $2 }' <<<"$output")
        # nmap sends nothing that a service on 5000 would answer for sure, but an empty datagram.
        [[ $ports =~ ^"7/udp open"('|filtered')?$'\n9/udp closed\n5000/udp open'('|filtered')?$'\n5001/udp closed'$ ]] ||
            fail "$output"
        output_has "port-unreach"
    done
    stop
}

test_hping3_gets_what_a_host_gives() {
    needs hping3
    start
    hping_gets "3 packets received" --udp -p 7 -d 100
    hping_gets "Port Unreachable" --udp -p 9
    hping_gets "3 packets received" --icmp -d 1000
    hping_gets "Protocol Unreachable" --rawip --ipproto 200 -d 20
    # Timestamps and netmasks are nobody's business; a reflector's port, a wrong checksum, fragments and
    # our own address as the source are dropped.
    hping_gets nothing --icmp --icmptype 13
    hping_gets nothing --icmp --icmptype 17
    hping_gets nothing --udp -p 7 -s 19 -k
    hping_gets nothing --udp -p 7 -d 100 --badcksum
    hping_gets nothing --udp -p 7 -d 100 --frag
    hping_gets nothing --udp -p 7 --spoof "$ours"
    stop
    counted reflector_port fragment source_ip protocol_unknown udp_port_closed
}

# ---- what is malformed ----------------------------------------------------------------

test_scapy_gets_answers_to_valid_packets_only() {
    needs_scapy
    start
    expect 0 client python3 - "$mac" <<'PYTHON'
import random, sys
from scapy.all import *

random.seed(7)
conf.verb = 0
link = Ether(dst=sys.argv[1], src=get_if_hwaddr("far0"))
v4, v6 = IP(src="10.77.0.2", dst="10.77.0.1"), IPv6(src="fd00::2", dst="fd00::1")
udp = UDP(sport=4660, dport=7) / b"scapy"


def answer(packet):
    # Not srp1, which finds no answer to a packet with extension headers that has none itself.
    heard = AsyncSniffer(iface="far0", count=1, timeout=2, lfilter=lambda frame: frame.src == sys.argv[1])
    heard.start()
    time.sleep(0.2)
    sendp(link / packet, iface="far0")
    heard.join()
    return heard.results[0] if heard.results else None


options = IP(src=v4.src, dst=v4.dst, options=[IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"])])
headers = v6 / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]) / IPv6ExtHdrDestOpt()
for valid in v4 / udp, v6 / udp, options / udp, headers / udp, v4 / ICMP() / b"x", v6 / ICMPv6EchoRequest():
    assert answer(valid), valid.summary()
reply = answer(options / udp)
assert reply[IP].options == [] and raw(reply[UDP].payload)[:5] == b"scapy", reply.summary()
reply = answer(headers / udp)
assert reply[IPv6].nh == 17 and raw(reply[UDP].payload)[:5] == b"scapy", reply.summary()
invalid = [
    IP(src=v4.src, dst=v4.dst, ihl=4) / udp,
    IP(src=v4.src, dst=v4.dst, ihl=15) / udp,
    IP(src=v4.src, dst=v4.dst, version=5) / udp,
    IP(src=v4.src, dst=v4.dst, len=2000) / udp,
    IP(src=v4.src, dst=v4.dst, chksum=1) / udp,
    v4 / UDP(sport=4660, dport=7, len=7) / b"scapy",
    v4 / UDP(sport=4660, dport=7, len=200) / b"scapy",
    v4 / UDP(sport=4660, dport=7, chksum=1) / b"scapy",
    v4 / UDP(sport=0, dport=7) / b"scapy",
    IP(src="127.0.0.1", dst=v4.dst) / udp,
    IP(src="224.0.0.1", dst=v4.dst) / udp,
    IP(src="240.0.0.1", dst=v4.dst) / udp,
    IP(src="0.0.0.0", dst=v4.dst) / udp,
    v6 / UDP(sport=4660, dport=7, chksum=0) / b"scapy",
    IPv6(src=v6.src, dst=v6.dst, plen=2000) / udp,
    v6 / IPv6ExtHdrRouting(type=0, addresses=["fd00::3"]) / udp,
    IPv6(src="ff02::1", dst=v6.dst) / udp,
    IPv6(src="::1", dst=v6.dst) / udp,
    IPv6(src="::ffff:10.77.0.2", dst=v6.dst) / udp,
]
heard = AsyncSniffer(iface="far0", lfilter=lambda frame: frame.src == sys.argv[1])
heard.start()
time.sleep(0.3)
sendp([link / packet for packet in invalid], iface="far0")
time.sleep(0.3)
sendp([link / fuzz(v4 / UDP(dport=9)) for _ in range(100)], iface="far0")
sendp([link / fuzz(IPv6(dst=v6.dst) / UDP(dport=9)) for _ in range(100)], iface="far0")
sendp([link / fuzz(v4 / ICMP()) for _ in range(100)], iface="far0")
sendp([link / fuzz(ARP()) for _ in range(100)], iface="far0")
time.sleep(0.3)
# An error about a packet has the packet in it.
echoes = [frame for frame in heard.stop() if isinstance(frame.payload.payload, UDP)]
assert not echoes, echoes
PYTHON
    stop
    counted ipv4_malformed ipv4_checksum ipv6_malformed ipv6_routing_header udp_malformed udp_checksum source_port source_ip
}

test_tcpreplay_of_a_malformed_capture() {
    needs tcpreplay
    needs_scapy
    [[ -z $lacking ]] || skip "$lacking"
    local frames policy
    frames=$("$tests/malformed_pcap.py" "$scratch/malformed.pcap" "$mac" "$(mac_of "$far" far0)")
    ((frames > 3000)) || fail "$frames frames"
    for policy in drop reassemble; do
        start --fragments "$policy"
        expect 0 client tcpreplay -q -i far0 --pps 5000 "$scratch/malformed.pcap"
        output_has "Successful packets:        $frames"
        stop
        (($(counter received) >= frames)) || fail "$(cat "$scratch/report.json")"
        counted runt not_our_mac source_mac ether_type_unknown vlan_not_ours arp_malformed ipv4_malformed ipv4_checksum \
            ipv6_malformed ipv6_extension ipv6_routing_header not_our_ip protocol_unknown icmp_malformed udp_malformed \
            udp_checksum ndp_malformed
    done
}

# ---- the program ------------------------------------------------------------------------

# start [ARGUMENT…]: the echo in its namespace; it ends with the test. $announce=yes lets it announce itself.
start() {
    [[ -z $lacking ]] || skip_test "$lacking"
    local announce=${announce:-no} cpu
    cpu=$(allowed_cpus | tail -n 1)
    [[ $announce == yes ]] || set -- --no-announce "$@"
    rm -f "$scratch/report.json"
    # Not in_namespace, whose process would be a shell: signals are for the program itself.
    ip netns exec "$near" "$gannet" echo -l "$cpu" -- --io af_packet:near0 --ip $ours/24 --ip $ours6/64 --udp-port 7 \
        --json "$scratch/report.json" "$@" >"$scratch/log" 2>&1 &
    engine=$!
    trap 'kill -KILL $engine 2>/dev/null || true' EXIT
    until_shown 10 "ready: " cat "$scratch/log"
}

# It still answers, ends well, and every packet is explained.
stop() {
    local status=0
    client ping -q -c 1 -W 2 "$ours" >/dev/null || fail "no answer any more: $(cat "$scratch/log")"
    client ping -q -c 1 -W 2 "$ours6" >/dev/null || fail "no answer any more over IPv6: $(cat "$scratch/log")"
    kill -TERM "$engine"
    wait "$engine" || status=$?
    [[ $status == 0 ]] || fail "status $status: $(cat "$scratch/log")"
    same "True True" "$(report '"%s %s" % (r["balanced"], r["pools_balanced"])')"
}

report() { python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$scratch/report.json" "$1"; }
counter() { report "r['totals']['$1']"; }

# Each of these counters has counted something.
counted() {
    local name
    for name in "$@"; do
        (($(counter "$name") > 0)) || fail "$name is 0: $(cat "$scratch/report.json")"
    done
}

# ---- the client -------------------------------------------------------------------------

client() { in_namespace "$far" "$@"; }

# pings ADDRESS SIZE…: each is answered with the same bytes.
pings() {
    local to=$1 size
    shift
    for size in "$@"; do
        expect 0 client ping -c 1 -W 2 -s "$size" "$to"
        [[ $output != *wrong* ]] || fail "$output"
        output_has "$((size + 8)) bytes from $to"
    done
}

# hping_gets TEXT|nothing ARGUMENT…: what three packets get.
hping_gets() {
    local text=$1 status=0
    shift
    [[ $text != nothing ]] || { text="0 packets received" status=1; }
    expect "$status" client timeout 10 hping3 -n -c 3 -i u20000 -I far0 "$@" "$ours"
    output_has "$text"
}

# until_shown SECONDS TEXT COMMAND…: waits until a command prints that.
until_shown() {
    local deadline=$((SECONDS + $1)) text=$2
    shift 2
    until output=$("$@" 2>&1) && [[ $output == *"$text"* ]]; do
        ((SECONDS <= deadline)) || fail "no '$text': $output"
        sleep 0.05
    done
}

mac_of() { in_namespace "$1" cat "/sys/class/net/$2/address"; }

# ---- what it takes ------------------------------------------------------------------------

needs() {
    have "$1" || skip_test "$1 is not installed"
}

needs_scapy() {
    python3 -c 'import scapy' 2>/dev/null || skip_test "scapy is not installed"
}

# skip of the harness, which names its caller, one call away.
skip_test() {
    echo "skipped: ${FUNCNAME[2]}: $*"
    [[ ${CI:-} != true ]] || exit 1
    exit 0
}

prepare() {
    lacking=$(namespaces_missing)
    [[ -n $lacking || -e /proc/sys/net/ipv6 ]] || lacking="this kernel has no IPv6"
    [[ -z $lacking ]] || return 0
    (need_cargo && cd "$top" && cargo build --quiet --no-default-features --bin gannet)
    trap 'remove_namespace "$near"; remove_namespace "$far"' EXIT
    make_namespace "$near"
    make_namespace "$far"
    join_namespaces "$near" near0 "$far" far0
    client ip addr add 10.77.0.2/24 dev far0
    client sh -c 'echo 0 >/proc/sys/net/ipv6/conf/far0/disable_ipv6'
    client ip addr add fd00::2/64 dev far0 nodad
    mac=$(mac_of "$near" near0)
}

prepare
run_tests
