# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP datagrams that no router may cut: whole packets of our own making, through a raw socket.

    | IPv4, DF set, or IPv6 | UDP: the ports of the socket it stands in for | data |

The UDP sockets themselves are shared with the packet engine, whose packets must never carry DF, and DF is an option of
a socket, not of a datagram.
"""

from __future__ import annotations

import socket
import struct

from openswan.base.address import Endpoint
from openswan.base.errors import HostError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.host.ikesock import open_pass_socket
from openswan.wire.ip import internet_checksum

UDP = 17
DF = 0x4000
HOPS = 64
LARGEST = 65507


def whole_packet(local: Endpoint, remote: Endpoint, data: bytes) -> bytes:
    """An IP packet with DF around a UDP datagram; the kernel fills in IPv4's checksum and identification."""
    src, dst, length = local.address.packed, remote.address.packed, 8 + len(data)
    head = struct.pack("!HHHH", local.port, remote.port, length, 0)
    pseudo = src + dst + struct.pack("!IHBB", length, 0, 0, UDP)
    head = head[:6] + struct.pack("!H", internet_checksum(pseudo + head + data) or 0xFFFF)
    if local.address.version == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, DF, HOPS, UDP, 0) + src + dst
    else:
        ip = struct.pack("!IHBB", 6 << 28, length, UDP, HOPS) + src + dst
    return ip + head + data


class WholeSender:
    """Sends them; the sockets are opened when first needed."""

    def __init__(self, marks: Marks = DEFAULT_MARKS) -> None:
        self._marks = marks
        self._socks: dict[int, socket.socket | None] = {}

    def send(self, local: Endpoint, remote: Endpoint, data: bytes) -> None:
        """What the interface or the kernel will not take is lost, as it would be on a path too narrow."""
        version = local.address.version
        if version not in self._socks:
            try:
                self._socks[version] = open_pass_socket(version, self._marks)
            except HostError:
                self._socks[version] = None
        sock = self._socks[version]
        if sock is None or len(data) > LARGEST:
            return
        to = (str(remote.address), 0) if version == 4 else (str(remote.address), 0, 0, 0)
        try:
            sock.sendto(whole_packet(local, remote, data), to)
        except OSError:
            return

    def close(self) -> None:
        """Close them."""
        for sock in self._socks.values():
            if sock is not None:
                sock.close()
        self._socks.clear()
