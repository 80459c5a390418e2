# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.cp promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.cp import MAX_ATTRIBUTES, Cp, CpAttribute
from openswan.wire.v2.numbers import CfgAttribute, CfgType
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives, whole

ASK = Cp(CfgType.REQUEST, (CpAttribute(CfgAttribute.INTERNAL_IP4_ADDRESS),))


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(ASK) == bytes.fromhex("01000000 00010000")


def test_smallest_largest_and_cut() -> None:
    round_trip(Cp(CfgType(9)))
    round_trip(Cp(CfgType.REPLY, (CpAttribute(CfgAttribute.INTERNAL_IP4_DNS, bytes(4)),) * MAX_ATTRIBUTES))
    refuses_every_cut(ASK, keep=5)
    refuses_every_cut(Cp(CfgType.REPLY))


def test_the_reserved_bit_is_ignored() -> None:
    assert whole(Cp, bytes.fromhex("01000000 80010000")) == ASK


@pytest.mark.parametrize("count", [MAX_ATTRIBUTES + 1, 16000])
def test_very_many_attributes(count: int) -> None:
    """CVE-2010-3302: 64 DNS servers are fine, thousands are not."""
    assert not survives(Cp, bytes(4) + bytes.fromhex("00030000") * count)


def test_a_length_past_the_end() -> None:
    assert not survives(Cp, bytes.fromhex("01000000 0003ffff 00"))
