# SPDX-License-Identifier: GPL-2.0-or-later
"""Deadlines."""

from openswan.engine.timers import Timer, Timers


def test_runs_in_order_and_only_what_is_due() -> None:
    timers, seen = Timers(), []
    timers.set((Timer.RETRY, "b"), 2.0, lambda: seen.append("b"))
    timers.set((Timer.RETRY, "a"), 1.0, lambda: seen.append("a"))
    timers.set((Timer.RETRY, "c"), 3.0, lambda: seen.append("c"))
    assert timers.next() == 1.0
    assert timers.run(2.0) == 2
    assert seen == ["a", "b"]
    assert timers.next() == 3.0


def test_setting_again_moves_and_cancel_forgets() -> None:
    timers, seen = Timers(), []
    key = (Timer.LIVENESS, 1)
    timers.set(key, 1.0, lambda: seen.append("early"))
    timers.set(key, 5.0, lambda: seen.append("late"))
    assert timers.when(key) == 5.0
    assert timers.left(key, 3.0) == 2.0
    assert timers.run(4.0) == 0
    timers.cancel(key)
    timers.cancel(key)
    assert timers.next() is None
    assert timers.run(9.0) == 0
    assert seen == []


def test_what_an_action_makes_due_at_once_runs_the_next_time() -> None:
    timers, seen = Timers(), []

    def first() -> None:
        seen.append(1)
        timers.set((Timer.RETRY, "x"), 1.0, lambda: seen.append(2))

    timers.set((Timer.RETRY, "x"), 1.0, first)
    assert timers.run(1.0) == 1
    assert timers.next() == 1.0
    assert timers.run(1.0) == 1
    assert seen == [1, 2]


def test_a_deadline_that_is_moved_a_thousand_times_does_not_grow_the_heap() -> None:
    timers = Timers()
    for n in range(10_000):
        timers.set((Timer.IKE, 1), float(n), lambda: None)
    assert len(timers.heap) < 100
    assert timers.next() == 9999.0
