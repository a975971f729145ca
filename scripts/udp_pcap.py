#!/usr/bin/env python3
"""Writes UDP requests to a pcap file, and counts the right answers to them in another.

    udp_pcap.py make in.pcap --count 4000 --to 10.77.0.1:7 --mac 02:70:63:61:70:00
    udp_pcap.py check in.pcap out.pcap --json client.json

"check" goes by the bytes alone: an answer is right when its Ethernet and IPv4 addresses and UDP ports
are the request's swapped, the payload is the same and both checksums are complete. Its report is
{"sent", "answered", "duplicates", "wrong"}. Exit: 0 every request was answered once, 1 not so, 2 usage.
"""

import argparse
import collections
import json
import random
import socket
import struct
import sys

CLIENT = ("10.77.0.2", 40000, "02:00:00:00:77:02")
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
ETHERNET, IPV4, UDP = 14, 20, 8  # header lengths in bytes


def main():
    options = parse_arguments()
    return options.run(options)


def make(options):
    rng = random.Random(1)
    with open(options.requests, "wb") as file:
        file.write(PCAP_HEADER)
        for number in range(options.count):
            size = (1, 1472)[number] if number < 2 else rng.randint(1, 1472)
            data = number.to_bytes(4, "little")[:size]
            frame = request(options, data + rng.randbytes(size - len(data)))
            file.write(struct.pack("<IIII", 0, number, len(frame), len(frame)) + frame)
    return 0


def check(options):
    wanted = collections.Counter(map(flow_and_payload, frames(options.requests)))
    sent, answered, duplicates, wrong = sum(wanted.values()), 0, 0, 0
    known = set(wanted)
    for frame in frames(options.answers):
        key = swapped(flow_and_payload(frame)) if is_complete(frame) else None
        if wanted[key] > 0:
            wanted[key] -= 1
            answered += 1
        elif key in known:
            duplicates += 1
        else:
            wrong += 1
    text = json.dumps({"sent": sent, "answered": answered, "duplicates": duplicates, "wrong": wrong})
    print(text)
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            file.write(text + "\n")
    return 0 if (answered, duplicates, wrong) == (sent, 0, 0) else 1


# ---- frames ------------------------------------------------------------------


def request(options, data):
    """An Ethernet frame from CLIENT, padded to the 60 bytes that a wire carries at least."""
    address, port = options.to
    source, target = socket.inet_aton(CLIENT[0]), socket.inet_aton(address)
    length = UDP + len(data)
    udp = struct.pack("!HHHH", CLIENT[1], port, length, 0) + data
    udp = udp[:6] + struct.pack("!H", internet_checksum(pseudo_header(source, target, length) + udp) or 0xFFFF) + udp[8:]
    ipv4 = struct.pack("!BBHHHBBH4s4s", 0x45, 0, IPV4 + length, 0, 0x4000, 64, 17, 0, source, target)
    ipv4 = ipv4[:10] + struct.pack("!H", internet_checksum(ipv4)) + ipv4[12:]
    return (mac(options.mac) + mac(CLIENT[2]) + b"\x08\x00" + ipv4 + udp).ljust(60, b"\0")


def flow_and_payload(frame):
    """(target MAC, source MAC, source, target, source port, target port, payload) of a complete datagram."""
    udp = ETHERNET + IPV4
    length = struct.unpack_from("!H", frame, udp + 4)[0]
    return (frame[0:6], frame[6:12], frame[26:30], frame[30:34],
            frame[udp : udp + 2], frame[udp + 2 : udp + 4], frame[udp + UDP : udp + length])


def swapped(key):
    to_mac, from_mac, source, target, source_port, target_port, data = key
    return from_mac, to_mac, target, source, target_port, source_port, data


def is_complete(frame):
    """Plain IPv4 without options, UDP, all bytes there, both checksums right."""
    if len(frame) < ETHERNET + IPV4 + UDP or frame[12:15] != b"\x08\x00\x45" or frame[23] != 17:
        return False
    total = struct.unpack_from("!H", frame, 16)[0]
    ipv4, udp = frame[ETHERNET : ETHERNET + IPV4], frame[ETHERNET + IPV4 : ETHERNET + total]
    if len(frame) < ETHERNET + total or struct.unpack_from("!H", udp, 4)[0] != len(udp):
        return False
    pseudo = pseudo_header(ipv4[12:16], ipv4[16:20], len(udp))
    return udp[6:8] != b"\0\0" and internet_checksum(ipv4) == 0 and internet_checksum(pseudo + udp) == 0


def pseudo_header(source, target, length):
    return source + target + struct.pack("!BBH", 0, 17, length)


def internet_checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frames(path):
    """The frames of a pcap file of this machine's byte order or the other, micro- or nanoseconds."""
    with open(path, "rb") as file:
        header = file.read(len(PCAP_HEADER))
        magic = header[:4]
        order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        if struct.unpack_from(order + "I", header)[0] not in (0xA1B2C3D4, 0xA1B23C4D):
            raise OSError("%s is not a pcap file" % path)
        while len(record := file.read(16)) == 16:
            yield file.read(struct.unpack(order + "IIII", record)[2])


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


# ---- arguments ---------------------------------------------------------------


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("requests")
    making.add_argument("--count", type=int, default=4000)
    making.add_argument("--to", type=endpoint, required=True, metavar="ADDR:PORT")
    making.add_argument("--mac", required=True, help="the engine's MAC address")
    making.set_defaults(run=make)
    checking = commands.add_parser("check")
    checking.add_argument("requests")
    checking.add_argument("answers")
    checking.add_argument("--json", metavar="FILE")
    checking.set_defaults(run=check)
    return parser.parse_args()


def endpoint(text):
    address, _, port = text.rpartition(":")
    return address, int(port)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit("udp_pcap.py: %s" % error)
