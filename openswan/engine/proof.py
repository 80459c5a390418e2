# SPDX-License-Identifier: GPL-2.0-or-later
"""Does ESP pass at all? Nothing that comes in where something must, while IKE is answered, means that it does not.

    peer of our own kind ──► dummy packets each way ──► count ──► something has come in: proven
                                                          │
    another, without UDP ──► look at its counters ────────┤       nothing has gone out: look again, less and less often
                                                          │
                                                          └─► nothing came ──► ask by IKE ──► answered
                                                                                                 │
                                             what went out since then is lost too: ESP is blocked ◄┘

What is blocked goes into UDP instead, and from UDP into TCP (enable-tcp=fallback), as far as the conn allows.

Dummy packets (RFC 4303 2.6) are encrypted like any other and dropped without a word. Each of two gateways of our kind
sends some by every new child, so each knows whether the other's arrive: an idle tunnel is proven both ways. Other peers
send none, and echoes inside the tunnel are not ours to send; with them the traffic itself is the probe. A flow in one
direction only looks like a blocked one there: it gets UDP for nothing, once. What went out before such a peer had
answered does not count: a slow one (IKEv1's has no answer to its last message) may not have been ready for it.

Nor can what reaches a gateway be answered while its updown commands run: it has no route yet. If that takes seconds, it
sends such a peer dummies itself once something has come in, which shows that ESP passes, both ways; not before, so that
what is blocked is noticed as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from openswan.base.interval import Duration, Instant
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind
from openswan.engine.effects import CountPackets
from openswan.engine.events import PacketsCounted
from openswan.engine.statedb import ChildState
from openswan.engine.timers import Timer
from openswan.ike.events import Probe
from openswan.plane.commands import SendDummy
from openswan.wire.v2.numbers import ProtocolId

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

TRIES: tuple[Duration, ...] = (0.3, 0.5, 0.5, 1.0, 2.0, 4.0, 4.0)
"""Seconds before each dummy packet, and after the last, when one of the peer's has come even where a third is lost."""
PROMPT: Duration = 4.0
"""Seconds in which a peer that is there answers IKE; what was lost before a longer silence means nothing."""
FIRST: Duration = 5.0
MOST: Duration = 320.0
"""Seconds until the counters are looked at, and again: each wait is twice the last."""
LEAST_SENT = 3
"""Packets without any in return that are suspicious."""
SETTLE: Duration = 2.0
"""Seconds from the answer by IKE to the next look, and from that one to the look that decides."""
FRESH: Duration = 30.0
"""Seconds after which the peer has to answer again before traffic that is lost means anything."""


@dataclass(slots=True)
class Suspect:
    """A child on which nothing has come."""

    sent: int
    """Packets that had gone out in vain when its peer was asked by IKE,"""
    since: Instant
    """which was then;"""
    answered: Instant | None = None
    """and when it answered in time."""
    lost: bool = False
    """Something has gone out since then; the next look decides."""


class Proofs:
    """Looks after child SAs whose ESP could travel in another way."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.suspects: dict[int, Suspect] = {}
        """By their serials."""
        self.mixed: set[int] = set()
        """Children that have not been the only one of their connection: what came may have come by another."""

    def start(self, child: ChildState) -> None:
        """A child is installed; what it has come to replace goes when that went in a way that was blocked."""
        conn = child.conn
        if _sends_dummies(child):
            self._next(child, 0)
        elif child.encap is None or (not child.encap.stream and self.brain.streams.may_fall_back(conn)):
            self._later(child, FIRST)
        if child.encap is None or not (conn.in_udp or conn.in_tcp):
            return
        for serial in sorted(conn.children - {child.serial}):
            older = self.core.states.children.get(serial)
            if older is not None and _rank(older) < _rank(child):
                self.brain.children.close(older)

    def _next(self, child: ChildState, number: int) -> None:
        self.core.after(Timer.PROOF, child.serial, TRIES[number], partial(self._try, child, number + 1))

    def _try(self, child: ChildState, number: int) -> None:
        if child.closing or child.serial not in self.core.states.children:
            return
        if number == len(TRIES):
            self._count(child)
            return
        self.core.klips(SendDummy(child.said_out))
        self._next(child, number)

    def _later(self, child: ChildState, wait: Duration) -> None:
        self.core.after(Timer.PROOF, child.serial, wait, partial(self._look, child, wait))

    def _look(self, child: ChildState, wait: Duration) -> None:
        if child.closing or child.serial not in self.core.states.children:
            return
        self._count(child)
        if 2 * wait <= MOST:
            self._later(child, 2 * wait)

    def counted(self, event: PacketsCounted) -> None:
        """How much a child has carried."""
        child = self.core.states.children.get(event.token)
        if child is None or child.closing:
            return
        if event.received:
            self._forget(child.serial)
            if _is_unready(child) and _takes_dummies(child) and not child.ike.machine.takes_probes:
                self.core.klips(SendDummy(child.said_out))  # nothing else can answer yet
                self._settle(child)
            return
        mutual = _sends_dummies(child)
        if not mutual and (len(child.conn.children) > 1 or child.serial in self.mixed):
            return  # each end may use another of them
        suspect = self.suspects.get(child.serial)
        if suspect is not None and suspect.answered is not None:
            if mutual or suspect.lost:
                del self.suspects[child.serial]
                self._blocked(child, max(suspect.sent, event.sent))
                return
            if event.sent > suspect.sent:
                suspect.lost = True
                self._settle(child)
            elif self.core.now - suspect.answered > FRESH:
                del self.suspects[child.serial]
        sent = max(event.sent, len(TRIES) - 1) if mutual else event.sent
        if sent >= LEAST_SENT and child.serial not in self.suspects and not child.ike.closing:
            self.suspects[child.serial] = Suspect(sent, self.core.now)
            # Traffic that nobody answers is a reason to ask whether the peer is there at all (RFC 7296 2.4). That none
            # of its dummies came is not: whether a silent peer is given up, and when, is dpddelay='s matter.
            self.brain.ikes.request(child.ike, Probe(child.serial, quiet=mutual))

    def answered(self, serial: int) -> None:
        """The peer lives, and answers IKE: what goes out from now on it should get."""
        suspect, child = self.suspects.get(serial), self.core.states.children.get(serial)
        if suspect is None or child is None or suspect.answered is not None:
            return
        if self.core.now - suspect.since > PROMPT:
            del self.suspects[serial]
            return
        suspect.answered = self.core.now
        self._settle(child)

    def _settle(self, child: ChildState) -> None:
        self.core.after(Timer.VERDICT, child.serial, SETTLE, partial(self._count, child))

    def _count(self, child: ChildState) -> None:
        if not child.closing and child.serial in self.core.states.children:
            self.core.emit(CountPackets(child.serial, child.said_out, child.said_in))

    def _blocked(self, child: ChildState, sent: int) -> None:
        """Say so, and have it go in another way if it may."""
        conn = child.conn
        blocked = f"{child.chosen.protocol} in UDP" if child.encap else f"{child.chosen.protocol}"
        where = f"something on the way to {child.remote.address}"
        text = f"IKE up, {blocked} blocked by {where}: {sent} packets sent, none came"
        if child.encap is None and self._may_use_udp(conn):
            self.core.say(conn, f"{text}; trying UDP", Rc.LOG_SERIOUS, child.serial, event="esp-blocked")
        elif self.brain.streams.may_fall_back(conn):
            self.core.say(conn, f"{text}; trying TCP", Rc.LOG_SERIOUS, child.serial, event="esp-blocked")
            self.core.states.unshare(child.ike)
            self.brain.streams.take_tcp(conn)
            return
        else:
            what = blocked if child.encap else f"protocol {blocked}"
            self.core.say(
                conn, f"{text}; a firewall has to let {what} pass", Rc.LOG_SERIOUS, child.serial, event="esp-blocked"
            )
            return
        self.core.conns.unindex(conn)
        conn.in_udp = True
        self.core.conns.index(conn)
        self.brain.keyring.forget()
        self.core.states.unshare(child.ike)
        self.brain.negotiator.start(conn)

    @staticmethod
    def _may_use_udp(conn: Conn) -> bool:
        return conn.kind is Kind.PERMANENT and conn.policy.encapsulation == "auto" and not conn.in_udp

    def gone(self, child: ChildState) -> None:
        """A child has ended.

        In IKEv1 each end may have used another of two for seconds: what the one that stays has carried says nothing.
        """
        if child.ike.version == 1:
            for serial in child.conn.children:
                self.core.timers.cancel((Timer.PROOF, serial))
                self.mixed.add(serial)
        self.mixed.discard(child.serial)
        self._forget(child.serial)

    def _forget(self, serial: int) -> None:
        """Nothing has to be proven about this child any more."""
        self.core.timers.cancel((Timer.PROOF, serial))
        self.core.timers.cancel((Timer.VERDICT, serial))
        self.suspects.pop(serial, None)


def _sends_dummies(child: ChildState) -> bool:
    """Does the peer do as we do?"""
    return _takes_dummies(child) and child.ike.machine.takes_probes


def _takes_dummies(child: ChildState) -> bool:
    """ESP by itself, and not in a stream, which is proven by being there."""
    alone = child.chosen.protocol is ProtocolId.ESP and child.comp_out is None
    return alone and not (child.encap and child.encap.stream)


def _is_unready(child: ChildState) -> bool:
    """Do its updown commands still run?"""
    return child.conn.owner == child.serial and not child.reported


def _rank(child: ChildState) -> int:
    """How far from the plainest way a child's packets travel: as protocol 50, in UDP, in TCP."""
    return 0 if child.encap is None else 2 if child.encap.stream else 1
