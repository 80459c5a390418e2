# SPDX-License-Identifier: GPL-2.0-or-later
"""The loop: readiness -> event -> Pluto.handle -> effects carried out, and one timer for whatever pluto waits for."""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from openswan.base.interval import Instant
from openswan.engine.effects import Effect
from openswan.engine.events import EngineEvent, TimerDue
from openswan.host import clock

BURST = 256
"""Events handled in a row before the loop may look at its descriptors again."""
SETTLE = 10
"""Turns of the loop before a deadline counts: an answer of the DNS goes by that many tasks at most,"""
SETTLE_LEAST, SETTLE_LONGEST = 2, 0.2
"""but no more than two of them when that takes longer than this, in seconds."""


class Brain(Protocol):
    """What engine.Pluto offers."""

    def handle(self, event: EngineEvent, now: Instant) -> list[Effect]:
        """Take one event, return what is to be done, in order."""

    def next_timer(self) -> Instant | None:
        """When TimerDue is wanted; None: never."""


class Reactor:
    """Feeds a Brain inside a running asyncio loop; everything happens in the loop's thread."""

    def __init__(
        self,
        brain: Brain,
        perform: Callable[[Effect], None],
        log: Callable[[str, bool], None],
        now: Callable[[], Instant] = clock.now,
    ) -> None:
        self._brain = brain
        self._perform = perform
        self._log = log
        self._now = now
        self._queue: deque[EngineEvent] = deque()
        self._draining = False
        self._continued = False
        self._timer: asyncio.TimerHandle | None = None
        self._firing = False
        self._armed: Instant | None = None
        self._done = asyncio.Event()

    def post(self, event: EngineEvent) -> None:
        """Hand over one event. Events that effects cause are handled after the ones already waiting."""
        self._queue.append(event)
        if not self._draining and not self._continued:
            self._drain()

    def post_all(self, events: Iterable[EngineEvent]) -> None:
        """Hand over several, in order."""
        for event in events:
            self.post(event)

    def _drain(self) -> None:
        self._draining = True
        self._continued = False
        try:
            for _ in range(BURST):
                if not self._queue:
                    break
                self._one(self._queue.popleft())
        finally:
            self._draining = False
        if self._queue:
            self._continued = True
            asyncio.get_running_loop().call_soon(self._drain)
        self._arm()

    def _one(self, event: EngineEvent) -> None:
        # A bug that one packet or one operator's request meets must not take down everybody's tunnels: it is logged
        # with its place, and the daemon goes on.
        try:
            effects = self._brain.handle(event, self._now())
        except Exception:
            self._bug(f"handling {type(event).__name__}")
            return
        for effect in effects:
            try:
                self._perform(effect)
            except Exception:
                self._bug(f"carrying out {type(effect).__name__}")

    def _bug(self, doing: str) -> None:
        self._log(f"EXPECTATION FAILED while {doing}:", True)
        for line in traceback.format_exc().splitlines():
            self._log(f"| {line}", True)

    def _arm(self) -> None:
        if self._firing:
            return
        due = self._brain.next_timer()
        if due == self._armed and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed = due
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.001, due - self._now()), self._fire)

    def _fire(self) -> None:
        """A deadline has come; before it counts, everything is read and told that had arrived by now.

        A callback of the loop's next turn comes before the descriptors of that turn, one of the turn after it behind
        them.
        """
        self._timer = None
        self._armed = None
        self._firing = True
        asyncio.get_running_loop().call_soon(self._settle, self._now(), 1)

    def _settle(self, by: Instant, turn: int) -> None:
        if turn < SETTLE_LEAST or (turn < SETTLE and self._now() - by < SETTLE_LONGEST):
            asyncio.get_running_loop().call_soon(self._settle, by, turn + 1)
            return
        self._firing = False
        self.post(TimerDue(by))

    def stop(self) -> None:
        """Make `run` return."""
        self._done.set()

    async def run(self) -> None:
        """Wait until `stop` is called."""
        await self._done.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
