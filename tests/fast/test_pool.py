# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory in cache lines: pieces never overlap, start on a line, and are used again."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from _fast.pool import Pool


def test_pieces_never_overlap() -> None:
    rng = Random(1)
    pool = Pool()
    out: dict[int, int] = {}
    for _ in range(4000):
        if out and rng.random() < 0.45:
            at = rng.choice(list(out))
            pool.give(at, out.pop(at))
        else:
            size = rng.randrange(1, 18 * 64 + 1)
            at = pool.take(size)
            assert at % 64 == 0
            out[at] = size
    spans = sorted((at, at + size) for at, size in out.items())
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    used, taken = pool.octets
    assert used == sum((size + 63) // 64 * 64 for size in out.values()) <= taken


def test_what_comes_back_is_used_again() -> None:
    pool = Pool()
    for _ in range(3):
        pieces = [pool.take(128) for _ in range(10_000)]
        for at in pieces:
            pool.give(at, 128)
    used, taken = pool.octets
    assert used == 0 and taken < 3 << 20


def test_a_piece_has_a_largest_size() -> None:
    pool = Pool()
    pool.take(18 * 64)
    with pytest.raises(MemoryError):
        pool.take(18 * 64 + 1)
