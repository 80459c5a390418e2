# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of hosts as the status shows them: one line each, with what an attacker could still do, and as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from openswan.base.address import Address
from openswan.engine.oeevents import Pair
from openswan.engine.oepair import PairState
from openswan.engine.oetext import explain, risk
from openswan.policy.gateways import Gateway
from openswan.policy.grade import Grade

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

MOST_LINES = 1000
"""Pairs that the status lists, those decided last first."""
MOST_ROWS = 10_000
"""The same as JSON."""


class PairViews:
    """What is known of pairs."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return len(self.brain.pairs.machine.pairs)

    def _latest(self, most: int) -> Iterator[PairState]:
        return islice(reversed(self.brain.pairs.machine.pairs.values()), most)

    def lines(self) -> Iterator[str]:
        """Two facts a line: what packets of a pair meet and why, and what an attacker could still do."""
        for p in self._latest(MOST_LINES):
            yield f"pair {self._source(p.pair)} {self._text(p)}; {risk(p)}"
        if self.count > MOST_LINES:
            yield f"and {self.count - MOST_LINES} pairs more; ipsec eroute --match SRC DST tells of any of them"
        if self.brain.pairs.overflows:
            yield f"{self.brain.pairs.overflows} first packets dropped for want of room"

    def rows(self) -> list[dict[str, Any]]:
        """Plain data of as many."""
        return [self.row(p) for p in self._latest(MOST_ROWS)]

    def row(self, p: PairState) -> dict[str, Any]:
        """Plain data of one; times are of the calendar (UTC) and seconds from now."""
        now = self.brain.core.now
        return {
            "src": str(p.pair.src),
            "alias": str(alias) if (alias := self._alias(p.pair)) is not None else None,
            "dst": str(p.pair.dst),
            "line": p.terms.owner,
            "state": p.state.name.lower(),
            "meets": str(p.shunt) if p.shunt is not None else "tunnel" if p.grade is not None else None,
            "since": self.brain.clock(p.since).isoformat(timespec="seconds") if p.since else None,
            "grade": str(p.grade) if p.grade is not None else None,
            "least": str(p.terms.least),
            "best": self._best(p),
            "gateway": str(p.gateway) if p.grade is not None and p.gateway is not None else None,
            "advertised": [
                {"gateway": str(one.address), "record": one.source, "signed": one.grade is Grade.DNSSEC}
                for one in self._advertised(p)
            ],
            "reason": p.reason or None,
            "hint": p.hint or None,
            "next_try": max(0, round(p.retry_at - now)) if p.retry_at else None,
            "text": self._text(p),
            "risk": risk(p),
        }

    def about(self, src: Address, dst: Address) -> tuple[list[str], dict[str, Any] | None]:
        """Lines about the pair of two hosts, and its plain data; nothing when nothing is known of it."""
        p = self.brain.pairs.machine.pairs.get(Pair(src, dst))
        if p is None:
            return [], None
        return [f"pair    {self._text(p)}", f"risk    {risk(p)}"], self.row(p)

    def _alias(self, pair: Pair) -> Address | None:
        """What the peer calls us, who are behind NAT."""
        conn = self.brain.pairs.conns.get(pair)
        child = self.brain.core.states.children.get(conn.owner) if conn is not None else None
        return child.alias[1] if child is not None and child.alias is not None else None

    def _source(self, pair: Pair) -> str:
        alias = self._alias(pair)
        return f"{pair.src} as {alias}" if alias is not None else str(pair.src)

    def _text(self, p: PairState) -> str:
        return explain(p, self.brain.core.now, self.brain.clock)

    def _advertised(self, p: PairState) -> tuple[Gateway, ...]:
        """Whom the DNS names: for this pair, or for another one that has found nobody there."""
        known = self.brain.pairs.machine.remembered(p.pair, p.terms)
        deaf = known is not None and known.deaf_until > self.brain.core.now
        return p.gateways or (known.gateways if known is not None and deaf else ())

    def _best(self, p: PairState) -> str | None:
        known = self.brain.pairs.machine.remembered(p.pair, p.terms)
        return str(known.best) if known is not None and known.best is not None else None
