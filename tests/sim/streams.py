# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP connections of the simulated network: nothing is lost in them, but they can be refused and broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openswan.base.address import Address, Endpoint
from openswan.engine.effects import OpenStream
from openswan.engine.events import StreamOpened, StreamRefused
from openswan.plane.events import IkeDatagram, StreamClosed
from tests.sim.net import Net

if TYPE_CHECKING:
    from tests.sim.pair import SimHost

DELAY = 0.01


class Streams:
    """All of them."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.hosts: dict[Address, SimHost] = {}
        self.open_ones: dict[tuple[Endpoint, Endpoint], int] = {}
        """(local, remote) of both ends, and which connection it is."""
        self.made = 0
        self.short = False
        """Every connection is broken as soon as it is there."""

    def there(self, local: Endpoint, remote: Endpoint) -> bool:
        """Is there such a connection?"""
        return (local, remote) in self.open_ones

    def open(self, host: SimHost, effect: OpenStream) -> None:
        """A host connects to another one."""
        self.made += 1
        local = Endpoint(effect.local, 40000 + self.made, stream=True)
        peer = self.hosts.get(effect.remote.address)

        def answer() -> None:
            if peer is None or not peer.listens_tcp or {local.address, effect.remote.address} & self.net.cut:
                host.post(StreamRefused(effect.token, "Connection refused"))
                return
            for ends in ((local, effect.remote), (effect.remote, local)):
                self.open_ones[ends] = self.made
            host.post(StreamOpened(effect.token, local, effect.remote))
            if self.short:
                self.close(local, effect.remote)

        self.net.at(self.net.now + DELAY, answer)

    def send(self, local: Endpoint, remote: Endpoint, data: Any) -> None:
        """A host sends an IKE message."""
        number = self.open_ones.get((local, remote))

        def arrive() -> None:
            if number is not None and self.open_ones.get((remote, local)) == number:
                self.hosts[remote.address].post(IkeDatagram(remote, local, data))

        self.net.at(self.net.now + DELAY, arrive)

    def close(self, local: Endpoint, remote: Endpoint, by: SimHost | None = None) -> None:
        """A host closes its end, what it has sent arrives before; or (None) the network breaks it."""
        self.net.at(self.net.now + (2 * DELAY if by else 0), lambda: self._end(local, remote, by))

    def _end(self, local: Endpoint, remote: Endpoint, by: SimHost | None) -> None:
        for ends in ((local, remote), (remote, local)):
            if self.open_ones.pop(ends, None) is not None and (host := self.hosts[ends[0].address]) is not by:
                host.post(StreamClosed(*ends, "closed by the peer or the network"))

    def break_all(self) -> None:
        """A middlebox forgets them all."""
        for local, remote in list(self.open_ones):
            self.close(local, remote)
