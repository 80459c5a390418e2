# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's threads: how many, their end and new start, what they cost when nothing is to do."""

from __future__ import annotations

import resource
import threading
import time

import pytest

from _fast.pump import Engine
from tests.fast.rig import HERE, THERE, Rig, eventually, udp


def test_an_idle_engine_uses_no_cpu(tunnel: Rig) -> None:
    time.sleep(0.2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    time.sleep(1)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.02


def test_stop_and_start_again(tunnel: Rig) -> None:
    for _ in range(5):
        tunnel.klips.stop()
        assert not [t for t in threading.enumerate() if t.name.startswith("klips-")]
        tunnel.klips.start()
        tunnel.klips.start()
        tunnel.send(udp(HERE, THERE, 1, 2))
        assert tunnel.opened() == udp(HERE, THERE, 1, 2)


def test_the_number_of_workers_is_checked() -> None:
    for workers in (0, 9, -1):
        with pytest.raises(ValueError):
            Engine(0, workers)
    with pytest.raises(ValueError):
        Engine(0, 1).run(2)


def test_turns_go_on_after_a_nudge_while_a_thread_is_well(tunnel: Rig) -> None:
    for _ in range(3):
        before = tunnel.klips.turns()
        tunnel.klips.nudge()
        eventually(lambda: tunnel.klips.turns() > before)  # noqa: B023
    tunnel.klips.stop()
    before = tunnel.klips.turns()
    tunnel.klips.nudge()
    time.sleep(0.05)
    assert tunnel.klips.turns() == before
    tunnel.klips.start()
