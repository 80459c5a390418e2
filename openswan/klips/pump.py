# SPDX-License-Identifier: GPL-2.0-or-later
"""The threads that sit in the compiled engine: started here, stopped through its eventfds."""

from __future__ import annotations

import os
import threading
from typing import Protocol


class Runner(Protocol):
    """What is pumped; _fast.pump.Engine is one."""

    @property
    def workers(self) -> int:
        """How many threads it wants."""

    def run(self, index: int) -> None:
        """Work until stop(), without the interpreter lock; `index` counts from 1."""

    def stop(self) -> None:
        """Make every run() return."""

    def restart(self) -> None:
        """Allow run() again."""


class Pump:
    """Starts and joins the worker threads of one engine; `pinned`: each stays on a core of its own, in turn."""

    def __init__(self, engine: Runner, pinned: bool = False) -> None:
        self._engine = engine
        self._cores = sorted(os.sched_getaffinity(0)) if pinned else []
        self._threads: list[threading.Thread] = []

    @property
    def running(self) -> bool:
        """Are the threads there?"""
        return bool(self._threads)

    def start(self) -> None:
        """Start the workers; nothing when they run."""
        if self._threads:
            return
        self._engine.restart()
        for index in range(1, self._engine.workers + 1):
            # Daemon threads: a daemon that dies of something else must not hang on its packet threads.
            thread = threading.Thread(target=self._run, args=(index,), name=f"klips-{index}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _run(self, index: int) -> None:
        if self._cores:
            os.sched_setaffinity(0, {self._cores[(index - 1) % len(self._cores)]})
        self._engine.run(index)

    def stop(self) -> None:
        """Stop the workers and wait until they have returned."""
        self._engine.stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
