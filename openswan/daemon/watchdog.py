# SPDX-License-Identifier: GPL-2.0-or-later
"""The watchdog is fed by the data path: only while every packet thread still turns, and the loop that looks.

A packet thread that is stuck costs traffic although IKE answers everything. So each is woken, has to have looked for
work by the next look, and the service manager hears of us only if all have; else it ends us and begins anew, and the
guard, which stays, lets nothing out meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from openswan.host.notify import Notifier

LOOKS = 3
"""Looks in the time after which the manager gives us up: one that comes late on a busy machine is not the last."""


class Threads(Protocol):
    """What klips.engine.Klips offers."""

    def nudge(self) -> None:
        """Wake every packet thread."""

    def turns(self) -> list[int]:
        """Times each of them has looked for work."""


class Watchdog:
    """Looks at the packet threads, feeds the manager's watchdog."""

    def __init__(self, threads: Threads, manager: Notifier, log: Callable[[str, bool], None]) -> None:
        self._threads = threads
        self._manager = manager
        self._log = log
        self._before: list[int] = []
        self._stuck: set[int] = set()

    def look(self) -> bool:
        """Feed the watchdog unless a thread has not turned since the last look; has it been fed?"""
        now = self._threads.turns()
        stuck = {index for index, (was, count) in enumerate(zip(self._before, now, strict=False), 1) if was == count}
        for index in sorted(stuck - self._stuck):
            self._log(f"packet thread {index} of {len(now)} is stuck: the watchdog is not fed", True)
        for index in sorted(self._stuck - stuck):
            self._log(f"packet thread {index} of {len(now)} turns again", True)
        self._before, self._stuck = now, stuck
        if not stuck:
            self._manager.alive()
        self._threads.nudge()
        return not stuck

    async def follow(self) -> None:
        """Look for as long as the loop runs; returns at once when no manager wants to know."""
        while self._manager.watchdog:
            self.look()
            await asyncio.sleep(self._manager.watchdog / LOOKS)
