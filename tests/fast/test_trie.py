# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree of prefixes against a dictionary, on prefixes that nest, and its memory."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random

import pytest
from _fast.trie import Trie


def near(rng: Random, octets: int) -> bytes:
    """An address whose bits agree with many others for a random stretch."""
    value = int.from_bytes(b"\x0a\x55\xaa\xff" * (octets // 4), "big")
    return (value ^ rng.getrandbits(octets * 8) >> rng.randrange(octets * 8)).to_bytes(octets, "big")


@pytest.mark.parametrize("octets", [4, 16])
@pytest.mark.parametrize("seed", range(4))
def test_races_a_dictionary(octets: int, seed: int) -> None:
    rng = Random(seed)
    tree, rows = Trie(), dict[tuple[bytes, int], int]()
    known: list[tuple[bytes, int]] = []
    for number in range(1, 1500):
        if known and rng.random() < 0.4:
            net, length = rng.choice(known)
            assert tree.cut(net, length) == rows.pop((net, length), None)
        else:
            length = rng.randrange(octets * 8 + 1)
            net = ip_network((near(rng, octets), length), strict=False).network_address.packed
            known.append((net, length))
            assert tree.put(net, length, number) == rows.get((net, length))
            rows[net, length] = number
        assert len(tree) == len(rows)
        if number % 5 == 0:
            address = near(rng, octets)
            host = ip_address(address)
            covering = sorted(
                ((n, row) for (net, n), row in rows.items() if host in ip_network((net, n))), reverse=True
            )
            assert tree.covering(address) == [row for _, row in covering]
    for net, length in list(rows):
        assert tree.cut(net, length) == rows.pop((net, length))
    assert len(tree) == 0 and tree.octets == 0


@pytest.mark.parametrize("octets", [4, 16])
def test_a_large_tree_has_a_stem_while_there_is_anything_in_it(octets: int) -> None:
    """Through its growth and to its end against a dictionary, on prefixes that nest and on ones of 16 bits and less."""
    rng = Random(octets)
    tree, rows = Trie(), dict[tuple[int, int], int]()

    def net_of(value: int, length: int) -> bytes:
        return (value << (octets * 8 - length)).to_bytes(octets, "big")

    while len(rows) < 34_000:
        length = rng.choice([*range(20), 22, 24, 24, 28, octets * 8, octets * 8 - 1])
        value = int.from_bytes(near(rng, octets) if rng.random() < 0.3 else rng.randbytes(octets), "big")
        value >>= octets * 8 - length
        number = len(rows) + 1
        assert tree.put(net_of(value, length), length, number) == rows.get((value, length))
        rows[value, length] = number
    assert len(tree) == len(rows) and tree.stem == 2 << 20
    for gone in (0, len(rows) - 200):
        for value, length in rng.sample(list(rows), gone):
            assert tree.cut(net_of(value, length), length) == rows.pop((value, length))
        for _ in range(2000):
            address = near(rng, octets) if rng.random() < 0.3 else rng.randbytes(octets)
            value = int.from_bytes(address, "big")
            covering = [rows.get((value >> (octets * 8 - n), n)) for n in range(octets * 8, -1, -1)]
            assert tree.covering(address) == [number for number in covering if number]
    for value, length in list(rows):
        assert tree.cut(net_of(value, length), length) == rows.pop((value, length))
    assert len(tree) == 0 and tree.octets == 0 and tree.stem == 0
    assert tree.put(bytes(octets), 9, 1) is None and tree.covering(bytes(octets)) == [1] and tree.octets < 1000
