# SPDX-License-Identifier: GPL-2.0-or-later
"""How IKE SAs end: for a newer one, or they fail, go, are forgotten; whoever waited for something hears of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from openswan.base.log import Rc
from openswan.engine import versions
from openswan.engine.negotiate import REBORN
from openswan.engine.statedb import IkeState
from openswan.engine.timers import Timer
from openswan.ike.effects import Forget, Gone, IkeFailed, IkeGone
from openswan.ike.events import DeleteChild, DeleteIke, Probe
from openswan.ike.v1.effects import InitialContact
from openswan.wire.v2.numbers import NotifyType

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

PARTING = 4.0
"""Seconds at most that a peer has to say that it has heard of its refusal,"""
PARTED = 0.2
"""and has after that to take away what kept packets in clear out."""


class Endings:
    """The end of each, whoever brings it about."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    # -- because a newer one is there ---------------------------------------------------------------------------------

    def contacted(self, ike: IkeState, effect: InitialContact) -> None:
        """INITIAL_CONTACT after the IKE SA has come up; with a child on it it counts at once."""
        ike.first_contact = self.core.settings.uniqueids
        if ike.children:
            self.first_contact(ike)

    def first_contact(self, ike: IkeState) -> None:
        """The new IKE SA carries a child.

        The peer remembers nothing older (RFC 7296 2.4): SAs that were up before it asked are dead on its side.

        Those that came up while it was asking are spared: when both ends begin at once both say INITIAL_CONTACT.
        """
        if not ike.first_contact:
            if self.core.settings.uniqueids:
                self._displace(ike)
            return
        ike.first_contact = False
        for child in list(ike.children.values()):
            if child.established < ike.started:  # it had come from an older one when the peer said so
                self.brain.ikes.request(ike, DeleteChild(child.spi_in))
        for other in self._older(ike):
            self._end(other, "peer says INITIAL_CONTACT on a newer SA, deleting this one")

    def _displace(self, ike: IkeState) -> None:
        """The peer has not said so, but may mean it all the same."""
        for other in self._older(ike):
            if self.brain.dialects[ike.version].displaces(ike, other):
                where = ike.machine.remote.address
                self._end(other, f"its peer has come up at {where} (uniqueids=yes), deleting this one")

    def _older(self, ike: IkeState) -> list[IkeState]:
        """IKE SAs with the same peer that were up before this one was begun, but for those held to another key."""
        older = [
            other
            for other in self.core.states.with_same_peer(ike)
            if other is not ike and not other.closing and other.born is not None and other.born < ike.started
        ]
        return [other for other in older if not self.brain.pairs.spares(other, ike)]

    def _end(self, ike: IkeState, why: str) -> None:
        if ike.conn is not None:
            self.core.say(ike.conn, why, Rc.LOG, ike.serial)
        self.brain.ikes.close(ike)

    # -- by themselves ------------------------------------------------------------------------------------------------

    def failed(self, ike: IkeState, effect: IkeFailed) -> None:
        """It has not come up, or its peer has refused what counts."""
        ike.failed = True
        self.core.states.unshare(ike)
        if effect.timeout and self.brain.streams.unanswered(ike):
            return
        if ike.conn is None:
            remote = ike.machine.remote
            self.core.log(
                f"packet from {remote.address}:{remote.port}: negotiation failed: {effect.reason}",
                True,
                event="ike-failed",
            )
        elif not ike.initiator:
            self.core.say(
                ike.conn, f"negotiation failed: {effect.reason}", Rc.LOG_SERIOUS, ike.serial, (), event="ike-failed"
            )
        if ike.version == 1 and ike.conn is not None and effect.notify == NotifyType.AUTHENTICATION_FAILED:
            ike.conn.credentials = None  # the operator is asked again; the number is the same in both versions
        versions.failed(self.core, ike, effect)
        if ike.initiator and ike.conn is not None and ike.conn.group is not None and ike.machine.busy:
            # The peer believes in an SA, and takes nothing in clear, until it has heard our Delete.
            ike.reason = effect.reason
            self.brain.pairs.parting(ike.conn, self.core.now + PARTING + PARTED)
            self.core.after(Timer.PARTING, ike.serial, PARTING, partial(self.fail_attempts, ike, effect.reason))
        else:
            self.fail_attempts(ike, effect.reason)
        if ike.replaces is not None:
            self.brain.lifetimes.not_renewed(ike.replaces, effect.reason)

    def fail_attempts(self, ike: IkeState, reason: str) -> None:
        """Whatever was asked of this IKE SA will not come; its machine has said why."""
        for token, conn in list(ike.attempts.items()):
            self.core.states.end(token)
            self.brain.negotiator.failed(conn, token, reason, told=True)

    def gone(self, ike: IkeState, effect: IkeGone) -> None:
        """It is over: those whose tunnels it carried may begin anew."""
        self.core.states.unshare(ike)
        self.core.leases.release(ike.serial)
        ike.closing = True
        if not ike.reason:
            self.fail_attempts(ike, effect.reason.value)
        self.brain.ikes.later += [(one, DeleteIke()) for one in ike.before if not one.machine.ended]
        orphans, ike.orphans = list(dict.fromkeys(ike.orphans)), []
        if effect.reason in REBORN:
            self.brain.liveness.dead(orphans)
        for conn in orphans:
            self.brain.negotiator.aftermath(conn, effect.reason)
        if effect.reason is Gone.UNKNOWN_TO_PEER:
            self._doubt_others(ike)

    def _doubt_others(self, ike: IkeState) -> None:
        """Who has proved that it lost an IKE SA will have lost those beside it too, whether packets say so or not: it
        is asked, however lately it was."""
        where = ike.machine.local.address, ike.machine.remote.address
        for other in list(self.core.states.pairs.get(where, {}).values()):
            if other is not ike and other.machine.is_established and not other.machine.busy:
                self.brain.ikes.later.append((other, Probe()))

    def forget(self, ike: IkeState, effect: Forget) -> None:
        """Its machine has nothing to say any more either."""
        core = self.core
        self.brain.launches.over(ike.serial)
        core.timers.cancel((Timer.PARTING, ike.serial))
        if ike.reason and ike.attempts:
            core.after(Timer.PARTING, ike.serial, PARTED, partial(self.fail_attempts, ike, ike.reason))
        else:
            self.fail_attempts(ike, "the IKE SA ended")
        core.states.remove_ike(ike)
        self.brain.streams.forget(ike)
        core.leases.release(ike.serial)
        for timer in (
            Timer.IKE,
            Timer.REKEY_IKE,
            Timer.EXPIRE_IKE,
            Timer.LIVENESS,
            Timer.KEEPALIVE,
        ):
            core.timers.cancel((timer, ike.serial))
        if ike.conn is not None:
            if ike.conn.newest_ike == ike.serial:
                ike.conn.newest_ike = 0
            self.brain.negotiator.dissolve(ike.conn)
