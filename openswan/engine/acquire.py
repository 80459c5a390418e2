# SPDX-License-Identifier: GPL-2.0-or-later
"""First packets: a trapped packet is held, a negotiation begins, and further packets of the connection join it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openswan.base.log import Rc
from openswan.engine.conn import Conn
from openswan.engine.routing import RouteEvent
from openswan.engine.timers import Timer
from openswan.ike.events import Tell
from openswan.plane.events import Acquire, UnknownSpi
from openswan.policy.selector import Selector
from openswan.wire.v2.numbers import NotifyType

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

UNKNOWN_SPI_PAUSE = 5.0
"""Seconds between two reactions to unknown ESP from one peer."""
UNKNOWN_SPI_PEERS = 256
MOST_FORGONE = 1024
"""SPIs remembered of SAs that were taken down here."""


class Acquires:
    """From packets to negotiations."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.reacted: dict[object, float] = {}
        self.told: dict[object, float] = {}
        self.forgone: dict[int, None] = {}
        """SPIs of SAs that were taken down here, in that order."""

    def acquire(self, event: Acquire) -> None:
        """A packet met %trap and is held by the packet engine; all of the connection's traffic is held from now on."""
        conn = self.brain.router.eroutes.get(event.trap) or self.core.conns.unique.get(event.owner)
        if conn is None or conn.never:
            self.core.log(f"nobody owns the trap {event.trap} that {event.flow} met", True, "acquire-orphan")
            return
        if conn.group is not None:
            self.brain.pairs.packet(conn.template or conn, event)
            return
        self.brain.router.happen(conn, RouteEvent.ACQUIRE)
        if conn.negotiating or conn.children or self.core.timers.when((Timer.RETRY, conn.unique)) is not None:
            return
        problem = self.brain.negotiator.impossible(conn)
        if problem is not None:
            self.core.say(conn, f"{event.flow}: {problem[1]}", Rc.LOG_SERIOUS, event="cannot-initiate")
            return
        self.core.say(conn, f"initiate on demand for {event.flow}", Rc.LOG, event="acquire")
        flow = event.flow
        conn.trigger = (
            Selector.of(flow.src, flow.protocol, flow.src_port),
            Selector.of(flow.dst, flow.protocol, flow.dst_port),
        )
        self.brain.negotiator.start(conn)

    def forgo(self, spi_in: int) -> None:
        """An SA is taken down because nobody here wants it: what is still under way by it is no reason for another."""
        if len(self.forgone) >= MOST_FORGONE:
            del self.forgone[next(iter(self.forgone))]
        self.forgone[spi_in] = None

    def unknown_spi(self, event: UnknownSpi) -> None:
        """ESP under an SPI we do not know: a peer that did not notice our restart. A tunnel we want is begun at once;
        its INITIAL_CONTACT makes the peer forget the old one."""
        peer = event.remote.address
        self._tell(event)
        if event.spi in self.forgone:
            return
        for conn in self._permanent(event):
            if conn.children or conn.negotiating or not (conn.wanted or conn.on_demand):
                continue
            if self.reacted.get(peer, -UNKNOWN_SPI_PAUSE) + UNKNOWN_SPI_PAUSE > self.core.now:
                return
            if len(self.reacted) >= UNKNOWN_SPI_PEERS:
                self.reacted.clear()
            self.reacted[peer] = self.core.now
            self.core.say(conn, f"{peer} sends ESP with unknown SPI 0x{event.spi:08x}", Rc.LOG, event="unknown-spi")
            if self.brain.negotiator.impossible(conn) is None:
                self.brain.negotiator.start(conn)
            return

    def _tell(self, event: UnknownSpi) -> None:
        """The peer is told: within an IKE SA, so that its log says why nothing comes through (RFC 7296 2.21.4); where
        there is none it learns that there is none."""
        pair = (event.local.address, event.remote.address)
        if self.told.get(pair, -UNKNOWN_SPI_PAUSE) + UNKNOWN_SPI_PAUSE > self.core.now:
            return
        ike = self.core.states.established_between(*pair)
        if len(self.told) >= UNKNOWN_SPI_PEERS:
            self.told.clear()
        self.told[pair] = self.core.now
        if ike is not None:
            self.brain.ikes.request(ike, Tell(NotifyType.INVALID_SPI, event.spi.to_bytes(4, "big")))
        else:
            self.brain.demux.tell_unknown_spi(event.local, event.remote, event.spi)

    def _permanent(self, event: UnknownSpi) -> list[Conn]:
        """Connections of that very host pair; never %any ones."""
        answering = self.core.conns.pairs.get((event.local.address, event.remote.address))
        return [conn for group in answering.groups.values() for conn in group.values()] if answering else []
