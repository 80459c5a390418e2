# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.auth promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.v2.auth import Auth, DigitalSignature
from openswan.wire.v2.numbers import AuthMethod
from tests.unit.wire.checks import refuses_every_cut, round_trip, survives


def test_the_octets_are_where_the_drawing_says() -> None:
    assert round_trip(Auth(AuthMethod.SHARED_KEY, b"mac")) == bytes.fromhex("02000000") + b"mac"


def test_smallest_largest_and_cut() -> None:
    round_trip(Auth(AuthMethod(255), bytes(65000)))
    refuses_every_cut(Auth(AuthMethod.RSA, b"x"))
    assert not survives(Auth, bytes(4))


def test_digital_signature() -> None:
    """RFC 7427 3 and its appendix B.1."""
    blob = DigitalSignature(bytes.fromhex("300d06092a864886f70d0101050500"), b"signature")
    assert blob.emit()[:4] == bytes.fromhex("0f300d06")
    assert DigitalSignature.parse(Reader(blob.emit())) == blob
    assert DigitalSignature.parse(Reader(b"\xff" + bytes(255) + b"s")).signature == b"s"


@pytest.mark.parametrize("data", [b"", b"\0", b"\0sig", b"\x05abcd", b"\x04abcd", b"\xff" + bytes(254)])
def test_digital_signature_without_one_of_its_halves(data: bytes) -> None:
    with pytest.raises(WireError):
        DigitalSignature.parse(Reader(data))
