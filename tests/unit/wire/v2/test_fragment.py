# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.fragment promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.fragment import MAX_FRAGMENTS, Skf
from openswan.wire.v2.numbers import PayloadType
from openswan.wire.v2.sk import Sealed
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Skf(PayloadType.NONE, 2, 3, b"sealed")) == bytes.fromhex("00020003") + b"sealed"
    assert Skf(PayloadType.NONE, 1, 1, b"ivcicv").split(2, 3) == Sealed(b"iv", b"c", b"icv")


def test_smallest_largest_and_cut() -> None:
    round_trip(Skf(PayloadType.NONE, 1, 1, b""))
    round_trip(Skf(PayloadType.NONE, MAX_FRAGMENTS, MAX_FRAGMENTS, bytes(65000)))
    refuses_every_cut(Skf(PayloadType.NONE, 1, 1, b""))


@pytest.mark.parametrize("numbers", [(0, 0), (0, 1), (2, 1), (1, 0), (1, MAX_FRAGMENTS + 1), (65535, 65535)])
def test_impossible_numbers(numbers: tuple[int, int]) -> None:
    """CVE-2013-6076: fragment number 0, total over the limit."""
    assert not survives(Skf, b"".join(n.to_bytes(2, "big") for n in numbers) + b"sealed")
