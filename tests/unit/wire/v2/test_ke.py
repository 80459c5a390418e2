# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.ke promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.ke import Ke
from openswan.wire.v2.numbers import DhId
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Ke(DhId.X25519, b"public")) == bytes.fromhex("001f0000") + b"public"


@pytest.mark.parametrize("group", [0, 1, 31, 1024, 1025, 65535])
def test_any_group_number_travels(group: int) -> None:
    """CVE-2014-9221: private and unknown groups are the negotiation's business."""
    round_trip(Ke(DhId(group), b"x"))


def test_smallest_largest_and_cut() -> None:
    round_trip(Ke(DhId.MODP8192, bytes(65000)))
    refuses_every_cut(Ke(DhId.X25519, b"x"))
    assert not survives(Ke, bytes(4))
