# SPDX-License-Identifier: GPL-2.0-or-later
"""IKE SAs that take another one's place: by rekeying, or as an ISAKMP SA that came up by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openswan.base.log import Rc
from openswan.engine.statedb import IkeState
from openswan.engine.timers import Timer
from openswan.ike.effects import IkeRekeyed, NewSuccessor
from openswan.ike.v1.effects import IsakmpReplaced

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


class Successions:
    """What an IKE SA has is handed over, and what is left of it only answers."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    def begun(self, ike: IkeState, effect: NewSuccessor) -> None:
        """A machine has agreed on one that is to take its place, which is known from now on."""
        core = self.core
        machine = effect.successor
        successor = IkeState(core.states.serial(), machine, ike.initiator, core.now, ike.conn, established=core.now)
        successor.born = ike.born
        core.states.add_ike(successor)
        self.brain.ikes.run(successor, ())

    def rekeyed(self, ike: IkeState, effect: IkeRekeyed) -> None:
        """It has taken its place: what the older one carries is its own."""
        core = self.core
        successor = core.states.by_machine.get(id(effect.successor))
        if successor is None:
            return
        successor.initiator = effect.initiator
        self._hand_over(ike, successor)
        core.states.inherit(ike, successor)
        self.brain.streams.follow(successor)
        core.leases.move(ike.serial, successor.serial)
        self._retire(ike)
        if successor.conn is not None:
            successor.conn.newest_ike = successor.serial
            core.say(successor.conn, f"IKE SA #{ike.serial} rekeyed", Rc.LOG, successor.serial, event="ike-rekeyed")
        self.brain.lifetimes.start_ike(successor)
        self.brain.liveness.start(successor)
        self.brain.ikes.start_keepalive(successor)

    def _retire(self, ike: IkeState) -> None:
        """Nothing is wanted of it any more but answers."""
        ike.closing = True
        self.core.states.unshare(ike)
        for timer in (Timer.REKEY_IKE, Timer.EXPIRE_IKE, Timer.LIVENESS, Timer.KEEPALIVE):
            self.core.timers.cancel((timer, ike.serial))

    def replaced(self, ike: IkeState, effect: IsakmpReplaced) -> None:
        """An ISAKMP SA has given what it had to one that came up by itself; later what came since."""
        successor = self.core.states.by_machine.get(id(effect.successor))
        if successor is None:
            return
        self._hand_over(ike, successor)
        ike.heir = successor
        if not ike.closing:
            self._retire(ike)
            if successor.closing:
                self._revive(successor)
            before = (*successor.before, *ike.before, ike)
            ike.before = []
            successor.before = [one for one in before if one is not successor and not one.machine.ended]
            for conn in {one for one in (ike.conn, successor.conn) if one is not None}:
                conn.newest_ike = successor.serial
        self.brain.ikes.arm(successor)

    def _revive(self, ike: IkeState) -> None:
        """The peer has ended the ISAKMP SA that had taken its place: it is in use again, for the rest of its life."""
        machine, conn = ike.machine, ike.conn
        ike.closing, ike.heir = False, None
        if conn is not None:
            self.core.states.share(ike, machine.local.address, machine.remote.address, conn.signature)
        self.brain.lifetimes.start_ike(ike, self.core.now - (ike.established or self.core.now))
        self.brain.liveness.start(ike)
        self.brain.ikes.start_keepalive(ike)

    def _hand_over(self, ike: IkeState, successor: IkeState) -> None:
        """What `ike` carries and what was asked of it belongs to `successor` from now on."""
        states = self.core.states
        for child in list(ike.children.values()):
            states.move_child(child, successor)
        for token, conn in list(ike.attempts.items()):
            states.end(token)
            states.begin(successor, token, conn)
