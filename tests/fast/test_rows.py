# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes into the engine as plain tuples comes out of it the same."""

from __future__ import annotations

import pytest

from openswan.plane.commands import Direction
from tests.fast.rig import Rig


def test_selectors_come_back_as_they_were_given(tunnel: Rig) -> None:
    engine = tunnel.klips._engine
    cookie = tunnel.klips._sas.cookie(tunnel.in_said, Direction.IN)
    four = (4, 17, b"\x0a\0\0\0", b"\x0a\xff\xff\xff", bytes(4), b"\xff" * 4, 1, 2, 3, 65535)
    six = (6, 0, bytes(16), b"\xff" * 16, b"\x20" + bytes(15), b"\x20" + b"\xff" * 15, 0, 65535, 65535, 0)
    engine.set_selectors(cookie, [four, six])
    assert engine.describe(cookie)[18] == [four, six]
    engine.set_selectors(cookie, [])
    assert engine.describe(cookie)[18] == []


def test_an_address_of_another_version_is_refused(tunnel: Rig) -> None:
    engine = tunnel.klips._engine
    cookie = tunnel.klips._sas.cookie(tunnel.in_said, Direction.IN)
    before = engine.describe(cookie)
    with pytest.raises(ValueError):
        engine.set_selectors(cookie, [(6, 0, bytes(4), bytes(16), bytes(16), bytes(16), 0, 0, 0, 0)])
    assert engine.describe(cookie) == before


def test_an_eroute_s_row_has_its_key(tunnel: Rig) -> None:
    engine = tunnel.klips._engine
    keys = [
        (4, b"\x0a\x01\0\0", 16, b"\x0a\x02\x03\x04", 32, 6, 0, 443),
        (6, b"\x20" + bytes(15), 8, bytes(16), 0, 0, 0, 0),
    ]
    for key in keys:
        cookie = engine.set_eroute(key, 257, 0, -1)
        row = engine.find_eroute(key)
        assert row is not None and row[:5] == (key, 257, cookie, 0, 0) and row[5] == -1.0
        assert engine.del_eroute(key) and engine.find_eroute(key) is None
