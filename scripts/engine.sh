# shellcheck shell=bash
# An engine in the background: started, waited for until it is ready, and stopped. Sourced, not run,
# behind lib.sh, by scripts that have $work, and $row for the name of what runs.
#
# $log is what the engine says, $engine_json its report, $problem what went wrong.

# shellcheck disable=SC2034 # $problem is for the scripts that source this
# start COMMAND…: starts an engine and waits for its "ready" line.
start() {
    local tries
    engine_json=$work/$row.engine.json
    "$@" --json "$engine_json" >"$log" 2>&1 </dev/null &
    engine=$!
    for ((tries = 0; tries < 150; tries++)); do
        ! grep -q '^ready: ' "$log" || return 0
        kill -0 "$engine" 2>/dev/null || { problem="the engine ended before it was ready"; return 1; }
        sleep 0.1
    done
    problem="the engine was not ready after 15 s"
    return 1
}

# Stops the engine as a user would; more than a second or two, or another status than 0, is a failure.
stop_engine() {
    local tries status=0
    kill -TERM "$engine" 2>/dev/null || true
    for ((tries = 0; tries < 30; tries++)); do
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.1
    done
    ! kill -0 "$engine" 2>/dev/null || { problem="the engine did not stop within 3 s of SIGTERM"; return 1; }
    wait "$engine" || status=$?
    engine=
    ((status == 0)) || { problem="the engine ended with status $status"; return 1; }
}

# Whatever became of a row, no engine is left.
end_engine() {
    [[ -n ${engine:-} ]] || return 0
    kill -KILL "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    engine=
}

# Runs a command so that a signal to this script is heard at once, not after the command.
waiting() {
    local status=0
    "$@" </dev/null &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}
