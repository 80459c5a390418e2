# SPDX-License-Identifier: GPL-2.0-or-later
"""The back-off schedule to the instant, and the reply cache."""

from __future__ import annotations

from itertools import pairwise

import pytest

from openswan.ike.retransmit import Due, Outstanding, ReplyCache


def test_default_schedule() -> None:
    waiting = Outstanding.start(0, (b"x",), 0.5, 60.0, 100.0)
    sent: list[float] = []
    while (due := waiting.due(waiting.next)) is Due.REPEAT:
        sent.append(waiting.next - waiting.wait if waiting.next < 160 else 131.5)
    assert due is Due.GIVE_UP
    assert sent == [100.5, 101.5, 103.5, 107.5, 115.5, 131.5]
    assert waiting.next == waiting.give_up == 160.0
    assert waiting.repeats == 6


def test_while_packets_wait_it_is_repeated_sooner_and_still_less_and_less_often() -> None:
    waiting = Outstanding.start(0, (b"x",), 4.0, 60.0, 100.0, brisk=3.0)
    sent = [100.0]
    while waiting.due(waiting.next) is Due.REPEAT:
        sent.append(waiting.next - waiting.wait)
    assert sum(when < 103.0 for when in sent) == 7 and sent[1] == 100.25
    waits = [after - before for before, after in pairwise(sent[:-1])]
    assert all(after > before for before, after in pairwise(waits))
    late = [wait for wait, when in zip(waits, sent[1:], strict=False) if when > 104.0]
    assert all(after == pytest.approx(2 * before) for before, after in pairwise(late)) and len(sent) < 14


def test_nothing_is_due_before_its_time() -> None:
    waiting = Outstanding.start(0, (b"x",), 0.5, 60.0, 100.0)
    assert waiting.due(100.49) is Due.NOTHING
    assert waiting.due(100.5) is Due.REPEAT
    assert waiting.due(100.5) is Due.NOTHING


def test_patience_shorter_than_the_first_wait() -> None:
    waiting = Outstanding.start(0, (b"x",), 5.0, 1.0, 100.0)
    assert waiting.next == 101.0
    assert waiting.due(101.0) is Due.GIVE_UP


def test_reply_only_for_the_same_request() -> None:
    cache = ReplyCache()
    assert cache.answer(0, b"request") == ()
    cache.remember(3, b"request", (b"one", b"two"))
    assert cache.answer(3, b"request") == (b"one", b"two")
    assert cache.answer(3, b"Request") == ()
    assert cache.answer(2, b"request") == ()
    assert cache.reply(3) == (b"one", b"two")
    assert cache.reply(2) == ()
    cache.remember(4, b"request", (b"three",))
    assert cache.answer(3, b"request") == ()


def test_as_many_replies_as_the_window_are_kept() -> None:
    cache = ReplyCache()
    for message_id in (4, 2, 3, 7, 5):
        cache.remember(message_id, b"request", (bytes([message_id]),), 4)
    assert [cache.reply(i) for i in range(2, 8)] == [(), (), (b"\4",), (b"\5",), (), (b"\7",)]
