# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.ident promises."""

from __future__ import annotations

import pytest

from openswan.wire.v2.ident import MAX_NAME, IdI, IdR
from openswan.wire.v2.numbers import IdType
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


@pytest.mark.parametrize("cls", [IdI, IdR])
def test_the_octets_are_where_the_drawing_says(cls: type[IdI | IdR]) -> None:
    assert round_trip(cls(IdType.FQDN, b"east.example")) == bytes.fromhex("02000000") + b"east.example"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (IdType.IPV4_ADDR, bytes(4)),
        (IdType.IPV6_ADDR, bytes(16)),
        (IdType.FQDN, b"x" * MAX_NAME),
        (IdType.RFC822_ADDR, b"u@h"),
        (IdType.DER_ASN1_DN, b"\x30\x00"),
        (IdType.KEY_ID, bytes(65000)),
        (IdType.NULL, b""),
        (IdType(200), b"anything\0at\nall"),
    ],
)
def test_smallest_and_largest(kind: IdType, body: bytes) -> None:
    round_trip(IdI(kind, body))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (IdType.IPV4_ADDR, bytes(3)),
        (IdType.IPV4_ADDR, bytes(5)),
        (IdType.IPV6_ADDR, bytes(15)),
        (IdType.IPV6_ADDR, bytes(32)),
        (IdType.FQDN, b""),
        (IdType.FQDN, b"x" * (MAX_NAME + 1)),
        (IdType.FQDN, b"east\0.example"),
        (IdType.FQDN, b"east\r\n000 forged log line"),
        (IdType.RFC822_ADDR, b"\x1b[2Ju@h"),
        (IdType.DER_ASN1_DN, b""),
        (IdType.KEY_ID, b""),
    ],
)
def test_refused(kind: IdType, body: bytes) -> None:
    """CVE-2014-2891: an empty DN; names never bring line breaks into the log."""
    assert not survives(IdR, bytes([kind, 0, 0, 0]) + body)


def test_cut_short() -> None:
    refuses_every_cut(IdI(IdType.IPV4_ADDR, bytes(4)))
    assert survives(IdI, bytes([IdType.NULL, 0, 0, 0]))
