# SPDX-License-Identifier: GPL-2.0-or-later
"""The watchdog starves with any one packet thread; threads of a real engine feed it though they have nothing to do."""

from __future__ import annotations

import asyncio

from openswan.daemon.watchdog import Watchdog
from openswan.host.notify import Notifier
from openswan.klips.engine import Klips
from tests.fast.rig import eventually


class Manager(Notifier):
    def __init__(self, watchdog: float = 0.0) -> None:
        super().__init__("@nobody", watchdog)
        self.heard = 0

    def alive(self) -> None:
        self.heard += 1


class Threads:
    def __init__(self) -> None:
        self.counts = [7, 7]
        self.well = [True, True]

    def nudge(self) -> None:
        self.counts = [count + well for count, well in zip(self.counts, self.well, strict=True)]

    def turns(self) -> list[int]:
        return list(self.counts)


def test_one_thread_that_is_stuck_stops_the_feeding() -> None:
    threads, manager, log = Threads(), Manager(), list[str]()
    dog = Watchdog(threads, manager, lambda line, serious: log.append(line))
    assert [dog.look() for _ in range(3)] == [True] * 3 and manager.heard == 3
    threads.well[1] = False
    assert dog.look() and not dog.look() and not dog.look() and manager.heard == 4
    assert log == ["packet thread 2 of 2 is stuck: the watchdog is not fed"]
    threads.well[1] = True
    assert not dog.look() and dog.look()
    assert log[1:] == ["packet thread 2 of 2 turns again"]


def test_an_idle_engine_feeds_it_and_one_without_threads_does_not() -> None:
    klips, manager = Klips(workers=3), Manager()
    dog = Watchdog(klips, manager, lambda line, serious: None)
    klips.start()
    for _ in range(5):
        before = klips.turns()
        dog.look()
        eventually(lambda: all(a > b for a, b in zip(klips.turns(), before, strict=True)))  # noqa: B023
    assert manager.heard == 5
    klips.stop()
    assert [dog.look(), dog.look()][1] is False


def test_it_looks_three_times_in_the_time_the_manager_gives() -> None:
    async def main(manager: Manager) -> int:
        task = asyncio.create_task(Watchdog(Threads(), manager, lambda line, serious: None).follow())
        await asyncio.sleep(0)
        for _ in range(500):
            if manager.heard > 2 or task.done():
                break
            await asyncio.sleep(0.01)
        task.cancel()
        return manager.heard

    assert asyncio.run(main(Manager(0.06))) >= 3
    assert asyncio.run(main(Manager(0.0))) == 0
