# shellcheck shell=bash
# A small test runner for scripts: sourced by scripts/tests/*_test.sh, which define functions test_*
# and end with run_tests. It prints what `cargo test` prints, so that one reader sums up both.

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the test files
scripts=$(dirname "$tests") top=$(dirname "$(dirname "$tests")")

# Runs every function test_*, each in a subshell with a scratch directory $scratch of its own.
run_tests() {
    local name output status scratch passed=0 failed=()
    printf '\nrunning %s\n' "${0##*/}"
    for name in $(declare -F | sed -n 's/^declare -f \(test_\)/\1/p'); do
        scratch=$(mktemp -d)
        # Not "|| status=$?": that would take errexit away from the test too.
        set +e
        output=$(exec 2>&1; set -euo pipefail; "$name")
        status=$?
        set -e
        rm -rf "$scratch"
        if ((status == 0)); then
            passed=$((passed + 1))
            printf 'test %s ... ok\n' "$name"
            grep '^skipped: ' <<<"$output" || true
        else
            failed+=("$name")
            printf 'test %s ... FAILED\n%s\n' "$name" "$output"
        fi
    done
    printf '\ntest result: %s. %d passed; %d failed; 0 ignored\n' \
        "$( ((${#failed[@]} == 0)) && echo ok || echo FAILED)" "$passed" "${#failed[@]}"
    ((${#failed[@]} == 0))
}

# skip REASON: ends a test that the machine gives no right for; with CI=true that is a failure.
skip() {
    echo "skipped: ${FUNCNAME[1]}: $*"
    [[ ${CI:-} != true ]] || exit 1
    exit 0
}

# expect STATUS COMMAND…: runs a command and keeps its output, both streams, in $output.
expect() {
    local want=$1 got=0
    shift
    output=$("$@" 2>&1) || got=$?
    [[ $got == "$want" ]] || { echo "status $got instead of $want: $*"; echo "$output"; exit 1; }
}

# The last output has this text in it.
output_has() {
    [[ $output == *"$1"* ]] || { echo "no '$1' in:"; echo "$output"; exit 1; }
}

# same WANT GOT
same() {
    [[ $1 == "$2" ]] || { echo "wanted '$1', got '$2'"; exit 1; }
}
