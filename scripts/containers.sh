# shellcheck shell=bash
# What the tests in containers share: a Docker engine, a base image, building and leaving nothing behind.
# Sourced behind lib.sh and tests/harness.sh, not run. The sourcing script sets $tag, which begins the name
# of everything of its own, and $work, a folder.

# Debian's image, or what base_image made in its place.
base=debian:bookworm-slim
mirror=http://deb.debian.org/debian
# Why no container runs here; nothing while they do.
obstacle=''
had_bridge=no

# An engine: the one that answers, or one of our own. Status 1, with $obstacle set, where there is none.
start_containers() {
    [[ $EUID == 0 ]] || { obstacle="containers need root"; return 1; }
    have docker && have dockerd || install_packages docker.io iptables || true
    have docker || { obstacle="Docker is not installed"; return 1; }
    docker info >/dev/null 2>&1 || start_engine || { obstacle="no Docker engine starts here"; return 1; }
}

start_engine() {
    have dockerd || return 1
    [[ ! -e /sys/class/net/docker0 ]] || had_bridge=yes
    mkdir "$work/engine"
    export DOCKER_HOST=unix://$work/engine/socket
    dockerd --host "$DOCKER_HOST" --data-root "$work/engine/data" --exec-root "$work/engine/run" \
        --pidfile "$work/engine/pid" --iptables=false --ip-forward=false --ip-masq=false >"$work/engine/log" 2>&1 &
    for _ in {1..100}; do
        ! docker info >/dev/null 2>&1 || return 0
        sleep 0.2
    done
    tail -n 5 "$work/engine/log"
    return 1
}

# The base image: from the registry, or of Debian's packages. Status 1, with $obstacle set, without one.
base_image() {
    local tar=${CARGO_TARGET_DIR:-$top/target}/docker-base.tar
    ! docker image inspect "$base" >/dev/null 2>&1 || return 0
    ! timeout 20 docker pull -q "$base" >/dev/null 2>&1 || return 0
    base=$tag-base
    [[ -e $tar ]] || bootstrap "$tar" ||
        { obstacle="no base image: no registry can be reached, and debootstrap failed"; return 1; }
    docker import "$tar" "$base" >/dev/null
}

bootstrap() {
    say "no registry can be reached: making the base image with debootstrap"
    install_packages debootstrap || return 1
    debootstrap --variant=minbase --include=ca-certificates bookworm "$work/base" "$mirror" >"$work/debootstrap" ||
        { tail -n 5 "$work/debootstrap"; return 1; }
    tar -C "$work/base" --exclude "./var/cache/apt/*.bin" --exclude "./var/cache/apt/archives/*.deb" \
        --exclude "./var/lib/apt/lists/*" -cf "$1.new" .
    mv "$1.new" "$1"
}

# build_image CONTEXT STAGE IMAGE
build_image() {
    docker build --quiet --network host --build-arg "DEBIAN=$base" --target "$2" -t "$3" "$1" \
        >"$work/build" 2>&1 || { cat "$work/build"; fail "the image of the stage '$2' was not built"; }
    say "image $2: $(docker image inspect -f '{{.Size}}' "$3" | awk '{ printf "%d MB", $1 / 1e6 }')"
}

# Skips the test that calls it where there are no containers.
need_containers() {
    [[ -z $obstacle ]] || skip_caller "$obstacle"
}

# As the harness's `skip`, for the test that this was called from, by way of whatever functions.
skip_caller() {
    echo "skipped: $(printf '%s\n' "${FUNCNAME[@]}" | grep -m 1 '^test_'): $*"
    [[ ${CI:-} != true ]] || exit 1
    exit 0
}

# end_containers IMAGE…: everything of this script's is gone, and the engine if it is ours.
end_containers() {
    local containers
    if docker info >/dev/null 2>&1; then
        mapfile -t containers < <(docker ps -aq --filter "name=$tag")
        ((${#containers[@]} == 0)) || docker rm -f "${containers[@]}" >/dev/null
        docker rmi -f "$@" "$tag-base" >/dev/null 2>&1 || true
    fi
    if [[ -e $work/engine/pid ]]; then
        kill "$(<"$work/engine/pid")"
        wait || true
        umount "$work"/engine/run/netns/* 2>/dev/null || true
        [[ $had_bridge == yes ]] || ip link del docker0 2>/dev/null || true
    fi
}
