# SPDX-License-Identifier: GPL-2.0-or-later
"""Destinations of one source: one, a few in a row, many in a tree, and back."""

from __future__ import annotations

from random import Random

import pytest
from _fast.eroutes import Radij

from openswan.klips.keys import RawFlow, RawKey
from openswan.klips.slow.radij import Radij as SlowRadij
from tests.fast.layers import address

SRC = {4: bytes([10, 0, 0, 1]), 6: bytes.fromhex("20010db8000000000000000000000001")}


@pytest.mark.parametrize("version", [4, 6])
def test_grows_and_shrinks_against_its_twin(version: int) -> None:
    rng = Random(version)
    bits = 32 if version == 4 else 128
    fast, slow = Radij(), SlowRadij()
    keys: list[RawKey] = []
    for n in range(40):
        key = (version, SRC[version], 16, address(rng, version), rng.randrange(bits + 1), 6 if n % 5 == 4 else 0, 0, 0)
        keys.append(keys[-1][:5] + key[5:] if n % 5 == 4 else key)
    for turn in range(3):
        for cookie, key in enumerate(keys):
            assert fast.set(key, cookie) == slow.set(key, cookie)
            flows: list[RawFlow] = [(version, SRC[version], each[3], rng.choice([6, 17]), 1, 2) for each in keys]
            assert fast.match_batch(flows) == [slow.match(flow) for flow in flows], (turn, cookie)
        rng.shuffle(keys)
        for key in keys:
            assert fast.remove(key) == slow.remove(key)
            flows = [(version, SRC[version], each[3], rng.choice([6, 17]), 1, 2) for each in keys]
            assert [fast.match(flow) for flow in flows] == [slow.match(flow) for flow in flows]
        assert len(fast) == 0 and fast.octets == 0


def test_a_place_that_was_left_is_not_met_again() -> None:
    table = Radij()
    nets = [bytes([172, 16, n, 0]) for n in range(6)]
    for n, net in enumerate(nets):
        table.set((4, SRC[4], 32, net, 24, 0, 0, 0), n)
    for n in (0, 3, 5):
        assert table.remove((4, SRC[4], 32, nets[n], 24, 0, 0, 0))
    table.set((4, SRC[4], 32, bytes(4), 0, 0, 0, 0), 9)
    assert [table.match((4, SRC[4], net, 1, 0, 0)) for net in nets] == [9, 1, 2, 9, 4, 9]
    assert sorted(table.cookies()) == [1, 2, 4, 9]


def test_a_hint_that_lies_costs_time_and_nothing_else() -> None:
    """Destinations whose last bits are the same, so that each looks like all the others."""
    table = Radij()
    nets = [bytes([n, 0, 7, 0]) for n in range(1, 61)]
    for n, net in enumerate(nets):
        table.set((4, SRC[4], (32, 24)[n % 2], net, 24, 0, 0, 0), n)
    flows: list[RawFlow] = [(4, SRC[4], net, 1, 0, 0) for net in nets]
    assert table.match_batch(flows) == [table.match(flow) for flow in flows] == list(range(60))
    assert table.match((4, SRC[4], bytes([200, 0, 7, 0]), 1, 0, 0)) is None


@pytest.mark.parametrize("version", [4, 6])
def test_broad_destinations_are_in_every_stretch_they_cover(version: int) -> None:
    for length in range(10):
        for first in range(0, 256, 8):
            table, slow = Radij(), SlowRadij()
            net = bytes([first]) + bytes(3 if version == 4 else 15)
            for each in (length, min(length + 1, 9)):
                key: RawKey = (version, SRC[version], 16, net, each, 0, 0, 0)
                table.set(key, each)
                slow.set(key, each)
            flows = [(version, SRC[version], bytes([n]) + net[1:], 1, 0, 0) for n in range(0, 256, 16)]
            assert [table.match(flow) for flow in flows] == [slow.match(flow) for flow in flows]
