#!/usr/bin/env bash
# gannet bench and scripts/bench: their arguments, a short run of every lab as a smoke test, what is
# written down of it, and what is left behind. Nothing is asserted about how fast anything is.
set -euo pipefail
# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
# shellcheck source=../lib.sh
. "$scripts/lib.sh"

target=${CARGO_TARGET_DIR:-$top/target}
gannet=$target/debug/gannet
features=()
[[ -z $(dpdk_missing) ]] || features=(--no-default-features)
(cd "$top" && cargo build --quiet "${features[@]}")

test_usage_errors() {
    expect 2 "$gannet" bench --pairs 0
    expect 2 "$gannet" bench --seconds 0
    output_has "give a number of seconds"
    expect 2 "$gannet" bench nowhere
    output_has "ring, memif, veth, kernel, scale, micro"
    expect 1 "$gannet" bench micro --json /nonexistent/x.json
    output_has "name a file in a folder that is there"
    expect 2 "$scripts/bench" --pairs
    output_has "--pairs needs a number"
    expect 2 "$scripts/bench" --quietly
    CARGO_TARGET_DIR=$scratch expect 1 "$scripts/bench" --no-build
    output_has "is not built"
}

test_lab_ring() { lab ring; }
test_lab_memif() { lab memif; }
test_lab_veth() { lab veth; }
test_lab_kernel() { lab kernel; }
test_lab_scale() { lab scale; }
test_lab_micro() { lab micro; }

# lab NAME: runs it for a moment and looks at what it wrote. What it had to leave out for want of
# CPUs is no skip of the test: there is no machine that has the right number for everything.
lab() {
    local reasons
    expect 0 measured "$1"
    reasons=$(python3 - "$scratch/out.json" "$1" <<'PYTHON'
import json, math, sys

report = json.load(open(sys.argv[1]))
[lab] = report["labs"]
assert lab["name"] == sys.argv[2], lab["name"]
for key in ("cpu", "cores", "tsc_hz", "kernel", "dpdk", "governor", "hypervisor"):
    assert key in report["machine"], key
assert not lab["failed"], lab["failed"]
for row in lab["rows"]:
    assert row["subject"] and row["unit"] and row["case"], row
    assert 0 < row["p25"] <= row["median"] <= row["p75"] and math.isfinite(row["p75"]), row
for ratio in lab["ratios"] + report["noise"]:
    assert ratio["of"] and ratio["to"] and ratio["median"] > 0 and math.isfinite(ratio["median"]), ratio
reasons = sorted({left["reason"] for left in lab["skipped"] if "want" not in left["reason"]})
assert lab["rows"] or reasons, lab
print("; ".join(reasons))
PYTHON
    ) || { echo "$reasons"; echo "$output"; exit 1; }
    python3 -c 'import sys, xml.dom.minidom as dom; dom.parse(sys.argv[1])' "$scratch/out.svg"
    [[ -z $reasons ]] || skip "$1: $reasons"
}

# measured LAB: its end is no failure where all of it had to be skipped.
measured() {
    "$gannet" bench "$1" --pairs 1 --seconds 0.3 --json "$scratch/out.json" --svg "$scratch/out.svg" \
        --markdown "$scratch/out.md" || { ! grep -q '^- FAILED' "$scratch/out.md" && grep -q '^- skipped' "$scratch/out.md"; }
}

test_strict_fails_on_a_skip() {
    PATH=$scratch expect 1 "$gannet" bench veth --pairs 1 --seconds 0.05 --strict
    output_has "- skipped: the whole lab: the program ip"
}

test_tables_go_between_the_markers() {
    mkdir -p "$scratch/release" "$scratch/docs"
    cat >"$scratch/release/gannet" <<'SH'
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        --json | --svg) echo new >"$2" ;;
        --markdown) printf '| a table |\n' >"$2" ;;
    esac
    shift
done
SH
    chmod +x "$scratch/release/gannet"
    printf 'above\n<!-- tables: scripts/bench writes them -->\nold\n<!-- end of the tables -->\nbelow\n' \
        >"$scratch/docs/performance.md"
    CARGO_TARGET_DIR=$scratch GANNET_BENCH_RESULTS=$scratch/docs expect 0 "$scripts/bench" --no-build
    same "above <!-- tables: scripts/bench writes them -->  | a table |  <!-- end of the tables --> below" \
        "$(tr '\n' ' ' <"$scratch/docs/performance.md" | sed 's/ $//')"
    same new "$(cat "$scratch/docs/performance.json")"
}

test_nothing_is_left_behind() {
    if have ip && ip netns list 2>/dev/null | grep -q '^gb[0-9]*n'; then
        echo "a network namespace is left:" && ip netns list && exit 1
    fi
    ! compgen -G "${TMPDIR:-/tmp}/gb*n*" >/dev/null || { echo "a folder is left: ${TMPDIR:-/tmp}/gb*"; exit 1; }
}

run_tests
