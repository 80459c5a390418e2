# SPDX-License-Identifier: GPL-2.0-or-later
"""Marked packets out, and an ear on every device: where does one of them leave this host?

The ear is a packet socket on no device in particular. It hears a packet where it is given to a device, behind netfilter
and its egress hooks; a filter in the kernel keeps what is not marked away, however much of it there is.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from openswan.base.address import Address
from openswan.base.errors import HostError, WireError
from openswan.host.ikesock import IP_HDRINCL, IPV6_HDRINCL
from openswan.host.packetsock import (
    AD_PKTTYPE,
    ANCILLARY,
    ANSWER,
    BUFFER,
    EQUAL,
    ETH_P_ALL,
    LOAD_WORD,
    PACKET_OUTGOING,
    SO_ATTACH_FILTER,
    SOL_PACKET,
    WHOLE,
    Program,
    assemble,
    attach_program,
)
from openswan.wire.ip import parse
from openswan.wire.probe import PLACES

MARK_OCTETS = 12
"""Of a mark, without the number of the packet behind it."""
SO_RCVBUFFORCE = 33
IP_FREEBIND, IPV6_FREEBIND = 15, 78
PACKET_STATISTICS = 6
SNAP = 128
"""Octets of a packet that are looked at."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A marked packet where a device was given it."""

    number: int
    device: str
    src: Address
    dst: Address
    """As they were there: NAT may have changed them."""


def ear_program(word: int) -> Program:
    """Let in what leaves and has this word, the first of the mark, where one can be."""
    steps: list[tuple[int, int, str]] = [(LOAD_WORD, ANCILLARY + AD_PKTTYPE, ""), (EQUAL, PACKET_OUTGOING, "no")]
    for place in PLACES:
        steps += [(LOAD_WORD, place, ""), (EQUAL, word, f"not {place}"), (ANSWER, WHOLE, ""), (-1, 0, f"not {place}")]
    return assemble([*steps, (-1, 0, "no"), (ANSWER, 0, "")])


class Ear:
    """Hears the packets of one mark; a context manager. HostError when the kernel gives no packet socket."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        try:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._sock = socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL))
            self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
            attach_program(self._sock, ear_program(int.from_bytes(mark[:4], "big")), option=SO_ATTACH_FILTER)
        except OSError as why:
            raise HostError(f"cannot listen on the wire: {why.strerror}") from None
        # It heard everything until its filter was there, and may have lost some of that.
        self.lost()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def listen(self, seconds: float) -> list[Heard]:
        """What leaves within so many seconds, and what has left since the last call."""
        heard: list[Heard] = []
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            if not select.select([self._sock], [], [], max(0.0, left))[0]:
                return heard
            packet, (device, *_) = self._sock.recvfrom(SNAP)
            found = self._understand(packet, device)
            if found is not None:
                heard.append(found)

    def lost(self) -> int:
        """Packets that came faster than they were listened to, since the last call."""
        dropped: int = struct.unpack("II", self._sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        return dropped

    def _understand(self, packet: bytes, device: str) -> Heard | None:
        at = packet.find(self._mark)
        number = packet[at + len(self._mark) : at + len(self._mark) + 4]
        try:
            fields = parse(packet)
        except WireError:
            return None
        return Heard(int.from_bytes(number, "big"), device, fields.src, fields.dst) if at >= 0 and number else None


def marked(mark: bytes, number: int) -> bytes:
    """What a packet of that number carries."""
    return mark + number.to_bytes(4, "big")


def send_packet(src: Address, dst: Address, packet: bytes) -> str:
    """Send a whole packet as one of this host's own, from an address that need not be its; why not, or empty.

    It bears no mark of ours, so it goes by the routes and rules that other people's packets go by.
    """
    v4 = src.version == 4
    level = socket.IPPROTO_IP if v4 else socket.IPPROTO_IPV6
    try:
        with socket.socket(
            socket.AF_INET if v4 else socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW
        ) as sock:
            sock.setsockopt(level, IP_HDRINCL if v4 else IPV6_HDRINCL, 1)
            sock.setsockopt(level, IP_FREEBIND if v4 else IPV6_FREEBIND, 1)
            # Bound, so that rules about sources are asked too when the route is looked for.
            sock.bind((str(src), 0))
            sock.sendto(packet, socket.MSG_DONTWAIT, (str(dst), 0))
    except OSError as why:
        return why.strerror or str(why)
    return ""
