#!/usr/bin/env python3
"""A client in a VLAN, by raw frames: a kernel need not have VLAN devices to run it.

    vlan_client.py INTERFACE MAC VLAN

Asks for 10.77.0.1 by ARP and sends it a datagram, both tagged and both from 10.77.0.2, and checks
that the answers have the tag, too. A request in another VLAN before them must not be answered.
Exit: 0 all of that came, 1 not so.
"""

import socket
import struct
import sys
import time

OURS, THEIRS = socket.inet_aton("10.77.0.2"), socket.inet_aton("10.77.0.1")
SOL_PACKET, PACKET_AUXDATA, ETH_P_ALL = 263, 8, 3
DATAGRAM = struct.pack("!HHHH", 40000, 7, 8 + 5, 0) + b"hello"  # with no checksum, which is allowed


def main(interface, mac, vlan):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.bind((interface, 0))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    engine, own, vlan = bytes.fromhex(mac.replace(":", "")), wire.getsockname()[4], int(vlan)
    request = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, own, OURS, bytes(6), THEIRS)
    wire.send(tagged(b"\xff" * 6, own, vlan + 1, 0x0806, request))
    wire.send(tagged(b"\xff" * 6, own, vlan, 0x0806, request))
    reply = receive(wire, engine, vlan)
    assert reply[12:14] == b"\x08\x06" and reply[20:22] == b"\0\2", reply.hex()
    assert (reply[22:28], reply[28:32]) == (engine, THEIRS), reply.hex()
    wire.send(tagged(engine, own, vlan, 0x0800, ipv4(DATAGRAM)))
    answer = receive(wire, engine, vlan)
    assert answer[12:14] == b"\x08\x00" and answer[26:34] == THEIRS + OURS, answer.hex()
    assert answer[34:38] == struct.pack("!HH", 7, 40000) and answer[42:47] == b"hello", answer.hex()


def tagged(to, own, vlan, ether_type, rest):
    return to + own + struct.pack("!HHH", 0x8100, vlan, ether_type) + rest


def ipv4(datagram):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0, OURS, THEIRS)
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:] + datagram


def receive(wire, engine, vlan):
    """The next frame from the engine, without the tag that the kernel keeps beside it."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        wire.settimeout(deadline - time.monotonic())
        frame, ancillary, _, _ = wire.recvmsg(2048, 256)
        if frame[6:12] == engine:
            tags = [struct.unpack("=IIIHHHH", data)[5] & 0xFFF for _, _, data in ancillary]
            assert tags == [vlan], "in VLAN %s" % tags
            return frame
    sys.exit("vlan_client.py: no answer")


if __name__ == "__main__":
    main(*sys.argv[1:])
