# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.delete promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.delete import Delete
from openswan.wire.v2.numbers import ProtocolId
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Delete(ProtocolId.IKE)) == bytes.fromhex("01000000")
    assert round_trip(Delete(ProtocolId.ESP, (b"abcd", b"efgh"))) == bytes.fromhex("03040002") + b"abcdefgh"


def test_smallest_largest_and_cut() -> None:
    round_trip(Delete(ProtocolId.AH))
    round_trip(Delete(ProtocolId.ESP, (b"abcd",) * 16000))
    refuses_every_cut(Delete(ProtocolId.ESP, (b"abcd", b"efgh")))


@pytest.mark.parametrize(
    "octets",
    [
        "00000000",  # no protocol
        "04040001 01020304",  # an unknown one
        "01000001",  # an IKE SA has no SPI here
        "01080001 0102030405060708",
        "03000000",  # wrong SPI size
        "03080001 0102030405060708",
        "03040001 0102030405",  # more than announced
        "03040002 01020304",  # less
        "0304ffff 01020304",
    ],
)
def test_refused(octets: str) -> None:
    """CVE-2023-38712: wrong SPI sizes and counts."""
    assert not survives(Delete, bytes.fromhex(octets))
