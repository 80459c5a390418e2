# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing is released while a reader may see it."""

from __future__ import annotations

from random import Random

from _fast.epoch import Epoch


def test_released_at_once_without_readers() -> None:
    epoch = Epoch()
    epoch.retire()
    assert epoch.waiting == 1 and epoch.reclaim() == 1 and epoch.waiting == 0


def test_a_reader_that_was_in_holds_it_until_its_next_quiescent_point() -> None:
    epoch = Epoch()
    epoch.enter(1)
    epoch.retire()
    epoch.enter(2)
    assert epoch.reclaim() == 0
    epoch.enter(2)
    assert epoch.reclaim() == 0
    epoch.enter(1)
    assert epoch.reclaim() == 1


def test_a_sleeping_reader_holds_nothing() -> None:
    epoch = Epoch()
    epoch.enter(1)
    epoch.retire()
    epoch.leave(1)
    assert epoch.reclaim() == 1


def test_against_a_model() -> None:
    rng = Random(7)
    epoch = Epoch()
    inside: dict[int, int] = {}
    retired: list[int] = []
    done = 0
    for now in range(1, 5001):
        act, reader = rng.randrange(4), rng.randrange(1, 9)
        if act == 0:
            epoch.enter(reader)
            inside[reader] = now
        elif act == 1:
            epoch.leave(reader)
            inside.pop(reader, None)
        elif act == 2:
            epoch.retire()
            retired.append(now)
        else:
            oldest = min(inside.values(), default=now)
            while retired and retired[0] < oldest:
                retired.pop(0)
                done += 1
            assert epoch.reclaim() == done
            assert epoch.waiting == len(retired)
