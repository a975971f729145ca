#!/usr/bin/env python3
"""A kernel UDP echo for the tests of udp_client.py: prints its port, then echoes until it is stopped.

    udp_echo.py [ADDRESS [FAULT]]

FAULT, on every tenth datagram: "lose" it, answer it "twice", or "spoil" its last byte.
"""

import socket
import sys


def main(address="127.0.0.1", fault="none"):
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 0))
    print(server.getsockname()[1], flush=True)
    count = 0
    while True:
        data, peer = server.recvfrom(65536)
        count += 1
        tenth = count % 10 == 0
        if tenth and fault == "spoil":
            data = data[:-1] + bytes([data[-1] ^ 1])
        for _ in range({"lose": 0, "twice": 2}.get(fault, 1) if tenth else 1):
            server.sendto(data, peer)


if __name__ == "__main__":
    main(*sys.argv[1:])
