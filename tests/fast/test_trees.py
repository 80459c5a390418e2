# SPDX-License-Identifier: GPL-2.0-or-later
"""The two levels of trees together: memory goes back when the last eroute of a pair, a source, a family goes."""

from __future__ import annotations

from random import Random

import pytest
from _fast.eroutes import Radij

from openswan.klips.keys import RawKey
from tests.fast.layers import address


@pytest.mark.parametrize("version", [4, 6])
def test_memory_comes_back_whatever_the_order(version: int) -> None:
    rng = Random(version)
    bits = 32 if version == 4 else 128
    table = Radij()
    sources = [(address(rng, version), rng.randrange(bits)) for _ in range(40)]
    keys: dict[RawKey, None] = {}
    for _ in range(3000):
        src, srclen = rng.choice(sources)
        dst = address(rng, version) if rng.random() < 0.7 else bytes(bits // 8)
        dstlen = rng.choice([0, 3, 4, 5, 8, 16, 24, bits])
        keys[(version, src, srclen, dst, dstlen, rng.choice([0, 6]), 0, 0)] = None
    alone = table.octets
    for turn in range(2):
        for key in keys:
            table.set(key, turn)
        order = list(keys)
        rng.shuffle(order)
        gone = [table.remove(key) for key in order]
        assert len(table) == 0 and any(gone) and table.octets == alone == 0
