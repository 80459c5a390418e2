# SPDX-License-Identifier: GPL-2.0-or-later
"""Pacing of our own bursts: only so many IKE SAs are begun at once, the next ones as those are up.

Hundreds of first messages in one breath fill a peer's buffers, and what is lost comes again half a second later on
the rest. A peer that does not answer holds its place for that half second only.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from openswan.base.interval import Duration
from openswan.engine.conn import Conn, Kind
from openswan.engine.statedb import IkeState
from openswan.engine.timers import Timer

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

AT_ONCE = 48
"""IKE SAs that may be under way."""
PATIENCE: Duration = 0.5
"""How long one counts that is not up yet, at least: then its request is repeated anyway."""
MOST_PATIENCE: Duration = 4.0
"""Peers that have much to do answer late; asking again sooner makes it worse."""
WEIGHT = 0.2
"""Of the latest set-up among those before."""


class Launches:
    """IKE SAs we have just begun, and connections that wait for their turn."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.running: set[int] = set()
        """Serials of IKE SAs."""
        self.typical: Duration = 0.0
        """How long peers take of late for their part of a set-up."""
        self.waiting: dict[str, Conn] = {}
        """By unique name, in order."""

    def room(self, conn: Conn) -> bool:
        """May an IKE SA for `conn` begin now? If not it will, by itself."""
        if len(self.running) < AT_ONCE:
            self.waiting.pop(conn.unique, None)
            return True
        self.waiting[conn.unique] = conn
        return False

    @property
    def patience(self) -> Duration:
        """How long an answer is waited for at first, and a place is kept: twice what a set-up takes of late."""
        return min(max(PATIENCE, 2 * self.typical), MOST_PATIENCE)

    def begun(self, serial: int) -> None:
        """An IKE SA is under way."""
        self.running.add(serial)
        self.core.after(Timer.LAUNCH, serial, self.patience, partial(self.over, serial))

    def up(self, ike: IkeState) -> None:
        """It is up: the next one may begin.

        Which of several repetitions was answered cannot be told (RFC 6298 3). The last one is taken for it: on a line
        that loses it is right, and where answers are late it is too little, but enough for the next request to be
        repeated later, until one is answered that was not repeated.
        """
        if ike.initiator:
            answered = ike.machine.answered_after
            took = self.core.now - ike.started if answered is None else answered
            self.typical += WEIGHT * (took - self.typical)
        self.over(ike.serial)

    def over(self, serial: int) -> None:
        """It is up, has failed, or has had its time: the next one may begin."""
        if serial not in self.running:
            return
        self.running.remove(serial)
        self.core.timers.cancel((Timer.LAUNCH, serial))
        while self.waiting and len(self.running) < AT_ONCE:
            conn = self.waiting.pop(next(iter(self.waiting)))
            if self._still(conn) and self.brain.negotiator.impossible(conn) is None:
                self.brain.negotiator.start(conn)

    def _still(self, conn: Conn) -> bool:
        """Does it still need what it waits for?"""
        if conn.kind is Kind.GOING_AWAY or not (conn.wanted or conn.on_demand):
            return False
        children = (self.core.states.children.get(serial) for serial in conn.children)
        return all(child is None or child.gives_way for child in children)

    def forget(self, conn: Conn) -> None:
        """It is not wanted any more."""
        self.waiting.pop(conn.unique, None)
