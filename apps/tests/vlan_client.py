#!/usr/bin/env python3
"""A client in a VLAN, by raw frames: a kernel need not have VLAN devices to run it.

    vlan_client.py INTERFACE MAC VLAN[.VLAN] ADDRESS

Asks for the address (10.77.0.1 or fd00::1) by ARP or a neighbour solicitation and sends it a
datagram, both tagged and both from its neighbour number 2, and checks that the answers have the same
tags. Of two VLANs the first is the outer one, with the tag of 802.1ad. Requests in other VLANs before
them must not be answered. Exit: 0 all of that came, 1 not so.
"""

import socket
import struct
import sys
import time

SOL_PACKET, PACKET_AUXDATA, ETH_P_ALL = 263, 8, 3
CUSTOMER, SERVICE = 0x8100, 0x88A8  # the tags' EtherTypes (802.1Q, 802.1ad)
ARP, IPV4, IPV6, UDP, ICMPV6 = 0x0806, 0x0800, 0x86DD, 17, 58


def main(interface, mac, vlans, address):
    wire = Wire(interface, bytes.fromhex(mac.replace(":", "")))
    vlans = [int(vlan) for vlan in vlans.split(".")]
    family = Version6(wire) if ":" in address else Version4(wire)
    to, ether_type, request = family.request()
    for others in ([vlans[0] + 1] + vlans[1:], vlans[:-1] + [vlans[-1] + 1], vlans[:-1], [7] + vlans):
        wire.send(to, tags(others), ether_type, request)
    wire.send(to, tags(vlans), ether_type, request)
    family.check_reply(wire.receive(tags(vlans), ether_type))
    ports, hello = (40000, 7), b"hello"
    wire.send(wire.engine, tags(vlans), family.ether_type, family.datagram(*ports, hello))
    family.check_datagram(wire.receive(tags(vlans), family.ether_type), *reversed(ports), hello)


def tags(vlans):
    return list(zip([CUSTOMER] if len(vlans) < 2 else [SERVICE] + [CUSTOMER] * (len(vlans) - 1), vlans))


class Wire:
    def __init__(self, interface, engine):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, 0))
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.engine, self.own = engine, self.socket.getsockname()[4]

    def send(self, to, tags, ether_type, packet):
        tags = b"".join(struct.pack("!HH", *tag) for tag in tags)
        self.socket.send(to + self.own + tags + struct.pack("!H", ether_type) + packet)

    def receive(self, tags, ether_type):
        """The next packet from the engine, which has to have these tags and this type."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            self.socket.settimeout(deadline - time.monotonic())
            frame, ancillary, _, _ = self.socket.recvmsg(2048, 256)
            if frame[:12] == self.own + self.engine:
                found, packet = untagged(frame, ancillary)
                assert found == tags + [(ether_type,)], "%s instead of %s" % (found, tags)
                return packet
        sys.exit("vlan_client.py: no answer")


def untagged(frame, ancillary):
    """The tags and the EtherType of a frame, and its packet. The kernel keeps the outer tag beside it."""
    _, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", ancillary[0][2])
    found, at = [(tpid, tci & 0xFFF)] if tpid else [], 12
    while (ether_type := int.from_bytes(frame[at : at + 2], "big")) in (CUSTOMER, SERVICE):
        found.append((ether_type, int.from_bytes(frame[at + 2 : at + 4], "big") & 0xFFF))
        at += 4
    return found + [(ether_type,)], frame[at + 2 :]


class Version4:
    """ARP and UDP over IPv4, the datagram with no checksum, which is allowed."""

    ether_type = IPV4
    ours, theirs = socket.inet_aton("10.77.0.2"), socket.inet_aton("10.77.0.1")

    def __init__(self, wire):
        self.wire = wire

    def request(self):
        header = struct.pack("!HHBBH", 1, IPV4, 6, 4, 1)
        return b"\xff" * 6, ARP, header + self.wire.own + self.ours + bytes(6) + self.theirs

    def check_reply(self, reply):
        assert reply[6:8] == b"\0\2", reply.hex()
        assert (reply[8:14], reply[14:18]) == (self.wire.engine, self.theirs), reply.hex()

    def datagram(self, source_port, port, data):
        udp = struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0) + self.ours + self.theirs
        return header[:10] + internet_checksum(header) + header[12:] + udp

    def check_datagram(self, packet, source_port, port, data):
        assert packet[12:20] == self.theirs + self.ours, packet.hex()
        assert packet[20:24] == struct.pack("!HH", source_port, port), packet.hex()
        assert packet[28 : 28 + len(data)] == data, packet.hex()


class Version6:
    """Neighbour discovery and UDP over IPv6."""

    ether_type = IPV6
    ours, theirs = (socket.inet_pton(socket.AF_INET6, text) for text in ("fd00::2", "fd00::1"))

    def __init__(self, wire):
        self.wire = wire

    def request(self):
        group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + self.theirs[13:]
        message = struct.pack("!BBHI", 135, 0, 0, 0) + self.theirs + b"\1\1" + self.wire.own
        message = self.with_checksum(message, 2, group, ICMPV6)
        return b"\x33\x33" + group[12:], IPV6, self.header(len(message), ICMPV6, 255, group) + message

    def check_reply(self, reply):
        assert (reply[6], reply[7], reply[40]) == (ICMPV6, 255, 136), reply.hex()
        assert reply[8:40] == self.theirs + self.ours and reply[48:64] == self.theirs, reply.hex()
        assert reply[64:72] == b"\2\1" + self.wire.engine, reply.hex()

    def datagram(self, source_port, port, data):
        udp = struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data
        udp = self.with_checksum(udp, 6, self.theirs, UDP)
        return self.header(len(udp), UDP, 64, self.theirs) + udp

    def check_datagram(self, packet, source_port, port, data):
        assert packet[6] == UDP and packet[8:40] == self.theirs + self.ours, packet.hex()
        assert packet[40:44] == struct.pack("!HH", source_port, port), packet.hex()
        assert packet[48 : 48 + len(data)] == data, packet.hex()

    def header(self, length, protocol, hops, to):
        return struct.pack("!IHBB", 6 << 28, length, protocol, hops) + self.ours + to

    def with_checksum(self, message, at, to, protocol):
        pseudo = self.ours + to + struct.pack("!II", len(message), protocol)
        return message[:at] + internet_checksum(pseudo + message) + message[at + 2 :]


def internet_checksum(data):
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


if __name__ == "__main__":
    main(*sys.argv[1:])
