# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v1.delete promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.numbers import Doi, NotifyType, ProtocolId
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Delete(ProtocolId.ESP, (b"abcd", b"efgh"))) == bytes.fromhex("00000001 03040002") + b"abcdefgh"


def test_smallest_largest_and_cut() -> None:
    round_trip(Delete(ProtocolId.ISAKMP, (bytes(16),), Doi.ISAKMP))
    round_trip(Delete(ProtocolId.IPCOMP, (b"\0\5",)))
    round_trip(Delete(ProtocolId.IPCOMP, (b"\0\0\0\5",)))
    round_trip(Delete(ProtocolId.AH, (b"abcd",) * 16000))
    refuses_every_cut(Delete(ProtocolId.ESP, (b"abcd", b"efgh")))


@pytest.mark.parametrize(
    ("octets", "notify", "words"),
    [
        ("00000002 03040001 01020304", NotifyType.DOI_NOT_SUPPORTED, "domain of interpretation 2"),
        ("00000001 00040001 01020304", NotifyType.INVALID_PROTOCOL_ID, "unknown Protocol ID (0)"),
        ("00000001 05040001 01020304", NotifyType.INVALID_PROTOCOL_ID, "unknown Protocol ID (5)"),
        ("00000001 03080001 0102030405060708", NotifyType.INVALID_SPI, "bad SPI size (8) for PROTO_IPSEC_ESP"),
        ("00000001 01040001 01020304", NotifyType.INVALID_SPI, "bad SPI size (4) for PROTO_ISAKMP"),
        ("00000001 03000001", NotifyType.INVALID_SPI, "ignoring Delete SA payload: no SPI"),
    ],
)
def test_refused_with_the_reason(octets: str, notify: NotifyType, words: str) -> None:
    """CVE-2023-38712: wrong SPI sizes."""
    with pytest.raises(WireError) as caught:
        Delete.parse(Reader(bytes.fromhex(octets)))
    assert caught.value.notify == notify and str(caught.value).endswith(words)


@pytest.mark.parametrize("octets", ["0000 ", "0001 0102030405", "0002 01020304", "ffff 01020304", "0000 01020304"])
def test_a_count_that_lies(octets: str) -> None:
    assert not survives(Delete, bytes.fromhex("00000001 0304" + octets))


@pytest.mark.parametrize("spis", [(), (b"abcd", b"ab")])
def test_what_cannot_be_said(spis: tuple[bytes, ...]) -> None:
    with pytest.raises(WireError):
        Delete(ProtocolId.ESP, spis).emit()
