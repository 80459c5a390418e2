# SPDX-License-Identifier: GPL-2.0-or-later
"""What a request does that says nothing of its own."""

from __future__ import annotations

from collections.abc import Sequence

from openswan.base.interval import Instant
from openswan.ike.effects import RequestFailed
from openswan.ike.events import Probe
from openswan.ike.v2.core import Core
from openswan.ike.v2.task import Task
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.numbers import ExchangeType
from tests.unit.ike.pair import Pair


class Empty(Task):
    """An INFORMATIONAL request with nothing in it, and nothing beside it."""

    alone = True

    def build(self, sa: Core, now: Instant) -> Sequence[Payload]:
        return ()

    def answered(self, sa: Core, answer: Message, now: Instant) -> None:
        sa.log("answered")


def test_it_waits_for_its_turn_and_for_its_answer() -> None:
    pair = Pair().up()
    tasks = Empty(), Empty()
    for task in tasks:
        pair.a.sa.submit(task, pair.now)
    pair.a.do(pair.a.sa, pair.a.sa.drain())
    assert pair.a.sa.task is tasks[0] and list(pair.a.sa.queue) == [tasks[1]]
    assert len(pair.wire) == 1 and pair.wire[0].data[18] == ExchangeType.INFORMATIONAL
    pair.run()
    assert not pair.a.sa.busy and pair.a.logs()[-2:] == ["002 answered"] * 2


def test_who_asked_hears_that_nothing_came_of_it_and_nobody_else() -> None:
    pair = Pair().up()
    assert Empty().token == 0 and Empty(Probe(7)).token == 7
    Empty().failed(pair.a.sa, "no answer")
    Empty(Probe(7)).failed(pair.a.sa, "no answer", 43)
    assert pair.a.sa.drain() == [RequestFailed(Probe(7), "no answer", 43)]
