# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of many parts."""

from __future__ import annotations

from openswan.base.hashed import Hashed


class Counted:
    """Counts how often its hash is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __hash__(self) -> int:
        self.asked += 1
        return 1


def test_equal_when_the_parts_are() -> None:
    assert Hashed(1, "a") == Hashed(1, "a") and hash(Hashed(1, "a")) == hash(Hashed(1, "a"))
    assert Hashed(1, "a") != Hashed("a", 1) and Hashed(1) != (1,) and Hashed() != Hashed(None)
    assert {Hashed(1): "x"}[Hashed(1)] == "x"
    assert repr(Hashed(1, "a")) == "Hashed(1, 'a')"


def test_the_hash_is_made_once() -> None:
    part = Counted()
    key = Hashed(part)
    assert {key: 1}[key] == 1 and part.asked == 1
