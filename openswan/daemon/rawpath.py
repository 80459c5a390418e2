# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw ESP past the kernel's IP layer: when the engine gets packet socket, next hops and rings, and loses them again.

    out:  batches leave by the raw socket ─► NextHopWanted ─► next hop known ─► by the packet socket
    in:   raw socket ─► EspLoad ─► ring opened, what it holds dropped at ingress ─► load gone ─► as before

Whatever cannot be had is logged once, and raw ESP goes by the raw sockets, which are always there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from openswan.base.address import Address
from openswan.base.errors import HostError, IpsecError, KlipsError
from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.host import packetsock
from openswan.host.ikesock import open_pass_socket
from openswan.host.ingress import Ingress
from openswan.host.nexthop import NextHops, describe
from openswan.host.wholesock import WholeSender
from openswan.plane.commands import AttachIntake, AttachLink, AttachPass, Command, DetachIntake, NextHop, SetNextHop
from openswan.plane.events import EspLoad, KlipsEvent, NextHopWanted

LOOK = 0.1
"""Seconds between two looks at how much a ring carries."""
LIGHT = 1200
"""Packets between two looks at or below which a ring only adds delay,"""
PATIENCE = 5
"""and looks in a row that must find it so."""
SETTLED = 0.02
"""Seconds in which the kernel hands over what is left in a ring."""
AGAIN = 60.0
"""Seconds until a ring that could not be had is tried again."""


class Klips(Protocol):
    """The part of klips.Klips this needs."""

    @property
    def workers(self) -> int:
        """Packet threads."""

    def execute(self, command: Command) -> None:
        """Carry out one command; KlipsError when refused."""

    def intake_packets(self, interface: str) -> int:
        """Packets that came by its rings."""


@dataclass
class _Ring:
    ingress: Ingress
    seen: int = 0
    light: int = 0
    timer: asyncio.TimerHandle | None = None


def attach_pass(klips: Klips, marks: Marks, log: Callable[[str, bool], None]) -> WholeSender:
    """Give the engine the way out for what may pass in clear; what comes back sends IKE's own whole datagrams."""
    for version in (4, 6):
        try:
            with open_pass_socket(version, marks) as sock:
                klips.execute(AttachPass(version, sock.fileno()))
        except IpsecError as why:
            log(f"packets that may pass in clear have no way out: {why}", True)
    return WholeSender(marks)


class RawPath:
    """One gateway's ways for raw ESP.

    `endpoints()` names the addresses that have raw ESP sockets, and their interfaces; `mtu_of(interface)` is its MTU.
    """

    def __init__(
        self,
        klips: Klips,
        endpoints: Callable[[], Iterable[tuple[Address, str]]],
        mtu_of: Callable[[str], int],
        log: Callable[[str, bool], None],
        marks: Marks = DEFAULT_MARKS,
    ) -> None:
        self._marks = marks
        self._klips = klips
        self._endpoints = endpoints
        self._mtu_of = mtu_of
        self._log = log
        self._hops = NextHops(self._tell, lambda local: mtu_of(dict(endpoints()).get(local, "")), marks)
        self._rings: dict[str, _Ring] = {}
        self._hooks: dict[str, Ingress] = {}
        """Of every interface that has had a ring."""
        self._refused: dict[str, float] = {}
        self._said: set[str] = set()
        self._on = False

    def start(self) -> None:
        """Give the engine its packet socket; without one nothing else is needed either."""
        try:
            with packetsock.open_link(self._marks) as sock:
                self._hops.open()
                self._klips.execute(AttachLink(sock.fileno()))
        except IpsecError as why:
            self._hops.close()
            self._log(f"raw ESP goes by the kernel's raw sockets alone: {why}", True)
            return
        self._on = True

    def stop(self) -> None:
        """Take everything back."""
        self._on = False
        self._hops.close()
        for interface in list(self._rings):
            self.forget(interface)
        while self._hooks:
            self._hooks.popitem()[1].close()

    def take(self, event: KlipsEvent) -> bool:
        """Was this event meant for us?"""
        if isinstance(event, NextHopWanted):
            if self._on:
                self._hops.want(event.local, event.remote)
        elif isinstance(event, EspLoad):
            interface = dict(self._endpoints()).get(event.local)
            if self._on and interface and interface not in self._rings:
                self._open(interface)
        else:
            return False
        return True

    def _tell(self, local: Address, remote: Address, hop: NextHop | None) -> None:
        try:
            self._klips.execute(SetNextHop(local, remote, hop))
        except KlipsError as why:
            self._log(f"raw ESP to {remote}: {why}", True)
            return
        way = f"by packet socket to {describe(hop)}" if hop else "by the raw socket again"
        self._log(f"raw ESP from {local} to {remote} goes {way}", False)

    # -- rings --------------------------------------------------------------------------------------------------------

    def _open(self, interface: str) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._refused.get(interface, 0.0):
            return
        addresses = [address for address, name in self._endpoints() if name == interface]
        try:
            socks = packetsock.open_rings(interface, addresses, self._klips.workers)
            try:
                fds = tuple(each.fileno() for each in socks)
                self._klips.execute(AttachIntake(interface, fds, packetsock.BLOCK, packetsock.BLOCKS))
            finally:
                for each in socks:
                    each.close()
            try:
                ingress = self._hooks.setdefault(interface, Ingress(interface))
                ingress.drop(addresses)
            except HostError:
                self._klips.execute(DetachIntake(interface))
                raise
        except IpsecError as why:
            self._refused[interface] = loop.time() + AGAIN
            if interface not in self._said:
                self._said.add(interface)
                self._log(f"raw ESP on {interface} comes by the kernel's raw sockets alone: {why}", True)
            return
        ring = self._rings[interface] = _Ring(ingress)
        ring.timer = loop.call_later(LOOK, self._look, interface)
        self._log(f"raw ESP on {interface} comes by {len(fds)} packet ring(s)", False)

    def _look(self, interface: str) -> None:
        ring = self._rings[interface]
        now = self._klips.intake_packets(interface)
        ring.light = ring.light + 1 if now - ring.seen <= LIGHT else 0
        ring.seen = now
        if ring.light >= PATIENCE:
            # For a moment both ways have what comes, and the replay window takes one of each: rather that than a loss.
            ring.ingress.let_pass()
            ring.timer = asyncio.get_running_loop().call_later(SETTLED, self.forget, interface)
            return
        ring.timer = asyncio.get_running_loop().call_later(LOOK, self._look, interface)

    def forget(self, interface: str) -> None:
        """Close an interface's ring, because little comes or its addresses change; the raw sockets get all again."""
        ring = self._rings.pop(interface, None)
        if ring is None:
            return
        if ring.timer:
            ring.timer.cancel()
        ring.ingress.let_pass()
        with suppress(KlipsError):
            self._klips.execute(DetachIntake(interface))
        self._log(f"raw ESP on {interface} comes by the raw sockets again", False)
