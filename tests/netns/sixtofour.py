# SPDX-License-Identifier: GPL-2.0-or-later
"""6to4 (RFC 3056) without a kernel that has it: a TUN whose reader puts IPv6 packets into IPv4 ones of protocol 41."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import threading
from ipaddress import IPv4Address, IPv6Address

from tests.netns.capture import Seen, classify
from tests.netns.lab import Host

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
PROTOCOL = 41
MTU = 1480


def prefix(address: str) -> str:
    """The first three groups of what belongs to an IPv4 address: `2002:c000:201`."""
    return str(IPv6Address(0x2002 << 112 | int(IPv4Address(address)) << 80)).removesuffix("::")


class SixToFour:
    """The device `sixtofour` of a host with `PREFIX::1/16`, which is its way to all of IPv6, until closed."""

    def __init__(self, host: Host, address: str, relay: str) -> None:
        """`address`: of the host, `relay`: where packets to other addresses than 2002::/16 go."""
        self._relay = relay
        with host.inside():
            self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self._tun, TUNSETIFF, struct.pack("16sH22x", b"sixtofour", IFF_TUN | IFF_NO_PI))
            self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, PROTOCOL)
            self._raw.bind((address, 0))
        host.ip("link", "set", "sixtofour", "mtu", str(MTU), "up")
        host.ip("addr", "add", f"{prefix(address)}::1/16", "dev", "sixtofour", "nodad")
        host.ip("-6", "route", "replace", "default", "dev", "sixtofour")
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()
        host.lab.at_close(self.close)

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([self._tun, self._raw, self._stop], [], [])
            if self._stop in ready:
                return
            try:
                if self._tun in ready:
                    packet = os.read(self._tun, 65536)
                    there = packet[24:40]
                    far = socket.inet_ntoa(there[2:6]) if there[:2] == b"\x20\x02" else self._relay
                    self._raw.sendto(packet, (far, 0))
                if self._raw in ready:
                    packet = self._raw.recv(65536)
                    os.write(self._tun, packet[(packet[0] & 15) * 4 :])
            except OSError:
                continue  # the device is down, or the other end is not there: lost as on any wire

    def close(self) -> None:
        """Take the device away."""
        os.close(self._stopped)
        self._thread.join(5)
        os.close(self._tun)
        self._raw.close()


def inside(seen: Seen) -> str:
    """The kind of what a packet of protocol 41 carries."""
    packet = seen.data[14:]
    return classify(bytes(12) + b"\x86\xdd" + packet[(packet[0] & 15) * 4 :])[0]
