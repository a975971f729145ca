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
    output_has "ring, memif, veth, kernel, scale, gen, game, idle, micro"
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
test_lab_gen() { lab gen; }
test_lab_game() { lab game; }
test_lab_idle() { lab idle; }
test_lab_micro() { lab micro; }

# lab NAME: runs it for a moment and looks at what it wrote. What it had to leave out for want of
# CPUs is no skip of the test: there is no machine that has the right number for everything.
lab() {
    local reasons
    expect 0 measured "$1"
    reasons=$(python3 - "$scratch/out.json" "$1" "$scratch/out.md" <<'PYTHON'
import json, math, sys

report = json.load(open(sys.argv[1]))
[lab] = report["labs"]
assert lab["name"] == sys.argv[2], lab["name"]
for key in ("cpu", "cores", "tsc_hz", "kernel", "dpdk", "governor", "hypervisor"):
    assert key in report["machine"], key
looks = report["machine"]["jitter"]
assert {look["when"] for look in looks} == {"before", "after"}, looks
for look in looks:
    assert 0 <= look["lost_share"] <= 1 and look["seconds"] > 0 and (look["gaps"] > 0) == (look["longest_us"] > 10), look
assert not lab["failed"], lab["failed"]
for row in lab["rows"]:
    assert row["subject"] and row["unit"] and row["case"], row
    assert row["p25"] <= row["median"] <= row["p75"] and math.isfinite(row["p75"]), row
    assert row["p25"] > 0 or row["p25"] == 0 and row["measure"].startswith(("idle CPU", "lateness", "lost")), row
for ratio in lab["ratios"] + report["noise"]:
    assert ratio["of"] and ratio["to"] and ratio["median"] > 0 and math.isfinite(ratio["median"]), ratio
markdown = open(sys.argv[3]).read()
lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]
number = lambda value: f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 4}f}"
for row in lab["rows"]:
    cells = [row[key] for key in ("case", "subject", "measure", "unit")]
    assert cells + [number(row[key]) for key in ("median", "p25", "p75")] in lines, row
for ratio in lab["ratios"] + report["noise"]:
    cells = [ratio[key] for key in ("case", "of", "to", "measure")]
    assert cells + [f"{ratio[key]:.3f}" for key in ("median", "p25", "p75")] in lines, ratio
for bar in report["bars"]:
    what = f"{bar['lab']}, {bar['case']}: {bar['what']}"
    [said] = [line for line in lines if line[0] == what and line[2] == bar["measure"] and bar["wanted"] == line[3]
              and line[1] == (f"{bar['of']} over {bar['to']}" if bar["to"] else bar["of"])]
    assert said[5] == ("-" if bar["noise"] is None else "{:.3f} to {:.3f}".format(*bar["noise"])), (bar, said)
    no = "NO" + ", within the noise" * bar["is_within_noise"] + ", beyond the machine's jitter" * bar["is_beyond_jitter"]
    assert said[6] == {True: "yes", False: no, None: "-"}[bar["met"]] or bar["missing"] in said[6], (bar, said)
    assert (bar["measured"] is None) == bool(bar["missing"]), bar
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
    printf 'above\n<!-- tables: scripts/bench writes this -->\nold\n<!-- end of the tables -->\nbelow\n' \
        >"$scratch/docs/performance.md"
    CARGO_TARGET_DIR=$scratch GANNET_BENCH_RESULTS=$scratch/docs expect 0 "$scripts/bench" --no-build
    same "above <!-- tables: scripts/bench writes this -->  | a table |  <!-- end of the tables --> below" \
        "$(tr '\n' ' ' <"$scratch/docs/performance.md" | sed 's/ $//')"
    same new "$(cat "$scratch/docs/performance.json")"
}

# A real run, of a lab that needs nothing.
test_a_short_run_writes_all_three_files() {
    mkdir -p "$scratch/release" "$scratch/docs"
    ln -s "$gannet" "$scratch/release/gannet"
    cp "$top/docs/performance.md" "$scratch/docs/"
    CARGO_TARGET_DIR=$scratch GANNET_BENCH_RESULTS=$scratch/docs expect 0 \
        "$scripts/bench" --no-build --write micro --case hash --pairs 2 --seconds 0.05
    output=$(cat "$scratch/docs/performance.md")
    output_has "## How it is measured"
    output_has "Medians of 2 pairs of 0.05 s each"
    output_has "| hash | gannet  | time    | ns   |"
    # A debug build has no hot loop, and that is said.
    output_has "Not shown: "
    [[ $output != *"replaces this paragraph"* ]] || { echo "a paragraph is left: $output"; exit 1; }
    python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["labs"][0]["rows"]' "$scratch/docs/performance.json"
    python3 -c 'import sys, xml.dom.minidom as dom; dom.parse(sys.argv[1])' "$scratch/docs/performance.svg"
}

test_hot_loop_of_a_program_without_one() {
    expect 2 "$scripts/hot_loop.py" one two
    have objdump || skip "objdump is missing"
    expect 1 "$scripts/hot_loop.py" /bin/true
    output_has "has no worker loop of an echo on DPDK"
}

test_instructions_of_a_program_without_the_lab() {
    expect 2 "$scripts/instructions" --no-such-option
    have valgrind || skip "valgrind is missing"
    expect 1 "$scripts/instructions" /bin/true
    output_has "gannet echo, avx2 could not be counted"
}

test_packet_calls_counts_every_way() {
    expect 2 "$scripts/packet_calls" --rounds 0
    expect 2 "$scripts/packet_calls" --seconds 0.0
    [[ $(uname -m) == x86_64 ]] || skip "it counts ticks of an x86-64 processor"
    local missing
    missing=$(namespaces_missing)
    [[ -z $missing ]] || skip "$missing"
    have cc || skip "there is no C compiler"
    [[ $(allowed_cpus | wc -l) -ge 2 ]] || skip "a CPU for each end of the wire is needed"
    expect 0 "$scripts/packet_calls" --rounds 2 --seconds 0.05
    [[ $(grep -Ec '^\| `.*[^0-9][0-9]+ \| [0-9]+ \| [0-9]+ \|$' <<<"$output") == 5 ]] || { echo "$output"; exit 1; }
}

# A loop of the shape that compilers make, entered in its middle, and its calls.
test_hot_loop_finds_the_way_round_and_its_calls() {
    PYTHONPATH=$scripts PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
from hot_loop import Function, loops_over_frames

def looped(side):
    """0 enters at 5; the loop is 2 to 7; 3 goes round 4, which calls."""
    function = Function("f", 0)
    function.code = [(0, "jmp 5", 5, None), (1, "ret", None, None), (2, "pshufb x", None, None),
                     (3, *side), (4, "call g", None, "g"), (5, "nop", None, None), (6, "test", None, None),
                     (7, "jne 2", 2, None), (8, "call h", None, "h"), (9, "ret", None, None)]
    return loops_over_frames(function)

[loop] = looped(("je 5", 5, None))
assert (loop.body, loop.callees, loop.way, loop.calls) == ([2, 3, 4, 5, 6, 7], ["g"], 5, []), vars(loop)
[loop] = looped(("nop", None, None))
assert (loop.callees, loop.way, loop.calls) == (["g"], 6, ["g"]), vars(loop)
PYTHON
}

# That of a release build of this program, if there is one.
test_hot_loop_calls_nothing_for_a_plain_frame() {
    have objdump || skip "objdump is missing"
    if ! grep -q shim_rte_eth_rx_burst "$target/release/gannet" 2>/dev/null; then
        echo "there is no release build with DPDK"
        return
    fi
    expect 0 "$scripts/hot_loop.py" "$target/release/gannet"
    output_has "| loop over frames | bytes | instructions |"
    output_has '| **nothing** |'
    output_has "| the worker's loop, with all that is inlined |"
    output_has "| \`shim_rte_eth_rx_burst\` |"
}

test_nothing_is_left_behind() {
    if have ip && ip netns list 2>/dev/null | grep -q '^gb[0-9]*n'; then
        echo "a network namespace is left:" && ip netns list && exit 1
    fi
    ! compgen -G "${TMPDIR:-/tmp}/gb*n*" >/dev/null || { echo "a folder is left: ${TMPDIR:-/tmp}/gb*"; exit 1; }
}

run_tests
