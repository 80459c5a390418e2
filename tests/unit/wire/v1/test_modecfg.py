# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.modecfg promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.wire.attribute import Attribute
from openswan.wire.v1.modecfg import MAX_ATTRIBUTES, Attributes
from openswan.wire.v1.numbers import CfgAttribute, CfgType
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives

XAUTH = Attributes(
    CfgType.REQUEST,
    7,
    (
        Attribute(CfgAttribute.XAUTH_TYPE, 0),
        Attribute(CfgAttribute.XAUTH_USER_NAME, b""),
        Attribute(CfgAttribute.XAUTH_USER_PASSWORD, b""),
    ),
)


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(XAUTH) == bytes.fromhex("01000007 c0880000 40890000 408a0000")


def test_smallest_largest_and_cut() -> None:
    round_trip(Attributes(CfgType.ACK, 65535))
    round_trip(Attributes(CfgType(255), 0, (Attribute(1, b""),) * MAX_ATTRIBUTES))
    refuses_every_cut(Attributes(CfgType.SET, 1, (Attribute(1, bytes(4)),)), keep=6)
    refuses_every_cut(Attributes(CfgType.SET, 1))
    assert not survives(Attributes, Attributes(CfgType.REPLY, 0, (Attribute(1, 1),) * (MAX_ATTRIBUTES + 1)).emit())
    assert not survives(Attributes, bytes.fromhex("01010007"))


@pytest.mark.parametrize("octets", [1, 2, 3])
def test_what_pluto_fills_it_up_with(octets: int) -> None:
    """Zeros, up to a multiple of four octets."""
    whole = round_trip(replace(XAUTH, padding=octets))
    assert whole == XAUTH.emit() + bytes(octets)
    assert not survives(Attributes, whole[:-1] + b"\1")


def test_many_and_long_values_are_kept_as_octets() -> None:
    """CVE-2010-3302, CVE-2010-3308: 64 name servers, a banner of 64,000 octets with quotes."""
    servers = tuple(Attribute(CfgAttribute.INTERNAL_IP4_DNS, bytes([192, 0, 2, n])) for n in range(64))
    banner = b"a';touch /tmp/x;'`\n\0" * 3200
    told = Attributes(CfgType.REPLY, 1, (*servers, Attribute(CfgAttribute.UNITY_BANNER, banner), Attribute(1, 5)))
    round_trip(told)
    assert len(list(told.values(CfgAttribute.INTERNAL_IP4_DNS))) == 64
    assert list(told.values(CfgAttribute.UNITY_BANNER)) == [banner]
    assert list(told.values(CfgAttribute.INTERNAL_IP4_ADDRESS)) == [b"\0\5"]
