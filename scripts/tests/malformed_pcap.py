#!/usr/bin/env python3
"""A capture of malformed frames for 10.77.0.1 and fd00::1.

    malformed_pcap.py FILE MAC CLIENT_MAC

Takes valid frames of every kind that the engine reads, and writes of each every truncation, and
every byte of its headers with one bit flipped, with all of them flipped, and as zero. The same
each time. Prints how many frames there are.
"""

import sys

from scapy.all import (
    ARP, ICMP, IP, IPOption_RR, IPv6, UDP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting, PadN, RawPcapWriter, raw,
)

# Past this many bytes there is only payload.
HEADERS = 96


def main(file, mac, client):
    ether = Ether(dst=mac, src=client)
    ip, ip6 = IP(src="10.77.0.2", dst="10.77.0.1"), IPv6(src="fd00::2", dst="fd00::1")
    udp = UDP(sport=4660, dport=7) / b"hello, gannet"
    arp = ARP(hwsrc=client, psrc="10.77.0.2", pdst="10.77.0.1")
    far = IPv6(src="fd00::2", dst="fd00::1", hlim=255)
    valid = [
        ether / ip / udp,
        ether / ip / UDP(sport=4660, dport=9) / b"closed",
        ether / IP(src="10.77.0.2", dst="10.77.0.1", options=[IPOption_RR(routers=["0.0.0.0"] * 3)]) / udp,
        ether / IP(src="10.77.0.2", dst="10.77.0.1", flags="MF") / udp,
        ether / IP(src="10.77.0.2", dst="10.77.0.1", frag=8) / udp,
        ether / ip / ICMP() / b"echo request",
        ether / ip / ICMP(type=3, code=3) / ip / udp,
        ether / arp,
        ether / Dot1Q(vlan=0) / ip / udp,
        ether / Dot1Q(vlan=0) / Dot1Q(vlan=100) / ip / udp,
        ether / ip6 / udp,
        ether / ip6 / ICMPv6EchoRequest(data=b"echo request"),
        ether / ip6 / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]) / IPv6ExtHdrDestOpt() / udp,
        ether / ip6 / IPv6ExtHdrFragment(m=1, id=7) / udp,
        ether / ip6 / IPv6ExtHdrFragment(m=0, id=8) / udp,
        ether / ip6 / IPv6ExtHdrRouting(addresses=["fd00::3"]) / udp,
        ether / far / ICMPv6ND_NS(tgt="fd00::1") / ICMPv6NDOptSrcLLAddr(lladdr=client),
        ether / far / ICMPv6ND_NA(tgt="fd00::2") / ICMPv6NDOptDstLLAddr(lladdr=client),
    ]
    frames = [bad for frame in valid for bad in spoiled(raw(frame))]
    with RawPcapWriter(file, linktype=1) as capture:
        capture.write(frames)
    print(len(frames))


def spoiled(frame):
    # A frame of less than an Ethernet header does not leave an interface.
    yield from (frame[:length] for length in range(14, len(frame)))
    for at in range(min(len(frame), HEADERS)):
        for byte in {frame[at] ^ 0xFF, frame[at] ^ (1 << at % 8), 0} - {frame[at]}:
            yield frame[:at] + bytes([byte]) + frame[at + 1 :]


if __name__ == "__main__":
    main(*sys.argv[1:])
