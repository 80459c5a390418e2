# SPDX-License-Identifier: GPL-2.0-or-later
"""Outer IPv6 packets cut by ourselves: what the peer's kernel puts together is what it would have got whole."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

import pytest

from _fast.outer import fragments
from tests.fast.rig import checksum, pseudo

HERE, THERE = IPv6Address("2001:db8::1").packed, IPv6Address("2001:db8::2").packed


@pytest.mark.parametrize("encap", [True, False])
@pytest.mark.parametrize("size", [1233, 1400, 3000, 9000, 65400])
@pytest.mark.parametrize("cut", [1280, 1420])
def test_the_pieces_make_the_packet(encap: bool, size: int, cut: int) -> None:
    sealed = bytes(n * 7 % 251 for n in range(size))
    pieces = fragments(sealed, HERE, 4500, THERE, 4501, encap, 0xB9, cut, 77)
    if size + (48 if encap else 40) <= cut:
        assert pieces is None
        return
    assert pieces is not None
    data = b""
    for piece in pieces:
        first, length, kind, hops = struct.unpack("!IHBB", piece[:8])
        assert (first, length, kind, hops) == (6 << 28 | 0xB9 << 20, len(piece) - 40, 44, 64) and len(piece) <= cut
        assert piece[8:40] == HERE + THERE and piece[44:48] == struct.pack("!I", 77)
        after, _, where = struct.unpack("!BBH", piece[40:44])
        assert after == (17 if encap else 50) and where & ~7 == len(data)
        assert where & 1 == (piece is not pieces[-1])
        data += piece[48:]
    if encap:
        assert struct.unpack("!HHH", data[:6]) == (4500, 4501, len(data))
        assert checksum(pseudo("2001:db8::1", "2001:db8::2", 17, len(data)) + data) == 0
        data = data[8:]
    assert data == sealed


def test_what_fits_is_left_alone() -> None:
    assert fragments(bytes(1232), HERE, 4500, THERE, 4500, True, 0, 1280, 1) is None
    assert fragments(bytes(1240), HERE, 0, THERE, 0, False, 0, 1280, 1) is None
    assert fragments(bytes(65000), HERE, 0, THERE, 0, False, 0, 0, 1) is None
