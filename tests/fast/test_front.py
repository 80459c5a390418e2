# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs of hosts in front of the trees: as a dictionary would have them, but for the ninth of a line."""

from __future__ import annotations

from random import Random

from _fast.eroutes import Radij
from _fast.front import Front

from openswan.klips.keys import RawFlow, RawKey


def pair(n: int) -> tuple[bytes, bytes]:
    return n.to_bytes(16, "little"), (n * 7).to_bytes(16, "little")


def test_races_a_dictionary() -> None:
    rng = Random(3)
    front, model = Front(), dict[int, int]()
    for number in range(1, 20_000):
        n = rng.randrange(1, 4000)
        if rng.random() < 0.35:
            assert front.cut(*pair(n)) == (model.pop(n, None) is not None)
        elif front.put(*pair(n), number):
            model[n] = number
        else:
            assert n not in model
        probe = rng.randrange(1, 4000)
        assert front.get(*pair(probe)) == model.get(probe)
    assert len(front) == len(model) > 1000
    assert all(front.get(*pair(n)) == number for n, number in model.items())


def test_growing_keeps_everything_and_few_are_refused() -> None:
    front = Front()
    kept = [n for n in range(1, 100_001) if front.put(*pair(n), n)]
    assert len(kept) > 97_000 and len(front) == len(kept)
    assert all(front.get(*pair(n)) == n for n in kept)
    assert front.octets < 100_000 * 32


def test_both_families_have_pairs_of_the_same_octets() -> None:
    front = Front()
    assert front.put(*pair(5), 1, 4) and front.put(*pair(5), 2, 6)
    assert (front.get(*pair(5), 4), front.get(*pair(5), 6)) == (1, 2)
    assert front.cut(*pair(5), 4) and front.get(*pair(5), 4) is None and front.get(*pair(5), 6) == 2


def test_a_full_line_refuses_until_one_leaves() -> None:
    # Without a seed a source of zeros meets every destination in one line and under one tag.
    front = Front(0)
    pairs = [(bytes(16), n.to_bytes(16, "little")) for n in range(1, 20)]
    assert [front.put(*one, n) for n, one in enumerate(pairs, 1)] == [True] * 8 + [False] * 11
    assert [front.get(*one) for one in pairs[:9]] == [*range(1, 9), None]
    assert front.put(*pairs[3], 44) and front.get(*pairs[3]) == 44
    assert front.cut(*pairs[0]) and front.put(*pairs[9], 10) and front.get(*pairs[9]) == 10


def test_host_pairs_of_the_table_are_found_listed_and_removed_wherever_they_are() -> None:
    """So many that lines fill up and some pairs are in the trees; each with and without ports, beside broader ones."""
    table = Radij()
    keys: list[RawKey] = []
    for n in range(30_000):
        src, dst = (10 << 24 | n).to_bytes(4, "big"), (172 << 24 | n * 31 % 65536).to_bytes(4, "big")
        keys.append((4, src, 32, dst, 32, 0, 0, 0))
        if n % 3 == 0:
            keys.append((4, src, 32, dst, 32, 6, 0, 443))
        if n % 5 == 0:
            keys.append((4, src, 32, dst, 24, 0, 0, 0))
    for number, key in enumerate(keys):
        assert table.set(key, number) is None
    assert table.host_pairs[1] > 0 and sum(table.host_pairs) == 30_000
    assert sorted(table.cookies()) == list(range(len(keys)))
    flows: list[RawFlow] = [(4, key[1], key[3], key[5] or 17, 7, key[7] or 9) for key in keys]
    expected = [
        number - 1 - (number > 1 and keys[number - 1][7] > 0) if key[4] == 24 else number
        for number, key in enumerate(keys)
    ]
    for at in range(0, len(flows), 32):
        assert table.match_batch(flows[at : at + 32]) == expected[at : at + 32]
    for at in range(0, len(flows), 101):
        assert table.match(flows[at]) == expected[at]
    for key in keys:
        assert table.remove(key) and not table.remove(key)
    assert len(table) == 0 and table.octets == 0 and table.host_pairs == (0, 0)
