# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.ts promises."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from openswan.wire.v2.numbers import TsType
from openswan.wire.v2.ts import OPAQUE, TrafficSelector, TsI, TsR
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives, whole

V4 = TrafficSelector.of(IPv4Address("192.0.2.0"), IPv4Address("192.0.2.255"))
V6 = TrafficSelector.of(IPv6Address("2001:db8::"), IPv6Address("2001:db8::ffff"), 6, 80, 80)


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(TsI((V4,))) == bytes.fromhex("01000000 07000010 0000ffff c0000200 c00002ff")
    assert V6.type == TsType.IPV6_ADDR_RANGE
    assert len(round_trip(TsR((V4, V6)))) == 4 + 16 + 40


def test_smallest_largest_and_cut() -> None:
    round_trip(TsI((V6,) * 255))
    refuses_every_cut(TsR((V4, V6)))
    assert not survives(TsI, TsI((V4,)).emit() + b"\0")


@pytest.mark.parametrize("count", [0, 2, 255])
def test_the_count_must_be_what_follows(count: int) -> None:
    """CVE-2023-23009."""
    assert not survives(TsI, bytes([count]) + TsI((V4,)).emit()[1:])


@pytest.mark.parametrize("length", [0, 3, 4, 7, 8, 15, 17, 40, 65535])
def test_the_length_of_a_selector(length: int) -> None:
    """CVE-2023-23009."""
    good = TsI((V4,)).emit()
    assert not survives(TsI, good[:6] + length.to_bytes(2, "big") + good[8:])
    room = good[:6] + length.to_bytes(2, "big") + good[8:] + bytes(64)
    assert not survives(TsI, room)


def test_unknown_types_are_skipped() -> None:
    """RFC 7296 2.9 lets a responder use what it understands."""
    strange = bytes.fromhex("63 00 0006 eeee")
    assert whole(TsI, bytes.fromhex("02000000") + strange + V4.emit()) == TsI((V4,), 1)
    assert whole(TsI, bytes.fromhex("01000000") + strange) == TsI((), 1)
    assert not survives(TsI, bytes.fromhex("01000000 63000003"))


def test_upside_down_ranges() -> None:
    backwards = TrafficSelector.of(IPv4Address("192.0.2.9"), IPv4Address("192.0.2.1"))
    assert not survives(TsI, TsI((backwards,)).emit())
    ports = TrafficSelector.of(V4.first, V4.last, 17, 500, 499)
    assert not survives(TsI, TsI((ports,)).emit())
    round_trip(TsI((TrafficSelector.of(V4.first, V4.last, 17, *OPAQUE),)))
