# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP and ICMPv6 "packet too big" about our own packets, from anybody: read, parsed, counted out in small numbers.

 0                   1                   2                   3
+---------------+---------------+-------------------------------+
|  Type 3 / 2   |  Code 4 / 0   |           Checksum            |   IPv4 (RFC 1191 4) / IPv6 (RFC 4443 3.2)
+---------------+---------------+-------------------------------+
|      unused, MTU in the lower half / MTU in all of it         |
+---------------------------------------------------------------+
|      the packet that was too big, as much as fits             |
+---------------------------------------------------------------+
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from ipaddress import ip_address

from openswan.base.errors import HostError
from openswan.base.numbers import NON_ESP_MARKER
from openswan.engine.events import PathTooBig

ESP, AH, UDP = 50, 51, 17
ICMP_FILTER = 1
ICMP6_FILTER = 1
SOL_RAW = 255
A_SECOND = 50
"""Errors that are looked at; pluto has better things to do when there are more."""
LARGEST = 2048


def parse_too_big(data: bytes, version: int) -> PathTooBig | None:
    """What an ICMP message (no IP header) says; None when it is another one, or quotes nothing of use."""
    if len(data) < 8:
        return None
    kind, code, _, word = struct.unpack_from("!BBHI", data)
    if (kind, code) != ((3, 4) if version == 4 else (2, 0)):
        return None
    mtu = word & 0xFFFF if version == 4 else word
    quoted = data[8:]
    head = (quoted[0] & 15) * 4 if version == 4 and quoted else 40
    if len(quoted) < head + 8 or quoted[0] >> 4 != version or head < 20:
        return None
    if version == 4:
        protocol, src, dst = quoted[9], quoted[12:16], quoted[16:20]
        if struct.unpack_from("!H", quoted, 6)[0] & 0x1FFF:
            return None
    else:
        protocol, src, dst = quoted[6], quoted[8:24], quoted[24:40]
    local, remote, inside = ip_address(src), ip_address(dst), quoted[head:]
    if protocol == ESP:
        return PathTooBig(local, remote, mtu, int.from_bytes(inside[:4], "big"))
    if protocol == AH and len(inside) >= 8:
        return PathTooBig(local, remote, mtu, int.from_bytes(inside[4:8], "big"))
    if protocol != UDP:
        return None
    ports = struct.unpack_from("!HH", inside)
    body = inside[8:]
    if body[:4] == NON_ESP_MARKER:
        return PathTooBig(local, remote, mtu, 0, ports, body[4:20]) if len(body) >= 20 else None
    if 4500 in ports or ports[0] != 500:
        # ESP in UDP; an IKE port of one's own choosing shows IKE SPIs in its first octets instead.
        spi = int.from_bytes(body[:4], "big") if len(body) >= 4 else 0
        return PathTooBig(local, remote, mtu, spi, ports, body[:16]) if spi else None
    return PathTooBig(local, remote, mtu, 0, ports, body[:16]) if len(body) >= 16 else None


class IcmpEar:
    """One raw socket a family, which the kernel fills with nothing but such errors."""

    def __init__(self, on_error: Callable[[PathTooBig], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_error = on_error
        self._clock = clock
        self._socks: dict[int, socket.socket] = {}
        self._second, self._count = 0, 0
        self.unheard = 0
        """Errors beyond A_SECOND."""

    def open(self) -> None:
        """Begin to listen; HostError when the kernel has no raw socket for us."""
        loop = asyncio.get_running_loop()
        for version, family, protocol in ((4, socket.AF_INET, 1), (6, socket.AF_INET6, 58)):
            try:
                sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
                if version == 4:
                    sock.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", ~(1 << 3) & 0xFFFFFFFF))
                else:
                    blocked = [0xFFFFFFFF] * 8
                    blocked[0] &= ~(1 << 2)
                    sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *blocked))
            except OSError as why:
                raise HostError(f"cannot listen to ICMP of IPv{version}: {why.strerror}") from None
            self._socks[version] = sock
            loop.add_reader(sock.fileno(), self._readable, version)

    def _readable(self, version: int) -> None:
        sock = self._socks[version]
        while True:
            try:
                data = sock.recv(LARGEST)
            except OSError:
                return
            second = int(self._clock())
            if second != self._second:
                self._second, self._count = second, 0
            self._count += 1
            if self._count > A_SECOND:
                self.unheard += 1
                if self._count > 20 * A_SECOND:
                    # The rest waits in the socket, and overflows there: only so much of a second is theirs.
                    return
                continue
            self.take(data, version)

    def take(self, data: bytes, version: int) -> None:
        """One message as its socket delivers it: IPv4 with the IP header."""
        if version == 4:
            head = (data[0] & 15) * 4 if data else 0
            data = data[head:] if head >= 20 else b""
        event = parse_too_big(data, version)
        if event is not None:
            self._on_error(event)

    def close(self) -> None:
        """Stop listening."""
        loop = asyncio.get_running_loop()
        for sock in self._socks.values():
            loop.remove_reader(sock.fileno())
            sock.close()
        self._socks.clear()
