# SPDX-License-Identifier: GPL-2.0-or-later
"""A value of many parts as a key of many look-ups: its hash is made once, not with each."""

from __future__ import annotations

from collections.abc import Hashable


class Hashed:
    """Equal when its parts are; they must not change."""

    __slots__ = ("_hash", "parts")

    def __init__(self, *parts: Hashable) -> None:
        self.parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hashed):
            return NotImplemented
        return self is other or (self._hash == other._hash and self.parts == other.parts)

    def __repr__(self) -> str:
        return f"Hashed{self.parts!r}"
