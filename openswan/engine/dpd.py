# SPDX-License-Identifier: GPL-2.0-or-later
"""Liveness of peers (RFC 7296 2.4): an empty INFORMATIONAL request when nothing has been heard for dpddelay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.interval import Duration
from openswan.engine.conn import Conn, Kind
from openswan.engine.statedb import ChildState, IkeState
from openswan.engine.timers import Timer
from openswan.ike.events import Probe
from openswan.policy.connection import DpdAction

if TYPE_CHECKING:
    from openswan.engine.brain import Brain


FIRST_WORD: Duration = 30.0
"""As long an initiator may say nothing at all after it has been let in, until it is asked whether it is there."""
LEAST_PATIENCE = 1.0
"""Seconds; a peer may take that long to answer."""
RESTARTING = (DpdAction.RESTART, DpdAction.RESTART_BY_PEER)
"""What dpdaction= says of connections that begin anew when their peer is dead."""
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

    def let_in(self, ike: IkeState) -> None:
        """An initiator has proved itself, and has our proof now: if that is not good enough for it, some say nothing.

        libreswan up to 4.10 says so once and does not repeat it, or not at all. One question makes up for that where
        dpddelay= does not. Whoever has said anything after IKE_AUTH has an SA and is not asked, nor is one of our own
        kind, which does say so.
        """
        if not self.delay(ike) and not ike.closing:
            self.core.after(Timer.LIVENESS, ike.serial, FIRST_WORD, partial(self._first_word, ike))

    def _first_word(self, ike: IkeState) -> None:
        heard = ike.established is None or ike.machine.last_heard > ike.established
        if not ike.closing and not heard and not ike.machine.takes_probes:
            self.brain.ikes.request(ike, Probe())

    def _check(self, ike: IkeState) -> None:
        delay = self.delay(ike)
        silent = self.core.now - ike.machine.last_heard
        if delay and silent < delay - TICK:
            self.core.after(Timer.LIVENESS, ike.serial, delay - silent, partial(self._check, ike))
            return
        if not ike.machine.busy:
            self.brain.ikes.request(ike, Probe(patience=self.patience(ike)))
        self.start(ike)

    def doubt(self, conn: Conn) -> None:
        """Somebody who is not its peer wants to be: ask each that its children are with, unless it is being asked."""
        for ike in {child.ike.serial: child.ike for child in self._children(conn)}.values():
            if not ike.closing and not ike.machine.busy:
                self.brain.ikes.request(ike, Probe(patience=self.patience(ike)))

    def patience(self, ike: IkeState) -> Duration:
        """Seconds a question is repeated: what dpdtimeout= leaves after dpddelay=; 0: as long as any request."""
        conns = [child.conn for child in ike.children.values()] + ([ike.conn] if ike.conn is not None else [])
        left = (c.policy.dpd_timeout - c.policy.dpd_delay for c in conns if c.policy.dpd_delay and c.policy.dpd_timeout)
        return max(min(left, default=0.0), LEAST_PATIENCE) if any(c.policy.dpd_timeout for c in conns) else 0.0

    @staticmethod
    def restarts(conn: Conn) -> bool:
        """Does a connection begin anew when its peer is dead? One that is wanted up does, whatever dpdaction= says."""
        return conn.wanted or conn.restarting or conn.policy.dpd_action in RESTARTING

    def dead(self, conns: Sequence[Conn]) -> None:
        """The peer of these, whose IKE SA has ended, is dead or was reborn: restart_by_peer of one is for all of them.

        Those on other IKE SAs with the peer begin anew beside what they have, unless it has been heard there of late.
        """
        alone = [conn for conn in conns if not conn.children and conn.kind is Kind.PERMANENT]
        if not alone or alone[0].me is None or alone[0].peer is None or self.core.stopping:
            return
        known = self.core.states.pairs.get((alone[0].me, alone[0].peer), {}).values()
        others = [ike for ike in known if ike.established is not None and self._is_silent(ike)]
        sharing = (*alone, *(child.conn for ike in others for child in ike.children.values()))
        lead = next((conn for conn in sharing if conn.policy.dpd_action is DpdAction.RESTART_BY_PEER), None)
        if lead is None:
            return
        if not lead.restarting:
            self.core.say(lead, "DPD: Restarting all connections that share this peer", event="dpd-restart")
        for conn in (lead, *alone):
            conn.restarting = True
        for ike in others:
            self.silent(ike, together=True)

    def _is_silent(self, ike: IkeState) -> bool:
        return self.core.now - ike.machine.last_heard > self.delay(ike)

    def silent(self, ike: IkeState, together: bool = False) -> None:
        """The peer has not answered for a while; `together`: nor on another IKE SA, and all of its connections restart.

        What is to be restarted begins anew beside the old SAs, which carry traffic until the new ones do, it is heard
        again or all hope is lost; host names are looked up again.
        """
        for conn in dict.fromkeys(child.conn for child in ike.children.values() if not child.closing):
            self.brain.network.look_again(conn)
            restart = together or self.restarts(conn)
            if not restart or conn.kind is not Kind.PERMANENT or conn.negotiating or ike.closing:
                continue
            if conn.stranded or conn.away is not None or self._has_another(conn, ike):
                continue  # where it is to be found is not known now, or not to be believed; or this is done already
            if self.brain.negotiator.impossible(conn) is None:
                self.core.say(conn, "DPD: no response from peer, beginning anew beside it", event="dpd-silent")
                ike.doubtful = True
                conn.restarting = conn.restarting or together
                for child in self._children(conn):
                    child.gives_way = child.gives_way or child.ike is ike
                self.brain.negotiator.start(conn)
                conn.beside = conn.negotiating

    def heard(self, ike: IkeState, why: str = "the peer has answered after all") -> None:
        """The silent peer has been heard, or our own address was to blame: what was begun beside its SAs is called off.

        Not so once IKE_AUTH is out, because the peer may have an SA of it: then the older ones give way as foreseen.
        """
        doubted, ike.doubtful = ike.doubtful, False
        if not doubted:
            return
        for conn in dict.fromkeys(child.conn for child in ike.children.values() if not child.closing):
            attempt = self.core.states.tokens.get(conn.beside)
            self.brain.launches.forget(conn)
            conn.restarting = False
            if attempt is not None and conn.negotiating == conn.beside and self._early(attempt):
                self.core.say(conn, f"DPD: {why}, no new SAs are needed", event="dpd-heard")
                self.brain.negotiator.cancel(conn)
            self.keep(conn)

    @staticmethod
    def _early(attempt: IkeState) -> bool:
        """Has IKE_AUTH not yet gone out?"""
        return attempt.established is None and not attempt.machine.proving

    def keep(self, conn: Conn) -> None:
        """SAs of a peer that lives stay, when nothing is there or under way that was begun beside them."""
        if conn.beside and conn.negotiating == conn.beside:
            return
        for child in self._children(conn):
            if child.gives_way and not child.ike.doubtful and not self._has_another(conn, child.ike):
                child.gives_way = False

    def _children(self, conn: Conn) -> list[ChildState]:
        found = (self.core.states.children.get(serial) for serial in conn.children)
        return [child for child in found if child is not None and not child.closing]

    def _has_another(self, conn: Conn, ike: IkeState) -> bool:
        """Is there a child on another IKE SA that stays?"""
        return any(child.ike is not ike and not child.gives_way for child in self._children(conn))

    def alive(self, ike: IkeState) -> None:
        """The peer has answered."""
        self.start(ike)
