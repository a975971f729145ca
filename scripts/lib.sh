# shellcheck shell=bash
# What the scripts share: words, root and packages, CPUs, network namespaces. Sourced, not run.

# ---- words -------------------------------------------------------------------

say() { echo "$*"; }
complain() { echo "${0##*/}: $*" >&2; }
fail() { complain "$@"; exit 1; }
usage_error() { complain "$*; see $0 --help"; exit 2; }

# A heading with the seconds since the script started, so that a reader of a log knows where it is.
heading() { printf '\n==== %s  [%d s]\n' "$*" "$SECONDS"; }

# The comment at the top of the script, which is its help.
usage() { sed -n '2,/^[^#]/{/^#/{s/^# \{0,1\}//;p}}' "$0"; }

have() { command -v "$1" >/dev/null 2>&1; }

# ---- root and packages -------------------------------------------------------

# Root, or able to become it: sudo may ask for a password only where somebody can type one.
can_be_root() {
    [[ $EUID == 0 ]] && return 0
    have sudo || return 1
    [[ -t 0 ]] || sudo -n true 2>/dev/null
}

as_root() {
    if [[ $EUID == 0 ]]; then
        "$@"
    else
        sudo "$@"
    fi
}

missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
    done
}

# Installs what is missing of the named Debian packages, saying what. Status 1, with the reason, where
# that cannot be done: the caller decides what goes without.
install_packages() {
    local missing
    have dpkg-query || {
        complain "this is no Debian or Ubuntu; install the equivalents of: $*"
        return 1
    }
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]} > 0)) || return 0
    can_be_root || {
        complain "no root to install what is missing; run: sudo apt-get install --no-install-recommends ${missing[*]}"
        return 1
    }
    say "installing with apt-get, as root: ${missing[*]}"
    if ! apt_get update || ! apt_get install -y --no-install-recommends "${missing[@]}"; then
        complain "apt-get could not install: ${missing[*]}"
        return 1
    fi
}

# Its errors are shown, and not the many lines of a package that is unpacked.
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null >/dev/null
}

# ---- the build ---------------------------------------------------------------

# What a build with DPDK needs: its headers and libraries, and libclang for bindgen.
# shellcheck disable=SC2034 # for the scripts that source this
dpdk_packages=(libdpdk-dev libclang-dev pkg-config gcc libc6-dev)

# Why the build has to go without DPDK; nothing when it need not.
dpdk_missing() {
    if ! have pkg-config; then
        echo "pkg-config is not installed"
    elif ! pkg-config --atleast-version=22.11 libdpdk; then
        echo "DPDK 22.11 or newer is not installed (libdpdk-dev)"
    elif ! libclang_found; then
        echo "libclang is not installed (libclang-dev)"
    fi
}

libclang_found() {
    [[ -n ${LIBCLANG_PATH:-} ]] || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null ||
        compgen -G '/usr/lib*/libclang*.so*' >/dev/null || compgen -G '/usr/lib/*/libclang*.so*' >/dev/null
}

need_cargo() {
    have cargo || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    have cargo || fail "cargo is not on PATH: install Rust (rustup), then open a new shell"
}

# ---- CPUs --------------------------------------------------------------------

# The CPUs that this process may run on, one a line.
allowed_cpus() {
    local range
    for range in $(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status | tr , ' '); do
        seq "${range%-*}" "${range#*-}"
    done
}

# ---- network namespaces ------------------------------------------------------

# Why no namespaces of our own can be made here; nothing when they can.
namespaces_missing() {
    local probe=gannet-probe-$$ reason
    if ! have ip; then
        echo "the ip command is not installed (iproute2)"
    elif [[ $EUID != 0 ]]; then
        echo "network namespaces need root"
    elif reason=$(ip netns add "$probe" 2>&1 && ip -n "$probe" link add gprobe0 type veth peer name gprobe1 2>&1); then
        ip netns del "$probe"
    else
        ip netns del "$probe" 2>/dev/null || true
        echo "no right to make a network namespace with a veth pair ($(head -n 1 <<<"$reason"))"
    fi
}

# A namespace where the kernel forwards nothing and sends nothing of its own accord (IPv6 discovery).
make_namespace() {
    ip netns add "$1"
    # shellcheck disable=SC2016 # for the inner shell
    in_namespace "$1" sh -c '
        echo 0 >/proc/sys/net/ipv4/ip_forward
        for conf in all default lo; do
            [ ! -e "/proc/sys/net/ipv6/conf/$conf" ] || echo 1 >"/proc/sys/net/ipv6/conf/$conf/disable_ipv6"
        done'
    ip -n "$1" link set lo up
}

# speak_ipv6 NAMESPACE INTERFACE: has its kernel speak IPv6 there, and ask for no routers.
speak_ipv6() {
    # shellcheck disable=SC2016 # for the inner shell
    in_namespace "$1" sh -c '
        cd "/proc/sys/net/ipv6/conf/$1" && echo 0 >accept_ra && echo 0 >router_solicitations && echo 0 >disable_ipv6' sh "$2"
}

# Removes a namespace and ends what still runs in it.
remove_namespace() {
    local pid
    for pid in $(ip netns pids "$1" 2>/dev/null); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    ip netns del "$1" 2>/dev/null || true
}

# join_namespaces A INTERFACE_A B INTERFACE_B: a veth pair, up, with transmit checksums left to "the
# device" as by default.
join_namespaces() {
    ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
    ip -n "$1" link set "$2" up
    ip -n "$3" link set "$4" up
}

in_namespace() {
    local name=$1
    shift
    ip netns exec "$name" "$@"
}
