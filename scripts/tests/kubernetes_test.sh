#!/usr/bin/env bash
# Checks the manifests of docker/kubernetes against the schemas that Kubernetes publishes, which the Python
# package kubernetes-validate carries, and their command lines against what is tested elsewhere.
set -euo pipefail

# shellcheck source=harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
# shellcheck source=../lib.sh
. "$scripts/lib.sh"

validator=kubernetes-validate==1.37.0
# The oldest and the newest of Kubernetes that are looked at.
versions=(1.28 1.37)
manifests=$top/docker/kubernetes
home=${CARGO_TARGET_DIR:-$top/target}/kubernetes-validate

test_the_manifests_are_what_kubernetes_takes() {
    need_validator
    local version
    for version in "${versions[@]}"; do
        expect 0 validate "$version" "$manifests"/*.yaml
        echo "$output"
    done
}

test_a_misspelt_field_is_refused() {
    need_validator
    local manifest wrong=$scratch/wrong.yaml
    for manifest in "$manifests"/*.yaml; do
        sed 's/readOnlyRootFilesystem:/readOnlyRootFileSystem:/' "$manifest" >"$wrong"
        expect 1 validate "${versions[0]}" "$wrong"
        output_has readOnlyRootFileSystem
        sed 's/^  containers:/  container:/' "$manifest" >"$wrong"
        expect 1 validate "${versions[0]}" "$wrong"
    done
}

test_the_tap_runs_what_the_compose_file_runs() {
    need_validator
    "$home/bin/python" - "$manifests/tap.yaml" "$top/docker/compose.yaml" <<'END'
import re, shlex, sys, yaml
pod, compose = (yaml.safe_load(open(path)) for path in sys.argv[1:])
tested = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", compose["services"]["echo"]["command"])
echo, client = pod["spec"]["containers"]
assert echo["args"] == shlex.split(tested), echo["args"]
assert echo["securityContext"]["capabilities"]["add"] == compose["services"]["echo"]["cap_add"]
assert client["command"][2].startswith("try "), client["command"]
END
}

test_the_card_and_the_cpus_reach_the_arguments() {
    need_validator
    need_cargo
    local line
    line=$("$home/bin/python" -c 'import sys, yaml
container, = yaml.safe_load(open(sys.argv[1]))["spec"]["containers"]
assert "intel.com/sriov_vfio" in container["resources"]["limits"]
print(container["args"][0])' "$manifests/sriov.yaml")
    # A program that says how it was called.
    mkdir "$scratch/bin"
    # shellcheck disable=SC2016 # for the inner shell
    printf '#!/bin/sh\necho "$*"\n' >"$scratch/bin/gannet"
    chmod +x "$scratch/bin/gannet"
    export PCIDEVICE_INTEL_COM_SRIOV_VFIO=0000:77:02.1 ADDRESS=10.77.0.1/24
    expect 0 env PATH="$scratch/bin:$PATH" sh -c "$line"
    same "echo -l $(cpu_list) --in-memory -a 0000:77:02.1 -- --ip 10.77.0.1/24 --udp-port 7 --metrics 0.0.0.0:9464" "$output"
    # And one that reads it: it lacks the card, and nothing is misspelt.
    cargo build --quiet --bin gannet --manifest-path "$top/Cargo.toml"
    # shellcheck disable=SC2086 # words
    expect 1 "${CARGO_TARGET_DIR:-$top/target}/debug/gannet" doctor $output
    output_has 0000:77:02.1
}

cpu_list() { sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status; }

validate() {
    local version=$1
    shift
    "$home/bin/kubernetes-validate" --strict -k "$version" "$@"
}

# The validator, in a folder of its own, kept for the next time.
need_validator() {
    ! "$home/bin/kubernetes-validate" --help >/dev/null 2>&1 || return 0
    local python
    for python in python3 /usr/bin/python3; do
        # Not by a link, which may be a test's own and gone the next time.
        python=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))') || continue
        rm -rf "$home"
        if "$python" -m venv "$home" && "$home/bin/pip" install --quiet "$validator"; then
            return 0
        fi
    done
    rm -rf "$home"
    echo "skipped: ${FUNCNAME[1]}: $validator is not to be had (python3-venv, and a package index)"
    [[ ${CI:-} != true ]] || exit 1
    exit 0
}

run_tests
