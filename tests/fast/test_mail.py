# SPDX-License-Identifier: GPL-2.0-or-later
"""The queue of events: order, bounds, and a descriptor that tells the truth."""

from __future__ import annotations

import select

from _fast.mail import Mailbox

NOTE, DATAGRAM = 3, 6


def readable(box: Mailbox) -> bool:
    return bool(select.select([box.fileno()], [], [], 0)[0])


def test_order_and_readiness() -> None:
    box = Mailbox()
    assert not readable(box) and box.take() is None
    for n in range(100):
        assert box.post(DATAGRAM if n % 2 else NOTE, n, bytes([n]) * n)
    assert readable(box)
    for n in range(100):
        assert readable(box)
        assert box.take() == (DATAGRAM if n % 2 else NOTE, n, bytes([n]) * n)
    assert not readable(box) and box.take() is None


def test_datagrams_are_bounded_and_leave_room_for_notes() -> None:
    box = Mailbox()
    sent = 0
    while box.post(DATAGRAM, 0, bytes(60000)):
        sent += 1
    assert 100 < sent < 150  # 8 MiB
    assert box.post(NOTE, 1)
    box.take()
    assert box.post(DATAGRAM, 0, bytes(60000))


def test_small_datagrams_and_notes_are_bounded_by_number() -> None:
    box = Mailbox()
    assert sum(box.post(DATAGRAM, 0, b"x") for _ in range(5000)) == 4096
    assert sum(box.post(NOTE, 0) for _ in range(20000)) == 16384
