# SPDX-License-Identifier: GPL-2.0-or-later
"""Handles: never the same twice, in the order they were made."""

from __future__ import annotations

from random import Random

from _fast.handles import Handles


def test_against_a_dictionary() -> None:
    handles, rng = Handles(), Random(7)
    there: dict[int, int] = {}
    ever: set[int] = set()
    for number in range(1, 3000):
        if there and rng.random() < 0.4:
            gone = rng.choice(list(there))
            del there[gone]
            handles.drop(gone)
            handles.drop(gone)
            assert handles.item(gone) == 0
        new = handles.new(number)
        assert new > max(ever, default=0)
        ever.add(new)
        there[new] = number
    assert all(handles.item(each) == there.get(each, 0) for each in ever)


def test_what_never_was() -> None:
    handles = Handles()
    only = handles.new(5)
    for wrong in (0, 1, only + 1, only - 1, only ^ 1 << 62, only + (1 << 24), 2**64 - 1):
        handles.drop(wrong)
        assert handles.item(wrong) == 0
    assert handles.item(only) == 5
