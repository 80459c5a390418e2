# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle itself, on a table worked out by hand."""

from __future__ import annotations

from openswan.klips.slow.radij import Radij

HOST, NET, FAR = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 0]), bytes([192, 168, 0, 9])


def test_specificity() -> None:
    table = Radij()
    assert table.set((4, NET, 8, bytes(4), 0, 0, 0, 0), 1) is None
    assert table.set((4, bytes(4), 0, FAR, 32, 6, 0, 80), 2) is None
    assert table.match((4, HOST, FAR, 6, 5, 80)) == 1
    assert table.match((4, FAR, FAR, 6, 5, 80)) == 2
    assert table.match((4, FAR, FAR, 6, 5, 81)) is None
    assert table.set((4, HOST, 8, bytes(4), 0, 0, 0, 0), 3) == 1  # host bits do not count
    assert len(table) == 2 and table.remove((4, NET, 8, bytes(4), 0, 0, 0, 0))
    assert not table.remove((4, NET, 8, bytes(4), 0, 0, 0, 0))
    assert table.match((4, HOST, FAR, 6, 5, 80)) == 2
    assert table.match((6, bytes(16), bytes(16), 6, 5, 80)) is None
