# SPDX-License-Identifier: GPL-2.0-or-later
"""What a first packet says: addresses, protocol, ports; IPv4 (RFC 791), IPv6 (RFC 8200), UDP, TCP, ICMP.

```
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-------+-------+---------------+-------------------------------+  IPv4
|   4   | words |  TOS          |         total length          |
+-------+-------+---------------+-----+-------------------------+
|         identification        |flags|     fragment offset     |
+---------------+---------------+-----+-------------------------+
|      TTL      |   protocol    |        header checksum        |
+---------------+---------------+-------------------------------+
|           source address, destination address, options        |
+---------------------------------------------------------------+
+-------+---------------+---------------------------------------+  IPv6
|   6   | traffic class |              flow label               |
+-------+---------------+-------+---------------+---------------+
|        payload length         |  next header  |   hop limit   |
+-------------------------------+---------------+---------------+
|  source address, destination address (16 octets each)         |
+---------------------------------------------------------------+
+-------------------------------+-------------------------------+  UDP, TCP; ICMP has type and code in the first two
|          source port          |        destination port       |  octets
+-------------------------------+-------------------------------+
```
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from openswan.base.address import Address
from openswan.base.errors import WireError
from openswan.base.numbers import IpProtocol
from openswan.wire.cursor import Reader

IPV4_OCTETS = 20
IPV6_OCTETS = 40
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS, MOBILITY = 0, 43, 44, 60, 135
SKIPPED = (HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, MOBILITY)
"""Extension headers with a length octet in units of 8 octets, not counting the first 8 (RFC 8200 4)."""
MAX_EXTENSIONS = 16
"""Ours: no honest packet has more."""
WITH_PORTS = (IpProtocol.TCP, IpProtocol.UDP, 33, 132, 136)
"""TCP, UDP, DCCP, SCTP, UDP-Lite: two ports come first in each."""
WITH_TYPE = (IpProtocol.ICMP, IpProtocol.ICMP6)


def internet_checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of some octets."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@dataclass(frozen=True, slots=True)
class IpFields:
    """The fields of a packet that policies look at; ports in host order."""

    src: Address
    dst: Address
    protocol: int
    src_port: int = 0
    dst_port: int = 0
    """0 when the protocol has none, or this is a later fragment."""
    icmp: tuple[int, int] | None = None
    """ICMP type and code."""
    later_fragment: bool = False
    """A fragment that does not hold the upper-layer header."""
    offset: int = 0
    """Octets in front of the upper-layer header."""
    length: int = 0
    """Octets of the whole packet as its header says; what follows them is not part of it."""


def parse(packet: bytes) -> IpFields:
    """Read a packet that starts with its IP header.

    WireError when it is neither IPv4 nor IPv6, its lengths disagree with each other or with `packet`, or the
    upper-layer header is cut short. A first fragment must hold its ports.
    """
    if not packet:
        raise WireError("empty packet", None)
    version = packet[0] >> 4
    if version == 4:
        return _ipv4(packet)
    if version == 6:
        return _ipv6(packet)
    raise WireError(f"IP version {version}", None)


def _ipv4(packet: bytes) -> IpFields:
    reader = Reader(packet)
    header = (reader.u8() & 15) * 4
    reader.u8()
    total = reader.u16()
    if header < IPV4_OCTETS or total < header or total > len(packet):
        raise WireError(f"IPv4 header of {header} octets, packet of {total} in {len(packet)}", None)
    reader.u16()
    fragment = reader.u16() & 0x1FFF
    reader.u8()
    protocol = reader.u8()
    reader.u16()
    src, dst = IPv4Address(reader.octets(4)), IPv4Address(reader.octets(4))
    reader.octets(header - IPV4_OCTETS)
    return _upper(packet[:total], header, src, dst, protocol, bool(fragment))


def _ipv6(packet: bytes) -> IpFields:
    reader = Reader(packet)
    reader.u32()
    total = IPV6_OCTETS + reader.u16()
    protocol = reader.u8()
    reader.u8()
    src, dst = IPv6Address(reader.octets(16)), IPv6Address(reader.octets(16))
    if total > len(packet):
        raise WireError(f"IPv6 packet of {total} octets in {len(packet)}", None)
    inside = Reader(packet[:total])
    inside.octets(IPV6_OCTETS)
    later = False
    for _ in range(MAX_EXTENSIONS + 1):
        if protocol == FRAGMENT:
            protocol = inside.u8()
            inside.u8()
            later = inside.u16() >> 3 != 0
            inside.u32()
            if later:
                break
        elif protocol in SKIPPED:
            protocol, words = inside.u8(), inside.u8()
            inside.octets(words * 8 + 6)
        else:
            break
    else:
        raise WireError(f"more than {MAX_EXTENSIONS} IPv6 extension headers", None)
    return _upper(packet[:total], inside.position, src, dst, protocol, later)


def _upper(packet: bytes, offset: int, src: Address, dst: Address, protocol: int, later: bool) -> IpFields:
    if later:
        return IpFields(src, dst, protocol, later_fragment=True, offset=offset, length=len(packet))
    reader = Reader(packet[offset:])
    if protocol in WITH_PORTS:
        return IpFields(src, dst, protocol, reader.u16(), reader.u16(), offset=offset, length=len(packet))
    if protocol in WITH_TYPE:
        return IpFields(src, dst, protocol, icmp=(reader.u8(), reader.u8()), offset=offset, length=len(packet))
    return IpFields(src, dst, protocol, offset=offset, length=len(packet))
