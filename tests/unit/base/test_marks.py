# SPDX-License-Identifier: GPL-2.0-or-later
"""Four bits say all we have to say in a mark, wherever they are; no other bit is ever touched."""

from __future__ import annotations

import pytest

from openswan.base.errors import ConfigError
from openswan.base.marks import DEFAULT_MARKS, Marks, parse_marks


def test_the_usual_ones() -> None:
    marks = DEFAULT_MARKS
    assert (marks.own, marks.dropped, marks.clear) == (0x1000, 0x2000, 0x3000)
    assert (marks.tunnel, marks.learn, marks.guard, marks.others) == (0x4000, 0x8000, 0x3000, 0xFFFF0FFF)


@pytest.mark.parametrize("mask", [0xF000, 0xF, 0xF0000000, 0x10101010, 0x80000007], ids=hex)
def test_they_are_told_apart_and_stay_within_the_mask(mask: int) -> None:
    marks = Marks(mask)
    codes = (marks.own, marks.dropped, marks.clear, marks.tunnel, marks.learn, marks.refused, marks.spared)
    assert len(set(codes)) == 7 and all(code and not code & ~mask for code in codes)
    assert marks.own | marks.dropped | marks.tunnel | marks.learn == mask and marks.others ^ mask == 0xFFFFFFFF
    assert marks.own & marks.guard != marks.clear & marks.guard, "what may go in clear is guarded, our own is not"
    assert marks.ours(0xFFFFFFFF) and not marks.ours(marks.others)


@pytest.mark.parametrize("text", ["0x0000f000", "61440", "0xF000"])
def test_read(text: str) -> None:
    assert parse_marks(text) == DEFAULT_MARKS


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0x7000", "0x00007000 has 3 bits: 4 are needed, as in 0x0000f000 or 0x0f000000"),
        ("0x1f000", "has 5 bits"),
        ("0", "'0' is no mask"),
        ("0x1f00000000", "is no mask: 32 bits in hexadecimal are wanted"),
        ("-1", "is no mask"),
        ("mask", "'mask' is no mask"),
    ],
)
def test_what_will_not_do(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse_marks(text)
    assert why in found.value.reason
