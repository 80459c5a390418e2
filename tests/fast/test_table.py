# SPDX-License-Identifier: GPL-2.0-or-later
"""The hash table under everything, against lists."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from _fast.table import Table


def test_against_lists() -> None:
    rng = Random(1)
    table, model = Table(), defaultdict(list)
    for item in range(1, 4000):
        hash_ = rng.randrange(40) << rng.choice([0, 7, 40])
        act = rng.random()
        if act < 0.6:
            table.add(hash_, item)
            model[hash_].append(item)
        elif act < 0.8 and model[hash_]:
            old = rng.choice(model[hash_])
            model[hash_][model[hash_].index(old)] = item
            assert table.swap(hash_, old, item)
        elif model[hash_]:
            gone = model[hash_].pop()
            assert table.remove(hash_, gone) and not table.remove(hash_, gone)
        assert sorted(table.find(hash_)) == sorted(model[hash_])
        assert len(table) == sum(map(len, model.values()))
    assert not table.swap(1, 999999, 5) and not table.remove(12345, 1)
