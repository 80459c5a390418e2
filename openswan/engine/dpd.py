# SPDX-License-Identifier: GPL-2.0-or-later
"""Liveness of peers (RFC 7296 2.4): an empty INFORMATIONAL request when nothing has been heard for dpddelay."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from openswan.base.interval import Duration
from openswan.engine.statedb import IkeState
from openswan.engine.timers import Timer
from openswan.ike.events import Probe

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


TICK = 0.01
"""Seconds; nearer than this a deadline counts as reached, whatever rounding says."""


class Liveness:
    """Asks silent peers whether they are alive; no answer ends the IKE SA, then dpdaction= applies to its children."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    @staticmethod
    def delay(ike: IkeState) -> Duration:
        """The shortest dpddelay of the connections on an IKE SA; 0: none asks."""
        conns = [child.conn for child in ike.children.values()] + ([ike.conn] if ike.conn is not None else [])
        return min((conn.policy.dpd_delay for conn in conns if conn.policy.dpd_delay > 0), default=0.0)

    def start(self, ike: IkeState) -> None:
        """Look at this peer again after its delay."""
        delay = self.delay(ike)
        if delay and not ike.closing:
            self.core.after(Timer.LIVENESS, ike.serial, delay, partial(self._check, ike))

    def _check(self, ike: IkeState) -> None:
        delay = self.delay(ike)
        silent = self.core.now - ike.machine.last_heard
        if delay and silent < delay - TICK:
            self.core.after(Timer.LIVENESS, ike.serial, delay - silent, partial(self._check, ike))
            return
        if not ike.machine.busy:
            self.brain.ikes.request(ike, Probe())
        self.start(ike)

    def alive(self, ike: IkeState) -> None:
        """The peer has answered."""
        self.start(ike)
