# SPDX-License-Identifier: GPL-2.0-or-later
"""Rings between workers, raced against a list; and the choice of a worker for an SPI."""

from __future__ import annotations

from collections import Counter, deque
from random import Random

from _fast.handoff import Ring, lane

OCTETS = 1 << 20


def test_a_ring_gives_back_what_was_put_into_it_in_order() -> None:
    rng = Random(5)
    ring, twin, used = Ring(), deque[tuple[int, bytes]](), 0
    sizes = (0, 1, 63, 64, 65, 1500, 9000, 65545)
    for n in range(20000):
        if rng.random() < 0.52:
            data = rng.randbytes(8) * (rng.choice(sizes) // 8 + 1)
            if ring.put(n, data):
                twin.append((n, data))
                used += 64 + len(data)
            else:
                assert used + 64 + len(data) > OCTETS * 3 // 4, "refused though there was room"
        else:
            wanted = twin.popleft() if twin else None
            used -= 64 + len(wanted[1]) if wanted else 0
            assert ring.take() == wanted
        assert ring.empty is (not twin)
    while twin:
        assert ring.take() == twin.popleft()
    assert ring.take() is None


def test_a_full_ring_refuses_and_takes_again_when_there_is_room() -> None:
    ring = Ring()
    data = bytes(64 * 1024 - 64 - 16)  # a parcel's head before it, room for an ESP trailer behind
    held = 0
    while ring.put(held, data):
        held += 1
    assert held == OCTETS // (64 * 1024) and not ring.put(0, b"")
    assert ring.take() == (0, data) and ring.put(held, data) and not ring.put(0, b"")
    assert [ring.take() for _ in range(held)] == [(n, data) for n in range(1, held + 1)]
    assert ring.empty


def test_spis_spread_evenly_whatever_their_pattern() -> None:
    rng = Random(1)
    patterns = {
        "random": [rng.randrange(256, 1 << 32) for _ in range(4000)],
        "even": [0x1000 + 2 * n for n in range(4000)],
        "high": [n << 20 for n in range(1, 4001)],
    }
    for lanes in range(1, 9):
        for name, spis in patterns.items():
            count = Counter(lane(spi, lanes) for spi in spis)
            assert set(count) == set(range(1, lanes + 1)), name
            assert max(count.values()) < 4000 / lanes * 1.6, (name, lanes, count)
        # What openswan.plane.commands.AttachSocket promises.
        for spi in patterns["random"][:200]:
            assert lane(spi, lanes) == 1 + (((spi ^ spi >> 16) * 0x9E3779B1 & 0xFFFFFFFF) >> 16) % lanes
