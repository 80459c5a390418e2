# SPDX-License-Identifier: GPL-2.0-or-later
"""Destinations the DNS is asked about: so many at a time, of those that wait the newest first.

More at once would all be late; so each that is begun ends in time, and leaves it for IKE.
"""

from __future__ import annotations

from collections.abc import Iterable

from openswan.base.address import Address
from openswan.base.interval import Duration, Instant
from openswan.engine.oeevents import Pair

AT_ONCE = 128
MOST_WAITING = 4096
LOST: Duration = 15.0
"""Seconds after which no answer is expected any more: each look-up ends long before."""


class Questions:
    """Who is asked about, and which pairs wait for that."""

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self.wanted: dict[Address, dict[Pair, None]] = {}
        """By destination: the pairs that an answer matters to."""
        self._at_once, self._most_waiting = at_once, most_waiting
        self._out: dict[Address, Instant] = {}
        """Since when each is asked about, oldest first."""
        self._waiting: dict[Address, None] = {}

    def want(self, pair: Pair, now: Instant) -> Address | None:
        """Have a pair's destination asked about; returns the one that has waited longest when too many wait."""
        self.wanted.setdefault(pair.dst, {})[pair] = None
        if pair.dst not in self._out:
            self._waiting.setdefault(pair.dst)
        too_many = len(self._waiting) > self._most_waiting and not self._has_room(now)
        return next(iter(self._waiting)) if too_many else None

    def unwant(self, pair: Pair) -> None:
        """It matters to that pair no more; what is under way goes on."""
        wanted = self.wanted.get(pair.dst)
        if wanted is not None:
            wanted.pop(pair, None)
            if not wanted:
                del self.wanted[pair.dst]
                self._waiting.pop(pair.dst, None)

    def answered(self, destination: Address) -> Iterable[Pair]:
        """There is an answer, whoever has asked: the pairs that it matters to."""
        self._out.pop(destination, None)
        self._waiting.pop(destination, None)
        return self.wanted.pop(destination, ())

    def next(self, now: Instant) -> Address | None:
        """Whom to ask about now; None: nobody, or there is no room."""
        if not self._waiting or not self._has_room(now):
            return None
        destination, _ = self._waiting.popitem()
        self._out[destination] = now
        return destination

    def _has_room(self, now: Instant) -> bool:
        if len(self._out) >= self._at_once:
            oldest = next(iter(self._out))
            if now - self._out[oldest] > LOST:
                del self._out[oldest]
        return len(self._out) < self._at_once
