# SPDX-License-Identifier: GPL-2.0-or-later
"""Lifetimes: when an SA is replaced and when it ends (rekeymargin, rekeyfuzz, ikelifetime, salifetime, rekey=no)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.entropy import Rng, uniform
from openswan.base.interval import Duration
from openswan.base.log import Rc
from openswan.base.said import Said
from openswan.engine.conn import Conn
from openswan.engine.names import CHILD_STAGES, WORDS
from openswan.engine.pairs import LOOK_AT_USE
from openswan.engine.statedb import ChildState, IkeState
from openswan.engine.timers import Timer
from openswan.ike.effects import Gone
from openswan.ike.events import RekeyChild, RekeyIke, Request
from openswan.policy.connection import Connection
from openswan.wire.v2.numbers import NotifyType

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

AGAIN = 10.0
"""Seconds after which a rekeying that was refused is tried again, as long as the SA lives."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds from now: when to replace (None: never) and when to end an SA."""

    replace: Duration | None
    expire: Duration


def schedule(policy: Connection, lifetime: Duration, initiator: bool, rng: Rng, lazy: bool = False) -> Schedule:
    """Replace at lifetime minus margin, the margin enlarged by a random part of the fuzz.

    A responder waits until half its margin is left, so that normally the initiator comes first and rekeyings seldom
    collide. A margin that does not fit into the lifetime is cut down to half of it. `lazy`: rekey=no does not keep it
    from being looked at then, see Lifetimes.
    """
    if not policy.rekey and not lazy:
        return Schedule(None, lifetime)
    margin = policy.rekey_margin * (1.0 + uniform(rng, 0.0, policy.rekey_fuzz))
    if not initiator:
        margin /= 2
    return Schedule(lifetime - min(margin, lifetime / 2), lifetime)


class Lifetimes:
    """The rekey and expiry deadlines of all SAs.

    Those of policy groups are replaced while their pair carries packets, and let go else, whatever rekey= says.
    """

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core

    def start_ike(self, ike: IkeState, age: Duration = 0.0) -> None:
        """An IKE SA is established, or was so long ago and is in use again."""
        if ike.conn is None:
            return
        life = self.brain.dialects[ike.version].life(ike)
        lazy = ike.conn.group is not None
        plan = schedule(ike.conn.policy, life, ike.initiator, self.core.rng, lazy)
        if plan.replace is not None:
            wait = max(plan.replace - age, 0.0)
            self.core.after(Timer.REKEY_IKE, ike.serial, wait, partial(self._rekey_ike, ike))
        self.core.after(Timer.EXPIRE_IKE, ike.serial, max(plan.expire - age, 0.0), partial(self._expire_ike, ike))

    def start_child(self, child: ChildState) -> None:
        """A child SA is installed."""
        life = self.brain.dialects[child.ike.version].child_life(child)
        lazy = child.conn.group is not None
        plan = schedule(child.conn.policy, life, child.initiator, self.core.rng, lazy)
        if plan.replace is not None and not child.redundant:
            self.core.after(Timer.REKEY_CHILD, child.serial, plan.replace, partial(self._due, child))
        self.core.after(Timer.EXPIRE_CHILD, child.serial, plan.expire, partial(self._expire_child, child))

    def _rekey_ike(self, ike: IkeState) -> None:
        if ike.closing or ike.conn is None:
            return
        if ike.conn.group is not None and not any(map(self._worth_it, ike.children.values())):
            self.core.after(Timer.REKEY_IKE, ike.serial, LOOK_AT_USE, partial(self._rekey_ike, ike))
            return
        self.brain.dialects[ike.version].renew(ike)

    def _worth_it(self, child: ChildState) -> bool:
        """Is a child to be replaced? One of a policy group is when its pair carries packets."""
        return child.conn.group is None or self.brain.pairs.busy(child.conn)

    def _due(self, child: ChildState) -> None:
        if self._worth_it(child):
            self.rekey_child(child)
        elif not child.closing:
            self.core.after(Timer.REKEY_CHILD, child.serial, LOOK_AT_USE, partial(self._due, child))

    def not_renewed(self, ike: IkeState, reason: str) -> None:
        """No other IKE SA could be begun in its place, or it came to nothing: again as long as this one lives."""
        if not ike.closing and ike.serial in self.core.states.ikes:
            self._tell(ike, f"rekeying of the {WORDS[ike.version].ike} failed: {reason}")
            self.core.after(Timer.REKEY_IKE, ike.serial, AGAIN, partial(self._rekey_ike, ike))

    def rekey_child(self, child: ChildState) -> None:
        """Replace a child now."""
        if child.closing or child.ike.closing:
            return
        token, text = 0, "rekeying child SA"
        if child.ike.version == 1:
            if child.conn.newest_child not in (0, child.serial):
                # Another has taken over, and may yet end before this one does.
                self.core.after(Timer.REKEY_CHILD, child.serial, AGAIN, partial(self.rekey_child, child))
                return
            token, text = self.core.states.serial(), f"rekeying state ({CHILD_STAGES[1, child.initiator][0]})"
            self.core.states.renewals.pop(child.renewal, None)
            self.core.states.renewals[token], child.renewal = child.conn, token
        self.core.say(child.conn, text, Rc.LOG, child.serial, event="child-rekey")
        self.brain.ikes.request(child.ike, RekeyChild(child.spi_in, token))

    def _expire_ike(self, ike: IkeState) -> None:
        if ike.conn is not None:
            text = self._over(ike.version, WORDS[ike.version].ike, ike.conn, ike.serial, ike.conn.newest_ike)
            self.core.say(ike.conn, text, Rc.LOG, ike.serial, event="ike-expired")
        # What is wanted comes up again on a new IKE SA.
        conns = {child.conn for child in ike.children.values() if not child.closing}
        self.brain.ikes.close(ike)
        for conn in conns:
            for serial in list(conn.children):
                child = self.core.states.children.get(serial)
                if child is not None and child.ike is ike:
                    self.brain.children.close(child)
            if conn.wanted and not conn.children:
                self.brain.negotiator.start(conn)

    def _expire_child(self, child: ChildState) -> None:
        if child.closing:
            return
        version, conn = child.ike.version, child.conn
        text = self._over(version, WORDS[version].child, conn, child.serial, conn.newest_child)
        self.core.say(conn, text, Rc.LOG, child.serial, event="child-expired")
        failed = child.conn.policy.rekey and not child.ike.closing and child.conn.newest_child == child.serial
        if failed and child.ike.version == 2:
            # Rekeying has failed for all of the margin: the two ends no longer understand each other, and whatever else
            # is on this IKE SA goes with it (RFC 7296 2.8).
            self._expire_ike(child.ike)
            return
        self._end(child)

    @staticmethod
    def _over(version: int, what: str, conn: Conn, serial: int, newest: int) -> str:
        """That an SA has expired, in the words of its version."""
        why = (
            f"superseded by #{newest}"
            if newest not in (0, serial)
            else "LATEST!"
            if conn.policy.rekey
            else "--dontrekey"
        )
        return WORDS[version].over.format(what=what, why=why)

    def over(self, child: ChildState) -> None:
        """Another child has taken over, unless it has ended meanwhile: close this one."""
        if not child.closing and child.conn.newest_child != child.serial:
            self.brain.dialects[child.ike.version].part(child)
            self._end(child, Gone.REPLACED)

    def _end(self, child: ChildState, reason: Gone = Gone.LOCAL) -> None:
        conn = child.conn
        self.brain.children.close(child, reason)
        if conn.wanted and not conn.children:
            self.brain.negotiator.start(conn)

    def failed(self, ike: IkeState, request: Request, reason: str, notify: int = 0) -> None:
        """A rekeying came to nothing; it is tried again until the SA's time is over."""
        rekeying = isinstance(request, RekeyIke | RekeyChild) and not ike.closing
        if rekeying and notify == NotifyType.NO_ADDITIONAL_SAS and self.brain.negotiator.elsewhere(ike):
            self._tell(ike, "the peer makes no further SA on this IKE SA: a new one takes over")
            return
        if isinstance(request, RekeyIke):
            self.not_renewed(ike, reason)
        elif isinstance(request, RekeyChild):
            child = self.core.states.by_esp.get(request.spi_in)
            if child is not None and not child.closing and ike.version == 2 and ike.machine.ended:
                # It goes with its IKE SA. Whoever waits goes on waiting for what then becomes of the conn, unless
                # another child carries its traffic.
                self.core.say(child.conn, f"child SA #{child.serial} is not rekeyed: {reason}", Rc.LOG, ike.serial)
                if any(self.core.states.children[serial].ike is not ike for serial in child.conn.children):
                    self.core.release(child.conn)
            elif child is not None and not child.closing:
                what = "state" if ike.version == 1 else "child"
                self._tell(ike, f"rekeying of {what} #{child.serial} failed: {reason}", child)
                self.core.release(child.conn)
                self.core.after(Timer.REKEY_CHILD, child.serial, AGAIN, partial(self.rekey_child, child))

    def _tell(self, ike: IkeState, text: str, child: ChildState | None = None) -> None:
        conn = child.conn if child is not None else ike.conn
        if conn is not None:
            clients = conn.clients if child is not None else ()
            self.core.say(conn, text, Rc.LOG_SERIOUS, ike.serial, clients, "rekey-failed")

    def spent(self, said: Said, hard: bool) -> None:
        """The packet engine says an SA has used up its sequence numbers, or nearly so."""
        for child in list(self.core.states.children.values()):
            if said in (child.said_in, child.said_out) and not child.closing:
                if hard:
                    self._end(child)
                else:
                    self.rekey_child(child)
