# SPDX-License-Identifier: GPL-2.0-or-later
"""The disjoint cover against a plain set of points, and its speed of growth by counting."""

from __future__ import annotations

from itertools import combinations, product
from random import Random

import pytest

from openswan.host.guard.boxes import Box, Cover, Item, overlap, subtract, volume


def points(box: Box) -> set[tuple[int, ...]]:
    return set(product(*(range(a, b + 1) for a, b in box)))


def test_subtract_leaves_exactly_the_rest_in_disjoint_pieces() -> None:
    random = Random(7)
    for _ in range(300):
        one, other = (
            tuple((lambda a, b: (min(a, b), max(a, b)))(random.randrange(6), random.randrange(6)) for _ in range(3))
            for _ in range(2)
        )
        pieces = subtract(one, other)
        assert set().union(*map(points, pieces)) == points(one) - points(other)
        assert sum(map(volume, pieces)) == len(points(one) - points(other))


def subnet(random: Random, bits: int) -> tuple[int, int]:
    size = 1 << random.randrange(bits + 1)
    first = random.randrange(1 << bits) // size * size
    return first, first + size - 1


def item(random: Random) -> Item:
    box: Box = (subnet(random, 4), subnet(random, 4))
    if random.random() < 0.3:
        return Item(box, (box[1], box[1]))
    if random.random() < 0.2:
        return Item((*box,))
    return Item(box)


@pytest.mark.parametrize("seed", range(25))
def test_cover_is_disjoint_and_complete_after_every_change(seed: int) -> None:
    random, cover, held = Random(seed), Cover(), []
    kernel: set[Box] = set()
    for _ in range(60):
        add = [item(random) for _ in range(random.randrange(3))]
        remove = random.sample(held, min(len(held), random.randrange(3)))
        new, gone = cover.change(add, remove)
        assert gone <= kernel and not new & kernel
        kernel = (kernel - gone) | new
        held += add
        for one in remove:
            held.remove(one)
        assert kernel == set(cover.boxes())
        assert not any(overlap(a, b) for a, b in combinations(kernel, 2))
        wanted = set().union(*(points(s) for one in held for s in one.shapes())) if held else set()
        assert set().union(*map(points, kernel)) == wanted


def test_the_same_item_twice_goes_only_when_both_went() -> None:
    cover, one = Cover(), Item(((0, 3), (0, 3)))
    assert cover.change([one, one], []) == ({one.box}, set())
    assert cover.change([], [one]) == (set(), set())
    assert cover.change([], [one]) == (set(), {one.box})
    with pytest.raises(KeyError):
        cover.change([], [one])


def test_ten_thousand_items_under_one_large_one_touch_only_it() -> None:
    cover = Cover()
    whole = Item(((0, 2**32 - 1), (2**24, 2**24 + 255)))
    spokes = [Item(((n << 8, (n << 8) + 255), (2**24, 2**24 + 65535))) for n in range(70000, 80000)]
    cover.change(spokes, [])
    new, gone = cover.change([whole], [])
    assert len(gone) == 10000 and len(new) == 10001
    new, gone = cover.change([], [whole])
    assert len(gone) == 10001 and len(new) == 10000
