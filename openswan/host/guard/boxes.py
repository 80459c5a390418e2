# SPDX-License-Identifier: GPL-2.0-or-later
"""Boxes in the space of addresses, protocols and ports, and the disjoint cover of many of them.

The kernel's concatenated interval sets refuse an element that overlaps another, and on deletion take the first one that
holds the key's start. So what goes into a set must be disjoint, though connections may overlap at will. Each item gives
up what items of higher rank cover already; as subnets are nested or apart, few items touch, and a change recomputes
only those.

        remote
          |   +-----------------+
          |   |  A (larger)     |         B keeps only the two pieces outside A
          | +-|- - - - - - - - -|-+
          | |B|                 |B|
          | +-|- - - - - - - - -|-+
          |   +-----------------+
          +--------------------------- local
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
"""First and last value, both inside."""
Box: TypeAlias = tuple[Range, ...]
"""One range a dimension; the first two are remote and local addresses."""


def volume(box: Box) -> int:
    """How many points the box holds."""
    return prod(last - first + 1 for first, last in box)


def overlap(one: Box, other: Box) -> bool:
    """Have they a point in common?"""
    return all(a <= d and c <= b for (a, b), (c, d) in zip(one, other, strict=True))


def subtract(box: Box, hole: Box) -> list[Box]:
    """What of `box` lies outside `hole`, as disjoint boxes: at most two a dimension."""
    if not overlap(box, hole):
        return [box]
    pieces, rest = [], list(box)
    for dimension, (low, high) in enumerate(hole):
        first, last = rest[dimension]
        if first < low:
            pieces.append((*rest[:dimension], (first, low - 1), *rest[dimension + 1 :]))
        if last > high:
            pieces.append((*rest[:dimension], (high + 1, last), *rest[dimension + 1 :]))
        rest[dimension] = (max(first, low), min(last, high))
    return pieces


@dataclass(frozen=True, slots=True)
class Item:
    """A box whose first two dimensions are subnets, less a hole (for instance what stays inside our own client)."""

    box: Box
    hole: Box | None = None

    def shapes(self) -> list[Box]:
        """The item as disjoint boxes."""
        return subtract(self.box, self.hole) if self.hole else [self.box]

    @property
    def rank(self) -> tuple[int, Box, Box]:
        """Larger items come first and keep their shape; the rest only makes the order total."""
        return (-volume(self.box), self.box, self.hole or ())


class _Axis:
    """Items by their subnet in one dimension: who lies around, in, or at a given one."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.items: dict[Range, set[Item]] = {}
        self.sizes: Counter[int] = Counter()
        self.order: list[Range] = []

    def add(self, item: Item) -> None:
        where = item.box[self.dimension]
        if where not in self.items:
            self.items[where] = set()
            self.sizes[where[1] - where[0] + 1] += 1
            insort(self.order, where)
        self.items[where].add(item)

    def remove(self, item: Item) -> None:
        where = item.box[self.dimension]
        self.items[where].discard(item)
        if not self.items[where]:
            del self.items[where]
            self.sizes[where[1] - where[0] + 1] -= 1
            self.sizes += Counter()
            del self.order[bisect_left(self.order, where)]

    def near(self, box: Box) -> tuple[int, list[Range]]:
        """The subnets that touch `box`'s in this dimension, and how many items they have."""
        first, last = box[self.dimension]
        size = last - first + 1
        around = [
            where
            for larger in self.sizes
            if larger > size and (where := (first - first % larger, first - first % larger + larger - 1)) in self.items
        ]
        inside = self.order[bisect_left(self.order, (first, 0)) : bisect_right(self.order, (last, last))]
        # Subnets that begin where ours begins but are larger are already among those around.
        found = around + [where for where in inside if where[1] <= last]
        return sum(len(self.items[where]) for where in found), found


class Cover:
    """A multiset of items and the disjoint boxes that together cover exactly them."""

    def __init__(self) -> None:
        self._count: Counter[Item] = Counter()
        self._axes = (_Axis(0), _Axis(1))
        self._pieces: dict[Item, tuple[Box, ...]] = {}

    def __len__(self) -> int:
        return len(self._count)

    def boxes(self) -> Iterator[Box]:
        """Every box of the cover; no two overlap."""
        for pieces in self._pieces.values():
            yield from pieces

    def change(self, add: Iterable[Item], remove: Iterable[Item]) -> tuple[set[Box], set[Box]]:
        """Add and remove items; returns the boxes that are new and those that are gone. KeyError: item not here."""
        dirty: set[Item] = set()
        for item in add:
            self._count[item] += 1
            if self._count[item] == 1:
                dirty.update(self._behind(item), (item,))
                for axis in self._axes:
                    axis.add(item)
        for item in remove:
            if not self._count[item]:
                raise KeyError(item)
            self._count[item] -= 1
            if not self._count[item]:
                del self._count[item]
                for axis in self._axes:
                    axis.remove(item)
                dirty.update(self._behind(item), (item,))
        old: set[Box] = set()
        new: set[Box] = set()
        for item in dirty:
            old.update(self._pieces.pop(item, ()))
        for item in dirty:
            if item in self._count and (pieces := self._cut(item)):
                self._pieces[item] = pieces
                new.update(pieces)
        return new - old, old - new

    def _touching(self, item: Item) -> list[Item]:
        axis, (_, places) = min(
            ((axis, axis.near(item.box)) for axis in self._axes), key=lambda candidate: candidate[1][0]
        )
        return [
            other
            for place in places
            for other in axis.items[place]
            if other is not item and other != item and overlap(item.box, other.box)
        ]

    def _behind(self, item: Item) -> Iterator[Item]:
        """Those that give up what this one covers. A larger one keeps its shape, however many come to lie in it."""
        rank = item.rank
        return (other for other in self._touching(item) if other.rank > rank)

    def _cut(self, item: Item) -> tuple[Box, ...]:
        rank, pieces = item.rank, item.shapes()
        for other in self._touching(item):
            if other.rank < rank:
                for shape in other.shapes():
                    pieces = [part for piece in pieces for part in subtract(piece, shape)]
        return tuple(pieces)
