# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings of tunnels that come and go at once, made and ended together: each load takes as long as all that is open.

open, close ── noted ──► the turn ── after as long as the last one took ──► one load ──► settled() of all in it
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from time import monotonic

from openswan.host.openings import store
from openswan.host.openings.model import Opening
from openswan.host.openings.openings import Openings

LONGEST = 2.0
"""Seconds at most that anybody waits for others; a load of thousands takes less."""


class Together(Openings):
    """The daemon's. A call that has opened or closed something takes settled() before another one is made.

    Loads take half of the time at most, so a thousand tunnels that come up one after the other cost as many of them as
    fit into that. Whoever watches for foreign changes looks once after a load, for that is a change too.
    """

    def __init__(self, rundir: Path, log: Callable[[str, bool], None]) -> None:
        super().__init__(rundir, log)
        self._steps: list[tuple[Opening, bool]] = []
        """What is to be opened (True) or closed with the next load."""
        self._turn: asyncio.Task[tuple[str, ...]] | None = None
        self._waits = False
        """Has the call that is being carried out noted anything?"""
        self._took = 0.0

    def open(self, opening: Opening) -> tuple[str, ...]:
        """Open it with the next load."""
        return self._note(opening, True)

    def close(self, opening: Opening) -> tuple[str, ...]:
        """End with the next load what was opened for the same tunnel, whatever it is; nothing is fine."""
        return self._note(opening, False) if self.anything() else ()

    def anything(self) -> bool:
        """May anything be open, or be about to?"""
        return bool(self._steps) or super().anything()

    def settled(self) -> Awaitable[tuple[str, ...]] | None:
        """What to await until what the call has noted is in force, and for lines about what has no effect; None when it
        has noted nothing."""
        waits, self._waits = self._waits, False
        if not waits:
            return None
        if self._turn is None:
            self._turn = asyncio.get_running_loop().create_task(self._carry_out())
        return asyncio.shield(self._turn)

    def stop(self) -> None:
        """Watch no longer, and leave nothing open, nor open anything."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._steps.clear()
        super().stop()

    def _note(self, opening: Opening, is_open: bool) -> tuple[str, ...]:
        self._steps.append((opening, is_open))
        self._waits = True
        return ()

    async def _carry_out(self) -> tuple[str, ...]:
        await asyncio.sleep(self._took)
        steps, self._steps, self._turn = self._steps, [], None
        began = monotonic()
        try:
            return self._change(lambda held: _after(held, steps))
        finally:
            self._took = min(LONGEST, monotonic() - began)


def _after(held: store.Openings, steps: list[tuple[Opening, bool]]) -> store.Openings:
    """What is open after all of them, in the order in which it was opened last."""
    of_tunnel: dict[Hashable, set[Opening]] = {}
    now = dict.fromkeys(held)
    for each in now:
        of_tunnel.setdefault(each.tunnel, set()).add(each)
    for opening, is_open in steps:
        those = of_tunnel.setdefault(opening.tunnel, set())
        for each in {opening} & those if is_open else set(those):
            del now[each]
            those.discard(each)
        if is_open:
            now[opening] = None
            those.add(opening)
    return tuple(now)
