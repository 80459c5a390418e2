# SPDX-License-Identifier: GPL-2.0-or-later
"""For whom packets are stopped before they are decided: the lines of policy groups as one plan for the host.

Lines that look for tunnels stop packets, and how depends on whether anything may go in clear; the others, single
services and ordinary conns are left to routes and eroutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from openswan.base.address import Subnet
from openswan.base.said import Shunt
from openswan.engine.conn import Conn
from openswan.engine.effects import Decide, Decision, Intercept, Way
from openswan.engine.events import InterceptionSeen
from openswan.engine.oeevents import Pair
from openswan.policy.groups import stance_of

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

SHUNTS = {Shunt.HOLD: Decision.HOLD, Shunt.PASS: Decision.PASS, Shunt.DROP: Decision.DROP}
"""Anything else is the packet engine's to do."""
FOUND = {**SHUNTS, Shunt.REJECT: Decision.REFUSE}


def way_of(line: Conn) -> Way:
    """What a line says of packets that nothing is decided about."""
    stance = stance_of(line.policy)
    if not stance.initiates:
        return Way.APART
    return Way.OPEN if stance.permits_clear else Way.CLOSED


class Interception:
    """The plan in force."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.plan = Intercept()
        self.stale = False
        """Lines have changed."""
        self._changes = -1
        self._known: tuple[int, tuple[Conn, ...]] | None = None
        """The ordinary connections, and as of which change."""
        self.last: InterceptionSeen | None = None
        """What the host has told last; None: nothing stops packets before routing."""

    def seen(self, event: InterceptionSeen) -> None:
        """The host tells how it goes."""
        self.last = event

    def lines(self) -> Iterator[str]:
        """For the status."""
        if self.plan.nets and self.last is not None:
            counts = ", ".join(f"{count} {name}" for name, count in self.last.counts.items())
            yield f"first packets of hosts behind this one are met {self.last.how}: {counts}"

    def facts(self) -> dict[str, Any] | None:
        """The same as plain data; None while no packet is stopped."""
        if not self.plan.nets or self.last is None:
            return None
        return {"how": self.last.how, **self.last.counts}

    def settle(self) -> None:
        """Let the plan be what it should be, if anything has changed that it depends on."""
        changes = self.core.conns.changes
        if not self.stale and (not self.plan.nets or changes == self._changes):
            return
        self.stale, self._changes = False, changes
        plan = self._wanted()
        if plan != self.plan:
            self.plan = plan
            self.core.emit(plan)

    def decide(self, pair: Pair, decision: Decision | Shunt) -> None:
        """What becomes of a pair's packets from now on."""
        if self.plan.nets:
            found = decision if isinstance(decision, Decision) else FOUND.get(decision, Decision.TUNNEL)
            self.core.emit(Decide(pair.src, pair.dst, found))

    def protected(self, pair: Pair) -> Conn | None:
        """The ordinary connection that a pair's packets belong to: no stranger gets a tunnel for them."""
        for conn in self._listed():
            if not conn.never and any(pair.src in key.src and pair.dst in key.dst for key in conn.keys):
                return conn
        return None

    def _lines(self) -> Iterator[Conn]:
        for lines in self.brain.groups.lines.values():
            yield from (line for line in lines.values() if line.on_demand)

    def _wanted(self) -> Intercept:
        nets: dict[tuple[Subnet, Way], None] = {}
        inside: dict[Subnet, None] = {}
        own: dict[Subnet, None] = {}
        selves: dict[Subnet, None] = {}
        refused: dict[Subnet, None] = {}
        others: dict[tuple[Subnet, Subnet], None] = {}
        for line in self._lines():
            way = way_of(line)
            for key in line.keys:
                if key.protocol:
                    others[key.src, key.dst] = None
                    continue
                nets[key.dst, way] = None
                if way is not Way.APART:
                    (inside if line.behind else own)[key.src] = None
                if line.behind and way is not Way.APART:
                    selves[key.dst] = None
                elif line.behind and not stance_of(line.policy).permits_clear:
                    refused[key.dst] = None
        if not inside and not own:
            return Intercept()
        for conn in self._ordinary():
            others.update(((key.src, key.dst), None) for key in conn.keys)
        return Intercept(tuple(nets), tuple(inside), tuple(own), tuple(others), tuple(selves), tuple(refused))

    def _listed(self) -> tuple[Conn, ...]:
        """The same, found once until one of them changes: thousands of pairs have each a connection beside them."""
        changes = self.core.conns.changes
        if self._known is None or self._known[0] != changes:
            self._known = changes, tuple(self._ordinary())
        return self._known[1]

    def _ordinary(self) -> Iterable[Conn]:
        return (conn for conn in self.core.conns.unique.values() if conn.group is None and conn.keys)
