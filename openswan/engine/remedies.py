# SPDX-License-Identifier: GPL-2.0-or-later
"""After a line that names a failure, once, what it is likely to come from and what to do (openswan.diagnosis.sayings).

The classic line stays as it was; this is one of its own, which no pattern for the classic ones finds.
"""

from __future__ import annotations

from openswan.base.interval import Duration, Instant
from openswan.diagnosis.sayings import likely

AGAIN: Duration = 3600.0
"""So long after it was said it is worth saying again."""
MOST = 1024
"""Causes that are remembered; beyond that the oldest is forgotten."""


class Remedies:
    """Remembers what has been said to whom."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], Instant] = {}
        """When: by a conn's or a stranger's name, and the cause."""

    def after(self, text: str, who: str, name: str, now: Instant) -> str:
        """What to say after a line about `who`, whose conn has that name; empty: nothing."""
        found = likely(text)
        if found is None:
            return ""
        said, words = found
        key = (who, said.code)
        last = self.told.get(key)
        if last is not None and now - last < AGAIN:
            return ""
        self.told.pop(key, None)
        if len(self.told) >= MOST:
            del self.told[next(iter(self.told))]
        self.told[key] = now
        words = {"conn": name, **words}
        return f"likely cause: {said.cause.format(**words)}; remedy: {said.remedy.format(**words)}"

    def forget(self, who: str) -> None:
        """It is up: what goes wrong next is news."""
        for key in [key for key in self.told if key[0] == who]:
            del self.told[key]
