# SPDX-License-Identifier: GPL-2.0-or-later
"""Disjoint ranges against the obvious: ask every address which net is the most specific."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, ip_network

from openswan.engine.effects import Way
from openswan.host.intercept.spans import cover, flatten, within, without


def test_the_picture_of_the_docstring() -> None:
    nets = [("10.0.0.0/8", Way.CLOSED), ("10.1.0.0/16", Way.OPEN), ("10.1.2.0/24", Way.APART)]
    found = flatten([(ip_network(net), way) for net, way in nets], 4)
    shown = {way: [(str(IPv4Address(a)), str(IPv4Address(b))) for a, b in spans] for way, spans in found.items()}
    assert shown == {
        Way.CLOSED: [("10.0.0.0", "10.0.255.255"), ("10.2.0.0", "10.255.255.255")],
        Way.OPEN: [("10.1.0.0", "10.1.1.255"), ("10.1.3.0", "10.1.255.255")],
        Way.APART: [("10.1.2.0", "10.1.2.255")],
    }


def test_of_equal_nets_the_closed_one_counts_and_families_stay_apart() -> None:
    net, other = ip_network("192.0.2.0/24"), ip_network("2001:db8::/64")
    found = flatten([(net, Way.APART), (net, Way.OPEN), (net, Way.CLOSED), (other, Way.OPEN)], 4)
    assert found[Way.CLOSED] and not found[Way.OPEN] and not found[Way.APART]
    assert flatten([], 6) == {way: [] for way in Way}
    assert len(flatten([(other, Way.OPEN)], 6)[Way.OPEN]) == 1


def test_everybody_is_one_range() -> None:
    assert flatten([(ip_network("0.0.0.0/0"), Way.CLOSED)], 4)[Way.CLOSED] == [(0, 2**32 - 1)]
    assert cover([ip_network("10.0.0.0/9"), ip_network("10.128.0.0/9"), ip_network("::/0")], 4) == [
        (10 << 24, (11 << 24) - 1)
    ]


def test_random_nets_against_every_address() -> None:
    rng = random.Random(7)
    for _ in range(200):
        nets = []
        for _ in range(rng.randrange(1, 12)):
            length = rng.randrange(24, 33)
            first = (0xC0000200 | rng.randrange(256)) >> (32 - length) << (32 - length)
            nets.append((ip_network((first, length)), rng.choice(list(Way))))
        found = flatten(nets, 4)
        for address in range(0xC0000200, 0xC0000300):
            inside = [(net.prefixlen, -list(Way).index(way), way) for net, way in nets if IPv4Address(address) in net]
            wanted = max(inside)[2] if inside else None
            got = [way for way, spans in found.items() if any(a <= address <= b for a, b in spans)]
            assert got == ([wanted] if wanted else []), (nets, address)


def test_random_holes_against_every_number() -> None:
    rng = random.Random(8)
    for _ in range(300):
        spans, holes = (
            [(first, first + rng.randrange(9)) for first in rng.choices(range(60), k=rng.randrange(9))]
            for _ in range(2)
        )
        left = without(spans, holes)
        assert left == sorted(left)
        for number in range(-1, 71):
            wanted = any(a <= number <= b for a, b in spans) and not any(a <= number <= b for a, b in holes)
            assert within(left, number) is wanted, (spans, holes, number)
    assert without([], [(1, 2)]) == [] and without([(1, 2)], []) == [(1, 2)] and not within([], 0)
