# SPDX-License-Identifier: GPL-2.0-or-later
"""Inbound SAs whose pair has been replaced: they take what is still under way, then go.

In IKEv1 nobody acknowledges a Delete (RFC 2408 3.15): a peer that has not had it goes on sending. As long as packets
come the SA stays, for a while, and the Delete is said again; so nothing is lost when both of two Deletes were.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.engine.conn import Conn
from openswan.engine.effects import CountPackets
from openswan.engine.events import PacketsCounted
from openswan.engine.settings import LINGER
from openswan.engine.statedb import ChildState
from openswan.engine.timers import Timer
from openswan.ike.events import Tell
from openswan.plane.commands import DelSa
from openswan.wire.v2.numbers import NotifyType, ProtocolId

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

MOST: Duration = 60.0
"""How long a peer that goes on sending is listened to."""


@dataclass(slots=True)
class Watched:
    """A child whose peer may not have heard that it has ended."""

    child: ChildState
    until: Instant
    received: int = -1
    """Packets that had come when it was last looked at; -1: not yet known."""


class Lingering:
    """What has been replaced and still receives."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.watched: dict[int, Watched] = {}
        """By serial."""

    def start(self, child: ChildState, expires: Instant | None) -> None:
        """A child has been replaced; at `expires` its life would have been over anyway."""
        self.core.states.lingering.add(child.spi_in)
        if child.ike.version == 1 and child.chosen.protocol is ProtocolId.ESP:
            until = self.core.now + MOST
            self.watched[child.serial] = Watched(child, until if expires is None else min(until, expires))
            self._count(child)
        self.core.after(Timer.LINGER, child.spi_in, LINGER, partial(self._over, child))

    def _over(self, child: ChildState) -> None:
        """Its time is up, unless it turns out to be in use; an engine that does not say so has no such SA."""
        if child.serial not in self.watched:
            self._end(child)
            return
        self.core.after(Timer.LINGER, child.spi_in, LINGER, partial(self._end, child))
        self._count(child)

    def _count(self, child: ChildState) -> None:
        self.core.emit(CountPackets(child.serial, child.said_out, child.said_in))

    def counted(self, event: PacketsCounted) -> bool:
        """How much an SA has carried; False when it is none of these."""
        watched = self.watched.get(event.token)
        if watched is None:
            return False
        before, watched.received = watched.received, event.received
        child = watched.child
        if before < 0:
            return True
        if event.received == before or self.core.now >= watched.until:
            self._end(child)
            return True
        self.core.after(Timer.LINGER, child.spi_in, LINGER, partial(self._over, child))
        ike = self.core.states.established_between(child.local.address, child.remote.address)
        if ike is not None and ike.version == 1:
            text = f"the peer still sends on #{child.serial}, which has been replaced: saying Delete once more"
            self.core.say(child.conn, text, Rc.LOG, child.serial, event="delete-again")
            self.brain.ikes.request(ike, Tell(NotifyType.INVALID_SPI, child.spi_in.to_bytes(4, "big")))
        return True

    def stop(self, conn: Conn) -> None:
        """The operator wants it down: whatever the peer still sends is not let in."""
        for watched in [one for one in self.watched.values() if one.child.conn is conn]:
            self._end(watched.child)

    def _end(self, child: ChildState) -> None:
        self.core.timers.cancel((Timer.LINGER, child.spi_in))
        self.watched.pop(child.serial, None)
        self.core.states.lingering.discard(child.spi_in)
        self.close(child)

    def close(self, child: ChildState) -> None:
        """Nothing is received by it any more."""
        self.core.klips(DelSa(child.said_in))
        if child.comp_in is not None:
            self.core.klips(DelSa(child.comp_in))
            self.core.states.cpis.discard(child.comp_in.spi)
