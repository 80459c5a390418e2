# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways through the eroute table: one by one and side by side they come to the same, whatever the table is like."""

from __future__ import annotations

from random import Random

import pytest
from _fast.eroutes import Radij

from openswan.klips.keys import RawFlow, RawKey
from tests.fast.layers import Layers, address


def lengths(rng: Random, version: int) -> tuple[int, int]:
    """Few enough pairs that the twin stays quick, on both sides of what a stem and a cell take."""
    return rng.choice(
        ((0, 0), (32, 32), (0, 20), (12, 9), (13, 24), (14, 32), (15, 4), (16, 16), (17, 30), (24, 24), (32, 8))
    )


def random_key(rng: Random, version: int) -> RawKey:
    srclen, dstlen = lengths(rng, version)
    ports = rng.choice([(0, 0, 0)] * 8 + [(6, 0, 0), (17, 0, 53)])
    return (version, address(rng, version), srclen, address(rng, version), dstlen, *ports)


def flow_of(rng: Random, key: RawKey) -> RawFlow:
    src = key[1] if rng.random() < 0.8 else address(rng, key[0])
    return (key[0], src, key[3], rng.choice([1, 6, 17]), 9, rng.choice([53, 80]))


@pytest.mark.parametrize("version", [4, 6])
def test_a_large_table_of_many_kinds(version: int) -> None:
    """So many sources, and destinations of the broadest one, that both trees have stems; then all but a few go."""
    rng = Random(version)
    table, twin = Radij(), Layers()
    while len(twin.keys) < 120_000:
        key = random_key(rng, version)
        if rng.random() < 0.4:
            key = (version, bytes(len(key[1])), 0, key[3], 20, 0, 0, 0)
        table.set(key, len(twin.keys) + 1)
        twin.set(key, len(twin.keys) + 1)
    for gone in (0, 119_000):
        for key in rng.sample(list(twin.keys), gone):
            assert table.remove(key) == twin.remove(key)
        flows = [flow_of(rng, key) for key in rng.sample(list(twin.keys), 900)]
        expected = [twin.match(flow) for flow in flows]
        assert [table.match(flow) for flow in flows] == expected
        assert [table.match(flow, True) for flow in flows] == expected
        at = 0
        while at < len(flows):
            size = rng.randrange(65)
            assert table.match_batch(flows[at : at + size]) == expected[at : at + size]
            at += size
    for key in list(twin.keys):
        assert table.remove(key) == twin.remove(key)
    assert len(table) == 0 and table.octets == 0


def test_a_batch_of_none_and_one_too_large() -> None:
    table = Radij()
    table.set((4, bytes(4), 0, bytes(4), 0, 0, 0, 0), 7)
    assert table.match_batch([]) == []
    assert table.match_batch([(4, bytes(4), bytes(4), 1, 0, 0)] * 64) == [7] * 64
    with pytest.raises(ValueError):
        table.match_batch([(4, bytes(4), bytes(4), 1, 0, 0)] * 65)


def test_a_way_goes_on_where_a_pair_did_not_take_it() -> None:
    """Nested in both directions, and all but the broadest ask for another protocol."""
    table = Radij()
    src, dst = b"\x0a\1\2\3", b"\xc0\xa8\1\2"
    for srclen in range(33):
        for dstlen in range(33):
            table.set((4, src, srclen, dst, dstlen, 17 if srclen or dstlen else 0, 0, 0), srclen * 33 + dstlen)
    assert table.match((4, src, dst, 6, 1, 2)) == 0 and table.match((4, src, dst, 17, 1, 2)) == 32 * 33 + 32
    assert table.match_batch([(4, src, dst, 6, 1, 2), (4, src, b"\xc0\xa8\1\3", 17, 1, 2)]) == [0, 32 * 33 + 31]
