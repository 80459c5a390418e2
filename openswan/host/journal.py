# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's latest log lines with their event codes, for `ipsec diagnose` and `ipsec metrics`; nothing on disk."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openswan.base.log import DEBUG
from openswan.host.logsink import clean

MOST = 1000
"""Lines kept; what a stranger can make us log is limited where it is logged."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    time: float
    """Seconds since 1970."""
    event: str
    serious: bool
    text: str


class Journal:
    """The last MOST lines, and how often each event has been."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives seconds since 1970."""
        self._now = now
        self._lines: deque[Line] = deque(maxlen=MOST)
        self.counts: Counter[str] = Counter()
        """Events by code since the daemon began; lines without one are not counted."""

    def note(self, text: str, serious: bool, event: str = "") -> None:
        """Keep one line; debugging lines are for the log alone, they would push out all others."""
        if event == DEBUG:
            return
        self._lines.append(Line(self._now(), event, serious, clean(text)))
        if event:
            self.counts[event] += 1

    def rows(self) -> dict[str, Any]:
        """`{"counts": {code: n}, "lines": [...]}`, oldest first."""
        return {
            "counts": dict(self.counts),
            "lines": [
                {"time": round(one.time, 3), "event": one.event, "serious": one.serious, "text": one.text}
                for one in self._lines
            ],
        }

    def text(self) -> str:
        """The lines with their codes."""
        return "\n".join(f"{one.time:.3f} {one.event or '-'} {one.text}" for one in self._lines)
