# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.substructure promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader
from openswan.wire.substructure import MORE_PROPOSALS, MORE_TRANSFORMS, emit_list, parse_list


def parsed(data: bytes, limit: int = 9, strict: bool = False) -> tuple[bytes, ...]:
    return parse_list(Reader(data), "proposal", Reader.rest, MORE_PROPOSALS, limit, strict=strict)


@pytest.mark.parametrize("bodies", [(), (b"",), (b"one", b"", b"three"), (bytes(65531),)])
def test_round_trip(bodies: tuple[bytes, ...]) -> None:
    assert parsed(emit_list(bodies, MORE_PROPOSALS)) == bodies


def test_the_octets_are_where_the_drawing_says() -> None:
    assert emit_list((b"ab", b""), MORE_TRANSFORMS) == bytes.fromhex("03000006 6162 00000004")


def test_truncated_at_each_octet() -> None:
    good = emit_list((b"one", b"two"), MORE_PROPOSALS)
    for end in range(1, len(good)):
        with pytest.raises(WireError):
            parsed(good[:end])


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        ("00000003", "proposal of length 3"),
        ("00000000", "proposal of length 0"),
        ("02000004", "proposal 1 says 2 where its list says otherwise"),
        ("00000004 00000004", "proposal 1 says 0 where its list says otherwise"),
        ("03000004 00000004", "proposal 1 says 3 where its list says otherwise"),
        ("02000004" * 9 + "00000004", "more than 9 proposals"),
        ("0000ffff", "truncated"),
    ],
)
def test_refused(octets: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        parsed(bytes.fromhex(octets))


def test_the_reserved_octet_is_looked_at_where_it_must_be_zero() -> None:
    assert parsed(bytes.fromhex("00ff0004")) == (b"",)
    with pytest.raises(WireError, match="reserved"):
        parsed(bytes.fromhex("00ff0004"), strict=True)
