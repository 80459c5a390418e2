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


@pytest.mark.parametrize(("data", "size"), [(b"\0\0\0\5", 5), (b"\0\0\0\0", 1), (b"", 1), (b"\5", 1), (bytes(5), 1)])
def test_peer_window_size(data: bytes, size: int) -> None:
    window = SendWindow()
    window.set_peer_size(data)
    assert window.peer_size == size


def test_receiving() -> None:
    window = ReceiveWindow()
    assert [window.order(i) for i in (0, 1, 2)] == [Order.FRESH, Order.OUTSIDE, Order.OUTSIDE]
    window.accept()
    assert [window.order(i) for i in (0, 1, 2)] == [Order.REPEATED, Order.FRESH, Order.OUTSIDE]
    window.accept()
    assert window.order(0) is Order.OUTSIDE
