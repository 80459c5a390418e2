# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets with a mark in them, by which whoever sees one anywhere knows it again.

| IPv4 or IPv6, no options | UDP, TCP (a SYN), ICMP echo request, or 8 octets of zero | mark |
"""

from __future__ import annotations

import struct

from openswan.base.address import Address
from openswan.base.numbers import IpProtocol
from openswan.wire.ip import IPV4_OCTETS, IPV6_OCTETS, internet_checksum

HOPS = 64
SYN = 0x5002
"""Five words of header, and the flag."""
WINDOW = 1024
ECHO_REQUEST = {IpProtocol.ICMP: 8, IpProtocol.ICMP6: 128}
UPPER_OCTETS = (8, 20)
"""How long the headers between IP and the mark are: TCP's, and all others."""
PLACES = tuple(ip + upper for ip in (IPV4_OCTETS, IPV6_OCTETS) for upper in UPPER_OCTETS)
"""Where in a packet the mark can begin."""


def probe_packet(src: Address, dst: Address, protocol: int, ports: tuple[int, int], mark: bytes) -> bytes:
    """A whole packet; source and destination port are not used where the protocol has none.

    IPv4's identification and header checksum are left to the kernel.
    """
    body = _upper(protocol, ports, len(mark)) + mark
    if protocol in (IpProtocol.UDP, IpProtocol.TCP, *ECHO_REQUEST):
        at = {IpProtocol.UDP: 6, IpProtocol.TCP: 16}.get(IpProtocol(protocol), 2)
        pseudo = src.packed + dst.packed + struct.pack("!II", len(body), protocol)
        total = internet_checksum((b"" if protocol == IpProtocol.ICMP else pseudo) + body)
        if protocol == IpProtocol.UDP:
            total = total or 0xFFFF  # 0 would say that there is no checksum (RFC 768)
        body = body[:at] + total.to_bytes(2, "big") + body[at + 2 :]
    if src.version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, IPV4_OCTETS + len(body), 0, 0, HOPS, protocol, 0)
    else:
        head = struct.pack("!IHBB", 6 << 28, len(body), protocol, HOPS)
    return head + src.packed + dst.packed + body


def finished(packet: bytes) -> bytes:
    """A packet that no kernel is to finish: IPv4's header has its checksum."""
    if packet[0] >> 4 != 4:
        return packet
    return packet[:10] + internet_checksum(packet[:IPV4_OCTETS]).to_bytes(2, "big") + packet[12:]


def _upper(protocol: int, ports: tuple[int, int], octets: int) -> bytes:
    if protocol == IpProtocol.UDP:
        return struct.pack("!HHHH", *ports, 8 + octets, 0)
    if protocol == IpProtocol.TCP:
        return struct.pack("!HHIIHHHH", *ports, 1, 0, SYN, WINDOW, 0, 0)
    if protocol in ECHO_REQUEST:
        return struct.pack("!BBHI", ECHO_REQUEST[IpProtocol(protocol)], 0, 0, 0)
    return bytes(8)
