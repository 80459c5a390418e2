# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that the kernel keeps for us, by pair of addresses: in order, and never more than there is room for.

A pair's packets go on oldest first. Only the last of them carries the bit that teaches the kernel's table, else those
that come meanwhile would overtake them. Of several SYNs of one connection the newest is kept: TCP would take the wait
of an older one for the path's round trip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeAlias

from openswan.base.address import Address
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import IKE_PORT, NATT_PORT, IpProtocol
from openswan.engine.effects import Decision
from openswan.host.nfqueue import Queued

MOST_A_PAIR = 128
MOST = 8192
FRAGMENT_OFFSET = 0x1FFF
SYN, SYN_ACK = 0x02, 0x12
IKE_PAIRS = tuple(port.to_bytes(2, "big") * 2 for port in (IKE_PORT, NATT_PORT))
"""From and to the same port."""

WITHOUT = (Decision.DROP, Decision.REFUSE)
"""No tunnel can be had: what a host has encrypted itself passes."""

Hosts: TypeAlias = tuple[Address, Address]
"""Source and destination."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is read of a packet."""

    hosts: Hosts
    ports: bytes = b""
    """Of a TCP SYN; empty: it is none."""
    itself: bool = False
    """Is it ESP or IKE, of a host that encrypts for itself?"""


@dataclass(frozen=True, slots=True)
class Held:
    """One that waits."""

    queue: int
    number: int
    mark: int
    ports: bytes
    itself: bool


def read_head(data: bytes) -> Head | None:
    """Addresses, and the ports of a SYN; None: no IP packet."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        hosts = (ip_address(data[12:16]), ip_address(data[16:20]))
        later = int.from_bytes(data[6:8], "big") & FRAGMENT_OFFSET
        segment = b"" if later else data[(data[0] & 15) * 4 :]
        return Head(hosts, _syn(data[9], segment), _of_its_own(data[9], segment))
    if version == 6 and len(data) >= 40:
        hosts = (ip_address(data[8:24]), ip_address(data[24:40]))
        return Head(hosts, _syn(data[6], data[40:]), _of_its_own(data[6], data[40:]))
    return None


def _of_its_own(protocol: int, segment: bytes) -> bool:
    """As openswan.host.intercept.packets.of_its_own()."""
    return protocol == IpProtocol.ESP or (protocol == IpProtocol.UDP and segment[:4] in IKE_PAIRS)


def _syn(protocol: int, segment: bytes) -> bytes:
    if protocol != IpProtocol.TCP or len(segment) < 14 or segment[13] & SYN_ACK != SYN:
        return b""
    return segment[:4]


class Holding:
    """What waits. `verdict` is (queue, packet, accept, mark; None: as it is)."""

    def __init__(
        self,
        verdict: Callable[[int, int, bool, int | None], None],
        most: int = MOST,
        most_a_pair: int = MOST_A_PAIR,
        marks: Marks = DEFAULT_MARKS,
        spares: Callable[[Address], bool] = lambda dst: False,
    ) -> None:
        """`spares`: may IKE and ESP of a host's own go there that has no tunnel to go through?"""
        self._marks = marks
        self._codes = {
            Decision.PASS: marks.clear, Decision.TUNNEL: marks.tunnel, Decision.REFUSE: marks.refused
        }  # fmt: skip
        self._verdict, self._spares = verdict, spares
        self._most, self._most_a_pair = most, most_a_pair
        self.held: dict[Hosts, deque[Held]] = {}
        self.count = 0
        self.drops = 0
        """Packets there was no room for, and SYNs that newer ones stand for."""

    def take(self, queue: int, queued: Queued) -> Hosts | None:
        """Keep a packet; its pair, if that is to be asked about now. What is no IP packet is dropped."""
        head = read_head(queued.head)
        if head is None:
            self._drop(queue, queued.id)
            return None
        waiting = self.held.get(head.hosts)
        new = Held(queue, queued.id, queued.mark, head.ports, head.itself)
        if waiting is None:
            if self.count >= self._most:
                self._drop(queue, queued.id)  # others' packets do not make way
                return None
            self.held[head.hosts] = deque((new,))
            self.count += 1
            return head.hosts
        older = next((each for each in waiting if head.ports and each.ports == head.ports), None)
        if older is None and (len(waiting) >= self._most_a_pair or self.count >= self._most):
            older = waiting[0]
        if older is not None:
            waiting.remove(older)
            self._drop(older.queue, older.number)
        else:
            self.count += 1
        waiting.append(new)
        return None

    def decide(self, hosts: Hosts, decision: Decision) -> bool:
        """Let a pair's packets go its way; False: none were there."""
        if decision is Decision.HOLD:
            return hosts in self.held
        waiting = self.held.pop(hosts, None)
        if waiting is None:
            return False
        self.count -= len(waiting)
        code = self._codes.get(decision)
        spares = decision in WITHOUT and self._spares(hosts[1])
        for number, each in enumerate(waiting, 1):
            if decision is Decision.LEAVE:
                self._verdict(each.queue, each.number, True, None)
            elif each.itself and spares:
                self._verdict(each.queue, each.number, True, each.mark & self._marks.others | self._marks.spared)
            elif code is None:
                self._verdict(each.queue, each.number, False, None)
            else:
                learned = self._marks.learn if number == len(waiting) else 0
                mark = each.mark & self._marks.others | code | learned
                self._verdict(each.queue, each.number, True, mark)
        return True

    def forget(self, queue: int) -> None:
        """A queue is gone, and what it held with it: the numbers may come again for other packets."""
        for hosts, waiting in list(self.held.items()):
            left = deque(each for each in waiting if each.queue != queue)
            self.count -= len(waiting) - len(left)
            self.drops += len(waiting) - len(left)
            if left:
                self.held[hosts] = left
            else:
                del self.held[hosts]

    def give_up(self, hosts: Hosts) -> int:
        """Drop what waits of a pair; how many packets that was."""
        waiting = self.held.get(hosts, ())
        self.decide(hosts, Decision.FORGET)
        return len(waiting)

    def _drop(self, queue: int, number: int) -> None:
        self.drops += 1
        self._verdict(queue, number, False, None)
