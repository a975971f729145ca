#!/usr/bin/env python3
"""Writes the file `copyright` of a package: Gannet's licence, and those of every crate that is linked into
the program, with their texts.

    licences.py PROGRAM-PACKAGE

Reads `cargo metadata` of the working directory, and the texts from cargo's copies of the crates.
"""

import collections
import json
import pathlib
import subprocess
import sys

# Debian has this text on every machine, and asks not to repeat it.
APACHE = "Version 2.0, January 2004"
COMMON = "The Apache License, Version 2.0, is in /usr/share/common-licenses/Apache-2.0."
NAMES = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


def main():
    metadata = cargo_metadata()
    packages = {package["id"]: package for package in metadata["packages"]}
    linked = sorted((packages[each] for each in linked_from(metadata, packages, sys.argv[1])),
                    key=lambda package: (package["name"], package["version"]))
    own = [package for package in linked if package["source"] is None]
    others = [package for package in linked if package["source"] is not None]
    unlicensed = [package["name"] for package in linked if not package["license"]]
    if unlicensed:
        sys.exit(f"licences.py: no licence is stated by {', '.join(unlicensed)}")
    top = pathlib.Path(metadata["workspace_root"])
    print(f"Gannet is licensed under {own[0]['license']}, as you like.\n")
    print((top / "LICENSE-MIT").read_text().rstrip())
    print(f"\n{COMMON}\n")
    print("The program has in it the standard library of Rust (MIT OR Apache-2.0, The Rust Project Developers)")
    print("and these crates, each under its own licence, whose texts follow:\n")
    for package in others:
        print(f"  {package['name']} {package['version']}: {package['license']}")
    for text, users in texts(others).items():
        print(f"\n{'-' * 72}\n{', '.join(users)}:\n\n{text}")


def cargo_metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform",
               "x86_64-unknown-linux-gnu"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def linked_from(metadata, packages, name):
    """The packages that end in the program: procedural macros and what builds it do not."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [each for each in metadata["workspace_members"] if packages[each]["name"] == name]
    found = set()
    while waiting:
        each = waiting.pop()
        kinds = {kind for target in packages[each]["targets"] for kind in target["kind"]}
        if each in found or "proc-macro" in kinds:
            continue
        found.add(each)
        waiting += [dependency["pkg"] for dependency in nodes[each]["deps"]
                    if any(kind["kind"] is None for kind in dependency["dep_kinds"])]
    return found


def texts(crates):
    """Each text once, with those that have it."""
    users = collections.defaultdict(list)
    for package in crates:
        folder = pathlib.Path(package["manifest_path"]).parent
        files = sorted(file for file in folder.iterdir() if file.is_file() and file.name.upper().startswith(NAMES))
        for file in files:
            text = file.read_text(errors="replace").strip().expandtabs()
            if APACHE in text:
                text = COMMON
            users[text].append(f"{package['name']} {package['version']}")
        if not files:
            users["(no text comes with these: what they state above holds)"].append(package["name"])
    return {text: list(dict.fromkeys(names)) for text, names in users.items()}


main()
