# SPDX-License-Identifier: GPL-2.0-or-later
"""Which entries go; that the kernel lets them go is seen in tests/netns/test_routes.py."""

from __future__ import annotations

import random
import socket
from ipaddress import IPv4Address, IPv4Network
from itertools import product

from openswan.host.conntrack import Flows, _carries_ours, _ends, _in
from openswan.host.nlmsg import attr, nest


def entry(src: bytes, dst: bytes, protocol: int, sport: int = 0, dport: int = 0) -> memoryview:
    first = 1 if len(src) == 4 else 3
    ports = attr(2, sport.to_bytes(2, "big")) + attr(3, dport.to_bytes(2, "big"))
    return memoryview(nest(1, attr(first, src), attr(first + 1, dst)) + nest(2, attr(1, bytes((protocol,))), ports))


def test_addresses_of_both_families() -> None:
    assert _ends(entry(b"\x0a\0\0\x01", b"\x0a\0\0\x02", 6), socket.AF_INET) == (0x0A000001, 0x0A000002)
    assert _ends(entry(bytes(15) + b"\x01", bytes(15) + b"\x02", 6), socket.AF_INET6) == (1, 2)


def test_inside_both_ends_only() -> None:
    pair = ((10, 20), (30, 40))
    assert _in(10, 40, pair) and not _in(9, 40, pair) and not _in(10, 41, pair)


def test_ike_and_esp_are_kept() -> None:
    a, b = b"\x0a\0\0\x01", b"\x0a\0\0\x02"
    assert _carries_ours(entry(a, b, 50)) and _carries_ours(entry(a, b, 51))
    assert _carries_ours(entry(a, b, 17, 500, 500)) and _carries_ours(entry(a, b, 17, 40000, 4500))
    assert not _carries_ours(entry(a, b, 6, 500, 4500)) and not _carries_ours(entry(a, b, 17, 53, 53))


def test_many_pairs_of_hosts_are_one_look_up_and_nothing_else_changes() -> None:
    """Against the definition, on random nets of a small world."""
    rng = random.Random(1)

    def net() -> IPv4Network:
        size = rng.choice((28, 30, 32, 32))
        return IPv4Network((rng.randrange(32), size), strict=False)

    for _ in range(50):
        pairs = [(net(), net()) for _ in range(4)]
        flows = Flows(pairs)
        for one, other in product(map(IPv4Address, range(32)), repeat=2):
            there = any((one in a and other in b) or (other in a and one in b) for a, b in pairs)
            assert flows.hold(int(one), int(other)) is there, (pairs, one, other)
