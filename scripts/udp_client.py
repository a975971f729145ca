#!/usr/bin/env python3
"""Sends paced datagrams from a kernel UDP socket to an echo service and checks every answer.

    udp_client.py --to 10.77.0.1:7 --count 4000 --rate 2000 --sizes 1-1472 --json client.json
    udp_client.py --to [fd00::1]:7

A datagram's payload is its number (as many low bytes as fit, at most four) and pseudo-random bytes;
an answer counts when its payload is that of a datagram that waits for one. The report:

    {"to", "sent", "answered", "lost", "duplicates", "wrong", "refused", "seconds", "sizes", "rate",
     "p50_us", "p99_us", "max_us"}

"wrong" are payloads that were never sent, "duplicates" came again, "refused" are ICMP port
unreachable; times are microseconds from just before the send call to just after the receive call.
Exit: 0 every datagram came back once and whole, 1 not so, 2 usage.
"""

import argparse
import json
import math
import random
import select
import socket
import sys
import time

SO_RCVBUFFORCE = 33  # Linux, beyond net.core.rmem_max
RECEIVE_BUFFER = 16 << 20  # bytes


def main():
    options = parse_arguments()
    client = Client(options.to, random.Random(options.seed))
    client.run(datagram_sizes(options), options.rate, options.timeout)
    report = client.report(options)
    text = json.dumps(report)
    print(text)
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            file.write(text + "\n")
    clean = report["lost"] == report["duplicates"] == report["wrong"] == report["refused"] == 0
    return 0 if clean else 1


class Client:
    """A connected socket, the datagrams that wait for an answer, and what came back."""

    def __init__(self, to, rng):
        self.socket = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(to)
        self.socket.setblocking(False)
        make_room(self.socket)
        self.readable = select.poll()
        self.readable.register(self.socket, select.POLLIN)
        self.rng = rng
        self.waiting = {}  # payload -> times of sending, oldest first
        self.finished = set()  # payloads that were answered
        self.round_trips = []  # nanoseconds
        self.sent = self.duplicates = self.wrong = self.refused = 0
        self.seconds = 0.0

    def run(self, sizes, rate, timeout):
        """Sends a datagram of each size, `rate` a second, then waits up to `timeout` seconds for the rest."""
        start = time.perf_counter()
        for number, size in enumerate(sizes):
            self.receive_until(start + number / rate)
            self.send(payload(number, size, self.rng))
        self.receive_until(time.perf_counter() + timeout, stop_when_answered=True)
        self.seconds = time.perf_counter() - start
        self.receive_until(time.perf_counter() + 0.05)  # for duplicates of the last ones

    def send(self, data):
        while True:
            now = time.perf_counter_ns()
            try:
                self.socket.send(data)
            except BlockingIOError:
                self.receive_until(time.perf_counter() + 0.001)
            except ConnectionRefusedError:
                self.refused += 1  # an earlier datagram's; this one was not sent
            else:
                self.sent += 1
                self.waiting.setdefault(data, []).append(now)
                return

    def receive_until(self, deadline, stop_when_answered=False):
        while not (stop_when_answered and not self.waiting):
            left = deadline - time.perf_counter()
            if left <= 0:
                return
            # poll() counts whole milliseconds; a shorter wait is spent asking.
            if self.readable.poll(int(left * 1000)):
                self.receive()

    def receive(self):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            self.refused += 1
            return
        now = time.perf_counter_ns()
        times = self.waiting.get(data)
        if times:
            self.round_trips.append(now - times.pop(0))
            self.finished.add(data)
            if not times:
                del self.waiting[data]
        elif data in self.finished:
            self.duplicates += 1
        else:
            self.wrong += 1

    def report(self, options):
        trips = sorted(self.round_trips)
        return {
            "to": ("[%s]:%d" if ":" in options.to[0] else "%s:%d") % options.to,
            "sent": self.sent,
            "answered": len(trips),
            "lost": self.sent - len(trips),
            "duplicates": self.duplicates,
            "wrong": self.wrong,
            "refused": self.refused,
            "seconds": round(self.seconds, 3),
            "sizes": list(options.sizes),
            "rate": options.rate,
            "p50_us": microseconds(trips, 0.50),
            "p99_us": microseconds(trips, 0.99),
            "max_us": microseconds(trips, 1.0),
        }


def make_room(socket_):
    """Answers that come while this process waits for a CPU are kept, as many as the rights allow."""
    try:
        socket_.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def payload(number, size, rng):
    """`size` bytes that start with the low bytes of `number`."""
    head = number.to_bytes(4, "little")[:size]
    return head + rng.randbytes(size - len(head))


def datagram_sizes(options):
    """The smallest and the largest size first, then sizes between them at random."""
    low, high = options.sizes
    rng = random.Random(options.seed + 1)
    sizes = [low, high] + [rng.randint(low, high) for _ in range(options.count - 2)]
    return sizes[: options.count]


def microseconds(sorted_nanoseconds, share):
    """The value that `share` of the sorted values do not exceed (nearest rank), or None without values."""
    if not sorted_nanoseconds:
        return None
    rank = math.ceil(len(sorted_nanoseconds) * share)
    return round(sorted_nanoseconds[rank - 1] / 1000, 1)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=endpoint, required=True, metavar="ADDR:PORT")
    parser.add_argument("--count", type=positive, default=4000, help="datagrams (4000)")
    parser.add_argument("--rate", type=positive, default=2000, help="datagrams a second (2000)")
    parser.add_argument("--sizes", type=size_range, metavar="LOW-HIGH",
                        help="payload bytes (1-1472, to an IPv6 address 1-1452)")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds to wait after the last one (1)")
    parser.add_argument("--seed", type=int, default=1, help="of sizes and payloads (1)")
    parser.add_argument("--json", metavar="FILE", help="write the report here too")
    options = parser.parse_args()
    # What a packet of 1,500 bytes has room for.
    options.sizes = options.sizes or (1, 1452 if ":" in options.to[0] else 1472)
    return options


def endpoint(text):
    address, _, port = text.rpartition(":")
    is_ipv6 = address.startswith("[") and address.endswith("]")
    address = address[1:-1] if is_ipv6 else address
    try:
        socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, address)
    except OSError:
        bad("'%s' is not ADDR:PORT, or [ADDR]:PORT for IPv6" % text)
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        bad("'%s' has no port from 1 to 65535" % text)
    return address, int(port)


def size_range(text):
    low, _, high = text.partition("-")
    low, high = int(low), int(high or low)
    if not 1 <= low <= high <= 65507:
        bad("sizes are 1 to 65507, the smaller one first, not '%s'" % text)
    return low, high


def positive(text):
    value = int(text)
    return value if value > 0 else bad("'%s' is not above zero" % text)


def bad(message):
    raise argparse.ArgumentTypeError(message)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit("udp_client.py: %s" % error)
    except KeyboardInterrupt:
        sys.exit(130)
