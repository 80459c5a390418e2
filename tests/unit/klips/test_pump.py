# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads are started once, run what they should and are joined."""

from __future__ import annotations

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
