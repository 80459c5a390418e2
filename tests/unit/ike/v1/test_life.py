# SPDX-License-Identifier: GPL-2.0-or-later
"""Lifetimes: both forms, both kinds, everything that cannot be one."""

from __future__ import annotations

import pytest

from openswan.base.errors import IkeError
from openswan.ike.v1 import life as lives
from openswan.ike.v1.life import FOR_EVER, Life
from openswan.wire.attribute import Attribute
from openswan.wire.v1.numbers import NotifyType

KIND, DURATION = 11, 12


def said(*pairs: tuple[int, int | bytes]) -> Life:
    return lives.read([Attribute(*pair) for pair in pairs], KIND, DURATION)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (3600, 3600),
        (b"\x0e\x10", 3600),
        (b"\0\0\x0e\x10", 3600),
        (b"\0" * 60 + b"\x0e\x10", 3600),
        (b"\xff\xff\xff\xff", FOR_EVER),
        (b"\1\0\0\0\0", FOR_EVER),
        (b"\xff" * 1000, FOR_EVER),
    ],
)
def test_forms(value: int | bytes, want: int) -> None:
    assert said((KIND, 1), (DURATION, value)) == Life(seconds=want)
    assert said((1, 7), (KIND, 2), (DURATION, value), (2, 2)) == Life(kilobytes=want)


def test_both_kinds_or_none() -> None:
    assert said((KIND, 2), (DURATION, 5), (KIND, 1), (DURATION, 60)) == Life(60, 5)
    assert said((KIND, b"\0\1"), (DURATION, 60)) == Life(60)
    assert said((1, 7)) == said() == Life()


@pytest.mark.parametrize(
    "pairs",
    [
        [(DURATION, 60)],
        [(KIND, 1)],
        [(KIND, 1), (1, 7), (DURATION, 60)],
        [(KIND, 1), (KIND, 1), (DURATION, 60)],
        [(KIND, 1), (DURATION, 60), (DURATION, 60)],
        [(KIND, 1), (DURATION, 60), (KIND, 1), (DURATION, 70)],
        [(KIND, 0), (DURATION, 60)],
        [(KIND, 3), (DURATION, 60)],
        [(KIND, b""), (DURATION, 60)],
        [(KIND, 1), (DURATION, 0)],
        [(KIND, 1), (DURATION, b"")],
        [(KIND, 1), (DURATION, bytes(8))],
    ],
)
def test_what_is_none(pairs: list[tuple[int, int | bytes]]) -> None:
    with pytest.raises(IkeError, match="life") as caught:
        said(*pairs)
    assert caught.value.notify == NotifyType.ATTRIBUTES_NOT_SUPPORTED


@pytest.mark.parametrize("life", [Life(), Life(60), Life(65535, 65536), Life(0, 9), Life(FOR_EVER, 1)])
def test_what_is_emitted_comes_back(life: Life) -> None:
    assert lives.read(lives.emit(life, KIND, DURATION), KIND, DURATION) == life


def test_the_short_form_where_it_will_do() -> None:
    assert lives.emit(Life(65535), KIND, DURATION)[1].value == 65535
    assert lives.emit(Life(65536), KIND, DURATION)[1].value == b"\0\1\0\0"
    assert lives.emit(Life(FOR_EVER * 2), KIND, DURATION)[1].value == b"\xff" * 4


def test_the_shorter_of_two() -> None:
    assert Life(60, 0).within(Life(50, 7)) == Life(50, 7)
    assert Life(0, 9).within(Life(50, 7)) == Life(50, 7)
    assert Life().within(Life()) == Life()
