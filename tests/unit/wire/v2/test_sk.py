# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.v2.sk promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.v2.numbers import PayloadType
from openswan.wire.v2.sk import Sealed, Sk, pad, unpad
from tests.unit.wire.checks import round_trip


def test_a_body_is_kept_whole() -> None:
    round_trip(Sk(PayloadType.NONE, b""))
    round_trip(Sk(PayloadType.NONE, bytes(65000)))


def test_splitting() -> None:
    sk = Sk(PayloadType.ID_I, b"iviviviv" + b"c" * 16 + b"i" * 12)
    assert sk.split(8, 12, 8) == Sealed(b"iviviviv", b"c" * 16, b"i" * 12)


@pytest.mark.parametrize("octets", [*range(8 + 8 + 12), 8 + 9 + 12])
def test_a_body_that_does_not_fit_its_cipher(octets: int) -> None:
    with pytest.raises(WireError, match="does not fit"):
        Sk(PayloadType.NONE, bytes(octets)).split(8, 12, 8)


@pytest.mark.parametrize("block", [1, 8, 16])
def test_padding_fills_the_block(block: int) -> None:
    for octets in range(40):
        inner = bytes(range(octets))
        padded = pad(inner, block)
        assert len(padded) % block == 0
        assert len(padded) - octets <= block
        assert unpad(padded) == inner


def test_unpadding() -> None:
    assert unpad(b"inner" + b"anything" + b"\x08") == b"inner"
    assert unpad(b"\0") == b""
    assert unpad(bytes(255) + b"\xff") == b""
    for bad in (b"", b"\1", b"abc\4", b"\xff"):
        with pytest.raises(WireError, match="longer than the payload"):
            unpad(bad)
