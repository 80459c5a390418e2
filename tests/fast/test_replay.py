# SPDX-License-Identifier: GPL-2.0-or-later
"""The replay window against its twin, and the cases of RFC 4303 appendix A2."""

from __future__ import annotations

from random import Random

import pytest
from _fast.replay import Window

from openswan.klips.slow.replay import Window as SlowWindow


@pytest.mark.parametrize("window", [0, 1, 2, 32, 63, 64, 65, 128, 1000, 4096])
@pytest.mark.parametrize("seed", range(3))
def test_races_its_twin(window: int, seed: int) -> None:
    rng = Random(seed * 10007 + window)
    fast, slow = Window(window), SlowWindow(window)
    near = 0
    for _ in range(3000):
        step = rng.choice([rng.randint(-2 * window - 3, 3), rng.randint(-5, 5), rng.randint(0, 3 * window + 3)])
        near = max(0, near + step)
        assert fast.check(near) == slow.check(near), near
        if rng.random() < 0.7:
            assert fast.mark(near) == slow.mark(near), near
        assert fast.top == slow.top


@pytest.mark.parametrize("seed", range(4))
def test_inference_races_its_twin(seed: int) -> None:
    rng = Random(seed)
    for _ in range(400):
        window = rng.choice([0, 1, 32, 64, 1024, 4096])
        fast, slow = Window(window), SlowWindow(window)
        start = rng.choice([1, 5, 2**32 - 3, 2**32 + 7, 5 * 2**32 - 70, 2**63, rng.getrandbits(45) + 1])
        assert fast.mark(start) and slow.mark(start)
        for _ in range(20):
            low = (start + rng.choice([rng.randint(-5000, 5000), rng.getrandbits(32)])) % 2**32
            assert fast.infer(low) == slow.infer(low), (window, start, low)


def test_window_spanning_two_subspaces() -> None:
    window = Window(64)
    assert window.mark(2**32 + 10)
    assert window.infer(2**32 - 20) == 2**32 - 20
    assert window.infer(11) == 2**32 + 11
    assert window.infer(2**32 - 60) == 2 * 2**32 - 60  # left of the window: it can only be far ahead


def test_nothing_lies_before_the_first_subspace() -> None:
    window = Window(64)
    assert window.infer(2**32 - 1) is None
    assert window.infer(5) == 5


def test_zero_is_never_accepted_and_jumps_clear_the_window() -> None:
    window = Window(128)
    assert not window.mark(0)
    assert all(window.mark(n) for n in range(1, 129))
    assert window.mark(10**15)
    assert all(window.mark(10**15 - n) for n in range(1, 128))
    assert not window.mark(10**15 - 128)


def test_nothing_lies_past_the_last_number() -> None:
    for window in (Window(64), SlowWindow(64)):
        assert window.mark(2**64 - 5)
        assert window.infer(2**32 - 1) == 2**64 - 1
        assert window.infer(0) is None and window.infer(2**31) is None
