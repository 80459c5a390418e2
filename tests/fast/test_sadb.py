# SPDX-License-Identifier: GPL-2.0-or-later
"""The SA database against its twin."""

from __future__ import annotations

from random import Random

import pytest
from _fast.sadb import Sadb

from openswan.klips.slow.sadb import Sadb as SlowSadb


@pytest.mark.parametrize("seed", range(3))
def test_races_its_twin(seed: int) -> None:
    rng = Random(seed)
    fast, slow = Sadb(), SlowSadb()
    spis = [rng.getrandbits(32) for _ in range(700)]
    for number in range(5000):
        spi = rng.choice(spis)
        if rng.random() < 0.5:
            assert fast.add(spi, number) == slow.add(spi, number)
        else:
            assert fast.remove(spi) == slow.remove(spi)
        probe = rng.choice(spis)
        assert fast.find(probe) == slow.find(probe)
        assert len(fast) == len(slow)


def test_thousands_are_held() -> None:
    db = Sadb()
    assert all(db.add(n, n * 2) for n in range(1, 20001))
    assert all(db.find(n) == n * 2 for n in range(1, 20001)) and db.find(20001) is None
