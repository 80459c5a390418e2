# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings as updown commands use them, and kept while the daemon runs: what somebody flushes is put back.

They are accepts bound to ipsecN, so none of them can let anything out in clear, whatever becomes of the daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from openswan.base.errors import HostError
from openswan.host import nfnetlink as nf
from openswan.host.guard.events import Events, Seen
from openswan.host.openings import store
from openswan.host.openings.model import Opening
from openswan.host.openings.nftables import foreign_tables
from openswan.host.openings.xtables import Xtables, legacy_loaded, legacy_tables, tool_of
from openswan.host.readable import readable

SETTLE = 0.05
"""Seconds between a foreign change and the look at what it did; a flush is many events."""
POLL = 0.9
"""Seconds between looks at what sends no events, while something is open."""


class Place(Protocol):
    """A filter that can be opened; calls raise HostError."""

    def check(self, openings: Sequence[Opening]) -> bool:
        """Is exactly this open?"""

    def load(self, openings: Sequence[Opening]) -> None:
        """Have exactly this open, in one step."""


class Openings:
    """Calls are synchronous and short; what has no effect is told in lines that are returned."""

    def __init__(
        self, rundir: Path | None = None, log: Callable[[str, bool], None] = lambda line, serious: None
    ) -> None:
        """What is open is noted in `rundir`, where the processes of this daemon find it; None: nobody shares it."""
        self._store = store.Store(rundir / store.FILE if rundir is not None else None)
        self._log = log
        self._said: set[str] = set()
        self._watch: asyncio.Task[None] | None = None

    def open(self, opening: Opening) -> tuple[str, ...]:
        """Open it; once is enough."""
        return self._change(lambda held: (*(each for each in held if each != opening), opening))

    def close(self, opening: Opening) -> tuple[str, ...]:
        """End what was opened for the same tunnel, whatever it is; nothing is fine."""
        if not any(each.tunnel == opening.tunnel for each in self._store.read()):
            return ()
        return self._change(lambda held: tuple(each for each in held if each.tunnel != opening.tunnel))

    def settled(self) -> Awaitable[tuple[str, ...]] | None:
        """What to await until that is in force, where openings are made together; None: it is already, as here."""
        return None

    def anything(self) -> bool:
        """May anything be open?"""
        return not self._store.empty()

    def held(self) -> tuple[Opening, ...]:
        """What is to be open."""
        return self._store.read()

    def sweep(self) -> tuple[str, ...]:
        """Have nothing open: no tunnel is up, whatever a killed daemon has left."""
        return self._change(lambda held: ())

    def check(self) -> bool:
        """Is everything open that should be, as far as it can be, and nothing else?"""
        held = self._store.read()
        return all(place.check(held) for place in places())

    def restore(self) -> bool:
        """Put back what is missing; was anything?"""
        changed = False

        def look(held: store.Openings) -> None:
            nonlocal changed
            for place in places():
                try:
                    if not place.check(held):
                        place.load(held)
                        changed = True
                except HostError as why:
                    self._complain(_without_effect(place, why))

        self._store.change(lambda held: held, look)
        return changed

    def start(self) -> None:
        """Watch for foreign changes from now on (inside a running event loop)."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._follow())

    def stop(self) -> None:
        """Watch no longer, and leave nothing open."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for line in self.sweep():
            self._log(line, True)

    def _change(self, step: Callable[[store.Openings], store.Openings]) -> tuple[str, ...]:
        lines: list[str] = []

        def carry_out(held: store.Openings) -> None:
            for place in places():
                try:
                    place.load(held)
                except HostError as why:
                    lines.append(_without_effect(place, why) if held else f"{place} may still be open: {why}")

        try:
            self._store.change(step, carry_out)
        except HostError as why:
            lines.append(f"leftfirewall=yes has no effect: {why}")
        self._said.update(lines)
        return tuple(lines)

    def _complain(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._log(line, True)

    async def _follow(self) -> None:
        events: Events | None = None
        with suppress(HostError, OSError):
            events = Events(frozenset(), ())
        try:
            while True:
                if events is None:
                    await asyncio.sleep(POLL)
                elif await readable(events.fileno(), POLL):
                    await asyncio.sleep(SETTLE)
                seen = events.read() if events is not None else Seen(chains=True)
                if seen.chains or seen.rules or any(map(legacy_loaded, (4, 6))):
                    self._look()
        finally:
            if events is not None:
                events.close()

    def _look(self) -> None:
        try:
            if self._store.read() and self.restore():
                self._log("packet filter: somebody changed it; what leftfirewall= opens is open again", True)
        except (HostError, OSError) as why:
            self._complain(f"packet filter: {why}")


def places() -> Iterator[Place]:
    """Every filter that packets pass here and that others have made."""
    yield from legacy_tables()
    for table in foreign_tables():
        version = 4 if table.family == nf.NFPROTO_IPV4 else 6
        tool = tool_of(version, "nft") if table.of_iptables else ""
        if not tool:
            yield table
        elif table.name == "filter":
            yield Xtables(version, tool)


def _without_effect(place: Place, why: HostError) -> str:
    return f"leftfirewall=yes has no effect in {place}: {why}"
