# SPDX-License-Identifier: GPL-2.0-or-later
"""From nested nets, of which the most specific counts, to disjoint ranges of addresses.

10.0.0.0/8 closed      |------------------------------------|
10.1.0.0/16 open               |---------|
10.1.2.0/24 apart                 |--|

closed                 |------|           |-----------------|
open                           |-|    |--|
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from openswan.base.address import Subnet
from openswan.engine.effects import Way
from openswan.host.guard.boxes import Range
from openswan.host.guard.model import address_range, union


def flatten(nets: Iterable[tuple[Subnet, Way]], version: int) -> dict[Way, list[Range]]:
    """The ranges of each way in which it is the most specific net's; of equal nets the closed one counts."""
    best: dict[Range, Way] = {}
    for net, way in nets:
        if net.version == version:
            where = address_range(net)
            best[where] = min(best.get(where, way), way, key=tuple(Way).index)
    found: dict[Way, list[Range]] = {way: [] for way in Way}
    around: list[tuple[int, Way]] = []
    at = 0

    def fill(last: int, way: Way) -> None:
        nonlocal at
        if at <= last:
            found[way].append((at, last))
        at = last + 1

    for first, last in sorted(best, key=lambda where: (where[0], -where[1])):
        while around and around[-1][0] < first:
            fill(*around.pop())
        if around:
            fill(first - 1, around[-1][1])
        at = first
        around.append((last, best[first, last]))
    while around:
        fill(*around.pop())
    return {way: union(ranges) for way, ranges in found.items()}


def without(spans: Iterable[Range], holes: Iterable[Range]) -> list[Range]:
    """What is left of some ranges when others are taken out of them."""
    left: list[Range] = []
    gaps = union(holes)
    at = 0
    for span in union(spans):
        begin, last = span
        while at < len(gaps) and gaps[at][0] <= last:
            first, end = gaps[at]
            if begin < first:
                left.append((begin, first - 1))
            begin = max(begin, end + 1)
            if end > last:
                break  # it may reach into the next one
            at += 1
        if begin <= last:
            left.append((begin, last))
    return left


def within(spans: Sequence[Range], number: int) -> bool:
    """Is a number in one of these ranges, which are disjoint and in order?"""
    at = bisect_right(spans, number, key=lambda span: span[0])
    return at > 0 and number <= spans[at - 1][1]


def cover(nets: Iterable[Subnet], version: int) -> list[Range]:
    """The same of nets that are all alike."""
    return union(address_range(net) for net in nets if net.version == version)
