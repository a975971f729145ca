#!/usr/bin/env python3
"""One table of a game: what the server counts and what its bots do.

    game_table.py game.json bots.json

Exit: 0 the bots' checks hold and both sides' counters explain every packet, 1 not so.
"""

import json
import sys


def main(game_file, bots_file):
    game, bots = load(game_file), load(bots_file)
    rows = table(game["game"]["events"], game["game"], bots["bots"])
    print("%-30s %14s %14s" % ("", "server", "bots"))
    for name, server, client in rows:
        print("%-30s %14s %14s" % (name, text(server), text(client)))
    problems = list(bots["bots"]["violations"])
    problems += ["the counters of the %s do not add up" % who
                 for who, report in (("server", game), ("bots", bots)) if not report["balanced"]]
    if bots["bots"]["joined"] == 0 and not problems:
        problems.append("nobody could join")
    print("checks: " + ("; ".join(problems) if problems else "all hold, every packet is explained"))
    return 1 if problems else 0


def table(events, game, bots):
    def event(name):
        return events.get(name)

    rows = [
        ("players joined", event("joined"), bots["joined"]),
        ("players refused", event("refused"),
         bots["refused_full"] + bots["refused_address"] + bots["refused_version"] + bots["refused_otherwise"]),
        ("came back from elsewhere", event("rejoined"), bots["rejoined"]),
        ("moves", (event("moved") or 0) + (event("corrected") or 0), bots["moves"]),
        ("moves acknowledged", event("moved"), bots["acknowledged"]),
        ("moves corrected", event("corrected"), bots["corrected"]),
        ("moves without an answer", None, bots["moves_lost"]),
        ("updates", event("updates"), bots["updates"]),
        ("positions in updates", event("update_entries"), bots["entries"]),
        ("updates lost", None, bots["updates_lost"]),
        ("positions late", None, bots["late"]),
        ("attacks", event("attacked"), bots["attacks"]),
        ("hits", event("hit"), bots["hits"]),
        ("kills", event("killed"), bots["kills"]),
        ("lines said", event("said"), bots["chats"]),
        ("lines heard", event("told"), bots["chats_returned"] + bots["chats_heard"]),
        ("players left", event("left"), bots["left"]),
        ("places that agree", None, bots["places_agreed"]),
    ]
    rows += times("ack round trip %s, ms", bots["round_trip_ns"], False, ("p50", "p99", "p999", "max"))
    rows += times("update age %s, ms", bots["update_age_ns"], False, ("p50", "p99", "max"))
    rows += times("tick end late %s, ms", game["tick_end_lateness_ns"], True, ("p50", "p99", "p99_9", "max"))
    return rows


def times(name, nanos, is_server, points):
    found = [(name % point.replace("_", ".").replace("p999", "p99.9"), "%.3f" % (nanos[point] / 1e6))
             for point in points if nanos]
    return [(label, value, None) if is_server else (label, None, value) for label, value in found]


def text(value):
    return "" if value is None else "{:,}".format(value) if isinstance(value, int) else value


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, ValueError, KeyError) as error:
        sys.exit("game_table.py: %r in %s" % (error, " ".join(sys.argv[1:])))
