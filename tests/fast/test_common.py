# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of the lengths most eroutes have: chosen, beaten by what is more specific, and left again."""

from __future__ import annotations

import threading
from random import Random

import pytest
from _fast.eroutes import Radij

from openswan.klips.keys import RawFlow, RawKey
from tests.fast.layers import Layers, address

MANY = 17_000
"""More than a table has when it first asks which lengths are common."""


def nets(rng: Random, version: int, count: int) -> list[RawKey]:
    """/24 to /24, or /48 to /56, near each other: masked, as keys are kept."""
    srclen, dstlen = (24, 24) if version == 4 else (48, 56)
    size = 4 if version == 4 else 16

    def net(length: int) -> bytes:
        value = int.from_bytes(address(rng, version), "big") >> (size * 8 - length) << (size * 8 - length)
        return value.to_bytes(size, "big")

    return list({(version, net(srclen), srclen, net(dstlen), dstlen, 0, 0, 0) for _ in range(count)})


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_more_specific_beats_the_common(version: int) -> None:
    rng = Random(version)
    table, twin = Radij(), Layers()
    common = nets(rng, version, MANY)
    bits = 32 if version == 4 else 128
    around: list[RawKey] = []
    for n, key in enumerate(common):
        _, src, srclen, dst, dstlen, *_ = key
        if n % 7 == 0:
            around.append((version, src, srclen + n % 3, dst, dstlen - 1 + n % 4, 0, 0, 0))
        if n % 11 == 0:
            around.append((version, src, bits, dst, bits, 0, 0, 0))
        if n % 13 == 0:
            around.append((version, src, srclen - 1, dst, bits, 0, 0, 0))
        if n % 17 == 0:
            around.append((*key[:5], 6, 0, 443))
    flows: list[RawFlow] = [
        (version, key[1], key[3], rng.choice([6, 17]), 7, rng.choice([443, 80])) for key in common[::19] + around[::9]
    ]

    def same() -> None:
        expected = [twin.match(flow) for flow in flows]
        for at in range(0, len(flows), 64):
            assert table.match_batch(flows[at : at + 64]) == expected[at : at + 64]
        assert [table.match(flow) for flow in flows] == expected

    every = [*common, *around, *around[: len(around) // 2]]
    for cookie, key in enumerate(every):
        assert table.set(key, cookie) == twin.keys.get(key)
        twin.set(key, cookie)
    assert sorted(table.cookies()) == sorted(twin.keys.values())
    same()
    # Without anything more specific, then without most of the common ones, then without any.
    for gone in (around, common[: MANY - 50], common[MANY - 50 :]):
        for key in gone:
            if key in twin.keys:
                assert table.remove(key) == twin.remove(key)
        same()
    for key in list(twin.keys):
        assert table.remove(key) == twin.remove(key)
    assert len(table) == 0 and table.octets == 0


def test_nobody_misses_a_pair_that_moves() -> None:
    """Flows whose eroutes are always there, while the table comes to choose their lengths and leaves them."""
    table = Radij()
    common = nets(Random(3), 4, MANY)
    stays = common[:64]
    flows: list[RawFlow] = [(4, key[1], key[3], 6, 1, 2) for key in stays]
    for n, key in enumerate(stays, 1):
        table.set(key, n)
    stop = threading.Event()
    seen: set[tuple[int, int]] = set()

    def match() -> None:
        while not stop.is_set():
            seen.update((table.repeat(flows, 10, 0), table.repeat(flows, 10, 2)))

    reader = threading.Thread(target=match)
    reader.start()
    for _ in range(2):
        for key in common[64:]:
            table.set(key, 1 << 40)
        for key in common[64:]:
            table.remove(key)
    stop.set()
    reader.join()
    assert seen == {(640, 10 * sum(range(1, 65)))}
