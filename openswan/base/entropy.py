# SPDX-License-Identifier: GPL-2.0-or-later
"""Entropy as an argument: the pure layers take an Rng, so a run replays from its seed."""

from __future__ import annotations

import hashlib
from typing import Protocol


class Rng(Protocol):
    """A source of unpredictable octets."""

    def octets(self, count: int) -> bytes:
        """Return `count` fresh octets."""


class SeededRng:
    """A reproducible Rng for simulations and tests; never for keys that protect anything."""

    def __init__(self, seed: int | str) -> None:
        self._state = hashlib.shake_256(f"openswan simulation {seed}".encode())
        self._counter = 0

    def octets(self, count: int) -> bytes:
        """Return `count` octets that depend only on the seed and on what was drawn before."""
        self._counter += 1
        draw = self._state.copy()
        draw.update(self._counter.to_bytes(8, "big"))
        return draw.digest(count)


def uniform(rng: Rng, low: float, high: float) -> float:
    """A number in [low, high), 53 bits fine."""
    return low + (high - low) * (int.from_bytes(rng.octets(7), "big") >> 3) / 2**53
