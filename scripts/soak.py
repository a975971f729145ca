#!/usr/bin/env python3
"""What scripts/soak sees of the server, and what it makes of it.

    soak.py watch PID URL SECONDS                       prints a line each so many seconds, until it is ended
    soak.py judge SAMPLES game.json bots.json --growth KIB --seconds N

A line is the seconds since the start, the resident memory in KiB, and the counters received, sent, joined,
left and updates. "judge" is told how long the run was, and prints each check and at the end "N passed, N failed". Exit: 0 all passed, 1 not so.
"""

import json
import sys
import time
import urllib.request

METRICS = {
    "received": "gannet_rx_packets_total",
    "sent": "gannet_tx_packets_total",
    "joined": "gannet_game_joined_total",
    "left": "gannet_game_left_total",
    "updates": "gannet_game_updates_total",
}
# Samples that a line can be drawn through.
FEWEST = 4
# The part of the run behind which the last sample has to be.
WATCHED = 0.9


# ---- watching ------------------------------------------------------------------------------

def watch(pid, url, every):
    begin = time.monotonic()
    while True:
        counters = read_metrics(url)
        print("%.1f" % (time.monotonic() - begin), resident(pid), *(counters[name] for name in METRICS), flush=True)
        time.sleep(every)


def resident(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def read_metrics(url):
    """The sum of each counter over its labels."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    sums = dict.fromkeys(METRICS, 0)
    for line in lines:
        for name, metric in METRICS.items():
            if line.startswith((metric + "{", metric + " ")):
                sums[name] += int(float(line.rsplit(" ", 1)[1]))
    return sums


# ---- judging -------------------------------------------------------------------------------

def judge(samples_file, game_file, bots_file, growth, seconds):
    samples = read_samples(samples_file)
    game, bots = load(game_file), load(bots_file)
    checks = [
        to_the_end(samples, seconds),
        memory(samples, growth),
        goes_on(samples),
        ("every buffer is back", game["pools_balanced"] and bots["pools_balanced"], pools(game)),
        ("every packet is explained", game["balanced"] and bots["balanced"], "received %d, sent %d" % (
            game["totals"]["received"], game["totals"]["sent"])),
        comings_and_goings(game["game"]["events"], bots["bots"]),
        returns(game["game"]["events"], bots["bots"]),
        ("the bots find nothing wrong", not bots["bots"]["violations"] and bots["bots"]["joined"] > 0,
         "; ".join(bots["bots"]["violations"]) or "%d moves, %d updates, %d lost" % (
             bots["bots"]["moves"], bots["bots"]["updates"], bots["bots"]["updates_lost"])),
    ]
    for name, holds, figures in checks:
        print("%s  %s: %s" % ("ok    " if holds else "FAILED", name, figures))
    failed = sum(not holds for _, holds, _ in checks)
    print("%d passed, %d failed" % (len(checks) - failed, failed))
    return 1 if failed else 0


def to_the_end(samples, seconds):
    """Nothing is known of what nobody looked at."""
    last = samples[-1][0] if samples else 0
    return "it was watched to the end", last >= WATCHED * seconds, "the last look after %.0f of %.0f s" % (last, seconds)


def memory(samples, growth):
    """A line through the samples behind the first third: what it rises by until the end."""
    name = "memory is flat"
    settled = [sample for sample in samples if sample[0] >= samples[-1][0] / 3] if samples else []
    if len(settled) < FEWEST:
        return name, False, "%d samples are too few" % len(settled)
    times, sizes = [s[0] for s in settled], [s[1] for s in settled]
    risen = slope(times, sizes) * (times[-1] - times[0])
    figures = "%.0f KiB more after %.0f s, %d at most, %d may; %d samples" % (
        risen, times[-1] - times[0], max(sizes), growth, len(settled))
    return name, risen <= growth, figures


def slope(times, sizes):
    """Of the line with the least squares."""
    middle, mean = sum(times) / len(times), sum(sizes) / len(sizes)
    above = sum((time - middle) * (size - mean) for time, size in zip(times, sizes))
    return above / max(sum((time - middle) ** 2 for time in times), 1e-9)


def goes_on(samples):
    """Between each two looks packets came, went, and updates were sent. At the first the bots were not
    there yet, at the last they may have left."""
    counters = [sample[2:4] + sample[6:7] for sample in samples[1:-1]]
    stalls = sum(any(now <= before for before, now in zip(*pair)) for pair in zip(counters, counters[1:]))
    return "it never stands still", len(counters) > 1 and stalls == 0, "%d of %d looks found nothing new" % (
        stalls, len(counters))


def comings_and_goings(events, bots):
    """Who came has left, or was silent for too long, or was there at the end."""
    there = events["joined"] - events["left"] - events["timed_out"] - events["forsaken"]
    again = bots["joined"] > bots["left"] / 2 and bots["left"] > 0
    figures = "%d came, %d left, %d were silent, %d stayed" % (
        events["joined"], events["left"], events["timed_out"], there)
    return "players come and go", again and 0 <= there <= bots["left_unheard"] + bots["unfinished"], figures


def returns(events, bots):
    """Who changes its address is the same player there; the bots have looked at that."""
    figures = "%d came back from another address, %d by the server; %d under another number" % (
        bots["rejoined"], events["rejoined"], bots["renumbered"])
    return "players come back with their token", 0 < bots["rejoined"] <= events["rejoined"], figures


def pools(game):
    return ", ".join("%s %d of %d" % (pool["name"], pool["free"], pool["size"])
                     for port in game["ports"] for pool in port["pools"])


def read_samples(path):
    with open(path, encoding="ascii") as file:
        return [[float(word) for word in line.split()] for line in file if line.endswith("\n")]


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main(what, *words):
    if what == "watch":
        pid, url, every = words
        return watch(int(pid), url, float(every))
    samples, game, bots, _, growth, _, seconds = words
    return judge(samples, game, bots, float(growth), float(seconds))


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, ValueError, KeyError) as error:
        sys.exit("soak.py: %r" % error)
