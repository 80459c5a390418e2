# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host tells of the leak guard, for the status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openswan.engine.events import GuardSeen


class LeakGuard:
    """What was told last; nothing until then."""

    def __init__(self) -> None:
        self.told: GuardSeen | None = None

    def seen(self, event: GuardSeen) -> None:
        """The host tells how it stands."""
        self.told = event

    def lines(self) -> Iterator[str]:
        """For people."""
        if (told := self.told) is None:
            return
        yield f"leak guard: {told.how}, {sum(told.dropped.values())} packets dropped"
        if told.last_on is not None:
            where = ", ".join(told.last_on) or "no device"
            yield f"last leak guard: on {where}, {sum(told.last_dropped.values())} packets dropped"

    def facts(self) -> dict[str, Any] | None:
        """The same as plain data."""
        if (told := self.told) is None:
            return None
        last = None
        if told.last_on is not None:
            last = {"devices": list(told.last_on), "dropped": dict(told.last_dropped)}
        return {"how": told.how, "dropped": dict(told.dropped), "last": last}
