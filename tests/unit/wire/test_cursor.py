# SPDX-License-Identifier: GPL-2.0-or-later
"""What wire.cursor promises."""

from __future__ import annotations

import pytest

from openswan.base.errors import WireError
from openswan.wire.cursor import Reader, Writer


def test_numbers_are_read_most_significant_octet_first() -> None:
    reader = Reader(bytes.fromhex("01 0203 04050607 ff"))
    assert (reader.u8(), reader.u16(), reader.u32()) == (1, 0x0203, 0x04050607)
    assert (reader.position, reader.remaining) == (7, 1)
    assert reader.rest() == b"\xff"
    assert reader.rest() == b""
    reader.expect_end()


@pytest.mark.parametrize(("size", "name"), [(1, "u8"), (2, "u16"), (4, "u32")])
def test_a_short_read_is_an_error_and_moves_nothing(size: int, name: str) -> None:
    for have in range(size):
        reader = Reader(bytes(have))
        with pytest.raises(WireError, match="truncated"):
            getattr(reader, name)()
        assert reader.position == 0


@pytest.mark.parametrize("count", [-1, 4, 1 << 40])
def test_impossible_counts(count: int) -> None:
    with pytest.raises(WireError):
        Reader(b"abc").octets(count)
    with pytest.raises(WireError), Reader(b"abc").restrict_to(count):
        pass


def test_a_counted_field_includes_its_header() -> None:
    assert Reader(b"abcdef").counted(6, 4) == b"ab"
    assert Reader(b"abcdef").counted(4, 4) == b""
    for length in (0, 3):
        with pytest.raises(WireError, match="smaller than its own header"):
            Reader(b"abcdef").counted(length, 4)
    with pytest.raises(WireError, match="truncated"):
        Reader(b"abcdef").counted(11, 4)


def test_a_fence_holds_and_nests() -> None:
    reader = Reader(b"abcdef")
    with reader.restrict_to(4):
        assert reader.remaining == 4
        with reader.restrict_to(2):
            assert reader.rest() == b"ab"
        with pytest.raises(WireError):
            reader.octets(3)
        assert reader.rest() == b"cd"
    assert reader.rest() == b"ef"


def test_leaving_a_fence_early_is_an_error_and_the_fence_goes_away() -> None:
    reader = Reader(b"abcdef")
    with pytest.raises(WireError, match="3 octets too many"), reader.restrict_to(4):
        reader.u8()
    assert reader.remaining == 5


def test_an_error_inside_a_fence_is_not_hidden() -> None:
    reader = Reader(b"abc")
    with pytest.raises(ZeroDivisionError), reader.restrict_to(2):
        _ = 1 // 0
    assert reader.remaining == 3


def test_writer_writes_what_reader_reads() -> None:
    out = Writer().u8(1).u16(0x0203).u32(0x04050607).octets(b"x")
    assert len(out) == 8
    assert out.done() == bytes.fromhex("01020304050607") + b"x"


@pytest.mark.parametrize(("name", "value"), [("u8", 256), ("u16", 1 << 16), ("u32", 1 << 32), ("u8", -1)])
def test_a_number_that_does_not_fit(name: str, value: int) -> None:
    with pytest.raises(WireError, match="does not fit"):
        getattr(Writer(), name)(value)
