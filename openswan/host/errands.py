# SPDX-License-Identifier: GPL-2.0-or-later
"""Several things looked at side by side, and none of them waited for longer than all of it may take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from openswan.base.interval import Duration

T = TypeVar("T")
MARGIN = 0.05
"""Seconds before the end at which whoever watches the clock himself gives up, so that he can still say so."""


class Errand(Generic[T]):
    """One thing that is looked at in a thread of its own; a thread that hangs ends with the process."""

    def __init__(self, errands: Errands, what: str, task: Callable[[], T]) -> None:
        self._errands = errands
        self._what = what
        self._task = task
        self._future: Future[T] = Future()
        threading.Thread(target=self._run, name=what, daemon=True).start()

    def _run(self) -> None:
        try:
            self._future.set_result(self._task())
        except BaseException as why:
            self._future.set_exception(why)

    def result(self, otherwise: T) -> T:
        """What it has found; `otherwise` when it has not in time, which is noted. Raises what the task has raised."""
        try:
            return self._future.result(self._errands.left())
        except TimeoutError:
            self._errands.late.append(self._what)
            return otherwise


class Errands:
    """All of them, with one end: `seconds` from now."""

    def __init__(self, seconds: Duration) -> None:
        self._end = time.monotonic() + seconds
        self.late: list[str] = []
        """What was not looked at in time."""

    def left(self) -> Duration:
        """Seconds until the end, not less than 0."""
        return max(0.0, self._end - time.monotonic())

    def patience(self, most: Duration = 3600.0) -> Duration:
        """How long a task may wait for one answer: `most`, and less when the end is near."""
        return max(MARGIN, min(most, self.left() - MARGIN))

    def send(self, what: str, task: Callable[[], T]) -> Errand[T]:
        """Begin one; a task that raises TimeoutError was too late as well."""
        return Errand(self, what, task)
