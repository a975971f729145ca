# shellcheck shell=bash
# The game and its players. Sourced, not run, behind lib.sh and engine.sh, by scripts that have $program,
# $work, $engine_cpu and $client_cpu, and where there are namespaces $engine_space, $client_space, and
# veth0 and veth1 between them; where not, the players come by the kernel's sockets on loopback.

# The rings hold what comes while a processor does something else for a few hundred milliseconds. Many bots
# are behind one address, which the server would take for an attack.
game_guards=(--guard 'rate=off,global-rate=off' --seats-per-address 0)

# What --check-loss takes.
# shellcheck disable=SC2034 # for the scripts
percentage='^[0-9]{1,2}(\.[0-9]{1,3})?$'

# The option for lcores: those that are on named CPUs have one of their own.
lcores_option() {
    if [[ $1 == *@* ]]; then echo --lcores; else echo -l; fi
}

# start_game ARGUMENTS…: starts the server and waits until it is ready.
start_game() {
    row=game log=$work/game.log
    : >"$log"
    if [[ -n ${engine_space:-} ]]; then
        start ip netns exec "$engine_space" "$program" game "$(lcores_option "$engine_cpu")" "$engine_cpu" -- \
            --io af_packet:veth0 --rxd 4096 --ip 10.77.0.1/24 "${game_guards[@]}" "$@"
    else
        start "$program" game "$(lcores_option "$engine_cpu")" "$engine_cpu" -- \
            --io socket --ip 127.0.0.1 --udp-port 28080 "${game_guards[@]}" "$@"
    fi
}

# play ARGUMENTS…: has bots play until they end; they fight and talk more than people do, and each changes its
# address every now and then.
play() {
    local status=0 lively=(--attacks 0.2 --chats 0.02 --rejoins 0.05)
    bots_json=$work/bots.json
    if [[ -n ${engine_space:-} ]]; then
        waiting ip netns exec "$client_space" "$program" bots -l "$client_cpu" -- \
            --io af_packet:veth1 --rxd 4096 --ip 10.77.0.3/24 --to 10.77.0.1:8080 \
            "${lively[@]}" "$@" --json "$bots_json" >"$work/game-bots.log" 2>&1 || status=$?
    else
        # Each port of each bot is a socket.
        ulimit -Sn "$(ulimit -Hn)"
        waiting "$program" bots -l "$client_cpu" -- \
            --io socket --ip 127.0.0.1 --to 127.0.0.1:28080 --source-port 28081 \
            "${lively[@]}" "$@" --json "$bots_json" >"$work/game-bots.log" 2>&1 || status=$?
    fi
    # What the checks found is in the report.
    [[ -s $bots_json ]] || { problem="the bots ended with status $status and no report"; return 1; }
}
