#!/usr/bin/env python3
"""One row of the demo's table, from the client's report and the engine's.

    row.py NAME client.json [engine.json]

Prints NAME, sent, answered, p50, p99, max and the counters' balance with tabs between them. A client
that is the engine's own lab carries "balanced" itself. Exit: 0 all answered and balanced, 1 not so.
"""

import json
import sys


def main(name, client_file, engine_file=None):
    client = load(client_file)
    problems = unanswered(client)
    problems += unbalanced(load(engine_file)) if engine_file else []
    if not engine_file and client.get("balanced") is False:
        problems.append("counters do not add up")
    times = ["-" if client.get(key) is None else "%.1f" % client[key] for key in ("p50_us", "p99_us", "max_us")]
    verdict = "FAILED: " + ", ".join(problems) if problems else "balanced"
    print(name, client["sent"], client["answered"], *times, verdict, sep="\t")
    return 1 if problems else 0


def unanswered(client):
    missing = client["sent"] - client["answered"]
    problems = ["%d not answered" % missing] if missing else []
    return problems + ["%d %s" % (client[key], key) for key in ("wrong", "duplicates", "refused") if client.get(key)]


def unbalanced(engine):
    balance = engine["balance"]
    problems = ["%s %+d unexplained" % (way, balance[way + "_unexplained"])
                for way in ("rx", "tx") if balance[way + "_unexplained"]]
    for port in engine["ports"]:
        problems += ["pool %s holds %d of %d" % (pool["name"], pool["free"], pool["size"])
                     for pool in port["pools"] if pool["free"] != pool["size"]]
    if not problems and not engine["balanced"]:
        problems.append("the engine says that it is not balanced")
    return problems


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, ValueError, KeyError) as error:
        sys.exit("row.py: %s in %s" % (error, " ".join(sys.argv[2:])))
