# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.notify promises."""

from __future__ import annotations

from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, ProtocolId
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives

REKEY = Notify(NotifyType.REKEY_SA, b"", ProtocolId.ESP, b"\1\2\3\4")


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(REKEY) == bytes.fromhex("03044009 01020304")
    assert round_trip(Notify(NotifyType.INVALID_KE_PAYLOAD, b"\0\x1f")) == bytes.fromhex("00000011 001f")


def test_smallest_largest_and_cut() -> None:
    round_trip(Notify(NotifyType.COOKIE))
    round_trip(Notify(NotifyType(65535), bytes(65000), ProtocolId(255), bytes(255)))
    refuses_every_cut(REKEY)


def test_any_protocol_and_spi_size_is_read_and_left_to_the_exchange() -> None:
    """CVE-2023-38710: REKEY_SA for protocol 0 or 1."""
    for protocol in range(256):
        assert survives(Notify, bytes([protocol, 4]) + bytes.fromhex("4009 01020304"))
        assert survives(Notify, bytes([protocol, 0]) + bytes.fromhex("4009"))


def test_errors_and_statuses() -> None:
    assert Notify(NotifyType.NO_PROPOSAL_CHOSEN).is_error
    assert not REKEY.is_error
