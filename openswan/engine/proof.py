# SPDX-License-Identifier: GPL-2.0-or-later
"""Does ESP pass at all? Packets that go out and none that comes in, while IKE is answered, mean that it does not.

    child SA without UDP ──► look at its counters ──► something has come in: proven
                                   │                  nothing has gone out: look again, less and less often
                                   └─► sent, nothing came ──► ask by IKE ──► answered: ESP is blocked ──► UDP instead

Where UDP may be followed by TCP (enable-tcp=fallback) children in UDP are looked at in the same way.

An encrypted probe would need a peer that answers it. Echoes inside the tunnel are not ours to send, dummy packets (RFC
4303 2.6) are dropped without a word, and peers of our own kind use UDP anyway, where ESP goes the way IKE goes. So
the traffic itself is the probe. A flow in one direction only looks like a blocked one: it gets UDP for nothing, once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from openswan.base.interval import Duration
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind
from openswan.engine.effects import CountPackets
from openswan.engine.events import PacketsCounted
from openswan.engine.statedb import ChildState
from openswan.engine.timers import Timer
from openswan.ike.events import Probe

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

FIRST: Duration = 5.0
MOST: Duration = 320.0
"""Seconds until the counters are looked at, and again: each wait is twice the last."""
LEAST_SENT = 3
"""Packets without any in return that are suspicious."""


class Proofs:
    """Looks after child SAs whose ESP could travel in another way."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.suspects: dict[int, int] = {}
        """Children whose peer is being asked by IKE, and how many packets went out in vain."""

    def start(self, child: ChildState) -> None:
        """A child is installed; what it has come to replace goes when that went in a way that was blocked."""
        conn = child.conn
        if child.encap is None or (not child.encap.stream and self.brain.streams.may_fall_back(conn)):
            self._later(child, FIRST)
        if child.encap is None or not (conn.in_udp or conn.in_tcp):
            return
        for serial in sorted(conn.children - {child.serial}):
            older = self.core.states.children.get(serial)
            if older is not None and _rank(older) < _rank(child):
                self.brain.children.close(older)

    def _later(self, child: ChildState, wait: Duration) -> None:
        self.core.after(Timer.PROOF, child.serial, wait, partial(self._look, child, wait))

    def _look(self, child: ChildState, wait: Duration) -> None:
        if child.closing or child.serial not in self.core.states.children:
            return
        self.core.emit(CountPackets(child.serial, child.said_out, child.said_in))
        if 2 * wait <= MOST:
            self._later(child, 2 * wait)

    def counted(self, event: PacketsCounted) -> None:
        """How much a child has carried."""
        child = self.core.states.children.get(event.token)
        if child is None or child.closing:
            return
        if event.received:
            self.core.timers.cancel((Timer.PROOF, child.serial))
        elif event.sent >= LEAST_SENT and child.serial not in self.suspects and not child.ike.closing:
            self.suspects[child.serial] = event.sent
            self.brain.ikes.request(child.ike, Probe(child.serial))

    def answered(self, serial: int) -> None:
        """The peer lives, and answers IKE."""
        sent = self.suspects.pop(serial, 0)
        child = self.core.states.children.get(serial)
        if not sent or child is None or child.closing:
            return
        conn = child.conn
        blocked = f"{child.chosen.protocol} in UDP" if child.encap else f"{child.chosen.protocol}"
        where = f"something on the way to {child.remote.address}"
        text = f"IKE up, {blocked} blocked by {where}: {sent} packets sent, none came"
        if child.encap is None and self._may_use_udp(conn):
            self.core.say(conn, f"{text}; trying UDP", Rc.LOG_SERIOUS, serial, event="esp-blocked")
        elif self.brain.streams.may_fall_back(conn):
            self.core.say(conn, f"{text}; trying TCP", Rc.LOG_SERIOUS, serial, event="esp-blocked")
            self.core.states.unshare(child.ike)
            self.brain.streams.take_tcp(conn)
            return
        else:
            what = blocked if child.encap else f"protocol {blocked}"
            self.core.say(conn, f"{text}; a firewall has to let {what} pass", Rc.LOG_SERIOUS, serial)
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
        """A child has ended."""
        self.core.timers.cancel((Timer.PROOF, child.serial))
        self.suspects.pop(child.serial, None)


def _rank(child: ChildState) -> int:
    """How far from the plainest way a child's packets travel: as protocol 50, in UDP, in TCP."""
    return 0 if child.encap is None else 2 if child.encap.stream else 1
