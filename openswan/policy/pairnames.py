# SPDX-License-Identifier: GPL-2.0-or-later
"""NAME/LxR: what a pair of leftsubnets= and rightsubnets= is called, and goes on being called when the lists change.

L and R number the subnets of either list. A subnet that a running pair has keeps its number, wherever it stands in the
list now; so pairs are matched by what they protect, not by position. Whatever is new has the number of its position, or
the lowest free one when a subnet that stays has that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openswan.base.address import Subnet
    from openswan.policy.connection import Connection

Clients = tuple[str, str]
"""The subnets of a pair, left and right, as text; empty: the end itself."""
_PAIR = re.compile(r"(.+)/(\d{1,4})x(\d{1,4})", re.ASCII)


def base_of(name: str) -> str:
    """The conn of ipsec.conf that a name belongs to: NAME of NAME/LxR, itself otherwise."""
    found = _PAIR.fullmatch(name)
    return found[1] if found else name


def clients_of(conn: Connection) -> Clients:
    """What a pair protects."""
    return _text(conn.left.subnet), _text(conn.right.subnet)


def renumber(pairs: Sequence[Connection], known: Mapping[str, Clients]) -> list[Connection]:
    """The pairs of one conn, named after those of it that run (`known`, by name); what is no pair keeps its name."""
    running: list[dict[str, int]] = [{}, {}]
    for name, clients in sorted(known.items()):
        if found := _PAIR.fullmatch(name):
            for side in (0, 1):
                running[side].setdefault(clients[side], int(found[side + 2]))
    parts = [_PAIR.fullmatch(each.name) for each in pairs]
    numbers = [
        _numbers(
            {clients_of(one)[side]: int(part[side + 2]) for one, part in zip(pairs, parts, strict=True) if part},
            running[side],
        )
        for side in (0, 1)
    ]
    named = [
        replace(one, name=f"{part[1]}/{'x'.join(str(numbers[side][clients_of(one)[side]]) for side in (0, 1))}")
        if part
        else one
        for one, part in zip(pairs, parts, strict=True)
    ]
    # A list that names a subnet twice has nothing to tell its pairs apart by but their positions.
    return named if len({each.name for each in named}) == len(pairs) else list(pairs)


def _numbers(positions: Mapping[str, int], running: Mapping[str, int]) -> dict[str, int]:
    """Subnet -> number, of one list."""
    given: dict[str, int] = {}
    for subnet, number in running.items():
        if subnet in positions and number not in given.values():
            given[subnet] = number
    taken = set(given.values())
    fresh = [subnet for subnet in positions if subnet not in given]
    for subnet in fresh:
        if positions[subnet] not in taken:
            given[subnet] = positions[subnet]
            taken.add(positions[subnet])
    free = _free(taken.union(running.values(), positions.values()))
    for subnet in fresh:
        if subnet not in given:
            given[subnet] = next(free)
    return given


def _free(taken: set[int]) -> Iterator[int]:
    return (number for number in range(1, len(taken) + 10_000) if number not in taken)


def _text(subnet: Subnet | None) -> str:
    return "" if subnet is None else str(subnet)
