# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.fragment promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.v1.fragment import MAX_FRAGMENTS, Fragment, split
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Fragment(1, 2, True, b"piece")) == bytes.fromhex("00010201") + b"piece"


def test_smallest_largest_and_cut() -> None:
    round_trip(Fragment(0, 1, False, b"x"))
    round_trip(Fragment(65535, MAX_FRAGMENTS, True, bytes(65000)))
    refuses_every_cut(Fragment(1, 1, True, b"x"))


@pytest.mark.parametrize("octets", ["00010001", "0001ff01", f"0001{MAX_FRAGMENTS + 1:02x}01", "00010102", "000101ff"])
def test_impossible_numbers_and_flags(octets: str) -> None:
    """CVE-2013-6076."""
    assert not survives(Fragment, bytes.fromhex(octets) + b"piece")


def test_a_message_in_pieces() -> None:
    message = bytes(range(256)) * 5
    pieces = split(message, 9, 500)
    assert [len(piece.data) for piece in pieces] == [500, 500, 280]
    assert [(piece.id, piece.number, piece.last) for piece in pieces] == [(9, 1, False), (9, 2, False), (9, 3, True)]
    assert b"".join(piece.data for piece in pieces) == message
    with pytest.raises(WireError):
        split(message, 9, 16)
