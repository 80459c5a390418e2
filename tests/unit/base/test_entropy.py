# SPDX-License-Identifier: GPL-2.0-or-later
"""The seeded source replays, differs between seeds and draws, and never gives another count than asked."""

from openswan.base.entropy import SeededRng, uniform


def test_same_seed_same_octets():
    a, b = SeededRng(7), SeededRng(7)
    assert [a.octets(n) for n in (1, 32, 0, 5)] == [b.octets(n) for n in (1, 32, 0, 5)]


def test_seeds_and_draws_differ():
    a, b = SeededRng(1), SeededRng(2)
    first = a.octets(16)
    assert first != b.octets(16)
    assert first != a.octets(16)


def test_uniform_stays_in_its_range_and_moves():
    rng = SeededRng("range")
    drawn = [uniform(rng, 3.0, 5.0) for _ in range(500)]
    assert all(3.0 <= x < 5.0 for x in drawn)
    assert max(drawn) - min(drawn) > 1.5
