# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads are started once, run what they should and are joined."""

from __future__ import annotations

import os
import threading

from openswan.klips.pump import Pump


class Double:
    """An engine whose workers wait for stop()."""

    workers = 3

    def __init__(self) -> None:
        self.ran: list[int] = []
        self._stopped = threading.Event()

    def run(self, index: int) -> None:
        self.ran.append(index)
        self._stopped.wait(5)

    def stop(self) -> None:
        self._stopped.set()

    def restart(self) -> None:
        self._stopped.clear()


def test_life() -> None:
    double = Double()
    pump = Pump(double)
    for life in range(1, 4):
        assert not pump.running
        pump.start()
        pump.start()
        assert pump.running
        pump.stop()
        assert sorted(double.ran) == sorted([1, 2, 3] * life)
    pump.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("klips-")]


def test_pinned_threads_take_the_cores_in_turn() -> None:
    seen: dict[int, set[int]] = {}

    class Where(Double):
        def run(self, index: int) -> None:
            seen[index] = os.sched_getaffinity(0)

    before = sorted(os.sched_getaffinity(0))
    pump = Pump(Where(), pinned=True)
    pump.start()
    pump.stop()
    assert seen == {index: {before[(index - 1) % len(before)]} for index in (1, 2, 3)}
    assert sorted(os.sched_getaffinity(0)) == before
