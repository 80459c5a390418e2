# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers of the DNS for as long as they may be believed: bounded, the one not asked for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from openswan.base.interval import Instant
from openswan.policy.dnsanswer import DnsAnswer

MOST_ANSWERS = 20_000
"""Some 20 MiB."""


class DnsCache:
    """By name and type."""

    def __init__(self, most: int = MOST_ANSWERS) -> None:
        self._most = most
        self._answers: OrderedDict[tuple[str, str], tuple[Instant, DnsAnswer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def put(self, answer: DnsAnswer, now: Instant) -> None:
        """Keep an answer for its TTL; one without any is not kept."""
        key = (answer.name, answer.kind)
        self._answers.pop(key, None)
        if answer.ttl <= 0:
            return
        self._answers[key] = (now + answer.ttl, answer)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)

    def get(self, name: str, kind: str, now: Instant) -> DnsAnswer | None:
        """The answer with the time it has left as its TTL, or None."""
        entry = self._answers.get((name, kind))
        if entry is None:
            return None
        until, answer = entry
        if until <= now:
            del self._answers[name, kind]
            return None
        self._answers.move_to_end((name, kind))
        return replace(answer, ttl=until - now)

    def clear(self) -> None:
        """Forget everything: the resolvers are others now."""
        self._answers.clear()
