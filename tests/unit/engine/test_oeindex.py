# SPDX-License-Identifier: GPL-2.0-or-later
"""Pairs found by net, against looking at all of them."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest

from openswan.engine.oeevents import Pair
from openswan.engine.oeindex import PairIndex

HERE = {4: ip_address("192.0.2.1"), 6: ip_address("2001:db8::1")}


def pair(text: str) -> Pair:
    there = ip_address(text)
    return Pair(HERE[there.version], there)


@pytest.mark.parametrize("seed", range(4))
def test_against_the_definition(seed: int) -> None:
    dice = random.Random(seed)
    index, all_of_them = PairIndex(), set()
    for _ in range(600):
        version, bits = dice.choice(((4, 32), (6, 128)))
        base = int(HERE[version])
        there = base ^ dice.getrandbits(dice.choice((3, 9, 17)) + (64 if version == 6 and dice.random() < 0.5 else 0))
        one = Pair(HERE[version], ip_address(there.to_bytes(bits // 8, "big")))
        index.add(one)
        all_of_them.add(one)
        if dice.random() < 0.3:
            gone = dice.choice(sorted(all_of_them, key=str))
            index.remove(gone)
            all_of_them.remove(gone)
    for _ in range(100):
        middle = dice.choice(sorted(all_of_them, key=str)).dst
        net = ip_network((middle, dice.randrange(middle.max_prefixlen + 1)), strict=False)
        found = list(index.within(net))
        assert len(found) == len(set(found)) and set(found) == {one for one in all_of_them if one.dst in net}


def test_nothing_is_left_behind() -> None:
    index = PairIndex()
    for text in ("192.0.2.7", "192.0.2.8", "2001:db8::7"):
        index.add(pair(text))
        index.add(pair(text))
    for text in ("192.0.2.7", "192.0.2.7", "192.0.2.8", "2001:db8::7", "203.0.113.1"):
        index.remove(pair(text))
    assert index.blocks == {} and list(index.within(ip_network("0.0.0.0/0"))) == []
