# SPDX-License-Identifier: GPL-2.0-or-later
"""From decisions to verdicts and tables; real packets are in tests/netns/test_intercept.py."""

from __future__ import annotations

import asyncio
import os
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar

import pytest

from openswan.base.errors import HostError
from openswan.base.marks import Marks
from openswan.engine.effects import Decide, Decision, Intercept, Way
from openswan.engine.events import Intercepted
from openswan.host.intercept import intercept
from openswan.host.intercept.intercept import ASKED, BY_QUEUE, BY_ROUTE, LATE, Interceptor
from openswan.host.intercept.table import QUEUES
from openswan.host.nfqueue import Queued
from tests.unit.host.intercept.test_holding import packet

MARKS = Marks()
A, B = ip_address("10.1.0.2"), ip_address("192.0.2.2")
PLAN = Intercept(((ip_network("192.0.2.0/24"), Way.OPEN),), (ip_network("10.1.0.0/24"),))


class Table:
    """The kernel's table."""

    def __init__(self, version: int, inherited: Any = None, marks: Any = None) -> None:
        self.version, self.inherited, self.marks = version, inherited, marks
        self.sock = f"table {version}"
        self.queue: bool | None = True
        self.portid = version
        self.done: list[Any] = []
        self.good = True
        self.steps = 0

    def load(self, plan: Intercept) -> None:
        self.done.append(("load", plan))
        self.good = True

    def clear(self) -> None:
        self.done.append("clear")

    def check(self) -> bool:
        return self.good

    def note(self, notes: Any) -> None:
        self.done += [(note.hosts, note.code, note.life) for note in notes]
        self.steps += 1

    def refused(self) -> int:
        return 3

    def close(self) -> None:
        self.done.append("close")


class Queue:
    """The kernel's queue."""

    refuses = False
    taken: ClassVar[set[int]] = set()
    """Numbers that others have."""
    reading = -1

    def __init__(self, number: int, length: int, fail_open: bool, inherited: Any = None) -> None:
        if self.refuses or number in self.taken:
            raise HostError("packets cannot be queued")
        self.number, self.fail_open, self.inherited = number, fail_open, inherited
        self.coming: list[Queued] = []
        self.verdicts: list[tuple[int, bool, int | None]] = []
        self.told: list[tuple[int, bool, int | None]] = []
        self.closed = self.lost = False
        self.repeated = 0
        self.sock = f"socket {number}"

    def fileno(self) -> int:
        return self.reading

    def probe(self) -> None:
        self.lost = self.lost or self.number in self.taken

    def again(self) -> None:
        self.repeated += 1

    def read(self) -> list[Queued]:
        coming, self.coming = self.coming, []
        return coming

    def verdict(self, number: int, accept: bool, mark: int | None = None) -> None:
        self.verdicts.append((number, accept, mark))

    def flush(self) -> None:
        self.told += self.verdicts
        self.verdicts = []

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intercept, "Table", Table)
    monkeypatch.setattr(intercept, "NfQueue", Queue)
    monkeypatch.setattr(Queue, "refuses", False)


def made() -> tuple[Any, list[Intercepted], list[str]]:
    events: list[Intercepted] = []
    lines: list[str] = []
    return Interceptor(events.append, lambda text, serious: lines.append(text)), events, lines


def come(interceptor: Any, name: str, *packets: Queued) -> Queue:
    queue: Queue = interceptor._queues[QUEUES[name]]
    queue.coming += packets
    interceptor._read(queue)
    return queue


def test_a_packet_is_asked_about_once_and_then_goes_its_way() -> None:
    interceptor, events, _ = made()
    interceptor.set(PLAN)
    queue = come(interceptor, "open", *(Queued(n, 0, 0, packet(str(A), str(B))) for n in (1, 2)))
    assert events == [Intercepted(A, B)] and queue.told == [] and interceptor.counters()["held"] == 2
    interceptor.decide(Decide(A, B, Decision.PASS))
    assert [(number, accept) for number, accept, _ in queue.told] == [(1, True), (2, True)]
    assert interceptor.tables[4].done == [("load", PLAN)], "the packet teaches the table"
    interceptor.decide(Decide(A, B, Decision.FORGET))
    assert interceptor.tables[4].done[1:] == [((A, B), 0, 0.0)]


def test_where_more_come_than_can_be_decided_the_newest_are_in_time() -> None:
    """A few are asked about at a time, the last ones first; what has waited for too long is dropped and counted."""
    now = [0.0]
    events: list[Intercepted] = []

    async def life() -> tuple[Any, Queue]:
        interceptor = Interceptor(events.append, lambda text, serious: None, clock=lambda: now[0])
        interceptor.set(PLAN)
        interceptor._loop = asyncio.get_running_loop()
        many = (Queued(n, 0, 0, packet(str(A), f"192.0.2.{n}")) for n in range(1, 3 * ASKED + 1))
        queue = come(interceptor, "open", *many)
        assert [int(event.dst) & 255 for event in events] == list(range(3 * ASKED, 2 * ASKED, -1))
        await asyncio.sleep(0)
        assert len(events) == 2 * ASKED
        now[0] += LATE + 0.1
        await asyncio.sleep(0)
        return interceptor, queue

    interceptor, queue = asyncio.run(life())
    assert len(events) == 2 * ASKED and interceptor.counters()["late"] == ASKED
    assert queue.told == [(n, False, None) for n in range(1, ASKED + 1)]
    come(interceptor, "open", Queued(99, 0, 0, packet(str(A), "192.0.2.1")))
    assert events[-1] == Intercepted(A, ip_address("192.0.2.1")), "who sends it again is asked about again"


def test_what_the_kernel_has_refused_is_counted() -> None:
    interceptor, _, _ = made()
    assert interceptor.counters()["refused"] == 0, "no tables"
    interceptor.set(PLAN)
    assert interceptor.drops() == {"dropped": 0, "late": 0, "overflows": 0, "refused": 6}


def test_an_inbound_one_goes_on_at_once() -> None:
    interceptor, events, _ = made()
    queue = come(interceptor, "trigger", Queued(5, 0, 0, packet(str(B), str(A))), Queued(6, 0, 0, b""))
    assert queue.told == [(5, True, None), (6, True, None)]
    assert events == [Intercepted(A, B, inbound=True)], "seen from us"


def test_an_inbound_one_takes_no_question_from_a_packet_that_waits() -> None:
    """Which is asked about as such, and counted when it waited too long."""
    now = [0.0]
    events: list[Intercepted] = []
    interceptor = Interceptor(events.append, lambda text, serious: None, clock=lambda: now[0])
    interceptor._asking = True  # more are asked about when the loop comes round
    there, back = (packet(str(A), str(B)), packet(str(B), str(A)))
    come(interceptor, "trigger", Queued(1, 0, 0, back))
    come(interceptor, "open", Queued(2, 0, 0, there))
    come(interceptor, "trigger", Queued(3, 0, 0, back))
    assert list(interceptor._unasked.values()) == [(0.0, False)]
    now[0] = LATE + 0.1
    interceptor._ask()
    assert events == [] and interceptor.late == 1


def test_the_table_is_told_where_nothing_waits() -> None:
    interceptor, _, _ = made()
    interceptor.decide(Decide(A, B, Decision.PASS))
    assert interceptor.tables[4].done == [], "there are no groups"
    interceptor.set(PLAN)
    for decision, code in (
        (Decision.PASS, (MARKS.clear, 300.0)),
        (Decision.DROP, (MARKS.dropped, 300.0)),
        (Decision.TUNNEL, (MARKS.tunnel, 0.0)),
        (Decision.FORGET, (0, 0.0)),
    ):
        interceptor.decide(Decide(A, B, decision))
        assert interceptor.tables[4].done[-1] == ((A, B), *code)
    before = len(interceptor.tables[4].done)
    for decision in (Decision.FORGET, Decision.LEAVE, Decision.HOLD):
        interceptor.decide(Decide(A, B, decision))
    assert len(interceptor.tables[4].done) == before, "nothing is known of it there"


def test_what_is_decided_at_once_is_told_at_once() -> None:
    interceptor, _, _ = made()
    interceptor.set(PLAN)
    many = [ip_address(f"192.0.2.{last}") for last in range(1, 101)]

    async def life() -> None:
        interceptor._loop = asyncio.get_running_loop()
        for each in many:
            interceptor.decide(Decide(A, each, Decision.DROP))
        interceptor.decide(Decide(A, many[0], Decision.TUNNEL))
        come(interceptor, "open", Queued(1, 0, 0, packet(str(A), str(many[1]))))
        interceptor.decide(Decide(A, many[1], Decision.PASS))
        await asyncio.sleep(0)
        interceptor.decide(Decide(A, many[2], Decision.FORGET))
        await asyncio.sleep(0)

    asyncio.run(life())
    table = interceptor.tables[4]
    assert table.steps == 2 and table.done[-1] == ((A, many[2]), 0, 0.0)
    assert table.done[1:-1] == [
        ((A, many[0]), MARKS.tunnel, 0.0),
        *(((A, each), MARKS.dropped, 300.0) for each in many[2:]),
    ]


def test_a_plan_comes_once_and_an_empty_one_takes_the_tables_away() -> None:
    interceptor, _, _ = made()
    interceptor.set(PLAN)
    interceptor.set(PLAN)
    interceptor.set(Intercept())
    assert interceptor.tables[6].done == [("load", PLAN), "clear"]
    interceptor.close(keep=True)
    assert interceptor.tables[6].done[-1] == "close" and set(interceptor.sockets) == {"table4", "table6"}


def test_a_kernel_without_queues() -> None:
    Queue.refuses = True
    interceptor, _, lines = made()
    assert interceptor.how == BY_ROUTE and "held by the packet engine" in lines[0]
    interceptor.set(PLAN)
    assert interceptor.tables[4].queue is None
    interceptor.close(keep=False)
    assert interceptor.tables[4].done[-2:] == ["clear", "close"]


def test_a_queue_that_is_lost_is_bound_anew() -> None:
    """What it held is gone: the numbers are other packets' then. The keeper gets the new one."""
    kept: list[Any] = []
    interceptor, events, lines = made()
    interceptor._keep = kept.append
    interceptor.set(PLAN)
    old = come(interceptor, "open", Queued(1, 0, 0, packet("10.1.0.2", "192.0.2.2")))
    old.lost = True
    interceptor._tend()
    new = interceptor._queues[QUEUES["open"]]
    assert new is not old and old.closed and interceptor.how == BY_QUEUE and len(kept) == 2
    known = {"held": 0, "dropped": 1, "late": 0, "overflows": 0, "refused": 6}
    assert interceptor.counters() == known and "bound anew" in lines[0]
    come(interceptor, "open", Queued(1, 0, 0, packet("10.1.0.2", "192.0.2.2")))
    assert len(events) == 2, "it is asked about anew"
    interceptor.decide(Decide(A, B, Decision.DROP))
    assert old.told == [] and new.told == [(1, False, None)]


def test_a_queue_that_somebody_else_takes_is_done_without_until_he_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    interceptor, _, lines = made()
    interceptor.set(PLAN)
    monkeypatch.setattr(Queue, "taken", {QUEUES["closed"]})
    interceptor._tend()
    assert interceptor.how == BY_ROUTE and "is somebody else's now" in lines[0] and len(lines) == 1
    assert interceptor.tables[4].queue is None and interceptor.tables[4].done[-1][0] == "load"
    interceptor._tend()
    assert interceptor.how == BY_ROUTE and len(lines) == 1, "said once"
    monkeypatch.setattr(Queue, "taken", set())
    interceptor._tend()
    assert interceptor.how == BY_QUEUE and interceptor.tables[4].queue is True and "bound anew" in lines[1]
    assert [queue.fail_open for _, queue in sorted(interceptor._queues.items())] == [False, False, True]


def test_what_a_daemon_before_lost_is_bound_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Heir(Queue):
        def __init__(self, number: int, length: int, fail_open: bool, inherited: Any = None) -> None:
            if inherited is not None:
                raise HostError("No such device")
            super().__init__(number, length, fail_open)

    monkeypatch.setattr(intercept, "NfQueue", Heir)
    known: Any = {"open": "its socket"}
    interceptor = Interceptor(lambda _: None, lambda *_: None, known)
    assert interceptor.how == BY_QUEUE and interceptor._queues[QUEUES["open"]].inherited is None  # type: ignore[attr-defined]


def test_with_them_and_what_a_keeper_gets() -> None:
    interceptor, _, _ = made()
    assert interceptor.how == BY_QUEUE and set(interceptor.sockets) == {"closed", "open", "table4", "table6"}
    assert [queue.fail_open for queue in interceptor._queues.values()] == [False, False, True]
    interceptor.tables[4].queue = None
    assert interceptor.how == BY_ROUTE


def test_a_keeper_is_given_them_with_the_first_nets() -> None:
    kept: list[Any] = []
    interceptor = Interceptor(lambda event: None, lambda text, serious: None, None, kept.append)
    interceptor.set(Intercept())
    assert kept == []
    interceptor.set(PLAN)
    interceptor.set(Intercept())
    interceptor.set(PLAN)
    assert kept == [interceptor.sockets]


def test_without_a_keeper_it_says_so() -> None:
    lines: list[str] = []

    def refuse(_: object) -> None:
        raise OSError("no room")

    interceptor = Interceptor(lambda event: None, lambda text, serious: lines.append(text), None, refuse)
    interceptor.set(PLAN)
    assert lines == ["interception: nobody keeps what is held when pluto dies: no room"]


@pytest.mark.parametrize("nets", ["before", "after", ""])
def test_what_a_daemon_before_held_waits_until_the_nets_are_known(monkeypatch: pytest.MonkeyPatch, nets: str) -> None:
    monkeypatch.setattr(intercept, "KNOWN", 0.02)
    monkeypatch.setattr(intercept, "NOTHING", 30.0 if nets else 0.1)
    left: Any = {"closed": "old", "open": "old", "table4": "old", "table6": "old"}
    interceptor: Any = Interceptor(lambda event: None, lambda text, serious: None, left)
    assert interceptor.tables[6].inherited == "old"
    queues = [interceptor._queues[QUEUES[name]] for name in ("closed", "open", "trigger")]
    assert [queue.inherited for queue in queues] == ["old", "old", None]
    reading, writing = os.pipe()
    monkeypatch.setattr(Queue, "reading", reading)

    async def life() -> None:
        interceptor._follow = lambda: asyncio.sleep(10)
        if nets == "before":
            interceptor.set(PLAN)
        interceptor.start()
        if nets == "after":
            interceptor.set(PLAN)
        assert not queues[0].repeated
        for _ in range(1000):
            await asyncio.sleep(0.0 if queues[2].repeated else 0.01)
        interceptor.close(keep=True)

    asyncio.run(life())
    assert [queue.repeated for queue in queues] == [1, 1, 1]
    os.close(reading)
    os.close(writing)


def test_what_somebody_takes_away_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    interceptor, _, lines = made()
    interceptor.set(PLAN)
    interceptor.tables[4].good = False
    interceptor._look()
    assert interceptor.tables[4].good and lines == ["interception: somebody changed its tables; restored"]
    interceptor._look()
    assert len(lines) == 1


def test_without_events_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise HostError("no netlink socket")

    monkeypatch.setattr(intercept, "Events", refuse)
    monkeypatch.setattr(intercept, "POLL", 0.01)
    interceptor, _, lines = made()
    interceptor.set(PLAN)
    interceptor.tables[4].good = False

    async def life() -> None:
        watch = asyncio.ensure_future(interceptor._follow())
        for _ in range(1000):
            await asyncio.sleep(0.0 if interceptor.tables[4].good else 0.01)
        watch.cancel()

    asyncio.run(life())
    assert interceptor.tables[4].good and len(lines) == 2 and "looking only" in lines[0]


def test_trouble_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    interceptor, _, lines = made()
    interceptor.set(PLAN)

    def refuse(*_: object) -> None:
        raise HostError("no")

    interceptor.tables[4].note = refuse
    for _ in range(3):
        interceptor.decide(Decide(A, B, Decision.PASS))
    assert lines == ["interception: a decision could not be noted: no"]
    assert asyncio.run(asyncio.sleep(0)) is None


def test_another_mask_is_everybodys() -> None:
    """The tables', what is noted, and the verdicts of what waits."""
    marks = Marks(0x0F000000)
    interceptor: Any = Interceptor(lambda _: None, lambda *_: None, marks=marks)
    interceptor.set(PLAN)
    queue = come(interceptor, "open", Queued(1, 0, 0xF001, packet("10.1.0.2", "192.0.2.2")))
    interceptor.decide(Decide(A, B, Decision.PASS))
    assert queue.told == [(1, True, 0x0B00F001)], "clear, to be learned, and others' bits as they were"
    interceptor.decide(Decide(B, A, Decision.DROP))
    assert interceptor.tables[4].marks == marks and interceptor.tables[4].done[-1] == ((B, A), marks.dropped, 300.0)
