# SPDX-License-Identifier: GPL-2.0-or-later
"""Message-ID windows."""

from __future__ import annotations

import pytest

from openswan.ike.v2.msgid import LAST_ID, Order, ReceiveWindow, SendWindow


def test_one_request_at_a_time() -> None:
    window = SendWindow()
    assert window.open
    assert window.take() == 0
    assert not window.open
    assert not window.answered(1)
    assert window.answered(0)
    assert not window.answered(0)
    assert window.take() == 1


def test_restart_uses_zero_again() -> None:
    window = SendWindow()
    window.take()
    window.restart()
    assert window.take() == 0


def test_ids_run_out() -> None:
    window = SendWindow(LAST_ID)
    assert window.take() == LAST_ID
    window.answered(LAST_ID)
    assert window.exhausted and not window.open


@pytest.mark.parametrize(
    ("data", "size"),
    [(b"\0\0\0\5", 5), (b"\0\0\0\x09", 8), (b"\0\0\0\0", 1), (b"", 1), (b"\5", 1), (bytes(5), 1)],
)
def test_peer_window_size(data: bytes, size: int) -> None:
    window = SendWindow()
    window.set_peer_size(data, 8)
    assert window.peer_size == size


def test_the_oldest_unanswered_request_holds_the_window() -> None:
    window = SendWindow(7)
    window.set_peer_size(b"\0\0\0\4", 8)
    assert [window.take() for _ in range(4)] == [7, 8, 9, 10]
    assert not window.open
    assert window.answered(8) and not window.open
    assert window.answered(7) and window.open
    assert [window.take() for _ in range(2)] == [11, 12] and not window.open


def test_a_window_never_becomes_smaller() -> None:
    window = SendWindow()
    for size in (4, 2):
        window.set_peer_size(size.to_bytes(4, "big"), 8)
    assert window.peer_size == 4


def test_receiving() -> None:
    window = ReceiveWindow()
    assert [window.order(i) for i in (0, 1, 2)] == [Order.FRESH, Order.OUTSIDE, Order.OUTSIDE]
    window.accept(0)
    assert [window.order(i) for i in (0, 1, 2)] == [Order.REPEATED, Order.FRESH, Order.OUTSIDE]
    window.accept(1)
    assert window.order(0) is Order.OUTSIDE


def test_receiving_in_any_order() -> None:
    window = ReceiveWindow(10)
    window.size = 4
    for message_id in (12, 11):
        window.accept(message_id)
    r, f, o = Order.REPEATED, Order.FRESH, Order.OUTSIDE
    assert [window.order(i) for i in range(5, 15)] == [o, r, r, r, r, f, r, r, f, o]
    window.accept(10)
    assert window.expected == 13 and not window.ahead
    assert [window.order(i) for i in range(8, 18)] == [o, r, r, r, r, f, f, f, f, o]
