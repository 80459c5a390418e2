# SPDX-License-Identifier: GPL-2.0-or-later
"""Eroutes of one source and destination: protocol and ports decide, and every one is found, listed and removed."""

from __future__ import annotations

from itertools import product

import pytest
from _fast.eroutes import Radij

from openswan.klips.keys import RawKey
from openswan.klips.slow.radij import Radij as SlowRadij

SRC, DST = bytes([10, 0, 0, 1]), bytes([10, 0, 9, 2])


@pytest.mark.parametrize("length", [32, 24], ids=["hosts", "nets"])
def test_protocol_beats_source_port_beats_destination_port(length: int) -> None:
    fast, slow = Radij(), SlowRadij()
    keys: list[RawKey] = [
        (4, SRC, length, DST, length, *ports) for ports in product((0, 6, 17), (0, 80, 443), (0, 80, 443))
    ]
    flows = [(4, SRC, DST, *ports) for ports in product((0, 1, 6, 17), (0, 80, 443, 7), (0, 80, 443, 7))]
    for cookie, key in enumerate(keys):
        assert fast.set(key, cookie) is None
        slow.set(key, cookie)
        assert fast.match_batch(flows[:64]) == [slow.match(flow) for flow in flows[:64]]
    assert fast.set(keys[5], 99) == 5 and slow.set(keys[5], 99) == 5
    assert sorted(fast.cookies()) == slow.cookies()
    for key in keys:
        assert fast.remove(key) and slow.remove(key) and not fast.remove(key)
        assert [fast.match(flow) for flow in flows] == [slow.match(flow) for flow in flows]
    assert len(fast) == 0 and fast.octets == 0


def test_a_thousand_ports_of_one_pair() -> None:
    table = Radij()
    for port in range(1, 1001):
        table.set((4, SRC, 24, DST, 24, 17, 0, port), port)
    assert [table.match((4, SRC, DST, 17, 5, port)) for port in (1, 500, 1000, 1001)] == [1, 500, 1000, None]
    assert sorted(table.cookies()) == list(range(1, 1001))
