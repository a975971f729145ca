#!/usr/bin/env python3
"""What an interface receives: each frame as a line of hex digits, until it is stopped.

    listen.py INTERFACE

The first line is "listening". An interface that goes down is waited for.
"""

import socket
import sys

ETH_P_ALL, PACKET_OUTGOING = 3, 4


def main(interface):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.bind((interface, 0))
    print("listening", flush=True)
    while True:
        try:
            frame, address = wire.recvfrom(2048)
        except OSError:
            continue  # it is said once that the interface is down
        if address[2] != PACKET_OUTGOING:
            print(frame.hex(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
