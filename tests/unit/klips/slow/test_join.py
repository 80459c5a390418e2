# SPDX-License-Identifier: GPL-2.0-or-later
"""The plain joiner by hand: order, copies, overlaps, ends. Raced against the compiled one in tests/fast."""

from __future__ import annotations

from openswan.base.drops import Drop
from openswan.klips.slow.join import KEPT, Datagram


def test_pieces_in_any_order() -> None:
    one = Datagram()
    assert one.put(b"", 16, b"cc", False) == (KEPT, b"")
    assert one.put(b"head", 0, b"a" * 8, True) == (KEPT, b"")
    assert one.put(b"", 8, b"b" * 8, True) == (0, b"a" * 8 + b"b" * 8 + b"cc")
    assert one.front == b"head"


def test_a_copy_changes_nothing_and_an_overlap_everything() -> None:
    one = Datagram()
    one.put(b"", 0, b"a" * 16, True)
    assert one.put(b"", 8, b"a" * 8, True) == (Drop.FRAGMENT_LOST, b"")
    assert one.put(b"", 8, b"b" * 8, True) == (Drop.FRAGMENT_OVERLAP, b"")
    assert one.put(b"", 16, b"c", False) == (Drop.FRAGMENT_OVERLAP, b"")


def test_the_end_is_where_the_first_last_piece_said() -> None:
    for start, body, more in ((24, b"x", False), (24, b"x" * 8, True)):
        one = Datagram()
        one.put(b"", 8, b"abc", False)
        assert one.put(b"", start, body, more)[0] == Drop.FRAGMENT_OVERLAP
    one = Datagram()
    one.put(b"", 24, b"x" * 8, True)
    assert one.put(b"", 8, b"abc", False)[0] == Drop.FRAGMENT_OVERLAP
